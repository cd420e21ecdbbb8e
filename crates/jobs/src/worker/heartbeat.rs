//! What goes on beside the jobs: signs of life, and looks for jobs that take too long or lost their worker.

use std::future::Future;
use std::time::Duration;

use belvedere_domain::Lease;
use belvedere_store::Pulse;
use tokio_util::sync::CancellationToken;

use super::Worker;

/// A job that has waited for so long is moved up, one of each lower priority at a time.
const LONG_WAIT_SECONDS: f64 = 600.0;
const RAISE_EVERY_SECONDS: f64 = 60.0;

impl Worker {
    /// Extends all leases again and again, and stops the jobs whose lease is gone or whose dataset moved on. A change
    /// in the queue is a reason to look at once: it may be a new revision, and the old one's conversion is in its way.
    pub(super) async fn beat(self, stop: CancellationToken) {
        let mut wakeups = self.services.store.queue.wakeups();
        let beat = Duration::from_secs_f64(self.settings().beat_seconds());
        loop {
            tokio::select! {
                () = tokio::time::sleep(beat) => {}
                Ok(()) = wakeups.changed() => {}
                () = stop.cancelled() => return,
            }
            self.beat_once().await;
            // Changes come in bursts; one look a second is enough.
            tokio::select! {
                () = tokio::time::sleep(beat.min(Duration::from_secs(1))) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// One round of signs of life.
    pub(super) async fn beat_once(&self) {
        let leases: Vec<Lease> = self.lock().values().map(|running| running.lease.clone()).collect();
        if leases.is_empty() {
            return;
        }
        match self.services.store.queue.heartbeat(&leases, self.settings().lease_seconds()).await {
            Ok(pulses) => {
                let running = self.lock();
                for (lease, pulse) in leases.iter().zip(pulses) {
                    if pulse != Pulse::Alive
                        && let Some(running) = running.get(&lease.job)
                    {
                        running.stop.cancel();
                    }
                }
            }
            // The job may go on: its result is fenced by the lease anyway.
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "no sign of life could be given");
            }
        }
    }

    /// Stops jobs that run longer than they may.
    pub(super) async fn watch_durations(self, stop: CancellationToken) {
        let limit = self.settings().max_job_duration_seconds;
        if limit <= 0.0 {
            return;
        }
        let look = || async {
            for running in self.lock().values_mut() {
                if running.since.elapsed().as_secs_f64() > limit {
                    running.too_long = true;
                    running.stop.cancel();
                }
            }
        };
        every(self.settings().kill_long_job_interval_seconds, &stop, look).await;
    }

    /// Collects the jobs of workers that vanished, and what they left on the disk: at once and then again and again.
    pub(super) async fn collect_zombies(self, stop: CancellationToken) {
        let look = || async {
            self.sweep_scratch().await;
            match self.collect().await {
                Ok(0) => {}
                Ok(count) => tracing::info!(count, "took jobs over from workers that vanished"),
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "no look for vanished workers was possible"
                    );
                }
            }
        };
        look().await;
        // At least as often as leases run out: a job should not wait for its rescue much longer than its lease.
        let seconds = self.settings().kill_zombies_interval_seconds.min(self.settings().lease_seconds());
        every(seconds, &stop, look).await;
    }
}

impl Worker {
    /// Sees to it that nobody waits for ever behind jobs of higher priority: one job at a time, so that a long queue of
    /// low priority does not become one of high.
    pub(super) async fn raise_waiting(self, stop: CancellationToken) {
        let look = || async {
            match self.services.store.queue.raise_oldest(LONG_WAIT_SECONDS).await {
                Ok(0) => {}
                Ok(count) => tracing::debug!(count, "moved jobs up that have waited for long"),
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "no look for long waits was possible");
                }
            }
        };
        every(RAISE_EVERY_SECONDS, &stop, look).await;
    }

    async fn sweep_scratch(&self) {
        let bases = [Some(&self.settings().scratch), self.services.settings.duckdb_index.scratch.as_ref()];
        for base in bases.into_iter().flatten() {
            let base = base.clone();
            match tokio::task::spawn_blocking(move || crate::scratch::sweep(&base)).await {
                Ok(Ok(0)) => {}
                Ok(Ok(count)) => tracing::info!(count, "removed scratch directories of workers that vanished"),
                Ok(Err(error)) => tracing::warn!(%error, "scratch directories of vanished workers may be left over"),
                Err(panic) => tracing::error!(%panic, "the look for left scratch directories panicked"),
            }
        }
    }
}

/// Does something every so many seconds until told to stop; 0 or less: never.
async fn every<F: Future<Output = ()>>(seconds: f64, stop: &CancellationToken, mut act: impl FnMut() -> F) {
    if seconds <= 0.0 {
        return;
    }
    loop {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs_f64(seconds)) => act().await,
            () = stop.cancelled() => return,
        }
    }
}
