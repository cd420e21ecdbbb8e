//! The routes of tasks for `/openapi.json`.

use serde_json::{Map, Value, json};

/// A route: method, path, what it does, whether it takes a form.
const ROUTES: &[(&str, &str, &str, bool)] = &[
    ("post", "/new_task", "Submits a task, as earlier task managers did; a list of one task.", true),
    ("get", "/tasks", "Your tasks, the newest first; for admins all.", false),
    ("get", "/task/{id}", "A list of one task.", false),
    ("get", "/job_status/{job}", "Where a job is, in words; by the cluster's number or by the id of the task.", false),
    ("get", "/users", "Yourself; for admins all users.", false),
    ("get", "/users/{name}", "A user.", false),
    ("post", "/v1/tasks", "Submits a task. With `Idempotency-Key` it may be repeated.", true),
    ("get", "/v1/tasks", "A page of tasks: `state`, `experiment`, `limit`, `cursor`.", false),
    ("post", "/v1/tasks/plan", "What the same request would submit. Nothing is stored.", true),
    ("get", "/v1/tasks/{id}", "A task.", false),
    ("get", "/v1/tasks/{id}/attempts", "Attempts at a task.", false),
    ("get", "/v1/tasks/{id}/events", "What happened to a task, after the event `after`.", false),
    ("get", "/v1/tasks/{id}/logs", "What an attempt printed: `stream`, `offset`, `generation`, `follow=sse`.", false),
    ("get", "/v1/tasks/{id}/artifacts", "What an attempt left.", false),
    ("get", "/v1/tasks/{id}/artifacts/{path}", "A file that an attempt left; ranges work.", false),
    ("post", "/v1/tasks/{id}/cancel", "Cancels a task.", false),
    ("post", "/v1/tasks/{id}/retry", "Tries a task again that has ended without success.", false),
    ("get", "/v1/clusters", "The clusters, and whether they answer.", false),
];

/// The paths with their operations.
pub(crate) fn openapi() -> Map<String, Value> {
    let mut paths = Map::new();
    for (method, path, summary, takes_form) in ROUTES {
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
        if *takes_form {
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
