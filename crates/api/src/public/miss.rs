//! What to say when an answer is not stored.

use belvedere_domain::view::COMPLETE;
use belvedere_domain::{ArtifactKey, ErrorCode, Revision};
use belvedere_jobs::heal::Loss;
use belvedere_jobs::refresh::Ensured;
use belvedere_store::Found;

use crate::error::ApiError;
use crate::state::ApiState;

/// It is not there and will not be.
pub(crate) fn not_found() -> ApiError {
    ApiError::new(ErrorCode::ResponseNotFound, "Not found.")
}

/// It is being prepared.
pub(crate) fn not_ready() -> ApiError {
    let text = "The server is busier than usual and the response is not ready yet. Please retry later.";
    ApiError::new(ErrorCode::ResponseNotReady, text)
}

/// What to say of files behind a view that are missing; `None` where they are not.
pub(crate) fn of_loss(loss: Loss, revision: &Revision) -> Option<ApiError> {
    match loss {
        Loss::None => None,
        Loss::Remaking => {
            let text = "The files behind the response were lost and are being made again, so it is not ready yet. \
                        Please retry later.";
            Some(ApiError::new(ErrorCode::ResponseNotReady, text).at(revision))
        }
        Loss::ForGood => {
            let text =
                format!("The files that were made for revision {revision} were lost. Ask for the newest revision.");
            Some(ApiError::new(ErrorCode::RevisionGone, text).at(revision))
        }
    }
}

/// True for an aggregate that lacks some of its parts.
pub(crate) fn is_incomplete(found: &Found) -> bool {
    found.stored.view.progress.is_some_and(|progress| progress < COMPLETE)
}

/// True while the parts that an incomplete aggregate lacks are still being made: for a while the complete one is worth
/// waiting for; after that the incomplete one is served, with its list of what is pending.
pub(crate) async fn is_settling(state: &ApiState, found: &Found) -> Result<bool, ApiError> {
    let Some(row) = state.services.store.datasets.get(&found.key.dataset).await? else { return Ok(false) };
    let age = (state.settings.clock)().seconds_since(row.target_since);
    if row.target != found.revision || age > state.settings.patience_seconds {
        return Ok(false);
    }
    let ancestors = state.services.graph.self_and_ancestors(&found.key.step);
    Ok(state.services.store.queue.has_pending(&found.key.dataset, &ancestors).await?)
}

/// Pending: come back. Known dataset: not found. Unknown dataset: start its jobs, come back.
pub(crate) async fn decide(
    state: &ApiState,
    key: &ArtifactKey,
    revision: Option<&Revision>,
) -> Result<ApiError, ApiError> {
    if let Some(revision) = revision {
        let row = state.services.store.datasets.get(&key.dataset).await?;
        if row.is_none_or(|row| row.target != *revision) {
            return Ok(if state.services.is_kept(&key.dataset, revision).await? {
                not_found()
            } else {
                ApiError::new(ErrorCode::RevisionGone, format!("Revision {revision} is not kept."))
            });
        }
    }
    let ancestors = state.services.graph.self_and_ancestors(&key.step);
    if state.services.store.queue.has_pending(&key.dataset, &ancestors).await? {
        return Ok(not_ready());
    }
    // Read again: the last job may have ended between the first look and this one.
    if state.services.store.views.read(key, revision, state.settings.patience_seconds).await?.is_some() {
        return Ok(not_ready());
    }
    if state.services.store.views.has_any(&key.dataset).await? {
        return Ok(not_found());
    }
    match state.refresher.ensure(&key.dataset).await {
        Ok(Ensured::Queued) => Ok(not_ready()),
        Ok(Ensured::Unknown) => Ok(not_found()),
        Ok(Ensured::Unsupported(code)) => Ok(ApiError::new(code, code.meaning())),
        Err(error) if error.is_busy() => Ok(not_ready()),
        Err(error) => Err(error.into()),
    }
}
