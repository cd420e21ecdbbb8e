//! The admin service, wherever it is: a server, or its handlers in this process over the store.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use belvedere_api::{AdminSettings, ApiState, Router, TokenHash};
use serde_json::Value as Json;

use super::ServerArgs;
use crate::admin::{ServerNote, fresh_token};
use crate::commands::folders;
use crate::commands::server::{self, Server, Unanswered};
use crate::config::Config;
use crate::exit::Advice;
use crate::progress::encoded;
use crate::runtime::Runtime;

/// Longest wait for a sign of life of a server that may be gone.
const SIGN_OF_LIFE: Duration = Duration::from_secs(3);

/// What a command needs of the store, where no server runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// What is stored.
    Store,
    /// The folders as well, since revisions are looked for.
    Folders,
}

/// Asks the admin service.
pub(crate) enum Client {
    There(Server),
    Here { router: Router, authorization: String, _runtime: Arc<Runtime> },
}

impl Client {
    /// The server that is named, or the one that runs on the store, or the store itself.
    pub(crate) async fn connect(args: &ServerArgs, config: &Config, needs: Needs) -> anyhow::Result<Self> {
        let token = server::token(args)?;
        if let Some(url) = &args.url {
            if !["http://", "https://"].iter().any(|scheme| url.starts_with(scheme)) {
                let message = format!("`--url {url}` is no address of a server");
                return Err(Advice::usage(message, "write it with its scheme, as `https://viewer.example.org`").into());
            }
            return Ok(Self::There(Server::new(url, token)));
        }
        if let Some(note) = ServerNote::read(config) {
            let server = Self::There(Server::noted(&note.url, token.unwrap_or(note.token)));
            if server.is_alive().await {
                return Ok(server);
            }
        }
        if needs == Needs::Folders && config.serve.folders.is_empty() {
            let hint = "start the server, or name its folders with `--set serve.folders=FOLDER`, or another server \
                        with `--url`";
            return Err(Advice::usage("no server runs on this store, and no folder is known", hint).into());
        }
        Self::here(config, needs).await
    }

    async fn here(config: &Config, needs: Needs) -> anyhow::Result<Self> {
        let runtime = Arc::new(Runtime::build(config, |_| {}).await?);
        if needs == Needs::Folders {
            folders::require(config, "admin")?;
            runtime.first_look().await?;
        }
        // Who may open the store may do everything.
        let token = fresh_token()?;
        let own_token = Some(TokenHash::of("command line", &token));
        let state: ApiState = runtime.api_state(config, AdminSettings { own_token, ..AdminSettings::default() });
        let router = belvedere_api::admin_router(state);
        Ok(Self::Here { router, authorization: format!("Bearer {token}"), _runtime: runtime })
    }

    async fn is_alive(&self) -> bool {
        let asked = tokio::time::timeout(SIGN_OF_LIFE, self.ask("GET", "/admin/healthcheck", None));
        matches!(asked.await, Ok(Ok((200, _))))
    }

    /// The JSON of a report.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Json> {
        self.json("GET", path, None).await
    }

    /// The JSON of what an action answers.
    pub(crate) async fn post(&self, path: &str) -> anyhow::Result<Json> {
        self.json("POST", path, None).await
    }

    /// What is answered to a request with a body in JSON; null where nothing is.
    pub(crate) async fn send(&self, method: &'static str, path: &str, body: Option<Json>) -> anyhow::Result<Json> {
        self.json(method, path, body).await
    }

    async fn json(&self, method: &'static str, path: &str, body: Option<Json>) -> anyhow::Result<Json> {
        let (status, body) = self.ask(method, path, body).await?;
        match status {
            200 | 201 => {}
            204 => return Ok(Json::Null),
            _ => return Err(refusal(status, &body, path)),
        }
        serde_json::from_slice(&body).with_context(|| {
            Advice::environment(format!("what {path} answers is no JSON"), "is this the address of an admin service?")
        })
    }

    async fn ask(&self, method: &'static str, path: &str, body: Option<Json>) -> anyhow::Result<(u16, Vec<u8>)> {
        let body = body.map(|body| body.to_string().into_bytes());
        match self {
            Self::Here { router, authorization, .. } => {
                let headers = [("host", "localhost"), ("authorization", authorization)];
                let body = body.unwrap_or_default();
                let answer = belvedere_api::ask_with(router, method, path, &headers, body).await;
                Ok((answer.status, answer.body.to_vec()))
            }
            Self::There(server) => {
                let body = body.map(|body| (Some("application/json".to_owned()), body));
                let url = format!("{}{path}", server.url);
                match server.ask(method, path, body).await? {
                    Ok(answer) => Ok((answer.status, answer.body)),
                    Err(Unanswered::Illegal(error)) => {
                        Err(error).context(Advice::usage(format!("{url} cannot be asked"), ""))
                    }
                    Err(Unanswered::Away(error)) => {
                        let hint = "is this the address of the admin service?";
                        Err(error).context(Advice::environment(format!("{url} does not answer"), hint))
                    }
                }
            }
        }
    }
}

/// What the service has said, with what may be done about it.
fn refusal(status: u16, body: &[u8], path: &str) -> anyhow::Error {
    let route = path.split('?').next().unwrap_or(path);
    let json: Json = serde_json::from_slice(body).unwrap_or_default();
    let text = String::from_utf8_lossy(body);
    let said = json["error"].as_str().unwrap_or_else(|| text.lines().next().unwrap_or_default());
    let hint = match status {
        401 | 404 if json["error"].is_string() => "name a file with the token of an operator with `--token-file`",
        404 => "`belvedere admin graph` lists the steps; is this the address of an admin service?",
        503 => "try again when the database is back",
        _ => "",
    };
    let message = format!("the admin service refused {route} with status {status}: {said}");
    match status {
        409 | 422 => Advice::usage(message, hint).into(),
        _ => Advice::environment(message, hint).into(),
    }
}

/// A path with a query of those parameters that are there.
pub(super) fn with_query(path: &str, parameters: &[(&str, Option<&str>)]) -> String {
    let mut text = path.to_owned();
    let mut separator = '?';
    for (name, value) in parameters {
        if let Some(value) = value {
            text.push(separator);
            text.push_str(&format!("{name}={}", encoded(value)));
            separator = '&';
        }
    }
    text
}

/// The name of a step as a part of a path; the service knows which exist.
pub(super) fn step(name: &str) -> anyhow::Result<&str> {
    let is_legal = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    if !is_legal {
        bail!(Advice::usage(format!("`{name}` is not a step"), "`belvedere admin graph` lists them"));
    }
    Ok(name)
}
