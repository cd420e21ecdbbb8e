//! Reports in PostgreSQL.

use async_trait::async_trait;
use belvedere_domain::job::JobRecord;
use belvedere_domain::{DatasetName, Difficulty, JobId, StepName, Timestamp};
use tokio_postgres::Row;

use super::{Postgres, get, one, row};
use crate::codec::{KeyRow, count, dataset, digest, http_status, status, total};
use crate::reports::{ReportColumns, by_outcome, by_rest, report_sql};
use crate::{ArtifactCount, JobCount, JobDetail, Leftovers, Report, Reports, StoreError};

const JOB_COLUMNS: &str = include_str!("../sql/job_columns.sql");

#[async_trait]
impl Reports for Postgres {
    async fn artifacts(
        &self,
        step: &StepName,
        after: i64,
        limit: u32,
        with_content: bool,
    ) -> Result<Vec<Report>, StoreError> {
        // The limit stands in the text, so that the plan is made for a short page; and no equality, so that only the index
        // of this order can serve.
        let rest = format!("AND (p.step, p.id) > ($1, $2) AND p.step <= $1 ORDER BY p.step, p.id LIMIT {limit}");
        let rows = self.read("list artifacts", &report_sql(with_content, &rest), &[&step.as_str(), &after]).await?;
        rows.iter().map(|row| report(row)?.decode()).collect()
    }

    async fn artifacts_of(&self, dataset: &DatasetName) -> Result<Vec<Report>, StoreError> {
        let sql = report_sql(false, "AND p.dataset = $1 ORDER BY p.id");
        let rows = self.read("list artifacts", &sql, &[&dataset.as_str()]).await?;
        rows.iter().map(|row| report(row)?.decode()).collect()
    }

    async fn artifact_counts(&self) -> Result<Vec<ArtifactCount>, StoreError> {
        let totals = self.read("count artifacts", include_str!("../sql/artifact_totals.sql"), &[]).await?;
        let errors = self.read("count errors", include_str!("../sql/artifact_errors.sql"), &[]).await?;
        let totals = totals.iter().map(|row| Ok((StepName::read(get(row, 0)?), total(get(row, 1)?))));
        let errors = errors.iter().map(|row| {
            Ok(ArtifactCount {
                step: StepName::read(get(row, 0)?),
                http_status: http_status(get(row, 1)?)?,
                error_code: get(row, 2)?,
                count: total(get(row, 3)?),
            })
        });
        Ok(by_outcome(totals.collect::<Result<_, StoreError>>()?, errors.collect::<Result<_, StoreError>>()?))
    }

    async fn builders(&self) -> Result<Vec<(Option<String>, u64)>, StoreError> {
        let shown = include_str!("../sql/report_shown.sql");
        // PostgreSQL has no texts with a zero, so it reads no JSON with one.
        let sql = format!(
            "SELECT replace(v.content, '\\u0000', '\\ufffd')::json #>> '{{dataset_info,default,builder_name}}' AS builder, count(*) {shown}
             AND p.step = 'dataset-info' AND v.http_status = 200
             GROUP BY builder ORDER BY builder NULLS FIRST"
        );
        let rows = self.read("count builders", &sql, &[]).await?;
        rows.iter().map(|row| Ok((get(row, 0)?, total(get(row, 1)?)))).collect()
    }

    async fn datasets_with_errors(&self, codes: &[&str]) -> Result<Vec<DatasetName>, StoreError> {
        let found = include_str!("../sql/datasets_with_errors.sql");
        let sql = format!("{found} AND v.error_code = ANY ($1) ORDER BY p.dataset");
        let rows = self.read("list datasets with errors", &sql, &[&codes]).await?;
        rows.iter().map(|row| dataset(get(row, 0)?)).collect()
    }

    async fn jobs(&self, steps: &[StepName], limit: u32) -> Result<Vec<JobRecord>, StoreError> {
        let steps: Vec<&str> = steps.iter().map(StepName::as_str).collect();
        let sql = format!(
            "SELECT {JOB_COLUMNS} {} UNION ALL
             SELECT {JOB_COLUMNS} FROM jobs WHERE status = 1 AND step = ANY ($1)
             ORDER BY id",
            include_str!("sql/jobs_of_steps.sql")
        );
        let rows = self.read("list jobs", &sql, &[&steps, &i64::from(limit)]).await?;
        rows.iter().map(|found| row::job(found)?.decode()).collect()
    }

    async fn job(&self, id: JobId) -> Result<Option<JobDetail>, StoreError> {
        let sql = format!("SELECT {JOB_COLUMNS}, owner, expires_at, not_before FROM jobs WHERE id = $1");
        let rows = self.read("read a job", &sql, &[&id.0]).await?;
        let detail = |found: &Row| {
            let (expires_at, not_before): (Option<i64>, Option<i64>) = (get(found, 18)?, get(found, 19)?);
            Ok(JobDetail {
                record: row::job(found)?.decode()?,
                owner: get(found, 17)?,
                expires_at: expires_at.map(Timestamp),
                not_before: not_before.map(Timestamp),
            })
        };
        rows.first().map(detail).transpose()
    }

    async fn jobs_ahead(&self, job: &JobRecord, at_most: u32) -> Result<u64, StoreError> {
        let sql = concat!(include_str!("../sql/jobs_ahead.sql"), " LIMIT $3)").replace('?', "$");
        let sql = format!("{sql} AS ahead");
        let (priority, at_most) = (i64::from(job.priority.rank()), i64::from(at_most));
        let rows = self.read("count jobs ahead", &sql, &[&priority, &job.id.0, &at_most]).await?;
        rows.first().map_or(Ok(0), |row| get(row, 0).map(total))
    }

    async fn job_counts(&self) -> Result<Vec<JobCount>, StoreError> {
        let rows = self.read("count jobs", include_str!("sql/job_counts.sql"), &[]).await?;
        let counts = rows.iter().map(|row| {
            Ok(JobCount {
                step: StepName::read(get(row, 0)?),
                status: status(get(row, 1)?),
                difficulty: Difficulty::new(count(get(row, 2)?)),
                blocked: get(row, 4)?,
                count: total(get(row, 3)?),
            })
        });
        let counts: Vec<JobCount> = counts.collect::<Result<_, StoreError>>()?;
        let (blocked, all) = counts.into_iter().partition(|count| count.blocked);
        Ok(by_rest(all, blocked))
    }

    async fn cancel(&self, steps: &[StepName]) -> Result<Vec<JobRecord>, StoreError> {
        let steps: Vec<&str> = steps.iter().map(StepName::as_str).collect();
        let sql = format!("SELECT {JOB_COLUMNS} FROM cancel_jobs($1) ORDER BY id");
        let rows = self.write("put jobs back", &sql, &[&steps]).await?;
        self.wakeups.wake_all();
        rows.iter().map(|found| row::job(found)?.decode()).collect()
    }

    async fn unblock(&self, dataset: &DatasetName) -> Result<bool, StoreError> {
        let row = self.write_one("end a rest", include_str!("sql/unblock.sql"), &[&dataset.as_str()]).await?;
        self.wakeups.wake_all();
        get(&row, 0)
    }

    async fn database_bytes(&self) -> Result<u64, StoreError> {
        let sql = "SELECT pg_database_size(current_database())";
        Ok(total(get(&one(self.read("measure the database", sql, &[]).await?)?, 0)?))
    }

    async fn leftovers(&self, known: &[StepName], remove: bool) -> Result<Leftovers, StoreError> {
        let known: Vec<&str> = known.iter().map(StepName::as_str).collect();
        if !remove {
            let sql = "SELECT (SELECT count(*) FROM jobs WHERE status = 0 AND step <> ALL ($1)),
                              (SELECT count(*) FROM pointers WHERE step <> ALL ($1))";
            let row = one(self.read("count leftovers", sql, &[&known]).await?)?;
            let (jobs, artifacts) = (total(get(&row, 0)?), total(get(&row, 1)?));
            return Ok(Leftovers { jobs, artifacts, dropped: Vec::new() });
        }
        let sql = "SELECT jobs, artifacts, dropped FROM drop_leftovers($1)";
        let row = one(self.database.remove("remove leftovers", sql, &[&known]).await?)?;
        let dropped: Vec<&[u8]> = get(&row, 2)?;
        let dropped = dropped.into_iter().map(digest).collect::<Result<_, _>>()?;
        Ok(Leftovers { jobs: total(get(&row, 0)?), artifacts: total(get(&row, 1)?), dropped })
    }
}

fn report(row: &Row) -> Result<ReportColumns, StoreError> {
    Ok(ReportColumns {
        id: get(row, 0)?,
        key: KeyRow { step: get(row, 1)?, dataset: get(row, 2)?, config: get(row, 3)?, split: get(row, 4)? },
        revision: get(row, 5)?,
        updated_at: get(row, 6)?,
        failed_runs: get(row, 7)?,
        http_status: get(row, 8)?,
        error_code: get(row, 9)?,
        progress: get(row, 10)?,
        runner_version: get(row, 11)?,
        details: get(row, 12)?,
        content: get(row, 13)?,
    })
}
