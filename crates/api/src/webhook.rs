//! `POST /webhook`: a Hub tells that a dataset was added, changed, moved or removed.
//!
//! What the sender says is never believed, only followed up: the Hub is looked at, and what it holds now is brought up to
//! date or, where it holds nothing any more, forgotten. The answer tells what came of it.

mod payload;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use belvedere_domain::ErrorCode;
use belvedere_jobs::refresh::{Ensured, RefreshError};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::state::ApiState;
use payload::Payload;

const SECRET: &str = "x-webhook-secret";

/// What senders must know. Only its hash is kept, so that no log or dump of memory shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret([u8; 32]);

impl WebhookSecret {
    /// The secret in words; `None` for blank ones, which protect nothing.
    pub fn new(secret: &str) -> Option<Self> {
        let secret = secret.trim();
        (!secret.is_empty()).then(|| Self(Sha256::digest(secret).into()))
    }

    /// True for the secret. Takes as long for any other text of its length.
    fn is(&self, given: &[u8]) -> bool {
        let given: [u8; 32] = Sha256::digest(given).into();
        given.iter().zip(self.0).fold(0, |differs, (one, other)| differs | (one ^ other)) == 0
    }
}

impl std::fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WebhookSecret")
    }
}

/// Why a call was not followed.
enum Refusal {
    /// The sender is at fault; in words.
    Sender(String),
    /// The dataset is not to be shown.
    Unsupported(ErrorCode),
    /// We are.
    Failed(RefreshError),
}

/// Takes a call and answers when it has been followed.
pub(crate) async fn post(State(state): State<Arc<ApiState>>, headers: HeaderMap, body: Bytes) -> Response {
    match handle(&state, &headers, &body).await {
        Ok(()) => answer(StatusCode::OK, &json!({"status": "ok"})),
        Err(Refusal::Sender(error)) => answer(StatusCode::BAD_REQUEST, &json!({"status": "error", "error": error})),
        Err(Refusal::Unsupported(code)) => {
            let error = format!("{} ({code})", code.meaning());
            answer(StatusCode::BAD_REQUEST, &json!({"status": "error", "error": error}))
        }
        Err(Refusal::Failed(error)) => {
            tracing::error!(error = &error as &dyn std::error::Error, "a webhook could not be followed");
            (StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error").into_response()
        }
    }
}

async fn handle(state: &ApiState, headers: &HeaderMap, body: &[u8]) -> Result<(), Refusal> {
    let payload = Payload::parse(body).map_err(Refusal::Sender)?;
    check(state, headers).map_err(|text| Refusal::Sender(text.to_owned()))?;
    let Some(news) = payload.news().map_err(Refusal::Sender)? else { return Ok(()) };
    tracing::info!(dataset.name = %news.dataset(), event = payload.event(), "a webhook came");
    match state.refresher.told(&news).await {
        Ok(Ensured::Queued) => Ok(()),
        // What is gone was to be removed, or to be moved away.
        Ok(Ensured::Unknown) if news.may_be_gone() => Ok(()),
        Ok(Ensured::Unknown) => Err(Refusal::Unsupported(ErrorCode::NotSupportedRepositoryNotFoundError)),
        Ok(Ensured::Unsupported(code)) => Err(Refusal::Unsupported(code)),
        // Its files are being written: the Hub tells when they are done.
        Err(error) if error.is_busy() => Ok(()),
        Err(error) => Err(Refusal::Failed(error)),
    }
}

fn check(state: &ApiState, headers: &HeaderMap) -> Result<(), &'static str> {
    let Some(secret) = &state.settings.webhook_secret else {
        return Err("This server takes no webhooks: it has no secret that their senders could prove to know. \
                    Set API_HF_WEBHOOK_SECRET.");
    };
    match headers.get(SECRET) {
        None => Err("The header X-Webhook-Secret is missing."),
        Some(given) if secret.is(given.as_bytes()) => Ok(()),
        Some(_) => Err("The header X-Webhook-Secret is not the secret of this server."),
    }
}

fn answer(status: StatusCode, body: &serde_json::Value) -> Response {
    let mut response = (status, axum::Json(body)).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The operation for the document of the API.
pub(crate) fn openapi() -> serde_json::Value {
    let answer = |description: &str| {
        let schema = json!({
            "type": "object",
            "required": ["status"],
            "properties": {"status": {"enum": ["ok", "error"]}, "error": {"type": "string"}},
        });
        json!({"description": description, "content": {"application/json": {"schema": schema}}})
    };
    json!({
        "summary": "A Hub tells that a dataset was added, changed, moved or removed.",
        "parameters": [{
            "name": "X-Webhook-Secret",
            "in": "header",
            "required": true,
            "description": "The secret that the operator has set.",
            "schema": {"type": "string"},
        }],
        "requestBody": {"required": true, "content": {"application/json": {"schema": payload::schema()}}},
        "responses": {
            "200": answer("It was followed, or does not matter here."),
            "400": answer("The body or the secret is wrong, or the dataset is not to be shown."),
            "500": {"description": "The server failed."},
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_secret_fits() {
        let secret = WebhookSecret::new(" hunter2\n").unwrap();
        assert!(secret.is(b"hunter2"));
        for wrong in [&b""[..], b"hunter", b"hunter22", b"HUNTER2", b"hunter2\0", b"\xff"] {
            assert!(!secret.is(wrong));
        }
        assert_eq!((WebhookSecret::new("  "), format!("{secret:?}")), (None, "WebhookSecret".to_owned()));
    }
}
