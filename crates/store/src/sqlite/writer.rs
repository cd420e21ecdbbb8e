//! The one thread that writes, and its group commit.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use rusqlite::{CachedStatement, Connection};
use tokio::sync::oneshot;

use super::Failure;
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
        connection.execute_batch(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA wal_autocheckpoint = 4000;
             PRAGMA journal_size_limit = 67108864;
             PRAGMA cache_size = -65536;
             PRAGMA temp_store = MEMORY;",
        )?;
        Ok(connection)
    };
    open().map_err(|error: rusqlite::Error| StoreError::database("open the file", error))
}

/// A request: runs inside its savepoint and tells whether it succeeded; what it returns reports the commit.
type Request = Box<dyn FnOnce(&Session<'_>) -> (bool, Delivery) + Send>;
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
        what: &'static str,
        work: impl FnOnce(&Session<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let request: Request = Box::new(move |session| {
            let result = catch_unwind(AssertUnwindSafe(|| work(session)))
                .unwrap_or_else(|_| Err(StoreError::database(what, "the request panicked").into()))
                .map_err(|failure| failure.describe(what));
            let succeeded = result.is_ok();
            // Nobody listens when the caller was cancelled; the write stands all the same.
            let deliver: Delivery =
                Box::new(move |committed| drop(reply.send(result.and_then(|v| committed.map(|()| v)))));
            (succeeded, deliver)
        });
        let sent = self.requests.as_ref().is_some_and(|requests| requests.send(request).is_ok());
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
    while let Ok(first) = inbox.recv() {
        write_batch(connection, &mut clock, first, inbox);
    }
}

/// Runs one transaction with everything queued, commits it and delivers the results.
fn write_batch(connection: &Connection, clock: &mut Clock, first: Request, inbox: &mpsc::Receiver<Request>) {
    let mut deliveries: Vec<Delivery> = Vec::new();
    let mut next = Some(first);
    let mut outcome = connection.prepare_cached("BEGIN IMMEDIATE").and_then(|mut begin| begin.execute([])).map(drop);
    while let Some(request) = next {
        if outcome.is_ok() {
            match run_guarded(connection, clock.tick(), request) {
                Ok(delivery) => deliveries.push(delivery),
                Err((delivery, error)) => {
                    deliveries.push(delivery);
                    outcome = Err(error);
                }
            }
        } else {
            // The transaction is lost; the request never ran and fails with the others.
            drop(request);
        }
        next = if deliveries.len() < MAX_BATCH && outcome.is_ok() { inbox.try_recv().ok() } else { None };
    }
    let outcome = outcome.and_then(|()| connection.prepare_cached("COMMIT")?.execute([]).map(drop));
    if outcome.is_err() && !connection.is_autocommit() {
        let _ = connection.execute_batch("ROLLBACK");
    }
    let failure = outcome.err().map(|error| {
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

/// Runs a request in a savepoint. The error means that the whole transaction is gone (a full disk does that).
fn run_guarded(connection: &Connection, now: i64, request: Request) -> Result<Delivery, (Delivery, rusqlite::Error)> {
    let statement = |sql: &str| connection.prepare_cached(sql)?.execute([]).map(drop);
    let opened = statement("SAVEPOINT request");
    let (succeeded, delivery) = request(&Session { connection, now });
    let closed = opened.and_then(|()| {
        if !succeeded {
            statement("ROLLBACK TO request")?;
        }
        statement("RELEASE request")
    });
    match closed {
        Ok(()) => Ok(delivery),
        Err(error) => Err((delivery, error)),
    }
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
