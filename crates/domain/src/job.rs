//! Jobs: queued executions of steps, and the leases under which workers run them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::names::{ArtifactKey, Revision};
use crate::time::Timestamp;

/// Which job goes first. Priority beats fairness.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Background work.
    #[default]
    Low,
    /// A dataset changed, or somebody asked for it.
    Normal,
    /// An operator wants it now.
    High,
}

impl Priority {
    /// `low`, `normal` or `high`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }

    /// 0 for low, 1 for normal, 2 for high: the order in the database.
    pub fn rank(self) -> i16 {
        self as i16
    }

    /// The priority of a rank; anything unknown is low.
    pub fn from_rank(rank: i16) -> Self {
        match rank {
            2 => Self::High,
            1 => Self::Normal,
            _ => Self::Low,
        }
    }
}

impl std::str::FromStr for Priority {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "low" => Ok(Self::Low),
            "normal" => Ok(Self::Normal),
            "high" => Ok(Self::High),
            other => Err(format!("`{other}` is not a priority: expected low, normal or high")),
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How much machine a job needs, 0 to 100. Pools of workers take ranges of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Difficulty(u8);

impl Difficulty {
    /// Capped at 100.
    pub fn new(value: u32) -> Self {
        Self(value.min(100) as u8)
    }

    /// 0 to 100.
    pub fn get(self) -> u8 {
        self.0
    }

    /// `light` up to 40, `medium` up to 70, `heavy` above: the label that autoscaling reads.
    pub fn worker_size(self) -> &'static str {
        match self.0 {
            0..=40 => "light",
            41..=70 => "medium",
            _ => "heavy",
        }
    }
}

/// A job to be queued.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewJob {
    /// What to compute.
    pub key: ArtifactKey,
    /// Of which revision.
    pub revision: Revision,
    /// Its place in the queue.
    pub priority: Priority,
    /// The machine it needs.
    pub difficulty: Difficulty,
    /// Compute even if a view of the same inputs is stored.
    pub forced: bool,
    /// The step aggregates many parents: triggers coalesce, and the job waits until some time after its last run.
    pub coalesce: bool,
}

/// Number of a job in the queue, increasing with creation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub i64);

/// The right to run a job. Every write of a job's results is fenced by the token.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Lease {
    /// The job.
    pub job: JobId,
    /// Fresh at each claim; a stale one changes nothing.
    pub token: i64,
}

/// Whether a job waits or runs. There is no other state: a finished job is deleted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobStatus {
    /// In the queue.
    Waiting,
    /// Claimed by a worker.
    Started,
}

/// A job as the queue holds it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JobRecord {
    /// Its number.
    pub id: JobId,
    /// What to compute.
    pub key: ArtifactKey,
    /// Of which revision.
    pub revision: Revision,
    /// Its place in the queue.
    pub priority: Priority,
    /// The machine it needs.
    pub difficulty: Difficulty,
    /// Waiting or started.
    pub status: JobStatus,
    /// Compute even if a view of the same inputs is stored.
    pub forced: bool,
    /// When it was queued.
    pub created_at: Timestamp,
    /// When it was claimed.
    pub started_at: Option<Timestamp>,
    /// Last sign of life of its worker.
    pub last_heartbeat: Option<Timestamp>,
    /// How often it was claimed, this time included.
    pub attempt: u32,
    /// How often its worker vanished.
    pub crashes: u32,
    /// Whether it runs as an aggregate (see [`NewJob::coalesce`]).
    pub coalesce: bool,
}

/// A job that a worker may run now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClaimedJob {
    /// The job.
    pub record: JobRecord,
    /// The right to finish it.
    pub lease: Lease,
}
