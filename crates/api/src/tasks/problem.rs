//! Problems (RFC 9457): a code from the one table, a sentence, and where the mistake is.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use belvedere_domain::ErrorCode;
use belvedere_domain::task::ConfigError;
use belvedere_store::StoreError;
use belvedere_tasks::inbox::UploadError;
use belvedere_tasks::profile::Refusal;
use serde_json::json;

use crate::error::ApiError;

/// Why a request about tasks is refused.
#[derive(Debug)]
pub(super) struct Problem {
    code: ErrorCode,
    detail: String,
    errors: Vec<ConfigError>,
    retry_after_seconds: Option<u32>,
}

impl Problem {
    pub(super) fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), errors: Vec::new(), retry_after_seconds: None }
    }

    /// A mistake in the request.
    pub(super) fn invalid(errors: Vec<ConfigError>) -> Self {
        let detail = errors.first().map_or_else(|| "the request has a mistake".to_owned(), ToString::to_string);
        Self { errors, ..Self::new(ErrorCode::TaskInvalid, detail) }
    }

    pub(super) fn at(pointer: &str, message: impl Into<String>) -> Self {
        Self::invalid(vec![ConfigError::new(pointer, message)])
    }

    pub(super) fn not_found() -> Self {
        Self::new(ErrorCode::TaskNotFound, ErrorCode::TaskNotFound.meaning())
    }

    pub(super) fn retry_after(self, seconds: u32) -> Self {
        Self { retry_after_seconds: Some(seconds), ..self }
    }
}

impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Self {
        Self::new(error.code(), error.message().to_owned())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let again = error.is_passing().then_some(1);
        Self { retry_after_seconds: again, ..ApiError::from(error).into() }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Invalid(error) => Self::invalid(vec![error]),
            Refusal::Forbidden(error) => {
                Self { errors: vec![error.clone()], ..Self::new(ErrorCode::NotPermitted, error.to_string()) }
            }
        }
    }
}

impl From<UploadError> for Problem {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::TooLarge(text) => Self::new(ErrorCode::TaskTooLarge, text),
            error @ UploadError::Disk(_) => ApiError::internal(&error).into(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let errors: Vec<_> =
            self.errors.iter().map(|error| json!({"pointer": error.pointer, "detail": error.message})).collect();
        let mut body = json!({
            "type": "about:blank",
            "title": self.code.meaning(),
            "status": status.as_u16(),
            "code": self.code.as_str(),
            "detail": self.detail,
            // Where older clients look.
            "error": self.detail,
        });
        if !errors.is_empty() {
            body["errors"] = errors.into();
        }
        let mut response = (status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert("x-error-code", HeaderValue::from_static(self.code.as_str()));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
