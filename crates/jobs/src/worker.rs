//! The worker: claims jobs, runs them, stores what they give, and keeps its leases alive meanwhile.
//!
//! A worker has some places for jobs of any step, and one that takes no heavy step, so that first rows never wait
//! behind a conversion. Whatever happens to a job (error, panic, death of its child, too long a run) ends in a view
//! that names the cause. A worker that is told to stop finishes what it can and hands the other leases back. Jobs of
//! datasets whose files it does not have are left to other workers.

mod elsewhere;
mod heartbeat;
mod recorder;
mod rehearsal;
mod run;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use belvedere_domain::job::ClaimedJob;
use belvedere_domain::{JobId, Lease, StepName};
use belvedere_store::{ClaimRequest, DeadJob, Fairness, StoreError};
use tokio_util::sync::CancellationToken;

use crate::context::Services;
use crate::registry::Registry;
use crate::{gates, settings};
use elsewhere::Elsewhere;

pub use recorder::{Observer, Part};
pub use rehearsal::{Rehearsal, RehearsalError};

/// What one look at the queue came to.
#[derive(Clone, PartialEq, Debug)]
pub enum Tick {
    /// A job was run to its end.
    Ran,
    /// Nothing to do now.
    Idle,
    /// The machine has no room; the reason.
    Closed(String),
}

/// Runs jobs. Cheap to clone; clones share their leases.
#[derive(Clone)]
pub struct Worker {
    services: Arc<Services>,
    registry: Arc<Registry>,
    owner: Arc<str>,
    running: Arc<Mutex<HashMap<JobId, Running>>>,
    elsewhere: Arc<Mutex<Elsewhere>>,
    recorder: Arc<recorder::Recorder>,
    observer: Option<Arc<dyn Observer>>,
}

/// A job in work.
struct Running {
    lease: Lease,
    since: Instant,
    stop: CancellationToken,
    /// Set when the job ran too long, before it is stopped.
    too_long: bool,
}

/// A claimed job whose lease is kept alive.
struct Started {
    job: ClaimedJob,
    stop: CancellationToken,
}

/// What the place of a job does after it.
struct Next {
    light: bool,
    /// No job is claimed any more.
    stop: CancellationToken,
    /// The job that the end of this one brought along.
    started: Option<Started>,
}

impl Next {
    /// What to ask for together with the end of a job; `None` when the place takes no other one now.
    fn request(&self, worker: &Worker) -> Option<ClaimRequest> {
        let takes = self.started.is_none() && !self.stop.is_cancelled() && gates::check(worker.settings()).is_ok();
        takes.then(|| worker.request(self.light))
    }
}

impl Worker {
    /// A worker. `owner` tells processes apart in messages; it must be fresh at each start.
    pub fn new(services: Arc<Services>, registry: Arc<Registry>, owner: &str) -> Self {
        Self {
            services,
            registry,
            owner: owner.into(),
            running: Arc::default(),
            elsewhere: Arc::default(),
            recorder: Arc::default(),
            observer: None,
        }
    }

    /// The same worker, with somebody who hears what it does.
    #[must_use]
    pub fn observed_by(self, observer: Arc<dyn Observer>) -> Self {
        Self { observer: Some(observer), ..self }
    }

    fn settings(&self) -> &settings::WorkerSettings {
        &self.services.settings.worker
    }

    /// Works until `stop`, then lets running jobs end for the grace period and hands back the rest.
    pub async fn run(&self, stop: CancellationToken) {
        let settings = self.settings().clone();
        let mut tasks = tokio::task::JoinSet::new();
        for place in 0..=settings.slots {
            let (worker, stop) = (self.clone(), stop.clone());
            // Place 0 takes no heavy step.
            tasks.spawn(async move { worker.place(place == 0, stop).await });
        }
        let background = CancellationToken::new();
        let beat = tokio::spawn(self.clone().beat(background.clone()));
        let watch = tokio::spawn(self.clone().watch_durations(background.clone()));
        let collect = tokio::spawn(self.clone().collect_zombies(background.clone()));
        let remember = tokio::spawn(self.clone().keep_history(background.clone()));
        let raise = tokio::spawn(self.clone().raise_waiting(background.clone()));
        stop.cancelled().await;
        let grace = Duration::from_secs_f64(settings.grace_seconds.max(0.0));
        let all_done = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, all_done).await.is_err() {
            tracing::info!("handing back the jobs that did not end in time");
            for running in self.running.lock().expect("never poisoned: no code panics while holding it").values() {
                running.stop.cancel();
            }
            while tasks.join_next().await.is_some() {}
        }
        background.cancel();
        for task in [beat, watch, collect, remember, raise] {
            // A background loop has no result; it ends because it was told to.
            let _ = task.await;
        }
    }

    async fn place(&self, light: bool, stop: CancellationToken) {
        let mut wakeups = self.services.store.queue.wakeups();
        let mut closed = false;
        while !stop.is_cancelled() {
            // Registered before looking, so that no wake-up is missed in between.
            wakeups.mark_unchanged();
            let pause = match self.run_on(light, &stop).await {
                Ok(Tick::Ran) => {
                    closed = false;
                    continue;
                }
                Ok(Tick::Idle) => {
                    closed = false;
                    self.until_due().await
                }
                Ok(Tick::Closed(reason)) => {
                    // The numbers in the reason change all the time; the gate shuts once.
                    if !std::mem::replace(&mut closed, true) {
                        tracing::warn!(reason, "no job is started for now");
                    }
                    tokio::select! {
                        () = tokio::time::sleep(self.pause()) => {}
                        () = stop.cancelled() => {}
                    }
                    continue;
                }
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "the queue cannot be asked for a job");
                    self.pause().min(Duration::from_secs(5))
                }
            };
            tokio::select! {
                _ = wakeups.changed(), if self.settings().wake_on_enqueue => {}
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Claims and runs one job, if there is one and the machine has room.
    ///
    /// # Errors
    /// [`StoreError`] when the queue cannot be asked.
    pub async fn tick(&self) -> Result<Tick, StoreError> {
        let stop = CancellationToken::new();
        stop.cancel();
        self.run_on(false, &stop).await
    }

    /// Claims and runs a job, then the one that its end brings along, and so on until none comes. After `stop` no end brings
    /// one.
    async fn run_on(&self, light: bool, stop: &CancellationToken) -> Result<Tick, StoreError> {
        if let Err(closed) = gates::check(self.settings()) {
            return Ok(Tick::Closed(closed.reason));
        }
        let asked = Instant::now();
        let Some(job) = self.services.store.queue.claim(&self.request(light)).await? else { return Ok(Tick::Idle) };
        self.took(Part::Claim, asked);
        let mut started = self.start(job);
        loop {
            let mut next = Next { light, stop: stop.clone(), started: None };
            self.run_started(started, Some(&mut next)).await;
            started = match next.started {
                Some(next) if !stop.is_cancelled() => next,
                Some(next) => {
                    run::hand_back(self, &next.job, stop).await;
                    self.ended(&next.job.lease);
                    return Ok(Tick::Ran);
                }
                None => return Ok(Tick::Ran),
            };
        }
    }

    fn request(&self, light: bool) -> ClaimRequest {
        let settings = self.settings();
        let mut blocked: Vec<StepName> = settings.job_types_blocked.clone();
        if light {
            let heavy = self.services.graph.steps().iter().filter(|step| step.heavy);
            blocked.extend(heavy.map(belvedere_domain::Step::step_name));
        }
        ClaimRequest {
            owner: self.owner.to_string(),
            difficulty_min: settings.difficulty_min,
            difficulty_max: settings.difficulty_max,
            difficulty_min_inclusive: settings.difficulty_min_inclusive,
            only: settings.job_types_only.clone(),
            blocked,
            without: self.elsewhere().datasets(Instant::now()),
            lease_seconds: settings.lease_seconds(),
            fairness: Fairness { max_jobs_per_dataset: settings.max_jobs_per_dataset },
        }
    }

    /// Between looks at the queue: the configured time, spread so that many workers do not ask at once.
    fn pause(&self) -> Duration {
        Duration::from_secs_f64((self.settings().sleep_seconds * rand::random_range(0.75..1.25)).max(0.01))
    }

    async fn until_due(&self) -> Duration {
        match self.services.store.queue.next_due_seconds().await {
            // Due now but not for us: somebody else will take it, or its turn comes with the next wake-up.
            Ok(Some(seconds)) if seconds > 0.0 => {
                self.pause().min(Duration::from_secs_f64(seconds.clamp(0.01, 3600.0)))
            }
            _ => self.pause(),
        }
    }

    /// Runs a claimed job to its end. Never fails: whatever happens is stored or left to the lease.
    pub async fn work(&self, job: ClaimedJob) {
        self.run_started(self.start(job), None).await;
    }

    /// From now on the lease of the job is kept alive.
    fn start(&self, job: ClaimedJob) -> Started {
        let stop = CancellationToken::new();
        let running = Running { lease: job.lease.clone(), since: Instant::now(), stop: stop.clone(), too_long: false };
        self.lock().insert(job.lease.job, running);
        Started { job, stop }
    }

    async fn run_started(&self, started: Started, next: Option<&mut Next>) {
        let lease = started.job.lease.clone();
        run::run(self, started.job, started.stop, next).await;
        self.ended(&lease);
    }

    /// Forgets a lease; not a later one of the same job, which its end may have brought along.
    fn ended(&self, lease: &Lease) {
        let mut running = self.lock();
        if running.get(&lease.job).is_some_and(|running| running.lease == *lease) {
            running.remove(&lease.job);
        }
    }

    /// Looks once for jobs whose worker vanished: back to the queue, or given up with an error view.
    ///
    /// # Errors
    /// [`StoreError`] when the queue cannot be asked.
    pub async fn collect(&self) -> Result<usize, StoreError> {
        let settings = self.settings();
        let queue = &self.services.store.queue;
        let (requeued, dead) = queue.collect_expired(settings.max_crashes, settings.lease_seconds()).await?;
        for DeadJob { job } in dead {
            run::bury(self, job).await;
        }
        Ok(requeued)
    }

    fn elsewhere(&self) -> std::sync::MutexGuard<'_, Elsewhere> {
        self.elsewhere.lock().expect("never poisoned: no code panics while holding it")
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<JobId, Running>> {
        self.running.lock().expect("never poisoned: no code panics while holding it")
    }
}
