//! The one thread that writes, and the one that flushes: group commit.
//!
//! Everything queued shares one transaction. SQLite itself does not flush at a commit (`synchronous = NORMAL`); a second
//! thread flushes the log once for all commits made meanwhile and only then are their callers answered. So an answered
//! write survives the loss of power, as with `FULL`, but the next transaction runs while the disk works.

use std::cell::RefCell;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{CachedStatement, Connection};
use tokio::sync::oneshot;

use super::clock::Clock;
use super::lanes::Lanes;
use super::lock::beside;
use super::{Failure, refusal};
use crate::StoreError;

/// Requests of one transaction; more would only make the first ones wait.
const MAX_BATCH: usize = 256;
/// How long a transaction waits for another program that writes. Nobody should: one process owns the file.
const PATIENCE: Duration = Duration::from_secs(5);
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
        connection.busy_timeout(PATIENCE)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        // Plans must not depend on bound values: statements would be compiled again at every use.
        connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = NORMAL;
             PRAGMA wal_autocheckpoint = 16000;
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
    /// The loss of power may undo it, and a failure may leave it half done.
    Relaxed,
}

struct Request {
    durability: Durability,
    work: Work,
}

/// Runs inside a savepoint and tells whether it succeeded; what it returns reports the commit. Without a session it does
/// nothing: the transaction was lost before its turn.
type Work = Box<dyn FnOnce(Option<&Session<'_>>) -> (bool, Delivery) + Send>;
type Delivery = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

pub(super) struct Writer {
    requests: Option<mpsc::Sender<Request>>,
    threads: Vec<JoinHandle<()>>,
    changes: Arc<AtomicU64>,
}

impl Writer {
    /// Starts both threads. The log must exist: something was read or written in WAL mode.
    pub(super) fn start(connection: Connection, path: &Path, clock: Arc<Clock>) -> Result<Self, StoreError> {
        let log = File::open(beside(path, "-wal")).map_err(|error| StoreError::database("open its log", error))?;
        let (requests, inbox) = mpsc::channel();
        let (commits, committed) = mpsc::channel();
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work);
            thread.expect("a thread can be started while the program starts")
        };
        let changes = Arc::new(AtomicU64::new(0));
        let writing = Writing { connection, clock, commits, changes: Arc::clone(&changes) };
        let writer = spawn("store-writer", Box::new(move || write_until_closed(&writing, &inbox)));
        let flusher = spawn("store-flusher", Box::new(move || flush_until_closed(&log, &committed)));
        Ok(Self { requests: Some(requests), threads: vec![writer, flusher], changes })
    }

    /// How many transactions have changed anything.
    pub(super) fn changes(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.changes)
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
            let Some(session) = session else {
                return (false, Box::new(move |committed| drop(reply.send(committed.and_then(|()| Err(not_run()))))));
            };
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
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// The answers to requests of one commit that wait for the disk.
type Commit = Vec<Delivery>;

/// What the writer works with.
struct Writing {
    connection: Connection,
    clock: Arc<Clock>,
    commits: mpsc::Sender<Commit>,
    changes: Arc<AtomicU64>,
}

fn write_until_closed(writing: &Writing, inbox: &mpsc::Receiver<Request>) {
    let lanes = RefCell::new(Lanes::default());
    while let Ok(first) = inbox.recv() {
        let batch = std::iter::once(first).chain(inbox.try_iter().take(MAX_BATCH - 1));
        write_batch(writing, &lanes, batch);
    }
}

/// Flushes the log, once for all commits made meanwhile, and answers their callers.
fn flush_until_closed(log: &File, commits: &mpsc::Receiver<Commit>) {
    while let Ok(first) = commits.recv() {
        let deliveries: Vec<Delivery> = std::iter::once(first).chain(commits.try_iter()).flatten().collect();
        let flushed = log.sync_data();
        if let Err(error) = &flushed {
            tracing::error!(error = %error, "the store could not flush its log");
        }
        for delivery in deliveries {
            delivery(match &flushed {
                Ok(()) => Ok(()),
                Err(error) => Err(StoreError::database("flush", error.to_string())),
            });
        }
    }
}

/// Runs one transaction with a batch of requests and commits it.
fn write_batch(writing: &Writing, lanes: &RefCell<Lanes>, batch: impl Iterator<Item = Request>) {
    let Writing { connection, clock, commits, changes } = writing;
    let changed_before = connection.total_changes();
    let (mut relaxed, mut flushed): (Vec<Delivery>, Commit) = (Vec::new(), Vec::new());
    let begin = || connection.prepare_cached("BEGIN IMMEDIATE")?.execute([]);
    let mut outcome = begin().map(drop);
    for request in batch {
        if outcome.is_err() {
            flushed.push((request.work)(None).1);
            continue;
        }
        let session = Session { connection, now: clock.tick(), lanes };
        let durability = request.durability;
        let (delivery, closed) = run_guarded(&session, request);
        match durability {
            Durability::Relaxed => relaxed.push(delivery),
            Durability::Flushed => flushed.push(delivery),
        }
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
        refusal("commit", error)
    });
    // Readers see the commit already, and whoever wrote does not know of it yet.
    if connection.total_changes() != changed_before {
        changes.fetch_add(1, Ordering::Release);
    }
    let Some(failure) = failure else {
        relaxed.into_iter().for_each(|delivery| delivery(Ok(())));
        if !flushed.is_empty() {
            // The flusher outlives the writer.
            let _ = commits.send(flushed);
        }
        return;
    };
    for (delivery, failure) in relaxed.into_iter().chain(flushed).zip(failure.copies()) {
        delivery(Err(failure));
    }
}

/// Runs a request, so that its failure undoes it alone. An error means that the whole transaction is gone (a full disk
/// does that).
fn run_guarded(session: &Session<'_>, request: Request) -> (Delivery, rusqlite::Result<()>) {
    let statement = |sql: &str| session.execute(sql, []).map(drop);
    // What may be forgotten may also stay half done; a savepoint costs a copy of every page that the request changes.
    let guarded = request.durability == Durability::Flushed;
    let opened = if guarded { statement("SAVEPOINT request") } else { Ok(()) };
    let (succeeded, delivery) = (request.work)(Some(session));
    if !succeeded {
        session.lanes.borrow_mut().forget();
    }
    let closed = match (guarded, succeeded) {
        (true, true) => statement("RELEASE request"),
        (true, false) => statement("ROLLBACK TO request").and_then(|()| statement("RELEASE request")),
        (false, false) if session.connection.is_autocommit() => Err(transaction_lost()),
        (false, _) => Ok(()),
    };
    (delivery, opened.and(closed))
}

/// For a request that never ran, which only a transaction that failed leaves behind.
fn not_run() -> StoreError {
    StoreError::unavailable("the transaction was lost")
}

/// SQLite undid the whole transaction by itself.
fn transaction_lost() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ABORT_ROLLBACK), None)
}
