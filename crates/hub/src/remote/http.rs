//! Calls of a Hub: credentials, redirects, and what an answer means. Blocks; [`Client::json`] tries again.

use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;
use ureq::SendBody;
use ureq::http::{HeaderMap, Method, Request};
use ureq::unversioned::resolver::{DefaultResolver, Resolver};

use super::address::{self, AddressError, Endpoint};
use super::guard::{Guard, Network, Refused};

/// Redirects that are followed.
const MAX_REDIRECTS: usize = 5;
/// Calls at the same time; more wait.
const CALLS: usize = 16;
/// Longest answer that is not a file.
const MAX_ANSWER_BYTES: u64 = 64 << 20;
/// Longest text of an error that is read.
const MAX_ERROR_BYTES: u64 = 4096;
/// Longest time that a Hub can make us wait.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(120);

/// A token of a Hub. Shows itself to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Arc<str>);

impl Token {
    /// A token; `None` for a blank one.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.into()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// No connection, no answer in time, or one that broke off.
    #[error("the Hub gave no answer")]
    NoAnswer(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// An address that is not called.
    #[error("the Hub is not called")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The answer is an error.
    #[error("the Hub answered with the status {status}{}", if message.is_empty() { String::new() } else { format!(": {message}") })]
    Status {
        /// Its status.
        status: u16,
        /// Its `X-Error-Code`.
        code: Option<String>,
        /// What it says, cut.
        message: String,
        /// How long to wait before the next call.
        retry_after: Option<Duration>,
    },
    /// The answer is not what it should be.
    #[error("the Hub answered with something unexpected: {0}")]
    Unexpected(String),
}

impl HttpError {
    /// True when the same call may succeed later.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::NoAnswer(_) => true,
            Self::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504),
            Self::Refused(_) | Self::Unexpected(_) => false,
        }
    }

    /// The `X-Error-Code` of an answer.
    pub(super) fn code(&self) -> Option<&str> {
        match self {
            Self::Status { code, .. } => code.as_deref(),
            _ => None,
        }
    }

    /// The status of an answer.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// Whose credentials a call carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Credentials {
    /// Those of the client, as long as it talks to the Hub's own origin.
    Own,
    /// None: the address carries its own proof.
    None,
}

/// What a call sends.
#[derive(Clone, Debug)]
pub(super) enum Payload {
    None,
    Bytes(Bytes),
    /// Part of a file.
    File(PathBuf, Range<u64>),
}

/// One call.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) payload: Payload,
    pub(super) credentials: Credentials,
}

impl Call {
    pub(super) fn get(url: String) -> Self {
        Self { method: Method::GET, url, headers: Vec::new(), payload: Payload::None, credentials: Credentials::Own }
    }

    pub(super) fn post(url: String, content_type: &str, body: impl Into<Bytes>) -> Self {
        let headers = vec![("content-type", content_type.to_owned())];
        let payload = Payload::Bytes(body.into());
        Self { method: Method::POST, url, headers, payload, credentials: Credentials::Own }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// An answer that is no error, its body not read yet.
pub(super) struct Opened {
    pub(super) status: u16,
    /// Of the first answer: a redirect tells things about the file that its storage does not.
    pub(super) first: HeaderMap,
    /// Of the last answer.
    pub(super) headers: HeaderMap,
    pub(super) body: ureq::Body,
}

/// Settings of a client of a Hub.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// The Hub.
    pub endpoint: Endpoint,
    /// The token sent to it.
    pub token: Option<Token>,
    /// Addresses that may be called though they are not public.
    pub allowed: Arc<[Network]>,
    /// Longest wait for an answer, and between two pieces of one.
    pub timeout: Duration,
    /// Pauses before a call is tried again; one for each further attempt.
    pub waits: Arc<[Duration]>,
}

/// Calls one Hub.
#[derive(Clone)]
pub(super) struct Client {
    agent: ureq::Agent,
    options: Arc<ClientOptions>,
    calls: Arc<Semaphore>,
}

impl Client {
    pub(super) fn new(options: ClientOptions) -> Self {
        Self::resolving_with(options, DefaultResolver::default())
    }

    /// A client that asks somebody else for the addresses of names. They are checked all the same.
    pub(super) fn resolving_with(options: ClientOptions, names: impl Resolver) -> Self {
        let timeout = options.timeout;
        let config = ureq::Agent::config_builder()
            .timeout_resolve(Some(timeout))
            .timeout_connect(Some(timeout))
            .timeout_recv_response(Some(timeout))
            .timeout_per_read(Some(timeout))
            .timeout_per_write(Some(timeout))
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            // What the environment says about proxies would lead around the guard.
            .proxy(None)
            // Lengths and ranges are those of the plain file.
            .accept_encoding("identity")
            .user_agent(concat!("belvedere/", env!("CARGO_PKG_VERSION"), "; unknown/None"))
            .build();
        let guard = Guard::new(Arc::clone(&options.allowed), names);
        let connector = ureq::unversioned::transport::DefaultConnector::default();
        let agent = ureq::Agent::with_parts(config, connector, guard);
        Self { agent, options: Arc::new(options), calls: Arc::new(Semaphore::new(CALLS)) }
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.options.endpoint
    }

    /// Carries out a call on a thread that may wait; one attempt.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        call: Call,
        read: impl FnOnce(Opened) -> Result<T, HttpError> + Send + 'static,
    ) -> Result<T, HttpError> {
        let permit = Arc::clone(&self.calls).acquire_owned().await.map_err(no_answer)?;
        let client = self.clone();
        let work = move || {
            let done = client.open(&call).and_then(read);
            drop(permit);
            done
        };
        tokio::task::spawn_blocking(work).await.map_err(no_answer)?
    }

    /// Headers and body of an answer. Tries again what may pass, `attempts` times at most.
    pub(super) async fn fetch(&self, call: Call, attempts: usize) -> Result<(HeaderMap, Vec<u8>), HttpError> {
        let read = |mut opened: Opened| {
            let body = opened.body.with_config().limit(MAX_ANSWER_BYTES).read_to_vec().map_err(unread)?;
            Ok((opened.headers, body))
        };
        let mut attempt = 1;
        loop {
            match self.run(call.clone(), read).await {
                Err(error) if error.is_passing() && attempt < attempts => {
                    tracing::debug!(error = &error as &dyn std::error::Error, attempt, "the Hub is asked again");
                    self.pause(attempt, &error).await;
                    attempt += 1;
                }
                done => return done,
            }
        }
    }

    /// The JSON of an answer, as [`fetch`](Self::fetch).
    pub(super) async fn json<T: serde::de::DeserializeOwned>(
        &self,
        call: Call,
        attempts: usize,
    ) -> Result<(HeaderMap, T), HttpError> {
        let (headers, body) = self.fetch(call, attempts).await?;
        match serde_json::from_slice(&body) {
            Ok(json) => Ok((headers, json)),
            Err(error) => Err(HttpError::Unexpected(format!("no JSON of the right shape: {error}"))),
        }
    }

    /// Most attempts of a call that somebody can wait for.
    pub(super) fn patient(&self) -> usize {
        self.options.waits.len() + 1
    }

    /// Waits before the next attempt: as long as the Hub asks for, else longer and longer.
    pub(super) async fn pause(&self, failures: usize, error: &HttpError) {
        let waits = &self.options.waits;
        let planned = waits.get(failures.saturating_sub(1)).or(waits.last()).copied().unwrap_or_default();
        let asked = error.retry_after().unwrap_or_default().min(MAX_RETRY_AFTER);
        tokio::time::sleep(planned.max(asked)).await;
    }

    /// Carries out a call and follows its redirects. Blocks.
    fn open(&self, call: &Call) -> Result<Opened, HttpError> {
        let mut url = call.url.clone();
        let mut first = None;
        for _ in 0..=MAX_REDIRECTS {
            let answer = self.send(call, &url)?;
            let status = answer.status().as_u16();
            let location = answer.headers().get("location").and_then(|value| value.to_str().ok());
            if let (301 | 302 | 303 | 307 | 308, Some(location), &Method::GET) = (status, location, &call.method) {
                url = address::redirected(&url, location).map_err(refused)?;
                first.get_or_insert_with(|| answer.headers().clone());
                continue;
            }
            if !(200..300).contains(&status) {
                return Err(status_error(answer));
            }
            let headers = answer.headers().clone();
            let first = first.unwrap_or_else(|| headers.clone());
            return Ok(Opened { status, first, headers, body: answer.into_body() });
        }
        Err(HttpError::Unexpected(format!("more than {MAX_REDIRECTS} redirects")))
    }

    fn send(&self, call: &Call, url: &str) -> Result<ureq::http::Response<ureq::Body>, HttpError> {
        let mut request = Request::builder().method(call.method.clone()).uri(url);
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        if call.credentials == Credentials::Own
            && let Some(Token(token)) = self.options.token.as_ref().filter(|_| self.options.endpoint.owns(url))
        {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let malformed = |_| HttpError::Unexpected("an address that cannot be called".to_owned());
        let answer = match &call.payload {
            Payload::None => self.agent.run(request.body(()).map_err(malformed)?),
            Payload::Bytes(bytes) => self.agent.run(request.body(&bytes[..]).map_err(malformed)?),
            Payload::File(path, range) => {
                let mut file = File::open(path).map_err(no_answer)?;
                file.seek(SeekFrom::Start(range.start)).map_err(no_answer)?;
                let length = range.end.saturating_sub(range.start);
                let mut part = file.take(length);
                let request = request.header("content-length", length.to_string());
                self.agent.run(request.body(SendBody::from_reader(&mut part)).map_err(malformed)?)
            }
        };
        answer.map_err(call_error)
    }
}

fn call_error(error: ureq::Error) -> HttpError {
    match error {
        ureq::Error::Other(error) if error.is::<Refused>() => HttpError::Refused(error),
        ureq::Error::BadUri(_) => HttpError::Unexpected("an address that cannot be called".to_owned()),
        error => no_answer(error),
    }
}

/// The failure of reading an answer: one that is too long will not get shorter.
fn unread(error: ureq::Error) -> HttpError {
    match error {
        ureq::Error::BodyExceedsLimit(limit) => HttpError::Unexpected(format!("more than {limit} bytes")),
        error => no_answer(error),
    }
}

fn status_error(mut answer: ureq::http::Response<ureq::Body>) -> HttpError {
    let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (code, told) = (header("x-error-code"), header("x-error-message"));
    let seconds = header("retry-after").and_then(|value| value.trim().parse::<f64>().ok());
    let retry_after = seconds.or_else(|| header("ratelimit").and_then(|value| rate_limited(&value)));
    let retry_after = retry_after.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let status = answer.status().as_u16();
    let message = told.or_else(|| {
        let body = answer.body_mut().with_config().limit(MAX_ERROR_BYTES).read_to_vec().ok()?;
        let json: serde_json::Value = serde_json::from_slice(&body).ok()?;
        json["error"].as_str().map(str::to_owned)
    });
    let message = message.unwrap_or_default().chars().filter(|c| !c.is_control()).take(200).collect();
    HttpError::Status { status, code, message, retry_after }
}

/// The seconds of `"api";r=0;t=55`.
fn rate_limited(header: &str) -> Option<f64> {
    header.split(';').find_map(|part| part.trim().strip_prefix("t=")?.parse().ok())
}

pub(super) fn no_answer(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> HttpError {
    HttpError::NoAnswer(error.into())
}

fn refused(error: AddressError) -> HttpError {
    HttpError::Refused(Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_show_themselves_to_nobody() {
        let token = Token::new(" hf_secret\n").unwrap();
        assert_eq!((format!("{token:?}"), Token::new(" \n")), ("Token".to_owned(), None));
    }

    #[test]
    fn a_rate_limit_tells_when_it_ends() {
        assert_eq!(rate_limited("\"api\";r=0;t=55"), Some(55.0));
        assert_eq!(rate_limited("\"api\";r=0"), None);
    }
}
