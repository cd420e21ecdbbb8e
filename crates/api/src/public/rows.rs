//! `/rows`: any page of rows of a split, straight from its Parquet files.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use belvedere_domain::{ArtifactKey, ConfigName, Digest, ErrorCode, Features, Revision, SplitName, StepName};
use belvedere_engine::call::{PageOfRows, Rows};
use belvedere_engine::{Call, ErrorKind, Reply};
use belvedere_jobs::files::{SplitFiles, media_target};
use belvedere_jobs::{CallError, JobError};
use belvedere_store::Found;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{miss, serve};
use crate::error::ApiError;
use crate::headers::{is_known, max_age, not_modified};
use crate::params::{MAX_LENGTH, Params};
use crate::state::ApiState;

/// Longest time a page may take.
const LIMIT: Duration = Duration::from_secs(60);
/// Splits whose lists of files are kept parsed.
const KEPT_INDEXES: usize = 256;

/// Parsed lists of files by split and view: a page then costs no parsing.
pub(crate) type RowsIndexCache = Mutex<HashMap<(Digest, Revision, SplitName), Arc<RowsIndex>>>;

/// What pages of a split are read by.
pub(crate) struct RowsIndex {
    files: SplitFiles,
    features: Option<Features>,
}

#[derive(Serialize)]
struct Answer<'a> {
    features: serde_json::Value,
    rows: Vec<Item<'a>>,
    num_rows_total: u64,
    num_rows_per_page: u64,
    partial: bool,
}

#[derive(Serialize)]
struct Item<'a> {
    row_idx: u64,
    row: &'a RawValue,
    truncated_cells: [&'static str; 0],
}

/// The handler.
pub(crate) async fn get(
    State(state): State<Arc<ApiState>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let short = state.settings.max_age_short;
    answer(&state, &Params::parse(query.as_deref()), &headers).await.map_err(|error| error.keep(short))
}

async fn answer(state: &ApiState, params: &Params, headers: &HeaderMap) -> Result<Response, ApiError> {
    let (dataset, config, split) = (params.required("dataset")?, params.required("config")?, params.required("split")?);
    let (offset, length, revision) = (params.offset()?, params.length()?, params.revision()?);
    let dataset = miss::check_access(state, dataset, headers).await?;
    let (Ok(config), Ok(split)) = (ConfigName::new(config), SplitName::new(split)) else {
        return Err(miss::not_found());
    };
    let key = ArtifactKey::config(StepName::known("config-parquet-metadata"), dataset, config);
    let found = state.services.store.views.read(&key, revision.as_ref(), state.settings.patience_seconds).await?;
    let Some(found) = found else { return Err(miss::decide(state, &key, revision.as_ref()).await?) };
    if !found.stored.view.outcome.is_ok() {
        return Ok(serve::view(state, &found, headers));
    }
    let etag = format!("W/\"{}-{}-{split}-{offset}-{length}\"", &found.stored.digest.to_hex()[..24], found.revision);
    // A page never changes: what the client holds of it is good without reading a file.
    if !is_known(headers, &etag) {
        let (index, page) = page(state, &found, &split, offset, length).await?;
        let body = body(&page, offset, index.files.partial);
        let urls = &state.services.settings.urls;
        let body = serve::with_urls(&body, urls, &serve::base_url(state, headers), &found.revision);
        return Ok(respond(state, &found.revision, &etag, Body::from(body)));
    }
    Ok(not_modified(respond(state, &found.revision, &etag, Body::empty())))
}

/// Reads a page by the list of files at hand. Where that turns out to be old, the list is made anew.
async fn page(
    state: &ApiState,
    found: &Found,
    split: &SplitName,
    offset: u64,
    length: u64,
) -> Result<(Arc<RowsIndex>, PageOfRows), ApiError> {
    for may_be_old in [true, false] {
        let index = index(state, found, split).await?;
        match read(state, found, split, &index, offset, length).await {
            Ok(page) => return Ok((index, page)),
            Err(CallError::Engine(error)) if error.kind == ErrorKind::Changed => {
                lock(state).remove(&key_of(found, split));
                if !may_be_old {
                    break;
                }
            }
            Err(error) => return Err(failure(error, &found.revision)),
        }
    }
    state.refresher.lost(&found.key.dataset, &found.revision).await?;
    Err(revision_gone(&found.revision))
}

fn key_of(found: &Found, split: &SplitName) -> (Digest, Revision, SplitName) {
    (found.stored.digest, found.revision.clone(), split.clone())
}

async fn index(state: &ApiState, found: &Found, split: &SplitName) -> Result<Arc<RowsIndex>, ApiError> {
    let key = key_of(found, split);
    if let Some(index) = lock(state).get(&key) {
        return Ok(Arc::clone(index));
    }
    let files = match state.services.files.parquet_files(found, split).await {
        Ok(files) => files,
        Err(JobError::RevisionGone) => {
            state.refresher.lost(&found.key.dataset, &found.revision).await?;
            return Err(revision_gone(&found.revision));
        }
        Err(error) => return Err(ApiError::internal(&error)),
    };
    if files.files.is_empty() {
        // Today's reference breaks here; a split that does not exist is simply not found.
        return Err(if state.settings.compat {
            ApiError::new(ErrorCode::UnexpectedApiError, "Unexpected error.")
        } else {
            miss::not_found()
        });
    }
    #[derive(serde::Deserialize)]
    struct Content {
        features: Option<Features>,
    }
    let content: Result<Content, _> = serde_json::from_str(found.stored.view.content.as_str());
    let features = content.map_err(|error| ApiError::internal(&error))?.features;
    let index = Arc::new(RowsIndex { files, features });
    let mut cache = lock(state);
    if cache.len() >= KEPT_INDEXES {
        cache.clear();
    }
    cache.insert(key, Arc::clone(&index));
    Ok(index)
}

fn lock(state: &ApiState) -> std::sync::MutexGuard<'_, HashMap<(Digest, Revision, SplitName), Arc<RowsIndex>>> {
    state.rows.lock().expect("never poisoned: no code panics while holding it")
}

async fn read(
    state: &ApiState,
    found: &Found,
    split: &SplitName,
    index: &RowsIndex,
    offset: u64,
    length: u64,
) -> Result<PageOfRows, CallError> {
    let services = &state.services;
    let dataset = &found.key.dataset;
    let urls = &services.settings.urls;
    let directory = state.settings.cached_assets.join(belvedere_jobs::files::asset_directory(
        dataset,
        found.revision.as_str(),
        found.key.config.as_ref(),
        Some(split),
    ));
    let (config, revision) = (found.key.config.as_ref(), found.revision.as_str());
    let call = Call::Rows(Rows {
        files: index.files.files.clone(),
        features: index.features.clone(),
        offset,
        length: length as usize,
        max_read_bytes: services.settings.parquet.max_read_bytes,
        max_columns: None,
        media: media_target(&urls.cached_assets, &urls.hub, dataset, revision, config, Some(split), &directory),
    });
    let caller = if index.files.trusted { &services.trusted } else { &services.children };
    match caller.call(call, LIMIT).await? {
        Reply::Rows(page) => Ok(page),
        _ => Err(CallError::Died("answered another question".into())),
    }
}

fn revision_gone(revision: &Revision) -> ApiError {
    let text = format!("The files of revision {revision} have changed since it was read. Ask again for the new one.");
    ApiError::new(ErrorCode::RevisionGone, text).at(revision)
}

fn failure(error: CallError, revision: &Revision) -> ApiError {
    let error = match error {
        CallError::Engine(error) => error,
        other => return ApiError::internal(&other).at(revision),
    };
    match error.kind {
        ErrorKind::TooBig => {
            let text = "Too much data would have to be read for this page. \
                        Write the Parquet files with a page index or smaller row groups.";
            ApiError::too_big(text).at(revision).because("TooBigError", error.to_string())
        }
        ErrorKind::Cell | ErrorKind::SchemaMismatch | ErrorKind::Incompatible | ErrorKind::Unreadable => {
            let text = format!("Server error while reading the rows: {error}");
            ApiError::new(ErrorCode::TransformRowsProcessingError, text)
                .at(revision)
                .because(&format!("{:?}Error", error.kind), error.to_string())
        }
        _ => ApiError::internal(&error).at(revision),
    }
}

fn body(page: &PageOfRows, offset: u64, partial: bool) -> String {
    let answer = Answer {
        features: page.features.to_list_json(),
        rows: (offset..).zip(&page.rows).map(|(row_idx, row)| Item { row_idx, row, truncated_cells: [] }).collect(),
        num_rows_total: page.num_rows_total.unwrap_or_default(),
        num_rows_per_page: MAX_LENGTH,
        partial,
    };
    serde_json::to_string(&answer).expect("rows are JSON already")
}

fn respond(state: &ApiState, revision: &Revision, etag: &str, body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, max_age(state.settings.max_age_long));
    for (name, value) in [("x-revision", revision.as_str()), ("etag", etag)] {
        // Split names may hold letters that a header cannot; such a page goes without a tag.
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
    response
}
