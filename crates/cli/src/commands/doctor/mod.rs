//! `belvedere doctor`: examines what the program depends on, and tells how to mend what is wrong.
//!
//! No directory is made and no database is created.

mod buckets;
mod hub;
mod machine;
mod places;
mod store;
mod tasks;

use clap::Args;
use serde::Serialize;

use super::folders::FolderArgs;
use crate::config::{Config, ConfigError, Flag, Loaded};
use crate::exit::Exit;
use crate::output::{Output, Style, wrap};

const EXAMPLES: &str = "\
Examples:
  belvedere doctor data
      before `belvedere serve data`
  STORE_URL=postgres://viewer@db/viewer belvedere doctor
      can the database be reached?
  belvedere doctor --json
      for scripts; exits with 1 if anything is wrong";

/// Arguments of `belvedere doctor`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct DoctorArgs {
    /// The folders that are going to be served.
    #[command(flatten)]
    pub folders: FolderArgs,
    /// Print JSON instead of text.
    #[arg(long)]
    pub json: bool,
}

impl DoctorArgs {
    /// The settings that these set.
    pub fn flags(&self) -> Vec<Flag> {
        self.folders.flags()
    }
}

/// What an examination found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
struct Finding {
    /// What was examined.
    check: &'static str,
    /// How it is.
    status: Status,
    /// What was found, as a lower-case fragment.
    message: String,
    /// How to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

/// How something is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    /// As it should be.
    Ok,
    /// It works, but may be slow or stop working.
    Warning,
    /// It does not work.
    Problem,
}

impl Finding {
    fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self { check, status: Status::Ok, message: message.into(), hint: None }
    }

    fn warning(check: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { check, status: Status::Warning, message: message.into(), hint: Some(hint.into()) }
    }

    fn problem(check: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { check, status: Status::Problem, message: message.into(), hint: Some(hint.into()) }
    }
}

/// Examines everything and reports.
///
/// # Errors
///
/// When standard output cannot be written.
pub async fn run(args: &DoctorArgs, loaded: Result<Loaded, ConfigError>, output: Output) -> anyhow::Result<Exit> {
    let findings = examine(loaded).await;
    let is_wrong = findings.iter().any(|finding| finding.status == Status::Problem);
    if args.json {
        output.print_json(&serde_json::json!({"ok": !is_wrong, "findings": findings}))?;
    } else {
        output.print(&report(&findings, output.color))?;
    }
    Ok(if is_wrong { Exit::Problems } else { Exit::Done })
}

async fn examine(loaded: Result<Loaded, ConfigError>) -> Vec<Finding> {
    let mut findings = configuration(&loaded);
    // Without a valid configuration nobody knows which places to look at; the machine is the same for all.
    let config = loaded.map(|loaded| loaded.config);
    if let Ok(config) = &config {
        findings.extend(places::examine(config));
        findings.push(store::examine(config).await);
        findings.extend(tasks::examine(config).await);
        findings.extend(buckets::examine(config).await);
        findings.extend(hub::examine(config).await);
        findings.push(port(config));
    }
    findings.extend(machine::examine(config.as_ref().ok()));
    findings
}

fn configuration(loaded: &Result<Loaded, ConfigError>) -> Vec<Finding> {
    const CHECK: &str = "configuration";
    match loaded {
        Err(error) => {
            error.problems.iter().map(|problem| Finding::problem(CHECK, problem.to_string(), error.hint)).collect()
        }
        Ok(loaded) if loaded.notes.is_empty() => vec![Finding::ok(CHECK, "is valid")],
        Ok(loaded) => loaded
            .notes
            .iter()
            .map(|note| Finding::warning(CHECK, note, "unset it, or see `belvedere config reference NAME`"))
            .collect(),
    }
}

fn port(config: &Config) -> Finding {
    const CHECK: &str = "port";
    let (host, port) = (config.api.uvicorn_hostname.as_str(), config.api.uvicorn_port);
    match std::net::TcpListener::bind((host, port)) {
        Ok(_) => Finding::ok(CHECK, format!("{host}:{port} is free")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Finding::warning(
            CHECK,
            format!("{host}:{port} is in use, by a running server or another program"),
            "stop it, or choose another port with `--port` or `API_UVICORN_PORT`",
        ),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Finding::problem(
            CHECK,
            format!("{host}:{port} may not be used by this user"),
            "choose a port above 1023 with `--port` or `API_UVICORN_PORT`",
        ),
        Err(error) => Finding::problem(
            CHECK,
            format!("{host}:{port} cannot be listened on: {error}"),
            "name an address of this machine with `--host` or `API_UVICORN_HOSTNAME`",
        ),
    }
}

/// The findings as text, problems first.
fn report(findings: &[Finding], color: bool) -> String {
    let mut text = String::new();
    for wanted in [Status::Problem, Status::Warning, Status::Ok] {
        for finding in findings.iter().filter(|finding| finding.status == wanted) {
            let (word, style) = match wanted {
                Status::Problem => ("problem", Style::Red),
                Status::Warning => ("warning", Style::Yellow),
                Status::Ok => ("ok     ", Style::Green),
            };
            let Finding { check, message, hint, .. } = finding;
            text.push_str(&format!("{}  {check}: {message}\n", style.paint(word, color)));
            if let Some(hint) = hint {
                let hint = wrap(&format!("hint: {hint}"), 90, "         ");
                text.push_str(&hint);
                text.push('\n');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_reported_first_with_their_hints() {
        let findings = [
            Finding::ok("store", "is there"),
            Finding::warning("port", "is in use", "choose another"),
            Finding::problem("state directory", "cannot be written", "give it away"),
        ];
        insta::assert_snapshot!(report(&findings, false), @r"
        problem  state directory: cannot be written
                 hint: give it away
        warning  port: is in use
                 hint: choose another
        ok       store: is there
        ");
    }
}
