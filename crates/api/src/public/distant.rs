//! Files that are kept in S3: passed on through this server, or by a link to where they are.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use belvedere_store::{Blobs, StoreError};

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
    let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok()).and_then(|range| part(range, size));
    let (status, range) = match range {
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

/// The bytes that a `Range` header asks for. `None`: all of them, since it asks for several parts or for what nobody
/// understands. `Some(None)`: bytes that are not there.
fn part(header: &str, size: u64) -> Option<Option<std::ops::Range<u64>>> {
    let (first, last) = header.strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| text.trim().parse::<u64>().ok();
    match (first.trim(), last.trim()) {
        ("", last) => {
            let length = number(last)?.min(size);
            Some((length > 0).then(|| size - length..size))
        }
        (first, "") => {
            let first = number(first)?;
            Some((first < size).then_some(first..size))
        }
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            Some((first < size).then(|| first..size.min(last.saturating_add(1))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_understood_as_http_has_them() {
        for (header, expected) in [
            ("bytes=0-0", Some(Some(0..1))),
            ("bytes=5-", Some(Some(5..10))),
            ("bytes=-3", Some(Some(7..10))),
            ("bytes=-30", Some(Some(0..10))),
            ("bytes=2-30", Some(Some(2..10))),
            ("bytes=2-18446744073709551615", Some(Some(2..10))),
            ("bytes=10-", Some(None)),
            ("bytes=10-12", Some(None)),
            ("bytes=-0", Some(None)),
            ("bytes=3-2", None),
            ("bytes=0-1,4-5", None),
            ("bytes=a-b", None),
            ("rows=0-1", None),
            ("bytes=-", None),
        ] {
            assert_eq!(part(header, 10), expected, "{header}");
        }
        assert_eq!(part("bytes=0-", 0), Some(None));
    }
}
