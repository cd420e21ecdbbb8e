//! `belvedere task`: programs on datasets. Asks a server, as every client does.

mod client;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::{Map, Value as Json, json};

use super::admin::ServerArgs;
use crate::config::Config;
use crate::exit::{Advice, Exit};
use crate::output::{Output, Table};
use crate::progress::encoded;
use client::{Client, Part};

const EXAMPLES: &str = "\
The server that runs on the store of the configuration is asked, or the one that `--url` names, with
the token in `--token-file`.

Examples:
  belvedere task run train.py --dataset local/wine --param n_estimators=2 --follow
      runs train.py on this machine; it finds its files by TASK_INPUT and TASK_OUTPUT
  belvedere task run train.py --cluster atena02 --image sklearn --instance-type cpu
  belvedere task run train.py --config submiter_confs.json
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
    /// Try a task again that has ended without success.
    Retry {
        /// Its id.
        id: String,
        /// Which server, which form.
        #[command(flatten)]
        server: ServerArgs,
    },
}

/// Arguments of `belvedere task run`.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// The program, and files beside it.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Read the configuration of the task from this file; the other options add to it.
    #[arg(long = "task-config", value_name = "FILE")]
    pub task_config: Option<PathBuf>,
    /// The dataset: NAME, NAMESPACE/NAME or NAMESPACE/NAME/CONFIG/SPLIT.
    #[arg(long)]
    pub dataset: Option<String>,
    /// Where to run [default: local].
    #[arg(long)]
    pub cluster: Option<String>,
    /// A parameter of the program, as NAME=VALUE; a value that is JSON is taken as such. May be given several times.
    #[arg(long = "param", value_name = "NAME=VALUE")]
    pub params: Vec<String>,
    /// Name of the experiment.
    #[arg(long)]
    pub experiment: Option<String>,
    /// Run this command line, in the folder of the archive that is sent.
    #[arg(long = "run", value_name = "COMMAND")]
    pub command: Option<String>,
    /// Image to run in.
    #[arg(long)]
    pub image: Option<String>,
    /// Kind of machine.
    #[arg(long)]
    pub instance_type: Option<String>,
    /// Account to charge.
    #[arg(long)]
    pub account: Option<String>,
    /// Where MLflow is; with it the run is tracked.
    #[arg(long, value_name = "URL")]
    pub tracking_uri: Option<String>,
    /// Do nothing; show what would be submitted.
    #[arg(long)]
    pub dry_run: bool,
    /// Print what it prints until it ends; the exit code is 1 unless it succeeds.
    #[arg(long, conflicts_with = "dry_run")]
    pub follow: bool,
    /// Which server, which form.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Does it.
///
/// # Errors
///
/// With a hint, when no server answers, or the server refuses.
pub async fn run(args: TaskArgs, config: &Config, output: Output) -> anyhow::Result<Exit> {
    match args.command {
        TaskCommand::Run(args) => submit(*args, config, output).await,
        TaskCommand::List { state, server } => {
            let client = Client::connect(&server, config)?;
            let query = state.map_or_else(String::new, |state| format!("?state={}", encoded(&state)));
            let answer = client.get(&format!("/v1/tasks{query}")).await?;
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
        TaskCommand::Retry { id, server } => {
            let answer = Client::connect(&server, config)?.post(&path(&id, "/retry")).await?;
            show(&answer, &server, output)
        }
    }
}

fn path(id: &str, rest: &str) -> String {
    format!("/v1/tasks/{}{rest}", encoded(id))
}

async fn submit(args: RunArgs, config: &Config, output: Output) -> anyhow::Result<Exit> {
    let client = Client::connect(&args.server, config)?;
    let mut parts = vec![Part::bytes("config", "submiter_confs.json", task_config(&args)?)];
    for file in &args.files {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = std::fs::read(file);
        let bytes = bytes.with_context(|| Advice::usage(format!("{} cannot be read", file.display()), ""))?;
        parts.push(Part::bytes("files", &name, bytes));
    }
    if args.dry_run {
        let plan = client.send_form("/v1/tasks/plan", &parts).await?;
        output.print_json(&plan).context("standard output cannot be written")?;
        return Ok(Exit::Done);
    }
    let task = client.send_form("/v1/tasks", &parts).await?;
    if !args.follow {
        return show(&task, &args.server, output);
    }
    let id = task["id"].as_str().unwrap_or_default().to_owned();
    let ended = print_log(&client, &id, "out", true, output).await?;
    if ended == "succeeded" {
        return Ok(Exit::Done);
    }
    let task = client.get(&path(&id, "")).await?;
    let reason = task["reason"].as_str().unwrap_or("no reason is known");
    let hint = format!("`belvedere task logs {id} --err` shows what it said");
    Err(Advice::environment(format!("the task {id} is {ended}: {reason}"), hint).into())
}

/// The configuration that the options make, on top of the one in a file.
fn task_config(args: &RunArgs) -> anyhow::Result<Vec<u8>> {
    let mut config = match &args.task_config {
        None => Map::from_iter([("args_style".to_owned(), json!("none"))]),
        Some(path) => read_config(path)?,
    };
    let mut set = |key: &str, value: Option<Json>| {
        if let Some(value) = value {
            config.insert(key.to_owned(), value);
        }
    };
    set("dataset_name", args.dataset.as_ref().map(|name| json!(name)));
    set("experiment_name", args.experiment.as_ref().map(|name| json!(name)));
    set("command", args.command.as_ref().map(|command| json!(command)));
    set("tracking_uri", args.tracking_uri.as_ref().map(|uri| json!(uri)));
    set("model_tracking", args.tracking_uri.as_ref().map(|_| json!(true)));
    set("runner_location", args.cluster.as_ref().map(|name| json!(name)));
    let cluster = config.entry("runner_location").or_insert_with(|| json!("local")).as_str().unwrap_or("").to_owned();
    let mut params = config.get("model_params").and_then(Json::as_object).cloned().unwrap_or_default();
    for param in &args.params {
        let Some((name, value)) = param.split_once('=') else {
            return Err(
                Advice::usage(format!("`--param {param}` has no value"), "write it as `--param NAME=VALUE`").into()
            );
        };
        params.insert(name.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| json!(value)));
    }
    config.insert("model_params".to_owned(), params.into());
    let infra = [("image_name", &args.image), ("instance_type", &args.instance_type), ("account", &args.account)];
    for (key, value) in infra {
        let Some(value) = value else { continue };
        let clusters = config.entry("clusters").or_insert_with(|| json!({}));
        let block = &mut clusters[cluster.as_str()]["infra_config"];
        block[key] = json!(value);
    }
    Ok(serde_json::to_vec(&config)?)
}

fn read_config(path: &Path) -> anyhow::Result<Map<String, Json>> {
    let wrong = || Advice::usage(format!("{} is no JSON object", path.display()), "");
    let text = std::fs::read(path).with_context(wrong)?;
    serde_json::from_slice(&text).with_context(wrong)
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
