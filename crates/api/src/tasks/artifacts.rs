//! `/v1/tasks/{id}/artifacts`: what an attempt left, as a list and as files. A file is data, whatever its name says.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use belvedere_tasks::monitor::collect::copy_name;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use tower::ServiceExt as _;
use tower_http::services::ServeFile;

use super::caller::Caller;
use super::problem::Problem;
use super::shared::{fresh, reach, service};
use crate::headers::{is_known, not_modified};
use crate::params::Params;
use crate::state::ApiState;

/// What stays as it is in the encoded name of a file (RFC 5987).
const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

fn attempt(query: Option<&str>, newest: u32) -> Result<u32, Problem> {
    match Params::parse(query).get("attempt").map(str::parse::<u32>) {
        None => Ok(newest),
        Some(Ok(number)) if number >= 1 => Ok(number.min(1 << 30)),
        Some(_) => Err(Problem::at("", "the parameter `attempt` must be a whole number from 1")),
    }
}

/// `GET /v1/tasks/{id}/artifacts`.
pub(super) async fn list(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let row = reach(&state, &caller, &id).await?;
    let number = attempt(query.as_deref(), row.attempt.number)?;
    let artifacts = state.services.store.tasks.artifacts(row.id, number).await?;
    let shown = artifacts.iter().map(|artifact| {
        json!({
            "path": artifact.path,
            "size": artifact.size_bytes,
            "sha256": artifact.sha256,
            "note": artifact.note,
        })
    });
    Ok(fresh(Json(json!({"attempt": number, "artifacts": shown.collect::<Vec<_>>()}))))
}

/// `GET /v1/tasks/{id}/artifacts/{path}`, with ranges.
pub(super) async fn get(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    Path((id, path)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    mut request: Request,
) -> Result<Response, Problem> {
    let row = reach(&state, &caller, &id).await?;
    let number = attempt(query.as_deref(), row.attempt.number)?;
    let artifacts = state.services.store.tasks.artifacts(row.id, number).await?;
    let kept = artifacts.into_iter().find(|artifact| artifact.path == path);
    let (path, sha256) = kept.and_then(|kept| Some((kept.path, kept.sha256?))).ok_or_else(Problem::not_found)?;
    let etag = format!("\"{sha256}\"");
    let known = is_known(request.headers(), &etag);
    if request.headers().get(header::IF_RANGE).is_some_and(|tag| tag != etag.as_str()) {
        request.headers_mut().remove(header::RANGE);
    }
    for name in [header::IF_RANGE, header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE, header::IF_UNMODIFIED_SINCE] {
        request.headers_mut().remove(name);
    }
    let file = service(&state).inbox.artifacts(row.id, number).join(copy_name(&path));
    let mut response = ServeFile::new(file).oneshot(request).await.into_response();
    if response.status() == StatusCode::NOT_FOUND {
        return Err(Problem::not_found());
    }
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.remove(header::LAST_MODIFIED);
    for (name, value) in [(header::CONTENT_DISPOSITION, disposition(&path)), (header::ETAG, etag)] {
        headers.insert(name, HeaderValue::from_str(&value).expect("encoded"));
    }
    Ok(if known && response.status().is_success() { not_modified(response) } else { response })
}

/// The name under which a browser keeps a file (RFC 6266): plain for old ones, encoded for others.
fn disposition(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or_default();
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || ".-_ ".contains(c) { c } else { '_' }).collect();
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{}", utf8_percent_encode(name, NAME))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// e095 | the name of an artefact holds quotes, line breaks and other languages | it is encoded in the header and breaks out of nothing
    #[test]
    fn e095_names_do_not_break_out_of_headers() {
        assert_eq!(
            disposition("a/x\"\r\nSet-Cookie: é.txt"),
            "attachment; filename=\"x___Set-Cookie_ _.txt\"; filename*=UTF-8''x%22%0D%0ASet-Cookie%3A%20%C3%A9.txt"
        );
    }
}
