//! `belvedere task`: programs on datasets. Asks a server, as every client does.

mod client;
mod options;
mod run;
mod sweep;

use std::time::Duration;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::Value as Json;

use super::admin::ServerArgs;
use crate::config::Config;
use crate::exit::Exit;
use crate::output::{Output, Table};
use crate::progress::encoded;
use client::Client;
pub use run::{RowArgs, RunArgs};
pub use sweep::SweepCommand;

const EXAMPLES: &str = "\
The server that runs on the store of the configuration is asked, or the one that `--url` names, with
the token in `--token-file`.

Examples:
  belvedere task run train.py --dataset local/wine --param n_estimators=2 --follow
      runs train.py on this machine; it finds its files by TASK_INPUT and TASK_OUTPUT
  belvedere task run train.py --cluster atena02 --image sklearn --instance-type cpu
  belvedere task run train.py --config submiter_confs.json
  belvedere task run train.py --dataset local/wine/default/train --where 'alcohol > 13' --sample 1000
      trains on exactly these rows
  belvedere task run train.py --sweep lr=0.1,0.01 --sweep depth=3,5 --max-parallel 2
  belvedere task logs 019a…  --follow";

/// How often a followed task is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Arguments of `belvedere task`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct TaskArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: TaskCommand,
}

/// What to do about tasks.
#[derive(Subcommand, Debug)]
pub enum TaskCommand {
    /// Run a program.
    Run(Box<RunArgs>),
    /// List tasks, the newest first.
    List {
        /// In this state only, as `running`.
        #[arg(long)]
        state: Option<String>,
        /// Of this dataset only, by its full name.
        #[arg(long)]
        dataset: Option<String>,
        /// Of this sweep only.
        #[arg(long)]
        sweep: Option<String>,
        /// Which server, which form.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Show a task.
    Status {
        /// Its id.
        id: String,
        /// Which server, which form.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Print what a task printed.
    Logs {
        /// Its id.
        id: String,
        /// What it printed to standard error.
        #[arg(long)]
        err: bool,
        /// Go on until it ends.
        #[arg(long)]
        follow: bool,
        /// Which server, which form.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Cancel a task.
    Cancel {
        /// Its id.
        id: String,
        /// Which server, which form.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Delete a task that has ended, with all that it left.
    Delete {
        /// Its id.
        id: String,
        /// Which server, which form.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Delete tasks that ended long ago, and remove what nobody needs any more. For admins.
    Clean {
        /// Tasks that ended so long ago: `30d`, `12h`, `90m`. Without it no task is deleted.
        #[arg(long, value_name = "AGE", value_parser = age)]
        older_than: Option<u64>,
        /// Remove folders on clusters, too, of which the store knows nothing, and end what runs there. They may belong to
        /// another server that uses the same folder.
        #[arg(long)]
        orphans: bool,
        /// Remove nothing; tell what would be removed.
        #[arg(long)]
        dry_run: bool,
        /// Which server, which form.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Look after sweeps: tasks that differ by parameters alone.
    Sweep {
        /// What to do.
        #[command(subcommand)]
        command: SweepCommand,
    },
    /// Try a task again that has ended without success.
    Retry {
        /// Its id.
        id: String,
        /// Which server, which form.
        #[command(flatten)]
        server: ServerArgs,
    },
}

/// Does it.
///
/// # Errors
///
/// With a hint, when no server answers, or the server refuses.
pub async fn run(args: TaskArgs, config: &Config, output: Output) -> anyhow::Result<Exit> {
    match args.command {
        TaskCommand::Run(args) => run::run(*args, config, output).await,
        TaskCommand::List { state, dataset, sweep, server } => {
            let client = Client::connect(&server, config)?;
            let filters = [("state", state), ("dataset", dataset), ("sweep", sweep)];
            let query = filters.map(|(name, value)| value.map(|value| format!("{name}={}", encoded(&value))));
            let query = query.into_iter().flatten().collect::<Vec<_>>().join("&");
            let answer = client.get(&format!("/v1/tasks?{query}")).await?;
            list(&answer["tasks"], &server, output)
        }
        TaskCommand::Status { id, server } => {
            let answer = Client::connect(&server, config)?.get(&path(&id, "")).await?;
            show(&answer, &server, output)
        }
        TaskCommand::Logs { id, err, follow, server } => {
            let client = Client::connect(&server, config)?;
            let stream = if err { "err" } else { "out" };
            let ended = print_log(&client, &id, stream, follow, output).await?;
            Ok(if follow && ended != "succeeded" { Exit::Problems } else { Exit::Done })
        }
        TaskCommand::Cancel { id, server } => {
            let answer = Client::connect(&server, config)?.post(&path(&id, "/cancel")).await?;
            show(&answer, &server, output)
        }
        TaskCommand::Delete { id, server } => {
            Client::connect(&server, config)?.delete(&path(&id, "")).await?;
            Ok(Exit::Done)
        }
        TaskCommand::Clean { older_than, orphans, dry_run, server } => {
            let older = older_than.map_or_else(String::new, |seconds| format!("&older_seconds={seconds}"));
            let path = format!("/v1/tasks/tidy?dry_run={dry_run}&orphans={orphans}{older}");
            let answer = Client::connect(&server, config)?.post(&path).await?;
            cleaned(&answer, &server, output)
        }
        TaskCommand::Sweep { command } => sweep::run(command, config, output).await,
        TaskCommand::Retry { id, server } => {
            let answer = Client::connect(&server, config)?.post(&path(&id, "/retry")).await?;
            show(&answer, &server, output)
        }
    }
}

/// Seconds of an age.
fn age(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no age; write it as `30d`, `12h` or `90m`");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let unit = match unit {
        "d" => 86_400,
        "h" => 3600,
        "m" => 60,
        _ => return Err(wrong()),
    };
    number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)).ok_or_else(wrong)
}

/// Tells what was removed.
fn cleaned(answer: &Json, server: &ServerArgs, output: Output) -> anyhow::Result<Exit> {
    if server.json {
        output.print_json(answer).context("standard output cannot be written")?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&["", "cluster", "name"]);
    let text = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    for id in answer["tasks"].as_array().into_iter().flatten() {
        table.row(["task".to_owned(), String::new(), text(id)]);
    }
    for kind in ["folders", "orphans"] {
        for (cluster, names) in answer[kind].as_object().into_iter().flatten() {
            for name in names.as_array().into_iter().flatten() {
                table.row([kind.trim_end_matches('s').to_owned(), cluster.clone(), text(name)]);
            }
            if let Some(error) = names["error"].as_str() {
                table.row([kind.to_owned(), cluster.clone(), error.to_owned()]);
            }
        }
    }
    output.print_table(&table).context("standard output cannot be written")?;
    let word = if answer["dry_run"] == true { "Nothing was removed: this is what would be.\n" } else { "" };
    output.print(word).context("standard output cannot be written")?;
    Ok(Exit::Done)
}

fn path(id: &str, rest: &str) -> String {
    format!("/v1/tasks/{}{rest}", encoded(id))
}

/// Prints a stream from its beginning; with `follow` until the task has ended. The state of the task.
async fn print_log(client: &Client, id: &str, stream: &str, follow: bool, output: Output) -> anyhow::Result<String> {
    let (mut generation, mut offset) = (0_u64, 0_u64);
    loop {
        let task = client.get(&path(id, "")).await?;
        let state = task["state"].as_str().unwrap_or_default().to_owned();
        let is_final = task["attempt"]["ended_at"].is_string()
            && !matches!(state.as_str(), "queued" | "staging" | "collecting" | "completing" | "running");
        loop {
            let rest = format!("/logs?stream={stream}&generation={generation}&offset={offset}");
            let piece = client.piece(&path(id, &rest)).await?;
            if piece.bytes.is_empty() && piece.generation == generation {
                break;
            }
            (generation, offset) = (piece.generation, piece.next);
            output.print(&String::from_utf8_lossy(&piece.bytes)).context("standard output cannot be written")?;
        }
        if !follow || is_final || matches!(state.as_str(), "cancelled" | "submit_failed") {
            return Ok(state);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn list(tasks: &Json, server: &ServerArgs, output: Output) -> anyhow::Result<Exit> {
    if server.json {
        output.print_json(tasks).context("standard output cannot be written")?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&["id", "state", "cluster", "experiment", "owner", "created"]);
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    for task in tasks.as_array().into_iter().flatten() {
        let keys = ["id", "state", "runner_location", "experiment_name", "owner", "created_at"];
        table.row(keys.map(|key| text(&task[key])));
    }
    output.print_table(&table).context("standard output cannot be written")?;
    Ok(Exit::Done)
}

fn show(task: &Json, server: &ServerArgs, output: Output) -> anyhow::Result<Exit> {
    if server.json {
        output.print_json(task).context("standard output cannot be written")?;
        return Ok(Exit::Done);
    }
    let text = |value: &Json| match value {
        Json::String(text) => text.clone(),
        Json::Null => "–".to_owned(),
        other => other.to_string(),
    };
    let mut table = Table::new(&["", ""]);
    let keys = ["id", "status", "reason", "runner_location", "experiment_name", "dataset_name", "job_id", "run_id"];
    for key in keys {
        table.row([key.replace('_', " "), text(&task[key])]);
    }
    output.print_table(&table).context("standard output cannot be written")?;
    Ok(Exit::Done)
}
