//! Whether somebody may read a dataset, according to the Hub, and the keys that it signs tokens with.
//!
//! Of what the caller sent, only the `Authorization` header is passed on, to the one address that the operator has
//! configured. Redirects are not followed: one tells that the dataset has another name.

use std::sync::Arc;
use std::time::Duration;

use belvedere_domain::DatasetName;
use tokio::sync::Semaphore;

/// Questions at the same time; more wait.
const CALLS: usize = 32;
/// Longest list of keys that is read.
const MAX_KEYS_BYTES: u64 = 1 << 20;

/// Asks the Hub about access.
#[derive(Clone, Debug)]
pub struct AuthCheck {
    agent: ureq::Agent,
    /// With `%s` for the dataset.
    url: String,
    calls: Arc<Semaphore>,
}

/// What the Hub says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// The caller may read.
    Granted,
    /// The dataset has another name now (307).
    Renamed,
    /// Credentials are missing or wrong (401).
    Unauthenticated,
    /// The caller may not, or there is no such dataset (403, 404).
    Refused,
}

/// Why the Hub said nothing of use.
#[derive(Debug, thiserror::Error)]
pub enum AuthCheckError {
    /// It answered something else.
    #[error("the Hub answered a question about access with the status {0}")]
    Status(u16),
    /// There was no answer in time.
    #[error("the Hub gave no answer to a question about access")]
    NoAnswer(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl AuthCheck {
    /// A client of the check at `path` of the Hub at `endpoint`, where `%s` stands for the dataset. An answer may take
    /// `timeout`, connecting included.
    pub fn new(endpoint: &str, path: &str, timeout: Duration) -> Self {
        let url = format!("{}/{}", endpoint.trim_end_matches('/'), path.trim_start_matches('/'));
        Self { agent: agent(timeout), url, calls: Arc::new(Semaphore::new(CALLS)) }
    }

    /// Whether the caller with this `Authorization` header, or without one, may read a dataset.
    ///
    /// # Errors
    /// [`AuthCheckError`] when the Hub does not say.
    pub async fn ask(&self, dataset: &DatasetName, authorization: Option<&str>) -> Result<Access, AuthCheckError> {
        let permit = Arc::clone(&self.calls).acquire_owned().await.map_err(no_answer)?;
        // Names of datasets hold nothing that an address could take for something else.
        let mut request = self.agent.get(self.url.replacen("%s", dataset.as_str(), 1));
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        let asked = tokio::task::spawn_blocking(move || {
            let answer = request.call();
            drop(permit);
            match answer.map_err(no_answer)?.status().as_u16() {
                200 => Ok(Access::Granted),
                307 => Ok(Access::Renamed),
                401 => Ok(Access::Unauthenticated),
                403 | 404 => Ok(Access::Refused),
                status => Err(AuthCheckError::Status(status)),
            }
        });
        asked.await.map_err(no_answer)?
    }
}

/// The JSON list of keys at an address.
///
/// # Errors
/// [`AuthCheckError`] when there is none.
pub async fn fetch_keys(url: &str, timeout: Duration) -> Result<Vec<u8>, AuthCheckError> {
    let request = agent(timeout).get(url);
    let asked = tokio::task::spawn_blocking(move || {
        let mut answer = request.call().map_err(no_answer)?;
        match answer.status().as_u16() {
            200 => answer.body_mut().with_config().limit(MAX_KEYS_BYTES).read_to_vec().map_err(no_answer),
            status => Err(AuthCheckError::Status(status)),
        }
    });
    asked.await.map_err(no_answer)?
}

fn agent(timeout: Duration) -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_global(Some(timeout))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .user_agent(concat!("belvedere/", env!("CARGO_PKG_VERSION")))
        .build()
        .new_agent()
}

fn no_answer(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> AuthCheckError {
    AuthCheckError::NoAnswer(error.into())
}
