//! `/v1/tasks` and `/v1/clusters`.

use std::sync::Arc;

use axum::Json;
use axum::extract::multipart::MultipartRejection;
use axum::extract::{Multipart, Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use belvedere_domain::ErrorCode;
use belvedere_store::tasks::{Cancelled, Deleted, Retried};
use serde_json::{Value, json};

use super::caller::Caller;
use super::problem::Problem;
use super::shared::{created, fresh, next_cursor, no_form, reach, select, service, take};
use super::{accept, bodies};
use crate::params::Params;
use crate::state::ApiState;

/// Tasks and events of one answer, at most.
const PAGE: u32 = 100;

/// `POST /v1/tasks`.
pub(super) async fn submit(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    headers: HeaderMap,
    multipart: Result<Multipart, MultipartRejection>,
) -> Result<Response, Problem> {
    let (stored, row) = take(&state, &caller, &headers, multipart).await?;
    Ok(created(&format!("/v1/tasks/{}", stored.id), stored.replayed, bodies::Task::of(row)))
}

/// `POST /v1/tasks/plan`: what the same request would submit. Nothing is stored.
pub(super) async fn plan(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    headers: HeaderMap,
    multipart: Result<Multipart, MultipartRejection>,
) -> Result<Response, Problem> {
    let multipart = multipart.map_err(|error| no_form(&error))?;
    let accepted = accept::read(&state, service(&state), &caller, &headers, multipart).await?;
    let config = &accepted.config;
    let points = config.sweep.as_ref().map(|sweep| &sweep.points);
    Ok(fresh(Json(json!({
        "cluster": config.cluster.as_str(),
        "experiment_name": config.experiment,
        "starts": {"kind": accepted.entry.kind, "file": accepted.entry.file, "arguments": config.arguments.as_str()},
        "needs": accepted.needs,
        "parameters": config.params,
        "tracking": {"mode": config.mode.as_str(), "uri": config.tracking_uri},
        "retries": {"max": config.retry.max, "on": config.retry.on.iter().map(|state| state.as_str()).collect::<Vec<_>>()},
        "sweep": points,
        "dataset": accepted.pin,
        "files": accepted.upload.files().iter().map(bodies::file).collect::<Vec<_>>(),
    }))))
}

/// `GET /v1/tasks`.
pub(super) async fn list(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let (rows, limit) = select(&state, &caller, query.as_deref(), PAGE).await?;
    let next = next_cursor(rows.last().map(|row| row.id), rows.len(), limit);
    let tasks: Vec<_> = rows.into_iter().map(bodies::Task::of).collect();
    Ok(fresh(Json(json!({"tasks": tasks, "next_cursor": next}))))
}

/// `GET /v1/tasks/{id}`.
pub(super) async fn task(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let row = reach(&state, &caller, &id).await?;
    Ok(fresh(Json(bodies::Task::of(row))))
}

/// `GET /v1/tasks/{id}/attempts`.
pub(super) async fn attempts(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let row = reach(&state, &caller, &id).await?;
    let attempts = state.services.store.tasks.attempts(row.id).await?;
    Ok(fresh(Json(json!({"attempts": attempts.iter().map(bodies::attempt).collect::<Vec<_>>()}))))
}

/// `GET /v1/tasks/{id}/events`.
pub(super) async fn events(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let row = reach(&state, &caller, &id).await?;
    let after = Params::parse(query.as_deref()).get("after").map(str::parse).transpose();
    let after = after.map_err(|_| Problem::at("", "the parameter `after` must be the id of an event"))?.unwrap_or(0);
    let events = state.services.store.tasks.events(row.id, after, PAGE).await?;
    Ok(fresh(Json(json!({"events": events.iter().map(bodies::event).collect::<Vec<_>>()}))))
}

/// `POST /v1/tasks/{id}/cancel`.
pub(super) async fn cancel(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let row = reach(&state, &caller, &id).await?;
    let tasks = &state.services.store.tasks;
    match tasks.cancel(row.id, caller.scope(), &caller.name).await? {
        Cancelled::Unknown => return Err(Problem::not_found()),
        Cancelled::TooLate(ended) => {
            let text = format!("The task has ended already: {ended}.");
            return Err(Problem::new(ErrorCode::TaskStateConflict, text));
        }
        Cancelled::AtOnce | Cancelled::Requested => service(&state).wake(),
    }
    let row = reach(&state, &caller, &id).await?;
    Ok(fresh((StatusCode::ACCEPTED, Json(bodies::Task::of(row)))))
}

/// `POST /v1/tasks/{id}/retry`.
pub(super) async fn retry(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let row = reach(&state, &caller, &id).await?;
    let limits = service(&state).catalog.member(&row.cluster)?.limits;
    match state.services.store.tasks.retry(row.id, caller.scope(), &caller.name, limits).await? {
        Retried::Unknown => return Err(Problem::not_found()),
        Retried::Refused(now) => {
            let text = format!("Only what has ended without success can be tried again; the task is {now}.");
            return Err(Problem::new(ErrorCode::TaskStateConflict, text));
        }
        Retried::Full => {
            let text = ErrorCode::TaskLimitReached.meaning();
            return Err(Problem::new(ErrorCode::TaskLimitReached, text).retry_after(30));
        }
        Retried::Attempt(_) => service(&state).wake(),
    }
    let row = reach(&state, &caller, &id).await?;
    Ok(fresh((StatusCode::ACCEPTED, Json(bodies::Task::of(row)))))
}

/// `DELETE /v1/tasks/{id}`: a task that has ended, with all that it left.
pub(super) async fn delete(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let row = reach(&state, &caller, &id).await?;
    match state.services.store.tasks.delete(row.id, caller.scope()).await? {
        Deleted::Unknown => Err(Problem::not_found()),
        Deleted::Refused(now) => {
            let text = format!("Only a task that has ended can be deleted; this one is {now}. Cancel it first.");
            Err(Problem::new(ErrorCode::TaskStateConflict, text))
        }
        Deleted::Gone(folders) => {
            tracing::info!(task.id = %row.id, user.name = %caller.name, "a task is deleted");
            service(&state).inbox.remove(&folders).await;
            Ok(fresh(StatusCode::NO_CONTENT))
        }
    }
}

/// `GET /v1/clusters`: those there are, and whether they answer.
pub(super) async fn clusters(State(state): State<Arc<ApiState>>, _: Caller) -> Result<Response, Problem> {
    let rows = state.services.store.tasks.clusters().await?;
    let list = service(&state).catalog.members().map(|member| {
        let row = rows.iter().find(|row| row.name == member.name.as_str());
        let health: Option<Value> =
            row.and_then(|row| row.health.as_deref()).and_then(|health| serde_json::from_str(health).ok());
        json!({
            "name": member.name.as_str(),
            "watched": row.is_some_and(|row| row.watched),
            "health": health,
            "health_at": row.and_then(|row| row.health_at).map(bodies::time),
            "max_active": member.limits.per_cluster,
            "max_active_per_user": member.limits.per_owner,
        })
    });
    Ok(fresh(Json(json!({"clusters": list.collect::<Vec<_>>()}))))
}
