//! `/search`: the rows of a split that match a text, best first.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use belvedere_domain::view::DigestBuilder;
use belvedere_domain::{ErrorCode, Revision};
use belvedere_engine::call::{RowMatch, Search, SearchPage, WantedRows};
use belvedere_engine::search::{Mode, Rules, is_searchable};
use belvedere_engine::{Call, ErrorKind, Reply};
use belvedere_jobs::search::Index;
use belvedere_jobs::{CallError, JobError};
use serde::Serialize;
use serde_json::value::RawValue;

use super::export::{self, Export};
use super::format::Shape;
use super::split::{self, Opened, RowsIndex, Split};
use super::{rows, serve};
use crate::error::ApiError;
use crate::headers::{is_known, not_modified};
use crate::params::{DEFAULT_LENGTH, Params, invalid};
use crate::state::ApiState;

/// Longest time a page may take beyond that for reading texts.
const LIMIT: Duration = Duration::from_secs(60);
/// Characters of a query.
const MAX_QUERY: usize = 4_096;

#[derive(Serialize)]
struct Item<'a> {
    row_idx: u64,
    row: &'a RawValue,
    truncated_cells: [&'static str; 0],
    #[serde(flatten)]
    extra: Option<Extra<'a>>,
}

/// What the reference does not tell of a row.
#[derive(Serialize)]
struct Extra<'a> {
    score: f64,
    matches: &'a [belvedere_engine::call::TextMatch],
}

impl<'a> Extra<'a> {
    fn of(found: &'a RowMatch) -> Self {
        Self { score: found.score, matches: &found.texts }
    }
}

/// What is looked for.
struct Wanted {
    query: String,
    mode: Mode,
    offset: u64,
    /// `None`: all.
    length: Option<u64>,
    rules: Rules,
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

async fn answer(state: &Arc<ApiState>, params: &Params, headers: &HeaderMap) -> Result<Response, ApiError> {
    params.require(&["dataset", "config", "split", "query"])?;
    let query = query(params)?;
    let mode = mode(params, state)?;
    let shape = Shape::of(params, headers, &state.settings)?;
    let (offset, length) = (params.offset()?, shape.length(params, &state.settings)?);
    let split = match split::open(state, params, headers).await? {
        Opened::Split(split) => split,
        Opened::Stored(response) => return Ok(response),
    };
    let features = split.index(state).await?.features.clone();
    if features.is_some_and(|features| !is_searchable(&features)) {
        return Err(nothing_to_search(state, split.revision()));
    }
    let rules = match belvedere_jobs::search::rules(&state.services, &split.found.key.dataset, split.revision()).await {
        Ok(rules) => rules,
        Err(JobError::RevisionGone) => return split.is_gone(state).await,
        Err(error) => return Err(ApiError::internal(&error)),
    };
    let wanted = Wanted { query, mode, offset, length, rules };
    match length {
        Some(length) if shape.is_plain() && length <= DEFAULT_LENGTH => whole(state, &split, &wanted, headers).await,
        _ => {
            let with_matches = shape.format == belvedere_engine::call::Format::Json && !state.settings.compat;
            let (_, found) = look(state, &split, &wanted, false, with_matches).await?;
            let extra = |found: &RowMatch| {
                let extra = serde_json::to_string(&Extra::of(found)).expect("matches have a JSON form");
                extra[1..extra.len() - 1].to_owned()
            };
            let extras = if with_matches { found.matches.iter().map(extra).collect() } else { Vec::new() };
            let export = Export {
                shape,
                rows: WantedRows::Listed(found.matches.iter().map(|found| found.row).collect()),
                num_rows_total: found.page.num_rows_total,
                extras,
                tag: wanted.tag(),
                split,
            };
            export::respond(state, export, headers).await
        }
    }
}

fn query(params: &Params) -> Result<String, ApiError> {
    let query = params.required("query")?;
    if query.chars().nth(MAX_QUERY).is_some() {
        return Err(too_long());
    }
    Ok(query.to_owned())
}

/// The reference knows one mode, and ignores the parameter.
fn mode(params: &Params, state: &ApiState) -> Result<Mode, ApiError> {
    match params.get("mode").filter(|_| !state.settings.compat) {
        None => Ok(Mode::default()),
        Some(name) => Mode::parse(name.trim())
            .ok_or_else(|| invalid("Parameter 'mode' must be one of any, all, phrase, substring".to_owned())),
    }
}

/// A page of the usual size, made at once.
async fn whole(state: &ApiState, split: &Split, wanted: &Wanted, headers: &HeaderMap) -> Result<Response, ApiError> {
    let etag = split.etag(&wanted.tag());
    // The same query always has the same answer: what the client holds of it is good without a look.
    if is_known(headers, &etag) {
        return Ok(not_modified(rows::respond(state, split.revision(), &etag, Body::empty())));
    }
    let with_matches = !state.settings.compat;
    let (index, found) = look(state, split, wanted, true, with_matches).await?;
    let body = body(&found, index.files.partial, with_matches);
    let urls = &state.services.settings.urls;
    let body = serve::with_urls(&body, urls, &serve::base_url(state, headers), split.revision());
    Ok(rows::respond(state, split.revision(), &etag, Body::from(body)))
}

/// The numbers of all rows that match a text, the best first.
///
/// # Errors
/// As those of a page.
pub(crate) async fn matching(state: &ApiState, split: &Split, query: &str, mode: Mode) -> Result<Vec<u64>, ApiError> {
    if query.chars().nth(MAX_QUERY).is_some() {
        return Err(too_long());
    }
    let features = split.index(state).await?.features.clone();
    if features.is_some_and(|features| !is_searchable(&features)) {
        return Err(nothing_to_search(state, split.revision()));
    }
    let rules = match belvedere_jobs::search::rules(&state.services, &split.found.key.dataset, split.revision()).await {
        Ok(rules) => rules,
        Err(JobError::RevisionGone) => return split.is_gone(state).await,
        Err(error) => return Err(ApiError::internal(&error)),
    };
    let wanted = Wanted { query: query.to_owned(), mode, offset: 0, length: None, rules };
    let (_, found) = look(state, split, &wanted, false, false).await?;
    Ok(found.matches.iter().map(|found| found.row).collect())
}

fn too_long() -> ApiError {
    invalid(format!("Parameter 'query' must not have more than {MAX_QUERY} characters"))
}

fn body(found: &SearchPage, partial: bool, with_matches: bool) -> String {
    let rows = found.page.rows.iter().zip(&found.matches).map(|(row, found)| Item {
        row_idx: found.row,
        row,
        truncated_cells: [],
        extra: with_matches.then(|| Extra::of(found)),
    });
    rows::body(&found.page, rows, partial)
}

impl Wanted {
    /// Part of an entity tag: different for answers with different rows.
    fn tag(&self) -> String {
        let rules = serde_json::to_vec(&self.rules).expect("rules have a JSON form");
        let digest = DigestBuilder::new("search", belvedere_engine::search::VERSION)
            .part("query", &self.query)
            .part("mode", self.mode.as_str())
            .part("rules", rules)
            .finish();
        let length = self.length.map_or_else(|| "all".to_owned(), |length| length.to_string());
        format!("search-{}-{}-{length}", &digest.to_hex()[..16], self.offset)
    }
}

/// Asks the engine, with the index if there is one.
async fn look(
    state: &ApiState,
    split: &Split,
    wanted: &Wanted,
    with_rows: bool,
    with_matches: bool,
) -> Result<(Arc<RowsIndex>, SearchPage), ApiError> {
    let services = &state.services;
    let built = belvedere_jobs::search::index(services, &split.found, &split.name).await?;
    let max_seconds = services.settings.search.max_scan_seconds;
    let question = |index: &RowsIndex| {
        Call::Search(Search {
            files: index.files.files.clone(),
            features: index.features.clone(),
            query: wanted.query.clone(),
            mode: wanted.mode,
            or_substring: wanted.mode == Mode::Any,
            rules: wanted.rules.clone(),
            index: match &built {
                Index::Ready(file) => Some(file.clone()),
                Index::Expected | Index::Never => None,
            },
            max_seconds,
            offset: wanted.offset,
            length: wanted.length.map_or(usize::MAX, |length| usize::try_from(length).unwrap_or(usize::MAX)),
            with_rows,
            with_matches,
            media: split.media(state),
        })
    };
    let limit = LIMIT + Duration::from_secs_f64(max_seconds.clamp(0.0, 1e6));
    let failure = |error| failure(state, error, &built, split.revision());
    match split.ask_or(state, limit, question, failure).await? {
        (index, Reply::Search(found)) => Ok((index, found)),
        _ => Err(ApiError::unexpected("a search was asked for, and something else came")),
    }
}

fn failure(state: &ApiState, error: CallError, built: &Index, revision: &Revision) -> ApiError {
    let CallError::Engine(engine) = &error else { return split::failure(error, revision) };
    match (engine.kind, built) {
        (ErrorKind::Empty, _) => nothing_to_search(state, revision),
        (ErrorKind::TimedOut | ErrorKind::TooBig, Index::Expected) => {
            let text = "The split is too large to be searched before its index is there. The index is being built; \
                        ask again later.";
            ApiError::new(ErrorCode::ResponseNotReady, text).at(revision)
        }
        (ErrorKind::TimedOut, Index::Ready(_)) => {
            let text = "Reading all texts for these characters takes longer than allowed. Look for whole words, with \
                        mode=any or mode=all, or for more characters.";
            invalid(text.to_owned()).at(revision)
        }
        (ErrorKind::TimedOut, Index::Never) => {
            let text = "The split is too large to be searched without an index, and it has none. The setting \
                        search_index.max_scan_seconds allows more time, search_index.enabled and \
                        search_index.max_split_size_bytes allow an index.";
            ApiError::new(ErrorCode::SearchFeatureNotAvailableError, text).at(revision)
        }
        (ErrorKind::TooBig, _) => {
            invalid(format!("Too many rows would have to be ranked: {}.", engine.message)).at(revision)
        }
        _ => split::failure(error, revision),
    }
}

/// The reference breaks on a split without text.
fn nothing_to_search(state: &ApiState, revision: &Revision) -> ApiError {
    if state.settings.compat {
        return ApiError::new(ErrorCode::UnexpectedApiError, "Unexpected error.").at(revision);
    }
    let text = "No column of the split holds text, so there is nothing to search.";
    ApiError::new(ErrorCode::SearchFeatureNotAvailableError, text).at(revision)
}
