//! A server that commands ask over HTTP.

use std::time::Duration;

use anyhow::Context;
use ureq::http;

use super::admin::ServerArgs;
use crate::exit::Advice;

/// Longest wait for an answer: a page of reports with content may take a while.
const PATIENCE: Duration = Duration::from_secs(120);

/// The token that is named, if one is.
///
/// # Errors
/// With a hint, when its file cannot be read.
pub(super) fn token(args: &ServerArgs) -> anyhow::Result<Option<String>> {
    let Some(path) = &args.token_file else { return Ok(None) };
    let text = std::fs::read_to_string(path);
    let text = text.with_context(|| Advice::usage(format!("the token in {} cannot be read", path.display()), ""))?;
    Ok(Some(text.trim().to_owned()))
}

/// A server.
#[derive(Clone)]
pub(crate) struct Server {
    agent: ureq::Agent,
    pub(super) url: String,
    authorization: Option<String>,
}

/// What a request brings with it: its kind, unless that goes without saying, and its bytes.
pub(super) type Body = Option<(Option<String>, Vec<u8>)>;

/// What a server answers.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: http::HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Why there is no answer.
pub(super) enum Unanswered {
    /// Its address or the token is none.
    Illegal(http::Error),
    /// Nobody answers there.
    Away(ureq::Error),
}

impl Server {
    /// The server on this machine that left a note. Its certificate is for a name, which the note does not have; who could
    /// stand in for it on its own address could read the note as well.
    pub(super) fn noted(url: &str, token: String) -> Self {
        let tls = ureq::tls::TlsConfig::builder().disable_verification(true).build();
        Self::with(url, Some(token), tls)
    }

    /// The server at an address.
    pub(super) fn new(url: &str, token: Option<String>) -> Self {
        Self::with(url, token, ureq::tls::TlsConfig::default())
    }

    fn with(url: &str, token: Option<String>, tls: ureq::tls::TlsConfig) -> Self {
        let agent = ureq::Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(PATIENCE))
            .max_redirects(0)
            .http_status_as_error(false)
            .user_agent(concat!("belvedere/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        let authorization = token.map(|token| format!("Bearer {token}"));
        Self { agent, url: url.trim_end_matches('/').to_owned(), authorization }
    }

    /// Asks, on a thread that may wait.
    pub(super) async fn ask(
        &self,
        method: &'static str,
        path: &str,
        body: Body,
    ) -> anyhow::Result<Result<Answer, Unanswered>> {
        let (this, url) = (self.clone(), format!("{}{path}", self.url));
        Ok(tokio::task::spawn_blocking(move || this.ask_now(method, &url, body)).await?)
    }

    fn ask_now(&self, method: &str, url: &str, body: Body) -> Result<Answer, Unanswered> {
        let mut request = http::Request::builder().method(method).uri(url);
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let answer = match body {
            Some((kind, bytes)) => {
                if let Some(kind) = kind {
                    request = request.header("content-type", kind);
                }
                self.agent.run(request.body(bytes).map_err(Unanswered::Illegal)?)
            }
            None => self.agent.run(request.body(()).map_err(Unanswered::Illegal)?),
        };
        let mut answer = answer.map_err(Unanswered::Away)?;
        let body = answer.body_mut().with_config().limit(u64::MAX).read_to_vec().map_err(Unanswered::Away)?;
        Ok(Answer { status: answer.status().as_u16(), headers: answer.headers().clone(), body })
    }
}
