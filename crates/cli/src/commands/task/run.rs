//! `belvedere task run`.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::client::{Client, Part};
use super::{options, path, print_log, show};
use crate::commands::admin::ServerArgs;
use crate::config::Config;
use crate::exit::{Advice, Exit};
use crate::output::Output;

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
    /// How rows of a split are chosen.
    #[command(flatten)]
    pub rows: RowArgs,
    /// Give the program the split as Parquet, or as the files it is made of: `parquet`, `original`.
    #[arg(long, value_name = "FORM")]
    pub format: Option<String>,
    /// Try again at most so many times where the cluster was at fault.
    #[arg(long, value_name = "NUMBER")]
    pub max_retries: Option<u32>,
    /// Try again after these ends, too: `failed`, `timeout`, `oom`.
    #[arg(long, value_name = "STATE", value_delimiter = ',', requires = "max_retries")]
    pub retry_on: Vec<String>,
    /// Run one task for each of the values of a parameter, as NAME=VALUE,VALUE; given several times, for each combination.
    #[arg(long, value_name = "NAME=VALUES", conflicts_with = "follow")]
    pub sweep: Vec<String>,
    /// Tasks of a sweep that are active at a time.
    #[arg(long, value_name = "NUMBER")]
    pub max_parallel: Option<u32>,
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

/// Which rows of a split the task reads.
#[derive(Args, Debug)]
pub struct RowArgs {
    /// Only rows of the split for which this condition holds, as `/filter` has it.
    #[arg(long = "where", value_name = "CONDITION", requires = "dataset")]
    pub condition: Option<String>,
    /// In this order, as `/filter` has it.
    #[arg(long, value_name = "ORDER", requires = "dataset")]
    pub orderby: Option<String>,
    /// Only rows that match this text, as `/search` has it.
    #[arg(long, value_name = "TEXT", requires = "dataset")]
    pub search: Option<String>,
    /// So many of these rows: a number, or a part such as `0.1`.
    #[arg(long, value_name = "ROWS", requires = "dataset")]
    pub sample: Option<String>,
    /// Another sample for each number.
    #[arg(long, value_name = "NUMBER", requires = "sample")]
    pub seed: Option<u64>,
    /// Rows that were chosen before, by the id of the selection.
    #[arg(long, value_name = "ID", conflicts_with_all = ["dataset", "condition", "orderby", "search", "sample"])]
    pub selection: Option<String>,
}

/// Submits it.
///
/// # Errors
///
/// With a hint, when no server answers, or the server refuses.
pub(super) async fn run(mut args: RunArgs, config: &Config, output: Output) -> anyhow::Result<Exit> {
    let client = Client::connect(&args.server, config)?;
    if let Some(question) = options::selection(&args)? {
        let chosen = client.post_json("/selections", &question).await?;
        (args.dataset, args.rows.selection) = (None, chosen["id"].as_str().map(str::to_owned));
    }
    let mut parts = vec![Part::bytes("config", "submiter_confs.json", options::task_config(&args)?)];
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
    if !args.sweep.is_empty() {
        let sweep = client.send_form("/v1/sweeps", &parts).await?;
        return super::sweep::show(&sweep, &args.server, output);
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
