//! What is done every now and then so that datasets stay complete and nothing is left behind.
//!
//! Each chore is a duty in the database: of the processes that share it, one does it when it is due, under a lease that it
//! renews meanwhile. What a machine keeps for itself it tidies up by itself. Operators have the same as commands.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use belvedere_domain::Timestamp;
use belvedere_store::Duty;
use tokio_util::sync::CancellationToken;

use crate::context::Services;
use crate::maintenance::{self, MaintenanceError};
use crate::refresh::{RefreshError, Refresher};

/// How long a chore is in hand without a sign of life, and the time between two such signs.
const LEASE: Duration = Duration::from_secs(120);
const RENEW_EVERY: Duration = Duration::from_secs(30);
/// Longest time between two looks at what is due.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Files of media that one round removes.
const MAX_MEDIA: usize = 20_000;

/// How often; zero stands for never.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Upkeep {
    /// Time between two repairs of datasets with errors that may have passed.
    pub retry_errors_every: Duration,
    /// Time between two repairs of all datasets.
    pub backfill_every: Duration,
    /// Time between two removals of what nobody needs any more.
    pub clean_every: Duration,
}

/// Something that one process does for all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Chore {
    /// Datasets with errors that may have passed are tried again, with growing difficulty.
    RetryErrors,
    /// Whatever is missing or stale of any dataset is queued.
    Backfill,
    /// Results of revisions that are not kept any more are dropped, with their files.
    Revisions,
    /// Files that belong to no result are removed.
    Files,
    /// Private copies of Parquet files beyond their bound are removed.
    Copies,
}

impl Chore {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::RetryErrors, Self::Backfill, Self::Revisions, Self::Files, Self::Copies];

    /// Its name in the database, in logs and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::RetryErrors => "retry-errors",
            Self::Backfill => "backfill",
            Self::Revisions => "revisions",
            Self::Files => "files",
            Self::Copies => "copies",
        }
    }

    fn every(self, upkeep: &Upkeep) -> Duration {
        match self {
            Self::RetryErrors => upkeep.retry_errors_every,
            Self::Backfill => upkeep.backfill_every,
            Self::Revisions | Self::Files | Self::Copies => upkeep.clean_every,
        }
    }
}

/// A chore that was done, and what it came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Done {
    /// The chore.
    pub chore: Chore,
    /// In words; `None`: it failed, or somebody else took it over.
    pub outcome: Option<String>,
}

/// Why a chore was not done.
#[derive(Debug, thiserror::Error)]
enum ChoreError {
    #[error(transparent)]
    Refresh(#[from] RefreshError),
    #[error(transparent)]
    Maintenance(#[from] MaintenanceError),
}

/// Does the chores of a process.
pub struct Caretaker {
    services: Arc<Services>,
    refresher: Arc<Refresher>,
    upkeep: Upkeep,
    owner: String,
    cached_assets: PathBuf,
    now: fn() -> Timestamp,
    /// What is to be put down at a stop.
    in_hand: Mutex<Option<Duty>>,
}

impl Caretaker {
    /// A caretaker. `owner` names the process to others; `cached_assets` is where its answers keep the media they make;
    /// `now` need not be the database's time, since files of a day's age are meant.
    pub fn new(
        (services, refresher): (Arc<Services>, Arc<Refresher>),
        upkeep: Upkeep,
        owner: &str,
        cached_assets: PathBuf,
        now: fn() -> Timestamp,
    ) -> Self {
        Self { services, refresher, upkeep, owner: owner.to_owned(), cached_assets, now, in_hand: Mutex::default() }
    }

    /// Does what is due, again and again until `stop`. A chore in hand is given up then.
    pub async fn run(&self, stop: CancellationToken) {
        let intervals = Chore::ALL.iter().map(|chore| chore.every(&self.upkeep)).filter(|every| !every.is_zero());
        let Some(shortest) = intervals.min() else { return };
        let look_every = LOOK_EVERY.min(shortest);
        let mut own = Instant::now();
        loop {
            let round = async {
                self.tick().await;
                if !self.upkeep.clean_every.is_zero() && own <= Instant::now() {
                    self.tidy_own().await;
                    own = Instant::now() + self.upkeep.clean_every;
                }
                tokio::time::sleep(look_every).await;
            };
            tokio::select! {
                () = round => {}
                () = stop.cancelled() => return self.put_down().await,
            }
        }
    }

    /// What is in hand is free for others at once; else they would wait for the end of its lease.
    async fn put_down(&self) {
        let duty = self.in_hand.lock().expect("never poisoned: no code panics while holding it").take();
        if let Some(duty) = duty
            && let Err(error) = self.services.store.housekeeping.drop_duty(&duty).await
        {
            tracing::debug!(error = &error as &dyn std::error::Error, "a duty is free when its lease runs out");
        }
    }

    fn note(&self, duty: Option<&Duty>) {
        *self.in_hand.lock().expect("never poisoned: no code panics while holding it") = duty.cloned();
    }

    /// Does what is due now, as far as nobody else does.
    pub async fn tick(&self) -> Vec<Done> {
        let mut done = Vec::new();
        for chore in Chore::ALL {
            let every = chore.every(&self.upkeep);
            if every.is_zero() {
                continue;
            }
            let housekeeping = &self.services.store.housekeeping;
            let (every, lease) = (every.as_secs_f64(), LEASE.as_secs_f64());
            match housekeeping.begin_duty(chore.name(), &self.owner, every, lease).await {
                Ok(Some(duty)) => {
                    self.note(Some(&duty));
                    done.push(Done { chore, outcome: self.carry_out(chore, &duty).await });
                    self.note(None);
                }
                Ok(None) => {}
                // The store is away, or full; the next time may be better.
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(chore = chore.name(), error, "nobody knows whether a chore is due");
                }
            }
        }
        done
    }

    /// Does a chore as long as it is ours. One that fails stays in hand until its lease runs out, so that nobody fails
    /// again at once.
    async fn carry_out(&self, chore: Chore, duty: &Duty) -> Option<String> {
        let started = Instant::now();
        let outcome = tokio::select! {
            outcome = self.work(chore, duty) => outcome,
            () = self.keep(duty) => {
                tracing::warn!(chore = chore.name(), "another process has taken the chore over");
                return None;
            }
        };
        let duration_ms = started.elapsed().as_millis() as u64;
        match outcome {
            Ok(outcome) => {
                match self.services.store.housekeeping.end_duty(duty, &outcome).await {
                    Ok(true) => tracing::info!(chore = chore.name(), duration_ms, outcome, "a chore is done"),
                    Ok(false) => tracing::warn!(chore = chore.name(), duration_ms, "a chore was done too late"),
                    Err(error) => {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(chore = chore.name(), error, "that a chore is done could not be noted");
                    }
                }
                Some(outcome)
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(chore = chore.name(), duration_ms, error, "a chore could not be done");
                None
            }
        }
    }

    /// Renews the lease; ends when the duty is in other hands. While the database is away nobody else can take it.
    async fn keep(&self, duty: &Duty) {
        loop {
            tokio::time::sleep(RENEW_EVERY).await;
            if let Ok(false) = self.services.store.housekeeping.keep_duty(duty, LEASE.as_secs_f64()).await {
                return;
            }
        }
    }

    async fn work(&self, chore: Chore, duty: &Duty) -> Result<String, ChoreError> {
        Ok(match chore {
            // A new database: whoever starts on it looks at everything.
            Chore::RetryErrors | Chore::Backfill if duty.done_at.is_none() => "nothing to repair yet".to_owned(),
            Chore::RetryErrors | Chore::Backfill => {
                let swept = self.refresher.repair_all(chore == Chore::RetryErrors).await?;
                format!(
                    "{} looked at, {} not shown any more, {} failed",
                    swept.analyzed, swept.unsupported, swept.failed
                )
            }
            Chore::Revisions => format!("{} revisions dropped", self.refresher.retire_all().await?),
            Chore::Files => {
                let before = maintenance::left_over_before((self.now)());
                format!("files of {} results removed", maintenance::sweep(&self.services, before).await?)
            }
            Chore::Copies => {
                let max_bytes = self.services.settings.parquet.copies_max_bytes;
                let removed = maintenance::shrink_copies(&self.services.blobs, max_bytes).await?;
                format!("copies for {removed} results removed")
            }
        })
    }

    /// Media that answers of this machine made of revisions that are gone.
    async fn tidy_own(&self) {
        match maintenance::forget_media(&self.services, &self.cached_assets, MAX_MEDIA).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "removed media of revisions that are gone"),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "media of gone revisions were not removed");
            }
        }
    }
}
