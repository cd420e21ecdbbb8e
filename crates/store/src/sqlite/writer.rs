//! The one thread that writes, and its group commit.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use rusqlite::{CachedStatement, Connection};
use tokio::sync::oneshot;

use super::Failure;
use super::lanes::Lanes;
use super::lock::FileLock;
use crate::StoreError;

/// Requests of one transaction; more would only make the first ones wait.
const MAX_BATCH: usize = 256;
/// Statements kept prepared per connection; well above their number.
const STATEMENTS: usize = 128;

/// A connection inside a transaction, and the time that this request writes.
pub(crate) struct Session<'a> {
    pub(crate) connection: &'a Connection,
    /// Microseconds since 1970; later than that of every earlier request.
    pub(crate) now: i64,
    /// Where jobs wait; of use to the writer only.
    pub(crate) lanes: &'a RefCell<Lanes>,
}

impl Session<'_> {
    pub(crate) fn prepare(&self, sql: &str) -> rusqlite::Result<CachedStatement<'_>> {
        self.connection.prepare_cached(sql)
    }

    /// Runs a statement and returns the number of rows changed.
    pub(crate) fn execute(&self, sql: &str, params: impl rusqlite::Params) -> rusqlite::Result<usize> {
        self.prepare(sql)?.execute(params)
    }
}

/// Opens a connection with the settings all of them share.
pub(super) fn connect(path: &Path) -> Result<Connection, StoreError> {
    let open = || {
        let connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        // Plans must not depend on bound values: statements would be compiled again at every use.
        connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL;
             PRAGMA wal_autocheckpoint = 4000;
             PRAGMA journal_size_limit = 67108864;
             PRAGMA cache_size = -65536;
             PRAGMA temp_store = MEMORY;",
        )?;
        Ok(connection)
    };
    open().map_err(|error: rusqlite::Error| StoreError::database("open the file", error))
}

/// What a request needs from the disk.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Durability {
    /// It survives the loss of power.
    Flushed,
    /// It survives the end of the process; the loss of power may undo it.
    Relaxed,
}

struct Request {
    durability: Durability,
    work: Work,
}

/// Runs inside a savepoint and tells whether it succeeded; what it returns reports the commit.
type Work = Box<dyn FnOnce(&Session<'_>) -> (bool, Delivery) + Send>;
type Delivery = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

pub(super) struct Writer {
    requests: Option<mpsc::Sender<Request>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(connection: Connection, lock: FileLock) -> Self {
        let (requests, inbox) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                write_until_closed(&connection, &inbox);
                // The file first, then the lock, so that the next owner finds it closed.
                drop(connection);
                drop(lock);
            })
            .expect("a thread can be started while the program starts");
        Self { requests: Some(requests), thread: Some(thread) }
    }

    /// Queues a request and waits until it is durable, or failed.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        durability: Durability,
        what: &'static str,
        work: impl FnOnce(&Session<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let work: Work = Box::new(move |session| {
            let result = catch_unwind(AssertUnwindSafe(|| work(session)))
                .unwrap_or_else(|_| Err(StoreError::database(what, "the request panicked").into()))
                .map_err(|failure| failure.describe(what));
            let succeeded = result.is_ok();
            // Nobody listens when the caller was cancelled; the write stands all the same.
            let deliver: Delivery =
                Box::new(move |committed| drop(reply.send(result.and_then(|v| committed.map(|()| v)))));
            (succeeded, deliver)
        });
        let sent = self.requests.as_ref().is_some_and(|requests| requests.send(Request { durability, work }).is_ok());
        let stopped = || StoreError::unavailable("the writer has stopped");
        if !sent {
            return Err(stopped());
        }
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write_until_closed(connection: &Connection, inbox: &mpsc::Receiver<Request>) {
    let mut clock = Clock::default();
    let lanes = RefCell::new(Lanes::default());
    while let Ok(first) = inbox.recv() {
        // Those that need no flush do not wait for one. They may overtake others: whoever cares about the order of
        // two requests waits for the first to be answered.
        let queued = std::iter::once(first).chain(inbox.try_iter().take(MAX_BATCH - 1));
        let (relaxed, flushed): (Vec<_>, Vec<_>) =
            queued.partition(|request| request.durability == Durability::Relaxed);
        for (batch, synchronous) in [(relaxed, "NORMAL"), (flushed, "FULL")] {
            if !batch.is_empty() {
                write_batch(connection, &mut clock, &lanes, batch, synchronous);
            }
        }
    }
}

/// Runs one transaction with a batch of requests, commits it and delivers the results.
fn write_batch(
    connection: &Connection,
    clock: &mut Clock,
    lanes: &RefCell<Lanes>,
    batch: Vec<Request>,
    synchronous: &str,
) {
    let mut deliveries: Vec<Delivery> = Vec::with_capacity(batch.len());
    let begin = || {
        connection.execute_batch(&format!("PRAGMA synchronous = {synchronous}"))?;
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])
    };
    let mut outcome = begin().map(drop);
    for request in batch {
        if outcome.is_err() {
            // The transaction is lost. This request never ran and its caller learns that the writer gave up.
            continue;
        }
        let session = Session { connection, now: clock.tick(), lanes };
        let (delivery, closed) = run_guarded(&session, request.work);
        deliveries.push(delivery);
        outcome = closed;
    }
    let outcome = outcome.and_then(|()| connection.prepare_cached("COMMIT")?.execute([]).map(drop));
    if outcome.is_err() && !connection.is_autocommit() {
        // Fails only when there is nothing left to undo.
        let _ = connection.execute_batch("ROLLBACK");
    }
    let failure = outcome.err().map(|error| {
        lanes.borrow_mut().forget();
        tracing::error!(error = %error, "the store could not commit");
        error.to_string()
    });
    for delivery in deliveries {
        delivery(match &failure {
            None => Ok(()),
            Some(error) => Err(StoreError::database("commit", error.clone())),
        });
    }
}

/// Runs a request in a savepoint. An error means that the whole transaction is gone (a full disk does that).
fn run_guarded(session: &Session<'_>, work: Work) -> (Delivery, rusqlite::Result<()>) {
    let statement = |sql: &str| session.execute(sql, []).map(drop);
    let opened = statement("SAVEPOINT request");
    let (succeeded, delivery) = work(session);
    let closed = opened.and_then(|()| {
        if !succeeded {
            session.lanes.borrow_mut().forget();
            statement("ROLLBACK TO request")?;
        }
        statement("RELEASE request")
    });
    (delivery, closed)
}

/// The database clock: the system's, but strictly increasing, so that "later" is never in doubt.
#[derive(Default)]
pub(super) struct Clock {
    last: i64,
}

impl Clock {
    pub(super) fn tick(&mut self) -> i64 {
        self.last = system_time().max(self.last + 1);
        self.last
    }
}

pub(super) fn system_time() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
