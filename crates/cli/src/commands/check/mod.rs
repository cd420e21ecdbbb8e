//! `belvedere check`: what users of a folder would see, without a server.
//!
//! The steps run as they do under `serve`, on a state directory of their own, and the report is made from the same
//! answers that clients would get.

mod facts;
mod pipeline;
mod text;
mod warnings;

use clap::Args;

use super::folders::{self, FolderArgs};
use crate::config::{Config, Effective, Flag, Origin};
use crate::console::Console;
use crate::exit::{Advice, Exit};
use crate::output::Output;
use crate::signals;
use anyhow::Context;

const EXAMPLES: &str = "\
Examples:
  belvedere check data
      every dataset below data
  belvedere check wine=wine.csv --single
      one file
  belvedere check wine --json
      for scripts; exits with 1 if anything is wrong
  belvedere check data --state /tmp/check
      keeps what was computed, so that the next check is quick

What is computed goes to a temporary directory, or to the one named by `--state`, never to
another database.";

/// Arguments of `belvedere check`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct CheckArgs {
    /// What to look at.
    #[command(flatten)]
    pub folders: FolderArgs,
    /// Print JSON instead of text.
    #[arg(long)]
    pub json: bool,
}

impl CheckArgs {
    /// The settings that these set.
    pub fn flags(&self) -> Vec<Flag> {
        self.folders.flags()
    }
}

/// Looks at the folders and reports.
///
/// # Errors
///
/// When a folder or the state directory cannot be used. What is wrong with datasets is no error but the report.
pub async fn run(
    args: CheckArgs,
    mut config: Config,
    values: &[Effective],
    output: Output,
    console: Console,
) -> anyhow::Result<Exit> {
    folders::require(&config, "check")?;
    let state_is_named =
        values.iter().any(|value| value.setting.path() == "serve.state" && value.origin != Origin::Default);
    // A check is a look: it queues no jobs in the database of an installation, and leaves nothing among its files.
    config.keep_in_state();
    let temporary = if state_is_named { None } else { Some(temporary_directory()?) };
    if let Some(directory) = &temporary {
        directory.path().clone_into(&mut config.serve.state);
    }
    let stop = signals::stop(console.clone())?;
    let Some(report) = pipeline::run(&config, &console, &stop).await? else {
        return Err(Advice::environment("the check was stopped before it was done", "").into());
    };
    if args.json {
        output.print_json(&report)?;
    } else {
        output.print(&text::render(&report, output.color))?;
    }
    Ok(if report.ok { Exit::Done } else { Exit::Problems })
}

fn temporary_directory() -> anyhow::Result<tempfile::TempDir> {
    tempfile::Builder::new().prefix("belvedere-check-").tempdir().with_context(|| {
        let message = format!("no directory can be made in {}", std::env::temp_dir().display());
        Advice::environment(message, "name one with `--state DIR`")
    })
}
