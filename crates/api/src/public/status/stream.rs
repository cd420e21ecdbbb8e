//! The status as events: one at once, and one after each change, until the client leaves or the server ends.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use belvedere_domain::{DatasetName, ErrorCode};
use futures::Stream;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::{Status, look};
use crate::auth::reading;
use crate::error::ApiError;
use crate::state::ApiState;

/// Looks are made when the queue tells of changes, and at least so often: other processes need not tell.
const LONGEST_REST: Duration = Duration::from_secs(2);
const SHORTEST_REST: Duration = Duration::from_millis(100);
/// Rest after a look, in multiples of what it took, so that large datasets keep nobody busy.
const REST: u32 = 10;

struct Following {
    state: Arc<ApiState>,
    dataset: DatasetName,
    /// Whoever may not read any more hears no more.
    headers: HeaderMap,
    wakeups: watch::Receiver<u64>,
    told: Option<Status>,
    rest: Duration,
    has_ended: bool,
    _place: OwnedSemaphorePermit,
}

/// Follows a dataset.
///
/// # Errors
/// Too many clients do; the first look fails.
pub(super) async fn follow(
    state: Arc<ApiState>,
    dataset: DatasetName,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let place = Arc::clone(&state.status_streams).try_acquire_owned().map_err(|_| {
        ApiError::new(ErrorCode::ServiceUnavailable, "Too many clients follow datasets. Please retry later.")
    })?;
    let wakeups = state.services.store.queue.wakeups();
    // What fails at once is an ordinary error.
    let first = look(&state, &dataset).await?;
    let first_event = event(&first);
    let following = Following {
        state,
        dataset,
        headers,
        wakeups,
        told: Some(first),
        rest: SHORTEST_REST,
        has_ended: false,
        _place: place,
    };
    let rest = futures::stream::unfold(following, |mut following| async move {
        let event = following.next().await?;
        Some((Ok(event), following))
    });
    let events = futures::StreamExt::chain(futures::stream::once(std::future::ready(Ok(first_event))), rest);
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}

impl Following {
    /// The next change; `None` at the end.
    async fn next(&mut self) -> Option<Event> {
        while !self.has_ended {
            let wait = async {
                tokio::time::sleep(self.rest).await;
                // A closed channel would never let it rest.
                let _ = tokio::time::timeout(LONGEST_REST, self.wakeups.changed()).await;
            };
            tokio::select! {
                () = wait => {}
                () = self.state.stop.cancelled() => return self.end("the server stops"),
            }
            self.wakeups.mark_unchanged();
            let started = Instant::now();
            let found = match reading::readable(&self.state, self.dataset.as_str(), &self.headers).await {
                Ok(dataset) => look(&self.state, &dataset).await,
                Err(error) => Err(error),
            };
            self.rest = (started.elapsed() * REST).max(SHORTEST_REST);
            match found {
                Ok(status) if self.told.as_ref() == Some(&status) => {}
                Ok(status) => {
                    let event = event(&status);
                    self.told = Some(status);
                    return Some(event);
                }
                Err(error) => return self.end(error.message()),
            }
        }
        None
    }

    fn end(&mut self, why: &str) -> Option<Event> {
        self.has_ended = true;
        Some(Event::default().event("error").data(why))
    }
}

fn event(status: &Status) -> Event {
    Event::default().event("status").data(serde_json::to_string(status).unwrap_or_default())
}
