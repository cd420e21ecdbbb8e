//! `belvedere migrate`: the schema of the database.

use clap::Args;

use crate::config::Config;
use crate::exit::Exit;
use crate::open;
use crate::output::Output;

const EXAMPLES: &str = "\
Every command that opens the database brings its schema up to date. Run this before an
update of several machines, so that none of them has to.

Example:
  STORE_URL=postgres://viewer@db/viewer belvedere migrate";

/// Arguments of `belvedere migrate`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct MigrateArgs {}

/// Brings the schema up to date.
///
/// # Errors
///
/// When the database cannot be reached, or its schema is newer than this program.
pub async fn run(_args: MigrateArgs, config: Config, output: Output) -> anyhow::Result<Exit> {
    open::store(&config).await?;
    output.print(&format!("the schema of {} is up to date\n", config.store_url()))?;
    Ok(Exit::Done)
}
