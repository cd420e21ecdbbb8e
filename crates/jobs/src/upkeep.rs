//! What a server repeats so that datasets stay complete: errors that may have passed are tried again, and whatever is
//! missing or stale is queued. Operators have the same as commands.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::refresh::Refresher;

/// How often; zero stands for never.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Upkeep {
    /// Time between two repairs of datasets with errors that may have passed.
    pub retry_errors_every: Duration,
    /// Time between two repairs of all datasets.
    pub backfill_every: Duration,
}

impl Upkeep {
    /// Repairs again and again until `stop`; the first time after the first interval, since a start looks at everything.
    pub async fn run(self, refresher: &Refresher, stop: CancellationToken) {
        tokio::join!(
            repeat(refresher, self.retry_errors_every, true, &stop),
            repeat(refresher, self.backfill_every, false, &stop),
        );
    }
}

async fn repeat(refresher: &Refresher, every: Duration, only_retryable: bool, stop: &CancellationToken) {
    if every.is_zero() {
        return;
    }
    loop {
        tokio::select! { () = tokio::time::sleep(every) => {}, () = stop.cancelled() => return }
        let repaired = tokio::select! {
            repaired = refresher.repair_all(only_retryable) => repaired,
            () = stop.cancelled() => return,
        };
        match repaired {
            Ok(swept) => tracing::debug!(
                only_retryable,
                analyzed = swept.analyzed,
                unsupported = swept.unsupported,
                failed = swept.failed,
                "datasets were looked through for missing and stale results"
            ),
            // The store is away, or full; the next time may be better.
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "datasets could not be looked through");
            }
        }
    }
}
