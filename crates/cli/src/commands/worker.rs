//! `belvedere worker`: jobs only.

use anyhow::Context;
use belvedere_api::AdminSettings;
use clap::Args;

use super::flag;
use super::folders::{self, FolderArgs};
use crate::config::{Config, Flag};
use crate::console::Console;
use crate::exit::Exit;
use crate::runtime::Runtime;
use crate::signals;

const EXAMPLES: &str = "\
Examples:
  STORE_URL=postgres://viewer@db/viewer belvedere worker lab=/srv/lab --slots 4
      the folders must be named as they are where the API runs
  belvedere worker lab=/srv/lab --set worker.difficulty_max=40
      light jobs only
  curl http://localhost:8000/healthcheck
      does it live? WORKER_UVICORN_PORT sets the port; /metrics tells the numbers";

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

/// Runs jobs until it is told to stop, and tells on a small socket of its own that it lives.
///
/// # Errors
///
/// When the store, a folder, the port or a setting cannot be used.
pub async fn run(_args: WorkerArgs, config: Config, console: Console) -> anyhow::Result<Exit> {
    folders::require(&config, "worker")?;
    let listener = super::listen::bind_worker(&config).await?;
    let runtime = Runtime::build(&config, |_| {}).await?;
    let stop = signals::stop(console)?;
    let settings = &runtime.services.settings.worker;
    let address = listener.local_addr()?;
    tracing::info!(
        slots = settings.slots,
        lease_seconds = settings.lease_seconds(),
        "the worker runs; http://{address}/healthcheck tells that it lives, /metrics what there is to do"
    );
    let state = runtime.api_state(&config, AdminSettings::default());
    let worker = runtime.worker().observed_by(state.observer());
    let schema = runtime.watch_schema(&stop);
    let jobs = tokio::spawn({
        let stop = stop.clone();
        async move { worker.run(stop).await }
    });
    let served = super::listen::answer(listener, belvedere_api::worker_router(state), &config, &stop).await;
    stop.cancel();
    jobs.await.context("the worker panicked")?;
    served.context("the socket failed")?;
    schema.ended().await?;
    Ok(Exit::Done)
}
