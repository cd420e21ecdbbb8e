//! Rows of SQLite to the rows of the codec.

use rusqlite::Row;

use crate::codec::{DatasetColumns, FoundRow, JobRow, KeyRow, ReportRow, ViewRow};

/// The columns of `job_columns.sql`.
pub(super) fn job(row: &Row<'_>) -> rusqlite::Result<JobRow> {
    Ok(JobRow {
        id: row.get(0)?,
        key: KeyRow { step: row.get(1)?, dataset: row.get(2)?, config: row.get(4)?, split: row.get(5)? },
        revision: row.get(3)?,
        priority: row.get(6)?,
        difficulty: row.get(7)?,
        status: row.get(8)?,
        forced: row.get(9)?,
        coalesced: row.get(10)?,
        created_at: row.get(11)?,
        started_at: row.get(12)?,
        last_heartbeat: row.get(13)?,
        attempt: row.get(14)?,
        crashes: row.get(15)?,
        token: row.get(16)?,
    })
}

/// The columns of a view, starting at `first`.
pub(super) fn view(row: &Row<'_>, first: usize) -> rusqlite::Result<ViewRow> {
    Ok(ViewRow {
        digest: row.get(first)?,
        http_status: row.get(first + 1)?,
        error_code: row.get(first + 2)?,
        progress: row.get(first + 3)?,
        runner_version: row.get(first + 4)?,
        duration_seconds: row.get(first + 5)?,
        internal: row.get(first + 6)?,
        details: row.get(first + 7)?,
        content: row.get(first + 8)?,
    })
}

/// The columns of `found_columns.sql`.
pub(super) fn found(row: &Row<'_>) -> rusqlite::Result<FoundRow> {
    Ok(FoundRow {
        key: key(row)?,
        revision: row.get(4)?,
        updated_at: row.get(5)?,
        failed_runs: row.get(6)?,
        view: view(row, 7)?,
    })
}

/// The columns of `artifact_rows.sql`.
pub(super) fn report(row: &Row<'_>) -> rusqlite::Result<ReportRow> {
    Ok(ReportRow {
        key: key(row)?,
        revision: row.get(4)?,
        http_status: row.get(5)?,
        error_code: row.get(6)?,
        failed_runs: row.get(7)?,
        runner_version: row.get(8)?,
        updated_at: row.get(9)?,
    })
}

/// The columns of `datasets.sql`.
pub(super) fn dataset(row: &Row<'_>) -> rusqlite::Result<DatasetColumns> {
    Ok(DatasetColumns {
        name: row.get(0)?,
        target: row.get(1)?,
        target_since: row.get(2)?,
        served: row.get(3)?,
        pending_jobs: row.get(4)?,
        errors: row.get(5)?,
        restricted: row.get(6)?,
    })
}

fn key(row: &Row<'_>) -> rusqlite::Result<KeyRow> {
    Ok(KeyRow { step: row.get(0)?, dataset: row.get(1)?, config: row.get(2)?, split: row.get(3)? })
}
