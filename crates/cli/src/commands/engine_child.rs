//! `belvedere engine-child`: the process that reads files on behalf of a worker.

use anyhow::Context;
use belvedere_jobs::child::{Limits, serve};
use clap::Args;

use crate::exit::Exit;

/// Arguments of `belvedere engine-child`: the limits it puts on itself.
#[derive(Args, Debug)]
pub struct EngineChildArgs {
    /// Address space in bytes, or `none`.
    #[arg(long, value_name = "BYTES", value_parser = limit, default_value = "none")]
    pub memory_bytes: Bound,
    /// CPU time in seconds, or `none`.
    #[arg(long, value_name = "SECONDS", value_parser = limit, default_value = "none")]
    pub cpu_seconds: Bound,
    /// Size of written files in bytes, or `none`.
    #[arg(long, value_name = "BYTES", value_parser = limit, default_value = "none")]
    pub file_bytes: Bound,
    /// The process to serve, and to die with.
    #[arg(long, value_name = "PID")]
    pub parent: Option<u32>,
}

/// A limit, or none.
#[derive(Clone, Copy, Debug)]
pub struct Bound(Option<u64>);

fn limit(text: &str) -> Result<Bound, std::num::ParseIntError> {
    if text == "none" { Ok(Bound(None)) } else { text.parse().map(|limit| Bound(Some(limit))) }
}

/// Answers calls on standard input until it is closed.
///
/// # Errors
///
/// When standard input or output cannot be used.
pub fn run(args: &EngineChildArgs) -> anyhow::Result<Exit> {
    let limits =
        Limits { memory_bytes: args.memory_bytes.0, cpu_seconds: args.cpu_seconds.0, file_bytes: args.file_bytes.0 };
    serve(limits, args.parent, crate::optional::execute).context("the parent process cannot be talked to")?;
    Ok(Exit::Done)
}
