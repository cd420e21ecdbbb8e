//! The run of an attempt at an MLflow tracking server: made before the program starts, found again by the attempt's tag, and
//! closed when the program did not close it.
//!
//! The server may be away: the task runs all the same and says so.

use std::time::Duration;

use belvedere_domain::task::{AttemptTag, State};
use serde_json::{Value, json};

/// The tag of a run that names its attempt.
const TAG: &str = "belvedere.attempt";
/// Longest answer that is read, in bytes.
const MAX_ANSWER: u64 = 4 << 20;
/// How long one request may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Where runs are recorded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Tracking {
    /// At a server.
    Server(String),
    /// In a folder of the attempt's output.
    Folder(String),
}

impl Tracking {
    /// Understands a `tracking_uri`: a URL of a server, or a name or path, whose last part becomes a folder.
    pub fn parse(uri: &str) -> Self {
        if uri.starts_with("http://") || uri.starts_with("https://") {
            return Self::Server(uri.trim_end_matches('/').to_owned());
        }
        let last = uri.trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or_default();
        let plain = belvedere_domain::task::PlainName::new(last);
        Self::Folder(plain.map_or_else(|_| "mlruns".to_owned(), |name| name.to_string()))
    }

    /// What the program gets as `MLFLOW_TRACKING_URI`.
    pub fn variable(&self) -> String {
        match self {
            Self::Server(url) => url.clone(),
            Self::Folder(name) => format!("@/{}/{name}", crate::place::OUTPUT),
        }
    }
}

/// Why there is no run.
#[derive(Debug, thiserror::Error)]
#[error("MLflow at {host} {message}")]
pub struct TrackingError {
    host: String,
    message: String,
}

/// A run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Run {
    /// Its id.
    pub id: String,
    /// Its page.
    pub url: String,
}

/// Makes the run of an attempt, or finds it. Waits for the server: to be called where that is allowed.
///
/// # Errors
/// [`TrackingError`] when the server is away or says no.
pub fn ensure_run(server: &str, experiment: &str, tag: &AttemptTag, now_ms: i64) -> Result<Run, TrackingError> {
    let client = Client::new(server);
    let experiment = client.experiment(experiment)?;
    let filter = format!("tags.\"{TAG}\" = '{tag}'");
    let found =
        client.post("runs/search", &json!({"experiment_ids": [experiment], "filter": filter, "max_results": 1}))?;
    let id = match found.pointer("/runs/0/info/run_id").and_then(Value::as_str) {
        Some(id) => id.to_owned(),
        None => {
            let tags =
                [json!({"key": TAG, "value": tag.as_str()}), json!({"key": "mlflow.runName", "value": tag.as_str()})];
            let body = json!({"experiment_id": experiment, "start_time": now_ms, "tags": tags});
            let made = client.post("runs/create", &body)?;
            made.pointer("/run/info/run_id").and_then(Value::as_str).map(str::to_owned).ok_or_else(|| client.odd())?
        }
    };
    if !belvedere_domain::task::PlainName::new(&id).is_ok_and(|id| !id.as_str().is_empty()) {
        return Err(client.odd());
    }
    Ok(Run { url: format!("{server}/#/experiments/{experiment}/runs/{id}"), id })
}

/// Closes the run of an attempt that has ended, unless the program did.
///
/// # Errors
/// [`TrackingError`] when the server is away or says no.
pub fn close_run(server: &str, run: &str, outcome: State, now_ms: i64) -> Result<(), TrackingError> {
    let client = Client::new(server);
    let found = client.get(&format!("runs/get?run_id={run}"))?;
    if !matches!(found.pointer("/run/info/status").and_then(Value::as_str), Some("RUNNING" | "SCHEDULED")) {
        return Ok(());
    }
    let status = match outcome {
        State::Succeeded => "FINISHED",
        State::Cancelled | State::Preempted | State::Timeout => "KILLED",
        _ => "FAILED",
    };
    client.post("runs/update", &json!({"run_id": run, "status": status, "end_time": now_ms})).map(drop)
}

/// The run that a program recorded in a folder of its output: `FOLDER/EXPERIMENT/RUN/meta.yaml`.
pub fn run_in_folder<'a>(folder: &str, paths: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut runs = paths.filter_map(|path| match path.split('/').collect::<Vec<_>>()[..] {
        [first, _, run, "meta.yaml"] if first == folder && run.len() == 32 => Some(run.to_owned()),
        _ => None,
    });
    runs.find(|run| run.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

struct Client<'a> {
    server: &'a str,
    agent: ureq::Agent,
}

impl<'a> Client<'a> {
    fn new(server: &'a str) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(LIMIT))
            .http_status_as_error(false)
            .max_redirects(0)
            .build();
        Self { server, agent: config.new_agent() }
    }

    fn error(&self, message: impl Into<String>) -> TrackingError {
        // Without what may be a secret.
        let host = url::Url::parse(self.server).ok().and_then(|url| url.host_str().map(str::to_owned));
        TrackingError { host: host.unwrap_or_else(|| "an unreadable address".to_owned()), message: message.into() }
    }

    fn odd(&self) -> TrackingError {
        self.error("gave an answer that it should not give")
    }

    fn experiment(&self, name: &str) -> Result<String, TrackingError> {
        let made = self.answer("experiments/create", Some(&json!({"name": name})))?;
        let id = |value: &Value, pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        if let Some(id) = id(&made.1, "/experiment_id") {
            return Ok(id);
        }
        if made.1.get("error_code").and_then(Value::as_str) != Some("RESOURCE_ALREADY_EXISTS") {
            return Err(self.refusal(made.0, &made.1));
        }
        let encoded: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
        let found = self.get(&format!("experiments/get-by-name?experiment_name={encoded}"))?;
        id(&found, "/experiment/experiment_id").ok_or_else(|| self.odd())
    }

    fn get(&self, path: &str) -> Result<Value, TrackingError> {
        self.good(path, None)
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value, TrackingError> {
        self.good(path, Some(body))
    }

    fn good(&self, path: &str, body: Option<&Value>) -> Result<Value, TrackingError> {
        match self.answer(path, body)? {
            (200, value) => Ok(value),
            (status, value) => Err(self.refusal(status, &value)),
        }
    }

    fn refusal(&self, status: u16, value: &Value) -> TrackingError {
        let code = value.get("error_code").and_then(Value::as_str).unwrap_or("no reason");
        self.error(format!("answered {status} ({})", code.chars().take(80).collect::<String>()))
    }

    fn answer(&self, path: &str, body: Option<&Value>) -> Result<(u16, Value), TrackingError> {
        let url = format!("{}/api/2.0/mlflow/{path}", self.server);
        let sent = match body {
            None => self.agent.get(&url).call(),
            Some(body) => self.agent.post(&url).header("Content-Type", "application/json").send(&body.to_string()),
        };
        let mut response = sent.map_err(|error| self.error(format!("is away: {error}")))?;
        let status = response.status().as_u16();
        let read = response.body_mut().with_config().limit(MAX_ANSWER).read_to_vec();
        let bytes = read.map_err(|error| self.error(format!("broke off: {error}")))?;
        Ok((status, serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_folder_and_a_url_is_a_server() {
        assert_eq!(Tracking::parse("experiments"), Tracking::Folder("experiments".into()));
        assert_eq!(Tracking::parse("/home/x/../mlruns/"), Tracking::Folder("mlruns".into()));
        assert_eq!(Tracking::parse("file:///a/.."), Tracking::Folder("mlruns".into()));
        assert_eq!(Tracking::parse("http://h:5000/").variable(), "http://h:5000");
        assert_eq!(Tracking::parse("experiments").variable(), "@/output/experiments");
    }

    #[test]
    fn a_run_in_a_folder_is_found_by_its_shape() {
        let run = "0123456789abcdef0123456789abcdef";
        let path = format!("experiments/123/{run}/meta.yaml");
        let paths = ["experiments/123/meta.yaml", "other/1/x/meta.yaml", path.as_str()];
        assert_eq!(run_in_folder("experiments", paths.into_iter()).as_deref(), Some(run));
        assert_eq!(run_in_folder("other", paths.into_iter()), None);
    }

    #[test]
    fn a_server_that_is_away_is_named_without_its_secrets() {
        let tag = crate::new_task_id(1).tag(1);
        // Nothing listens at port 1 of the loopback.
        let error = ensure_run("http://user:secret@127.0.0.1:1", "x", &tag, 0).unwrap_err().to_string();
        assert!(error.starts_with("MLflow at 127.0.0.1 is away") && !error.contains("secret"), "{error}");
    }
}
