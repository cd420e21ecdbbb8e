//! Jobs and stored artifacts as operators see them. Names and order of keys are those that scripts know.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use belvedere_domain::job::{JobRecord, JobStatus, Priority};
use belvedere_domain::{ArtifactKey, ConfigName, DatasetName, Json, Revision, SplitName, StepName, Timestamp};
use belvedere_store::Report;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::error::ApiError;

/// A success as JSON that clients may keep for `max_age` seconds.
pub(super) fn json(body: &impl Serialize, max_age: u32) -> Result<Response, ApiError> {
    let body = serde_json::to_vec(body).map_err(|error| ApiError::internal(&error))?;
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, crate::headers::max_age(max_age));
    Ok(response)
}

/// `{"status": "ok"}` and whatever else there is to tell.
#[derive(Serialize)]
pub(super) struct Done<'a> {
    pub(super) status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) dataset: Option<&'a DatasetName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<String>,
}

impl Done<'_> {
    pub(super) const OK: Self = Self { status: "ok", dataset: None, message: None };
}

/// A time with three significant digits, of the six that are written.
pub(super) fn time(at: Timestamp) -> String {
    Timestamp(at.0.div_euclid(1000) * 1000).to_string()
}

/// What a job is about.
#[derive(Serialize)]
pub(super) struct Work<'a> {
    #[serde(rename = "type")]
    step: &'a StepName,
    dataset: &'a DatasetName,
    revision: &'a Revision,
    config: Option<&'a ConfigName>,
    split: Option<&'a SplitName>,
    unicity_id: String,
    namespace: &'a str,
}

impl<'a> Work<'a> {
    pub(super) fn of(key: &'a ArtifactKey, revision: &'a Revision) -> Self {
        Self {
            step: &key.step,
            dataset: &key.dataset,
            revision,
            config: key.config.as_ref(),
            split: key.split.as_ref(),
            unicity_id: key.unicity_id(revision),
            namespace: key.dataset.namespace(),
        }
    }
}

/// A job.
#[derive(Serialize)]
pub(super) struct Job<'a> {
    #[serde(flatten)]
    work: Work<'a>,
    priority: Priority,
    status: JobStatus,
    difficulty: u8,
    created_at: String,
    started_at: Option<String>,
    last_heartbeat: Option<String>,
}

impl<'a> Job<'a> {
    pub(super) fn of(job: &'a JobRecord) -> Self {
        Self {
            work: Work::of(&job.key, &job.revision),
            priority: job.priority,
            status: job.status,
            difficulty: job.difficulty.get(),
            created_at: time(job.created_at),
            started_at: job.started_at.map(time),
            last_heartbeat: job.last_heartbeat.map(time),
        }
    }
}

/// The jobs of a step.
#[derive(Serialize, Default)]
pub(super) struct JobsOfStep<'a> {
    pub(super) waiting: Vec<Job<'a>>,
    pub(super) started: Vec<Job<'a>>,
    /// More wait than are listed. Not there when all are.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) partial: bool,
}

/// A stored artifact.
#[derive(Serialize)]
pub(super) struct CacheReport<'a> {
    kind: &'a StepName,
    dataset: &'a DatasetName,
    dataset_git_revision: &'a Revision,
    config: Option<&'a ConfigName>,
    split: Option<&'a SplitName>,
    http_status: u16,
    error_code: Option<&'a str>,
    details: Box<RawValue>,
    updated_at: String,
    job_runner_version: u32,
    progress: Option<f64>,
    failed_runs: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Box<RawValue>>,
}

impl<'a> CacheReport<'a> {
    /// `content`: what is served of it, in reports that show it.
    pub(super) fn of(report: &'a Report, content: Option<String>) -> Result<Self, ApiError> {
        Ok(Self {
            kind: &report.key.step,
            dataset: &report.key.dataset,
            dataset_git_revision: &report.revision,
            config: report.key.config.as_ref(),
            split: report.key.split.as_ref(),
            http_status: report.http_status,
            error_code: report.error_code.as_deref(),
            details: raw(&report.details)?,
            updated_at: time(report.updated_at),
            job_runner_version: report.runner_version,
            progress: report.progress.map(|thousandths| f64::from(thousandths) / 1000.0),
            failed_runs: report.failed_runs,
            content: content.map(|text| raw(&Json::from_text(text))).transpose()?,
        })
    }
}

/// What is stored and pending for a step of a dataset.
#[derive(Serialize, Default)]
pub(super) struct StatusOfStep<'a> {
    pub(super) cached_responses: Vec<CacheReport<'a>>,
    pub(super) jobs: Vec<Job<'a>>,
}

/// Something for every step, by name.
pub(super) type BySteps<'a, T> = BTreeMap<&'a str, T>;

fn raw(json: &Json) -> Result<Box<RawValue>, ApiError> {
    RawValue::from_string(json.as_str().to_owned()).map_err(|error| ApiError::internal(&error))
}
