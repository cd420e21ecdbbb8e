//! The schema and its history. To change it, add a numbered file and its line here; files once released stay as
//! they are.

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};

use crate::StoreError;

const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/sqlite/0001_initial.sql"),
    include_str!("../../migrations/sqlite/0002_reports.sql"),
    include_str!("../../migrations/sqlite/0003_users.sql"),
    include_str!("../../migrations/sqlite/0009_history.sql"),
    include_str!("../../migrations/sqlite/0010_tasks.sql"),
];

/// Brings the schema to the newest version.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let known = MIGRATIONS.len() as i64;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(refused)?;
    transaction
        .execute_batch("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL) STRICT")
        .map_err(refused)?;
    let found: i64 = transaction
        .query_row("SELECT version FROM schema_version", [], |row| row.get(0))
        .optional()
        .map_err(refused)?
        .unwrap_or(0);
    if found > known {
        return Err(StoreError::NewerSchema { found, known });
    }
    for migration in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or_default()) {
        transaction.execute_batch(migration).map_err(refused)?;
    }
    if found < known {
        transaction.execute("DELETE FROM schema_version", []).map_err(refused)?;
        transaction.execute("INSERT INTO schema_version VALUES (?1)", [known]).map_err(refused)?;
    }
    transaction.commit().map_err(refused)
}

fn refused(error: rusqlite::Error) -> StoreError {
    StoreError::database("bring its schema up to date", error)
}
