//! `belvedere serve`: everything in one process.

use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use tokio::task::JoinSet;

use super::folders::{self, FolderArgs};
use super::listen::{ListenArgs, Sockets};
use crate::config::{Config, Flag};
use crate::console::Console;
use crate::exit::Exit;
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
/// When a folder, the state directory, the store, the port or a setting cannot be used.
pub async fn run(_args: ServeArgs, config: Config, console: Console) -> anyhow::Result<Exit> {
    folders::require(&config, "serve")?;
    let mut sockets = Sockets::open(&config).await?;
    let reading = crate::reading::settings(&config).await?;
    let address = sockets.address()?;
    let runtime = Arc::new(Runtime::build(&config, |_| {}).await?);
    sockets.require_login(&config, &runtime.services.store).await?;
    let _note = sockets.note(&config)?;
    let stop = signals::stop(console.clone())?;
    tokio::select! {
        looked = runtime.first_look() => looked?,
        () = stop.cancelled() => return Ok(Exit::Done),
    }
    let (service, monitor) = crate::tasks::parts(&runtime, &config).await?;
    progress::announce(&config, address, &runtime, &console).await;
    sockets.announce_admin(&console);

    let state = runtime.api_state(&config, sockets.admin_settings()).with_reading(reading).until(stop.clone());
    let state = Arc::new(state.with_tasks(Arc::new(service)));
    state.prepare();
    let router = belvedere_api::router(Arc::clone(&state));
    let (worker, teller) = (runtime.worker().observed_by(state.observer()), Arc::clone(&runtime));
    let schema = runtime.watch_schema(&stop);
    let mut parts = JoinSet::new();
    parts.spawn(Arc::clone(&runtime).follow_folders(stop.clone()));
    parts.spawn(monitor.run(stop.clone()));
    parts.spawn({
        let stop = stop.clone();
        async move { worker.run(stop).await }
    });
    parts.spawn({
        let (router, base_url, stop) = (router, progress::base_url(&config, address), stop.clone());
        async move { progress::follow(&teller, router, base_url, console, stop).await }
    });
    let served = sockets.answer(state, &config, &stop).await;
    stop.cancel();
    while let Some(part) = parts.join_next().await {
        part.context("a part of the server panicked")?;
    }
    served.context("the socket failed")?;
    schema.ended().await?;
    Ok(Exit::Done)
}
