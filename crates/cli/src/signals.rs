//! Signals that ask the process to stop.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::console::Console;

/// The exit code after a second signal, as shells have it for an interrupt.
const INTERRUPTED: i32 = 130;

/// A token that is cancelled by the first interrupt or termination signal. The second one ends the process at once:
/// leases run out by themselves, and nothing half-done is ever visible.
///
/// # Errors
/// When signals cannot be listened to.
pub fn stop(console: Console) -> std::io::Result<CancellationToken> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stop = CancellationToken::new();
    let token = stop.clone();
    tokio::spawn(async move {
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        console.status("");
        console.say("stopping; once more to stop at once");
        token.cancel();
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        std::process::exit(INTERRUPTED);
    });
    Ok(stop)
}
