//! The routes of tasks for `/openapi.json`.

use serde_json::{Map, Value, json};

/// What a route takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    Form,
    Json,
}

use Takes::{Form, Json, Nothing};

/// A route: method, path, what it does, what it takes.
const ROUTES: &[(&str, &str, &str, Takes)] = &[
    ("post", "/new_task", "Submits a task, as earlier task managers did; a list of one task.", Form),
    ("get", "/tasks", "Your tasks, the newest first; for admins all.", Nothing),
    ("get", "/task/{id}", "A list of one task.", Nothing),
    (
        "get",
        "/job_status/{job}",
        "Where a job is, in words; by the cluster's number or by the id of the task.",
        Nothing,
    ),
    ("get", "/users", "Yourself; for admins all users.", Nothing),
    ("get", "/users/{name}", "A user.", Nothing),
    ("post", "/v1/tasks", "Submits a task. With `Idempotency-Key` it may be repeated.", Form),
    ("get", "/v1/tasks", "A page of tasks: `state`, `experiment`, `dataset`, `sweep`, `limit`, `cursor`.", Nothing),
    ("post", "/v1/tasks/plan", "What the same request would submit. Nothing is stored.", Form),
    ("get", "/v1/tasks/{id}", "A task.", Nothing),
    ("get", "/v1/tasks/{id}/attempts", "Attempts at a task.", Nothing),
    ("get", "/v1/tasks/{id}/events", "What happened to a task, after the event `after`.", Nothing),
    ("get", "/v1/tasks/{id}/logs", "What an attempt printed: `stream`, `offset`, `generation`, `follow=sse`.", Nothing),
    ("get", "/v1/tasks/{id}/artifacts", "What an attempt left.", Nothing),
    ("get", "/v1/tasks/{id}/artifacts/{path}", "A file that an attempt left; ranges work.", Nothing),
    ("post", "/v1/tasks/{id}/cancel", "Cancels a task.", Nothing),
    ("post", "/v1/tasks/{id}/retry", "Tries a task again that has ended without success.", Nothing),
    (
        "get",
        "/v1/tasks/{id}/inputs/{sha256}",
        "A file of the dataset that a task reads; ranges work. Clusters fetch it by an address that is good for minutes.",
        Nothing,
    ),
    (
        "post",
        "/v1/tasks/tidy",
        "For admins: removes what nobody needs any more; with `dry_run=true` tells what would be removed.",
        Nothing,
    ),
    ("delete", "/v1/tasks/{id}", "Deletes a task that has ended, with all that it left.", Nothing),
    ("post", "/v1/sweeps", "Submits tasks that differ by parameters: `sweep` of the configuration tells which.", Form),
    ("get", "/v1/sweeps", "A page of sweeps: `limit`, `cursor`.", Nothing),
    ("get", "/v1/sweeps/{id}", "A sweep, and how many of its tasks are in each state.", Nothing),
    ("post", "/v1/sweeps/{id}/cancel", "Cancels all tasks of a sweep.", Nothing),
    ("post", "/v1/sweeps/{id}/retry", "Tries those tasks of a sweep again that have ended without success.", Nothing),
    (
        "post",
        "/selections",
        "Chooses rows of a split: `dataset`, `config`, `split`, and any of `revision`, `where`, `orderby`, `query`, \
         `mode`, `sample`. A task can be run on exactly these.",
        Json,
    ),
    ("get", "/selections/{id}", "A selection: how rows were chosen, how many, and the hash of their numbers.", Nothing),
    ("get", "/v1/clusters", "The clusters, and whether they answer.", Nothing),
];

/// The paths with their operations.
pub(crate) fn openapi() -> Map<String, Value> {
    let mut paths = Map::new();
    for (method, path, summary, takes) in ROUTES {
        let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let parameters: Vec<_> = names
            .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
            .collect();
        let problem = |description: &str| {
            let schema = json!({"type": "object", "required": ["status", "code", "detail"]});
            json!({"description": description, "content": {"application/problem+json": {"schema": schema}}})
        };
        let mut operation = json!({
            "summary": summary,
            "parameters": parameters,
            "security": [{"bearer": []}],
            "responses": {
                "200": {"description": "The answer."},
                "401": problem("A login is needed."),
                "404": problem("There is no such task, or it is somebody else's."),
                "422": problem("A mistake in the request; `errors` points at it."),
            },
        });
        if *takes == Json {
            let content = json!({"application/json": {"schema": {"type": "object"}}});
            operation["requestBody"] = json!({"required": true, "content": content});
        }
        if *takes == Form {
            let files = json!({"type": "array", "items": {"type": "string", "format": "binary"}});
            let schema = json!({"type": "object", "required": ["files"], "properties": {"files": files}});
            operation["requestBody"] =
                json!({"required": true, "content": {"multipart/form-data": {"schema": schema}}});
        }
        let path: &mut Value = paths.entry(*path).or_insert_with(|| json!({}));
        path[*method] = operation;
    }
    paths
}
