//! `/v1/tasks/{id}/logs`: what an attempt printed, from any place, as bytes or as a stream of events.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use belvedere_domain::ErrorCode;
use belvedere_store::tasks::{LogKey, LogPiece};
use bytes::Bytes;
use serde_json::json;

use super::caller::Caller;
use super::problem::Problem;
use super::shared::{fresh, reach, service};
use crate::events::{self, Source, event};
use crate::params::Params;
use crate::state::ApiState;

/// Bytes of one answer, by default and at most.
const MAX_BYTES: u64 = 1 << 20;
/// How often a followed log is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// `GET /v1/tasks/{id}/logs?stream=out&offset=0&generation=0&attempt=1&follow=sse`.
pub(super) async fn get(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let row = reach(&state, &caller, &id).await?;
    let params = Params::parse(query.as_deref());
    let stream = match params.get("stream") {
        None | Some("out") => "out",
        Some("err") => "err",
        Some(_) => return Err(Problem::at("", "the parameter `stream` must be `out` or `err`")),
    };
    let number = |name: &str, default: u64| match params.get(name).map(str::parse::<u64>) {
        None => Ok(default),
        Some(Ok(number)) if number < 1 << 62 => Ok(number),
        Some(_) => Err(Problem::at("", format!("the parameter `{name}` must be a whole number from 0"))),
    };
    let attempt = u32::try_from(number("attempt", row.attempt.number.into())?).unwrap_or(u32::MAX);
    let key = LogKey { task: row.id, attempt: attempt.min(1 << 30), stream };
    let generation = u32::try_from(number("generation", 0)?).unwrap_or(u32::MAX).min(1 << 30);
    let mut place = (generation, number("offset", 0)?);
    if params.get("follow").is_some() {
        if let Some(last) = headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(place_of) {
            place = last;
        }
        return follow(state, key, place);
    }
    let limit = number("limit", MAX_BYTES)?.clamp(1, MAX_BYTES);
    let pieces = state.services.store.tasks.log(&key, place.0, place.1, limit).await?;
    // One generation at a time: places of two mean different things.
    let first = pieces.first().map_or(place, |piece| (piece.generation, piece.start));
    let mut bytes: Vec<u8> = Vec::new();
    for piece in pieces.iter().filter(|piece| piece.generation == first.0) {
        bytes.extend(&piece.bytes);
    }
    bytes.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next = first.1 + bytes.len() as u64;
    let mut response = fresh(bytes);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert("x-log-generation", u64::from(first.0).into());
    headers.insert("x-log-offset", first.1.into());
    headers.insert("x-log-next-offset", next.into());
    Ok(response)
}

/// `generation:offset`.
fn place_of(id: &str) -> Option<(u32, u64)> {
    let (generation, offset) = id.split_once(':')?;
    Some((generation.parse().ok()?, offset.parse().ok().filter(|offset| *offset < 1 << 62)?))
}

/// A log as it grows, then one event `end` with the state of the task. Whoever is cut off comes back with its place.
struct Growing {
    state: Arc<ApiState>,
    key: LogKey,
    place: (u32, u64),
    /// The last look found nothing new.
    rests: bool,
}

fn follow(state: Arc<ApiState>, key: LogKey, place: (u32, u64)) -> Result<Response, Problem> {
    let permit = Arc::clone(&service(&state).followers).try_acquire_owned().map_err(|_| {
        let text = "Too many logs are being followed. Please retry later.";
        Problem::new(ErrorCode::ServiceUnavailable, text).retry_after(5)
    })?;
    let source = Growing { state: Arc::clone(&state), key, place, rests: false };
    Ok(events::follow(state, permit, source))
}

impl Source for Growing {
    async fn tell(&mut self, told: &mut Vec<Bytes>) -> ControlFlow<()> {
        if self.rests {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        // Ends when the store is away, too.
        let flow = self.look(told).await.unwrap_or(ControlFlow::Break(()));
        self.rests = told.is_empty();
        flow
    }
}

impl Growing {
    /// Reads what is new. `None` when the store is away, or the task is gone.
    async fn look(&mut self, told: &mut Vec<Bytes>) -> Option<ControlFlow<()>> {
        let tasks = &self.state.services.store.tasks;
        // Before the log: what was printed until the end is in the log then.
        let task = tasks.task(self.key.task, None).await.ok()??;
        let done = task.attempt.number != self.key.attempt || task.attempt.state.is_final();
        let pieces = tasks.log(&self.key, self.place.0, self.place.1, 256 << 10).await.ok()?;
        if pieces.is_empty() && done {
            let body = json!({"state": task.attempt.state.as_str(), "reason": task.attempt.reason});
            told.push(event("end", None, &body.to_string()));
            return Some(ControlFlow::Break(()));
        }
        for piece in joined(pieces) {
            told.extend(self.take(&piece, done));
        }
        Some(ControlFlow::Continue(()))
    }

    /// The event for a piece, and the place after it. `None` as long as its only character is not whole.
    fn take(&mut self, piece: &LogPiece, done: bool) -> Option<Bytes> {
        // A character that is cut stays for the next piece.
        let whole = match std::str::from_utf8(&piece.bytes) {
            Err(error) if error.error_len().is_none() && (error.valid_up_to() > 0 || !done) => error.valid_up_to(),
            _ => piece.bytes.len(),
        };
        let next = piece.start + whole as u64;
        self.place = (piece.generation, next);
        let body = json!({
            "generation": piece.generation,
            "offset": piece.start,
            "text": String::from_utf8_lossy(&piece.bytes[..whole]),
        });
        let id = format!("{}:{next}", piece.generation);
        (whole > 0).then(|| event("log", Some(&id), &body.to_string()))
    }
}

/// Pieces that follow each other as one, so that characters are cut at the end only.
fn joined(pieces: Vec<LogPiece>) -> Vec<LogPiece> {
    let mut all: Vec<LogPiece> = Vec::new();
    for piece in pieces {
        match all.last_mut() {
            Some(last)
                if last.generation == piece.generation && last.start + last.bytes.len() as u64 == piece.start =>
            {
                last.bytes.extend(piece.bytes);
            }
            _ => all.push(piece),
        }
    }
    all
}
