//! Why a run gave no view, and what becomes of its job.

use belvedere_domain::ErrorCode;
use belvedere_domain::view::ErrorCause;
use belvedere_engine::ErrorKind;
use belvedere_store::{Found, StoreError};

use crate::call::CallError;

/// Why a run gave no view.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The environment failed: try again later, inside the queue.
    #[error("{message}")]
    Retry {
        /// What failed.
        message: String,
        /// The code that is stored when it keeps failing.
        code: ErrorCode,
    },
    /// A result that users ask for: stored and served.
    #[error("{code}: {message}")]
    Fail {
        /// Public code.
        code: ErrorCode,
        /// Short text for users.
        message: String,
        /// What lies behind.
        cause: Option<ErrorCause>,
    },
    /// A parent is an error: this view becomes a copy of it.
    #[error("the previous step {} failed", .0.key)]
    Copy(Box<Found>),
    /// Nothing is stored: the artifact does not belong to this revision.
    #[error("{0}")]
    Nothing(String),
    /// Not yet: look again after some seconds. Counts as no attempt.
    #[error("{reason}")]
    Postpone {
        /// Seconds to wait.
        seconds: f64,
        /// What is waited for.
        reason: &'static str,
    },
    /// The files of this revision are not there any more.
    #[error("the files of this revision changed")]
    RevisionGone,
}

impl JobError {
    /// An error to store, without cause.
    pub fn fail(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::Fail { code, message: message.into(), cause: None }
    }

    /// An error to store, with its cause.
    pub fn fail_because(
        code: ErrorCode,
        message: impl Into<String>,
        cause: &(dyn std::error::Error + 'static),
    ) -> Self {
        let mut traceback = Vec::new();
        let mut source = cause.source();
        while let Some(error) = source {
            traceback.push(error.to_string());
            source = error.source();
        }
        let cause = ErrorCause { kind: kind_of(cause), message: cause.to_string(), traceback };
        Self::Fail { code, message: message.into(), cause: Some(cause) }
    }
}

/// A name for the kind of an error, for clients that group by it.
fn kind_of(error: &(dyn std::error::Error + 'static)) -> String {
    match error.downcast_ref::<belvedere_engine::EngineError>() {
        Some(error) => format!("{:?}Error", error.kind),
        None => "Error".to_owned(),
    }
}

impl From<StoreError> for JobError {
    fn from(error: StoreError) -> Self {
        if let StoreError::Blob { .. } | StoreError::BlobsAway { .. } = error {
            // The causes hold addresses of the storage, which are not for readers.
            tracing::warn!(error = &error as &dyn std::error::Error, "files cannot be stored or read");
            let code = if error.is_full() { ErrorCode::DiskError } else { ErrorCode::FileSystemError };
            return Self::Retry { message: error.to_string(), code };
        }
        if error.is_passing() {
            // No attempt of the job's: without the database nothing can be stored anyway.
            tracing::warn!(error = &error as &dyn std::error::Error, "a job found the database away");
            return Self::Postpone { seconds: 1.0, reason: "the database is away" };
        }
        let mut message = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(error) = source {
            message = format!("{message}: {error}");
            source = error.source();
        }
        let code = if error.is_full() { ErrorCode::DiskError } else { ErrorCode::UnexpectedError };
        Self::Retry { message, code }
    }
}

impl JobError {
    /// What a failed call ends in: the public code that the step gives to its kind, with a message that begins with `what`;
    /// what the step gives no code is a failure of the machine or of the process.
    pub(crate) fn of_call(error: CallError, what: &str, code: impl FnOnce(ErrorKind) -> Option<ErrorCode>) -> Self {
        let error = match error {
            CallError::Engine(error) => error,
            other => return Self::from(other),
        };
        match code(error.kind) {
            Some(code) => Self::fail_because(code, format!("{what}: {error}"), &error),
            None => Self::from(CallError::Engine(error)),
        }
    }
}

impl From<CallError> for JobError {
    /// What no step gives a code of its own: failures of the machine and of the process.
    fn from(error: CallError) -> Self {
        match error {
            CallError::Engine(error) => match error.kind {
                ErrorKind::Changed => Self::RevisionGone,
                ErrorKind::Io | ErrorKind::Away => {
                    Self::Retry { message: error.to_string(), code: ErrorCode::FileSystemError }
                }
                ErrorKind::NoSpace => Self::Retry { message: error.to_string(), code: ErrorCode::DiskError },
                ErrorKind::TooBig => Self::fail(ErrorCode::TooBigContentError, error.to_string()),
                _ => Self::fail_because(ErrorCode::UnexpectedError, error.to_string(), &error),
            },
            CallError::Hub(error) => crate::files::hub_failure(error),
            CallError::Start(_) => Self::Retry { message: error.to_string(), code: ErrorCode::JobManagerCrashedError },
            CallError::Died(_) => Self::fail(ErrorCode::JobManagerCrashedError, error.to_string()),
            CallError::TooLong(_) => Self::fail(ErrorCode::JobManagerExceededMaximumDurationError, error.to_string()),
        }
    }
}
