//! `/sse/hub-cache`: what is stored of the step `dataset-hub-cache`, and how it changes, as server-sent events.
//!
//! Every subscriber has a bounded number of changes before it; one that falls behind is told so and its stream ends, as
//! do all of them when the server does. A client that connects again asks with `all=true` for everything as it is now.

mod feed;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use belvedere_domain::ErrorCode;
use bytes::Bytes;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use crate::auth::reading::Onlooker;
use crate::error::ApiError;
use crate::params::Params;
use crate::state::ApiState;

pub(crate) use feed::Feed;
use feed::{Change, Subscription, change_of, page};

/// Time between two comments that keep the connection open.
const PING: Duration = Duration::from_secs(15);
/// Artifacts that are read at a time for `all=true`.
const PAGE: u32 = 200;

/// Begins a stream.
pub(crate) async fn hub_cache(
    State(state): State<Arc<ApiState>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let onlooker = Onlooker::of(&state, &headers).await?;
    let everything = Params::parse(query.as_deref()).get("all").is_some_and(|all| all.eq_ignore_ascii_case("true"));
    let Some(subscription) = state.feed.subscribe(&state).await? else {
        return Err(ApiError::new(
            ErrorCode::ServiceUnavailable,
            "Too many clients follow this stream. Please retry later.",
        ));
    };
    let stream = Stream {
        state,
        onlooker,
        subscription,
        next_page: everything.then_some(0),
        ready: VecDeque::new(),
        ping: tokio::time::interval_at(tokio::time::Instant::now() + PING, PING),
        has_ended: false,
    };
    let body = futures::stream::unfold(stream, |mut stream| async move {
        let frame = stream.next().await?;
        Some((Ok::<Bytes, std::convert::Infallible>(frame), stream))
    });
    let mut response = Response::new(Body::from_stream(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("keep-alive"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// One client's stream.
struct Stream {
    state: Arc<ApiState>,
    /// Who listens, and so hears of what they may know of.
    onlooker: Onlooker,
    subscription: Subscription,
    /// The id after which the next page of what is stored begins; `None`: all of it was sent, or is not wanted.
    next_page: Option<i64>,
    ready: VecDeque<Bytes>,
    ping: tokio::time::Interval,
    has_ended: bool,
}

impl Stream {
    /// The next frame; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Some(frame);
            }
            if self.has_ended {
                return None;
            }
            match self.next_page {
                Some(after) => self.read_page(after).await,
                None => self.wait().await,
            }
        }
    }

    /// Takes what has changed meanwhile, then the next page of what is stored.
    async fn read_page(&mut self, after: i64) {
        loop {
            match self.subscription.changes.try_recv() {
                Ok(change) => self.tell(change).await,
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Lagged(_)) => return self.end("the client is too slow"),
                Err(TryRecvError::Closed) => return self.end("the changes cannot be followed any more"),
            }
        }
        match page(&self.state.services.store, after, PAGE).await {
            Ok(reports) => {
                self.next_page = reports.last().map(|report| report.id);
                for report in &reports {
                    self.tell(change_of(&report.key.dataset, report)).await;
                }
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a stream of events found the database away");
                self.end("what is stored cannot be read");
            }
        }
    }

    async fn wait(&mut self) {
        tokio::select! {
            change = self.subscription.changes.recv() => match change {
                Ok(change) => self.tell(change).await,
                Err(RecvError::Lagged(_)) => self.end("the client is too slow"),
                Err(RecvError::Closed) => self.end("the changes cannot be followed any more"),
            },
            _ = self.ping.tick() => {
                // With a space and a zone, as the reference writes it.
                let now = (self.state.settings.clock)().to_string().replacen('T', " ", 1);
                self.ready.push_back(Bytes::from(format!(": ping - {now}+00:00\r\n\r\n")));
            },
            () = self.state.stop.cancelled() => self.end("the server stops"),
        }
    }

    /// Sends a change to who may know of it.
    async fn tell(&mut self, change: Change) {
        match self.onlooker.may_see(&self.state, &change.dataset).await {
            Ok(true) => self.ready.push_back(change.frame),
            Ok(false) => {}
            Err(_) => self.end("what is stored cannot be read"),
        }
    }

    fn end(&mut self, why: &str) {
        self.has_ended = true;
        self.ready.push_back(Bytes::from(format!("event: error\r\ndata: {why}\r\n\r\n")));
    }
}

/// The operation for the document of the API.
pub(crate) fn openapi() -> serde_json::Value {
    serde_json::json!({
        "summary": "What the Hub shows of each dataset (preview, viewer, size, libraries, formats, modalities), and every \
                    change of it, as server-sent events.",
        "parameters": [{
            "name": "all",
            "in": "query",
            "required": false,
            "description": "`true`: first everything as it is now. Without it, only what changes from now on.",
            "schema": {"type": "string"},
        }],
        "responses": {
            "200": {
                "description": "A stream without end. `data` is an object with `dataset` and `hub_cache`, which is null for an \
                                error or a dataset that is gone. A last event `error` tells why the server ends the stream.",
                "content": {"text/event-stream": {}},
            },
            "503": {"description": "Too many clients follow the stream."},
        },
    })
}
