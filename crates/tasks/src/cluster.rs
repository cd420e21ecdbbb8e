//! What a monitor asks of a cluster, whatever kind it is.
//!
//! Every method may be repeated: an answer that was lost is asked for again. None of them knows of tasks; an attempt is its
//! tag, and its folder on the cluster is named so.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use belvedere_domain::Timestamp;
use belvedere_domain::task::{AttemptTag, State};
use serde::Serialize;

use crate::place::ResultFile;
use crate::stage::Delivery;

/// Why a cluster did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// It could not be reached or gave no proper answer; the same may work later.
    #[error("{0}")]
    Away(String),
    /// It is not the host that it is configured to be. Nothing is sent there until an operator has looked.
    #[error("{0}")]
    WrongHost(String),
    /// It answered, and said no; the same may work later, as when its disk is full.
    #[error("{0}")]
    Refused(String),
}

impl ClusterError {
    /// Whether the way to it is at fault, and not the request.
    pub fn is_of_the_way(&self) -> bool {
        !matches!(self, Self::Refused(_))
    }
}

/// How a job is to be started. All names are plain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Submission {
    /// The attempt.
    pub tag: AttemptTag,
    /// When it was made: no job of it is older.
    pub created_at: Timestamp,
    /// `script` or `command`.
    pub kind: &'static str,
    /// Stored name of what is started or unpacked; may be empty.
    pub file: String,
    /// How the program learns its paths.
    pub style: &'static str,
    /// What it needs.
    pub needs: Needs,
}

/// What a job gets, after the rules of its cluster.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Needs {
    /// Partition of the cluster.
    pub partition: Option<String>,
    /// Generic resources, as the cluster writes them.
    pub gres: Option<String>,
    /// Nodes that are left out.
    pub exclude: Option<String>,
    /// Processors.
    pub cpus: Option<u32>,
    /// Memory in bytes.
    pub memory_bytes: Option<u64>,
    /// Longest time in seconds.
    pub time_seconds: Option<u64>,
    /// Who pays.
    pub account: Option<String>,
    /// Path of the image on the cluster.
    pub image: Option<String>,
    /// It needs a network.
    pub network: bool,
}

/// What a cluster said to a submission.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It has the job of this number, now or since an earlier time.
    Taken(String),
    /// It will never take it: its words.
    Rejected(String),
    /// It does not take it now, as a quota is used up: its words. There is certainly no job.
    NotNow(String),
    /// It did not say. There may be a job.
    Unknown(String),
}

/// What a cluster found under a tag.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LookUp {
    /// The job of this number.
    Found(String),
    /// It answered, and there is none.
    Nothing,
}

/// What a job is doing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Phase {
    /// It waits.
    Pending,
    /// It runs.
    Running,
    /// It tidies up.
    Completing,
    /// It is over, and this is how.
    Ended(State),
    /// A state that we have no word for; it is not over.
    Unknown,
}

/// A job of ours that a cluster listed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// The cluster's number.
    pub job: String,
    /// What it does.
    pub phase: Phase,
    /// The cluster's word for that.
    pub word: String,
    /// Why it waits, or how it ended.
    pub reason: Option<String>,
    /// When it was submitted, seconds since 1970.
    pub submitted: Option<i64>,
    /// When it started, seconds since 1970.
    pub started: Option<i64>,
    /// Where it runs.
    pub host: Option<String>,
    /// Exit code.
    pub exit: Option<i64>,
}

/// Jobs by tag. Of two jobs with one tag, the program runs in one only.
pub type Listing = HashMap<AttemptTag, Vec<Seen>>;

/// What lies in the folder of an attempt.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Evidence {
    /// How it ended.
    pub result: Option<ResultFile>,
    /// There is a note of how it ended that cannot be believed.
    pub invalid_result: bool,
    /// Number of the job that claimed it: the one that runs the program.
    pub claimed_by: Option<String>,
    /// Seconds since the wrapper last said that it lives.
    pub silent_seconds: Option<u64>,
    /// What accounting knows about its job.
    pub accounted: Vec<Seen>,
}

/// A piece of a stream.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tail {
    /// Size of the stream now, in bytes.
    pub size: u64,
    /// Its bytes from where they were asked for.
    pub bytes: Vec<u8>,
}

/// Where two streams are to be read from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TailRequest {
    /// The attempt.
    pub tag: AttemptTag,
    /// Place in `out`, in bytes.
    pub out: u64,
    /// Place in `err`, in bytes.
    pub err: u64,
}

/// Something in the output folder of an attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutputEntry {
    /// Its path there; not checked.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// It is a plain file with one name; else what it is.
    pub kind: OutputKind,
}

/// What an entry of the output folder is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OutputKind {
    /// A plain file.
    File,
    /// A symbolic link, which is not followed.
    Link,
    /// A file with several names.
    HardLink,
    /// A device, a pipe, a socket.
    Special,
}

impl OutputKind {
    /// Why it is not fetched; `None` for plain files.
    pub fn refusal(self) -> Option<&'static str> {
        match self {
            Self::File => None,
            Self::Link => Some("a symbolic link is not followed"),
            Self::HardLink => Some("a file with several names is not fetched"),
            Self::Special => Some("not a plain file"),
        }
    }
}

/// One assumption about a cluster, looked at.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: String,
    /// It holds.
    pub ok: bool,
    /// What was found, or what to do.
    pub found: String,
}

/// A cluster.
#[async_trait]
pub trait Cluster: Send + Sync {
    /// Brings the files of an attempt, each checked by its hash, and puts them in place at once.
    async fn stage(&self, tag: &AttemptTag, files: &[Delivery]) -> Result<(), ClusterError>;

    /// Submits an attempt unless a job of it is known. An error means that the cluster was certainly not asked.
    async fn submit(&self, submission: &Submission) -> Result<Answer, ClusterError>;

    /// Looks for a job of an attempt. An error means that nobody knows.
    async fn look_up(&self, tag: &AttemptTag, created_at: Timestamp) -> Result<LookUp, ClusterError>;

    /// Lists jobs of ours, at least those of these attempts, by one question to the cluster.
    async fn list(&self, tags: &[AttemptTag]) -> Result<Listing, ClusterError>;

    /// What lies in the folders of attempts, and what accounting knows. Attempts without a folder are left out.
    async fn evidence(
        &self,
        tags: &[AttemptTag],
        since: Timestamp,
    ) -> Result<HashMap<AttemptTag, Evidence>, ClusterError>;

    /// Ends the jobs of an attempt, if there are any.
    async fn cancel(&self, tag: &AttemptTag) -> Result<(), ClusterError>;

    /// Reads both streams of attempts, at most `max_bytes` of each.
    async fn tails(
        &self,
        requests: &[TailRequest],
        max_bytes: u64,
    ) -> Result<HashMap<AttemptTag, [Tail; 2]>, ClusterError>;

    /// What is in the output folder of an attempt, at most `max` entries; and whether there is more.
    async fn outputs(&self, tag: &AttemptTag, max: usize) -> Result<(Vec<OutputEntry>, bool), ClusterError>;

    /// Copies one file of the output folder, at most `max_bytes`, never through a link.
    async fn fetch(&self, tag: &AttemptTag, path: &str, max_bytes: u64, to: &Path) -> Result<(), ClusterError>;

    /// Removes the folder of an attempt, and ends what still runs there.
    async fn remove(&self, tag: &AttemptTag) -> Result<(), ClusterError>;

    /// The folders of attempts that lie there, of whatever server.
    async fn folders(&self) -> Result<Vec<AttemptTag>, ClusterError>;

    /// Removes what was brought for attempts long ago: files of datasets that none has used for so many seconds.
    async fn trim(&self, unused: Duration) -> Result<(), ClusterError>;

    /// Looks at everything that the cluster must be for the rest to work.
    async fn check(&self) -> Vec<Check>;
}
