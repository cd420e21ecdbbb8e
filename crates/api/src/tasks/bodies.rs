//! Tasks as clients see them.

use belvedere_domain::Timestamp;
use belvedere_domain::task::TaskConfig;
use belvedere_store::tasks::{AttemptRow, Event, TaskFile, TaskRow};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

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
    cancel_requested: bool,
    created_at: String,
    changed_at: String,
    attempt: Value,
    config: Option<Box<RawValue>>,
}

impl Task {
    pub(super) fn of(row: TaskRow) -> Self {
        let config = TaskConfig::parse(row.config.as_bytes()).ok();
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
            cancel_requested: row.cancel_at.is_some(),
            created_at: time(row.created_at),
            changed_at: time(row.changed_at),
            attempt: self::attempt(attempt),
            config: RawValue::from_string(row.config).ok(),
        }
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
