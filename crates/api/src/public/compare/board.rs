//! Long questions: worked on once for all who ask, in the background, a few at a time; what was found is kept for a while.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use belvedere_domain::{Digest, ErrorCode, Recent};
use belvedere_engine::task::Progress;
use bytes::Bytes;
use tokio::sync::{Semaphore, watch};

use crate::error::ApiError;

/// Questions that run or wait; who comes later is asked to come back.
const MAX_UNDERWAY: usize = 32;
/// Answers that are kept, and their bytes.
const MAX_KEPT: usize = 256;
const MAX_KEPT_BYTES: u64 = 32 << 20;
/// Looks without a question after which the work is dropped.
const LOOKS: u64 = 12;

/// The work behind a question. Dropping it ends it.
pub(crate) type Work = Pin<Box<dyn Future<Output = Outcome> + Send>>;
type Outcome = Result<Bytes, ApiError>;

/// Where a question stands.
pub(crate) enum Found {
    /// Answered.
    Answer(Bytes),
    /// Being worked on, or waiting for its turn.
    Underway {
        /// Its turn has not come.
        waits: bool,
        /// From 0 to 1; `None` while nobody knows.
        progress: Option<f64>,
    },
}

/// The questions of this process.
pub(crate) struct Board {
    entries: Arc<Mutex<Entries>>,
    turns: Arc<Semaphore>,
    look_every: Duration,
}

struct Entries {
    underway: HashMap<Digest, Arc<Underway>>,
    kept: Recent<Digest, Outcome>,
}

struct Underway {
    progress: Progress,
    waits: AtomicBool,
    /// Looks since anybody asked.
    looks: AtomicU64,
    outcome: watch::Receiver<Option<Outcome>>,
}

impl Board {
    /// Works on so many questions at the same time, and looks so often whether anybody still asks.
    pub(crate) fn new(at_a_time: usize, look_every: Duration) -> Self {
        Self { entries: Arc::default(), turns: Arc::new(Semaphore::new(at_a_time.max(1))), look_every }
    }

    /// The answer, if it is there or comes within `wait`; else how far it is. `start` gives the work if nobody is at it.
    ///
    /// # Errors
    /// What the work failed with, told once; that too many questions are underway.
    pub(crate) async fn ask(
        &self,
        key: Digest,
        wait: Duration,
        start: impl FnOnce(Progress) -> Work,
    ) -> Result<Found, ApiError> {
        let underway = {
            let mut entries = lock(&self.entries);
            if let Some(outcome) = entries.take_or_copy(&key) {
                return outcome.map(Found::Answer);
            }
            match entries.underway.get(&key) {
                Some(underway) => Arc::clone(underway),
                None if entries.underway.len() >= MAX_UNDERWAY => {
                    let text = "Too many splits are being compared. Please retry later.";
                    return Err(ApiError::new(ErrorCode::ServiceUnavailable, text));
                }
                None => {
                    let progress = Progress::default();
                    let (sender, outcome) = watch::channel(None);
                    let (waits, looks) = (AtomicBool::new(true), AtomicU64::new(0));
                    let underway = Arc::new(Underway { progress: progress.clone(), waits, looks, outcome });
                    entries.underway.insert(key, Arc::clone(&underway));
                    self.begin(key, Arc::clone(&underway), start(progress), sender);
                    underway
                }
            }
        };
        underway.looks.store(0, Ordering::Relaxed);
        let mut outcome = underway.outcome.clone();
        let waited = tokio::time::timeout(wait, outcome.wait_for(Option::is_some)).await;
        match waited {
            Ok(Ok(outcome)) => {
                let outcome = outcome.clone().unwrap_or_else(|| Err(ApiError::unexpected("waited for an outcome")));
                if outcome.is_err() {
                    // Told now; whoever asks again has it tried again.
                    lock(&self.entries).take_or_copy(&key);
                }
                outcome.map(Found::Answer)
            }
            // The work ended without an outcome: it panicked.
            Ok(Err(_)) => Err(ApiError::unexpected("the work behind a question ended without an answer")),
            Err(_) => Ok(Found::Underway {
                waits: underway.waits.load(Ordering::Relaxed),
                progress: underway.progress.share(),
            }),
        }
    }

    /// Works in the background, in turn, as long as anybody asks.
    fn begin(&self, key: Digest, underway: Arc<Underway>, work: Work, sender: watch::Sender<Option<Outcome>>) {
        let (entries, turns) = (Arc::clone(&self.entries), Arc::clone(&self.turns));
        let look_every = self.look_every;
        tokio::spawn(async move {
            // Taken off the list however this ends.
            let listed = Listed { entries: Arc::clone(&entries), key };
            let in_turn = async {
                let _turn = turns.acquire().await.expect("the semaphore is never closed");
                underway.waits.store(false, Ordering::Relaxed);
                work.await
            };
            let outcome = tokio::select! {
                outcome = in_turn => outcome,
                () = abandoned(&underway, look_every) => return,
            };
            // Kept before it is off the list: nobody who asks in between begins anew.
            lock(&entries).keep(key, outcome.clone());
            drop(listed);
            sender.send_replace(Some(outcome));
        });
    }
}

struct Listed {
    entries: Arc<Mutex<Entries>>,
    key: Digest,
}

impl Drop for Listed {
    fn drop(&mut self) {
        lock(&self.entries).underway.remove(&self.key);
    }
}

/// Ends when nobody has asked for a while.
async fn abandoned(underway: &Underway, look_every: Duration) {
    while underway.looks.fetch_add(1, Ordering::Relaxed) < LOOKS {
        tokio::time::sleep(look_every).await;
    }
}

fn lock(entries: &Mutex<Entries>) -> MutexGuard<'_, Entries> {
    entries.lock().expect("never poisoned: no code panics while holding it")
}

impl Default for Entries {
    fn default() -> Self {
        Self { underway: HashMap::new(), kept: Recent::new(MAX_KEPT, MAX_KEPT_BYTES) }
    }
}

impl Entries {
    fn keep(&mut self, key: Digest, outcome: Outcome) {
        let bytes = outcome.as_ref().map_or(0, Bytes::len);
        self.kept.keep(key, outcome, bytes as u64);
    }

    /// A kept answer. A failure is told once and forgotten.
    fn take_or_copy(&mut self, key: &Digest) -> Option<Outcome> {
        match self.kept.peek(key)? {
            Ok(body) => Some(Ok(body.clone())),
            Err(_) => self.kept.remove(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use belvedere_domain::view::DigestBuilder;
    use tokio::sync::oneshot;

    use super::*;

    fn key(number: u32) -> Digest {
        DigestBuilder::new("test", number).finish()
    }

    fn ready(text: &'static str) -> impl FnOnce(Progress) -> Work {
        move |_| Box::pin(async move { Ok(Bytes::from_static(text.as_bytes())) })
    }

    fn never(_: Progress) -> Work {
        panic!("nobody asked for new work")
    }

    async fn answer(board: &Board, number: u32, start: impl FnOnce(Progress) -> Work) -> String {
        match board.ask(key(number), Duration::from_secs(60), start).await {
            Ok(Found::Answer(body)) => String::from_utf8(body.to_vec()).unwrap(),
            Ok(Found::Underway { .. }) => "underway".into(),
            Err(error) => error.to_string(),
        }
    }

    fn board() -> Board {
        Board::new(1, Duration::from_secs(60))
    }

    async fn glance(board: &Board, number: u32, start: impl FnOnce(Progress) -> Work) -> Option<(bool, Option<f64>)> {
        match board.ask(key(number), Duration::ZERO, start).await {
            Ok(Found::Underway { waits, progress }) => Some((waits, progress)),
            _ => None,
        }
    }

    #[tokio::test]
    async fn an_answer_is_made_once_and_kept() {
        let board = board();
        assert_eq!(answer(&board, 1, ready("one")).await, "one");
        assert_eq!(answer(&board, 1, never).await, "one");
        assert_eq!(answer(&board, 2, ready("two")).await, "two");
        assert!(lock(&board.entries).underway.is_empty());
    }

    #[tokio::test]
    async fn who_does_not_want_to_wait_is_told_how_far_it_is() {
        let board = board();
        let (finish, finished) = oneshot::channel();
        let slow = |progress: Progress| -> Work {
            Box::pin(async move {
                progress.expect(4);
                progress.advance(1);
                Ok(finished.await.unwrap())
            })
        };
        assert!(glance(&board, 1, slow).await.is_some());
        while glance(&board, 1, never).await != Some((false, Some(0.25))) {
            tokio::task::yield_now().await;
        }
        // The second has to wait for its turn.
        assert_eq!(glance(&board, 2, ready("two")).await, Some((true, None)));
        finish.send(Bytes::from_static(b"one")).unwrap();
        assert_eq!(answer(&board, 1, never).await, "one");
        assert_eq!(answer(&board, 2, never).await, "two");
    }

    #[tokio::test]
    async fn a_failure_is_told_once() {
        let board = board();
        let fail = |_| -> Work { Box::pin(async { Err(ApiError::new(ErrorCode::InvalidParameter, "no")) }) };
        assert_eq!(answer(&board, 1, fail).await, "InvalidParameter: no");
        assert_eq!(answer(&board, 1, ready("yes")).await, "yes");
        // Also when it failed while nobody waited.
        let (finish, finished) = oneshot::channel::<()>();
        let later = |_| -> Work {
            Box::pin(async move {
                finished.await.unwrap();
                Err(ApiError::new(ErrorCode::InvalidParameter, "no"))
            })
        };
        assert!(glance(&board, 2, later).await.is_some());
        finish.send(()).unwrap();
        while !lock(&board.entries).underway.is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(answer(&board, 2, never).await, "InvalidParameter: no");
        assert_eq!(answer(&board, 2, ready("yes")).await, "yes");
    }

    #[tokio::test]
    async fn work_that_nobody_asks_for_any_more_is_dropped() {
        let board = Board::new(1, Duration::ZERO);
        let (held, dropped) = oneshot::channel::<()>();
        let forever = |_| -> Work {
            Box::pin(async move {
                let _held = held;
                std::future::pending().await
            })
        };
        assert!(glance(&board, 1, forever).await.is_some());
        // The sender goes with the work.
        assert!(dropped.await.is_err());
        while !lock(&board.entries).underway.is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(board.turns.available_permits(), 1);
    }

    #[tokio::test]
    async fn work_that_panics_is_an_error_and_not_for_ever_underway() {
        let board = board();
        let broken = |_| -> Work { Box::pin(async { panic!("a bug") }) };
        assert!(answer(&board, 1, broken).await.starts_with("UnexpectedApiError"));
        assert_eq!(answer(&board, 1, ready("yes")).await, "yes");
    }

    #[tokio::test]
    async fn too_many_questions_are_turned_away() {
        let board = board();
        let forever = |_| -> Work { Box::pin(std::future::pending()) };
        for number in 0..MAX_UNDERWAY as u32 {
            assert!(glance(&board, number, forever).await.is_some());
        }
        assert!(answer(&board, 1_000, never).await.starts_with("ServiceUnavailable"));
    }

    #[test]
    fn the_oldest_answers_make_room() {
        let mut entries = Entries::default();
        for number in 0..40 {
            entries.keep(key(number), Ok(Bytes::from(vec![0; 1 << 20])));
        }
        assert!(entries.kept.bytes() <= MAX_KEPT_BYTES);
        assert!(entries.take_or_copy(&key(0)).is_none() && entries.take_or_copy(&key(39)).is_some());
    }
}
