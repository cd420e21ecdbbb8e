//! Drives attempts to their ends: stages, submits, looks, collects. One process at a time watches over a cluster.
//!
//! Nothing here is remembered that a restart would miss: what is to be done follows from the stored attempts and from what the
//! cluster says. Only how often a cluster may be asked in vain is kept in memory (`breaker`).

mod breaker;
pub mod collect;
mod decide;
mod look;
pub mod send;
pub mod tidy;

use belvedere_domain::task::{ClusterName, State};
use belvedere_store::StoreError;
use belvedere_store::tasks::{ActiveAttempt, Advance, Facts, Tasks};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::catalog::{Catalog, Member};
use crate::datasets::Datasets;
use crate::inbox::Inbox;
use breaker::Breaker;

/// Attempts of one look.
const MAX_ACTIVE: u32 = 10_000;

/// How many times as long as a tick took nothing is done about news after it, and at most.
const REST: u32 = 4;
const LONGEST_REST: Duration = Duration::from_millis(500);

/// How much of what programs leave is kept, and where MLflow may be asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MonitorSettings {
    /// Bytes of one stream of an attempt.
    pub log_bytes: u64,
    /// Files of an attempt.
    pub artifact_files: usize,
    /// Bytes of one file.
    pub artifact_file_bytes: u64,
    /// Bytes of all files of an attempt.
    pub artifact_bytes: u64,
    /// Hosts of tracking servers that tasks may name, as `host` or `host:port`. Others are asked by programs only.
    pub tracking_hosts: Vec<String>,
    /// How long a task that asks for it rests before it is tried again for the first time; each time it is twice as long.
    pub rest: Duration,
    /// How long tasks are kept after their end; `None`: for ever.
    pub keep_tasks: Option<Duration>,
    /// How long the folders of attempts stay on their clusters after their end.
    pub keep_folders: Duration,
    /// How long selections are kept after their last use.
    pub keep_selections: Duration,
}

impl Default for MonitorSettings {
    fn default() -> Self {
        Self {
            log_bytes: 16 << 20,
            artifact_files: 1000,
            artifact_file_bytes: 1 << 30,
            artifact_bytes: 4 << 30,
            tracking_hosts: Vec::new(),
            rest: Duration::from_secs(30),
            keep_tasks: None,
            keep_folders: Duration::from_secs(24 * 3600),
            keep_selections: Duration::from_secs(90 * 24 * 3600),
        }
    }
}

/// What a look did, for tests and for the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tick {
    /// Another process watches over the cluster.
    pub elsewhere: bool,
    /// Questions to the cluster that list its jobs.
    pub listings: u32,
    /// Attempts that moved to another state.
    pub moved: u32,
}

/// Watches over clusters.
pub struct Monitor {
    tasks: Arc<dyn Tasks>,
    catalog: Arc<Catalog>,
    inbox: Inbox,
    datasets: Arc<dyn Datasets>,
    settings: MonitorSettings,
    holder: String,
    news: watch::Sender<()>,
    breakers: Mutex<HashMap<ClusterName, Breaker>>,
    sign: Option<Sign>,
    tidied: Mutex<HashMap<ClusterName, Instant>>,
}

/// Makes the query that lets whoever has it read a path of this server for a short while, from a time in seconds since 1970.
pub type Sign = Box<dyn Fn(&str, i64) -> String + Send + Sync>;

impl Monitor {
    /// A monitor; `holder` tells processes apart.
    pub fn new(
        tasks: Arc<dyn Tasks>,
        catalog: Arc<Catalog>,
        inbox: Inbox,
        datasets: Arc<dyn Datasets>,
        settings: MonitorSettings,
        holder: String,
    ) -> Self {
        let (news, breakers) = (watch::Sender::new(()), Mutex::default());
        let (sign, tidied) = (None, Mutex::default());
        Self { tasks, catalog, inbox, datasets, settings, holder, news, breakers, sign, tidied }
    }

    /// Lets clusters fetch files from this server.
    #[must_use]
    pub fn with_sign(self, sign: Sign) -> Self {
        Self { sign: Some(sign), ..self }
    }

    /// Tells that something may be waiting to be submitted or cancelled.
    pub fn wake(&self) {
        self.news.send_replace(());
    }

    /// Watches over all clusters until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut loops = tokio::task::JoinSet::new();
        for member in self.catalog.members() {
            let (this, member, stop) = (Arc::clone(&self), member.clone(), stop.clone());
            loops.spawn(async move { this.follow(&member, &stop).await });
        }
        while loops.join_next().await.is_some() {}
    }

    async fn follow(&self, member: &Member, stop: &CancellationToken) {
        // What is told during a look is remembered until its end.
        let mut news = self.news.subscribe();
        let mut next_look = Instant::now();
        loop {
            let began = Instant::now();
            let look = began >= next_look;
            if look {
                next_look = began + member.poll;
            }
            let done = tokio::select! {
                () = stop.cancelled() => return,
                done = self.tick_and_tidy(member, look) => done,
            };
            // Each tick lists all that is active: news that come one after the other share one.
            let rested = Instant::now() + (began.elapsed() * REST).min(LONGEST_REST);
            if let Err(error) = done {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(cluster.name = %member.name, error, "a cluster could not be watched over");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep_until(next_look) => {}
                // The sender lives as long as this monitor.
                () = async { _ = news.changed().await; tokio::time::sleep_until(rested).await; } => {}
            }
        }
    }

    async fn tick_and_tidy(&self, member: &Member, look: bool) -> Result<(), StoreError> {
        let tick = self.tick(member, look).await?;
        if look && !tick.elsewhere && !self.is_shut(&member.name).await {
            self.tidy_now_and_then(member).await?;
        }
        Ok(())
    }

    /// Looks once after a cluster. With `look` false only what waits is submitted and cancelled.
    ///
    /// # Errors
    /// When the store fails; what a cluster does wrong is noted there.
    pub async fn tick(&self, member: &Member, look: bool) -> Result<Tick, StoreError> {
        let mut tick = Tick::default();
        // Nothing can be sent, however much waits.
        if !look && self.is_shut(&member.name).await {
            return Ok(tick);
        }
        let seconds = (3.0 * member.poll.as_secs_f64()).max(30.0);
        if !self.tasks.hold_cluster(&member.name, &self.holder, seconds).await? {
            tick.elsewhere = true;
            return Ok(tick);
        }
        if self.is_shut(&member.name).await {
            return Ok(tick);
        }
        let active = self.tasks.active(&member.name, MAX_ACTIVE).await?;
        if look {
            self.watch(member, &active, &mut tick).await?;
        }
        let active = if look { self.tasks.active(&member.name, MAX_ACTIVE).await? } else { active };
        self.cancel(member, &active, &mut tick).await?;
        if !self.is_shut(&member.name).await {
            self.send(member, &active, &mut tick).await?;
        }
        self.note_health(member).await?;
        Ok(tick)
    }

    /// Moves an attempt, or notes facts where `to` is `None`. False if somebody else was quicker.
    async fn move_to(
        &self,
        active: &mut ActiveAttempt,
        to: Option<State>,
        facts: Facts,
        tick: &mut Tick,
    ) -> Result<bool, StoreError> {
        let attempt = &mut active.attempt;
        let step = match to {
            None => None,
            Some(to) => match attempt.state.to(to) {
                Some(step) => Some(step),
                None => {
                    tracing::error!(task.id = %active.task, "{to} must not follow {}", attempt.state);
                    return Ok(false);
                }
            },
        };
        let advance = Advance {
            task: active.task,
            number: attempt.number,
            version: attempt.version,
            step,
            actor: "monitor".to_owned(),
            facts,
        };
        let done = self.tasks.advance(advance).await?;
        if done {
            attempt.version += 1;
            attempt.state = to.unwrap_or(attempt.state);
            tick.moved += u32::from(step.is_some());
        }
        Ok(done)
    }

    async fn is_shut(&self, cluster: &ClusterName) -> bool {
        self.breakers.lock().await.entry(cluster.clone()).or_default().is_open(Instant::now())
    }

    async fn worked(&self, cluster: &ClusterName) {
        self.breakers.lock().await.entry(cluster.clone()).or_default().close();
    }

    async fn failed(&self, member: &Member, error: &crate::ClusterError) {
        let (cluster, mut breakers) = (&member.name, self.breakers.lock().await);
        let breaker = breakers.entry(cluster.clone()).or_default();
        let pause = breaker.fail(error, member.retry, rand::random(), Instant::now());
        tracing::warn!(cluster.name = %cluster, pause_seconds = pause.as_secs(), "a cluster does not answer: {error}");
    }

    async fn note_health(&self, member: &Member) -> Result<(), StoreError> {
        let note = self.breakers.lock().await.entry(member.name.clone()).or_default().news(Instant::now());
        match note {
            Some(health) => self.tasks.put_health(&member.name, &health).await,
            None => Ok(()),
        }
    }
}

/// Seconds to wait after a number of failures in a row.
fn backoff(member: &Member, failures: u32) -> f64 {
    (member.retry * (1 << failures.min(7))).as_secs_f64()
}
