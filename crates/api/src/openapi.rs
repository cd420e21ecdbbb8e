//! `/openapi.json` and `/docs`, both made from the table of endpoints.

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use serde_json::{Value as JsonValue, json};
use std::sync::Arc;

use crate::params::DEFAULT_LENGTH;
use crate::public::views::ENDPOINTS;
use crate::public::{format, schema};
use crate::state::ApiState;

/// The document.
pub(crate) async fn get() -> Response {
    axum::Json(document()).into_response()
}

/// One endpoint as documentation needs it.
struct Entry {
    path: &'static str,
    summary: &'static str,
    /// Name, required, description.
    parameters: Vec<(&'static str, bool, &'static str)>,
    json: bool,
}

const DATASET: &str = "The dataset: namespace/name.";
const CONFIG: &str = "The config (subset).";
const SPLIT: &str = "The split.";
const LENGTH: &str = "Number of rows; 100 when absent, at most 10,000 (a setting). In other formats than JSON any number \
                      or <code>all</code>, which is also what comes when it is absent. <code>limit</code> is another name.";
const COLUMNS: &str = "Columns to give, in this order, with commas between them; may be repeated.";
const FORMAT: &str = "<code>json</code>, <code>ndjson</code>, <code>csv</code>, <code>arrow</code> (an IPC stream) or \
                      <code>parquet</code>; goes before what the header <code>Accept</code> asks for.";
const SELECTED: &str =
    "Describe only the rows that match this condition, as for <code>/filter</code>, in the bins of all.";
const QUERY: &str = "What to look for: words in any script. What is written without space between, or in double quotes, is \
                     looked for as it stands.";
const MODE: &str = "What a row must hold: <code>any</code> of the words, <code>all</code> of them, the words as a \
                    <code>phrase</code>, or the characters as a <code>substring</code>, even inside of words.";
const REVISION: &str = "A kept revision to read instead of the served one.";

fn entries() -> Vec<Entry> {
    let mut entries: Vec<Entry> = ENDPOINTS
        .iter()
        .map(|endpoint| {
            let required = |level: &[Option<&str>]| level.iter().all(Option::is_none);
            let mut parameters = vec![("dataset", true, DATASET)];
            if endpoint.config.is_some() || endpoint.split.is_some() {
                parameters.push(("config", required(&[endpoint.dataset]), CONFIG));
            }
            if endpoint.split.is_some() {
                parameters.push(("split", required(&[endpoint.dataset, endpoint.config]), SPLIT));
            }
            if endpoint.path == "/splits" {
                parameters.push((
                    "search",
                    false,
                    "List only splits whose name or whose config's name has this text, in any case.",
                ));
                parameters.push(("offset", false, "First of the splits listed, from 0."));
                parameters.push(("limit", false, "Number of splits listed; all when absent."));
            }
            if endpoint.path == "/statistics" {
                parameters.push(("where", false, SELECTED));
            }
            parameters.push(("revision", false, REVISION));
            Entry { path: endpoint.path, summary: endpoint.summary, parameters, json: true }
        })
        .collect();
    entries.push(Entry {
        path: "/rows",
        summary: "Rows of a split: a page, or as many as you like in other formats than JSON.",
        parameters: vec![
            ("dataset", true, DATASET),
            ("config", true, CONFIG),
            ("split", true, SPLIT),
            ("offset", false, "First row, from 0."),
            ("length", false, LENGTH),
            ("columns", false, COLUMNS),
            ("format", false, FORMAT),
            ("revision", false, REVISION),
        ],
        json: true,
    });
    entries.push(Entry {
        path: "/cell",
        summary: "The whole value of one cell: text as <code>text/plain</code>, media and bytes as they are stored, everything \
                  else as JSON; 204 for a null, a redirection for a file of the repository. <code>Range</code> gives a part.",
        parameters: vec![
            ("dataset", true, DATASET),
            ("config", true, CONFIG),
            ("split", true, SPLIT),
            ("row", true, "The row, from 0."),
            ("column", true, "The name of the column."),
            ("revision", false, REVISION),
        ],
        json: true,
    });
    entries.push(Entry {
        path: "/sample",
        summary: "Rows of a split chosen by a seed, each as likely as any other and none twice, with their numbers. The same \
                  seed gives the same rows of a revision, and more of them begin with fewer.",
        parameters: vec![
            ("dataset", true, DATASET),
            ("config", true, CONFIG),
            ("split", true, SPLIT),
            ("seed", false, "A whole number from 0, which is also what comes when it is absent."),
            ("n", false, "Number of rows; 100 when absent."),
            ("where", false, "Choose among the rows that match this condition, as for <code>/filter</code>."),
            ("columns", false, COLUMNS),
            ("format", false, FORMAT),
            ("revision", false, REVISION),
        ],
        json: true,
    });
    entries.push(Entry {
        path: "/schema",
        summary: "The columns of a config for other programs.",
        parameters: vec![
            ("dataset", true, DATASET),
            ("config", true, CONFIG),
            (
                "format",
                false,
                "<code>simple</code>: short names of types; <code>json-schema</code>: a JSON Schema of the rows (also by \
                 <code>Accept: application/schema+json</code>); <code>arrow</code>: the Arrow schema in its JSON form.",
            ),
            ("revision", false, REVISION),
        ],
        json: true,
    });
    entries.push(Entry {
        path: "/status",
        summary: "How far a dataset is: its steps and jobs, its place in the queue with the wait to expect, and what went wrong \
                  where. With <code>Accept: text/event-stream</code> as events, one at once and one after each change.",
        parameters: vec![("dataset", true, DATASET)],
        json: true,
    });
    entries.push(Entry {
        path: "/filter",
        summary: "The rows of a split that match a condition, in the order asked.",
        parameters: vec![
            ("dataset", true, DATASET),
            ("config", true, CONFIG),
            ("split", true, SPLIT),
            (
                "where",
                false,
                "The condition, as <code>\"age\" &gt; 30 AND \"name\" LIKE 'A%'</code>; all rows when absent.",
            ),
            (
                "orderby",
                false,
                "Keys of order, as <code>\"age\" DESC, \"name\"</code>; the order of the split when absent.",
            ),
            ("offset", false, "First of the matching rows, from 0."),
            ("length", false, LENGTH),
            ("columns", false, COLUMNS),
            ("format", false, FORMAT),
            ("revision", false, REVISION),
        ],
        json: true,
    });
    entries.push(Entry {
        path: "/search",
        summary: "Rows of a split that match a text, best first, with the places that matched.",
        parameters: vec![
            ("dataset", true, DATASET),
            ("config", true, CONFIG),
            ("split", true, SPLIT),
            ("query", true, QUERY),
            ("mode", false, MODE),
            ("offset", false, "First match, from 0."),
            ("length", false, LENGTH),
            ("columns", false, COLUMNS),
            ("format", false, FORMAT),
            ("revision", false, REVISION),
        ],
        json: true,
    });
    entries.push(Entry {
        path: "/compare",
        summary: "How a split differs from another one, or from itself at another revision: columns, rows, distributions, and \
                  rows that are in both. 202 with the progress while it takes its time.",
        parameters: vec![
            ("dataset", true, DATASET),
            ("config", true, CONFIG),
            ("split", true, SPLIT),
            ("revision", false, REVISION),
            ("with_dataset", false, "The dataset to compare with; the same when absent."),
            ("with_config", false, "The config to compare with; the same when absent."),
            ("with_split", false, "The split to compare with; the same when absent."),
            ("with_revision", false, "A kept revision of it instead of the served one."),
            ("key", false, "Columns that identify a row, with commas between them; without any a row is the same or another."),
            ("columns", false, "Columns whose values are looked for in both splits; all but the key when absent."),
        ],
        json: true,
    });
    let plain = |path, summary| Entry { path, summary, parameters: Vec::new(), json: false };
    entries.push(plain("/healthcheck", "The process answers."));
    entries.push(plain("/metrics", "Counters and gauges as Prometheus text."));
    entries
}

/// The OpenAPI document of this build.
pub(crate) fn document() -> JsonValue {
    let path = |entry: Entry| (entry.path.to_owned(), json!({"get": operation(&entry)}));
    let mut paths: serde_json::Map<String, JsonValue> = entries().into_iter().map(path).collect();
    paths.extend(crate::auth::openapi::paths());
    paths.insert("/sql".to_owned(), json!({"post": crate::public::sql::openapi()}));
    paths.insert("/sse/hub-cache".to_owned(), json!({"get": crate::sse::openapi()}));
    paths.insert("/webhook".to_owned(), json!({"post": crate::webhook::openapi()}));
    paths.extend(crate::tasks::openapi());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Belvedere",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Datasets of a folder, ready to be looked at: splits, rows, Parquet files, infos and sizes.",
        },
        "paths": paths,
        "components": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}, "schemas": {"Error": {
            "type": "object",
            "required": ["error"],
            "properties": {
                "error": {"type": "string"},
                "cause_exception": {"type": "string"},
                "cause_message": {"type": "string"},
                "cause_traceback": {"type": "array", "items": {"type": "string"}},
            },
        }}},
    })
}

fn operation(entry: &Entry) -> JsonValue {
    let parameter = |(name, required, description): &(&str, bool, &str)| {
        let schema = match *name {
            "offset" | "seed" => json!({"type": "integer", "minimum": 0, "default": 0}),
            "row" | "limit" => json!({"type": "integer", "minimum": 0}),
            "n" => json!({"type": "integer", "minimum": 0, "default": DEFAULT_LENGTH}),
            "length" => json!({
                "anyOf": [{"type": "integer", "minimum": 0}, {"const": "all"}],
                "default": DEFAULT_LENGTH,
            }),
            "mode" => json!({"type": "string", "enum": ["any", "all", "phrase", "substring"], "default": "any"}),
            "format" if entry.path == "/schema" => {
                json!({"type": "string", "enum": schema::names(), "default": schema::names()[0]})
            }
            "format" => json!({"type": "string", "enum": format::names(), "default": "json"}),
            _ => json!({"type": "string"}),
        };
        let description = plain(description);
        json!({"name": name, "in": "query", "required": required, "description": description, "schema": schema})
    };
    if !entry.json {
        return json!({"summary": entry.summary, "responses": {"200": {"description": "Text."}}});
    }
    let error = |description: &str| {
        json!({
            "description": description,
            "headers": {"X-Error-Code": {"schema": {"type": "string"}}},
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
        })
    };
    let has_formats = entry.parameters.iter().any(|(name, ..)| *name == "format");
    let media_types: Vec<&str> = match entry.path {
        "/cell" => vec!["text/plain", "application/json", "application/octet-stream", "image/*", "audio/*", "video/*"],
        "/schema" => vec!["application/json", "application/schema+json"],
        "/status" => vec!["application/json", "text/event-stream"],
        _ if has_formats => format::media_types().collect(),
        _ => vec!["application/json"],
    };
    let content: serde_json::Map<String, JsonValue> =
        media_types.into_iter().map(|name| (name.to_owned(), media_schema(name))).collect();
    json!({
        "summary": plain(entry.summary),
        "parameters": entry.parameters.iter().map(parameter).collect::<Vec<_>>(),
        "responses": {
            "200": {
                "description": "The answer.",
                "headers": {
                    "X-Revision": {"description": "Revision of the dataset that the answer describes.", "schema": {"type": "string"}},
                    "ETag": {"schema": {"type": "string"}},
                },
                "content": content,
            },
            "304": {"description": "The client holds this answer already."},
            "401": error("The dataset does not exist, or needs credentials."),
            "404": error("There is no such answer."),
            "422": error("A parameter is missing or has a bad value."),
            "500": error("Not ready yet (`ResponseNotReady`), or the stored error of the dataset."),
            "501": error("The dataset cannot be served as it is."),
        },
    })
}

/// A text that is made for the page for people.
fn plain(text: &str) -> String {
    text.replace("<code>", "`").replace("</code>", "`").replace("&gt;", ">")
}

fn media_schema(media_type: &str) -> JsonValue {
    match media_type {
        "application/json" => json!({"schema": {"type": "object"}}),
        _ => json!({}),
    }
}

/// The same for people, with links that work on the datasets at hand.
pub(crate) async fn docs(State(state): State<Arc<ApiState>>) -> Response {
    // An example for everybody: the page does not tell of other datasets.
    let rows = state.services.store.datasets.list().await.unwrap_or_default();
    let rows = crate::auth::reading::listed(&state, rows, &axum::http::HeaderMap::new()).await.unwrap_or_default();
    let example = rows.into_iter().next();
    let example = example.map_or_else(|| "namespace/name".to_owned(), |row| row.name.to_string());
    let item = |entry: Entry| {
        let parameters: String = entry
            .parameters
            .iter()
            .map(|(name, required, description)| {
                let need = if *required { "required" } else { "optional" };
                format!("<dt><code>{name}</code> <span class=\"muted\">{need}</span></dt><dd>{description}</dd>")
            })
            .collect();
        let value = |name: &str| match name {
            "dataset" => example.as_str(),
            "config" => "default",
            "split" => "train",
            _ => "word",
        };
        let required = entry.parameters.iter().filter(|(_, required, _)| *required);
        let query: Vec<String> = required.map(|(name, ..)| format!("{name}={}", value(name))).collect();
        let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&amp;")) };
        let path = entry.path;
        // Nobody knows here which columns the example has.
        let needs_column = entry.parameters.iter().any(|(name, required, _)| *name == "column" && *required);
        let is_off = ENDPOINTS.iter().any(|known| known.path == path && !known.is_on(&state.services.graph));
        let attempt = match needs_column {
            _ if is_off => "<p class=\"muted\">The operator of this server has not turned it on.</p>".to_owned(),
            true => String::new(),
            false => format!("<p>Try <a href=\"{path}{query}\"><code>{path}{query}</code></a></p>"),
        };
        format!(
            "<section><h2><code>GET {path}</code></h2><p>{}</p><dl>{parameters}</dl>{attempt}</section>",
            entry.summary
        )
    };
    let sections: String = entries().into_iter().map(item).collect();
    let style = "
:root { color-scheme: light dark; --line: #8884; --muted: #777; --link: #0b57d0; }
@media (prefers-color-scheme: dark) { :root { --muted: #aaa; --link: #8ab4f8; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 48rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-bottom: .2rem; } section { border-top: 1px solid var(--line); }
dd { margin: 0 0 .3rem 1.5rem; } .muted { color: var(--muted); } a { color: var(--link); overflow-wrap: anywhere; }";
    let mut response = Html(format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>Belvedere: endpoints</title>\
         <style>{style}</style></head><body><p><a href=\"/\">Datasets</a></p><h1>Endpoints</h1>\
         <p>Answers are JSON unless another format of rows is asked for. Errors carry their code in <code>X-Error-Code</code>; \
         <code>ResponseNotReady</code> means: ask again in a moment. <code>X-Revision</code> names the revision that an \
         answer describes. The same in machine-readable form: <a href=\"/openapi.json\">openapi.json</a>.</p>\
         {sections}</body></html>"
    ))
    .into_response();
    let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response
}
