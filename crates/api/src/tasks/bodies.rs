//! Tasks as clients see them.

use belvedere_domain::Timestamp;
use belvedere_domain::task::{State, TaskConfig};
use belvedere_store::tasks::{AttemptRow, Event, SweepRow, TaskFile, TaskRow};
use belvedere_tasks::Pin;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

/// RFC 3339, as in all answers.
pub(super) fn time(at: Timestamp) -> String {
    format!("{at}Z")
}

/// A task. The fields of the first task managers stand beside ours.
#[derive(Serialize)]
pub(super) struct Task {
    id: String,
    owner: String,
    state: &'static str,
    status: &'static str,
    reason: Option<String>,
    experiment_name: String,
    runner_location: String,
    dataset_name: Option<String>,
    script_path: Option<String>,
    instance_type: Option<String>,
    image_name: Option<String>,
    account: Option<String>,
    job_id: Option<Value>,
    run_id: Option<String>,
    run_url: Option<String>,
    dataset: Option<Box<RawValue>>,
    dataset_url: Option<String>,
    selection: Option<String>,
    sweep: Option<String>,
    sweep_index: Option<u32>,
    parameters: Option<Value>,
    cancel_requested: bool,
    created_at: String,
    changed_at: String,
    attempt: Value,
    config: Option<Box<RawValue>>,
}

impl Task {
    pub(super) fn of(row: TaskRow) -> Self {
        let point = row.element.as_ref().map(|element| element.point.as_str());
        let config = TaskConfig::stored(&row.config, point).ok();
        let parameters = config.as_ref().map(|config| Value::Object(config.params.clone()));
        let selection = config.as_ref().and_then(|config| config.selection.clone());
        let infra = config.as_ref().map(|config| config.infra.clone()).unwrap_or_default();
        let name = |name: Option<belvedere_domain::task::PlainName>| name.map(|name| name.to_string());
        let attempt = &row.attempt;
        Self {
            id: row.id.to_string(),
            owner: row.owner.clone(),
            state: attempt.state.as_str(),
            status: attempt.state.message(),
            reason: attempt.reason.clone(),
            experiment_name: row.experiment.clone(),
            runner_location: row.cluster.to_string(),
            dataset_name: config.as_ref().and_then(|config| config.dataset.clone()),
            script_path: config.and_then(|config| config.script),
            instance_type: name(infra.instance_type),
            image_name: name(infra.image_name),
            account: name(infra.account),
            // A number, as ever, where it is one.
            job_id: attempt.job.as_ref().map(|job| job.parse::<u64>().map_or_else(|_| json!(job), Value::from)),
            run_id: attempt.run_id.clone(),
            run_url: attempt.run_url.clone(),
            dataset: row.pin.clone().and_then(|pin| RawValue::from_string(pin).ok()),
            dataset_url: row.pin.as_deref().and_then(dataset_url),
            selection,
            sweep: row.element.as_ref().map(|element| element.sweep.to_string()),
            sweep_index: row.element.as_ref().map(|element| element.place),
            parameters,
            cancel_requested: row.cancel_at.is_some(),
            created_at: time(row.created_at),
            changed_at: time(row.changed_at),
            attempt: self::attempt(attempt),
            config: RawValue::from_string(row.config).ok(),
        }
    }
}

/// Where the dataset of a task can be looked at, at the revision that it reads.
fn dataset_url(pin: &str) -> Option<String> {
    let pin: Pin = serde_json::from_str(pin).ok()?;
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let (dataset, revision) = (encoded(&pin.dataset), encoded(&pin.revision));
    Some(match &pin.split {
        None => format!("/splits?dataset={dataset}&revision={revision}"),
        Some((config, split)) => {
            let (config, split) = (encoded(config), encoded(split));
            format!("/rows?dataset={dataset}&config={config}&split={split}&revision={revision}")
        }
    })
}

/// A sweep, and where its tasks are.
pub(super) fn sweep(row: &SweepRow) -> Value {
    let tasks: u32 = row.states.iter().map(|(_, count)| count).sum();
    let counts: Map<String, Value> =
        row.states.iter().map(|(state, count)| (state.as_str().to_owned(), json!(count))).collect();
    json!({
        "id": row.id.to_string(),
        "owner": row.owner,
        "state": sweep_state(&row.states),
        "runner_location": row.cluster.as_str(),
        "experiment_name": row.experiment,
        "size": row.size,
        "max_parallel": row.max_parallel,
        "tasks": tasks,
        "ended": row.states.iter().filter(|(state, _)| state.is_final()).map(|(_, count)| count).sum::<u32>(),
        "states": counts,
        "dataset": row.pin.clone().and_then(|pin| RawValue::from_string(pin).ok()),
        "dataset_url": row.pin.as_deref().and_then(dataset_url),
        "created_at": time(row.created_at),
        "config": RawValue::from_string(row.config.clone()).ok(),
        "tasks_url": format!("/v1/tasks?sweep={}", row.id),
    })
}

/// The states of all tasks in one word.
fn sweep_state(states: &[(State, u32)]) -> &'static str {
    let any = |is: &dyn Fn(State) -> bool| states.iter().any(|(state, count)| *count > 0 && is(*state));
    match () {
        () if any(&|state| !state.is_final() && state != State::Queued) => "running",
        () if any(&|state| state == State::Queued) && any(&State::is_final) => "running",
        () if any(&|state| state == State::Queued) => "queued",
        () if any(&|state| !matches!(state, State::Succeeded | State::Cancelled)) => "failed",
        () if any(&|state| state == State::Cancelled) => "cancelled",
        () => "succeeded",
    }
}

/// An attempt.
pub(super) fn attempt(attempt: &AttemptRow) -> Value {
    json!({
        "number": attempt.number,
        "state": attempt.state.as_str(),
        "reason": attempt.reason,
        "tag": attempt.tag.as_str(),
        "job_id": attempt.job,
        "exit_code": attempt.exit_code,
        "signal": attempt.signal,
        "host": attempt.host,
        "run_id": attempt.run_id,
        "run_url": attempt.run_url,
        "submissions": attempt.submissions,
        "evidence": attempt.evidence,
        "created_at": time(attempt.created_at),
        "submitted_at": attempt.submitted_at.map(time),
        "started_at": attempt.started_at.map(time),
        "ended_at": attempt.ended_at.map(time),
        "observed_at": attempt.observed_at.map(time),
    })
}

/// Something that happened.
pub(super) fn event(event: &Event) -> Value {
    json!({
        "id": event.id,
        "attempt": event.attempt,
        "at": time(event.at),
        "actor": event.actor,
        "kind": event.kind,
        "detail": event.detail,
    })
}

/// A file that was sent.
pub(super) fn file(file: &TaskFile) -> Value {
    json!({
        "name": file.stored_name,
        "original_name": file.original_name,
        "size": file.size_bytes,
        "sha256": file.sha256,
    })
}
