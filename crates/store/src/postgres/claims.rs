//! Claims jobs for all who ask at the same moment, in one call.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use belvedere_domain::job::ClaimedJob;
use belvedere_domain::{DatasetName, StepName};

use super::batches::{Asked, Batch};
use super::database::Database;
use super::row;
use super::wakeups::Wakeups;
use crate::codec::{difficulty_range, microseconds};
use crate::{ClaimRequest, StoreError};

const CLAIM: &str = concat!("SELECT ", include_str!("../sql/job_columns.sql"), include_str!("sql/claim.sql"));

pub(super) struct Claims {
    pub(super) database: Database,
    pub(super) wakeups: Arc<Wakeups>,
}

#[async_trait]
impl Batch for Claims {
    type Request = ClaimRequest;
    type Answer = Option<ClaimedJob>;

    fn agree(one: &ClaimRequest, other: &ClaimRequest) -> bool {
        one == other
    }

    fn size_bytes(_: &ClaimRequest) -> usize {
        0
    }

    async fn run(&self, asked: Vec<Asked<Self>>) {
        let Some(first) = asked.first() else { return };
        match self.claim(&first.request, asked.len()).await {
            Ok(jobs) => self.hand_out(asked, jobs).await,
            Err(error) => {
                for (asked, error) in asked.into_iter().zip(error.copies()) {
                    // Who does not wait any more does not miss it.
                    let _ = asked.answer(Err(error));
                }
            }
        }
    }
}

impl Claims {
    async fn claim(&self, request: &ClaimRequest, count: usize) -> Result<Vec<ClaimedJob>, StoreError> {
        let (low, high) = difficulty_range(request);
        let only: Vec<&str> = request.only.iter().map(StepName::as_str).collect();
        let blocked: Vec<&str> = request.blocked.iter().map(StepName::as_str).collect();
        let without: Vec<&str> = request.without.iter().map(DatasetName::as_str).collect();
        let lease = microseconds(request.lease_seconds);
        let cap = request.fairness.max_jobs_per_dataset.map(i64::from);
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let rows = self
            .database
            .write(
                "claim a job",
                CLAIM,
                &[&request.owner, &low, &high, &only, &blocked, &without, &lease, &cap, &count],
            )
            .await?;
        rows.iter().map(|found| row::job(found)?.decode_claimed()).collect()
    }

    /// A job that nobody waits for any more goes to the next who asked, or back to the queue.
    async fn hand_out(&self, asked: Vec<Asked<Self>>, jobs: Vec<ClaimedJob>) {
        let mut jobs = VecDeque::from(jobs);
        for asked in asked {
            if let Err(Ok(Some(job))) = asked.answer(Ok(jobs.pop_front())) {
                jobs.push_front(job);
            }
        }
        for job in jobs {
            if let Err(error) = self.database.release(&job.lease, 0.0, false).await {
                tracing::warn!(
                    job.id = job.lease.job.0,
                    error = &error as &dyn std::error::Error,
                    "a job whose asker is gone waits for its lease to run out"
                );
            }
            self.wakeups.wake_all();
        }
    }
}
