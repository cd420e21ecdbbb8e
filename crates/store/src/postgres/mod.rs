//! The store in PostgreSQL, for many processes on many machines.
//!
//! Writes are functions of the database (`migrations/postgres`): one intention, one round trip, one transaction.
//! Connections come from a pool that replaces broken ones; a server that restarts costs one failed call, which reads
//! try again by themselves. Workers everywhere are woken through one listening connection per process.

mod datasets;
mod queue;
mod reports;
mod row;
mod schema;
mod snapshots;
mod views;
mod wakeups;

use std::str::FromStr as _;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, NoTls, Row};

use crate::StoreError;
use wakeups::Wakeups;

/// Connections of one process. Statements are short; more only make the server busier.
const CONNECTIONS: usize = 16;
/// How long a call waits for a connection.
const PATIENCE: Duration = Duration::from_secs(10);
/// Limits of every session: no statement, lock or forgotten transaction may hold others up for ever.
/// Compiling statements (`jit`), or planning them anew for each set of values, takes longer than any of ours runs.
const SESSION: &str = "-c jit=off -c plan_cache_mode=force_generic_plan -c statement_timeout=120s -c lock_timeout=30s -c idle_in_transaction_session_timeout=60s";
/// How often a write is repeated when the server had to choose between it and another one.
const ATTEMPTS: u32 = 5;
/// Raised by our functions when a view to be reused is gone.
const VIEW_GONE: &str = "BV001";

type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// One PostgreSQL database.
pub(crate) struct Postgres {
    pool: Pool,
    wakeups: Wakeups,
}

impl Postgres {
    /// Connects and brings the schema up to date.
    pub(crate) async fn connect(url: &str) -> Result<Self, StoreError> {
        // The driver's own words may quote the URL, and with it a password.
        let mut config = Config::from_str(url).map_err(|_| StoreError::Url(without_password(url)))?;
        let options = config.get_options().map_or(SESSION.to_owned(), |given| format!("{SESSION} {given}"));
        config.options(options).application_name("belvedere").connect_timeout(PATIENCE);
        let settings = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let pool = Pool::builder(Manager::from_config(config.clone(), NoTls, settings))
            .max_size(CONNECTIONS)
            .wait_timeout(Some(PATIENCE))
            .create_timeout(Some(PATIENCE))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(StoreError::unavailable)?;
        let mut client = pool.get().await.map_err(StoreError::unavailable)?;
        schema::migrate(&mut client).await?;
        drop(client);
        Ok(Self { pool, wakeups: Wakeups::start(config) })
    }

    async fn client(&self) -> Result<Object, StoreError> {
        self.pool.get().await.map_err(StoreError::unavailable)
    }

    async fn attempt(
        &self,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Result<Vec<Row>, tokio_postgres::Error>, StoreError> {
        let client = self.client().await?;
        let rows = async {
            let statement = client.prepare_cached(sql).await?;
            client.query(&statement, params).await
        };
        let rows = rows.await;
        if rows.as_ref().is_err_and(is_broken) {
            // What ended this connection (a restart, a lost network) has most likely ended the idle ones too.
            drop(Object::take(client));
            self.pool.retain(|_, _| false);
        }
        Ok(rows)
    }

    /// Runs a statement that only reads; once more if the connection broke.
    async fn read(&self, what: &'static str, sql: &str, params: Params<'_>) -> Result<Vec<Row>, StoreError> {
        match self.attempt(sql, params).await?.map_err(|error| failure(what, error)) {
            Err(StoreError::Unavailable(_)) => self.attempt(sql, params).await?.map_err(|error| failure(what, error)),
            other => other,
        }
    }

    /// Runs a statement that writes. It is repeated only when the server has undone it for the sake of another.
    async fn write(&self, what: &'static str, sql: &str, params: Params<'_>) -> Result<Vec<Row>, StoreError> {
        for _ in 1..ATTEMPTS {
            match self.attempt(sql, params).await? {
                Err(error) if error.code().is_some_and(is_conflict) => {
                    tracing::debug!(what, error = %error, "a write is repeated after a conflict");
                }
                other => return other.map_err(|error| failure(what, error)),
            }
        }
        self.attempt(sql, params).await?.map_err(|error| failure(what, error))
    }

    /// Runs a statement that writes and returns one row.
    async fn write_one(&self, what: &'static str, sql: &str, params: Params<'_>) -> Result<Row, StoreError> {
        one(self.write(what, sql, params).await?)
    }
}

/// The only row of a statement that always returns one.
fn one(rows: Vec<Row>) -> Result<Row, StoreError> {
    rows.into_iter().next().ok_or_else(|| StoreError::Corrupt("a statement returned no row".to_owned()))
}

/// The column of a row.
fn get<'a, T: tokio_postgres::types::FromSql<'a>>(row: &'a Row, index: usize) -> Result<T, StoreError> {
    row.try_get(index).map_err(StoreError::corrupt)
}

fn is_conflict(code: &SqlState) -> bool {
    [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED, SqlState::UNIQUE_VIOLATION].contains(code)
}

/// Whether the connection is of no use any more.
fn is_broken(error: &tokio_postgres::Error) -> bool {
    let of_network = std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<std::io::Error>);
    error.is_closed() || of_network || error.code().is_some_and(|code| code.code().starts_with("57P"))
}

fn failure(what: &'static str, error: tokio_postgres::Error) -> StoreError {
    let Some(refusal) = error.as_db_error() else {
        return if is_broken(&error) { StoreError::unavailable(error) } else { StoreError::database(what, error) };
    };
    let code = refusal.code().code();
    if code == VIEW_GONE {
        return StoreError::ViewGone(refusal.message().to_owned());
    }
    // Connection exceptions, lack of resources other than disk, shutdown, conflicts, timeouts.
    let passing = code.starts_with("08") || code.starts_with("57P") || code.starts_with("40");
    if passing || matches!(code, "53300" | "53200" | "55P03" | "57014" | "25P03") {
        StoreError::unavailable(error)
    } else {
        StoreError::database(what, error)
    }
}

fn without_password(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(mut url) => {
            // Fails only for URLs that cannot have one.
            let _ = url.set_password(None);
            url.set_query(None);
            url.into()
        }
        Err(_) => "postgres://…".to_owned(),
    }
}
