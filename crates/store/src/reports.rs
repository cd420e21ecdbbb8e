//! What operators ask: pages of stored artifacts, lists and numbers of jobs, and the few changes only they make.
//!
//! An artifact has one row here, whatever the number of its revisions: the target revision's if it is stored, else
//! the served one's. Counts look at every row and are meant to be asked for seldom; everything else reads what it
//! returns and little more.

use std::collections::BTreeMap;

use async_trait::async_trait;
use belvedere_domain::job::{JobRecord, JobStatus};
use belvedere_domain::{ArtifactKey, DatasetName, Difficulty, Digest, JobId, Json, Revision, StepName, Timestamp};

use crate::StoreError;
use crate::codec::{self, KeyRow};

/// What is stored about one artifact.
#[derive(Clone, PartialEq, Debug)]
pub struct Report {
    /// Its place among all artifacts; grows with creation and stays when the artifact is written again.
    pub id: i64,
    /// Which artifact.
    pub key: ArtifactKey,
    /// The revision it describes.
    pub revision: Revision,
    /// 200 or an error status.
    pub http_status: u16,
    /// `None` for a success.
    pub error_code: Option<String>,
    /// `{}` for a success, else the whole error object.
    pub details: Json,
    /// Last write.
    pub updated_at: Timestamp,
    /// Version of the step's code that made it.
    pub runner_version: u32,
    /// Thousandths of completeness; `None` for an error.
    pub progress: Option<u16>,
    /// Failures stored for this artifact at this revision.
    pub failed_runs: u32,
    /// What is served, if it was asked for.
    pub content: Option<Json>,
}

/// A job with what only operators need to know.
#[derive(Clone, PartialEq, Debug)]
pub struct JobDetail {
    /// The job.
    pub record: JobRecord,
    /// The worker that runs it, as it calls itself.
    pub owner: Option<String>,
    /// When its lease ends unless a heartbeat extends it.
    pub expires_at: Option<Timestamp>,
    /// It is not claimed before; `None`: it may be claimed now, or runs.
    pub not_before: Option<Timestamp>,
}

/// A number of jobs that have all of this in common.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JobCount {
    /// Their step.
    pub step: StepName,
    /// Waiting or started.
    pub status: JobStatus,
    /// Their difficulty.
    pub difficulty: Difficulty,
    /// Their dataset rests because of its rate limit.
    pub blocked: bool,
    /// How many.
    pub count: u64,
}

/// A number of artifacts with the same outcome.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ArtifactCount {
    /// Their step.
    pub step: StepName,
    /// 200 or an error status.
    pub http_status: u16,
    /// `None` for a success.
    pub error_code: Option<String>,
    /// How many.
    pub count: u64,
}

/// What steps that no longer exist have left behind.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Leftovers {
    /// Waiting jobs that nobody can run.
    pub jobs: u64,
    /// Artifacts that nobody asks for.
    pub artifacts: u64,
    /// Digests of the views that went with them; empty when they were only counted.
    pub dropped: Vec<Digest>,
}

/// What operators ask and change.
#[async_trait]
pub trait Reports: Send + Sync {
    /// Up to `limit` artifacts of a step whose id is above `after`, by id.
    async fn artifacts(
        &self,
        step: &StepName,
        after: i64,
        limit: u32,
        with_content: bool,
    ) -> Result<Vec<Report>, StoreError>;

    /// All artifacts of a dataset, by id, without their content.
    async fn artifacts_of(&self, dataset: &DatasetName) -> Result<Vec<Report>, StoreError>;

    /// Number of artifacts by outcome. Takes time with the number of artifacts: about a microsecond each.
    async fn artifact_counts(&self) -> Result<Vec<ArtifactCount>, StoreError>;

    /// Number of artifacts of `dataset-info` by the builder of their config `default`; `None` for those without one.
    async fn builders(&self) -> Result<Vec<(Option<String>, u64)>, StoreError>;

    /// The datasets that have an artifact with one of these error codes, by name.
    async fn datasets_with_errors(&self, codes: &[&str]) -> Result<Vec<DatasetName>, StoreError>;

    /// The oldest waiting jobs of each step, at most `limit` of each, and all started ones, by id.
    async fn jobs(&self, steps: &[StepName], limit: u32) -> Result<Vec<JobRecord>, StoreError>;

    /// One job; `None` when it has ended, or never was.
    async fn job(&self, id: JobId) -> Result<Option<JobDetail>, StoreError>;

    /// How many jobs that may be claimed wait before this one: those of a higher priority, and older ones of its own.
    /// Counts no further than `at_most`. Fairness among namespaces may let it go earlier or later than that.
    async fn jobs_ahead(&self, job: &JobRecord, at_most: u32) -> Result<u64, StoreError>;

    /// Number of jobs by step, status, difficulty and rest. Takes time with the number of jobs: about a microsecond each.
    async fn job_counts(&self) -> Result<Vec<JobCount>, StoreError>;

    /// Puts the started jobs of these steps back to wait; what their workers still do is lost. Returns the jobs.
    async fn cancel(&self, steps: &[StepName]) -> Result<Vec<JobRecord>, StoreError>;

    /// Ends the rest of a dataset over its rate limit, and forgets the time it has used. `false`: it did not rest.
    async fn unblock(&self, dataset: &DatasetName) -> Result<bool, StoreError>;

    /// Size of the database on its disk, in bytes.
    async fn database_bytes(&self) -> Result<u64, StoreError>;

    /// Waiting jobs and artifacts of steps other than `known`: counted, or removed when `remove` is set.
    async fn leftovers(&self, known: &[StepName], remove: bool) -> Result<Leftovers, StoreError>;
}

/// The columns of `report_columns.sql` and the content.
pub(crate) struct ReportColumns {
    pub(crate) id: i64,
    pub(crate) key: KeyRow,
    pub(crate) revision: String,
    pub(crate) updated_at: i64,
    pub(crate) failed_runs: i64,
    pub(crate) http_status: i64,
    pub(crate) error_code: Option<String>,
    pub(crate) progress: Option<i64>,
    pub(crate) runner_version: i64,
    pub(crate) details: String,
    pub(crate) content: Option<String>,
}

impl ReportColumns {
    pub(crate) fn decode(self) -> Result<Report, StoreError> {
        Ok(Report {
            id: self.id,
            key: self.key.decode()?,
            revision: codec::revision(self.revision)?,
            http_status: codec::http_status(self.http_status)?,
            error_code: self.error_code,
            details: Json::from_text(self.details),
            updated_at: Timestamp(self.updated_at),
            runner_version: codec::count(self.runner_version),
            progress: self.progress.and_then(|progress| u16::try_from(progress).ok()),
            failed_runs: codec::count(self.failed_runs),
            content: self.content.map(Json::from_text),
        })
    }
}

/// The text of the query for reports. `rest` follows the condition of what is shown.
pub(crate) fn report_sql(with_content: bool, rest: &str) -> String {
    let content = if with_content { "v.content" } else { "CAST(NULL AS TEXT)" };
    let (columns, shown) = (include_str!("sql/report_columns.sql"), include_str!("sql/report_shown.sql"));
    format!("{columns} {content} {shown} {rest}")
}

/// Counts by outcome from the totals of all steps and the counts of the errors.
pub(crate) fn by_outcome(totals: Vec<(StepName, u64)>, errors: Vec<ArtifactCount>) -> Vec<ArtifactCount> {
    let mut counts = Vec::with_capacity(totals.len() + errors.len());
    for (step, total) in totals {
        let failed: u64 = errors.iter().filter(|error| error.step == step).map(|error| error.count).sum();
        if total > failed {
            counts.push(ArtifactCount { step, http_status: 200, error_code: None, count: total - failed });
        }
    }
    counts.extend(errors);
    counts.sort_by(|one, other| (&one.step, one.http_status).cmp(&(&other.step, other.http_status)));
    counts
}

/// Tells the jobs of resting datasets apart from the others. `all` counts both.
pub(crate) fn by_rest(all: Vec<JobCount>, blocked: Vec<JobCount>) -> Vec<JobCount> {
    let key = |count: &JobCount| (count.step.clone(), count.status == JobStatus::Started, count.difficulty);
    let mut normal: BTreeMap<_, u64> = BTreeMap::new();
    let mut resting: BTreeMap<_, u64> = BTreeMap::new();
    for count in &all {
        *normal.entry(key(count)).or_default() += count.count;
    }
    for count in &blocked {
        *resting.entry(key(count)).or_default() += count.count;
        normal.entry(key(count)).and_modify(|all| *all = all.saturating_sub(count.count));
    }
    let tell = |blocked: bool| {
        move |((step, started, difficulty), count)| JobCount {
            step,
            status: if started { JobStatus::Started } else { JobStatus::Waiting },
            difficulty,
            blocked,
            count,
        }
    };
    let counts = normal.into_iter().map(tell(false)).chain(resting.into_iter().map(tell(true)));
    counts.filter(|count| count.count > 0).collect()
}
