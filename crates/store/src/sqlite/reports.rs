//! Reports in SQLite.

use async_trait::async_trait;
use belvedere_domain::job::{JobRecord, JobStatus};
use belvedere_domain::{DatasetName, Difficulty, Digest, JobId, StepName, Timestamp};
use rusqlite::types::ToSql;
use rusqlite::{OptionalExtension as _, Row, params};

use super::datasets::drop_orphans;
use super::{Failure, Session, Sqlite, end, row};
use crate::codec::{JobRow, KeyRow, count, http_status, status, total};
use crate::reports::{ReportColumns, by_outcome, by_rest, report_sql};
use crate::{ArtifactCount, JobCount, JobDetail, Leftovers, Report, Reports, StoreError};

const JOB: &str =
    concat!("SELECT ", include_str!("../sql/job_columns.sql"), ", owner, expires_at, not_before FROM jobs");

#[async_trait]
impl Reports for Sqlite {
    async fn artifacts(
        &self,
        step: &StepName,
        after: i64,
        limit: u32,
        with_content: bool,
    ) -> Result<Vec<Report>, StoreError> {
        let step = step.clone();
        self.read("list artifacts", move |session| {
            let sql = report_sql(with_content, "AND p.step = ?1 AND p.id > ?2 ORDER BY p.id LIMIT ?3");
            reports(session, &sql, params![step.as_str(), after, limit])
        })
        .await
    }

    async fn artifacts_of(&self, dataset: &DatasetName) -> Result<Vec<Report>, StoreError> {
        let dataset = dataset.clone();
        self.read("list artifacts", move |session| {
            reports(session, &report_sql(false, "AND p.dataset = ?1 ORDER BY p.id"), params![dataset.as_str()])
        })
        .await
    }

    async fn artifact_counts(&self) -> Result<Vec<ArtifactCount>, StoreError> {
        self.read("count artifacts", |session| {
            let totals = session
                .prepare(include_str!("../sql/artifact_totals.sql"))?
                .query_map([], |row| Ok((StepName::read(row.get(0)?), total(row.get(1)?))))?
                .collect::<Result<_, _>>()?;
            let mut statement = session.prepare(include_str!("../sql/artifact_errors.sql"))?;
            let mut rows = statement.query([])?;
            let mut errors = Vec::new();
            while let Some(row) = rows.next()? {
                errors.push(ArtifactCount {
                    step: StepName::read(row.get(0)?),
                    http_status: http_status(row.get(1)?)?,
                    error_code: row.get(2)?,
                    count: total(row.get(3)?),
                });
            }
            Ok(by_outcome(totals, errors))
        })
        .await
    }

    async fn builders(&self) -> Result<Vec<(Option<String>, u64)>, StoreError> {
        self.read("count builders", |session| {
            let shown = include_str!("../sql/report_shown.sql");
            let mut statement = session.prepare(&format!(
                "SELECT json_extract(v.content, '$.dataset_info.default.builder_name') AS builder, count(*) {shown}
                 AND p.step = 'dataset-info' AND v.http_status = 200
                 GROUP BY builder ORDER BY builder"
            ))?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, total(row.get(1)?))))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn datasets_with_errors(&self, codes: &[&str]) -> Result<Vec<DatasetName>, StoreError> {
        let codes = serde_json::to_string(codes).map_err(StoreError::corrupt)?;
        self.read("list datasets with errors", move |session| {
            let found = include_str!("../sql/datasets_with_errors.sql");
            let sql = format!(
                "{found} AND v.error_code IN (SELECT value FROM json_each(?1))
                 ORDER BY p.dataset"
            );
            let names: Vec<String> =
                session.prepare(&sql)?.query_map([codes], |row| row.get(0))?.collect::<Result<_, _>>()?;
            Ok(names.into_iter().map(crate::codec::dataset).collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn jobs(&self, steps: &[StepName], limit: u32) -> Result<Vec<JobRecord>, StoreError> {
        let steps = steps.to_vec();
        self.read("list jobs", move |session| {
            let mut jobs = started(session, &steps)?;
            let mut waiting = session.prepare(include_str!("sql/jobs_of_step.sql"))?;
            for step in &steps {
                let mut rows = waiting.query(params![step.as_str(), limit])?;
                while let Some(row) = rows.next()? {
                    jobs.push(row::job(row)?.decode()?);
                }
            }
            jobs.sort_unstable_by_key(|job| job.id);
            Ok(jobs)
        })
        .await
    }

    async fn job(&self, id: JobId) -> Result<Option<JobDetail>, StoreError> {
        self.read("read a job", move |session| {
            let found = session
                .prepare(&format!("{JOB} WHERE id = ?1"))?
                .query_row([id.0], |found| Ok((row::job(found)?, found.get(17)?, found.get(18)?, found.get(19)?)))
                .optional()?;
            let Some((job, owner, expires_at, not_before)) = found else { return Ok(None) };
            let (expires_at, not_before): (Option<i64>, Option<i64>) = (expires_at, not_before);
            Ok(Some(JobDetail {
                record: job.decode()?,
                owner,
                expires_at: expires_at.map(Timestamp),
                not_before: not_before.map(Timestamp),
            }))
        })
        .await
    }

    async fn jobs_ahead(&self, job: &JobRecord, at_most: u32) -> Result<u64, StoreError> {
        let (priority, id) = (job.priority.rank(), job.id.0);
        self.read("count jobs ahead", move |session| {
            let mut statement = session.prepare(&format!("{} LIMIT ?3)", include_str!("../sql/jobs_ahead.sql")))?;
            Ok(total(statement.query_row(params![priority, id, at_most], |row| row.get(0))?))
        })
        .await
    }

    async fn job_counts(&self) -> Result<Vec<JobCount>, StoreError> {
        self.read("count jobs", |session| {
            // Along the index of lanes, so that nothing is sorted and no row is read.
            let mut all = job_counts(
                session,
                "SELECT step, status, difficulty, count(*) FROM jobs INDEXED BY jobs_lanes
                 WHERE status = 0 AND not_before IS NULL
                 GROUP BY priority, namespace, difficulty, step",
                params![],
            )?;
            all.extend(job_counts(
                session,
                "SELECT step, status, difficulty, count(*) FROM jobs INDEXED BY jobs_resting
                 WHERE status = 0 AND not_before IS NOT NULL
                 GROUP BY step, difficulty",
                params![],
            )?);
            all.extend(job_counts(
                session,
                "SELECT step, status, difficulty, count(*) FROM jobs INDEXED BY jobs_started
                 WHERE status = 1
                 GROUP BY step, difficulty",
                params![],
            )?);
            let mut blocked = Vec::new();
            for status in [0, 1] {
                blocked.extend(job_counts(
                    session,
                    &format!(
                        "SELECT j.step, j.status, j.difficulty, count(*)
                         FROM blockages b
                         JOIN jobs j ON j.status = {status} AND j.dataset = b.dataset
                         WHERE b.blocked_until > ?1
                         GROUP BY j.step, j.difficulty"
                    ),
                    params![session.now],
                )?);
            }
            Ok(by_rest(all, blocked))
        })
        .await
    }

    async fn cancel(&self, steps: &[StepName]) -> Result<Vec<JobRecord>, StoreError> {
        let steps = steps.to_vec();
        let cancelled = self
            .write("put jobs back", move |session| {
                let jobs = started(session, &steps)?;
                for job in &jobs {
                    let job = JobRecord { attempt: job.attempt.saturating_sub(1), ..job.clone() };
                    end::put_back(session, job, None)?;
                }
                Ok(jobs)
            })
            .await?;
        self.wake();
        Ok(cancelled)
    }

    async fn unblock(&self, dataset: &DatasetName) -> Result<bool, StoreError> {
        let dataset = dataset.clone();
        let rested = self.write("end a rest", move |session| unblock(session, dataset.as_str())).await?;
        self.wake();
        Ok(rested)
    }

    async fn database_bytes(&self) -> Result<u64, StoreError> {
        self.read("measure the database", |session| {
            let sql = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()";
            Ok(session.prepare(sql)?.query_row([], |row| Ok(total(row.get(0)?)))?)
        })
        .await
    }

    async fn leftovers(&self, known: &[StepName], remove: bool) -> Result<Leftovers, StoreError> {
        let known = serde_json::to_string(known).map_err(StoreError::corrupt)?;
        if remove {
            return self.write("remove leftovers", move |session| remove_leftovers(session, &known)).await;
        }
        self.read("count leftovers", move |session| {
            let number = |table: &str| -> Result<u64, Failure> {
                let sql = format!("SELECT count(*) FROM {table} step NOT IN (SELECT value FROM json_each(?1))");
                Ok(session.prepare(&sql)?.query_row([&known], |row| Ok(total(row.get(0)?)))?)
            };
            Ok(Leftovers {
                jobs: number("jobs WHERE status = 0 AND")?,
                artifacts: number("pointers WHERE")?,
                dropped: Vec::new(),
            })
        })
        .await
    }
}

fn reports(session: &Session<'_>, sql: &str, params: &[&dyn ToSql]) -> Result<Vec<Report>, Failure> {
    let mut statement = session.prepare(sql)?;
    let mut rows = statement.query(params)?;
    let mut reports = Vec::new();
    while let Some(row) = rows.next()? {
        reports.push(report(row)?.decode()?);
    }
    Ok(reports)
}

fn report(row: &Row<'_>) -> rusqlite::Result<ReportColumns> {
    Ok(ReportColumns {
        id: row.get(0)?,
        key: KeyRow { step: row.get(1)?, dataset: row.get(2)?, config: row.get(3)?, split: row.get(4)? },
        revision: row.get(5)?,
        updated_at: row.get(6)?,
        failed_runs: row.get(7)?,
        http_status: row.get(8)?,
        error_code: row.get(9)?,
        progress: row.get(10)?,
        runner_version: row.get(11)?,
        details: row.get(12)?,
        content: row.get(13)?,
    })
}

fn started(session: &Session<'_>, steps: &[StepName]) -> Result<Vec<JobRecord>, Failure> {
    let steps = serde_json::to_string(steps).map_err(StoreError::corrupt)?;
    let rows: Vec<JobRow> = session
        .prepare(include_str!("sql/started_of_steps.sql"))?
        .query_map([steps], row::job)?
        .collect::<Result<_, _>>()?;
    Ok(rows.into_iter().map(JobRow::decode).collect::<Result<_, _>>()?)
}

fn job_counts(session: &Session<'_>, sql: &str, params: &[&dyn ToSql]) -> Result<Vec<JobCount>, Failure> {
    let mut statement = session.prepare(sql)?;
    let rows = statement.query_map(params, |row| {
        let status: JobStatus = status(row.get(1)?);
        let difficulty = Difficulty::new(count(row.get(2)?));
        Ok(JobCount {
            step: StepName::read(row.get(0)?),
            status,
            difficulty,
            blocked: false,
            count: total(row.get(3)?),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn unblock(session: &Session<'_>, dataset: &str) -> Result<bool, Failure> {
    let until: Option<i64> = session
        .prepare("SELECT blocked_until FROM blockages WHERE dataset = ?1")?
        .query_row([dataset], |row| row.get(0))
        .optional()?;
    let Some(until) = until else { return Ok(false) };
    session.execute("DELETE FROM blockages WHERE dataset = ?1", [dataset])?;
    session.execute("DELETE FROM past_jobs WHERE dataset = ?1", [dataset])?;
    // Due now rather than not resting: the next claim notes the lanes of those whose rest is over.
    session.execute(
        "UPDATE jobs SET not_before = ?2 WHERE status = 0 AND dataset = ?1 AND not_before BETWEEN ?2 AND ?3",
        params![dataset, session.now, until],
    )?;
    Ok(until > session.now)
}

fn remove_leftovers(session: &Session<'_>, known: &str) -> Result<Leftovers, Failure> {
    const OTHERS: &str = "step NOT IN (SELECT value FROM json_each(?1))";
    let jobs = session.execute(&format!("DELETE FROM jobs WHERE status = 0 AND {OTHERS}"), [known])?;
    let datasets: Vec<String> = session
        .prepare(&format!("SELECT DISTINCT dataset FROM pointers WHERE {OTHERS}"))?
        .query_map([known], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    session.execute(
        &format!("INSERT OR IGNORE INTO orphans SELECT dataset, view FROM pointers WHERE {OTHERS}"),
        [known],
    )?;
    let artifacts = session.execute(&format!("DELETE FROM pointers WHERE {OTHERS}"), [known])?;
    let mut dropped: Vec<Digest> = Vec::new();
    for dataset in &datasets {
        dropped.extend(drop_orphans(session, dataset)?);
    }
    Ok(Leftovers { jobs: jobs as u64, artifacts: artifacts as u64, dropped })
}
