//! `belvedere api`: requests only.

use std::sync::Arc;

use anyhow::Context;
use clap::Args;

use super::folders::{self, FolderArgs};
use super::listen::{ListenArgs, Sockets};
use crate::config::{Config, Flag};
use crate::console::Console;
use crate::exit::Exit;
use crate::runtime::Runtime;
use crate::{progress, signals};

const EXAMPLES: &str = "\
Example:
  STORE_URL=postgres://viewer@db/viewer belvedere api lab=/srv/lab --port 8080
      workers on the same database do the work: see `belvedere worker --help`";

/// Arguments of `belvedere api`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ApiArgs {
    /// The folders to serve and to watch.
    #[command(flatten)]
    pub folders: FolderArgs,
    /// Where to listen.
    #[command(flatten)]
    pub listen: ListenArgs,
}

impl ApiArgs {
    /// The settings that these set.
    pub fn flags(&self) -> Vec<Flag> {
        let mut flags = self.folders.flags();
        flags.extend(self.listen.flags());
        flags
    }
}

/// Answers requests and queues what changes of the folders need, until it is told to stop. Runs no jobs.
///
/// # Errors
///
/// When the store, a folder or the port cannot be used.
pub async fn run(_args: ApiArgs, config: Config, console: Console) -> anyhow::Result<Exit> {
    folders::require(&config, "api")?;
    let mut sockets = Sockets::open(&config).await?;
    let reading = crate::reading::settings(&config).await?;
    let runtime = Arc::new(Runtime::build(&config, |_| {}).await?);
    sockets.require_login(&config, &runtime.services.store).await?;
    let _note = sockets.note(&config)?;
    let stop = signals::stop(console.clone())?;
    tokio::select! {
        looked = runtime.first_look() => looked?,
        () = stop.cancelled() => return Ok(Exit::Done),
    }
    let (service, monitor) = crate::tasks::parts(&runtime, &config).await?;
    progress::announce(&config, sockets.address()?, &runtime, &console).await;
    sockets.announce_admin(&console);
    let state = runtime.api_state(&config, sockets.admin_settings()).with_reading(reading).until(stop.clone());
    let state = Arc::new(state.with_tasks(Arc::new(service)));
    state.prepare();
    let schema = runtime.watch_schema(&stop);
    let watch = tokio::spawn(Arc::clone(&runtime).follow_folders(stop.clone()));
    let monitor = tokio::spawn(monitor.run(stop.clone()));
    let served = sockets.answer(state, &config, &stop).await;
    stop.cancel();
    watch.await.context("the watch of the folders panicked")?;
    monitor.await.context("the watch of the clusters panicked")?;
    served.context("the socket failed")?;
    schema.ended().await?;
    Ok(Exit::Done)
}
