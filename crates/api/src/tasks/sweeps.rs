//! `/v1/sweeps`: tasks that differ by parameters alone.

use std::sync::Arc;

use axum::Json;
use axum::extract::multipart::MultipartRejection;
use axum::extract::{Multipart, Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use belvedere_domain::task::TaskId;
use belvedere_store::tasks::SweepRow;
use serde_json::json;

use super::caller::Caller;
use super::problem::Problem;
use super::shared::{created, cursor, fresh, limit, next_cursor, no_form, service};
use super::{accept, bodies};
use crate::params::Params;
use crate::state::ApiState;

/// Sweeps of one answer, at most.
const PAGE: u32 = 100;

/// A sweep that the caller reaches.
async fn reach(state: &ApiState, caller: &Caller, id: &str) -> Result<SweepRow, Problem> {
    let id = TaskId::parse(id).map_err(|_| Problem::not_found())?;
    state.services.store.tasks.sweep(id, caller.scope()).await?.ok_or_else(Problem::not_found)
}

/// `POST /v1/sweeps`.
pub(super) async fn submit(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    headers: HeaderMap,
    multipart: Result<Multipart, MultipartRejection>,
) -> Result<Response, Problem> {
    let multipart = multipart.map_err(|error| no_form(&error))?;
    let key = accept::key(&headers)?;
    let accepted = accept::read(&state, service(&state), &caller, &headers, multipart).await?;
    if accepted.config.sweep.is_none() {
        return Err(Problem::at("/sweep", "the parameters of the tasks are missing"));
    }
    let stored = accept::store(&state, service(&state), &caller, accepted, key).await?;
    let row = reach(&state, &caller, &stored.id.to_string()).await?;
    Ok(created(&format!("/v1/sweeps/{}", stored.id), stored.replayed, bodies::sweep(&row)))
}

/// `GET /v1/sweeps`.
pub(super) async fn list(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref());
    let (limit, before) = (limit(&params, PAGE)?, cursor(&params)?);
    let rows = state.services.store.tasks.sweeps(caller.scope(), before, limit).await?;
    let next = next_cursor(rows.last().map(|row| row.id), rows.len(), limit);
    Ok(fresh(Json(json!({"sweeps": rows.iter().map(bodies::sweep).collect::<Vec<_>>(), "next_cursor": next}))))
}

/// `GET /v1/sweeps/{id}`.
pub(super) async fn get(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    Ok(fresh(Json(bodies::sweep(&reach(&state, &caller, &id).await?))))
}

/// `POST /v1/sweeps/{id}/cancel`.
pub(super) async fn cancel(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let row = reach(&state, &caller, &id).await?;
    let tasks = &state.services.store.tasks;
    let done = tasks.cancel_sweep(row.id, caller.scope(), &caller.name).await?.ok_or_else(Problem::not_found)?;
    service(&state).wake();
    let mut body = bodies::sweep(&reach(&state, &caller, &id).await?);
    body["cancelled"] = json!({"at_once": done.at_once, "requested": done.requested});
    Ok(fresh((StatusCode::ACCEPTED, Json(body))))
}

/// `POST /v1/sweeps/{id}/retry`.
pub(super) async fn retry(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let row = reach(&state, &caller, &id).await?;
    let tasks = &state.services.store.tasks;
    let count = tasks.retry_sweep(row.id, caller.scope(), &caller.name).await?.ok_or_else(Problem::not_found)?;
    service(&state).wake();
    let mut body = bodies::sweep(&reach(&state, &caller, &id).await?);
    body["retried"] = json!(count);
    Ok(fresh((StatusCode::ACCEPTED, Json(body))))
}
