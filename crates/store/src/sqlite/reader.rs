//! A few threads that read, each with its own connection, beside the writer.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::clock::Clock;
use super::writer::connect;
use super::{Failure, Session};
use crate::StoreError;

type Request = Box<dyn FnOnce(&Connection) + Send>;

pub(super) struct Readers {
    clock: Arc<Clock>,
    requests: Option<mpsc::Sender<Request>>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    pub(super) fn start(path: &Path, number: usize, clock: &Arc<Clock>) -> Result<Self, StoreError> {
        let (requests, inbox) = mpsc::channel::<Request>();
        let inbox = Arc::new(Mutex::new(inbox));
        let mut threads = Vec::with_capacity(number);
        for index in 0..number {
            let connection = connect(path)?;
            connection
                .execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -16384;")
                .map_err(|error| StoreError::database("open the file", error))?;
            let inbox = inbox.clone();
            let thread = std::thread::Builder::new()
                .name(format!("store-reader-{index}"))
                .spawn(move || {
                    loop {
                        // The guard is dropped before the request runs, so that the others can take the next one.
                        let request = inbox.lock().unwrap_or_else(PoisonError::into_inner).recv();
                        let Ok(request) = request else { break };
                        request(&connection);
                    }
                })
                .expect("a thread can be started while the program starts");
            threads.push(thread);
        }
        Ok(Self { clock: Arc::clone(clock), requests: Some(requests), threads })
    }

    /// Runs a read on one consistent state.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce(&Session<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let clock = Arc::clone(&self.clock);
        let request: Request = Box::new(move |connection| {
            let result = catch_unwind(AssertUnwindSafe(|| in_transaction(connection, clock.tick(), work)))
                .unwrap_or_else(|_| Err(StoreError::database(what, "the request panicked").into()));
            let _ = reply.send(result.map_err(|failure| failure.describe(what)));
        });
        let sent = self.requests.as_ref().is_some_and(|requests| requests.send(request).is_ok());
        let stopped = || StoreError::unavailable("the readers have stopped");
        if !sent {
            return Err(stopped());
        }
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }
}

fn in_transaction<T>(
    connection: &Connection,
    now: i64,
    work: impl FnOnce(&Session<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    // Rolls back when dropped, also by a panic: a read has nothing to commit.
    let _transaction = connection.unchecked_transaction()?;
    work(&Session { connection, now, lanes: &RefCell::default() })
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.requests = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
