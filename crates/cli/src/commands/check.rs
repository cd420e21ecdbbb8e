//! `belvedere check`: what users of a folder would see.

use clap::Args;

use super::folders::FolderArgs;
use crate::config::{Config, Flag};
use crate::exit::{Advice, Exit};
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  belvedere check data
      every dataset below data
  belvedere check wine --json
      for scripts; exits with 1 if anything is wrong";

/// Arguments of `belvedere check`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct CheckArgs {
    /// What to look at.
    #[command(flatten)]
    pub folders: FolderArgs,
    /// Print JSON instead of a table.
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
pub async fn run(_args: CheckArgs, config: Config, _output: Output) -> anyhow::Result<Exit> {
    if config.serve.folders.is_empty() {
        return Err(Advice::usage("no folder to look at", "name at least one: `belvedere check FOLDER`").into());
    }
    anyhow::bail!("unfinished")
}
