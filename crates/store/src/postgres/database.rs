//! Statements on pooled connections: which are tried again, and what their failures mean.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use deadpool_postgres::{Object, Pool};
use tokio::time::timeout;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use super::{PATIENCE, Params, one};
use crate::StoreError;

/// How often a write is repeated when the server had to choose between it and another one.
pub(super) const ATTEMPTS: u32 = 5;
/// How long a call waits for a server that says nothing: one that stands still keeps no time limits of its own. A read
/// may be somebody's request. What removes whole datasets takes as long as the server allows statements.
pub(super) const READ: Duration = Duration::from_secs(10);
pub(super) const WRITE: Duration = Duration::from_secs(40);
const REMOVE: Duration = Duration::from_secs(130);

/// The connections of this process. Cheap to clone.
#[derive(Clone)]
pub(super) struct Database {
    pub(super) pool: Pool,
    /// Writes of this process that have ended, one way or another.
    pub(super) written: Arc<AtomicU64>,
}

/// Counts a write when it ends, before its caller hears of it.
pub(super) struct Writing(Arc<AtomicU64>);

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Release);
    }
}

impl Database {
    pub(super) async fn client(&self) -> Result<Object, StoreError> {
        let client = timeout(PATIENCE, self.pool.get()).await.map_err(StoreError::unavailable)?;
        client.map_err(StoreError::unavailable)
    }

    /// To be held by whoever writes, until it has.
    pub(super) fn writing(&self) -> Writing {
        Writing(Arc::clone(&self.written))
    }

    async fn attempt(
        &self,
        limit: Duration,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Result<Vec<Row>, tokio_postgres::Error>, StoreError> {
        let client = self.client().await?;
        let rows = async {
            let statement = client.prepare_cached(sql).await?;
            client.query(&statement, params).await
        };
        let Ok(rows) = timeout(limit, rows).await else {
            return Err(give_up(client, limit));
        };
        if rows.as_ref().is_err_and(is_broken) {
            self.discard(client);
        }
        Ok(rows)
    }

    /// Lets go of a broken connection. What ended it (a restart, a lost network) has most likely ended the idle ones too.
    pub(super) fn discard(&self, client: Object) {
        drop(Object::take(client));
        self.pool.retain(|_, _| false);
    }

    /// Runs a statement that only reads; once more if the connection broke.
    pub(super) async fn read(&self, what: &'static str, sql: &str, params: Params<'_>) -> Result<Vec<Row>, StoreError> {
        match self.attempt(READ, sql, params).await?.map_err(|error| failure(what, error)) {
            Err(StoreError::Unavailable(_)) => {
                self.attempt(READ, sql, params).await?.map_err(|error| failure(what, error))
            }
            other => other,
        }
    }

    /// Runs a statement that writes. It is repeated only when the server has undone it for the sake of another.
    pub(super) async fn write(
        &self,
        what: &'static str,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        self.write_within(WRITE, what, sql, params).await
    }

    /// As [`write`](Self::write), for what may take long: whole datasets are removed.
    pub(super) async fn remove(
        &self,
        what: &'static str,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        self.write_within(REMOVE, what, sql, params).await
    }

    async fn write_within(
        &self,
        limit: Duration,
        what: &'static str,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        let _writing = self.writing();
        for _ in 1..ATTEMPTS {
            match self.attempt(limit, sql, params).await? {
                Err(error) if error.code().is_some_and(is_conflict) => {
                    tracing::debug!(what, error = %error, "a write is repeated after a conflict");
                }
                other => return other.map_err(|error| failure(what, error)),
            }
        }
        self.attempt(limit, sql, params).await?.map_err(|error| failure(what, error))
    }

    /// Runs a statement that writes and returns one row.
    pub(super) async fn write_one(&self, what: &'static str, sql: &str, params: Params<'_>) -> Result<Row, StoreError> {
        one(self.write(what, sql, params).await?)
    }
}

/// Lets go of a connection whose server says nothing: whoever took it next would wait for the same answer.
pub(super) fn give_up(client: Object, limit: Duration) -> StoreError {
    drop(Object::take(client));
    StoreError::unavailable(format!("no answer within {} seconds", limit.as_secs()))
}

pub(super) fn is_conflict(code: &SqlState) -> bool {
    [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED, SqlState::UNIQUE_VIOLATION].contains(code)
}

/// Whether the connection is of no use any more.
pub(super) fn is_broken(error: &tokio_postgres::Error) -> bool {
    let of_network = std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<std::io::Error>);
    error.is_closed() || of_network || error.code().is_some_and(|code| code.code().starts_with("57P"))
}

pub(super) fn failure(what: &'static str, error: tokio_postgres::Error) -> StoreError {
    let Some(refusal) = error.as_db_error() else {
        return if is_broken(&error) { StoreError::unavailable(error) } else { StoreError::database(what, error) };
    };
    let code = refusal.code().code();
    if code == "53100" {
        return StoreError::full(error);
    }
    // Connection exceptions, lack of resources other than disk, shutdown, conflicts, timeouts.
    let passing = code.starts_with("08") || code.starts_with("57P") || code.starts_with("40");
    if passing || matches!(code, "53300" | "53200" | "55P03" | "57014" | "25P03") {
        StoreError::unavailable(error)
    } else {
        StoreError::database(what, error)
    }
}
