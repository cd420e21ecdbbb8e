//! The queue in PostgreSQL.

use async_trait::async_trait;
use belvedere_domain::job::{ClaimedJob, JobRecord, JobStatus};
use belvedere_domain::{DatasetName, Lease, NewJob, StepName};
use tokio::sync::watch;
use tokio_postgres::types::ToSql;

use super::batches::only;
use super::database::Database;
use super::ends::End;
use super::jobs::JobColumns;
use super::turns::{Outcome, Turn};
use super::{Postgres, get, one, row};
use crate::codec::{merged, microseconds, status, total};
use crate::{ClaimRequest, Completion, DeadJob, Finished, NewView, Pulse, Queue, StoreError, TargetChange};

const PENDING: &str = concat!("SELECT ", include_str!("../sql/job_columns.sql"), " FROM jobs");

#[async_trait]
impl Queue for Postgres {
    async fn set_target(&self, change: TargetChange) -> Result<(usize, usize), StoreError> {
        let (dataset, revision) = (change.dataset.as_str(), change.revision.as_str());
        let jobs = merged(change.plan.create);
        let jobs = JobColumns::of(&jobs);
        let delete: Vec<i64> = change.plan.delete.iter().map(|job| job.0).collect();
        let params: Vec<&(dyn ToSql + Sync)> = [&dataset as &(dyn ToSql + Sync), &revision]
            .into_iter()
            .chain(jobs.params())
            .chain([&delete as _])
            .collect();
        let row = self.write_one("set a target", include_str!("sql/set_target.sql"), &params).await?;
        self.wakeups.wake_all();
        Ok((number(get(&row, 0)?), number(get(&row, 1)?)))
    }

    async fn enqueue(&self, jobs: Vec<NewJob>) -> Result<usize, StoreError> {
        let jobs = JobColumns::of(&jobs);
        let row = self.write_one("queue jobs", include_str!("sql/enqueue.sql"), &jobs.params()).await?;
        self.wakeups.wake_all();
        Ok(number(get(&row, 0)?))
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Option<ClaimedJob>, StoreError> {
        let claim = Some(request.clone());
        let outcome = self.turns.call(Turn { end: None, claim }).await?;
        outcome.claimed.unwrap_or_else(|| Err(no_outcome()))
    }

    async fn heartbeat(&self, leases: &[Lease], lease_seconds: f64) -> Result<Vec<Pulse>, StoreError> {
        if leases.is_empty() {
            return Ok(Vec::new());
        }
        let jobs: Vec<i64> = leases.iter().map(|lease| lease.job.0).collect();
        let tokens: Vec<i64> = leases.iter().map(|lease| lease.token).collect();
        let lease = microseconds(lease_seconds);
        let rows = self.write("extend leases", include_str!("sql/heartbeat.sql"), &[&jobs, &tokens, &lease]).await?;
        let mut pulses = vec![Pulse::Lost; leases.len()];
        for row in &rows {
            let place = number(get(row, 0)?);
            let pulse = if get(row, 1)? { Pulse::Superseded } else { Pulse::Alive };
            if let Some(slot) = place.checked_sub(1).and_then(|place| pulses.get_mut(place)) {
                *slot = pulse;
            }
        }
        Ok(pulses)
    }

    async fn finish(&self, lease: &Lease, completion: Completion) -> Result<Finished, StoreError> {
        let end = Some(End::new(lease.clone(), completion));
        let outcome = self.turns.call(Turn { end, claim: None }).await?;
        outcome.finished.unwrap_or_else(|| Err(no_outcome()))
    }

    async fn finish_and_claim(
        &self,
        lease: &Lease,
        completion: Completion,
        request: &ClaimRequest,
    ) -> (Result<Finished, StoreError>, Result<Option<ClaimedJob>, StoreError>) {
        let (end, claim) = (Some(End::new(lease.clone(), completion)), Some(request.clone()));
        match self.turns.call(Turn { end, claim }).await {
            Ok(Outcome { finished: Some(finished), claimed: Some(claimed) }) => (finished, claimed),
            Ok(_) => (Err(no_outcome()), Err(no_outcome())),
            Err(error) => {
                let message = error.to_string();
                (Err(error), Err(StoreError::unavailable(message)))
            }
        }
    }

    async fn save(&self, lease: &Lease, view: NewView) -> Result<bool, StoreError> {
        let completion = Completion { views: vec![view], ..Completion::default() };
        let outcomes = self.database.end(&[&End::new(lease.clone(), completion)], false).await?;
        Ok(matches!(only(outcomes)?, Finished::Saved { .. }))
    }

    async fn release(&self, lease: &Lease, delay_seconds: f64, count_attempt: bool) -> Result<bool, StoreError> {
        let held = self.database.release(lease, delay_seconds, count_attempt).await?;
        self.wakeups.wake_all();
        Ok(held)
    }

    async fn collect_expired(&self, max_crashes: u32, lease_seconds: f64) -> Result<(usize, Vec<DeadJob>), StoreError> {
        let (max_crashes, lease) = (i64::from(max_crashes), microseconds(lease_seconds));
        let row = self.write_one("follow the clock", "SELECT follow_clock()", &[]).await?;
        let back: i64 = get(&row, 0)?;
        if back > 0 {
            let seconds = back as f64 / 1e6;
            tracing::warn!(seconds, "the clock of the database was set back; what waits for a time waits less");
            self.wakeups.wake_all();
        }
        self.write("shorten leases", include_str!("sql/shorten_leases.sql"), &[]).await?;
        let sql = "SELECT returned, dead FROM collect_expired($1, $2)";
        let row = self.write_one("collect expired leases", sql, &[&max_crashes, &lease]).await?;
        let (returned, dead): (i64, Vec<i64>) = (get(&row, 0)?, get(&row, 1)?);
        if returned > 0 {
            self.wakeups.wake_all();
        }
        if dead.is_empty() {
            return Ok((number(returned), Vec::new()));
        }
        let sql = format!("{PENDING} WHERE id = ANY ($1) AND status = 1 ORDER BY id");
        let rows = self.read("read dead jobs", &sql, &[&dead]).await?;
        let dead = rows.iter().map(|found| Ok(DeadJob { job: row::job(found)?.decode_claimed()? }));
        Ok((number(returned), dead.collect::<Result<_, StoreError>>()?))
    }

    async fn raise_oldest(&self, waited_seconds: f64) -> Result<usize, StoreError> {
        let waited = microseconds(waited_seconds);
        let row = self.write_one("raise jobs", include_str!("sql/raise_oldest.sql"), &[&waited]).await?;
        let raised = number(get(&row, 0)?);
        if raised > 0 {
            self.wakeups.wake_all();
        }
        Ok(raised)
    }

    async fn has_pending(&self, dataset: &DatasetName, steps: &[StepName]) -> Result<bool, StoreError> {
        let steps: Vec<&str> = steps.iter().map(StepName::as_str).collect();
        let sql = include_str!("sql/has_pending.sql");
        get(&one(self.read("look for pending jobs", sql, &[&dataset.as_str(), &steps]).await?)?, 0)
    }

    async fn pending(&self, dataset: Option<&DatasetName>) -> Result<Vec<JobRecord>, StoreError> {
        let rows = match dataset {
            Some(dataset) => {
                let sql = format!(
                    "{PENDING} WHERE status = 0 AND dataset = $1 UNION ALL {PENDING} WHERE status = 1 AND dataset = $1 \
                     ORDER BY id"
                );
                self.read("list pending jobs", &sql, &[&dataset.as_str()]).await?
            }
            None => self.read("list pending jobs", &format!("{PENDING} ORDER BY id"), &[]).await?,
        };
        rows.iter().map(|found| row::job(found)?.decode()).collect()
    }

    async fn counts(&self) -> Result<Vec<(StepName, JobStatus, u64)>, StoreError> {
        let rows = self.read("count jobs", include_str!("../sql/job_counts.sql"), &[]).await?;
        rows.iter().map(|row| Ok((StepName::read(get(row, 0)?), status(get(row, 1)?), total(get(row, 2)?)))).collect()
    }

    async fn blocked_datasets(&self) -> Result<Vec<DatasetName>, StoreError> {
        let sql = "SELECT dataset FROM blockages WHERE blocked_until > now_us() ORDER BY dataset";
        let rows = self.read("list resting datasets", sql, &[]).await?;
        rows.iter().map(|row| crate::codec::dataset(get(row, 0)?)).collect()
    }

    async fn next_due_seconds(&self) -> Result<Option<f64>, StoreError> {
        let sql = concat!("SELECT due.*, now_us() FROM (", include_str!("../sql/due.sql"), ") AS due (ready, next)");
        let row = one(self.read("look for the next due job", sql, &[]).await?)?;
        let (ready, next, now): (bool, Option<i64>, i64) = (get(&row, 0)?, get(&row, 1)?, get(&row, 2)?);
        Ok(if ready { Some(0.0) } else { next.map(|next| (next - now).max(0) as f64 / 1e6) })
    }

    fn wakeups(&self) -> watch::Receiver<u64> {
        self.wakeups.subscribe()
    }
}

impl Database {
    /// Puts a job back to wait; `false`: lease lost.
    pub(super) async fn release(
        &self,
        lease: &Lease,
        delay_seconds: f64,
        count_attempt: bool,
    ) -> Result<bool, StoreError> {
        let delay = microseconds(delay_seconds);
        let sql = "SELECT release_job($1, $2, $3, $4)";
        let row = self.write_one("give a job back", sql, &[&lease.job.0, &lease.token, &delay, &count_attempt]).await?;
        get(&row, 0)
    }
}

fn no_outcome() -> StoreError {
    StoreError::Corrupt("a call had no outcome".to_owned())
}

fn number(count: i64) -> usize {
    usize::try_from(count).unwrap_or_default()
}
