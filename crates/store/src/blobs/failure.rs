//! What it means when a place for blobs fails: whether to try again, and whose fault it is.

use crate::StoreError;

/// A place that refuses, or a file of this machine that cannot be read or written.
pub(super) fn failure(
    what: &'static str,
    key: &str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> StoreError {
    StoreError::Blob { what, key: key.to_owned(), source: source.into() }
}

/// What a distant place says. All that has no kind of its own is the network, or the server in trouble, after retries;
/// unless the server answered that the request is at fault.
pub(super) fn remote_failure(what: &'static str, key: &str, error: object_store::Error) -> StoreError {
    let passes = match status_of(&error) {
        Some(status) => matches!(status, 408 | 425 | 429 | 500..),
        None => matches!(error, object_store::Error::Generic { .. } | object_store::Error::JoinError { .. }),
    };
    if passes {
        StoreError::BlobsAway { what, key: key.to_owned(), source: Box::new(error) }
    } else {
        failure(what, key, error)
    }
}

/// The status of the answer behind an error. The client tells it in words only.
pub(super) fn status_of(error: &object_store::Error) -> Option<u16> {
    let text = error.to_string();
    let (_, rest) = text.split_once("status code: ")?;
    rest.get(..3)?.parse().ok()
}
