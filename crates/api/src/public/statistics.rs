//! `/statistics?where=`: figures of the rows that match a condition, in the bins of all rows, so that one can be drawn
//! beside the other. Computed while the client waits, and stopped when it leaves.

use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use belvedere_domain::view::DigestBuilder;
use belvedere_domain::{ArtifactKey, Digest, Recent, StepName};
use belvedere_engine::Reply;
use belvedere_engine::call::{QueryText, SelectedRows};
use belvedere_jobs::JobError;
use belvedere_jobs::content::DescriptiveStatistics;
use belvedere_store::Found;
use bytes::Bytes;
use serde::Serialize;

use super::split::{self, Opened, RowsIndex, Split};
use super::{filter, miss, serve};
use crate::error::ApiError;
use crate::headers::{is_known, max_age, not_modified};
use crate::metrics::Lookups;
use crate::params::Params;
use crate::state::ApiState;

/// Answers that are kept, and their bytes in all.
const KEPT: usize = 64;
const KEPT_BYTES: u64 = 8 << 20;

/// The view of all rows, and the condition.
type Key = (Digest, String);

/// Recent answers.
pub(crate) struct SelectedStatistics {
    kept: Mutex<Recent<Key, Bytes>>,
    lookups: Lookups,
}

impl Default for SelectedStatistics {
    fn default() -> Self {
        Self { kept: Mutex::new(Recent::new(KEPT, KEPT_BYTES)), lookups: Lookups::default() }
    }
}

#[derive(Serialize)]
struct Answer<'a> {
    /// Rows of all.
    num_rows_total: u64,
    #[serde(flatten)]
    selected: &'a DescriptiveStatistics,
}

/// True for a request about some of the rows.
pub(crate) fn is_about_some(state: &ApiState, params: &Params) -> bool {
    // The reference does not know the parameter, and so passes over it.
    !state.settings.compat && params.get("where").is_some()
}

/// Figures of the rows that match.
///
/// # Errors
/// What is wrong with the request or the condition, that the figures of all rows are not there yet, or that it costs too
/// much.
pub(crate) async fn answer(state: &ApiState, params: &Params, headers: &HeaderMap) -> Result<Response, ApiError> {
    params.require(&["dataset", "config", "split"])?;
    let condition = params.required("where")?.to_owned();
    let query = QueryText { condition: Some(condition.clone()), order: None, reference: false };
    let query = filter::readable(query).await?;
    let split = match split::open(state, params, headers).await? {
        Opened::Split(split) => split,
        Opened::Stored(response) => return Ok(response),
    };
    let all = match all_rows(state, &split).await? {
        Some(found) if found.stored.view.outcome.is_ok() => found,
        Some(found) => return Ok(serve::view(state, &found, headers)),
        None => return Err(miss::decide(state, &key_of(&split), Some(split.revision())).await?),
    };
    let tag = DigestBuilder::new("statistics-of-some", 1)
        .part("all", all.stored.digest.as_bytes())
        .part("where", &condition)
        .finish();
    let etag = format!("W/\"{}-{}\"", &tag.to_hex()[..24], split.revision());
    let age = max_age(state.settings.max_age_long);
    let respond = |body| serve::json(StatusCode::OK, age, split.revision(), Some(&etag), body);
    if is_known(headers, &etag) {
        return Ok(not_modified(respond(Body::empty())));
    }
    let key = (all.stored.digest, condition);
    let body = match state.statistics.get(&key) {
        Some(body) => body,
        None => {
            let body = Bytes::from(describe(state, &split, &all, query).await?);
            state.statistics.keep(key, body.clone());
            body
        }
    };
    Ok(respond(Body::from(body)))
}

fn key_of(split: &Split) -> ArtifactKey {
    let of_config = &split.found.key;
    ArtifactKey {
        step: StepName::known("split-descriptive-statistics"),
        dataset: of_config.dataset.clone(),
        config: of_config.config.clone(),
        split: Some(split.name.clone()),
    }
}

/// The figures of all rows of the same revision.
async fn all_rows(state: &ApiState, split: &Split) -> Result<Option<Found>, ApiError> {
    let views = &state.services.store.views;
    Ok(views.read(&key_of(split), Some(split.revision()), state.settings.patience_seconds).await?)
}

async fn describe(state: &ApiState, split: &Split, all: &Found, query: QueryText) -> Result<String, ApiError> {
    let view = &all.stored.view;
    let whole: DescriptiveStatistics =
        serde_json::from_str(view.content.as_str()).map_err(|error| ApiError::internal(&error))?;
    let frames: Option<_> = view.internal.parse().map_err(|error| ApiError::internal(&error))?;
    let settings = state.settings.query;
    let selected = SelectedRows { query, budget: settings.budget(), frames: frames.unwrap_or_default() };
    let dataset = &split.found.key.dataset;
    let place = split.found.key.config.as_ref().map(|config| (config, &split.name));
    let features = split.index(state).await?.features.clone();
    let linked = match place {
        Some(place) => state.services.files.media_of(dataset, split.revision(), place, features.as_ref()).await,
        None => Ok(Vec::new()),
    };
    let linked = match linked {
        Ok(linked) => linked,
        Err(JobError::RevisionGone) => return split.is_gone(state).await,
        Err(error) => return Err(ApiError::away(&error).at(split.revision())),
    };
    let question = |index: &RowsIndex| {
        let statistics = &state.services.settings.descriptive_statistics;
        let (files, features) = (index.files.files.clone(), index.features.clone());
        statistics.call(dataset, files, features, Some(selected.clone()), linked.clone())
    };
    let _permit = state.selections.permit().await;
    let (index, Reply::Statistics(found)) = split.ask(state, settings.limit(), question).await? else {
        return Err(ApiError::unexpected("statistics were asked for, and something else came"));
    };
    let selected = DescriptiveStatistics {
        num_examples: found.num_examples,
        statistics: found.statistics,
        partial: found.partial || index.files.partial,
        more_statistics: found.more_statistics,
    };
    let answer = Answer { num_rows_total: whole.num_examples, selected: &selected };
    serde_json::to_string(&answer).map_err(|error| ApiError::internal(&error))
}

impl SelectedStatistics {
    /// How often an answer was there.
    pub(crate) fn lookups(&self) -> &Lookups {
        &self.lookups
    }

    fn get(&self, key: &Key) -> Option<Bytes> {
        self.lookups.count(self.lock().get(key).cloned())
    }

    fn keep(&self, key: Key, body: Bytes) {
        let bytes = key.1.len() + body.len();
        self.lock().keep(key, body, bytes as u64);
    }

    fn lock(&self) -> MutexGuard<'_, Recent<Key, Bytes>> {
        // It is a cache: a panic leaves nothing half-done that matters.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
