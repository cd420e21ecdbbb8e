//! `/healthcheck`: the process answers. Asks nothing of the database.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

pub(crate) async fn get() -> Response {
    let mut response = "ok".into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
