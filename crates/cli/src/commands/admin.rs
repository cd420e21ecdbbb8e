//! `belvedere admin`: what operators look at and do.
//!
//! Every command but two speaks the HTTP API of the admin service: to the server that runs on the store, or to one that
//! is named, or, where none runs, to the same handlers inside this process.

mod backfill;
mod cancel;
mod clean;
pub(crate) mod client;
mod graph;
pub(crate) mod pending;
mod recreate;
mod refresh;
mod report;
mod rest;
mod status;
mod token;

use clap::{Args, Subcommand};

use crate::config::Config;
use crate::console::Console;
use crate::exit::Exit;
use crate::output::Output;

const EXAMPLES: &str = "\
Where a server runs on the SQLite file of the configuration, it is asked, wherever it listens;
else the database is opened. `--url` asks another server.

Examples:
  belvedere admin pending
  belvedere admin report split-first-rows --errors
  belvedere admin refresh config-parquet-and-info --dataset local/wine --config-name default
  belvedere admin cancel-jobs-first-rows --dry-run";

/// Arguments of `belvedere admin`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct AdminArgs {
    /// What to look at or to do.
    #[command(subcommand)]
    pub command: AdminCommand,
}

/// What to look at or to do.
#[derive(Subcommand, Debug)]
pub enum AdminCommand {
    /// Show the processing graph: every step, and which steps it follows.
    Graph(graph::GraphArgs),
    /// Show how many jobs wait and run, by step, or the jobs themselves.
    Pending(pending::PendingArgs),
    /// Show what is stored for a step, page after page.
    Report(report::ReportArgs),
    /// Show all datasets, or everything stored and pending for one.
    Status(status::StatusArgs),
    /// Compute one result again, whatever is stored.
    Refresh(refresh::RefreshArgs),
    /// Delete everything stored for a dataset and compute it again.
    Recreate(recreate::RecreateArgs),
    /// Queue what is missing or stale.
    Backfill(backfill::BackfillArgs),
    /// Put the started jobs of steps back to wait. Stop the workers before, or their work of the moment is lost.
    CancelJobs(cancel::CancelArgs),
    /// The same for the jobs behind `/splits`.
    CancelJobsSplits(cancel::CancelOneArgs),
    /// The same for the jobs behind `/first-rows`.
    CancelJobsFirstRows(cancel::CancelOneArgs),
    /// The same for the jobs behind `/parquet`.
    CancelJobsParquet(cancel::CancelOneArgs),
    /// Show the datasets that rest because of their rate limit, or end the rest of one.
    Blocked(rest::BlockedArgs),
    /// Remove what steps of other versions have left behind, and files that belong to no result.
    Clean(clean::CleanArgs),
    /// Make a token for an operator.
    Token(token::TokenArgs),
}

impl AdminCommand {
    /// Whether it is only about the program, and needs no configuration.
    pub fn is_alone(&self) -> bool {
        matches!(self, Self::Graph(_) | Self::Token(_))
    }
}

/// Which server is asked, and in which form it is told.
#[derive(Args, Debug, Default)]
pub struct ServerArgs {
    /// Ask the server at this address, as `https://viewer.example.org`.
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Send the token in this file.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<std::path::PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Does what needs no configuration.
///
/// # Errors
///
/// When standard output cannot be written, or there is no randomness.
pub fn run_alone(args: &AdminArgs, output: Output) -> anyhow::Result<Exit> {
    match &args.command {
        AdminCommand::Token(args) => token::run(args, output),
        AdminCommand::Graph(args) => graph::run(args, output),
        _ => unreachable!("the caller has asked"),
    }
}

/// Does it.
///
/// # Errors
///
/// With a hint, when no server answers and the store cannot be opened, or the server refuses.
pub async fn run(args: AdminArgs, config: Config, output: Output, console: Console) -> anyhow::Result<Exit> {
    match args.command {
        AdminCommand::Graph(_) | AdminCommand::Token(_) => unreachable!("these run without a configuration"),
        AdminCommand::Pending(args) => pending::run(args, &config, output).await,
        AdminCommand::Report(args) => report::run(args, &config, output, &console).await,
        AdminCommand::Status(args) => status::run(args, &config, output).await,
        AdminCommand::Refresh(args) => refresh::run(args, &config, output).await,
        AdminCommand::Recreate(args) => recreate::run(args, &config, output).await,
        AdminCommand::Backfill(args) => backfill::run(args, &config, output, &console).await,
        AdminCommand::CancelJobs(args) => cancel::run(args, &config, output).await,
        AdminCommand::CancelJobsSplits(args) => cancel::run(args.of("splits"), &config, output).await,
        AdminCommand::CancelJobsFirstRows(args) => cancel::run(args.of("first-rows"), &config, output).await,
        AdminCommand::CancelJobsParquet(args) => cancel::run(args.of("parquet"), &config, output).await,
        AdminCommand::Blocked(args) => rest::run(args, &config, output).await,
        AdminCommand::Clean(args) => clean::run(args, &config, output).await,
    }
}
