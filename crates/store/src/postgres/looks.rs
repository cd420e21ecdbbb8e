//! Whether any transaction has written, for what processes keep in memory.
//!
//! What a snapshot of the database sees changes when a transaction that has written ends, whoever wrote, and with it the text of
//! the snapshot. A process that wants to know looks at this text on a connection of its own: every 10 ms at most, however many
//! ask, and not at all when nobody does. Writers do nothing for it: telling others (NOTIFY) would make them wait for each other.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::timeout;
use tokio_postgres::{Client, Config, NoTls, Statement};

/// A look counts for so long.
const COUNTS: Duration = Duration::from_millis(20);
/// After so long the next one is made, while the last still counts.
const AHEAD: Duration = Duration::from_millis(10);
/// Whoever asks after such a pause does not wait.
const PAUSE: Duration = Duration::from_secs(1);
/// Longest wait for a look.
const PATIENCE: Duration = Duration::from_millis(100);
/// Longest time of a look, a new connection included.
const LIMIT: Duration = Duration::from_secs(10);
/// Nobody looks for so long after one that failed.
const REST: Duration = Duration::from_secs(1);

/// A server that was started again may have lost transactions and give their numbers to others.
const LOOK: &str = "SELECT pg_current_snapshot()::text || ' ' || pg_postmaster_start_time()::text";

/// What was seen, and how to look again.
pub(crate) struct Looks {
    config: Config,
    written: Arc<AtomicU64>,
    last: Mutex<Last>,
    /// Somebody is looking.
    busy: AtomicBool,
    /// Counts looks that have ended.
    ended: watch::Sender<u64>,
}

#[derive(Default)]
struct Last {
    /// How many different states were seen.
    number: u64,
    state: String,
    /// When the look began, and how many writes of this process had ended by then. `None`: nobody has looked.
    began: Option<(Instant, u64)>,
    rests_until: Option<Instant>,
    session: Option<Session>,
}

/// A state of one session says nothing about those of another: a server that crashed has ended all of them.
struct Session {
    client: Client,
    statement: Statement,
}

/// What the last look is good for.
enum Use {
    Counts { number: u64, age: Duration },
    Old,
    OfAnotherTime,
    Rests,
}

impl Looks {
    /// `written` counts the writes of this process that have ended, before their callers hear of it.
    pub(super) fn new(config: Config, written: Arc<AtomicU64>) -> Self {
        Self { config, written, last: Mutex::default(), busy: AtomicBool::new(false), ended: watch::Sender::new(0) }
    }

    /// The number of the state, if it is known. Sees to it that it stays known.
    pub(crate) fn known(self: &Arc<Self>) -> Option<u64> {
        match self.last().good_for(Instant::now(), self.written()) {
            Use::Counts { number, age } => {
                if age >= AHEAD {
                    self.look();
                }
                Some(number)
            }
            _ => None,
        }
    }

    /// The number of the state now.
    pub(crate) async fn now(self: &Arc<Self>) -> Option<u64> {
        // What is written later need not be seen. Looks that begin later are new enough, however long they take.
        let (asked, written) = (Instant::now(), self.written());
        let mut ended = self.ended.subscribe();
        let number = async {
            loop {
                let is_wanted = match self.last().good_for(asked, written) {
                    Use::Counts { number, .. } => return Some(number),
                    Use::Rests => return None,
                    Use::Old => true,
                    Use::OfAnotherTime => false,
                };
                self.look();
                if !is_wanted {
                    return None;
                }
                ended.changed().await.ok()?;
            }
        };
        timeout(PATIENCE, number).await.ok().flatten()
    }

    /// Looks, unless somebody does.
    fn look(self: &Arc<Self>) {
        if self.busy.swap(true, Ordering::AcqRel) {
            return;
        }
        let looking = Looking(Arc::clone(self));
        tokio::spawn(async move { looking.0.look_once().await });
    }

    async fn look_once(&self) {
        let began = (Instant::now(), self.written());
        let session = self.last().session.take().filter(|session| !session.client.is_closed());
        let is_new = session.is_none();
        let seen = async {
            let session = match session {
                Some(session) => session,
                None => self.connect().await?,
            };
            let state: String = session.client.query_one(&session.statement, &[]).await?.try_get(0)?;
            Ok::<_, tokio_postgres::Error>((session, state))
        };
        let seen = timeout(LIMIT, seen).await;
        let mut last = self.last();
        match seen {
            Ok(Ok((session, state))) => {
                last.session = Some(session);
                last.saw(began, state, is_new);
            }
            failed => {
                let error = failed.map(|failed| failed.err().map(|error| error.to_string())).unwrap_or_default();
                tracing::debug!(error = error.as_deref().unwrap_or("no answer"), "changes cannot be looked for");
                last.rests_until = Some(Instant::now() + REST);
            }
        }
    }

    async fn connect(&self) -> Result<Session, tokio_postgres::Error> {
        let (client, connection) = self.config.connect(NoTls).await?;
        // Ends with the client.
        tokio::spawn(connection);
        let statement = client.prepare(LOOK).await?;
        Ok(Session { client, statement })
    }

    fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().expect("never poisoned: no code panics while holding it")
    }
}

impl Last {
    /// For somebody who asks now and must see so many writes of this process.
    fn good_for(&self, now: Instant, written: u64) -> Use {
        if self.rests_until.is_some_and(|until| now < until) {
            return Use::Rests;
        }
        let Some((began, before)) = self.began else { return Use::OfAnotherTime };
        let age = now.saturating_duration_since(began);
        match before >= written {
            true if age < COUNTS => Use::Counts { number: self.number, age },
            _ if age < PAUSE => Use::Old,
            _ => Use::OfAnotherTime,
        }
    }

    fn saw(&mut self, began: (Instant, u64), state: String, is_new: bool) {
        if is_new || self.state != state {
            self.number += 1;
            self.state = state;
        }
        self.began = Some(began);
        self.rests_until = None;
    }
}

/// Somebody who looks. However that ends, those who wait are told.
struct Looking(Arc<Looks>);

impl Drop for Looking {
    fn drop(&mut self) {
        self.0.busy.store(false, Ordering::Release);
        self.0.ended.send_modify(|count| *count = count.wrapping_add(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(last: &Last, now: Instant, written: u64) -> Option<u64> {
        match last.good_for(now, written) {
            Use::Counts { number, .. } => Some(number),
            _ => None,
        }
    }

    #[test]
    fn a_look_counts_until_a_write_ends_or_it_is_old() {
        let (mut last, start) = (Last::default(), Instant::now());
        assert_eq!(number(&last, start, 0), None);
        last.saw((start, 3), "a".to_owned(), true);
        assert_eq!(number(&last, start, 3), Some(1));
        assert_eq!(number(&last, start, 4), None, "a write has ended since");
        assert_eq!(number(&last, start + COUNTS, 3), None);
        assert!(matches!(last.good_for(start + COUNTS, 3), Use::Old));
        assert!(matches!(last.good_for(start + PAUSE, 3), Use::OfAnotherTime));
    }

    #[test]
    fn the_number_is_that_of_the_state_as_one_session_sees_it() {
        let (mut last, start) = (Last::default(), Instant::now());
        for (state, is_new, expected) in [("a", true, 1), ("a", false, 1), ("b", false, 2), ("b", true, 3)] {
            last.saw((start, 0), state.to_owned(), is_new);
            assert_eq!(number(&last, start, 0), Some(expected), "{state} {is_new}");
        }
    }
}
