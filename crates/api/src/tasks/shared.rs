//! What the routes of both generations share.

use axum::Json;
use axum::extract::Multipart;
use axum::extract::multipart::MultipartRejection;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use belvedere_domain::DatasetName;
use belvedere_domain::task::{State as TaskState, TaskId};
use belvedere_store::tasks::{TaskFilter, TaskRow};
use serde::Serialize;
use serde_json::Value;

use super::accept::Stored;
use super::caller::Caller;
use super::problem::Problem;
use super::{TaskService, accept};
use crate::auth::reading;
use crate::params::Params;
use crate::state::ApiState;

pub(super) fn service(state: &ApiState) -> &TaskService {
    state.tasks.as_deref().expect("routed only with tasks")
}

/// Answers about tasks are for who asked, and for now.
pub(super) fn fresh(body: impl IntoResponse) -> Response {
    let mut response = body.into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Whether the caller may read a dataset. What may not be read looks as if it did not exist.
pub(super) async fn readable(
    state: &ApiState,
    caller: &Caller,
    dataset: &DatasetName,
    headers: &HeaderMap,
) -> Result<(), ()> {
    if caller.is_admin {
        return Ok(());
    }
    reading::readable(state, dataset.as_str(), headers).await.map(drop).map_err(|error| {
        tracing::debug!(dataset.name = %dataset, code = error.code().as_str(), "a dataset is not given to a task");
    })
}

/// A task that the caller reaches.
pub(super) async fn reach(state: &ApiState, caller: &Caller, id: &str) -> Result<TaskRow, Problem> {
    let id = TaskId::parse(id).map_err(|_| Problem::not_found())?;
    state.services.store.tasks.task(id, caller.scope()).await?.ok_or_else(Problem::not_found)
}

/// Reads and stores the task of a request, and reads it back.
pub(super) async fn take(
    state: &ApiState,
    caller: &Caller,
    headers: &HeaderMap,
    multipart: Result<Multipart, MultipartRejection>,
) -> Result<(Stored, TaskRow), Problem> {
    let multipart = multipart.map_err(|error| no_form(&error))?;
    let key = accept::key(headers)?;
    let service = service(state);
    let accepted = accept::read(state, service, caller, headers, multipart).await?;
    accepted.refuse_sweep()?;
    let stored = accept::store(state, service, caller, accepted, key).await?;
    let row = state.services.store.tasks.task(stored.id, Some(&caller.name)).await?.ok_or_else(Problem::not_found)?;
    Ok((stored, row))
}

/// What was stored, and where it is.
pub(super) fn created(location: &str, replayed: bool, body: impl Serialize) -> Response {
    let mut response = fresh((StatusCode::CREATED, Json(body)));
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, HeaderValue::from_str(location).expect("an id is plain"));
    if replayed {
        headers.insert("idempotent-replayed", HeaderValue::from_static("true"));
    }
    response
}

fn wrong(name: &str, message: &str) -> Problem {
    Problem::at("", format!("the parameter `{name}` {message}"))
}

/// How many items a query asks for, at most and by default `most`.
pub(super) fn limit(params: &Params, most: u32) -> Result<u32, Problem> {
    match params.get("limit").map(str::parse::<u32>) {
        None => Ok(most),
        Some(Ok(limit)) if (1..=most).contains(&limit) => Ok(limit),
        Some(_) => Err(wrong("limit", &format!("must be a whole number from 1 to {most}"))),
    }
}

/// The id before which the items are that a query asks for.
pub(super) fn cursor(params: &Params) -> Result<Option<TaskId>, Problem> {
    let before = params.get("cursor").map(TaskId::parse).transpose();
    before.map_err(|error| wrong("cursor", &error.to_string()))
}

/// The cursor of the next page; `None` after the last.
pub(super) fn next_cursor(last: Option<TaskId>, count: usize, limit: u32) -> Option<String> {
    last.filter(|_| count == limit as usize).map(|id| id.to_string())
}

/// The tasks that a query asks for, and how many it asks for at most.
pub(super) async fn select(
    state: &ApiState,
    caller: &Caller,
    query: Option<&str>,
    most: u32,
) -> Result<(Vec<TaskRow>, u32), Problem> {
    let params = Params::parse(query);
    let limit = limit(&params, most)?;
    let wanted = params.get("status").or_else(|| params.get("state"));
    let state_wanted = match wanted {
        None => None,
        Some(name) => {
            Some(TaskState::parse(&name.to_lowercase()).ok_or_else(|| wrong("state", "names no state of a task"))?)
        }
    };
    let dataset = params.get("dataset").map(DatasetName::new).transpose();
    let sweep = params.get("sweep").map(TaskId::parse).transpose();
    let filter = TaskFilter {
        owner: caller.scope().map(str::to_owned),
        state: state_wanted,
        experiment: params.get("experiment").map(str::to_owned),
        before: cursor(&params)?,
        dataset: dataset.map_err(|error| wrong("dataset", &error.to_string()))?,
        sweep: sweep.map_err(|error| wrong("sweep", &error.to_string()))?,
    };
    Ok((state.services.store.tasks.list(filter, limit).await?, limit))
}

/// Whether what is known about a cluster's jobs may be old.
pub(super) async fn is_stale(state: &ApiState, cluster: &str) -> Result<bool, Problem> {
    let rows = state.services.store.tasks.clusters().await?;
    let row = rows.iter().find(|row| row.name == cluster);
    let answers = |health: &str| {
        let health: Value = serde_json::from_str(health).unwrap_or_default();
        health["state"] == "ok"
    };
    Ok(!row.is_some_and(|row| row.watched && row.health.as_deref().is_none_or(answers)))
}

/// What a request that is no form is told.
pub(super) fn no_form(error: &MultipartRejection) -> Problem {
    Problem::at("", format!("the request is not a multipart form: {}", error.body_text()))
}
