//! Files that are kept in S3: passed on through this server, or by a link to where they are.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use belvedere_store::{Blobs, StoreError};

use super::range;
use crate::headers::not_found;
use crate::state::{ApiState, Delivery};

/// A blob, or the part of it that `Range` asks for. `None` for `size` looks for it first.
///
/// # Errors
/// What the place says.
pub(crate) async fn send(
    state: &ApiState,
    blobs: &Blobs,
    key: &str,
    size: Option<u64>,
    headers: &HeaderMap,
) -> Result<Response, StoreError> {
    let size = match size {
        Some(size) => size,
        None => match blobs.head(key).await? {
            Some(head) => head.size,
            None => return Ok(not_found().await),
        },
    };
    if let Delivery::Link { good_for } = state.settings.delivery
        && let Some(link) = blobs.link_to(key, good_for).await?
        && let Ok(link) = HeaderValue::from_str(&link)
    {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::FOUND;
        response.headers_mut().insert(header::LOCATION, link);
        return Ok(response);
    }
    let (status, range) = match range::asked(headers).map(|extent| extent.within(size)) {
        None => (StatusCode::OK, 0..size),
        Some(Some(range)) => (StatusCode::PARTIAL_CONTENT, range),
        Some(None) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            response.headers_mut().insert(header::CONTENT_RANGE, value(&format!("bytes */{size}")));
            return Ok(response);
        }
    };
    let length = range.end - range.start;
    let mut response = Response::new(Body::from_stream(blobs.stream(key, range.clone())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_LENGTH, length.into());
    if status == StatusCode::PARTIAL_CONTENT {
        let text = format!("bytes {}-{}/{size}", range.start, range.end - 1);
        headers.insert(header::CONTENT_RANGE, value(&text));
    }
    Ok(response)
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("digits are legal")
}
