//! What ties the lines of a log to a request: a number, a span that carries it, and a line when the request is answered.
//!
//! A number that the client or a proxy sends is kept if it is harmless; otherwise one is made. The answer tells it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::level_filters::LevelFilter;
use tracing::{Instrument, Level, Span};

use crate::state::ApiState;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest number of a client that is kept, in bytes.
const MAX_ID_BYTES: usize = 128;
/// Longest path in the log, in bytes.
const MAX_PATH_BYTES: usize = 300;

/// Whether a line is logged for each request, and how loud.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum RequestLog {
    /// None.
    Off,
    /// At the level `debug`.
    #[default]
    Debug,
    /// At the level `info`.
    Info,
}

impl RequestLog {
    /// Whether anybody may read the line.
    fn is_heard(self) -> bool {
        let level = match self {
            Self::Off => return false,
            Self::Debug => Level::DEBUG,
            Self::Info => Level::INFO,
        };
        level <= LevelFilter::current()
    }

    /// Logs the line, within the span of the request.
    fn write(self, path: &str, status: u16, started: Instant) {
        let duration_ms = started.elapsed().as_secs_f64() * 1e3;
        match self {
            Self::Off => {}
            Self::Debug => tracing::debug!(path, status, duration_ms, "answered"),
            Self::Info => tracing::info!(path, status, duration_ms, "answered"),
        }
    }
}

/// Makes numbers that no other request of this or another process has.
pub(crate) struct RequestIds {
    process: String,
    next: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new() -> Self {
        Self { process: format!("{:08x}", rand::random::<u32>()), next: AtomicU64::new(1) }
    }

    fn make(&self) -> String {
        format!("{}-{:08x}", self.process, self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// Gives a request its number and its span, and logs how it was answered. Of the address only the path is logged: what
/// follows the `?` may be private, or a signature.
pub(crate) async fn follow(State(state): State<Arc<ApiState>>, request: Request, next: Next) -> Response {
    let id = given(request.headers()).unwrap_or_else(|| state.request_ids.make());
    let log = state.settings.log_requests;
    let path = (log != RequestLog::Off).then(|| shortened(request.uri().path()).to_owned());
    let span = span_of(&request, &id);
    let header = HeaderValue::from_str(&id).ok();
    async move {
        let started = Instant::now();
        let mut response = next.run(request).await;
        log.write(path.as_deref().unwrap_or_default(), response.status().as_u16(), started);
        if let Some(header) = header {
            response.headers_mut().insert(REQUEST_ID, header);
        }
        response
    }
    .instrument(span)
    .await
}

/// As [`follow`], for an answer that nothing was to be done for.
pub(crate) fn follow_at_once(state: &ApiState, request: &Request, response: &mut Response, started: Instant) {
    let id = given(request.headers()).unwrap_or_else(|| state.request_ids.make());
    let log = state.settings.log_requests;
    // A span costs more than the answer, and is for lines.
    if log.is_heard() {
        let status = response.status().as_u16();
        span_of(request, &id).in_scope(|| log.write(shortened(request.uri().path()), status, started));
    }
    if let Ok(header) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, header);
    }
}

fn span_of(request: &Request, id: &str) -> Span {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    // At the level of errors, so that no line about a request is without it.
    tracing::error_span!("request", request.id = id, http.method = %request.method(), http.route = route)
}

/// The number that came with the request, if it can be shown and searched for as it is.
fn given(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:+/=@".contains(&byte);
    (!id.is_empty() && id.len() <= MAX_ID_BYTES && id.bytes().all(is_plain)).then(|| id.to_owned())
}

fn shortened(path: &str) -> &str {
    &path[..path.floor_char_boundary(MAX_PATH_BYTES)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(value: &[u8]) -> HeaderMap {
        HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_bytes(value).unwrap())])
    }

    #[test]
    fn only_harmless_numbers_are_kept() {
        assert_eq!(given(&header(b"7f:3/a_b=-.")).as_deref(), Some("7f:3/a_b=-."));
        let long = "a".repeat(MAX_ID_BYTES + 1);
        for bad in [&b""[..], b"a b", b"a\tb", b"\"", b"{}", "é".as_bytes(), long.as_bytes()] {
            assert_eq!(given(&header(bad)), None, "{bad:?}");
        }
    }

    #[test]
    fn numbers_differ() {
        let ids = RequestIds::new();
        assert_ne!(ids.make(), ids.make());
        assert_ne!(ids.process, RequestIds::new().process);
    }
}
