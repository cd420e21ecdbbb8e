//! `belvedere api`: requests only.

use clap::Args;

use super::listen::ListenArgs;
use crate::config::Config;
use crate::exit::Exit;

const EXAMPLES: &str = "\
Example:
  STORE_URL=postgres://viewer@db/viewer belvedere api --host 0.0.0.0 --port 8080";

/// Arguments of `belvedere api`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ApiArgs {
    /// Where to listen.
    #[command(flatten)]
    pub listen: ListenArgs,
}

/// Answers requests until it is told to stop.
///
/// # Errors
///
/// When the store or the port cannot be used.
pub async fn run(_args: ApiArgs, _config: Config) -> anyhow::Result<Exit> {
    Err(super::not_wired("api").into())
}
