//! `/admin/openapi.json`: the routes of the admin service, by the names that are not kept for older scripts only.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value as Json, json};

use crate::state::ApiState;

/// One route.
struct Entry {
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    parameters: &'static [Parameter],
    answer: Answer,
}

/// Name, whether it is required, and what it is. All are in the query but those that the path names.
type Parameter = (&'static str, bool, &'static str);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Json,
    Text,
}

const DATASET: Parameter = ("dataset", true, "The dataset: namespace/name.");
const PRIORITY: Parameter = ("priority", false, "`low`, `normal` or `high`.");
const CURSOR: Parameter = ("cursor", false, "What the page before told as `next_cursor`.");
const STEP: Parameter = ("step", true, "A step; `splits`, `first-rows` and `parquet` are short for three of them.");
const DRY_RUN: Parameter = ("dry_run", false, "`true`: tell what would be done, and do nothing.");

const ENTRIES: &[Entry] = &[
    get("/admin/pending-jobs", "For every step its waiting and started jobs.", &[]),
    get(
        "/admin/jobs",
        "The last runs of jobs, newest first: how each ended, why, at what cost, and the command that computes it again.",
        &[("dataset", false, "Those of one dataset.")],
    ),
    get(
        "/admin/jobs/{id}",
        "One job, be it waiting, running or ended, with its runs: cause, input file, peak memory, bytes read, and the command \
         that computes it again on another machine.",
        &[("id", true, "The number of the job.")],
    ),
    get("/admin/gate", "Whether this machine has room for jobs, and the reason if not.", &[]),
    get("/admin/blocked-datasets", "Datasets that rest because of their rate limit.", &[]),
    get("/admin/datasets", "Every dataset: revisions, pending jobs, errors.", &[]),
    get("/admin/dataset-status", "For every step what is stored and pending of a dataset.", &[DATASET]),
    get(
        "/admin/num-dataset-infos-by-builder-name",
        "Number of datasets by the builder of their config `default`.",
        &[],
    ),
    get(
        "/admin/cache-reports/{step}",
        "What is stored for a step, a page at a time, without content.",
        &[STEP, CURSOR],
    ),
    get("/admin/cache-reports-with-content/{step}", "The same with content.", &[STEP, CURSOR]),
    get("/admin/dataset-backfill-plan", "What a backfill of a dataset would queue and drop.", &[DATASET]),
    post("/admin/dataset-backfill", "Queues what is missing or stale of a dataset.", &[DATASET, PRIORITY]),
    post(
        "/admin/force-refresh/{step}",
        "Computes one result again, whatever is stored.",
        &[
            STEP,
            DATASET,
            ("config", false, "The config, where the step needs one."),
            ("split", false, "The split, where the step needs one."),
            PRIORITY,
            ("difficulty", false, "0 to 100; that of the step when it is absent."),
        ],
    ),
    post(
        "/admin/recreate-dataset",
        "Deletes what is stored for a dataset and computes all again.",
        &[DATASET, PRIORITY],
    ),
    post("/admin/cancel-jobs/{step}", "Puts the started jobs of a step back to wait.", &[STEP, DRY_RUN]),
    post("/admin/unblock-dataset", "Ends the rest of a dataset.", &[DATASET]),
    post(
        "/admin/clean",
        "Removes what steps of other versions left behind, and files that belong to no result.",
        &[DRY_RUN],
    ),
    Entry { answer: Answer::Text, ..get("/admin/healthcheck", "The process answers. Needs no rights.", &[]) },
    Entry {
        answer: Answer::Text,
        ..get("/admin/metrics", "Counters and gauges as Prometheus text. Needs no rights.", &[])
    },
];

const fn get(path: &'static str, summary: &'static str, parameters: &'static [Parameter]) -> Entry {
    Entry { method: "get", path, summary, parameters, answer: Answer::Json }
}

const fn post(path: &'static str, summary: &'static str, parameters: &'static [Parameter]) -> Entry {
    Entry { method: "post", path, summary, parameters, answer: Answer::Json }
}

/// The document.
pub(super) async fn document(State(state): State<Arc<ApiState>>) -> Response {
    let mut steps: Vec<String> = super::steps::names(&state.services.graph).into_iter().map(|(name, _)| name).collect();
    steps.sort_unstable();
    let mut paths = Map::new();
    for entry in ENTRIES {
        paths.insert(entry.path.to_owned(), json!({entry.method: operation(entry, &steps)}));
    }
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Belvedere: admin service",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What is stored, what is to be done and what went wrong; and the few actions of operators.",
        },
        "security": [{}, {"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {
                "type": "http",
                "scheme": "bearer",
                "description": "A token of an operator. Needed unless the service answers to its own machine only.",
            }},
            "schemas": {"Error": {
                "type": "object",
                "required": ["error"],
                "properties": {"error": {"type": "string"}},
            }},
        },
    });
    axum::Json(document).into_response()
}

fn operation(entry: &Entry, steps: &[String]) -> Json {
    let parameter = |(name, required, description): &Parameter| {
        let place = if entry.path.contains(&format!("{{{name}}}")) { "path" } else { "query" };
        let schema = match *name {
            "step" => json!({"type": "string", "enum": steps}),
            "priority" => json!({"type": "string", "enum": ["low", "normal", "high"], "default": "low"}),
            "difficulty" => json!({"type": "integer", "minimum": 0, "maximum": 100}),
            "dry_run" => json!({"type": "boolean", "default": false}),
            "id" => json!({"type": "integer"}),
            _ => json!({"type": "string"}),
        };
        json!({"name": name, "in": place, "required": required, "description": description, "schema": schema})
    };
    let error = |description: &str| {
        json!({
            "description": description,
            "headers": {"X-Error-Code": {"schema": {"type": "string"}}},
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
        })
    };
    match entry.answer {
        Answer::Text => json!({
            "summary": entry.summary,
            "security": [],
            "responses": {"200": {"description": "Text.", "content": {"text/plain": {}}}},
        }),
        Answer::Json => json!({
            "summary": entry.summary,
            "parameters": entry.parameters.iter().map(parameter).collect::<Vec<_>>(),
            "responses": {
                "200": {"description": "The answer.", "content": {"application/json": {"schema": {"type": "object"}}}},
                "401": error("The caller is unknown."),
                "404": error("The caller has no rights, or there is no such thing."),
                "422": error("A parameter is missing or has a bad value."),
                "501": error("The dataset is not to be shown, or the step is not in this program."),
                "503": error("The database is away."),
            },
        }),
    }
}
