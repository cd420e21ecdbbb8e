//! The queue in SQLite.

use async_trait::async_trait;
use belvedere_domain::job::{ClaimedJob, JobRecord, JobStatus};
use belvedere_domain::{DatasetName, Lease, NewJob, StepName};
use rusqlite::{OptionalExtension as _, params};
use tokio::sync::watch;

use super::{Failure, Session, Sqlite, claim, datasets, end, enqueue, row};
use crate::codec::{JobRow, microseconds, status, total};
use crate::{ClaimRequest, Completion, DeadJob, Finished, NewView, Pulse, Queue, StoreError, TargetChange};

const PENDING: &str = concat!("SELECT ", include_str!("../sql/job_columns.sql"), " FROM jobs ");

#[async_trait]
impl Queue for Sqlite {
    async fn set_target(&self, change: TargetChange) -> Result<(usize, usize), StoreError> {
        let counts = self.write("set a target", move |session| datasets::set_target(session, change)).await?;
        self.wake();
        Ok(counts)
    }

    async fn enqueue(&self, jobs: Vec<NewJob>) -> Result<usize, StoreError> {
        let new = self.write("queue jobs", move |session| enqueue::enqueue(session, jobs, 0)).await?;
        self.wake();
        Ok(new)
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Option<ClaimedJob>, StoreError> {
        let request = request.clone();
        // Forgotten by a crash, the job still waits, and its worker is gone too.
        self.write_relaxed("claim a job", move |session| claim::claim(session, &request)).await
    }

    async fn heartbeat(&self, leases: &[Lease], lease_seconds: f64) -> Result<Vec<Pulse>, StoreError> {
        if leases.is_empty() {
            return Ok(Vec::new());
        }
        let leases = leases.to_vec();
        self.write_relaxed("extend leases", move |session| {
            let expires_at = session.now + microseconds(lease_seconds);
            leases.iter().map(|lease| beat(session, lease, expires_at)).collect()
        })
        .await
    }

    async fn finish(&self, lease: &Lease, completion: Completion) -> Result<Finished, StoreError> {
        let lease = lease.clone();
        let finished = self.write("finish a job", move |session| end::finish(session, &lease, completion)).await?;
        self.wake();
        Ok(finished)
    }

    async fn finish_and_claim(
        &self,
        lease: &Lease,
        completion: Completion,
        request: &ClaimRequest,
    ) -> (Result<Finished, StoreError>, Result<Option<ClaimedJob>, StoreError>) {
        // Both are queued before either is waited for, in this order: they share a transaction, or follow each other.
        tokio::join!(biased; self.finish(lease, completion), self.claim(request))
    }

    async fn save(&self, lease: &Lease, view: NewView) -> Result<bool, StoreError> {
        let lease = lease.clone();
        self.write("save a view", move |session| end::save(session, &lease, &view)).await
    }

    async fn release(&self, lease: &Lease, delay_seconds: f64, count_attempt: bool) -> Result<bool, StoreError> {
        let lease = lease.clone();
        let delay = microseconds(delay_seconds);
        let held =
            self.write("give a job back", move |session| end::release(session, &lease, delay, count_attempt)).await?;
        self.wake();
        Ok(held)
    }

    async fn collect_expired(&self, max_crashes: u32, lease_seconds: f64) -> Result<(usize, Vec<DeadJob>), StoreError> {
        let lease = microseconds(lease_seconds);
        let collected = self
            .write("collect expired leases", move |session| end::collect_expired(session, max_crashes, lease))
            .await?;
        self.wake();
        Ok(collected)
    }

    async fn raise_oldest(&self, waited_seconds: f64) -> Result<usize, StoreError> {
        let waited = microseconds(waited_seconds);
        let raised = self.write("raise jobs", move |session| enqueue::raise_oldest(session, waited)).await?;
        if raised > 0 {
            self.wake();
        }
        Ok(raised)
    }

    async fn has_pending(&self, dataset: &DatasetName, steps: &[StepName]) -> Result<bool, StoreError> {
        let dataset = dataset.to_string();
        let all = steps.is_empty();
        let steps = serde_json::to_string(steps).map_err(StoreError::corrupt)?;
        self.read("look for pending jobs", move |session| {
            let sql = include_str!("sql/has_pending.sql");
            Ok(session.prepare(sql)?.query_row(params![dataset, all, steps], |row| row.get(0))?)
        })
        .await
    }

    async fn pending(&self, dataset: Option<&DatasetName>) -> Result<Vec<JobRecord>, StoreError> {
        let dataset = dataset.map(ToString::to_string);
        self.read("list pending jobs", move |session| {
            let rows: Vec<_> = match dataset {
                Some(dataset) => session
                    .prepare(&format!(
                        "{PENDING} WHERE status = 0 AND dataset = ?1 UNION ALL {PENDING} WHERE status = 1 AND dataset = ?1 ORDER BY id"
                    ))?
                    .query_map([dataset], row::job)?
                    .collect::<Result<_, _>>()?,
                None => session
                    .prepare(&format!("{PENDING} ORDER BY id"))?
                    .query_map([], row::job)?
                    .collect::<Result<_, _>>()?,
            };
            Ok(rows.into_iter().map(JobRow::decode).collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn counts(&self) -> Result<Vec<(StepName, JobStatus, u64)>, StoreError> {
        self.read("count jobs", |session| {
            let mut statement = session.prepare(include_str!("../sql/job_counts.sql"))?;
            let rows = statement
                .query_map([], |row| Ok((StepName::read(row.get(0)?), status(row.get(1)?), total(row.get(2)?))))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn blocked_datasets(&self) -> Result<Vec<DatasetName>, StoreError> {
        self.read("list resting datasets", |session| {
            let mut statement =
                session.prepare("SELECT dataset FROM blockages WHERE blocked_until > ?1 ORDER BY dataset")?;
            let names: Vec<String> = statement.query_map([session.now], |row| row.get(0))?.collect::<Result<_, _>>()?;
            Ok(names.into_iter().map(crate::codec::dataset).collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn next_due_seconds(&self) -> Result<Option<f64>, StoreError> {
        self.read("look for the next due job", |session| {
            let (ready, next): (bool, Option<i64>) =
                session.prepare(include_str!("../sql/due.sql"))?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(if ready { Some(0.0) } else { next.map(|next| (next - session.now).max(0) as f64 / 1e6) })
        })
        .await
    }

    fn wakeups(&self) -> watch::Receiver<u64> {
        self.wakeups.subscribe()
    }
}

fn beat(session: &Session<'_>, lease: &Lease, expires_at: i64) -> Result<Pulse, Failure> {
    let superseded: Option<bool> = session
        .prepare(include_str!("sql/beat.sql"))?
        .query_row(params![lease.job.0, lease.token, expires_at, session.now], |row| row.get(0))
        .optional()?;
    Ok(match superseded {
        None => Pulse::Lost,
        Some(true) => Pulse::Superseded,
        Some(false) => Pulse::Alive,
    })
}
