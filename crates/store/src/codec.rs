//! Rows of either database to values of the domain, and back. Absent configs and splits are stored as ''.

pub(crate) mod users;

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use belvedere_domain::job::{ClaimedJob, JobRecord, JobStatus};
use belvedere_domain::plan::ArtifactRow;
use belvedere_domain::{
    ArtifactKey, ConfigName, DatasetName, Difficulty, Digest, JobId, Json, Lease, Manifest, NewJob, Outcome, Priority,
    Revision, SplitName, StepName, Timestamp, View,
};

use crate::{DatasetRow, Found, StoreError, StoredView};

/// The config of a key as stored.
pub(crate) fn config_text(key: &ArtifactKey) -> &str {
    key.config.as_ref().map_or("", ConfigName::as_str)
}

/// The split of a key as stored.
pub(crate) fn split_text(key: &ArtifactKey) -> &str {
    key.split.as_ref().map_or("", SplitName::as_str)
}

/// The four columns of a key.
pub(crate) struct KeyRow {
    pub(crate) step: String,
    pub(crate) dataset: String,
    pub(crate) config: String,
    pub(crate) split: String,
}

impl KeyRow {
    pub(crate) fn decode(self) -> Result<ArtifactKey, StoreError> {
        let config = if self.config.is_empty() { None } else { Some(ConfigName::new(self.config)) };
        let split = if self.split.is_empty() { None } else { Some(SplitName::new(self.split)) };
        Ok(ArtifactKey {
            step: StepName::read(self.step),
            dataset: DatasetName::new(self.dataset).map_err(StoreError::corrupt)?,
            config: config.transpose().map_err(StoreError::corrupt)?,
            split: split.transpose().map_err(StoreError::corrupt)?,
        })
    }
}

/// The columns of `job_columns.sql`.
pub(crate) struct JobRow {
    pub(crate) id: i64,
    pub(crate) key: KeyRow,
    pub(crate) revision: String,
    pub(crate) priority: i64,
    pub(crate) difficulty: i64,
    pub(crate) status: i64,
    pub(crate) forced: bool,
    pub(crate) coalesced: bool,
    pub(crate) created_at: i64,
    pub(crate) started_at: Option<i64>,
    pub(crate) last_heartbeat: Option<i64>,
    pub(crate) attempt: i64,
    pub(crate) crashes: i64,
    pub(crate) token: i64,
}

impl JobRow {
    pub(crate) fn decode(self) -> Result<JobRecord, StoreError> {
        Ok(JobRecord {
            id: JobId(self.id),
            key: self.key.decode()?,
            revision: revision(self.revision)?,
            priority: Priority::from_rank(i16::try_from(self.priority).unwrap_or_default()),
            difficulty: Difficulty::new(u32::try_from(self.difficulty).unwrap_or_default()),
            status: status(self.status),
            forced: self.forced,
            created_at: Timestamp(self.created_at),
            started_at: self.started_at.map(Timestamp),
            last_heartbeat: self.last_heartbeat.map(Timestamp),
            attempt: count(self.attempt),
            crashes: count(self.crashes),
            coalesce: self.coalesced,
        })
    }

    pub(crate) fn decode_claimed(self) -> Result<ClaimedJob, StoreError> {
        let lease = Lease { job: JobId(self.id), token: self.token };
        Ok(ClaimedJob { record: self.decode()?, lease })
    }
}

/// The columns of a view, in the order of `view_by_digest.sql`.
pub(crate) struct ViewRow {
    pub(crate) digest: Vec<u8>,
    pub(crate) http_status: i64,
    pub(crate) error_code: Option<String>,
    pub(crate) progress: Option<i64>,
    pub(crate) runner_version: i64,
    pub(crate) duration_seconds: f64,
    pub(crate) internal: String,
    pub(crate) details: String,
    pub(crate) content: String,
}

impl ViewRow {
    pub(crate) fn decode(self) -> Result<StoredView, StoreError> {
        let outcome = match self.error_code {
            None if self.http_status == 200 => Outcome::Ok,
            code => {
                let code = code.ok_or_else(|| StoreError::Corrupt("an error without a code".to_owned()))?;
                Outcome::Error { http_status: http_status(self.http_status)?, code }
            }
        };
        Ok(StoredView {
            digest: digest(&self.digest)?,
            view: View {
                outcome,
                content: Json::from_text(self.content),
                details: Json::from_text(self.details),
                progress: self.progress.and_then(|progress| u16::try_from(progress).ok()),
                internal: Json::from_text(self.internal),
            },
            runner_version: count(self.runner_version),
            duration_seconds: self.duration_seconds,
        })
    }
}

/// The columns of `found_columns.sql`.
pub(crate) struct FoundRow {
    pub(crate) key: KeyRow,
    pub(crate) revision: String,
    pub(crate) updated_at: i64,
    pub(crate) failed_runs: i64,
    pub(crate) view: ViewRow,
}

impl FoundRow {
    pub(crate) fn decode(self) -> Result<Found, StoreError> {
        Ok(Found {
            key: self.key.decode()?,
            revision: revision(self.revision)?,
            stored: self.view.decode()?,
            updated_at: Timestamp(self.updated_at),
            failed_runs: count(self.failed_runs),
        })
    }
}

/// The columns of `artifact_rows.sql`.
pub(crate) struct ReportRow {
    pub(crate) key: KeyRow,
    pub(crate) revision: String,
    pub(crate) http_status: i64,
    pub(crate) error_code: Option<String>,
    pub(crate) failed_runs: i64,
    pub(crate) runner_version: i64,
    pub(crate) updated_at: i64,
}

impl ReportRow {
    pub(crate) fn decode(self) -> Result<ArtifactRow, StoreError> {
        Ok(ArtifactRow {
            key: self.key.decode()?,
            revision: revision(self.revision)?,
            http_status: http_status(self.http_status)?,
            error_code: self.error_code,
            failed_runs: count(self.failed_runs),
            runner_version: count(self.runner_version),
            updated_at: Timestamp(self.updated_at),
        })
    }
}

/// The columns of `datasets.sql`.
pub(crate) struct DatasetColumns {
    pub(crate) name: String,
    pub(crate) target: String,
    pub(crate) target_since: i64,
    pub(crate) served: Option<String>,
    pub(crate) pending_jobs: i64,
    pub(crate) errors: i64,
    pub(crate) restricted: bool,
}

impl DatasetColumns {
    pub(crate) fn decode(self) -> Result<DatasetRow, StoreError> {
        Ok(DatasetRow {
            name: dataset(self.name)?,
            target: revision(self.target)?,
            target_since: Timestamp(self.target_since),
            served: self.served.map(revision).transpose()?,
            pending_jobs: total(self.pending_jobs),
            errors: total(self.errors),
            restricted: self.restricted,
        })
    }
}

pub(crate) fn dataset(text: String) -> Result<DatasetName, StoreError> {
    DatasetName::new(text).map_err(StoreError::corrupt)
}

pub(crate) fn revision(text: String) -> Result<Revision, StoreError> {
    Revision::new(text).map_err(StoreError::corrupt)
}

pub(crate) fn digest(bytes: &[u8]) -> Result<Digest, StoreError> {
    let bytes = bytes.try_into().map_err(|_| StoreError::Corrupt("a digest that is not 32 bytes".to_owned()))?;
    Ok(Digest::from_bytes(bytes))
}

pub(crate) fn http_status(value: i64) -> Result<u16, StoreError> {
    u16::try_from(value).map_err(|_| StoreError::Corrupt(format!("the http status {value}")))
}

pub(crate) fn status(value: i64) -> JobStatus {
    if value == 1 { JobStatus::Started } else { JobStatus::Waiting }
}

/// A small counter; negative ones do not occur.
pub(crate) fn count(value: i64) -> u32 {
    u32::try_from(value).unwrap_or_default()
}

/// A count of rows.
pub(crate) fn total(value: i64) -> u64 {
    u64::try_from(value).unwrap_or_default()
}

/// Seconds as the databases count them.
pub(crate) fn microseconds(seconds: f64) -> i64 {
    // `as` saturates, which is what a lease "for ever" wants; halved so that adding it to a time cannot overflow.
    ((seconds * 1e6) as i64).clamp(i64::MIN / 2, i64::MAX / 2)
}

/// Inclusive bounds of difficulty for an asker whose lower bound is exclusive and whose ends may be open.
pub(crate) fn difficulty_range(request: &crate::ClaimRequest) -> (i64, i64) {
    let low = match request.difficulty_min {
        None | Some(0) => 0,
        Some(min) => i64::from(min) + i64::from(!request.difficulty_min_inclusive),
    };
    let high = match request.difficulty_max {
        None => 100,
        Some(max) => i64::from(max).min(100),
    };
    (low, high)
}

/// One job per artifact, in the order given, which becomes their age: the highest priority wins, and force.
pub(crate) fn merged(jobs: Vec<NewJob>) -> Vec<NewJob> {
    let mut places: HashMap<(ArtifactKey, Revision), usize> = HashMap::with_capacity(jobs.len());
    let mut merged: Vec<NewJob> = Vec::with_capacity(jobs.len());
    for job in jobs {
        match places.entry((job.key.clone(), job.revision.clone())) {
            Entry::Occupied(place) => {
                let first = &mut merged[*place.get()];
                first.priority = first.priority.max(job.priority);
                first.forced |= job.forced;
            }
            Entry::Vacant(place) => {
                place.insert(merged.len());
                merged.push(job);
            }
        }
    }
    merged
}

/// The stored form of a manifest.
pub(crate) fn pack_manifest(manifest: &Manifest) -> Result<Vec<u8>, StoreError> {
    let json = serde_json::to_vec(manifest).map_err(StoreError::corrupt)?;
    zstd::encode_all(json.as_slice(), 3).map_err(|error| StoreError::database("pack a manifest", error))
}

/// A manifest from its stored form.
pub(crate) fn unpack_manifest(bytes: &[u8]) -> Result<Manifest, StoreError> {
    let json = zstd::decode_all(bytes).map_err(StoreError::corrupt)?;
    serde_json::from_slice(&json).map_err(StoreError::corrupt)
}
