//! Views: the stored results of steps.
//!
//! A view is immutable content under an input digest. Which view a dataset shows is told by pointers
//! (dataset, revision, config, split, step) → digest, so an unchanged config costs nothing in the next
//! revision. URLs inside a payload carry [`REVISION_PLACEHOLDER`] instead of a revision.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::error_code::ErrorCode;

/// Stands for the revision in stored URLs; replaced by the pointer's revision when a view is read.
pub const REVISION_PLACEHOLDER: &str = "{dataset_git_revision}";

/// The progress of a view that lacks nothing.
pub const COMPLETE: u16 = 1000;

/// JSON text, compact and valid, shared without copying.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Json(Arc<str>);

impl Json {
    /// The compact JSON of a value.
    ///
    /// # Panics
    /// Never for values made of maps with text keys, lists, numbers and texts, which is all we store.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Self {
        Self(serde_json::to_string(value).expect("a plain value always has a JSON form").into())
    }

    /// Text that is already compact JSON.
    pub fn from_text(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Size in bytes of the compact form: what byte limits are compared with.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True for the empty text, which is no JSON at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value, typed.
    ///
    /// # Errors
    /// When the stored JSON has not the expected shape.
    pub fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.0)
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a step succeeded, and if not, with which stored code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// HTTP status 200.
    Ok,
    /// An error that is stored and served like any other result.
    Error {
        /// 400 to 599.
        http_status: u16,
        /// The public code; any text is accepted when reading old records.
        code: String,
    },
}

impl Outcome {
    /// An error outcome with the status of the table.
    pub fn error(code: ErrorCode) -> Self {
        Self::Error { http_status: code.http_status(), code: code.as_str().to_owned() }
    }

    /// True for a success.
    pub fn is_ok(&self) -> bool {
        *self == Self::Ok
    }

    /// The HTTP status that the view is served with.
    pub fn http_status(&self) -> u16 {
        match self {
            Self::Ok => 200,
            Self::Error { http_status, .. } => *http_status,
        }
    }

    /// The error code, `None` for a success.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Ok => None,
            Self::Error { code, .. } => Some(code),
        }
    }
}

/// The result of one run of a step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct View {
    /// Success or error.
    pub outcome: Outcome,
    /// What an endpoint serves.
    pub content: Json,
    /// `{}` on success; on error the full error object with its cause, for operators.
    pub details: Json,
    /// Thousandths of completeness, 0 to [`COMPLETE`]; below it some inputs were still missing. `None` on error.
    pub progress: Option<u16>,
    /// What only we read, never served: where the files behind the view lie. `null` when there is nothing.
    pub internal: Json,
}

impl View {
    /// A complete success.
    pub fn ok<T: Serialize + ?Sized>(content: &T) -> Self {
        Self {
            outcome: Outcome::Ok,
            content: Json::of(content),
            details: Json::from_text("{}"),
            progress: Some(COMPLETE),
            internal: Json::from_text("null"),
        }
    }

    /// The same view with private companion data.
    pub fn with_internal<T: Serialize + ?Sized>(mut self, internal: &T) -> Self {
        self.internal = Json::of(internal);
        self
    }

    /// The same view, complete to `ready` of `total` inputs; `total` 0 counts as complete.
    pub fn with_progress(mut self, ready: usize, total: usize) -> Self {
        let permille = (ready * 1000).checked_div(total).unwrap_or(1000);
        self.progress = Some(u16::try_from(permille).unwrap_or(1000));
        self
    }

    /// A stored error. `cause` is shown to users only if the code discloses it.
    pub fn error(code: ErrorCode, message: &str, cause: Option<&ErrorCause>) -> Self {
        let full = ErrorBody { error: message.to_owned(), cause: cause.cloned() };
        let public = ErrorBody { error: message.to_owned(), cause: cause.filter(|_| code.discloses_cause()).cloned() };
        Self {
            outcome: Outcome::error(code),
            content: Json::of(&public),
            details: Json::of(&full),
            progress: None,
            internal: Json::from_text("null"),
        }
    }
}

/// What lies behind an error: the failing kind and its words.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ErrorCause {
    /// The kind of failure, a type name.
    #[serde(rename = "cause_exception")]
    pub kind: String,
    /// Its message.
    #[serde(rename = "cause_message")]
    pub message: String,
    /// Further lines, such as the chain of sources.
    #[serde(rename = "cause_traceback")]
    pub traceback: Vec<String>,
}

/// The JSON object of an error.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ErrorBody {
    /// Short text for a person.
    pub error: String,
    /// The cause, if known and disclosed.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub cause: Option<ErrorCause>,
}

/// SHA-256 over everything that determines a view.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// A digest read from storage.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// 64 lower-case hexadecimal digits.
    pub fn to_hex(self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_hex()
    }
}

impl TryFrom<String> for Digest {
    type Error = hex::FromHexError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}

/// Collects the inputs of a view into its [`Digest`]. Parts are length-prefixed, so no two lists collide.
#[derive(Clone)]
pub struct DigestBuilder(Sha256);

impl DigestBuilder {
    /// Starts with the step and the version of its code.
    pub fn new(step: &str, version: u32) -> Self {
        Self(Sha256::new()).part("step", step).part("version", version.to_string())
    }

    /// Adds a named input.
    #[must_use]
    pub fn part(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        for bytes in [name.as_bytes(), value.as_ref()] {
            self.0.update((bytes.len() as u64).to_le_bytes());
            self.0.update(bytes);
        }
        self
    }

    /// The digest of all parts.
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_parts_cannot_run_into_each_other() {
        let one = DigestBuilder::new("s", 1).part("a", "bc").finish();
        let other = DigestBuilder::new("s", 1).part("ab", "c").finish();
        assert_ne!(one, other);
    }

    #[test]
    fn hidden_causes_stay_in_the_details() {
        let cause = ErrorCause { kind: "IoError".into(), message: "disk".into(), traceback: vec![] };
        let hidden = View::error(ErrorCode::DiskError, "no space", Some(&cause));
        assert_eq!(hidden.content.as_str(), r#"{"error":"no space"}"#);
        assert!(hidden.details.as_str().contains("IoError"));
        let shown = View::error(ErrorCode::ConfigNamesError, "bad card", Some(&cause));
        assert!(shown.content.as_str().contains("IoError"));
    }
}
