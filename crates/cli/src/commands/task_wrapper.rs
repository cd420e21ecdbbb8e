//! `belvedere task-wrapper`: the process that runs one attempt at a task on this machine, in a session of its own.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use crate::exit::Exit;

/// Arguments of `belvedere task-wrapper`.
#[derive(Args, Debug)]
pub struct TaskWrapperArgs {
    /// The folder of the attempt.
    pub folder: PathBuf,
}

/// Runs the attempt. How its program ended is in the folder; the exit code tells only whether it ran.
///
/// # Errors
///
/// When the folder cannot be used.
pub fn run(args: &TaskWrapperArgs) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no threads")?;
    let ended = runtime.block_on(belvedere_tasks::local::wrapper::run(&args.folder));
    let code = ended.with_context(|| format!("the attempt in {} did not run", args.folder.display()))?;
    Ok(if code == 0 { Exit::Done } else { Exit::Problems })
}
