//! What operators do. Parameters come from the query string only; every action answers `{"status": "ok"}`.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use belvedere_domain::job::Priority;
use belvedere_domain::{ArtifactKey, ConfigName, ErrorCode, Level, SplitName, StepName};
use belvedere_jobs::maintenance::{self, MaintenanceError};
use belvedere_jobs::refresh::{Ensured, RefreshError};
use belvedere_jobs::registry::{Need, Optional};
use serde_json::json;

use super::bodies::{self, Done, Job};
use super::reports::dataset;
use crate::error::ApiError;
use crate::params::{Params, invalid, missing};
use crate::state::ApiState;

type Answer = Result<Response, ApiError>;

/// `/recreate-dataset`: deletes everything stored for a dataset and computes it again.
pub(super) async fn recreate(State(state): State<Arc<ApiState>>, RawQuery(query): RawQuery) -> Answer {
    let params = Params::parse(query.as_deref());
    let (dataset, priority) = (dataset(&params)?, priority(&params)?);
    ensured(state.refresher.recreate(&dataset, priority).await)?;
    bodies::json(&Done { dataset: Some(&dataset), ..Done::OK }, 0)
}

/// `/force-refresh/{step}`: computes one artifact again, whatever is stored.
pub(super) async fn force(step: StepName, State(state): State<Arc<ApiState>>, RawQuery(query): RawQuery) -> Answer {
    let params = Params::parse(query.as_deref());
    let step = state.services.graph.step(&step).expect("routed from the graph");
    let required: &[&str] = match step.level {
        Level::Dataset => &["dataset"],
        Level::Config => &["dataset", "config"],
        Level::Split => &["dataset", "config", "split"],
    };
    if required.iter().any(|name| params.get(name).is_none()) {
        return Err(missing(required));
    }
    let config = params.get("config").filter(|_| step.level != Level::Dataset).map(ConfigName::new).transpose();
    let split = params.get("split").filter(|_| step.level == Level::Split).map(SplitName::new).transpose();
    let key = ArtifactKey {
        step: step.step_name(),
        dataset: dataset(&params)?,
        config: config.map_err(|error| invalid(format!("Parameter 'config': {error}")))?,
        split: split.map_err(|error| invalid(format!("Parameter 'split': {error}")))?,
    };
    let (priority, difficulty) = (priority(&params)?, difficulty(&params)?);
    ensured(state.refresher.force(step, key, priority, difficulty).await)?;
    bodies::json(&Done::OK, 0)
}

/// `/force-refresh/{step}` for a step that this program was built or started without.
pub(super) async fn not_there(step: &'static str) -> ApiError {
    let text = match Optional::of(step).map(Optional::need) {
        Some(Need::Setting(setting)) => format!("The step {step} needs the setting `{setting}`, which is not set."),
        Some(Need::Feature(feature)) => {
            format!("The step {step} needs a program built with the cargo feature `{feature}`; this one was not.")
        }
        None => format!("The step {step} does not exist."),
    };
    ApiError::new(ErrorCode::FeatureNotAvailableError, text)
}

/// `/cancel-jobs/{step}`: puts started jobs back to wait. With `dry_run`, tells which these are.
pub(super) async fn cancel(step: StepName, State(state): State<Arc<ApiState>>, RawQuery(query): RawQuery) -> Answer {
    let dry_run = flag(&Params::parse(query.as_deref()), "dry_run")?;
    let reports = &state.services.store.reports;
    let jobs = if dry_run {
        let jobs = reports.jobs(&[step], 0).await?;
        jobs.into_iter().filter(|job| job.status == belvedere_domain::job::JobStatus::Started).collect()
    } else {
        reports.cancel(&[step]).await?
    };
    bodies::json(&json!({"status": "ok", "dry_run": dry_run, "jobs": jobs.iter().map(Job::of).collect::<Vec<_>>()}), 0)
}

/// `/dataset-backfill-plan`: what a backfill of a dataset would queue and drop.
pub(super) async fn backfill_plan(State(state): State<Arc<ApiState>>, RawQuery(query): RawQuery) -> Answer {
    let max_age = state.settings.admin.max_age;
    plan_of(&state, &Params::parse(query.as_deref())).await.map_err(|error| error.keep(max_age))
}

async fn plan_of(state: &ApiState, params: &Params) -> Answer {
    let dataset = dataset(params)?;
    let preview = match state.refresher.preview(&dataset).await {
        Ok(preview) => preview,
        Err(error) => return Err(failed(error)),
    };
    let Some(preview) = preview else {
        return bodies::json(&json!({"dataset": dataset, "supported": false}), state.settings.admin.max_age);
    };
    let create = preview.plan.create.iter().map(|job| {
        json!({
            "type": job.key.step,
            "config": job.key.config,
            "split": job.key.split,
            "priority": job.priority,
            "difficulty": job.difficulty,
        })
    });
    let body = json!({
        "dataset": dataset,
        "supported": true,
        "revision": preview.revision,
        "create_jobs": create.collect::<Vec<_>>(),
        "delete_waiting_jobs": preview.plan.delete,
    });
    bodies::json(&body, state.settings.admin.max_age)
}

/// `/dataset-backfill`: queues what is missing or stale of a dataset.
pub(super) async fn backfill(State(state): State<Arc<ApiState>>, RawQuery(query): RawQuery) -> Answer {
    let params = Params::parse(query.as_deref());
    let (dataset, priority) = (dataset(&params)?, priority(&params)?);
    let message = match state.refresher.repair(&dataset, priority).await {
        Ok(Ensured::Queued) => "What was missing or stale is queued.".to_owned(),
        Ok(Ensured::Unknown) => "There is no such dataset; nothing of it is stored.".to_owned(),
        Ok(Ensured::Unsupported(code)) => format!("{} Nothing of it is stored.", code.meaning()),
        Err(error) => return Err(failed(error)),
    };
    bodies::json(&Done { message: Some(message), ..Done::OK }, 0)
}

/// `/admin/unblock-dataset`: ends the rest of a dataset over its rate limit.
pub(super) async fn unblock(State(state): State<Arc<ApiState>>, RawQuery(query): RawQuery) -> Answer {
    let dataset = dataset(&Params::parse(query.as_deref()))?;
    let rested = state.services.store.reports.unblock(&dataset).await?;
    let message = if rested { "It may be worked on again." } else { "It did not rest." };
    bodies::json(&Done { dataset: Some(&dataset), message: Some(message.to_owned()), ..Done::OK }, 0)
}

/// `/admin/clean`: removes what steps of other versions have left behind, and files that belong to no view. With
/// `dry_run`, counts it.
pub(super) async fn clean(State(state): State<Arc<ApiState>>, RawQuery(query): RawQuery) -> Answer {
    let dry_run = flag(&Params::parse(query.as_deref()), "dry_run")?;
    let leftovers = state.refresher.leftovers(!dry_run).await.map_err(failed)?;
    let before = maintenance::left_over_before((state.settings.clock)());
    let views = match dry_run {
        true => maintenance::left_over(&state.services, before).await.map(|prefixes| prefixes.len()),
        false => maintenance::sweep(&state.services, before).await,
    };
    let views = views.map_err(not_cleaned)?;
    let revisions = match dry_run {
        true => state.refresher.old_revisions().await.map(|old| old.len()),
        false => state.refresher.retire_all().await,
    };
    let revisions = revisions.map_err(failed)?;
    let cached_assets = &state.settings.cached_assets;
    let media = match dry_run {
        true => maintenance::count_media(&state.services, cached_assets).await,
        false => maintenance::forget_media(&state.services, cached_assets, usize::MAX).await,
    };
    let media = media.map_err(not_cleaned)?;
    let body = json!({
        "status": "ok",
        "dry_run": dry_run,
        "jobs_of_unknown_steps": leftovers.jobs,
        "artifacts_of_unknown_steps": leftovers.artifacts,
        "views_never_stored": views,
        "revisions_not_kept": revisions,
        "media_of_gone_revisions": media,
    });
    bodies::json(&body, 0)
}

fn not_cleaned(error: MaintenanceError) -> ApiError {
    match error {
        MaintenanceError::Store(error) => ApiError::from(error),
        error @ MaintenanceError::Media(_) => ApiError::internal(&error),
    }
}

fn priority(params: &Params) -> Result<Priority, ApiError> {
    let parse = |text: &str| text.parse().map_err(|error| invalid(format!("Parameter 'priority': {error}")));
    params.get("priority").map_or(Ok(Priority::Low), parse)
}

fn difficulty(params: &Params) -> Result<Option<u32>, ApiError> {
    let Some(text) = params.get("difficulty") else { return Ok(None) };
    match text.trim().parse::<u32>() {
        Ok(difficulty) if difficulty <= 100 => Ok(Some(difficulty)),
        _ => Err(invalid("Parameter 'difficulty' must be an integer from 0 to 100".to_owned())),
    }
}

fn flag(params: &Params, name: &str) -> Result<bool, ApiError> {
    match params.get(name) {
        None | Some("false" | "0") => Ok(false),
        Some("true" | "1") => Ok(true),
        Some(_) => Err(invalid(format!("Parameter '{name}' must be true or false"))),
    }
}

/// Queued, or why not.
fn ensured(result: Result<Ensured, RefreshError>) -> Result<(), ApiError> {
    match result {
        Ok(Ensured::Queued) => Ok(()),
        Ok(Ensured::Unknown) => Err(of_code(ErrorCode::NotSupportedRepositoryNotFoundError)),
        Ok(Ensured::Unsupported(code)) => Err(of_code(code)),
        Err(error) => Err(failed(error)),
    }
}

fn of_code(code: ErrorCode) -> ApiError {
    ApiError::new(code, code.meaning())
}

fn failed(error: RefreshError) -> ApiError {
    match error {
        error if error.is_busy() => ApiError::new(
            ErrorCode::ResponseNotReady,
            "The files of the dataset are still being written. Please retry later.",
        ),
        error => error.into(),
    }
}
