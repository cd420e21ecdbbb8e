//! A client of the routes of tasks.

use std::time::Duration;

use anyhow::Context;
use serde_json::Value as Json;

use crate::admin::{ServerNote, fresh_token};
use crate::commands::admin::ServerArgs;
use crate::config::Config;
use crate::exit::Advice;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(120);

/// A part of a form.
pub(super) struct Part {
    name: &'static str,
    file_name: String,
    bytes: Vec<u8>,
}

impl Part {
    /// A part that is made of these bytes.
    pub(super) fn bytes(name: &'static str, file_name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name, file_name: file_name.to_owned(), bytes: bytes.into() }
    }
}

/// A piece of a log.
pub(super) struct Piece {
    pub(super) generation: u64,
    pub(super) next: u64,
    pub(super) bytes: Vec<u8>,
}

/// A server.
#[derive(Clone)]
pub(super) struct Client {
    agent: ureq::Agent,
    url: String,
    authorization: Option<String>,
}

impl Client {
    /// The server that is named, or the one that runs on the store.
    pub(super) fn connect(args: &ServerArgs, config: &Config) -> anyhow::Result<Self> {
        let token = args.token_file.as_ref().map(|path| {
            let text = std::fs::read_to_string(path);
            text.with_context(|| Advice::usage(format!("the token in {} cannot be read", path.display()), ""))
        });
        let token = token.transpose()?.map(|text| text.trim().to_owned());
        let (url, token) = match &args.url {
            Some(url) => (url.clone(), token),
            None => {
                let note = ServerNote::read(config).ok_or_else(|| {
                    let hint = "start one with `belvedere serve FOLDER`, or name one with `--url`";
                    Advice::environment("no server runs on this store", hint)
                })?;
                (note.url, Some(token.unwrap_or(note.token)))
            }
        };
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .max_redirects(0)
            .http_status_as_error(false)
            .user_agent(concat!("belvedere/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        let authorization = token.map(|token| format!("Bearer {token}"));
        Ok(Self { agent, url: url.trim_end_matches('/').to_owned(), authorization })
    }

    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Json> {
        json(&self.ask("GET", path, Vec::new(), String::new()).await?.1, path)
    }

    pub(super) async fn post(&self, path: &str) -> anyhow::Result<Json> {
        json(&self.ask("POST", path, Vec::new(), String::new()).await?.1, path)
    }

    /// Sends files.
    pub(super) async fn send_form(&self, path: &str, parts: &[Part]) -> anyhow::Result<Json> {
        // Random, so that no file holds it.
        let boundary = fresh_token()?;
        let mut body = Vec::new();
        for part in parts {
            let name = part.file_name.replace(['"', '\r', '\n'], "_");
            let head = format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"; filename=\"{name}\"\r\n\
                 Content-Type: application/octet-stream\r\n\r\n",
                part.name
            );
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(&part.bytes);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        let kind = format!("multipart/form-data; boundary={boundary}");
        json(&self.ask("POST", path, body, kind).await?.1, path)
    }

    /// A piece of a log.
    pub(super) async fn piece(&self, path: &str) -> anyhow::Result<Piece> {
        let (headers, bytes) = self.ask("GET", path, Vec::new(), String::new()).await?;
        let number = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0);
        Ok(Piece { generation: number("x-log-generation"), next: number("x-log-next-offset"), bytes })
    }

    async fn ask(
        &self,
        method: &'static str,
        path: &str,
        body: Vec<u8>,
        kind: String,
    ) -> anyhow::Result<(ureq::http::HeaderMap, Vec<u8>)> {
        let (this, path) = (self.clone(), path.to_owned());
        tokio::task::spawn_blocking(move || this.ask_now(method, &path, body, &kind)).await?
    }

    fn ask_now(
        &self,
        method: &str,
        path: &str,
        body: Vec<u8>,
        kind: &str,
    ) -> anyhow::Result<(ureq::http::HeaderMap, Vec<u8>)> {
        let url = format!("{}{path}", self.url);
        let mut request = ureq::http::Request::builder().method(method).uri(&url);
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        if !kind.is_empty() {
            request = request.header("content-type", kind);
        }
        let illegal =
            || Advice::usage(format!("{url} cannot be asked"), "write addresses as `https://viewer.example.org`");
        let away = || Advice::environment(format!("{} does not answer", self.url), "is the server running?");
        let sent = if method == "GET" {
            self.agent.run(request.body(()).with_context(illegal)?)
        } else {
            self.agent.run(request.body(body).with_context(illegal)?)
        };
        let mut answer = sent.with_context(away)?;
        let bytes = answer.body_mut().with_config().limit(u64::MAX).read_to_vec().with_context(away)?;
        match answer.status().as_u16() {
            200..=299 => Ok((answer.headers().clone(), bytes)),
            status => Err(refusal(status, &bytes)),
        }
    }
}

fn json(bytes: &[u8], path: &str) -> anyhow::Result<Json> {
    serde_json::from_slice(bytes).with_context(|| {
        Advice::environment(format!("what {path} answers is no JSON"), "is this the address of the server?")
    })
}

/// What the server has said.
fn refusal(status: u16, body: &[u8]) -> anyhow::Error {
    let problem: Json = serde_json::from_slice(body).unwrap_or_default();
    let text = String::from_utf8_lossy(body);
    let said = problem["detail"].as_str().or(problem["error"].as_str());
    let said = said.unwrap_or_else(|| text.lines().next().unwrap_or_default());
    let hint = match status {
        401 => "log in, make a token (`belvedere token create`), and name a file that holds it with `--token-file`",
        404 => "`belvedere task list` shows your tasks",
        _ => "",
    };
    let message = format!("the server refused with status {status}: {said}");
    match status {
        409 | 413 | 422 => Advice::usage(message, hint).into(),
        _ => Advice::environment(message, hint).into(),
    }
}
