//! `/`: the datasets with their state, and links to their answers. Plain HTML, or JSON for programs.

use std::fmt::Write;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use belvedere_domain::{ArtifactKey, ErrorCode, StepName};
use belvedere_jobs::content::{DatasetSplitNames, SplitItem};
use belvedere_jobs::job::ok_content;
use belvedere_store::DatasetRow;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use crate::auth::reading;
use crate::error::ApiError;
use crate::state::ApiState;

pub(crate) async fn get(State(state): State<Arc<ApiState>>, headers: HeaderMap) -> Result<Response, ApiError> {
    let rows = state.services.store.datasets.list().await?;
    let mut rows = reading::listed(&state, rows, &headers).await?;
    for row in rows.iter_mut().filter(|row| row.errors > 0) {
        row.errors -= u64::from(init_gave_way(&state, row).await?);
    }
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut response = if accept.contains("application/json") {
        let items = rows.iter().map(|row| item(row, state.tasks.is_some()));
        axum::Json(json!({"datasets": items.collect::<Vec<_>>()})).into_response()
    } else {
        Html(page(&listed(&state, rows).await?, state.tasks.is_some())).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}

/// True where the first job left a long list of configs to the next one: it stores that as an error, but no answer
/// lacks anything.
async fn init_gave_way(state: &ApiState, row: &DatasetRow) -> Result<bool, ApiError> {
    let keys = ["dataset-init", "dataset-config-names"]
        .map(|step| ArtifactKey::dataset(StepName::known(step), row.name.clone()));
    let found = state.services.store.views.at_revision(&keys, &row.target).await?;
    let code = |index: usize| found[index].as_ref().map(|found| found.stored.view.outcome.code());
    let gave_way = code(0).flatten() == Some(ErrorCode::DatasetWithTooManyConfigsError.as_str());
    Ok(gave_way && code(1).is_some_and(|code| code.is_none()))
}

/// Datasets whose splits are listed on the page, and splits listed of each.
const WITH_SPLITS: usize = 100;
const SPLITS_SHOWN: usize = 12;

/// A row of the page.
struct Listed {
    row: DatasetRow,
    splits: Vec<SplitItem>,
}

async fn listed(state: &ApiState, rows: Vec<DatasetRow>) -> Result<Vec<Listed>, ApiError> {
    let mut all = Vec::with_capacity(rows.len());
    for (index, row) in rows.into_iter().enumerate() {
        let mut splits = Vec::new();
        if index < WITH_SPLITS {
            let key = ArtifactKey::dataset(StepName::known("dataset-split-names"), row.name.clone());
            let found = state.services.store.views.read(&key, None, state.settings.patience_seconds).await?;
            splits = ok_content::<DatasetSplitNames>(found.as_ref()).map(|names| names.splits).unwrap_or_default();
        }
        all.push(Listed { row, splits });
    }
    Ok(all)
}

/// How far a dataset is.
pub(crate) fn state_of(row: &DatasetRow) -> &'static str {
    match (row.pending_jobs > 0, &row.served, row.errors > 0) {
        (true, None, _) => "preparing",
        (true, Some(served), _) if *served != row.target => "updating",
        (true, Some(_), _) => "completing",
        (false, _, true) => "with errors",
        (false, ..) => "ready",
    }
}

/// Where the tasks that read a dataset are listed, for who may see them.
fn tasks_url(row: &DatasetRow) -> String {
    format!("/v1/tasks?dataset={}", utf8_percent_encode(row.name.as_str(), NON_ALPHANUMERIC))
}

fn item(row: &DatasetRow, with_tasks: bool) -> serde_json::Value {
    let mut item = json!({
        "dataset": row.name,
        "state": state_of(row),
        "revision": row.served.as_ref().unwrap_or(&row.target),
        "pending_jobs": row.pending_jobs,
        "errors": row.errors,
    });
    if with_tasks {
        item["tasks_url"] = tasks_url(row).into();
    }
    item
}

const STYLE: &str = "
:root { color-scheme: light dark; --line: #8884; --muted: #777; --link: #0b57d0; }
@media (prefers-color-scheme: dark) { :root { --muted: #aaa; --link: #8ab4f8; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } a { color: var(--link); } a:focus-visible { outline: 2px solid; outline-offset: 2px; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; } td.links a { margin-right: .7rem; white-space: nowrap; }
td.links div a { margin: 0 0 0 .5rem; }
.muted { color: var(--muted); } .state { white-space: nowrap; }
.dot { display: inline-block; width: .6em; height: .6em; border-radius: 50%; margin-right: .4em; background: #2e9e4f; }
.dot.busy { background: #d9a200; } .dot.bad { background: #c9372c; } code { font-size: .95em; }
";

fn page(rows: &[Listed], with_tasks: bool) -> String {
    let busy = rows.iter().any(|listed| listed.row.pending_jobs > 0);
    // The page needs no script: while something is being prepared it asks again by itself.
    let refresh = if busy { "<meta http-equiv=\"refresh\" content=\"2\">" } else { "" };
    let body = if rows.is_empty() {
        "<p>No dataset was found yet. Each folder below the one that is served becomes a dataset as soon as it holds \
         csv, json, Parquet, Arrow or text files; this page shows it after a reload.</p>"
            .to_owned()
    } else {
        let rows: String = rows.iter().map(|listed| table_row(listed, with_tasks)).collect();
        format!(
            "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">Dataset</th><th scope=\"col\">State</th>\
             <th scope=\"col\">Answers</th></tr></thead><tbody>{rows}</tbody></table></div>"
        )
    };
    let count = match rows.len() {
        1 => "1 dataset".to_owned(),
        count => format!("{count} datasets"),
    };
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">{refresh}<title>Belvedere</title>\
         <style>{STYLE}</style></head><body><h1>Belvedere <span class=\"muted\">{count}</span></h1>{body}\
         <p class=\"muted\"><a href=\"/docs\">All endpoints</a> · <a href=\"/openapi.json\">OpenAPI</a> · \
         <a href=\"/metrics\">Metrics</a></p></body></html>"
    )
}

fn table_row(Listed { row, splits }: &Listed, with_tasks: bool) -> String {
    let name = row.name.as_str();
    let encoded = utf8_percent_encode(name, NON_ALPHANUMERIC).to_string();
    let state = state_of(row);
    let dot = match state {
        "ready" => "",
        "with errors" => " bad",
        _ => " busy",
    };
    let mut note = String::new();
    for (count, one, many) in [(row.pending_jobs, "job to do", "jobs to do"), (row.errors, "error", "errors")] {
        if count > 0 {
            let word = if count == 1 { one } else { many };
            write!(note, " <span class=\"muted\">{count} {word}</span>").expect("writing to a string cannot fail");
        }
    }
    let link = |path: &str| format!("<a href=\"/{path}?dataset={encoded}\">{path}</a>");
    let tasks = if with_tasks { format!("<a href=\"{}\">tasks</a>", tasks_url(row)) } else { String::new() };
    let links: String = ["splits", "parquet", "info", "size", "is-valid"].iter().map(|path| link(path)).collect();
    let shown: String = splits.iter().take(SPLITS_SHOWN).map(split_line).collect();
    let more = match splits.len().saturating_sub(SPLITS_SHOWN) {
        0 => String::new(),
        more => format!("<div class=\"muted\">and {more} more</div>"),
    };
    // Names of datasets hold only letters, digits, `-`, `_`, `.` and `/`: nothing to escape.
    format!(
        "<tr><th scope=\"row\">{name}</th><td class=\"state\"><span class=\"dot{dot}\"></span>{state}{note}</td>\
         <td class=\"links\">{links}{tasks}{shown}{more}</td></tr>"
    )
}

fn split_line(item: &SplitItem) -> String {
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let (config, split) = (item.config.as_str(), item.split.as_str());
    let query =
        format!("dataset={}&amp;config={}&amp;split={}", encode(item.dataset.as_str()), encode(config), encode(split));
    format!(
        "<div>{} / {} <a href=\"/first-rows?{query}\">first rows</a><a href=\"/rows?{query}\">rows</a></div>",
        escape(config),
        escape(split)
    )
}

/// Text that cannot be taken for markup.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}
