//! What is to be done: jobs that wait and run, and datasets that rest.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use belvedere_domain::job::JobStatus;
use belvedere_domain::{ErrorCode, JobId, Step, StepName};
use serde_json::json;

use super::bodies::{self, BySteps, Job, JobsOfStep};
use super::reports::dataset;
use super::runs::{PastBody, PastJob, PastRun, PendingBody, RunBody};
use crate::error::ApiError;
use crate::params::{Params, invalid};
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

/// `/admin/gate`: whether this machine has room for jobs, and if not, why.
pub(crate) async fn gate(State(state): State<Arc<ApiState>>) -> Result<Response, ApiError> {
    let checked = belvedere_jobs::gates::check(&state.services.settings.worker);
    let reason = checked.err().map(|closed| closed.reason);
    // The next moment may be different.
    bodies::json(&json!({"open": reason.is_none(), "reason": reason}), 0)
}

/// `/admin/jobs`: the last runs of jobs, newest first, of one dataset or of all.
pub(super) async fn last(State(state): State<Arc<ApiState>>, RawQuery(query): RawQuery) -> Result<Response, ApiError> {
    let max_age = state.settings.admin.max_age;
    last_of(&state, &Params::parse(query.as_deref())).await.map_err(|error| error.keep(max_age))
}

async fn last_of(state: &ApiState, params: &Params) -> Result<Response, ApiError> {
    let settings = &state.settings.admin;
    let dataset = params.get("dataset").map(|_| dataset(params)).transpose()?;
    let runs = state.services.store.history.last_runs(dataset.as_ref(), settings.pending_jobs_num_results).await?;
    let of = |run| PastRun::of(run, settings);
    bodies::json(&json!({"runs": runs.iter().map(of).collect::<Vec<_>>()}), settings.max_age)
}

/// `/admin/jobs/{id}`: one job, and how its runs ended.
pub(super) async fn one(State(state): State<Arc<ApiState>>, Path(id): Path<String>) -> Result<Response, ApiError> {
    let max_age = state.settings.admin.max_age;
    job_of(&state, &id).await.map_err(|error| error.keep(max_age))
}

async fn job_of(state: &ApiState, id: &str) -> Result<Response, ApiError> {
    let id = JobId(id.parse().map_err(|_| invalid(format!("`{id}` is not the number of a job")))?);
    let settings = &state.settings.admin;
    // In this order, so that a job that ends meanwhile is found.
    let found = state.services.store.reports.job(id).await?;
    let runs = state.services.store.history.runs_of_job(id).await?;
    let bodies: Vec<RunBody<'_>> = runs.iter().map(RunBody::of).collect();
    if let Some(detail) = &found {
        return bodies::json(&PendingBody::of(detail, bodies, settings), settings.max_age);
    }
    let last = runs.last().ok_or_else(|| {
        ApiError::new(
            ErrorCode::ResponseNotFound,
            "There is no such job: it has ended long ago, or never was. Its result is stored.",
        )
    })?;
    bodies::json(&PastBody { id, job: PastJob::of(last, settings), runs: bodies }, settings.max_age)
}
