//! Tasks of users: what was asked for, each attempt at it, what happened, what it printed and what it left.
//!
//! Every change of an attempt names the version that it was decided on and changes nothing if another one came first; so
//! of two monitors that act on the same attempt only one does. Questions of users name the owner, whose tasks alone they
//! reach. The rules of states are the domain's (`belvedere_domain::task::state`).

mod change;
mod clean;
mod decode;
mod questions;
mod selections;
mod submit;
mod sweeps;
mod traces;

use async_trait::async_trait;
use belvedere_domain::task::{AttemptTag, ClusterName, State, TaskId, Transition};
use belvedere_domain::{DatasetName, Timestamp};

use crate::StoreError;

pub(crate) use change::{Advance as AdvanceScript, Cancel, Retry};
pub(crate) use clean::{Delete, FolderGone, Folders, Known, Old};
pub(crate) use questions::{Active, Attempts, ByJob, Contents, Events, Files, Found as FindTask, List, OfDataset};
pub(crate) use selections::{DropSelections, PutSelection, Selection, UseSelection};
pub(crate) use submit::KeyOf;
pub(crate) use sweeps::{CancelSweep, RetrySweep, SubmitSweep, Sweep, Sweeps};
pub(crate) use traces::{AppendLog, Artifacts, Clusters, Hold, LogSize, PutArtifacts, PutHealth, ReadLog};

/// Seconds for which a request may be repeated under its key.
pub const KEY_SECONDS: i64 = 24 * 3600;

/// A task to be stored, whose files are in place or come with it.
#[derive(Clone, PartialEq, Debug)]
pub struct NewTask {
    /// Its id.
    pub id: TaskId,
    /// Whose it is.
    pub owner: String,
    /// Where it shall run.
    pub cluster: ClusterName,
    /// Experiment, a text for people.
    pub experiment: String,
    /// The dataset it reads.
    pub dataset: Option<DatasetName>,
    /// What exactly it reads, as JSON.
    pub pin: Option<String>,
    /// Its configuration as it came.
    pub config: String,
    /// Its files, in the order of their coming.
    pub files: Vec<TaskFile>,
    /// Their bytes, one after the other, where the store is to keep them; empty where they lie in the folder of the task.
    pub contents: Vec<Vec<u8>>,
    /// Makes the request repeatable.
    pub key: Option<RequestKey>,
    /// Limits that hold at this moment.
    pub limits: ActiveLimits,
}

/// A file of a task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TaskFile {
    /// Our name for it: a plain name.
    pub stored_name: String,
    /// The client's name for it: any text.
    pub original_name: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Hexadecimal SHA-256.
    pub sha256: String,
}

/// The key under which a client may repeat a request, and what tells whether it is the same request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RequestKey {
    /// Which request.
    pub route: String,
    /// The client's key.
    pub key: String,
    /// Digest of the request.
    pub fingerprint: String,
}

/// How many tasks may be active at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ActiveLimits {
    /// Of one owner.
    pub per_owner: u32,
    /// On the cluster.
    pub per_cluster: u32,
}

/// What became of a submission.
#[derive(Clone, PartialEq, Debug)]
pub enum Submitted {
    /// It is stored.
    Created,
    /// The same request was stored before, as this task.
    Replayed(TaskId),
    /// The key belongs to another request.
    KeyTaken,
    /// The owner has this many active tasks already.
    OwnerFull(u32),
    /// The cluster has this many active tasks already.
    ClusterFull(u32),
}

/// A stored task with its newest attempt.
#[derive(Clone, PartialEq, Debug)]
pub struct TaskRow {
    /// Its id.
    pub id: TaskId,
    /// Whose it is.
    pub owner: String,
    /// Where it runs.
    pub cluster: ClusterName,
    /// Experiment.
    pub experiment: String,
    /// The dataset it reads.
    pub dataset: Option<String>,
    /// What exactly it reads, as JSON.
    pub pin: Option<String>,
    /// Its configuration as it came.
    pub config: String,
    /// When cancelling was asked for.
    pub cancel_at: Option<Timestamp>,
    /// When it was stored.
    pub created_at: Timestamp,
    /// When it last changed.
    pub changed_at: Timestamp,
    /// What it is of a sweep.
    pub element: Option<Element>,
    /// Its newest attempt.
    pub attempt: AttemptRow,
}

/// What a task is of a sweep.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Element {
    /// The sweep.
    pub sweep: TaskId,
    /// Its place there, from 0.
    pub place: u32,
    /// Its own parameters, as a JSON object.
    pub point: String,
}

/// Tasks that differ by parameters alone, to be stored. Their files are in place, in the folder of the sweep.
#[derive(Clone, PartialEq, Debug)]
pub struct NewSweep {
    /// What the tasks share; `id` is the sweep's.
    pub shared: NewTask,
    /// How many of them may be active at a time, from 1.
    pub max_parallel: u32,
    /// The tasks: ids, and parameters as JSON objects. Ids grow.
    pub points: Vec<(TaskId, String)>,
}

/// A stored sweep.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SweepRow {
    /// Its id.
    pub id: TaskId,
    /// Whose it is.
    pub owner: String,
    /// Where it runs.
    pub cluster: ClusterName,
    /// Experiment.
    pub experiment: String,
    /// The dataset it reads.
    pub dataset: Option<String>,
    /// What exactly it reads, as JSON.
    pub pin: Option<String>,
    /// Its configuration as it came.
    pub config: String,
    /// Tasks it was made of.
    pub size: u32,
    /// How many of them may be active at a time.
    pub max_parallel: u32,
    /// When it was stored.
    pub created_at: Timestamp,
    /// How many of its tasks are in each state, as far as they have not been deleted.
    pub states: Vec<(State, u32)>,
}

/// What became of a wish to cancel a sweep.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SweepCancelled {
    /// Tasks that had not been sent anywhere and are cancelled.
    pub at_once: u32,
    /// Tasks that the monitor will cancel.
    pub requested: u32,
}

/// Rows of a split that somebody has chosen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewSelection {
    /// Tells dataset, revision, question and rows.
    pub id: String,
    /// Who chose them first.
    pub created_by: String,
    /// The dataset.
    pub dataset: DatasetName,
    /// Its revision.
    pub revision: String,
    /// The config.
    pub config: String,
    /// The split.
    pub split: String,
    /// How they were chosen, as JSON.
    pub question: String,
    /// How many they are.
    pub num_rows: u64,
    /// Hexadecimal SHA-256 of their numbers.
    pub sha256: String,
    /// Their numbers, as whoever stores them writes them.
    pub rows: Vec<u8>,
}

/// What became of a wish to delete a task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Deleted {
    /// There is no such task of that owner.
    Unknown,
    /// It has not ended: this is its state.
    Refused(State),
    /// It is gone. Folders of files that nothing refers to any more.
    Gone(Vec<TaskId>),
}

/// A folder of an attempt on a cluster, which is not needed any more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OldFolder {
    /// Its name.
    pub tag: AttemptTag,
    /// The attempt, unless its task is gone.
    pub attempt: Option<(TaskId, u32)>,
}

/// One attempt.
#[derive(Clone, PartialEq, Debug)]
pub struct AttemptRow {
    /// From 1.
    pub number: u32,
    /// Its name on the cluster.
    pub tag: AttemptTag,
    /// Where it is.
    pub state: State,
    /// How it ended, while that is not its state yet.
    pub outcome: Option<State>,
    /// Why it is where it is, for people.
    pub reason: Option<String>,
    /// What the cluster said, as it said it.
    pub evidence: Option<String>,
    /// The cluster's number of it.
    pub job: Option<String>,
    /// Exit code of the program.
    pub exit_code: Option<i64>,
    /// Signal that ended it.
    pub signal: Option<i64>,
    /// Machine it ran on.
    pub host: Option<String>,
    /// Its run in MLflow.
    pub run_id: Option<String>,
    /// Page of that run.
    pub run_url: Option<String>,
    /// How often the cluster was asked to take it.
    pub submissions: u32,
    /// Failures in a row of what is being tried.
    pub failures: u32,
    /// Look-ups in a row that succeeded and found nothing.
    pub looks: u32,
    /// Not to be acted on before.
    pub not_before: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// When the cluster took it.
    pub submitted_at: Option<Timestamp>,
    /// When it began to run.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// When the cluster last said something about it.
    pub observed_at: Option<Timestamp>,
    /// Grows with every change.
    pub version: i64,
}

/// An attempt to be acted on.
#[derive(Clone, PartialEq, Debug)]
pub struct ActiveAttempt {
    /// The task.
    pub task: TaskId,
    /// Whose it is.
    pub owner: String,
    /// Cancelling was asked for.
    pub cancel: bool,
    /// The time of the database when it was read.
    pub now: Timestamp,
    /// The attempt.
    pub attempt: AttemptRow,
}

/// A change of an attempt, decided on a version of it.
#[derive(Clone, PartialEq, Debug)]
pub struct Advance {
    /// The task.
    pub task: TaskId,
    /// Number of the attempt.
    pub number: u32,
    /// The version it was decided on.
    pub version: i64,
    /// The step to another state; `None`: it stays.
    pub step: Option<Transition>,
    /// Who does it: a user, or `monitor`.
    pub actor: String,
    /// Facts that are new. `None` leaves what is stored.
    pub facts: Facts,
}

/// Facts about an attempt. `None` leaves what is stored, except for the reason, which a step to another state replaces.
#[derive(Clone, PartialEq, Debug, Default)]
#[expect(missing_docs, reason = "as in AttemptRow")]
pub struct Facts {
    pub outcome: Option<State>,
    pub reason: Option<String>,
    pub evidence: Option<String>,
    pub job: Option<String>,
    pub exit_code: Option<i64>,
    pub signal: Option<i64>,
    pub host: Option<String>,
    pub run_id: Option<String>,
    pub run_url: Option<String>,
    pub failures: Option<u32>,
    pub looks: Option<u32>,
    /// Seconds from now before which the attempt is not to be acted on.
    pub wait_seconds: Option<f64>,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// The cluster has just said something about it.
    pub observed: bool,
    /// With a step to a final state: another attempt follows, in so many seconds, unless the task is being cancelled.
    pub again: Option<f64>,
}

/// What became of a wish to cancel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cancelled {
    /// There is no such task of that owner.
    Unknown,
    /// It had not been sent anywhere and is cancelled.
    AtOnce,
    /// The monitor will cancel it.
    Requested,
    /// It had ended before, in this state.
    TooLate(State),
}

/// What became of a wish to try again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retried {
    /// There is no such task of that owner.
    Unknown,
    /// It has not ended, or it has succeeded: this is its state.
    Refused(State),
    /// The owner or the cluster has too many active tasks.
    Full,
    /// The attempt of this number waits.
    Attempt(u32),
}

/// Something that happened to a task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// Grows from event to event.
    pub id: i64,
    /// Number of the attempt.
    pub attempt: u32,
    /// When.
    pub at: Timestamp,
    /// Who did it.
    pub actor: String,
    /// The new state, or `submitted_by`, `cancel_requested`, `retried`.
    pub kind: String,
    /// Why, for people.
    pub detail: Option<String>,
}

/// Which tasks are asked for. `None` stands for all.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct TaskFilter {
    /// Whose.
    pub owner: Option<String>,
    /// In this state.
    pub state: Option<State>,
    /// Of this experiment.
    pub experiment: Option<String>,
    /// Older than this one.
    pub before: Option<TaskId>,
    /// Reading this dataset.
    pub dataset: Option<DatasetName>,
    /// Of this sweep.
    pub sweep: Option<TaskId>,
}

/// A piece of what an attempt printed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogPiece {
    /// Grows by one whenever the program made its log shorter.
    pub generation: u32,
    /// Its place in that generation, in bytes.
    pub start: u64,
    /// The bytes as they were printed.
    pub bytes: Vec<u8>,
}

/// One stream of an attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogKey {
    /// The task.
    pub task: TaskId,
    /// Number of the attempt.
    pub attempt: u32,
    /// `out` or `err`.
    pub stream: &'static str,
}

/// How much of a stream is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LogExtent {
    /// Its newest generation.
    pub generation: u32,
    /// End of what is stored of that generation.
    pub end: u64,
    /// Bytes stored of all generations.
    pub total: u64,
}

/// A file that an attempt left in its output folder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Artifact {
    /// Its path in that folder, parts separated by `/`.
    pub path: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Hexadecimal SHA-256 of the kept copy; `None` where there is none.
    pub sha256: Option<String>,
    /// Why there is no copy.
    pub note: Option<String>,
}

/// A cluster as its monitor sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClusterRow {
    /// Its name.
    pub name: String,
    /// Whether a process watches over it now.
    pub watched: bool,
    /// What the monitor last found, as JSON.
    pub health: Option<String>,
    /// When.
    pub health_at: Option<Timestamp>,
}

/// Tasks of users. An `owner` of `None` reaches tasks of everybody.
#[async_trait]
pub trait Tasks: Send + Sync {
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

    /// Attempts at a task, the first one first.
    async fn attempts(&self, id: TaskId) -> Result<Vec<AttemptRow>, StoreError>;

    /// Files of a task, in the order of their coming.
    async fn files(&self, id: TaskId) -> Result<Vec<TaskFile>, StoreError>;

    /// Bytes of files of a task, or of its sweep, that the store keeps, by our names for them.
    async fn contents(&self, id: TaskId) -> Result<Vec<(String, Vec<u8>)>, StoreError>;

    /// What happened to a task after an event.
    async fn events(&self, id: TaskId, after: i64, limit: u32) -> Result<Vec<Event>, StoreError>;

    /// Attempts on a cluster that have not ended, the oldest first.
    async fn active(&self, cluster: &ClusterName, limit: u32) -> Result<Vec<ActiveAttempt>, StoreError>;

    /// Changes an attempt. False, and nothing is changed, if it is not of that version any more.
    async fn advance(&self, advance: Advance) -> Result<bool, StoreError>;

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

    /// Stores a selection, unless it is stored.
    async fn put_selection(&self, selection: NewSelection) -> Result<(), StoreError>;

    /// A selection, and when it was stored.
    async fn selection(&self, id: &str) -> Result<Option<(NewSelection, Timestamp)>, StoreError>;

    /// Notes that a selection is used.
    async fn use_selection(&self, id: &str) -> Result<(), StoreError>;

    /// Forgets selections that nobody has used for so many seconds; their ids.
    async fn drop_selections(&self, unused_seconds: f64) -> Result<Vec<String>, StoreError>;

    /// Deletes a task that has ended. Its folders on clusters are remembered until they are removed.
    async fn delete(&self, id: TaskId, owner: Option<&str>) -> Result<Deleted, StoreError>;

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

    /// Takes or keeps the watch over a cluster for some seconds. False while another process has it.
    async fn hold_cluster(&self, cluster: &ClusterName, holder: &str, seconds: f64) -> Result<bool, StoreError>;

    /// Notes what the monitor found about a cluster, as JSON.
    async fn put_health(&self, cluster: &ClusterName, health: &str) -> Result<(), StoreError>;

    /// Clusters that were ever watched, by name.
    async fn clusters(&self) -> Result<Vec<ClusterRow>, StoreError>;
}

/// Both databases run the same scripts.
macro_rules! tasks_by_scripts {
    ($database:ty) => {
        #[async_trait]
        impl Tasks for $database {
            async fn submit(&self, task: NewTask) -> Result<Submitted, StoreError> {
                self.submit_task(task).await
            }

            async fn find_request(&self, owner: &str, key: &RequestKey) -> Result<Option<Submitted>, StoreError> {
                self.script(KeyOf { owner: owner.to_owned(), key: key.clone() }).await
            }

            async fn task(&self, id: TaskId, owner: Option<&str>) -> Result<Option<TaskRow>, StoreError> {
                self.script(FindTask { id, owner: owner.map(str::to_owned) }).await
            }

            async fn list(&self, filter: TaskFilter, limit: u32) -> Result<Vec<TaskRow>, StoreError> {
                self.script(List { filter, limit }).await
            }

            async fn by_job(&self, job: &str, owner: Option<&str>) -> Result<Option<TaskRow>, StoreError> {
                self.script(ByJob { job: job.to_owned(), owner: owner.map(str::to_owned) }).await
            }

            async fn of_dataset(
                &self,
                dataset: &DatasetName,
                owner: Option<&str>,
                limit: u32,
            ) -> Result<Vec<TaskRow>, StoreError> {
                self.script(OfDataset { dataset: dataset.clone(), owner: owner.map(str::to_owned), limit }).await
            }

            async fn attempts(&self, id: TaskId) -> Result<Vec<AttemptRow>, StoreError> {
                self.script(Attempts(id)).await
            }

            async fn files(&self, id: TaskId) -> Result<Vec<TaskFile>, StoreError> {
                self.script(Files(id)).await
            }

            async fn contents(&self, id: TaskId) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
                self.script(Contents(id)).await
            }

            async fn events(&self, id: TaskId, after: i64, limit: u32) -> Result<Vec<Event>, StoreError> {
                self.script(Events { id, after, limit }).await
            }

            async fn active(&self, cluster: &ClusterName, limit: u32) -> Result<Vec<ActiveAttempt>, StoreError> {
                self.script(Active { cluster: cluster.clone(), limit }).await
            }

            async fn advance(&self, advance: Advance) -> Result<bool, StoreError> {
                self.script(AdvanceScript(advance)).await
            }

            async fn cancel(&self, id: TaskId, owner: Option<&str>, actor: &str) -> Result<Cancelled, StoreError> {
                self.script(Cancel { id, owner: owner.map(str::to_owned), actor: actor.to_owned() }).await
            }

            async fn retry(
                &self,
                id: TaskId,
                owner: Option<&str>,
                actor: &str,
                limits: ActiveLimits,
            ) -> Result<Retried, StoreError> {
                self.script(Retry { id, owner: owner.map(str::to_owned), actor: actor.to_owned(), limits }).await
            }

            async fn submit_sweep(&self, sweep: NewSweep) -> Result<Submitted, StoreError> {
                self.script(SubmitSweep(sweep)).await
            }

            async fn sweep(&self, id: TaskId, owner: Option<&str>) -> Result<Option<SweepRow>, StoreError> {
                self.script(Sweep { id, owner: owner.map(str::to_owned) }).await
            }

            async fn sweeps(
                &self,
                owner: Option<&str>,
                before: Option<TaskId>,
                limit: u32,
            ) -> Result<Vec<SweepRow>, StoreError> {
                self.script(Sweeps { owner: owner.map(str::to_owned), before, limit }).await
            }

            async fn cancel_sweep(
                &self,
                id: TaskId,
                owner: Option<&str>,
                actor: &str,
            ) -> Result<Option<SweepCancelled>, StoreError> {
                self.script(CancelSweep { id, owner: owner.map(str::to_owned), actor: actor.to_owned() }).await
            }

            async fn retry_sweep(
                &self,
                id: TaskId,
                owner: Option<&str>,
                actor: &str,
            ) -> Result<Option<u32>, StoreError> {
                self.script(RetrySweep { id, owner: owner.map(str::to_owned), actor: actor.to_owned() }).await
            }

            async fn put_selection(&self, selection: NewSelection) -> Result<(), StoreError> {
                self.script(PutSelection(selection)).await
            }

            async fn selection(&self, id: &str) -> Result<Option<(NewSelection, Timestamp)>, StoreError> {
                self.script(Selection(id.to_owned())).await
            }

            async fn use_selection(&self, id: &str) -> Result<(), StoreError> {
                self.script(UseSelection(id.to_owned())).await
            }

            async fn drop_selections(&self, unused_seconds: f64) -> Result<Vec<String>, StoreError> {
                self.script(DropSelections(unused_seconds)).await
            }

            async fn delete(&self, id: TaskId, owner: Option<&str>) -> Result<Deleted, StoreError> {
                self.script(Delete { id, owner: owner.map(str::to_owned) }).await
            }

            async fn old(
                &self,
                owner: Option<&str>,
                ended_seconds: f64,
                limit: u32,
            ) -> Result<Vec<TaskRow>, StoreError> {
                self.script(Old { owner: owner.map(str::to_owned), ended_seconds, limit }).await
            }

            async fn known(&self, ids: Vec<TaskId>) -> Result<Vec<TaskId>, StoreError> {
                self.script(Known(ids)).await
            }

            async fn old_folders(
                &self,
                cluster: &ClusterName,
                ended_seconds: f64,
                limit: u32,
            ) -> Result<Vec<OldFolder>, StoreError> {
                self.script(Folders { cluster: cluster.clone(), ended_seconds, limit }).await
            }

            async fn folder_gone(&self, folder: &OldFolder) -> Result<(), StoreError> {
                self.script(FolderGone(folder.clone())).await
            }

            async fn append_log(&self, key: &LogKey, piece: LogPiece) -> Result<(), StoreError> {
                self.script(AppendLog { key: key.clone(), piece }).await
            }

            async fn log(
                &self,
                key: &LogKey,
                generation: u32,
                from: u64,
                max_bytes: u64,
            ) -> Result<Vec<LogPiece>, StoreError> {
                self.script(ReadLog { key: key.clone(), generation, from, max_bytes }).await
            }

            async fn log_extent(&self, key: &LogKey) -> Result<LogExtent, StoreError> {
                self.script(LogSize(key.clone())).await
            }

            async fn put_artifacts(
                &self,
                id: TaskId,
                attempt: u32,
                artifacts: Vec<Artifact>,
            ) -> Result<(), StoreError> {
                self.script(PutArtifacts { id, attempt, artifacts }).await
            }

            async fn artifacts(&self, id: TaskId, attempt: u32) -> Result<Vec<Artifact>, StoreError> {
                self.script(Artifacts { id, attempt }).await
            }

            async fn hold_cluster(
                &self,
                cluster: &ClusterName,
                holder: &str,
                seconds: f64,
            ) -> Result<bool, StoreError> {
                self.script(Hold { cluster: cluster.clone(), holder: holder.to_owned(), seconds }).await
            }

            async fn put_health(&self, cluster: &ClusterName, health: &str) -> Result<(), StoreError> {
                self.script(PutHealth { cluster: cluster.clone(), health: health.to_owned() }).await
            }

            async fn clusters(&self) -> Result<Vec<ClusterRow>, StoreError> {
                self.script(Clusters).await
            }
        }
    };
}

tasks_by_scripts!(crate::sqlite::Sqlite);
tasks_by_scripts!(crate::postgres::Postgres);
