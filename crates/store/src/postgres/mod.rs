//! The store in PostgreSQL, for many processes on many machines.
//!
//! Writes are functions of the database (`migrations/postgres`): one intention, one round trip, one transaction. Claims and
//! ends of jobs that are asked for at the same moment share one, and so do submissions of tasks.
//! Connections come from a pool that replaces broken ones; a server that restarts costs one failed call, which reads
//! try again by themselves. Workers everywhere are woken through one listening connection per process.

mod batches;
mod claims;
mod database;
mod datasets;
mod ends;
mod history;
mod jobs;
mod looks;
mod queue;
mod reports;
mod row;
mod schema;
mod scripts;
mod snapshots;
mod submissions;
mod turns;
mod users;
mod views;
mod wakeups;

use std::str::FromStr as _;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, NoTls, Row};

use crate::StoreError;
use batches::Batches;
use database::Database;
pub(crate) use looks::Looks;
pub(crate) use schema::KNOWN as KNOWN_SCHEMA;
use submissions::Submissions;
use turns::Turns;
use wakeups::Wakeups;

/// Connections of one process. Statements are short; more only make the server busier.
const CONNECTIONS: usize = 16;
/// How long a call waits for a connection.
const PATIENCE: Duration = Duration::from_secs(10);
/// Limits of every session: no statement, lock or forgotten transaction may hold others up for ever.
/// Compiling statements (`jit`), or planning them anew for each set of values, takes longer than any of ours runs.
const SESSION: &str = "-c jit=off -c plan_cache_mode=force_generic_plan -c statement_timeout=120s -c lock_timeout=30s -c idle_in_transaction_session_timeout=60s";

type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// One PostgreSQL database.
pub(crate) struct Postgres {
    database: Database,
    wakeups: Arc<Wakeups>,
    looks: Arc<Looks>,
    turns: Batches<Turns>,
    submissions: Batches<Submissions>,
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
        let written = Arc::new(AtomicU64::new(0));
        let looks = Arc::new(Looks::new(config.clone(), Arc::clone(&written)));
        let (database, wakeups) = (Database { pool, written }, Arc::new(Wakeups::start(config)));
        let turns = Turns { database: database.clone(), wakeups: Arc::clone(&wakeups) };
        let submissions = Submissions { database: database.clone() };
        Ok(Self { database, wakeups, looks, turns: Batches::new(turns), submissions: Batches::new(submissions) })
    }

    /// Tells whether anything has been written.
    pub(crate) fn looks(&self) -> Arc<Looks> {
        Arc::clone(&self.looks)
    }

    async fn read(&self, what: &'static str, sql: &str, params: Params<'_>) -> Result<Vec<Row>, StoreError> {
        self.database.read(what, sql, params).await
    }

    async fn write(&self, what: &'static str, sql: &str, params: Params<'_>) -> Result<Vec<Row>, StoreError> {
        self.database.write(what, sql, params).await
    }

    async fn write_one(&self, what: &'static str, sql: &str, params: Params<'_>) -> Result<Row, StoreError> {
        self.database.write_one(what, sql, params).await
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
