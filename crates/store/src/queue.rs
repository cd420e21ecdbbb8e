//! The queue: jobs, leases with fencing tokens, and the one transaction that ends a job.
//!
//! Rules (`claim`): for each priority from high to low, first the oldest eligible job of a namespace without a
//! started job, else the oldest of the namespaces with fewest started jobs. Eligible: waiting, due, inside the
//! difficulty bounds and the allowed steps, its dataset neither rate-limited nor at its cap nor left to other
//! workers, and no job of the same unicity id started. Who waits too long is moved up (`raise_oldest`). Started jobs count for fairness only inside the bounds of the asker.

use async_trait::async_trait;
use belvedere_domain::job::{ClaimedJob, JobRecord};
use belvedere_domain::plan::Plan;
use belvedere_domain::{ArtifactKey, DatasetName, Digest, Lease, NewJob, Revision, StepName, View};
use tokio::sync::watch;

use crate::StoreError;

/// Who asks for a job and what they take.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ClaimRequest {
    /// Unique per process start; for messages only, never trusted.
    pub owner: String,
    /// Exclusive lower bound; `None` or 0: no bound.
    pub difficulty_min: Option<u8>,
    /// Inclusive upper bound; `None` or 100: no bound.
    pub difficulty_max: Option<u8>,
    /// The lower bound is inclusive, as older deployments had it.
    pub difficulty_min_inclusive: bool,
    /// If not empty, only these steps.
    pub only: Vec<StepName>,
    /// Never these steps.
    pub blocked: Vec<StepName>,
    /// Never jobs of these datasets, which are left to other workers.
    pub without: Vec<DatasetName>,
    /// How long the lease holds without a heartbeat, in seconds.
    pub lease_seconds: f64,
    /// Limits across all workers.
    pub fairness: Fairness,
}

/// Limits across all workers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Fairness {
    /// Largest number of started jobs of one dataset; `None`: no cap.
    pub max_jobs_per_dataset: Option<u32>,
}

/// Budget of machine time per dataset; over it, its waiting jobs rest.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RateLimit {
    /// Jobs that ended longer ago are forgotten.
    pub window_seconds: f64,
    /// Strictly more than this in the window triggers the penalty.
    pub budget_seconds: f64,
    /// Shorter jobs do not count.
    pub minimum_seconds: f64,
    /// How long no waiting job of the dataset is claimed.
    pub penalty_seconds: f64,
}

/// Datasets so large that the budget of all would never do, with the factor of theirs.
const GIANTS: [(&str, f64); 1] = [("HuggingFaceFW/fineweb-2", 100.0)];

impl RateLimit {
    /// The limit of one dataset.
    pub fn of(self, dataset: &DatasetName) -> Self {
        let factor = GIANTS.iter().find(|(name, _)| *name == dataset.as_str()).map_or(1.0, |(_, factor)| *factor);
        Self { budget_seconds: self.budget_seconds * factor, ..self }
    }
}

impl Default for RateLimit {
    /// Two machines for an hour; six hours of rest.
    fn default() -> Self {
        Self { window_seconds: 3600.0, budget_seconds: 7200.0, minimum_seconds: 30.0, penalty_seconds: 21_600.0 }
    }
}

/// A view to be stored and pointed at.
#[derive(Clone, Debug)]
pub struct NewView {
    /// What it describes.
    pub key: ArtifactKey,
    /// Digest of its inputs.
    pub digest: Digest,
    /// Version of the step's code.
    pub runner_version: u32,
    /// The content, or that a view of this digest is stored already.
    pub content: ViewContent,
}

/// The content of a [`NewView`].
#[derive(Clone, Debug)]
pub enum ViewContent {
    /// Computed now. A stored view of the same digest is replaced.
    Computed(View),
    /// A view of the digest is stored; only the pointer is set.
    Reused,
}

/// How a job ended.
#[derive(Clone, Debug, Default)]
pub struct Completion {
    /// Views to store; empty when the job wrote nothing. Of several for one artifact the last one counts.
    pub views: Vec<NewView>,
    /// Jobs that its end triggers.
    pub children: Vec<NewJob>,
    /// Steps of the answer set and those that lead to them: when none of them is pending any more for the target revision,
    /// it is served.
    pub answer_set: Vec<StepName>,
    /// Record the time used against this budget.
    pub rate_limit: Option<RateLimit>,
    /// Seconds that the job has run, by a clock that never leaps; `None`: as the database's clock tells, which may.
    pub ran_seconds: Option<f64>,
    /// Seconds between runs of a coalesced job: max of this and ten times its last run. 0 switches waiting off.
    pub coalesce_seconds: f64,
}

/// What became of a completion.
#[derive(Clone, PartialEq, Debug)]
pub enum Finished {
    /// Stored. `served` is the revision that is served from now on, if that changed.
    Saved {
        /// Newly served revision.
        served: Option<Revision>,
    },
    /// The lease is not ours any more: nothing was written.
    LeaseLost,
    /// The dataset moved to another revision meanwhile, or was deleted: the job is gone and nothing was written.
    Superseded,
}

/// A dataset to be moved to a revision, with the plan that goes with it.
#[derive(Clone, Debug)]
pub struct TargetChange {
    /// The dataset.
    pub dataset: DatasetName,
    /// Its new target. Waiting jobs of other revisions are dropped.
    pub revision: Revision,
    /// Jobs to queue and to drop.
    pub plan: Plan,
}

/// What a heartbeat found, per lease in the order asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pulse {
    /// Extended.
    Alive,
    /// Taken by somebody else, or the job is gone: stop working, results will be refused.
    Lost,
    /// Extended, but the dataset has another target now: the result will not be stored.
    Superseded,
}

/// A job given up because its workers kept dying. It is gone from the queue; somebody must store an error view.
#[derive(Clone, Debug)]
pub struct DeadJob {
    /// The job with a lease that allows [`Queue::finish`].
    pub job: ClaimedJob,
}

/// Jobs and leases.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Sets the target revision of a dataset (inserting the dataset if new) and applies the plan, in one transaction.
    /// Setting the same target again keeps `target_since`; a target that has views and nothing pending is served at once.
    /// Returns the number of jobs queued and dropped.
    async fn set_target(&self, change: TargetChange) -> Result<(usize, usize), StoreError>;

    /// Queues jobs. A job whose unicity id already waits raises that one's priority instead; one whose unicity id is
    /// started waits behind it. Returns how many were new.
    async fn enqueue(&self, jobs: Vec<NewJob>) -> Result<usize, StoreError>;

    /// Claims the next job for this asker. The claim itself may be forgotten when the database's machine loses power: the
    /// job then waits again, and the lost lease is refused like any stale one.
    async fn claim(&self, request: &ClaimRequest) -> Result<Option<ClaimedJob>, StoreError>;

    /// Extends leases by `lease_seconds` from now.
    async fn heartbeat(&self, leases: &[Lease], lease_seconds: f64) -> Result<Vec<Pulse>, StoreError>;

    /// Stores the views, deletes the job, queues its children and perhaps moves the served pointer: one transaction,
    /// fenced by the lease.
    async fn finish(&self, lease: &Lease, completion: Completion) -> Result<Finished, StoreError>;

    /// Ends a job as [`finish`](Self::finish) does and claims the next one as [`claim`](Self::claim) does, at the cost of
    /// little more than one of them. The end comes first: the place of the job is free for the claim, which sees its
    /// children. Each has an outcome of its own; neither is lost by what is wrong with the other.
    async fn finish_and_claim(
        &self,
        lease: &Lease,
        completion: Completion,
        request: &ClaimRequest,
    ) -> (Result<Finished, StoreError>, Result<Option<ClaimedJob>, StoreError>);

    /// Stores a view while the job goes on (results that fill progressively, or partial ones). `false`: lease lost
    /// or superseded, nothing written.
    async fn save(&self, lease: &Lease, view: NewView) -> Result<bool, StoreError>;

    /// Puts a job back to wait, due after `delay_seconds`. `count_attempt` is false when the worker merely stops.
    /// Joins the job that waits for the same work, if there is one; a job of a superseded revision is dropped instead.
    /// `false`: lease lost.
    async fn release(&self, lease: &Lease, delay_seconds: f64, count_attempt: bool) -> Result<bool, StoreError>;

    /// Collects expired leases of the whole queue: back to waiting with one more crash, or, from `max_crashes` on,
    /// returned as dead under a fresh lease of `lease_seconds`. The number is of jobs put back.
    async fn collect_expired(&self, max_crashes: u32, lease_seconds: f64) -> Result<(usize, Vec<DeadJob>), StoreError>;

    /// Moves the oldest job of each lower priority up to the highest, if it has waited for so long: however many jobs of
    /// higher priority keep coming, its turn comes. Returns how many were moved.
    async fn raise_oldest(&self, waited_seconds: f64) -> Result<usize, StoreError>;

    /// True if any job of one of these steps waits or runs for the dataset; all steps when the list is empty.
    async fn has_pending(&self, dataset: &DatasetName, steps: &[StepName]) -> Result<bool, StoreError>;

    /// All jobs, or those of one dataset, oldest first.
    async fn pending(&self, dataset: Option<&DatasetName>) -> Result<Vec<JobRecord>, StoreError>;

    /// Number of jobs by (step, status): waiting and started.
    async fn counts(&self) -> Result<Vec<(StepName, belvedere_domain::job::JobStatus, u64)>, StoreError>;

    /// Datasets at rest because of their rate limit.
    async fn blocked_datasets(&self) -> Result<Vec<DatasetName>, StoreError>;

    /// Seconds until the earliest waiting job becomes due: 0 when one is due now, `None` when none waits. A due job may
    /// still be held back by bounds, caps or a run of the same work, so 0 after a claim that found nothing is no reason to
    /// claim again at once.
    async fn next_due_seconds(&self) -> Result<Option<f64>, StoreError>;

    /// Changes whenever a job may have become claimable: register before claiming, wait on it when nothing was there.
    /// A wake-up may come for nothing; a slow poll must back it up.
    fn wakeups(&self) -> watch::Receiver<u64>;
}
