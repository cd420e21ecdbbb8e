//! The schema and its history. To change it, add a numbered file and its line here; files once released stay as
//! they are.

use deadpool_postgres::Object;

use super::database::failure;
use crate::StoreError;

const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/postgres/0001_initial.sql"),
    include_str!("../../migrations/postgres/0002_functions.sql"),
    include_str!("../../migrations/postgres/0003_claim.sql"),
    include_str!("../../migrations/postgres/0004_end.sql"),
    include_str!("../../migrations/postgres/0005_reports.sql"),
    include_str!("../../migrations/postgres/0006_users.sql"),
    include_str!("../../migrations/postgres/0007_duties.sql"),
    include_str!("../../migrations/postgres/0009_history.sql"),
    include_str!("../../migrations/postgres/0010_tasks.sql"),
    include_str!("../../migrations/postgres/0011_restricted.sql"),
    include_str!("../../migrations/postgres/0012_sweeps.sql"),
    include_str!("../../migrations/postgres/0013_contents.sql"),
    include_str!("../../migrations/postgres/0014_clocks.sql"),
    include_str!("../../migrations/postgres/0015_plans.sql"),
    include_str!("../../migrations/postgres/0016_turns.sql"),
];

/// Programs that know at least so many migrations may work on this schema, though they do not know all of it: during an
/// upgrade the program before runs beside this one. A migration that only adds (tables, indexes, functions, columns with
/// defaults) leaves it; one that the program before cannot live with raises it to its own number.
const OLDEST_PROGRAM: i64 = 15;

/// The newest version that this program knows.
pub(crate) const KNOWN: i64 = MIGRATIONS.len() as i64;

/// Brings the schema to the newest version; processes that start together take turns.
pub(super) async fn migrate(client: &mut Object) -> Result<(), StoreError> {
    let known = KNOWN;
    let refused = |error| failure("bring its schema up to date", error);
    let transaction = client.transaction().await.map_err(refused)?;
    transaction
        .batch_execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('belvedere schema', 0));
             CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)",
        )
        .await
        .map_err(refused)?;
    let row = transaction.query_opt("SELECT version FROM schema_version", &[]).await.map_err(refused)?;
    let found = row.map_or(Ok(0_i64), |row| row.try_get(0)).map_err(refused)?;
    if found > known {
        // Every schema that is newer than ours has the column.
        let row = transaction.query_one("SELECT oldest_program FROM schema_version", &[]).await.map_err(refused)?;
        if row.try_get::<_, i64>(0).map_err(refused)? > known {
            return Err(StoreError::NewerSchema { found, known });
        }
        tracing::warn!(found, known, "the schema is of a newer program, beside which this one may work");
        return Ok(());
    }
    for migration in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or_default()) {
        transaction.batch_execute(migration).await.map_err(refused)?;
    }
    if found < known {
        transaction.execute("DELETE FROM schema_version", &[]).await.map_err(refused)?;
        let insert = "INSERT INTO schema_version (version, oldest_program) VALUES ($1, $2)";
        transaction.execute(insert, &[&known, &OLDEST_PROGRAM]).await.map_err(refused)?;
    }
    transaction.commit().await.map_err(refused)
}
