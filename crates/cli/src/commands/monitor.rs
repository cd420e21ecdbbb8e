//! `belvedere monitor`: what has to be done once for all machines.

use std::sync::Arc;

use anyhow::Context;
use belvedere_api::AdminSettings;
use clap::Args;

use super::folders::{self, FolderArgs};
use crate::config::{Config, Flag};
use crate::console::Console;
use crate::exit::Exit;
use crate::runtime::Runtime;
use crate::signals;

const EXAMPLES: &str = "\
Example:
  STORE_URL=postgres://viewer@db/viewer belvedere monitor lab=/srv/lab
      the folders must be named as they are where the API runs
  curl http://localhost:8000/healthcheck
      does it live? WORKER_UVICORN_PORT sets the port; /metrics tells the numbers

Several may run: one does what is due, and another takes over when that one ends.";

/// Arguments of `belvedere monitor`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct MonitorArgs {
    /// The folders to watch.
    #[command(flatten)]
    pub folders: FolderArgs,
}

impl MonitorArgs {
    /// The settings that these set.
    pub fn flags(&self) -> Vec<Flag> {
        self.folders.flags()
    }
}

/// Watches folders, repairs and tidies up until it is told to stop, and tells on a small socket of its own that it lives.
///
/// # Errors
///
/// When the store, a folder, the port or a setting cannot be used.
pub async fn run(_args: MonitorArgs, config: Config, console: Console) -> anyhow::Result<Exit> {
    folders::require(&config, "monitor")?;
    let listener = super::listen::bind_worker(&config).await?;
    let runtime = Arc::new(Runtime::build(&config, |_| {}).await?);
    let stop = signals::stop(console)?;
    let address = listener.local_addr()?;
    tracing::info!("the monitor runs; http://{address}/healthcheck tells that it lives, /metrics what there is to do");
    let schema = runtime.watch_schema(&stop);
    let watch = tokio::spawn(Arc::clone(&runtime).follow_folders(stop.clone()));
    let router = belvedere_api::worker_router(runtime.api_state(&config, AdminSettings::default()));
    let served = super::listen::answer(listener, router, &config, &stop).await;
    stop.cancel();
    watch.await.context("the watch of the folders panicked")?;
    served.context("the socket failed")?;
    schema.ended().await?;
    Ok(Exit::Done)
}
