//! The commands: one file each, with its arguments and what it does.
//!
//! To add one: a file with its arguments and `run`, a variant of [`Command`] and a line in `Command::run`.

pub mod admin;
pub mod api;
pub mod check;
pub mod clusters;
pub mod config;
pub mod doctor;
pub mod engine_child;
pub mod folders;
pub mod listen;
pub mod migrate;
pub mod monitor;
pub mod password;
pub mod run_step;
pub mod serve;
mod server;
pub mod task;
pub mod task_wrapper;
pub mod token;
pub mod user;
pub mod worker;

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};

use crate::config::{Config, Effective, Flag, Raw, Role};
use crate::console::Console;
use crate::exit::{Advice, Exit};
use crate::output::{Color, Output};

/// Heading of the flags of every command.
pub(crate) const GLOBAL_OPTIONS: &str = "Options of every command";

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  done, and what was looked at has problems
  2  the command line or the configuration is not valid; nothing was done
  3  something around the program is in the way: a file, a port, the database

Every setting can be given with `--set`, in a file or in the environment:
see `belvedere config reference`.";

/// Turns folders of datasets into a browsable viewer: splits, rows, Parquet files and facts about them, over HTTP.
///
/// The answers are those of the dataset viewer of the Hugging Face Hub, so that clients of one work with the other.
#[derive(Parser, Debug)]
#[command(name = "belvedere", version, after_help = EXIT_CODES, max_term_width = 100)]
#[command(disable_help_subcommand = true, arg_required_else_help = true)]
pub struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every command.
#[derive(Args, Debug)]
#[command(next_help_heading = GLOBAL_OPTIONS)]
pub struct Global {
    /// Read this configuration file instead of `belvedere.toml` in the current directory.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Set a setting, as `worker.slots=4`. May be given several times.
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Keep everything in this directory [default: ./.belvedere].
    #[arg(long, global = true, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// When to use color. `NO_COLOR` in the environment is respected.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
    /// Log more: once what is done, twice everything.
    #[arg(long, short, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Tell errors only.
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

impl Global {
    /// 1 and more for `--verbose`, -1 for `--quiet`.
    pub fn verbosity(&self) -> i8 {
        if self.quiet { -1 } else { i8::try_from(self.verbose).unwrap_or(i8::MAX) }
    }

    fn flags(&self) -> Result<Vec<Flag>, Advice> {
        let mut flags = Vec::new();
        for assignment in &self.set {
            let Some((path, value)) = assignment.split_once('=') else {
                return Err(Advice::usage(
                    format!("`--set {assignment}` has no value"),
                    "write it as `--set section.key=VALUE`",
                ));
            };
            flags.push(flag(&format!("--set {}", path.trim()), path.trim(), value));
        }
        flags.extend(self.state.as_ref().map(|path| flag("--state", "serve.state", &path.to_string_lossy())));
        Ok(flags)
    }
}

/// A flag that sets a setting.
pub(crate) fn flag(name: &str, path: &str, value: &str) -> Flag {
    Flag { name: name.to_owned(), path: path.to_owned(), raw: Raw::Text(value.to_owned()) }
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Serve folders on this machine: the API, the jobs behind it and a watch for changes, in one process.
    Serve(serve::ServeArgs),
    /// Answer requests, without running jobs: one part of an installation on several machines.
    Api(api::ApiArgs),
    /// Run jobs, without answering requests: one part of an installation on several machines.
    Worker(worker::WorkerArgs),
    /// Watch folders, repair datasets and tidy up for all machines: one part of an installation on several machines.
    Monitor(monitor::MonitorArgs),
    /// Look at a folder as the viewer would, without a server, and report what users would see, problems first.
    Check(check::CheckArgs),
    /// Run one step on a dataset here and now, with all its logs, and print the result.
    RunStep(run_step::RunStepArgs),
    /// Bring the database to the schema of this version.
    Migrate(migrate::MigrateArgs),
    /// Examine configuration, state directory, database and machine, and tell how to mend what is wrong.
    Doctor(doctor::DoctorArgs),
    /// Show the settings: those that hold, or all there are.
    Config(config::ConfigArgs),
    /// Look at what is stored and to be done, and steer it.
    Admin(admin::AdminArgs),
    /// Run programs on datasets, here or on a cluster, and look after them.
    Task(task::TaskArgs),
    /// Look at the clusters that tasks may run on.
    Clusters(clusters::ClustersArgs),
    /// Make and change users of the server.
    User(user::UserArgs),
    /// Make and withdraw tokens of users.
    Token(token::TokenArgs),
    /// Read files on behalf of a worker, within limits.
    #[command(hide = true)]
    EngineChild(engine_child::EngineChildArgs),
    /// Run one attempt at a task.
    #[command(hide = true)]
    TaskWrapper(task_wrapper::TaskWrapperArgs),
}

impl Command {
    /// What the process is going to be.
    pub fn role(&self) -> Role {
        match self {
            Self::Api(_) | Self::Worker(_) | Self::Monitor(_) => Role::Part,
            Self::Config(args) => args.role(),
            _ => Role::Serve,
        }
    }

    fn flags(&self) -> Vec<Flag> {
        match self {
            Self::Serve(args) => args.flags(),
            Self::Api(args) => args.flags(),
            Self::Worker(args) => args.flags(),
            Self::Monitor(args) => args.flags(),
            Self::Check(args) => args.flags(),
            Self::RunStep(args) => args.flags(),
            Self::Doctor(args) => args.flags(),
            Self::Migrate(_)
            | Self::Config(_)
            | Self::Admin(_)
            | Self::User(_)
            | Self::Token(_)
            | Self::Task(_)
            | Self::Clusters(_)
            | Self::TaskWrapper(_)
            | Self::EngineChild(_) => Vec::new(),
        }
    }

    /// Does it. The commands that also work without a valid configuration have been taken care of by
    /// [`run`](crate::run).
    pub(crate) async fn run(
        self,
        config: Config,
        values: &[Effective],
        output: Output,
        console: Console,
    ) -> anyhow::Result<Exit> {
        match self {
            Self::Serve(args) => serve::run(args, config, console).await,
            Self::Api(args) => api::run(args, config, console).await,
            Self::Worker(args) => worker::run(args, config, console).await,
            Self::Monitor(args) => monitor::run(args, config, console).await,
            Self::Check(args) => check::run(args, config, values, output, console).await,
            Self::RunStep(args) => run_step::run(args, config, output, console).await,
            Self::Migrate(args) => migrate::run(args, config, output).await,
            Self::Admin(args) => admin::run(args, config, output, console).await,
            Self::Task(args) => task::run(args, &config, output).await,
            Self::Clusters(args) => clusters::run(args, &config, output).await,
            Self::User(args) => user::run(args, &config, output).await,
            Self::Token(args) => token::run(args, &config, output).await,
            Self::Doctor(_) | Self::Config(_) | Self::EngineChild(_) | Self::TaskWrapper(_) => {
                unreachable!("these run before the configuration is asked for")
            }
        }
    }
}

impl Cli {
    /// The settings that the command line sets, of which the last one holds.
    ///
    /// # Errors
    ///
    /// When a `--set` cannot be understood.
    pub fn flags(&self) -> Result<Vec<Flag>, Advice> {
        let mut flags = self.global.flags()?;
        flags.extend(self.command.flags());
        Ok(flags)
    }
}
