//! `/sse/hub-cache`: what is stored of the step `dataset-hub-cache`, and how it changes, as server-sent events.
//!
//! Every subscriber has a bounded number of changes before it; one that falls behind is told so and its stream ends, as
//! do all of them when the server does. A client that connects again asks with `all=true` for everything as it is now.

mod feed;

use std::ops::ControlFlow;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use belvedere_domain::ErrorCode;
use bytes::Bytes;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use crate::auth::reading::Onlooker;
use crate::error::ApiError;
use crate::events::{self, Source};
use crate::params::Params;
use crate::state::ApiState;

pub(crate) use feed::Feed;
use feed::{Change, change_of, page};

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
    let Some((place, changes)) = state.feed.subscribe(&state).await? else {
        return Err(ApiError::new(
            ErrorCode::ServiceUnavailable,
            "Too many clients follow this stream. Please retry later.",
        ));
    };
    let source = Changes { state: Arc::clone(&state), onlooker, changes, next_page: everything.then_some(0) };
    let mut response = events::follow(state, place, source);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("keep-alive"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// What one client hears: all that is stored, if wanted, and the changes since it came. Lines end as in the reference.
struct Changes {
    state: Arc<ApiState>,
    /// Who listens, and so hears of what they may know of.
    onlooker: Onlooker,
    changes: Receiver<Change>,
    /// The id after which the next page of what is stored begins; `None`: all of it was sent, or is not wanted.
    next_page: Option<i64>,
}

impl Source for Changes {
    async fn tell(&mut self, told: &mut Vec<Bytes>) -> ControlFlow<()> {
        if let Some(after) = self.next_page {
            return self.read_page(after, told).await;
        }
        match self.changes.recv().await {
            Ok(change) => self.pass(change, told).await,
            Err(RecvError::Lagged(_)) => end(told, "the client is too slow"),
            Err(RecvError::Closed) => end(told, "the changes cannot be followed any more"),
        }
    }

    fn farewell() -> Option<Bytes> {
        Some(error("the server stops"))
    }

    fn comment(state: &ApiState) -> Bytes {
        // With a space and a zone, as the reference writes it.
        let now = (state.settings.clock)().to_string().replacen('T', " ", 1);
        Bytes::from(format!(": ping - {now}+00:00\r\n\r\n"))
    }
}

impl Changes {
    /// Takes what has changed meanwhile, then the next page of what is stored.
    async fn read_page(&mut self, after: i64, told: &mut Vec<Bytes>) -> ControlFlow<()> {
        loop {
            match self.changes.try_recv() {
                Ok(change) => self.pass(change, told).await?,
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Lagged(_)) => return end(told, "the client is too slow"),
                Err(TryRecvError::Closed) => return end(told, "the changes cannot be followed any more"),
            }
        }
        match page(&self.state.services.store, after, PAGE).await {
            Ok(reports) => {
                self.next_page = reports.last().map(|report| report.id);
                for report in &reports {
                    self.pass(change_of(&report.key.dataset, report), told).await?;
                }
                ControlFlow::Continue(())
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a stream of events found the database away");
                end(told, "what is stored cannot be read")
            }
        }
    }

    /// Tells a change to who may know of it.
    async fn pass(&mut self, change: Change, told: &mut Vec<Bytes>) -> ControlFlow<()> {
        match self.onlooker.may_see(&self.state, &change.dataset).await {
            Ok(true) => told.push(change.frame),
            Ok(false) => {}
            Err(_) => return end(told, "what is stored cannot be read"),
        }
        ControlFlow::Continue(())
    }
}

fn end(told: &mut Vec<Bytes>, why: &str) -> ControlFlow<()> {
    told.push(error(why));
    ControlFlow::Break(())
}

fn error(why: &str) -> Bytes {
    Bytes::from(format!("event: error\r\ndata: {why}\r\n\r\n"))
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
