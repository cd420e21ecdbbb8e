//! Errors as clients see them: a code from the one table, a short text, and nothing internal.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use belvedere_domain::view::{ErrorBody, ErrorCause};
use belvedere_domain::{ErrorCode, Revision};
use belvedere_jobs::refresh::RefreshError;
use belvedere_store::StoreError;

/// An error made by the API itself. Stored errors are served like any other view.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    code: ErrorCode,
    http_status: u16,
    discloses_cause: bool,
    message: String,
    cause: Option<Box<ErrorCause>>,
    revision: Option<Revision>,
    max_age: u32,
    retry_after_seconds: Option<u32>,
}

impl ApiError {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            http_status: code.http_status(),
            discloses_cause: code.discloses_cause(),
            message: message.into(),
            cause: None,
            revision: None,
            max_age: 0,
            retry_after_seconds: matches!(code, ErrorCode::ResponseNotReady | ErrorCode::ServiceUnavailable)
                .then_some(1),
        }
    }

    /// A page over the limit of bytes. The stored error of the same name has another status and hides its cause.
    pub(crate) fn too_big(message: &str) -> Self {
        Self { http_status: 500, discloses_cause: true, ..Self::new(ErrorCode::TooBigContentError, message) }
    }

    /// Its code.
    pub(crate) fn code(&self) -> ErrorCode {
        self.code
    }

    /// Its text.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn because(mut self, kind: &str, message: String) -> Self {
        self.cause = Some(Box::new(ErrorCause { kind: kind.into(), message, traceback: Vec::new() }));
        self
    }

    /// Seconds after which it is worth to ask again.
    pub(crate) fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    pub(crate) fn at(mut self, revision: &Revision) -> Self {
        self.revision = Some(revision.clone());
        self
    }

    /// Seconds that clients may keep the answer.
    pub(crate) fn keep(mut self, max_age: u32) -> Self {
        self.max_age = max_age;
        self
    }

    /// A bug on our side, for the log.
    pub(crate) fn unexpected(what: &str) -> Self {
        tracing::error!("a request failed: {what}");
        Self::new(ErrorCode::UnexpectedApiError, "Unexpected error.")
    }

    /// Logs what must not be told to clients.
    /// Something around the server cannot be reached for the moment.
    pub(crate) fn away(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::warn!(error, "a request found the storage of the files away");
        Self::new(ErrorCode::ServiceUnavailable, "The storage of the files is away. Please retry later.")
    }

    pub(crate) fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error, "a request failed");
        Self::new(ErrorCode::UnexpectedApiError, "Unexpected error.")
    }
}

impl std::fmt::Display for ApiError {
    /// For the log: code, message, and the cause even where clients are not told.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)?;
        match &self.cause {
            Some(cause) if !self.message.contains(&cause.message) => write!(f, " ({})", cause.message),
            _ => Ok(()),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        if let StoreError::Full(_) = &error {
            tracing::warn!(error = &error as &dyn std::error::Error, "a request found the database without space");
            return Self::new(ErrorCode::ServiceUnavailable, "The disk of the database is full. Please retry later.");
        }
        if error.is_passing() {
            if let StoreError::BlobsAway { .. } = error {
                return Self::away(&error);
            }
            tracing::warn!(error = &error as &dyn std::error::Error, "a request found the database away");
            return Self::new(ErrorCode::ServiceUnavailable, "The database is away. Please retry later.");
        }
        Self::internal(&error)
    }
}

impl From<RefreshError> for ApiError {
    fn from(error: RefreshError) -> Self {
        match error {
            RefreshError::Store(error) => error.into(),
            error @ RefreshError::Hub(_) => Self::internal(&error),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let cause = self.cause.filter(|_| self.discloses_cause).map(|cause| *cause);
        let body =
            serde_json::to_vec(&ErrorBody { error: self.message, cause }).expect("an error body has a JSON form");
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = StatusCode::from_u16(self.http_status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, crate::headers::max_age(self.max_age));
        headers.insert("x-error-code", HeaderValue::from_static(self.code.as_str()));
        if self.code == ErrorCode::LoginRequired {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(revision) = self.revision {
            crate::headers::set(headers, "x-revision", revision.as_str());
        }
        response
    }
}

/// A handler panicked: the client gets the same words as for any other surprise.
pub(crate) fn panicked(panic: Box<dyn std::any::Any + Send>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    tracing::error!(message = text.unwrap_or("no message"), "a handler panicked");
    ApiError::new(ErrorCode::UnexpectedApiError, "Unexpected error.").into_response()
}
