//! `/cell`: the whole value of one cell, however long: text as text, media as they are stored, all else as JSON.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use belvedere_domain::view::DigestBuilder;
use belvedere_engine::call::{Cell, CellValue, Extent};
use belvedere_engine::{Call, Reply};

use super::split::{self, Opened, RowsIndex, Split};
use super::{range, serve};
use crate::error::ApiError;
use crate::headers::{is_known, max_age, not_modified, set};
use crate::params::Params;
use crate::state::ApiState;

/// Longest time that reading a cell may take.
const LIMIT: Duration = Duration::from_secs(60);

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
    params.require(&["dataset", "config", "split", "row", "column"])?;
    let (row, column) = (params.number("row", 0)?, params.required("column")?);
    let split = match split::open(state, params, headers).await? {
        Opened::Split(split) => split,
        Opened::Stored(response) => return Ok(response),
    };
    let name = DigestBuilder::new("cell", 1).part("column", column).finish();
    let etag = split.etag(&format!("cell-{row}-{}", &name.to_hex()[..16]));
    if is_known(headers, &etag) {
        return Ok(not_modified(dressed(state, &split, &etag, Body::empty())));
    }
    // Entity tags here are weak, and none is strong enough to go on with a part of something else.
    let extent = range::asked(headers).filter(|_| !headers.contains_key(header::IF_RANGE));
    let question = |index: &RowsIndex| {
        Call::Cell(Cell {
            files: index.files.files.clone(),
            features: index.features.clone(),
            row,
            column: column.to_owned(),
            extent,
            max_read_bytes: state.services.settings.parquet.max_read_bytes,
            media: split.media(state),
        })
    };
    let Reply::Cell(value) = split.ask(state, LIMIT, question).await?.1 else {
        return Err(ApiError::unexpected("a cell was asked for, and something else came"));
    };
    Ok(match value {
        CellValue::Null => {
            let mut response = dressed(state, &split, &etag, Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            response
        }
        CellValue::Link { url } => {
            // As in every answer: this server's address, the revision, a signature for who needs one.
            let quoted = serde_json::Value::from(url).to_string();
            let urls = &state.services.settings.urls;
            let filled = serve::with_urls(&quoted, urls, &serve::base_url(state, headers), split.revision());
            let url: String = serde_json::from_str(&filled).map_err(|error| ApiError::internal(&error))?;
            let mut response = dressed(state, &split, &etag, Body::empty());
            *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
            set(response.headers_mut(), "location", &url);
            response
        }
        CellValue::Content { media_type, size, bytes, has_links } => {
            let mut response = match (has_links, extent) {
                (true, _) => {
                    let text = String::from_utf8_lossy(&bytes);
                    let urls = &state.services.settings.urls;
                    let text = serve::with_urls(&text, urls, &serve::base_url(state, headers), split.revision());
                    dressed(state, &split, &etag, Body::from(text))
                }
                (false, None) => dressed(state, &split, &etag, Body::from(bytes)),
                (false, Some(extent)) => part(dressed(state, &split, &etag, Body::from(bytes)), extent, size),
            };
            if !has_links {
                response.headers_mut().insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
            }
            set(response.headers_mut(), "content-type", &media_type);
            response
        }
    })
}

/// The answer to a request for some of `size` bytes.
fn part(mut response: Response, extent: Extent, size: u64) -> Response {
    let range = match extent.within(size) {
        Some(range) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            format!("bytes {}-{}/{size}", range.start, range.end - 1)
        }
        None => {
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            format!("bytes */{size}")
        }
    };
    set(response.headers_mut(), "content-range", &range);
    response
}

fn dressed(state: &ApiState, split: &Split, etag: &str, body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, max_age(state.settings.max_age_long));
    // Cells are anybody's data: never to be taken for a page of ours.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    set(headers, "x-revision", split.revision().as_str());
    set(headers, "etag", etag);
    response
}
