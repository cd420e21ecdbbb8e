//! The store in one SQLite file: a writer thread with group commit, a few reader threads, and a lock that keeps
//! other processes out.
//!
//! Every write runs in a savepoint of the transaction that the requests queued meanwhile share, so many small
//! writes cost one flush to the disk and one failure does not hurt its neighbours. Times come from one clock that
//! never stands still nor runs backwards while the file is open. A damaged file is refused, and left as it is.

mod claim;
mod clock;
mod damage;
mod datasets;
mod end;
mod enqueue;
mod history;
mod lanes;
mod lock;
mod queue;
mod reader;
mod reports;
mod row;
mod schema;
mod scripts;
mod snapshots;
mod users;
mod views;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::sync::watch;

use crate::StoreError;
use clock::Clock;
use reader::Readers;
pub(crate) use schema::KNOWN as KNOWN_SCHEMA;
pub(crate) use writer::Session;
use writer::{Durability, Writer};

/// Threads that read. Reads are short; more threads than cores gain nothing.
const READERS: usize = 4;

/// What may go wrong inside a request.
pub(crate) enum Failure {
    Sql(rusqlite::Error),
    Store(StoreError),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<rusqlite::types::FromSqlError> for Failure {
    fn from(error: rusqlite::types::FromSqlError) -> Self {
        Self::Sql(error.into())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Failure {
    fn describe(self, what: &'static str) -> StoreError {
        match self {
            Self::Store(error) => error,
            Self::Sql(error) => refusal(what, error),
        }
    }
}

/// What an error of SQLite means.
fn refusal(what: &'static str, error: rusqlite::Error) -> StoreError {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked, DiskFull};
    use rusqlite::ffi::{SQLITE_IOERR_SHMSIZE, SQLITE_IOERR_WRITE};
    match (error.sqlite_error_code(), error.sqlite_error().map(|error| error.extended_code)) {
        (Some(DatabaseBusy | DatabaseLocked), _) => StoreError::unavailable(error),
        // The index of the log lies on the same disk.
        (Some(DiskFull), _) | (_, Some(SQLITE_IOERR_SHMSIZE | SQLITE_IOERR_WRITE)) => StoreError::full(error),
        _ => StoreError::database(what, error),
    }
}

/// One SQLite file. Dropping it waits for the writer and frees the lock.
pub(crate) struct Sqlite {
    writer: Writer,
    readers: Readers,
    wakeups: watch::Sender<u64>,
    /// Last, so that the next owner finds the file closed.
    _lock: lock::FileLock,
}

impl Sqlite {
    /// Opens or makes the file, and brings its schema up to date.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)
                .map_err(|error| StoreError::database("make the folder of the file", error))?;
        }
        let lock = lock::acquire(path)?;
        damage::look_for(path)?;
        let mut connection = writer::connect(path).map_err(|error| damage::told(path, error))?;
        schema::migrate(&mut connection).map_err(|error| damage::told(path, error))?;
        end_all_leases(&connection).map_err(|error| damage::told(path, error))?;
        let clock = Arc::new(Clock::start(last_time(&connection).map_err(|error| damage::told(path, error))?));
        let readers = Readers::start(path, READERS, &clock)?;
        let writer = Writer::start(connection, path, clock)?;
        Ok(Self { writer, readers, wakeups: watch::Sender::new(0), _lock: lock })
    }

    /// How many transactions have changed anything.
    pub(crate) fn changes(&self) -> Arc<AtomicU64> {
        self.writer.changes()
    }

    /// Runs a write; it is durable when this returns. `what` completes "the database refused".
    async fn write<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce(&Session<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer.run(Durability::Flushed, what, work).await
    }

    /// Runs a write that a crash of the machine may forget without harm, and so need not wait for the disk.
    async fn write_relaxed<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce(&Session<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer.run(Durability::Relaxed, what, work).await
    }

    /// Runs a read on one consistent state.
    async fn read<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce(&Session<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.readers.run(what, work).await
    }

    /// Tells waiting workers that something may have become claimable.
    fn wake(&self) {
        self.wakeups.send_modify(|count| *count = count.wrapping_add(1));
    }
}

/// Ends the leases that the previous owner of the file left behind. The lock tells that it is gone, and one that stops
/// in order hands its jobs back: whatever is still leased was cut off. Nobody has to wait for it, and it is collected
/// as a crash.
fn end_all_leases(connection: &rusqlite::Connection) -> Result<(), StoreError> {
    let ended = connection.execute("UPDATE jobs SET expires_at = 0 WHERE status = 1", []);
    let ended = ended.and_then(|_| connection.execute("UPDATE task_cluster SET expires_at = 0", []));
    let ended = ended.and_then(|_| connection.execute("UPDATE duties SET expires_at = 0", []));
    ended.map(drop).map_err(|error| StoreError::database("end the leases of the process before", error))
}

/// The last time that was told to jobs which are still there; 0 without jobs.
fn last_time(connection: &rusqlite::Connection) -> Result<i64, StoreError> {
    let sql = "SELECT max(coalesce(max(created_at), 0), coalesce(max(started_at), 0), coalesce(max(last_heartbeat), 0))
               FROM jobs";
    let told = connection.query_row(sql, [], |row| row.get(0));
    told.map_err(|error| StoreError::database("read the time", error))
}

#[cfg(test)]
mod tests;
