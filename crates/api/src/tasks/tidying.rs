//! `/v1/tasks/tidy`: what the monitor does by itself now and then, at once and told about; and what it never does by
//! itself: removing folders on clusters of which the store knows nothing.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use belvedere_domain::ErrorCode;
use belvedere_domain::task::AttemptTag;
use belvedere_store::tasks::Deleted;
use serde_json::{Value, json};

use super::caller::Caller;
use super::problem::Problem;
use super::shared::{fresh, service};
use crate::params::Params;
use crate::state::ApiState;

/// Tasks that one request deletes, at most.
const AT_A_TIME: u32 = 1000;

/// `POST /v1/tasks/tidy`.
pub(super) async fn post(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    if !caller.is_admin {
        return Err(Problem::new(
            ErrorCode::NotPermitted,
            "Only an admin may tidy up; delete your own tasks one by one.",
        ));
    }
    let params = Params::parse(query.as_deref());
    let flag = |name: &str| match params.get(name) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Problem::at("", format!("the parameter `{name}` must be true or false"))),
    };
    let (is_dry, with_orphans) = (flag("dry_run")?, flag("orphans")?);
    let older =
        params.get("older_seconds").map(|text| text.parse::<f64>().ok().filter(|it| it.is_finite() && *it >= 0.0));
    let older = match older {
        None => None,
        Some(Some(seconds)) => Some(seconds),
        Some(None) => return Err(Problem::at("", "the parameter `older_seconds` must be a number of seconds")),
    };
    let mut body = json!({"dry_run": is_dry, "tasks": [], "orphans": {}});
    if let Some(seconds) = older {
        body["tasks"] = tasks(&state, seconds, is_dry).await?;
    }
    if with_orphans {
        body["orphans"] = orphans(&state, is_dry).await?;
    }
    if is_dry {
        return Ok(fresh(Json(body)));
    }
    tracing::info!(user.name = %caller.name, "tasks are tidied up");
    if let Some(monitor) = &service(&state).monitor {
        for member in service(&state).catalog.members() {
            let tidied = monitor.tidy(member).await?;
            body["folders"][member.name.as_str()] = json!(texts(&tidied.folders));
        }
    }
    Ok(fresh(Json(body)))
}

async fn tasks(state: &ApiState, ended_seconds: f64, is_dry: bool) -> Result<Value, Problem> {
    let store = &state.services.store.tasks;
    let mut told = Vec::new();
    for row in store.old(None, ended_seconds, AT_A_TIME).await? {
        if !is_dry {
            match store.delete(row.id, None).await? {
                Deleted::Gone(folders) => service(state).inbox.remove(&folders).await,
                // Somebody was quicker.
                Deleted::Unknown | Deleted::Refused(_) => continue,
            }
        }
        told.push(row.id.to_string());
    }
    Ok(json!(told))
}

/// Folders on clusters that no task has, by cluster; or why they are not known.
async fn orphans(state: &ApiState, is_dry: bool) -> Result<Value, Problem> {
    let mut told = json!({});
    let Some(monitor) = &service(state).monitor else { return Ok(told) };
    for member in service(state).catalog.members() {
        told[member.name.as_str()] = match monitor.orphans(member, !is_dry).await? {
            Ok(tags) => json!(texts(&tags)),
            Err(error) => json!({"error": error.to_string()}),
        };
    }
    Ok(told)
}

fn texts(tags: &[AttemptTag]) -> Vec<&str> {
    tags.iter().map(AttemptTag::as_str).collect()
}
