//! Whole answers, kept in memory until anything is written to the store.
//!
//! An answer from before the last write is the answer now, so a dataset that nothing happens to is served without a question
//! to the database; where other processes write, it is what the answer was a moment ago ([`Store::known_changes`]). Only what
//! everybody gets is kept, for requests without credentials and conditions. What depends on the time (patience with a revision
//! that is being replaced) is looked at again after [`TRUSTED`].
//!
//! [`Store::known_changes`]: belvedere_store::Store::known_changes

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::BytesMut;
use http_body_util::BodyExt as _;
use tokio_util::sync::CancellationToken;

use super::views;
use crate::auth::reading::{has_credentials, is_guarded};
use crate::error::ApiError;
use crate::metrics::{Lookups, Successes};
use crate::state::ApiState;

/// How long an answer is kept at most.
const TRUSTED: Duration = Duration::from_secs(1);
/// Bytes of all answers together. When there are more, all are forgotten: the next second brings back those in demand.
const MAX_BYTES: usize = 16 << 20;
/// Bytes of one answer, before it is packed.
const MAX_ANSWER_BYTES: u64 = 1 << 20;

/// The answers of this process.
#[derive(Default)]
pub(crate) struct Remembered {
    kept: Arc<Mutex<Kept>>,
    lookups: Lookups,
}

#[derive(Default)]
struct Kept {
    /// After so many writes they were made.
    changes: u64,
    bytes: usize,
    answers: HashMap<String, Arc<Answer>>,
    /// Those that somebody makes now, each time with another number.
    making: HashMap<String, (u64, CancellationToken)>,
    last_made: u64,
}

/// What everybody gets who asks the same.
pub(crate) struct Answer {
    made: Instant,
    headers: HeaderMap,
    body: Bytes,
    pub(crate) successes: Successes,
}

impl Answer {
    pub(crate) fn response(&self) -> Response {
        let mut response = Response::new(Body::from(self.body.clone()));
        response.headers_mut().clone_from(&self.headers);
        response
    }
}

/// A request whose answer may be kept.
pub(crate) struct Question {
    /// All that the answer depends on, beside what is stored.
    text: String,
    pub(crate) asked: Instant,
}

impl Question {
    /// `None` where others decide who may read, and for requests that are not everybody's.
    pub(crate) fn of(state: &ApiState, request: &Request) -> Option<Self> {
        let (path, headers) = (request.uri().path(), request.headers());
        if request.method() != Method::GET || !views::ENDPOINTS.iter().any(|endpoint| endpoint.path == path) {
            return None;
        }
        // Bodies that are packed are refused.
        let is_special = headers.contains_key(header::IF_NONE_MATCH) || headers.contains_key(header::CONTENT_ENCODING);
        if is_special || has_credentials(headers) || state.settings.reading.hub.is_some() {
            return None;
        }
        let query = request.uri().query().unwrap_or_default();
        let mut text = String::with_capacity(path.len() + query.len() + 64);
        // Neither an address nor a header can hold a line break.
        for part in [path, "?", query, if is_guarded(state) { "\nguarded" } else { "\n" }] {
            text.push_str(part);
        }
        // Addresses in the answer begin with the first, the second tells how it may be packed, the third comes back in it.
        for name in [header::HOST, header::ACCEPT_ENCODING, header::ORIGIN] {
            text.push('\n');
            for value in headers.get_all(name) {
                text.push_str(value.to_str().ok()?);
                text.push('\t');
            }
        }
        Some(Self { text, asked: Instant::now() })
    }
}

/// What somebody with a question should do.
pub(crate) enum Turn {
    /// Take this.
    Known(Arc<Answer>),
    /// Make the answer.
    Make(Making),
    /// Wait until somebody else has made it, or has failed to.
    Wait(Question, CancellationToken),
}

/// An answer that is being made. Those who wait for it are woken when this is dropped.
pub(crate) struct Making {
    kept: Arc<Mutex<Kept>>,
    question: Question,
    changes: u64,
    number: u64,
    done: CancellationToken,
}

impl Drop for Making {
    fn drop(&mut self) {
        lock(&self.kept).unmark(self);
        self.done.cancel();
    }
}

/// Marks an answer that may be kept.
#[derive(Clone, Copy)]
struct Allowed;

/// Lets an answer be kept, if it is a success of a bearable size.
pub(crate) fn allow(mut response: Response) -> Response {
    let is_small = response.body().size_hint().exact().is_some_and(|bytes| bytes <= MAX_ANSWER_BYTES);
    if response.status() == StatusCode::OK && is_small {
        response.extensions_mut().insert(Allowed);
    }
    response
}

impl Remembered {
    /// The answer that holds after so many writes, if it is known.
    pub(crate) fn get(&self, question: &Question, changes: u64) -> Option<Arc<Answer>> {
        let known = lock(&self.kept).after(changes).known(question)?;
        self.lookups.count(Some(known))
    }

    /// As [`Remembered::get`], for somebody who makes the answer otherwise. Where others ask the same at the same moment, one
    /// of them does; whoever `has_waited` once does not wait again.
    pub(crate) fn turn(&self, question: Question, changes: u64, has_waited: bool) -> Turn {
        let mut kept = lock(&self.kept);
        let kept = kept.after(changes);
        if let Some(known) = kept.known(&question) {
            self.lookups.count(Some(()));
            return Turn::Known(known);
        }
        if let Some((_, done)) = kept.making.get(&question.text).filter(|_| !has_waited) {
            return Turn::Wait(question, done.clone());
        }
        self.lookups.count(None::<()>);
        let done = CancellationToken::new();
        kept.last_made += 1;
        let number = kept.last_made;
        kept.making.entry(question.text.clone()).or_insert_with(|| (number, done.clone()));
        Turn::Make(Making { kept: Arc::clone(&self.kept), question, changes, number, done })
    }

    /// Keeps an answer as it leaves the server, if it is allowed, and passes it on.
    pub(crate) async fn keep(
        &self,
        making: Making,
        response: Response,
        successes: impl FnOnce() -> Successes,
    ) -> Response {
        let (mut parts, mut rest) = response.into_parts();
        if parts.extensions.remove::<Allowed>().is_none() {
            return Response::from_parts(parts, rest);
        }
        let mut body = BytesMut::new();
        while let Some(frame) = rest.frame().await {
            let Ok(frame) = frame else { return ApiError::unexpected("an answer cannot be packed").into_response() };
            body.extend_from_slice(frame.data_ref().map_or(&[], |data| &data[..]));
            // Others have their turn while it is packed.
            tokio::task::consume_budget().await;
        }
        let body = body.freeze();
        let headers = parts.headers.clone();
        let answer = Answer { made: making.question.asked, headers, body: body.clone(), successes: successes() };
        lock(&self.kept).put(&making, answer);
        Response::from_parts(parts, Body::from(body))
    }

    /// Counts a question that could not be looked for.
    pub(crate) fn missed(&self) {
        self.lookups.count(None::<()>);
    }

    /// How often the answer was known.
    pub(crate) fn lookups(&self) -> &Lookups {
        &self.lookups
    }
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().expect("never poisoned: no code panics while holding it")
}

impl Kept {
    /// What holds after so many writes.
    fn after(&mut self, changes: u64) -> &mut Self {
        if self.changes < changes {
            *self = Self { changes, last_made: self.last_made, ..Self::default() };
        }
        self
    }

    fn known(&self, question: &Question) -> Option<Arc<Answer>> {
        let answer = self.answers.get(&question.text)?;
        (question.asked.saturating_duration_since(answer.made) < TRUSTED).then(|| Arc::clone(answer))
    }

    fn put(&mut self, making: &Making, answer: Answer) {
        // Somebody who asked later may know of later writes.
        if self.changes != making.changes {
            return;
        }
        let text = &making.question.text;
        let bytes = size_of(text, &answer);
        if self.bytes + bytes > MAX_BYTES {
            (self.bytes, self.answers) = (0, HashMap::new());
        }
        self.bytes += bytes;
        if let Some(old) = self.answers.insert(text.clone(), Arc::new(answer)) {
            self.bytes -= size_of(text, &old);
        }
    }

    /// Forgets that an answer is being made, unless somebody else makes it.
    fn unmark(&mut self, making: &Making) {
        let text = &making.question.text;
        if self.making.get(text).is_some_and(|(number, _)| *number == making.number) {
            self.making.remove(text);
        }
    }
}

fn size_of(text: &str, answer: &Answer) -> usize {
    // A few hundred bytes of headers and of the table itself.
    text.len() + answer.body.len() + 768
}

#[cfg(test)]
mod tests;
