//! The HTTP side: one GET, repeated while the server says that the answer is being prepared.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use ureq::http::HeaderMap;
use url::{Url, form_urlencoded};

use crate::sets::{Request, text_of};

/// Codes that mean: ask again later.
const NOT_READY: &[&str] = &["ResponseNotReady", "PreviousStepStillProcessingError", "CachedResponseNotReady"];
/// Pause between two questions.
const PAUSE: Duration = Duration::from_millis(500);
/// Longest wait for one answer.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Longest body that is read, in bytes.
const MAX_BODY_BYTES: u64 = 256 << 20;

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Header `X-Error-Code`.
    pub error_code: Option<String>,
    /// Header `X-Revision`.
    pub revision: Option<String>,
    /// The JSON body; the first 300 characters as a text if it is not JSON.
    pub body: Value,
}

/// A connection to one server.
#[derive(Clone, Debug)]
pub struct Client {
    base: String,
    agent: ureq::Agent,
}

impl Client {
    /// A client of the server at `base`, such as `http://127.0.0.1:8000`. Does not connect yet.
    ///
    /// # Errors
    /// `base` is not an `http` URL.
    pub fn new(base: &str) -> Result<Self> {
        let url = Url::parse(base).with_context(|| format!("`{base}` is not a URL"))?;
        if url.scheme() != "http" {
            bail!("`{base}`: only http is spoken here; run the server without TLS for the comparison");
        }
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(TIMEOUT)).build();
        Ok(Self { base: base.trim_end_matches('/').to_owned(), agent: config.into() })
    }

    /// Asks until the answer is ready or the deadline has passed; then the last answer, whatever it is.
    ///
    /// # Errors
    /// The connection fails, or the answer takes longer than a minute.
    pub fn get_when_ready(&self, request: &Request, deadline: Instant) -> Result<Answer> {
        loop {
            let answer = self.get(request)?;
            let ready = !answer.error_code.as_deref().is_some_and(|code| NOT_READY.contains(&code));
            if ready || Instant::now() > deadline {
                return Ok(answer);
            }
            sleep(PAUSE);
        }
    }

    /// One GET.
    ///
    /// # Errors
    /// The connection fails, or the answer takes longer than a minute.
    pub fn get(&self, request: &Request) -> Result<Answer> {
        let url = self.url(request);
        let mut response = self
            .agent
            .get(&url)
            .header("Accept", "application/json")
            .call()
            .with_context(|| format!("no answer to GET {url}"))?;
        let bytes = response
            .body_mut()
            .with_config()
            .limit(MAX_BODY_BYTES)
            .read_to_vec()
            .with_context(|| format!("the answer to GET {url} broke off"))?;
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| String::from_utf8_lossy(&bytes).chars().take(300).collect::<String>().into());
        Ok(Answer {
            status: response.status().as_u16(),
            error_code: header(response.headers(), "X-Error-Code"),
            revision: header(response.headers(), "X-Revision"),
            body,
        })
    }

    fn url(&self, request: &Request) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in &request.params {
            query.append_pair(name, &text_of(value));
        }
        format!("{}{}?{}", self.base, request.path, query.finish())
    }
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_encoded() {
        let client = Client::new("http://127.0.0.1:8000/").unwrap();
        let request: Request = serde_json::from_value(serde_json::json!({
            "path": "/filter",
            "params": {"dataset": "conformance/x", "where": "\"a b\" > '50%' & é", "offset": 2}
        }))
        .unwrap();
        assert_eq!(
            client.url(&request),
            "http://127.0.0.1:8000/filter?dataset=conformance%2Fx&where=%22a+b%22+%3E+%2750%25%27+%26+%C3%A9&offset=2"
        );
    }

    #[test]
    fn other_schemes_are_refused() {
        assert!(Client::new("https://example.com").is_err());
        assert!(Client::new("127.0.0.1:8000").is_err());
    }
}
