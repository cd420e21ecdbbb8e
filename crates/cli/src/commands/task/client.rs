//! A client of the routes of tasks.

use anyhow::Context;
use serde_json::Value as Json;

use crate::admin::{ServerNote, fresh_token};
use crate::commands::admin::ServerArgs;
use crate::commands::server::{self, Answer, Body, Server, Unanswered};
use crate::config::Config;
use crate::exit::Advice;

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

/// The routes of tasks of a server.
pub(super) struct Client(Server);

impl Client {
    /// The server that is named, or the one that runs on the store.
    pub(super) fn connect(args: &ServerArgs, config: &Config) -> anyhow::Result<Self> {
        let token = server::token(args)?;
        match &args.url {
            Some(url) => Ok(Self(Server::new(url, token))),
            None => {
                let note = ServerNote::read(config).ok_or_else(|| {
                    let hint = "start one with `belvedere serve FOLDER`, or name one with `--url`";
                    Advice::environment("no server runs on this store", hint)
                })?;
                Ok(Self(Server::noted(&note.url, token.unwrap_or(note.token))))
            }
        }
    }

    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Json> {
        json(&self.ask("GET", path, None).await?.body, path)
    }

    pub(super) async fn post(&self, path: &str) -> anyhow::Result<Json> {
        json(&self.ask("POST", path, Some((None, Vec::new()))).await?.body, path)
    }

    pub(super) async fn post_json(&self, path: &str, body: &Json) -> anyhow::Result<Json> {
        let body = (Some("application/json".to_owned()), body.to_string().into_bytes());
        json(&self.ask("POST", path, Some(body)).await?.body, path)
    }

    pub(super) async fn delete(&self, path: &str) -> anyhow::Result<()> {
        self.ask("DELETE", path, None).await.map(drop)
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
        json(&self.ask("POST", path, Some((Some(kind), body))).await?.body, path)
    }

    /// A piece of a log.
    pub(super) async fn piece(&self, path: &str) -> anyhow::Result<Piece> {
        let Answer { headers, body: bytes, .. } = self.ask("GET", path, None).await?;
        let number = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0);
        Ok(Piece { generation: number("x-log-generation"), next: number("x-log-next-offset"), bytes })
    }

    async fn ask(&self, method: &'static str, path: &str, body: Body) -> anyhow::Result<Answer> {
        let url = &self.0.url;
        let answer = match self.0.ask(method, path, body).await? {
            Ok(answer) => answer,
            Err(Unanswered::Illegal(error)) => {
                let hint = "write addresses as `https://viewer.example.org`";
                return Err(error).context(Advice::usage(format!("{url}{path} cannot be asked"), hint));
            }
            Err(Unanswered::Away(error)) => {
                let advice = Advice::environment(format!("{url} does not answer"), "is the server running?");
                return Err(error).context(advice);
            }
        };
        match answer.status {
            200..=299 => Ok(answer),
            status => Err(refusal(status, &answer.body)),
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
