//! Whole answers, kept in memory until anything is written to the store.
//!
//! Where this process alone writes to the database, an answer from before the last write is the answer now: so a dataset that
//! nothing happens to is served without a question to the database. Only what everybody gets is kept, for requests without
//! credentials and conditions. What depends on the time (patience with a revision that is being replaced) is looked at again
//! after [`TRUSTED`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, HttpBody as _, to_bytes};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;

use crate::auth::reading::has_credentials;
use crate::metrics::Lookups;
use crate::state::ApiState;

/// How long an answer is kept at most.
const TRUSTED: Duration = Duration::from_secs(1);
/// Bytes of all answers together. When there are more, all are forgotten: the next second brings back those in demand.
const MAX_BYTES: usize = 16 << 20;
/// Bytes of one answer.
const MAX_ANSWER_BYTES: u64 = 1 << 20;

/// The answers of this process.
#[derive(Default)]
pub(crate) struct Remembered {
    kept: Mutex<Kept>,
    lookups: Lookups,
}

#[derive(Default)]
struct Kept {
    /// After so many writes they were made.
    changes: u64,
    bytes: usize,
    answers: HashMap<String, Arc<Answer>>,
}

struct Answer {
    made: Instant,
    headers: HeaderMap,
    body: Bytes,
}

/// A request whose answer may be kept.
pub(crate) struct Question {
    /// All that the answer depends on.
    text: String,
    changes: u64,
    asked: Instant,
}

impl Question {
    /// `None` where others write to the database too, or decide who may read, and for requests that are not everybody's.
    pub(crate) fn of(state: &ApiState, path: &str, query: Option<&str>, headers: &HeaderMap) -> Option<Self> {
        // Before anything is read: what is written meanwhile makes the answer old.
        let changes = state.services.store.changes()?;
        let is_conditional = headers.contains_key(header::IF_NONE_MATCH);
        if is_conditional || has_credentials(headers) || state.settings.reading.hub.is_some() {
            return None;
        }
        // Addresses in the answer begin with it.
        let host = headers.get(header::HOST).map_or(Ok(""), |host| host.to_str()).ok()?;
        Some(Self { text: format!("{host} {path}?{}", query.unwrap_or_default()), changes, asked: Instant::now() })
    }
}

impl Remembered {
    /// The answer, if it is known.
    pub(crate) fn get(&self, question: &Question) -> Option<Response> {
        let answer = self.kept().answers_after(question.changes).get(&question.text).map(Arc::clone);
        let fresh = answer.filter(|answer| question.asked.saturating_duration_since(answer.made) < TRUSTED);
        self.lookups.count(fresh).map(|answer| {
            let mut response = Response::new(Body::from(answer.body.clone()));
            response.headers_mut().clone_from(&answer.headers);
            response
        })
    }

    /// Keeps an answer, if it may be kept, and passes it on.
    pub(crate) async fn keep(&self, question: Question, response: Response) -> Response {
        let is_small = response.body().size_hint().exact().is_some_and(|bytes| bytes <= MAX_ANSWER_BYTES);
        if response.status() != StatusCode::OK || !is_small {
            return response;
        }
        let (parts, body) = response.into_parts();
        // It is in memory, whole: this cannot fail.
        let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
        let answer = Answer { made: question.asked, headers: parts.headers.clone(), body: body.clone() };
        self.kept().put(question, answer);
        Response::from_parts(parts, Body::from(body))
    }

    /// How often the answer was known.
    pub(crate) fn lookups(&self) -> &Lookups {
        &self.lookups
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().expect("never poisoned: no code panics while holding it")
    }
}

impl Kept {
    /// The answers that hold after so many writes.
    fn answers_after(&mut self, changes: u64) -> &HashMap<String, Arc<Answer>> {
        if self.changes < changes {
            *self = Self { changes, ..Self::default() };
        }
        &self.answers
    }

    fn put(&mut self, question: Question, answer: Answer) {
        // Somebody who asked later may know of later writes.
        if self.changes != question.changes {
            return;
        }
        let bytes = size_of(&question.text, &answer);
        if self.bytes + bytes > MAX_BYTES {
            *self = Self { changes: self.changes, ..Self::default() };
        }
        self.bytes += bytes;
        if let Some((text, old)) = self.answers.remove_entry(&question.text) {
            self.bytes -= size_of(&text, &old);
        }
        self.answers.insert(question.text, Arc::new(answer));
    }
}

fn size_of(text: &str, answer: &Answer) -> usize {
    // A few hundred bytes of headers and of the table itself.
    text.len() + answer.body.len() + 512
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(text: &str, changes: u64) -> Question {
        Question { text: text.to_owned(), changes, asked: Instant::now() }
    }

    fn answer(text: &str) -> Response {
        Response::new(Body::from(text.to_owned()))
    }

    async fn text(response: Option<Response>) -> Option<String> {
        let bytes = to_bytes(response?.into_body(), usize::MAX).await.unwrap();
        Some(String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_write_makes_all_answers_old() {
        let remembered = Remembered::default();
        assert!(remembered.get(&question("a", 1)).is_none());
        remembered.keep(question("a", 1), answer("one")).await;
        assert_eq!(text(remembered.get(&question("a", 1))).await.as_deref(), Some("one"));
        assert!(remembered.get(&question("b", 1)).is_none());
        assert!(remembered.get(&question("a", 2)).is_none());
        // Whoever began to read before the write comes too late.
        remembered.keep(question("a", 1), answer("old")).await;
        assert!(remembered.get(&question("a", 2)).is_none());
    }

    #[tokio::test]
    async fn answers_grow_old_by_themselves() {
        let remembered = Remembered::default();
        remembered.keep(question("a", 0), answer("one")).await;
        let later = Question { asked: Instant::now() + TRUSTED, ..question("a", 0) };
        assert!(remembered.get(&later).is_none());
    }

    #[tokio::test]
    async fn memory_is_bounded_and_accounted_for() {
        let remembered = Remembered::default();
        let large = "x".repeat(1 << 20);
        for number in 0..40 {
            remembered.keep(question(&number.to_string(), 0), answer(&large)).await;
            remembered.keep(question(&number.to_string(), 0), answer(&large)).await;
            let kept = remembered.kept();
            assert!(kept.bytes <= MAX_BYTES);
            let held: usize = kept.answers.iter().map(|(text, answer)| size_of(text, answer)).sum();
            assert_eq!(held, kept.bytes);
        }
        remembered.keep(question("too large", 0), answer(&"x".repeat((1 << 20) + 1))).await;
        assert!(remembered.get(&question("too large", 0)).is_none());
    }
}
