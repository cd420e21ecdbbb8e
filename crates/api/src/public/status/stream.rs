//! The status as events: one at once, and one after each change, until the client leaves or the server ends.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use axum::response::Response;
use belvedere_domain::{DatasetName, ErrorCode};
use bytes::Bytes;
use tokio::sync::watch;

use super::{Status, look};
use crate::auth::reading;
use crate::error::ApiError;
use crate::events::{self, Source, event};
use crate::state::ApiState;

/// Looks are made when the queue tells of changes, and at least so often: other processes need not tell.
const LONGEST_REST: Duration = Duration::from_secs(2);
const SHORTEST_REST: Duration = Duration::from_millis(100);
/// Rest after a look, in multiples of what it took, so that large datasets keep nobody busy.
const REST: u32 = 10;

/// The status of a dataset as it changes.
struct Changes {
    state: Arc<ApiState>,
    dataset: DatasetName,
    /// Whoever may not read any more hears no more.
    headers: HeaderMap,
    wakeups: watch::Receiver<u64>,
    found: Status,
    is_told: bool,
    rest: Duration,
}

/// Follows a dataset.
///
/// # Errors
/// Too many clients do; the first look fails.
pub(super) async fn follow(
    state: Arc<ApiState>,
    dataset: DatasetName,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let place = Arc::clone(&state.status_streams).try_acquire_owned().map_err(|_| {
        ApiError::new(ErrorCode::ServiceUnavailable, "Too many clients follow datasets. Please retry later.")
    })?;
    let wakeups = state.services.store.queue.wakeups();
    // What fails at once is an ordinary error.
    let found = look(&state, &dataset).await?;
    let (is_told, rest) = (false, SHORTEST_REST);
    let source = Changes { state: Arc::clone(&state), dataset, headers, wakeups, found, is_told, rest };
    Ok(events::follow(state, place, source))
}

impl Source for Changes {
    async fn tell(&mut self, told: &mut Vec<Bytes>) -> ControlFlow<()> {
        if self.is_told {
            tokio::time::sleep(self.rest).await;
            // A closed channel would never let it rest.
            let _ = tokio::time::timeout(LONGEST_REST, self.wakeups.changed()).await;
            self.wakeups.mark_unchanged();
            let started = Instant::now();
            let found = match reading::readable(&self.state, self.dataset.as_str(), &self.headers).await {
                Ok(dataset) => look(&self.state, &dataset).await,
                Err(error) => Err(error),
            };
            self.rest = (started.elapsed() * REST).max(SHORTEST_REST);
            match found {
                Ok(status) if self.found == status => return ControlFlow::Continue(()),
                Ok(status) => self.found = status,
                Err(error) => {
                    told.push(event("error", None, error.message()));
                    return ControlFlow::Break(());
                }
            }
        }
        self.is_told = true;
        told.push(event("status", None, &serde_json::to_string(&self.found).unwrap_or_default()));
        ControlFlow::Continue(())
    }

    fn farewell() -> Option<Bytes> {
        Some(event("error", None, "the server stops"))
    }
}
