//! What is to be done: jobs that wait and run, and datasets that rest.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use belvedere_domain::job::JobStatus;
use belvedere_domain::{ErrorCode, JobId, Step, StepName};
use serde_json::json;

use super::bodies::{self, BySteps, Job, JobsOfStep};
use crate::error::ApiError;
use crate::params::invalid;
use crate::state::ApiState;

/// `/pending-jobs`: jobs by step and status. Of each step the oldest waiting ones are listed, up to a limit.
pub(super) async fn pending(State(state): State<Arc<ApiState>>) -> Result<Response, ApiError> {
    let settings = &state.settings.admin;
    let limit = settings.pending_jobs_num_results;
    let steps: Vec<StepName> = state.services.graph.steps().iter().map(Step::step_name).collect();
    let jobs = state.services.store.reports.jobs(&steps, limit.saturating_add(1)).await;
    let jobs = jobs.map_err(|error| ApiError::from(error).keep(settings.max_age))?;
    let mut body: BySteps<'_, JobsOfStep<'_>> =
        steps.iter().map(|step| (step.as_str(), JobsOfStep::default())).collect();
    for job in &jobs {
        let Some(of_step) = body.get_mut(job.key.step.as_str()) else { continue };
        match job.status {
            JobStatus::Started => of_step.started.push(Job::of(job)),
            JobStatus::Waiting if of_step.waiting.len() < limit as usize => of_step.waiting.push(Job::of(job)),
            JobStatus::Waiting => of_step.partial = true,
        }
    }
    bodies::json(&body, settings.max_age)
}

/// `/blocked-datasets`: those that rest because of their rate limit.
pub(super) async fn blocked_datasets(State(state): State<Arc<ApiState>>) -> Result<Response, ApiError> {
    let max_age = state.settings.admin.max_age;
    let blocked = state.services.store.queue.blocked_datasets().await;
    let blocked = blocked.map_err(|error| ApiError::from(error).keep(max_age))?;
    bodies::json(&json!({"blocked_datasets": blocked}), max_age)
}

/// `/admin/jobs/{id}`: one job, as long as it waits or runs.
pub(super) async fn one(State(state): State<Arc<ApiState>>, Path(id): Path<String>) -> Result<Response, ApiError> {
    let max_age = state.settings.admin.max_age;
    job_of(&state, &id).await.map_err(|error| error.keep(max_age))
}

async fn job_of(state: &ApiState, id: &str) -> Result<Response, ApiError> {
    let id = id.parse().map_err(|_| invalid(format!("`{id}` is not the number of a job")))?;
    let found = state.services.store.reports.job(JobId(id)).await?;
    let detail = found.ok_or_else(|| {
        ApiError::new(
            ErrorCode::ResponseNotFound,
            "There is no such job: it has ended, or never was. Its result is stored.",
        )
    })?;
    #[derive(serde::Serialize)]
    struct Detail<'a> {
        id: JobId,
        #[serde(flatten)]
        job: Job<'a>,
        forced: bool,
        attempt: u32,
        crashes: u32,
        worker: Option<&'a str>,
        lease_ends_at: Option<String>,
        not_before: Option<String>,
    }
    let record = &detail.record;
    let body = Detail {
        id: record.id,
        job: Job::of(record),
        forced: record.forced,
        attempt: record.attempt,
        crashes: record.crashes,
        worker: detail.owner.as_deref(),
        lease_ends_at: detail.expires_at.map(bodies::time),
        not_before: detail.not_before.map(bodies::time),
    };
    bodies::json(&body, state.settings.admin.max_age)
}
