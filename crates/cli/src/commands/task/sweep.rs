//! `belvedere task sweep`: tasks that differ by parameters alone.

use anyhow::Context;
use clap::Subcommand;
use serde_json::Value as Json;

use super::client::Client;
use crate::commands::admin::ServerArgs;
use crate::config::Config;
use crate::exit::Exit;
use crate::output::{Output, Table};
use crate::progress::encoded;

/// What to do about sweeps.
#[derive(Subcommand, Debug)]
pub enum SweepCommand {
    /// List sweeps, the newest first.
    List {
        /// Which server, which form.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Show a sweep; `belvedere task list --sweep ID` lists its tasks.
    Status {
        /// Its id.
        id: String,
        /// Which server, which form.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Cancel all tasks of a sweep.
    Cancel {
        /// Its id.
        id: String,
        /// Which server, which form.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Try those tasks of a sweep again that have ended without success.
    Retry {
        /// Its id.
        id: String,
        /// Which server, which form.
        #[command(flatten)]
        server: ServerArgs,
    },
}

/// Does it.
pub(super) async fn run(command: SweepCommand, config: &Config, output: Output) -> anyhow::Result<Exit> {
    let path = |id: &str, rest: &str| format!("/v1/sweeps/{}{rest}", encoded(id));
    match command {
        SweepCommand::List { server } => {
            let answer = Client::connect(&server, config)?.get("/v1/sweeps").await?;
            list(&answer["sweeps"], &server, output)
        }
        SweepCommand::Status { id, server } => {
            let answer = Client::connect(&server, config)?.get(&path(&id, "")).await?;
            show(&answer, &server, output)
        }
        SweepCommand::Cancel { id, server } => {
            let answer = Client::connect(&server, config)?.post(&path(&id, "/cancel")).await?;
            show(&answer, &server, output)
        }
        SweepCommand::Retry { id, server } => {
            let answer = Client::connect(&server, config)?.post(&path(&id, "/retry")).await?;
            show(&answer, &server, output)
        }
    }
}

/// How many tasks are in each state.
fn states(sweep: &Json) -> String {
    let states = sweep["states"].as_object().into_iter().flatten();
    states.map(|(state, count)| format!("{count} {state}")).collect::<Vec<_>>().join(", ")
}

fn list(sweeps: &Json, server: &ServerArgs, output: Output) -> anyhow::Result<Exit> {
    if server.json {
        output.print_json(sweeps).context("standard output cannot be written")?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&["id", "state", "tasks", "cluster", "experiment", "created"]);
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    for sweep in sweeps.as_array().into_iter().flatten() {
        let [id, state, cluster, experiment, created] =
            ["id", "state", "runner_location", "experiment_name", "created_at"].map(|key| text(&sweep[key]));
        table.row([id, state, states(sweep), cluster, experiment, created]);
    }
    output.print_table(&table).context("standard output cannot be written")?;
    Ok(Exit::Done)
}

/// Shows a sweep.
pub(super) fn show(sweep: &Json, server: &ServerArgs, output: Output) -> anyhow::Result<Exit> {
    if server.json {
        output.print_json(sweep).context("standard output cannot be written")?;
        return Ok(Exit::Done);
    }
    let text = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut table = Table::new(&["", ""]);
    for key in ["id", "state", "runner_location", "experiment_name", "max_parallel"] {
        table.row([key.replace('_', " "), text(&sweep[key])]);
    }
    table.row(["tasks".to_owned(), states(sweep)]);
    output.print_table(&table).context("standard output cannot be written")?;
    Ok(Exit::Done)
}
