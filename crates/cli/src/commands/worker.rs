//! `belvedere worker`: jobs only.

use clap::Args;

use super::flag;
use crate::config::{Config, Flag};
use crate::exit::Exit;

const EXAMPLES: &str = "\
Examples:
  STORE_URL=postgres://viewer@db/viewer belvedere worker --slots 4
  belvedere worker --set worker.difficulty_max=40
      light jobs only";

/// Arguments of `belvedere worker`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct WorkerArgs {
    /// Run so many jobs at the same time; `auto` for one per core [default: auto].
    #[arg(long, value_name = "COUNT")]
    pub slots: Option<String>,
}

impl WorkerArgs {
    /// The settings that these set.
    pub fn flags(&self) -> Vec<Flag> {
        self.slots.iter().map(|slots| flag("--slots", "worker.slots", slots)).collect()
    }
}

/// Runs jobs until it is told to stop.
///
/// # Errors
///
/// When the store cannot be used.
pub async fn run(_args: WorkerArgs, _config: Config) -> anyhow::Result<Exit> {
    Err(super::not_wired("worker").into())
}
