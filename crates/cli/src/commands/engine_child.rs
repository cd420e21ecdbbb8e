//! `belvedere engine-child`: the process that reads files on behalf of a worker.

use crate::exit::Exit;

/// Answers calls on standard input until it is closed.
///
/// # Errors
///
/// When standard input or output cannot be used.
pub fn run() -> anyhow::Result<Exit> {
    Err(super::not_wired("engine-child").into())
}
