//! Claims jobs for all who ask at the same moment.

use belvedere_domain::job::ClaimedJob;
use belvedere_domain::{DatasetName, StepName};
use tokio_postgres::types::ToSql;

use super::database::Database;
use super::row;
use crate::codec::{difficulty_range, microseconds};
use crate::{ClaimRequest, StoreError};

const CLAIM: &str = concat!("SELECT ", include_str!("../sql/job_columns.sql"), include_str!("sql/claim.sql"));

/// The arguments of `claim_jobs`.
pub(super) struct ClaimArguments<'a> {
    owner: &'a str,
    low: i64,
    high: i64,
    only: Vec<&'a str>,
    blocked: Vec<&'a str>,
    without: Vec<&'a str>,
    lease: i64,
    cap: Option<i64>,
    count: i64,
}

impl<'a> ClaimArguments<'a> {
    pub(super) fn of(request: &'a ClaimRequest, count: usize) -> Self {
        let (low, high) = difficulty_range(request);
        Self {
            owner: &request.owner,
            low,
            high,
            only: request.only.iter().map(StepName::as_str).collect(),
            blocked: request.blocked.iter().map(StepName::as_str).collect(),
            without: request.without.iter().map(DatasetName::as_str).collect(),
            lease: microseconds(request.lease_seconds),
            cap: request.fairness.max_jobs_per_dataset.map(i64::from),
            count: i64::try_from(count).unwrap_or(i64::MAX),
        }
    }

    /// In their order.
    pub(super) fn params(&self) -> [&(dyn ToSql + Sync); 9] {
        let Self { owner, low, high, only, blocked, without, lease, cap, count } = self;
        [owner, low, high, only, blocked, without, lease, cap, count]
    }
}

impl Database {
    /// Claims up to so many jobs.
    pub(super) async fn claim(&self, request: &ClaimRequest, count: usize) -> Result<Vec<ClaimedJob>, StoreError> {
        let rows = self.write("claim a job", CLAIM, &ClaimArguments::of(request, count).params()).await?;
        rows.iter().map(|found| row::job(found)?.decode_claimed()).collect()
    }
}
