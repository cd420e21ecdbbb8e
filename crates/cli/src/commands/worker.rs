//! `belvedere worker`: jobs only.

use clap::Args;

use super::flag;
use super::folders::FolderArgs;
use crate::config::{Config, Flag};
use crate::exit::Exit;
use crate::runtime::Runtime;
use crate::signals;

const EXAMPLES: &str = "\
Examples:
  STORE_URL=postgres://viewer@db/viewer belvedere worker lab=/srv/lab --slots 4
      the folders must be named as they are where the API runs
  belvedere worker lab=/srv/lab --set worker.difficulty_max=40
      light jobs only";

/// Arguments of `belvedere worker`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct WorkerArgs {
    /// The folders whose datasets are worked on.
    #[command(flatten)]
    pub folders: FolderArgs,
    /// Run so many jobs at the same time; `auto` for one per core [default: auto].
    #[arg(long, value_name = "COUNT")]
    pub slots: Option<String>,
}

impl WorkerArgs {
    /// The settings that these set.
    pub fn flags(&self) -> Vec<Flag> {
        let mut flags = self.folders.flags();
        flags.extend(self.slots.iter().map(|slots| flag("--slots", "worker.slots", slots)));
        flags
    }
}

/// Runs jobs until it is told to stop.
///
/// # Errors
///
/// When the store or a folder cannot be used.
pub async fn run(_args: WorkerArgs, config: Config) -> anyhow::Result<Exit> {
    let runtime = Runtime::build(&config).await?;
    let stop = signals::stop()?;
    let settings = &runtime.services.settings.worker;
    tracing::info!(slots = settings.slots, lease_seconds = settings.lease_seconds(), "the worker runs");
    runtime.worker().run(stop).await;
    Ok(Exit::Done)
}
