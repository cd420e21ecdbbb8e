//! `belvedere serve`: everything in one process.

use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::folders::FolderArgs;
use super::listen::ListenArgs;
use crate::config::{Config, Flag};
use crate::exit::{Advice, Exit};
use crate::runtime::Runtime;
use crate::{progress, signals};

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
    let listener = super::listen::bind(&config).await?;
    let runtime = Arc::new(Runtime::build(&config).await?);
    let stop = signals::stop()?;
    runtime.first_look().await?;
    progress::announce(&config, listener.local_addr()?, &runtime);

    let mut parts = JoinSet::new();
    parts.spawn(Arc::clone(&runtime).follow_folders(stop.clone()));
    parts.spawn(part(&runtime, &stop, |runtime, stop| async move { runtime.worker().run(stop).await }));
    parts.spawn(part(&runtime, &stop, |runtime, stop| async move { progress::follow(&runtime, stop).await }));
    let served = belvedere_api::serve(listener, runtime.router(&config), stop.clone()).await;
    stop.cancel();
    while let Some(part) = parts.join_next().await {
        part.context("a part of the server panicked")?;
    }
    served.context("the socket failed")?;
    Ok(Exit::Done)
}

fn part<F: Future<Output = ()>>(
    runtime: &Arc<Runtime>,
    stop: &CancellationToken,
    run: impl FnOnce(Arc<Runtime>, CancellationToken) -> F,
) -> F {
    run(Arc::clone(runtime), stop.clone())
}
