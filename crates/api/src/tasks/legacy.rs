//! The routes of the first task managers: lists of one task, statuses in words.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Multipart, Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use belvedere_domain::task::TaskId;
use serde_json::{Value, json};

use super::bodies;
use super::caller::Caller;
use super::problem::Problem;
use super::shared::{fresh, is_stale, reach, select, take};
use crate::state::ApiState;

/// Tasks of one answer, at most and by default.
const MAX_TASKS: u32 = 1000;

/// `POST /new_task`.
pub(super) async fn new_task(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    headers: HeaderMap,
    multipart: Result<Multipart, axum::extract::multipart::MultipartRejection>,
) -> Result<Response, Problem> {
    let (_, row) = take(&state, &caller, &headers, multipart).await?;
    Ok(fresh(Json([bodies::Task::of(row)])))
}

/// `GET /tasks`.
pub(super) async fn tasks(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let (rows, _) = select(&state, &caller, query.as_deref(), MAX_TASKS).await?;
    Ok(fresh(Json(rows.into_iter().map(bodies::Task::of).collect::<Vec<_>>())))
}

/// `GET /task/{id}`.
pub(super) async fn task(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let row = reach(&state, &caller, &id).await?;
    Ok(fresh(Json([bodies::Task::of(row)])))
}

/// `GET /job_status/{job}`: by the cluster's number, or by the id of the task.
pub(super) async fn job_status(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    Path(job): Path<String>,
) -> Result<Response, Problem> {
    let row = match TaskId::parse(&job) {
        Ok(_) => reach(&state, &caller, &job).await?,
        Err(_) => {
            let found = state.services.store.tasks.by_job(&job, caller.scope()).await?;
            found.ok_or_else(Problem::not_found)?
        }
    };
    let stale = is_stale(&state, row.cluster.as_str()).await? && !row.attempt.state.is_final();
    Ok(fresh(Json(json!({
        "job_status": row.attempt.state.message(),
        "run_id": row.attempt.run_id,
        "task_id": row.id.to_string(),
        "observed_at": row.attempt.observed_at.map(bodies::time),
        "stale": stale,
    }))))
}

/// `GET /users`: all for admins, oneself for others. Nothing of passwords.
pub(super) async fn users(State(state): State<Arc<ApiState>>, caller: Caller) -> Result<Response, Problem> {
    Ok(fresh(Json(visible(&state, &caller).await?)))
}

/// `GET /users/{name}`.
pub(super) async fn user(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let mut all = visible(&state, &caller).await?;
    all.retain(|user| user["username"] == name.as_str());
    match all.pop() {
        Some(user) => Ok(fresh(Json(user))),
        None => Err(Problem::new(belvedere_domain::ErrorCode::TaskNotFound, "There is no such user.")),
    }
}

async fn visible(state: &ApiState, caller: &Caller) -> Result<Vec<Value>, Problem> {
    let users = state.services.store.users.users().await?;
    let seen = users.into_iter().filter(|user| caller.is_admin || user.name.as_str() == caller.name);
    let shown = |user: belvedere_domain::User| {
        json!({
            "username": user.name.as_str(),
            "role": user.role.as_str(),
            "disabled": user.disabled,
            "created_at": bodies::time(user.created_at),
        })
    };
    Ok(seen.map(shown).collect())
}
