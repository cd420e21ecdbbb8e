//! The schema and its history. To change it, add a numbered file and its line here; files once released stay as
//! they are.

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};

use crate::StoreError;

const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/sqlite/0001_initial.sql"),
    include_str!("../../migrations/sqlite/0002_reports.sql"),
    include_str!("../../migrations/sqlite/0003_users.sql"),
    include_str!("../../migrations/sqlite/0007_duties.sql"),
    include_str!("../../migrations/sqlite/0009_history.sql"),
    include_str!("../../migrations/sqlite/0010_tasks.sql"),
    include_str!("../../migrations/sqlite/0011_restricted.sql"),
    include_str!("../../migrations/sqlite/0012_sweeps.sql"),
    include_str!("../../migrations/sqlite/0013_contents.sql"),
];

/// Programs that know at least so many migrations may work on this schema, though they do not know all of it: during an
/// upgrade the program before runs beside this one. A migration that only adds (tables, indexes, functions, columns with
/// defaults) leaves it; one that the program before cannot live with raises it to its own number.
const OLDEST_PROGRAM: i64 = 9;

/// The newest version that this program knows.
pub(crate) const KNOWN: i64 = MIGRATIONS.len() as i64;

/// Brings the schema to the newest version.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let known = KNOWN;
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
        // Every schema that is newer than ours has the column.
        let oldest_program: i64 = transaction
            .query_row("SELECT oldest_program FROM schema_version", [], |row| row.get(0))
            .map_err(refused)?;
        if oldest_program > known {
            return Err(StoreError::NewerSchema { found, known });
        }
        tracing::warn!(found, known, "the schema is of a newer program, beside which this one may work");
        return Ok(());
    }
    for migration in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or_default()) {
        transaction.execute_batch(migration).map_err(refused)?;
    }
    if found < known {
        transaction.execute("DELETE FROM schema_version", []).map_err(refused)?;
        let insert = "INSERT INTO schema_version (version, oldest_program) VALUES (?1, ?2)";
        transaction.execute(insert, [known, OLDEST_PROGRAM]).map_err(refused)?;
    }
    transaction.commit().map_err(refused)
}

fn refused(error: rusqlite::Error) -> StoreError {
    StoreError::database("bring its schema up to date", error)
}
