//! Tasks of users: what was asked for, each attempt at it, what happened, what it printed and what it left.
//!
//! Every change of an attempt names the version that it was decided on and changes nothing if another one came first; so
//! of two monitors that act on the same attempt only one does. Questions of users name the owner, whose tasks alone they
//! reach. The rules of states are the domain's (`belvedere_domain::task::state`).

mod change;
mod clean;
mod decode;
mod implement;
mod questions;
mod rows;
mod selections;
mod submit;
mod sweeps;
mod traces;

use async_trait::async_trait;
use belvedere_domain::task::{ClusterName, TaskId};
use belvedere_domain::{DatasetName, Timestamp};

use crate::StoreError;

pub use change::{Advance, Cancelled, Facts, Retried};
pub use clean::{Deleted, OldFolder};
pub use rows::{ActiveAttempt, AttemptRow, Element, Event, TaskFilter, TaskRow};
pub use selections::NewSelection;
pub use submit::{ActiveLimits, KEY_SECONDS, NewTask, RequestKey, Submitted, TaskFile};
pub use sweeps::{NewSweep, SweepCancelled, SweepRow};
pub use traces::{Artifact, ClusterRow, LogExtent, LogKey, LogPiece};

/// Tasks of users, by who asks for what. An `owner` of `None` reaches tasks of everybody.
pub trait Tasks: Requests + Traces + Sweeps + Selections + Watch + Leftovers {}

impl<T: Requests + Traces + Sweeps + Selections + Watch + Leftovers> Tasks for T {}

/// What users ask for: tasks, and what becomes of them.
#[async_trait]
pub trait Requests: Send + Sync {
    /// Stores a task with its first attempt, unless its key or a limit says otherwise.
    async fn submit(&self, task: NewTask) -> Result<Submitted, StoreError>;

    /// What is known of a request that may be repeated: its task, or that its key belongs to another one.
    async fn find_request(&self, owner: &str, key: &RequestKey) -> Result<Option<Submitted>, StoreError>;

    /// A task.
    async fn task(&self, id: TaskId, owner: Option<&str>) -> Result<Option<TaskRow>, StoreError>;

    /// Tasks, the newest first.
    async fn list(&self, filter: TaskFilter, limit: u32) -> Result<Vec<TaskRow>, StoreError>;

    /// The newest task whose attempt has this number on a cluster.
    async fn by_job(&self, job: &str, owner: Option<&str>) -> Result<Option<TaskRow>, StoreError>;

    /// The newest tasks that read a dataset.
    async fn of_dataset(
        &self,
        dataset: &DatasetName,
        owner: Option<&str>,
        limit: u32,
    ) -> Result<Vec<TaskRow>, StoreError>;

    /// Asks for the end of a task.
    async fn cancel(&self, id: TaskId, owner: Option<&str>, actor: &str) -> Result<Cancelled, StoreError>;

    /// Makes another attempt at a task that has ended without success.
    async fn retry(
        &self,
        id: TaskId,
        owner: Option<&str>,
        actor: &str,
        limits: ActiveLimits,
    ) -> Result<Retried, StoreError>;

    /// Deletes a task that has ended. Its folders on clusters are remembered until they are removed.
    async fn delete(&self, id: TaskId, owner: Option<&str>) -> Result<Deleted, StoreError>;
}

/// What belongs to a task: its files, its attempts and what happened to them, what they printed and left.
#[async_trait]
pub trait Traces: Send + Sync {
    /// Files of a task, in the order of their coming.
    async fn files(&self, id: TaskId) -> Result<Vec<TaskFile>, StoreError>;

    /// Bytes of files of a task, or of its sweep, that the store keeps, by our names for them.
    async fn contents(&self, id: TaskId) -> Result<Vec<(String, Vec<u8>)>, StoreError>;

    /// Attempts at a task, the first one first.
    async fn attempts(&self, id: TaskId) -> Result<Vec<AttemptRow>, StoreError>;

    /// What happened to a task after an event.
    async fn events(&self, id: TaskId, after: i64, limit: u32) -> Result<Vec<Event>, StoreError>;

    /// Adds a piece to a log. Adding what is there already changes nothing.
    async fn append_log(&self, key: &LogKey, piece: LogPiece) -> Result<(), StoreError>;

    /// The pieces from a place on, up to about `max_bytes`; at least one if there is any.
    async fn log(&self, key: &LogKey, generation: u32, from: u64, max_bytes: u64) -> Result<Vec<LogPiece>, StoreError>;

    /// How much of a log is stored.
    async fn log_extent(&self, key: &LogKey) -> Result<LogExtent, StoreError>;

    /// Notes what an attempt left, replacing what was noted before.
    async fn put_artifacts(&self, id: TaskId, attempt: u32, artifacts: Vec<Artifact>) -> Result<(), StoreError>;

    /// What an attempt left, by path.
    async fn artifacts(&self, id: TaskId, attempt: u32) -> Result<Vec<Artifact>, StoreError>;
}

/// Tasks that differ by parameters alone.
#[async_trait]
pub trait Sweeps: Send + Sync {
    /// Stores the tasks of a sweep, unless its key or a limit says otherwise. As many as may be active count.
    async fn submit_sweep(&self, sweep: NewSweep) -> Result<Submitted, StoreError>;

    /// A sweep.
    async fn sweep(&self, id: TaskId, owner: Option<&str>) -> Result<Option<SweepRow>, StoreError>;

    /// Sweeps, the newest first, older than one.
    async fn sweeps(
        &self,
        owner: Option<&str>,
        before: Option<TaskId>,
        limit: u32,
    ) -> Result<Vec<SweepRow>, StoreError>;

    /// Asks for the end of all tasks of a sweep. `None` if there is no such sweep of that owner.
    async fn cancel_sweep(
        &self,
        id: TaskId,
        owner: Option<&str>,
        actor: &str,
    ) -> Result<Option<SweepCancelled>, StoreError>;

    /// Makes another attempt at each task of a sweep that has ended without success; how many. Each waits for its turn.
    /// `None` if there is no such sweep of that owner.
    async fn retry_sweep(&self, id: TaskId, owner: Option<&str>, actor: &str) -> Result<Option<u32>, StoreError>;
}

/// Rows of splits that tasks are to read.
#[async_trait]
pub trait Selections: Send + Sync {
    /// Stores a selection, unless it is stored.
    async fn put_selection(&self, selection: NewSelection) -> Result<(), StoreError>;

    /// A selection, and when it was stored.
    async fn selection(&self, id: &str) -> Result<Option<(NewSelection, Timestamp)>, StoreError>;

    /// Notes that a selection is used.
    async fn use_selection(&self, id: &str) -> Result<(), StoreError>;

    /// Forgets selections that nobody has used for so many seconds; their ids.
    async fn drop_selections(&self, unused_seconds: f64) -> Result<Vec<String>, StoreError>;
}

/// What the monitor asks and says: attempts that have not ended, and their clusters.
#[async_trait]
pub trait Watch: Send + Sync {
    /// Attempts on a cluster that have not ended, the oldest first.
    async fn active(&self, cluster: &ClusterName, limit: u32) -> Result<Vec<ActiveAttempt>, StoreError>;

    /// Changes an attempt. False, and nothing is changed, if it is not of that version any more.
    async fn advance(&self, advance: Advance) -> Result<bool, StoreError>;

    /// Takes or keeps the watch over a cluster for some seconds. False while another process has it.
    async fn hold_cluster(&self, cluster: &ClusterName, holder: &str, seconds: f64) -> Result<bool, StoreError>;

    /// Notes what the monitor found about a cluster, as JSON.
    async fn put_health(&self, cluster: &ClusterName, health: &str) -> Result<(), StoreError>;

    /// Clusters that were ever watched, by name.
    async fn clusters(&self) -> Result<Vec<ClusterRow>, StoreError>;
}

/// What can be thrown away, in the store and on clusters.
#[async_trait]
pub trait Leftovers: Send + Sync {
    /// Tasks that ended so many seconds ago, the oldest first.
    async fn old(&self, owner: Option<&str>, ended_seconds: f64, limit: u32) -> Result<Vec<TaskRow>, StoreError>;

    /// Which of these tasks and sweeps there are.
    async fn known(&self, ids: Vec<TaskId>) -> Result<Vec<TaskId>, StoreError>;

    /// Folders on a cluster of attempts that ended so many seconds ago, and of tasks that are gone.
    async fn old_folders(
        &self,
        cluster: &ClusterName,
        ended_seconds: f64,
        limit: u32,
    ) -> Result<Vec<OldFolder>, StoreError>;

    /// Notes that a folder was removed.
    async fn folder_gone(&self, folder: &OldFolder) -> Result<(), StoreError>;
}
