//! A stored view as a response.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use belvedere_auth::Links;
use belvedere_domain::Revision;
use belvedere_domain::view::REVISION_PLACEHOLDER;
use belvedere_jobs::settings::{BASE_URL_PLACEHOLDER, Urls};
use belvedere_store::Found;

use crate::auth::reading;
use crate::headers::{is_known, max_age, not_modified, set};
use crate::state::ApiState;

/// The view with its status, code, revision and entity tag; 304 when the client holds it already.
pub(crate) fn view(state: &ApiState, found: &Found, request: &HeaderMap) -> Response {
    form(state, found, request, found.stored.view.content.as_str(), "")
}

/// As [`view`], in another form than it is stored in; `name` tells the forms of a view apart.
pub(crate) fn form(state: &ApiState, found: &Found, request: &HeaderMap, content: &str, name: &str) -> Response {
    let view = &found.stored.view;
    let base_url = base_url(state, request);
    let urls = &state.services.settings.urls;
    let body = with_urls(content, urls, &base_url, &found.revision);
    let ok = view.outcome.is_ok();
    let age = if ok { state.settings.max_age_long } else { state.settings.max_age_short };
    let status = StatusCode::from_u16(view.outcome.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let etag = ok.then(|| format!("W/\"{}-{}{name}\"", &found.stored.digest.to_hex()[..24], found.revision));
    let mut response = json(status, max_age(age), &found.revision, etag.as_deref(), Body::from(body));
    if let Some(code) = view.outcome.code() {
        set(response.headers_mut(), "x-error-code", code);
    }
    match etag {
        Some(etag) if is_known(request, &etag) => not_modified(response),
        _ => response,
    }
}

/// JSON about a revision.
pub(crate) fn json(
    status: StatusCode,
    age: HeaderValue,
    revision: &Revision,
    etag: Option<&str>,
    body: Body,
) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, age);
    set(headers, "x-revision", revision.as_str());
    if let Some(etag) = etag {
        set(headers, "etag", etag);
    }
    response
}

/// What URLs in an answer begin with, and how they end.
pub(crate) struct Base {
    address: String,
    /// Signs those that lead to media here, and what time it is.
    signer: Option<(Links, i64)>,
}

impl Base {
    /// Without signatures.
    #[cfg(test)]
    fn plain(address: &str) -> Self {
        Self { address: address.to_owned(), signer: None }
    }

    /// The query that a link to a path needs; conversions are for programs, which send their credentials.
    fn signature(&self, path: &str) -> Option<String> {
        let (links, now) = self.signer.as_ref()?;
        let is_conversion = path.ends_with(".parquet") || path.ends_with(".duckdb");
        (!is_conversion).then(|| links.sign(path, *now))
    }
}

/// The address that the client reached us by, for URLs in answers, and how links are signed for this client.
pub(crate) fn base_url(state: &ApiState, request: &HeaderMap) -> Base {
    let signer = reading::signer(state, request).map(|shared| (shared.links.clone(), state.now_seconds()));
    Base { address: address(state, request), signer }
}

fn address(state: &ApiState, request: &HeaderMap) -> String {
    if let Some(base_url) = &state.settings.base_url {
        return base_url.trim_end_matches('/').to_owned();
    }
    let host = request.get(header::HOST).and_then(|host| host.to_str().ok());
    // Only what parses as host and port gets into an answer.
    let host = host.filter(|host| host.parse::<axum::http::uri::Authority>().is_ok() && !host.contains('@'));
    let scheme = if state.settings.tls { "https" } else { "http" };
    format!("{scheme}://{}", host.unwrap_or("localhost"))
}

/// Replaces the placeholders of stored URLs. Only texts that begin with the address placeholder, or with an address
/// that the operator has set instead, are touched.
pub(crate) fn with_urls(content: &str, urls: &Urls, base: &Base, revision: &Revision) -> String {
    let mut body = filled(content, BASE_URL_PLACEHOLDER, &base.address, revision, |path| base.signature(path));
    // Cells that name a file of the repository do so in the words of the Hub.
    for address in ["hf://datasets", &urls.hub, &urls.assets, &urls.cached_assets] {
        if !address.starts_with(BASE_URL_PLACEHOLDER) && body.contains(REVISION_PLACEHOLDER) {
            body = filled(&body, address, address, revision, |_| None);
        }
    }
    body
}

/// Replaces the address and the revision placeholder of texts that begin with `address` and a slash, and appends the query
/// that `signature` gives for the rest.
fn filled(
    content: &str,
    address: &str,
    by: &str,
    revision: &Revision,
    signature: impl Fn(&str) -> Option<String>,
) -> String {
    let mut body = String::with_capacity(content.len() + 64);
    let start = format!("\"{address}/");
    let mut rest = content;
    while let Some(at) = rest.find(&start) {
        body.push_str(&rest[..=at]);
        let url = &rest[at + 1 + address.len()..];
        let end = url.find('"').unwrap_or(url.len());
        body.push_str(by);
        let path = url[..end].replace(REVISION_PLACEHOLDER, revision.as_str());
        body.push_str(&path);
        if let Some(query) = signature(&path) {
            body.push('?');
            body.push_str(&query);
        }
        rest = &url[end..];
    }
    body.push_str(rest);
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_urls_of_ours_are_filled_in() {
        let content = format!(
            r#"{{"src":"{BASE_URL_PLACEHOLDER}/assets/d/--/{REVISION_PLACEHOLDER}/x.jpg","text":"{REVISION_PLACEHOLDER} said {BASE_URL_PLACEHOLDER}/"}}"#
        );
        let revision = Revision::new("abc").unwrap();
        assert_eq!(
            with_urls(&content, &Urls::default(), &Base::plain("http://h:1"), &revision),
            format!(
                r#"{{"src":"http://h:1/assets/d/--/abc/x.jpg","text":"{REVISION_PLACEHOLDER} said {BASE_URL_PLACEHOLDER}/"}}"#
            )
        );
    }

    #[test]
    fn links_to_media_are_signed_for_who_needs_it() {
        let content = format!(
            r#"["{BASE_URL_PLACEHOLDER}/assets/d/x.jpg","{BASE_URL_PLACEHOLDER}/datasets/d/resolve/main/0000.parquet"]"#
        );
        let links = Links::new(&[1; 32], 3600);
        let base = Base { address: "http://h".into(), signer: Some((links.clone(), 7200)) };
        let filled = with_urls(&content, &Urls::default(), &base, &Revision::new("abc").unwrap());
        let urls: Vec<String> = serde_json::from_str(&filled).unwrap();
        let (path, query) = urls[0].split_once('?').unwrap();
        assert!(links.verify(path.trim_start_matches("http://h"), query, 7200), "{filled}");
        assert_eq!(urls[1], "http://h/datasets/d/resolve/main/0000.parquet");
    }

    #[test]
    fn addresses_that_the_operator_has_set_are_filled_in_too() {
        let urls = Urls { assets: "https://cdn/assets".into(), ..Urls::default() };
        let content = format!(r#"{{"src":"https://cdn/assets/d/--/{REVISION_PLACEHOLDER}/x.jpg"}}"#);
        let revision = Revision::new("abc").unwrap();
        let filled = with_urls(&content, &urls, &Base::plain("http://h:1"), &revision);
        assert_eq!(filled, r#"{"src":"https://cdn/assets/d/--/abc/x.jpg"}"#);
    }
}
