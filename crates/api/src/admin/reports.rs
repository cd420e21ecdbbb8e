//! What is stored: page by page for a step, all of a dataset, and sums.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use belvedere_domain::{DatasetName, StepName};
use belvedere_store::Report;
use serde_json::json;

use super::bodies::{self, BySteps, CacheReport, Job, StatusOfStep};
use crate::error::ApiError;
use crate::params::{Params, invalid};
use crate::public::serve;
use crate::state::ApiState;

/// Builders that are counted by name; the others are counted together.
const BUILDERS: [&str; 8] = ["parquet", "csv", "text", "imagefolder", "audiofolder", "json", "arrow", "webdataset"];

/// `/cache-reports/{step}` and `/cache-reports-with-content/{step}`.
pub(super) async fn page(
    step: StepName,
    with_content: bool,
    State(state): State<Arc<ApiState>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let max_age = state.settings.admin.max_age;
    let answer = page_of(&state, &step, with_content, &Params::parse(query.as_deref()), &headers).await;
    answer.map_err(|error| error.keep(max_age))
}

async fn page_of(
    state: &ApiState,
    step: &StepName,
    with_content: bool,
    params: &Params,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let settings = &state.settings.admin;
    let (limit, key) = if with_content {
        (settings.cache_reports_with_content_num_results, "cache_reports_with_content")
    } else {
        (settings.cache_reports_num_results, "cache_reports")
    };
    let after = params.get("cursor").map_or(Ok(0), read_cursor)?;
    let found = state.services.store.reports.artifacts(step, after, limit, with_content).await?;
    let is_full = found.len() >= limit as usize;
    let next = found.last().filter(|_| is_full).map_or_else(String::new, |last| write_cursor(last.id));
    let base_url = serve::base_url(state, headers);
    let content = |report: &Report| {
        let text = report.content.as_ref()?.as_str();
        Some(serve::with_urls(text, &state.services.settings.urls, &base_url, &report.revision))
    };
    let reports = found.iter().map(|report| CacheReport::of(report, content(report))).collect::<Result<Vec<_>, _>>()?;
    #[derive(serde::Serialize)]
    struct Page<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_reports: Option<&'a [CacheReport<'a>]>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_reports_with_content: Option<&'a [CacheReport<'a>]>,
        next_cursor: String,
    }
    let page = Page {
        cache_reports: (key == "cache_reports").then_some(&reports),
        cache_reports_with_content: (key == "cache_reports_with_content").then_some(&reports),
        next_cursor: next,
    };
    bodies::json(&page, settings.max_age)
}

/// The place after an artifact: its number, as 16 hexadecimal digits.
fn write_cursor(id: i64) -> String {
    format!("{id:016x}")
}

fn read_cursor(text: &str) -> Result<i64, ApiError> {
    let legal = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let id = legal.then(|| i64::from_str_radix(text, 16).ok()).flatten();
    id.ok_or_else(|| invalid("Parameter 'cursor' must be the 'next_cursor' of an earlier answer".to_owned()))
}

/// `/dataset-status`: everything stored and pending for a dataset. Unknown datasets have nothing.
pub(super) async fn dataset_status(
    State(state): State<Arc<ApiState>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let max_age = state.settings.admin.max_age;
    status_of(&state, &Params::parse(query.as_deref())).await.map_err(|error| error.keep(max_age))
}

async fn status_of(state: &ApiState, params: &Params) -> Result<Response, ApiError> {
    let dataset = dataset(params)?;
    let store = &state.services.store;
    let reports = store.reports.artifacts_of(&dataset).await?;
    let jobs = store.queue.pending(Some(&dataset)).await?;
    let steps = state.services.graph.steps();
    let mut body: BySteps<'_, StatusOfStep<'_>> =
        steps.iter().map(|step| (step.name, StatusOfStep::default())).collect();
    for report in &reports {
        if let Some(status) = body.get_mut(report.key.step.as_str()) {
            status.cached_responses.push(CacheReport::of(report, None)?);
        }
    }
    for job in &jobs {
        if let Some(status) = body.get_mut(job.key.step.as_str()) {
            status.jobs.push(Job::of(job));
        }
    }
    bodies::json(&body, state.settings.admin.max_age)
}

/// `/num-dataset-infos-by-builder-name`.
pub(super) async fn builders(State(state): State<Arc<ApiState>>) -> Result<Response, ApiError> {
    let max_age = state.settings.admin.max_age;
    let counts = state.services.store.reports.builders().await;
    let counts = counts.map_err(|error| ApiError::from(error).keep(max_age))?;
    let of = |name: Option<&str>| -> u64 {
        counts.iter().filter(|(builder, _)| builder.as_deref() == name).map(|(_, count)| count).sum()
    };
    let mut body = serde_json::Map::new();
    let mut other: u64 = counts.iter().map(|(_, count)| count).sum();
    for name in BUILDERS {
        let count = of(Some(name));
        other -= count;
        body.insert(name.to_owned(), count.into());
    }
    body.insert("other".to_owned(), other.into());
    bodies::json(&body, max_age)
}

/// `/admin/datasets`: every dataset with its two revisions, and how much is pending and wrong.
pub(super) async fn datasets(State(state): State<Arc<ApiState>>) -> Result<Response, ApiError> {
    let max_age = state.settings.admin.max_age;
    let rows = state.services.store.datasets.list().await.map_err(|error| ApiError::from(error).keep(max_age))?;
    let item = |row: &belvedere_store::DatasetRow| {
        json!({
            "dataset": row.name,
            "target_revision": row.target,
            "target_since": bodies::time(row.target_since),
            "served_revision": row.served,
            "pending_jobs": row.pending_jobs,
            "errors": row.errors,
        })
    };
    bodies::json(&json!({"datasets": rows.iter().map(item).collect::<Vec<_>>()}), max_age)
}

/// The dataset that a request is about.
pub(super) fn dataset(params: &Params) -> Result<DatasetName, ApiError> {
    DatasetName::new(params.required("dataset")?).map_err(|error| invalid(format!("Parameter 'dataset': {error}")))
}
