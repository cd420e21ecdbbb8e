//! `/rows`: any page of rows of a split, straight from its Parquet files.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use belvedere_domain::Revision;
use belvedere_engine::call::{PageOfRows, Rows, WantedRows};
use belvedere_engine::{Call, Reply};
use serde::Serialize;
use serde_json::value::RawValue;

use super::export::{self, Export};
use super::format::Shape;
use super::serve;
use super::split::{self, Opened, RowsIndex, Split};
use crate::error::ApiError;
use crate::headers::{is_known, max_age, not_modified};
use crate::params::{DEFAULT_LENGTH, Params};
use crate::state::ApiState;

/// Longest time a page may take.
const LIMIT: Duration = Duration::from_secs(60);

/// A page, whatever is told of its rows.
#[derive(Serialize)]
struct Answer<I> {
    features: serde_json::Value,
    rows: Vec<I>,
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

async fn answer(state: &Arc<ApiState>, params: &Params, headers: &HeaderMap) -> Result<Response, ApiError> {
    params.require(&["dataset", "config", "split"])?;
    let shape = Shape::of(params, headers, &state.settings)?;
    let (offset, length) = (params.offset()?, shape.length(params, &state.settings)?);
    let split = match split::open(state, params, headers).await? {
        Opened::Split(split) => split,
        Opened::Stored(response) => return Ok(response),
    };
    match length {
        Some(length) if shape.is_plain() && length <= DEFAULT_LENGTH => {
            whole(state, &split, offset, length, headers).await
        }
        _ => {
            let tag = format!("{offset}-{}", length.map_or_else(|| "all".to_owned(), |length| length.to_string()));
            let rows = WantedRows::Range { offset, length: length.unwrap_or(u64::MAX) };
            let export = Export { split, shape, rows, num_rows_total: None, extras: Vec::new(), tag };
            export::respond(state, export, headers).await
        }
    }
}

/// A page of the usual size, made at once.
async fn whole(
    state: &ApiState,
    split: &Split,
    offset: u64,
    length: u64,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let etag = split.etag(&format!("{offset}-{length}"));
    // A page never changes: what the client holds of it is good without reading a file.
    if !is_known(headers, &etag) {
        let (index, page) = page(state, split, offset, length).await?;
        let items = (offset..).zip(&page.rows).map(|(row_idx, row)| Item { row_idx, row, truncated_cells: [] });
        let body = body(&page, items, index.files.partial);
        let urls = &state.services.settings.urls;
        let body = serve::with_urls(&body, urls, &serve::base_url(state, headers), split.revision());
        return Ok(respond(state, split.revision(), &etag, Body::from(body)));
    }
    Ok(not_modified(respond(state, split.revision(), &etag, Body::empty())))
}

/// The rows, and in the directory for such the media files that their cells refer to.
pub(super) async fn page(
    state: &ApiState,
    split: &Split,
    offset: u64,
    length: u64,
) -> Result<(Arc<RowsIndex>, PageOfRows), ApiError> {
    let question = |index: &RowsIndex| {
        Call::Rows(Rows {
            files: index.files.files.clone(),
            features: index.features.clone(),
            offset,
            length: length as usize,
            max_read_bytes: state.services.settings.parquet.max_read_bytes,
            max_columns: None,
            media: split.media(state),
        })
    };
    match split.ask(state, LIMIT, question).await? {
        (index, Reply::Rows(page)) => Ok((index, page)),
        _ => Err(ApiError::unexpected("a page of rows was asked for, and something else came")),
    }
}

/// The answer with a page of rows; `items` are its rows with what is told of them.
pub(super) fn body<I: Serialize>(page: &PageOfRows, items: impl Iterator<Item = I>, partial: bool) -> String {
    let answer = Answer {
        features: page.features.to_list_json(),
        rows: items.collect(),
        num_rows_total: page.num_rows_total.unwrap_or_default(),
        num_rows_per_page: DEFAULT_LENGTH,
        partial,
    };
    serde_json::to_string(&answer).expect("rows are JSON already")
}

/// A page of rows as JSON, with the headers of one.
pub(super) fn respond(state: &ApiState, revision: &Revision, etag: &str, body: Body) -> Response {
    let mut response = serve::json(StatusCode::OK, max_age(state.settings.max_age_long), revision, Some(etag), body);
    if !state.settings.compat {
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
    }
    response
}
