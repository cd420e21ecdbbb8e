//! How the last runs of jobs ended, for operators. A finished job leaves the queue, its view tells what came of it, and
//! this tells how: when, where, at what cost, and why it failed.
//!
//! Runs are written in groups, apart from the transactions of the queue, which pays nothing for them. A crash may
//! forget the last ones, and only so many are kept.

use async_trait::async_trait;
use belvedere_domain::view::ErrorBody;
use belvedere_domain::{ArtifactKey, DatasetName, Difficulty, JobId, Priority, Revision, Timestamp};
use serde::{Deserialize, Serialize};

use crate::StoreError;
use crate::codec::microseconds;

/// How a run of a job ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// A view was stored, a success or an error.
    Stored,
    /// A view of the same inputs was stored already, and is pointed at.
    Reused,
    /// There was nothing to store.
    Nothing,
    /// It went back to the queue, to be tried again.
    Retried,
    /// It went back to the queue, since its worker was told to stop or has not the files.
    HandedBack,
    /// Its dataset had moved on; the result was dropped.
    Superseded,
    /// Another worker had the job; the result was dropped.
    LeaseLost,
    /// The result could not be stored.
    NotStored,
}

impl Ending {
    /// The word that stands for it in answers and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Reused => "reused",
            Self::Nothing => "nothing",
            Self::Retried => "retried",
            Self::HandedBack => "handed_back",
            Self::Superseded => "superseded",
            Self::LeaseLost => "lease_lost",
            Self::NotStored => "not_stored",
        }
    }
}

/// One run of a job.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Run {
    /// The job.
    pub job: JobId,
    /// What it computed.
    pub key: ArtifactKey,
    /// Of which revision.
    pub revision: Revision,
    /// Its place in the queue.
    pub priority: Priority,
    /// The machine it needed.
    pub difficulty: Difficulty,
    /// It was to be computed whatever was stored.
    pub forced: bool,
    /// Which run of the job this was, from 1.
    pub attempt: u32,
    /// How often a worker had vanished with it before.
    pub crashes: u32,
    /// The worker, as it calls itself.
    pub worker: String,
    /// When the job was queued.
    pub created_at: Timestamp,
    /// When the run began.
    pub started_at: Timestamp,
    /// How long it took.
    pub seconds: f64,
    /// How it ended.
    pub ending: Ending,
    /// Status of the view; `None` when nothing new was made.
    pub http_status: Option<u16>,
    /// Code of the view, when that is an error.
    pub error_code: Option<String>,
    /// The error object with its cause, of a view that is an error or of a failure that is tried again.
    pub details: Option<ErrorBody>,
    /// Most memory that a process which read files for it had in use, in bytes; `None`: none did.
    pub peak_memory_bytes: Option<u64>,
    /// Bytes that these processes read; `None`: none did.
    pub bytes_read: Option<u64>,
    /// The file that an error is about, else the first one that was read.
    pub input_file: Option<String>,
    /// Number of files given to read.
    pub input_files: u64,
}

impl Run {
    /// When it ended.
    pub fn ended_at(&self) -> Timestamp {
        Timestamp(self.started_at.0 + microseconds(self.seconds))
    }
}

/// The last runs of jobs.
#[async_trait]
pub trait History: Send + Sync {
    /// Adds runs, and forgets the oldest beyond the last `keep` of all.
    async fn add_runs(&self, runs: &[Run], keep: u64) -> Result<(), StoreError>;

    /// The runs of a job, oldest first.
    async fn runs_of_job(&self, job: JobId) -> Result<Vec<Run>, StoreError>;

    /// The last runs, newest first, of one dataset or of all.
    async fn last_runs(&self, dataset: Option<&DatasetName>, limit: u32) -> Result<Vec<Run>, StoreError>;
}

pub(crate) fn pack(run: &Run) -> Result<String, StoreError> {
    serde_json::to_string(run).map_err(StoreError::corrupt)
}

/// Runs in the order of their rows. One that another version wrote in a form not known here is left out.
pub(crate) fn unpack(rows: Vec<String>) -> Vec<Run> {
    rows.iter().filter_map(|row| serde_json::from_str(row).ok()).collect()
}

/// The number of rows as the databases count.
pub(crate) fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
