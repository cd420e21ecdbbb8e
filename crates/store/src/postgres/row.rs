//! Rows of PostgreSQL to the rows of the codec.

use tokio_postgres::Row;

use super::get;
use crate::StoreError;
use crate::codec::{DatasetColumns, FoundRow, JobRow, KeyRow, ReportRow, ViewRow};

/// The columns of `job_columns.sql`.
pub(super) fn job(row: &Row) -> Result<JobRow, StoreError> {
    Ok(JobRow {
        id: get(row, 0)?,
        key: KeyRow { step: get(row, 1)?, dataset: get(row, 2)?, config: get(row, 4)?, split: get(row, 5)? },
        revision: get(row, 3)?,
        priority: get(row, 6)?,
        difficulty: get(row, 7)?,
        status: get(row, 8)?,
        forced: get(row, 9)?,
        coalesced: get(row, 10)?,
        created_at: get(row, 11)?,
        started_at: get(row, 12)?,
        last_heartbeat: get(row, 13)?,
        attempt: get(row, 14)?,
        crashes: get(row, 15)?,
        token: get(row, 16)?,
    })
}

/// The columns of a view, starting at `first`.
pub(super) fn view(row: &Row, first: usize) -> Result<ViewRow, StoreError> {
    Ok(ViewRow {
        digest: get(row, first)?,
        http_status: get(row, first + 1)?,
        error_code: get(row, first + 2)?,
        progress: get(row, first + 3)?,
        runner_version: get(row, first + 4)?,
        duration_seconds: get(row, first + 5)?,
        internal: get(row, first + 6)?,
        details: get(row, first + 7)?,
        content: get(row, first + 8)?,
    })
}

/// The columns of `found_columns.sql`.
pub(super) fn found(row: &Row) -> Result<FoundRow, StoreError> {
    Ok(FoundRow {
        key: key(row)?,
        revision: get(row, 4)?,
        updated_at: get(row, 5)?,
        failed_runs: get(row, 6)?,
        view: view(row, 7)?,
    })
}

/// The columns of `artifact_rows.sql`.
pub(super) fn report(row: &Row) -> Result<ReportRow, StoreError> {
    Ok(ReportRow {
        key: key(row)?,
        revision: get(row, 4)?,
        http_status: get(row, 5)?,
        error_code: get(row, 6)?,
        failed_runs: get(row, 7)?,
        runner_version: get(row, 8)?,
        updated_at: get(row, 9)?,
    })
}

/// The columns of `datasets.sql`.
pub(super) fn dataset(row: &Row) -> Result<DatasetColumns, StoreError> {
    Ok(DatasetColumns {
        name: get(row, 0)?,
        target: get(row, 1)?,
        target_since: get(row, 2)?,
        served: get(row, 3)?,
        pending_jobs: get(row, 4)?,
        errors: get(row, 5)?,
        restricted: get(row, 6)?,
    })
}

fn key(row: &Row) -> Result<KeyRow, StoreError> {
    Ok(KeyRow { step: get(row, 0)?, dataset: get(row, 1)?, config: get(row, 2)?, split: get(row, 3)? })
}
