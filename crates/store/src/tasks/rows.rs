//! Tasks, attempts and events as they are read.

use belvedere_domain::task::{AttemptTag, ClusterName, State, TaskId};
use belvedere_domain::{DatasetName, Timestamp};

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
