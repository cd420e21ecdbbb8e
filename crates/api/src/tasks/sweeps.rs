//! `/v1/sweeps`: tasks that differ by parameters alone.

use std::sync::Arc;

use axum::Json;
use axum::extract::multipart::MultipartRejection;
use axum::extract::{Multipart, Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use belvedere_domain::task::TaskId;
use belvedere_store::tasks::SweepRow;
use serde_json::json;

use super::caller::Caller;
use super::problem::Problem;
use super::shared::{fresh, no_form, service};
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
    let location = format!("/v1/sweeps/{}", stored.id);
    let mut response = fresh((StatusCode::CREATED, Json(bodies::sweep(&row))).into_response());
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, HeaderValue::from_str(&location).expect("an id is plain"));
    if stored.replayed {
        headers.insert("idempotent-replayed", HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// `GET /v1/sweeps`.
pub(super) async fn list(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref());
    let wrong = |name: &str, message: &str| Problem::at("", format!("the parameter `{name}` {message}"));
    let limit = match params.get("limit").map(str::parse::<u32>) {
        None => PAGE,
        Some(Ok(limit)) if (1..=PAGE).contains(&limit) => limit,
        Some(_) => return Err(wrong("limit", &format!("must be a whole number from 1 to {PAGE}"))),
    };
    let before = params.get("cursor").map(TaskId::parse).transpose();
    let before = before.map_err(|error| wrong("cursor", &error.to_string()))?;
    let rows = state.services.store.tasks.sweeps(caller.scope(), before, limit).await?;
    let next = rows.last().filter(|_| rows.len() == limit as usize).map(|row| row.id.to_string());
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
