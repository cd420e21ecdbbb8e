//! The router on a socket, and the router asked directly.

use std::collections::BTreeMap;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::connections::{Patience, serve_with};

/// Serves until `stop`; answers in work are finished first, as long as their readers read.
///
/// # Errors
/// When the socket fails.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) -> std::io::Result<()> {
    serve_with(listener, router, Patience::default(), stop).await
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers by lower-case name; of repeated ones the values joined by commas.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Bytes,
    /// The body came to its end; otherwise the connection would have been broken off here.
    pub is_whole: bool,
}

impl Answer {
    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The body as JSON; null when it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Asks the router without a socket: what a client would get. `path` includes the query.
///
/// # Panics
/// When `method`, `path` or a header is not legal in HTTP.
pub async fn ask(router: &Router, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    ask_with(router, method, path, headers, Vec::new()).await
}

/// As [`ask`], with a body.
///
/// # Panics
/// As there.
pub async fn ask_with(router: &Router, method: &str, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body)).expect("the caller gives legal parts");
    let response = router.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
    let status = response.status().as_u16();
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in response.headers() {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        headers
            .entry(name.as_str().to_owned())
            .and_modify(|known| *known = format!("{known}, {value}"))
            .or_insert(value);
    }
    let (mut rest, mut body, mut is_whole) = (response.into_body(), BytesMut::new(), true);
    while let Some(frame) = rest.frame().await {
        match frame {
            Ok(frame) => body.extend_from_slice(frame.data_ref().map_or(&[], |data| &data[..])),
            Err(_) => is_whole = false,
        }
    }
    Answer { status, headers, body: body.freeze(), is_whole }
}
