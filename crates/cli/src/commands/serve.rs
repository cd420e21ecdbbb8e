//! `belvedere serve`: everything in one process.

use clap::Args;

use super::folders::FolderArgs;
use super::listen::ListenArgs;
use crate::config::{Config, Flag};
use crate::exit::{Advice, Exit};

const EXAMPLES: &str = "\
Examples:
  belvedere serve data
      every child folder of data is a dataset: data/wine is local/wine
  belvedere serve acme=/srv/acme lab=/srv/lab
      folders with namespaces of their own: acme/wine, lab/birds
  belvedere serve wine=wine.csv --single
      one file as one dataset

Then ask for the splits and the first rows of a dataset:
  curl 'http://localhost:8000/splits?dataset=local/wine'
  curl 'http://localhost:8000/first-rows?dataset=local/wine&config=default&split=train'";

/// Arguments of `belvedere serve`. All of them are settings, so that only the configuration is looked at later.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ServeArgs {
    /// What to serve.
    #[command(flatten)]
    pub folders: FolderArgs,
    /// Where to listen.
    #[command(flatten)]
    pub listen: ListenArgs,
}

impl ServeArgs {
    /// The settings that these set.
    pub fn flags(&self) -> Vec<Flag> {
        let mut flags = self.folders.flags();
        flags.extend(self.listen.flags());
        flags
    }
}

/// Serves until it is told to stop.
///
/// # Errors
///
/// When a folder, the state directory, the store or the port cannot be used.
pub async fn run(_args: ServeArgs, config: Config) -> anyhow::Result<Exit> {
    if config.serve.folders.is_empty() {
        let hint = "name at least one: `belvedere serve FOLDER`, or set `serve.folders`";
        return Err(Advice::usage("no folder to serve", hint).into());
    }
    Err(super::not_wired("serve").into())
}
