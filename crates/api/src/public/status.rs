//! `/status`: how far a dataset is: its steps, its place in the queue, and what went wrong where; once, or as events whenever
//! it changes.

mod estimate;
mod stream;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use belvedere_domain::job::{JobRecord, JobStatus};
use belvedere_domain::{ConfigName, DatasetName, ErrorCode, Revision, SplitName, StepName, Timestamp};
use belvedere_store::{DatasetRow, Report};
use serde::{Deserialize, Serialize};

use super::index::state_of;
use crate::auth::reading;
use crate::error::ApiError;
use crate::params::Params;
use crate::state::ApiState;
use estimate::Pace;

/// Jobs and errors that are listed; beyond them there are numbers.
const LISTED: usize = 100;
/// Jobs ahead that are counted.
const COUNTED: u32 = 100_000;

/// The answer.
#[derive(Serialize, PartialEq)]
struct Status {
    dataset: DatasetName,
    /// `new`: nobody has planned it yet; else as on the list of datasets.
    state: &'static str,
    /// The revision that jobs work towards.
    target_revision: Option<Revision>,
    target_since: Option<String>,
    /// The revision that readers see.
    served_revision: Option<Revision>,
    /// Share of the known work that is done, from 0 to 1. It may fall when a step finds more to do.
    progress: f64,
    waiting_jobs: usize,
    running_jobs: usize,
    /// The first waiting job; none when nothing waits.
    queue: Option<Queue>,
    steps: Vec<StepStatus>,
    /// Running ones first, then those that wait, oldest first.
    jobs: Vec<Job>,
    jobs_left_off: usize,
    /// Where something went wrong by itself. What failed because of it is counted there.
    errors: Vec<Failure>,
    errors_left_off: usize,
}

#[derive(Serialize, PartialEq)]
struct Queue {
    /// 1: it is the next one.
    position: u64,
    /// Seconds until it begins, and until all that waits is done, if jobs go on as the last ones did.
    expected_wait_seconds: Option<f64>,
    expected_seconds: Option<f64>,
}

#[derive(Serialize, PartialEq, Default)]
struct StepStatus {
    step: &'static str,
    done: usize,
    failed: usize,
    waiting: usize,
    running: usize,
}

#[derive(Serialize, PartialEq)]
struct Job {
    step: StepName,
    config: Option<ConfigName>,
    split: Option<SplitName>,
    status: JobStatus,
    attempt: u32,
    created_at: String,
    started_at: Option<String>,
}

#[derive(Serialize, PartialEq)]
struct Failure {
    step: StepName,
    config: Option<ConfigName>,
    split: Option<SplitName>,
    code: String,
    meaning: Option<&'static str>,
    message: String,
    /// Only for codes whose cause is for everybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
    since: String,
    /// Answers that are missing because of this one.
    affected: usize,
}

/// What the details of a stored error tell.
#[derive(Deserialize)]
struct Details {
    error: String,
    cause_message: Option<String>,
    copied_from_artifact: Option<Origin>,
}

/// Where a copied error comes from.
#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord, Clone)]
struct Origin {
    kind: String,
    config: Option<String>,
    split: Option<String>,
}

/// The handler.
pub(crate) async fn get(
    State(state): State<Arc<ApiState>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let short = state.settings.max_age_short;
    answer(&state, &Params::parse(query.as_deref()), headers).await.map_err(|error| error.keep(short))
}

async fn answer(state: &Arc<ApiState>, params: &Params, headers: HeaderMap) -> Result<Response, ApiError> {
    let name = params.required("dataset")?;
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let dataset = reading::readable(state, name, &headers).await?;
    let mut response = if accept.contains("text/event-stream") {
        stream::follow(Arc::clone(state), dataset, headers).await?
    } else {
        axum::Json(look(state, &dataset).await?).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    Ok(response)
}

/// How far a dataset is now.
async fn look(state: &ApiState, dataset: &DatasetName) -> Result<Status, ApiError> {
    let store = &state.services.store;
    // In this order: what ends meanwhile is seen as pending, rather than as lost.
    let jobs = store.queue.pending(Some(dataset)).await?;
    let reports = store.reports.artifacts_of(dataset).await?;
    let row = store.datasets.get(dataset).await?;
    let next = jobs.iter().filter(|job| job.status == JobStatus::Waiting);
    let next = next.min_by_key(|job| (std::cmp::Reverse(job.priority), job.id));
    let queue = match next {
        Some(next) => {
            let ahead = store.reports.jobs_ahead(next, COUNTED).await?;
            let pace = Pace::of(&store.history.last_runs(None, estimate::RUNS).await?);
            let expected_seconds = pace.seconds_of(&jobs).map(|own| own + pace.wait(ahead).unwrap_or_default());
            Some(Queue { position: ahead + 1, expected_wait_seconds: pace.wait(ahead), expected_seconds })
        }
        None => None,
    };
    Ok(Status::of(state, dataset, row, &jobs, &reports, queue))
}

impl Status {
    fn of(
        state: &ApiState,
        dataset: &DatasetName,
        row: Option<DatasetRow>,
        jobs: &[JobRecord],
        reports: &[Report],
        queue: Option<Queue>,
    ) -> Self {
        let reports: Vec<&Report> =
            reports.iter().filter(|report| row.as_ref().is_some_and(|row| row.target == report.revision)).collect();
        let (errors, errors_left_off) = failures(&reports);
        let steps = steps(state, jobs, &reports);
        let sum = |part: fn(&StepStatus) -> usize| steps.iter().map(part).sum::<usize>();
        let (waiting_jobs, running_jobs) = (sum(|step| step.waiting), sum(|step| step.running));
        let ended = sum(|step| step.done + step.failed);
        let progress = match ended + waiting_jobs + running_jobs {
            0 => 0.0,
            all => (ended as f64 / all as f64 * 1e3).floor() / 1e3,
        };
        let mut listed: Vec<&JobRecord> = jobs.iter().collect();
        listed.sort_by_key(|job| (job.status == JobStatus::Waiting, std::cmp::Reverse(job.priority), job.id));
        Self {
            dataset: dataset.clone(),
            state: match &row {
                Some(row) => state_of(&DatasetRow { errors: errors.len() as u64, ..row.clone() }),
                None => "new",
            },
            target_revision: row.as_ref().map(|row| row.target.clone()),
            target_since: row.as_ref().map(|row| time(row.target_since)),
            served_revision: row.and_then(|row| row.served),
            progress,
            waiting_jobs,
            running_jobs,
            queue,
            steps,
            jobs: listed.iter().take(LISTED).map(|job| Job::of(job)).collect(),
            jobs_left_off: listed.len().saturating_sub(LISTED),
            errors,
            errors_left_off,
        }
    }
}

/// In the order of the graph, those that have anything stored or pending.
fn steps(state: &ApiState, jobs: &[JobRecord], reports: &[&Report]) -> Vec<StepStatus> {
    let mut by_name: BTreeMap<&str, StepStatus> = BTreeMap::new();
    for report in reports {
        let step = by_name.entry(report.key.step.as_str()).or_default();
        if report.error_code.is_none() { step.done += 1 } else { step.failed += 1 }
    }
    for job in jobs {
        let step = by_name.entry(job.key.step.as_str()).or_default();
        match job.status {
            JobStatus::Waiting => step.waiting += 1,
            JobStatus::Started => step.running += 1,
        }
    }
    let graph = state.services.graph.steps().iter();
    graph.filter_map(|step| by_name.remove(step.name).map(|found| StepStatus { step: step.name, ..found })).collect()
}

/// Errors that are no copies, with the number of copies of each; and how many are left off.
fn failures(reports: &[&Report]) -> (Vec<Failure>, usize) {
    let has = |step: &str| reports.iter().any(|report| report.key.step.as_str() == step && report.error_code.is_none());
    // The first job leaves a long list of configs to the next one, and stores that as an error; no answer lacks anything.
    let gave_way = |report: &Report| {
        report.key.step.as_str() == "dataset-init"
            && report.error_code.as_deref() == Some(ErrorCode::DatasetWithTooManyConfigsError.as_str())
            && has("dataset-config-names")
    };
    let failed = reports.iter().filter(|report| report.error_code.is_some() && !gave_way(report));
    let mut origins: BTreeMap<Origin, Origin> = BTreeMap::new();
    let mut originals = Vec::new();
    for report in failed {
        let details: Option<Details> = report.details.parse().ok();
        match details.as_ref().and_then(|details| details.copied_from_artifact.clone()) {
            Some(origin) => drop(origins.insert(Origin::of(report), origin)),
            None => originals.push((*report, details)),
        }
    }
    let mut copies: BTreeMap<&Origin, usize> = BTreeMap::new();
    for copy in origins.keys() {
        // A copy of a copy; the graph has no circles, and what is stored may be anything.
        let first = (0..=origins.len()).try_fold(copy, |at, _| origins.get(at).ok_or(at)).err();
        *copies.entry(first.unwrap_or(copy)).or_default() += 1;
    }
    let failure = |(report, details): &(&Report, Option<Details>)| {
        let code = report.error_code.clone().unwrap_or_default();
        let known = ErrorCode::ALL.iter().find(|known| known.as_str() == code);
        let cause = details.as_ref().and_then(|details| details.cause_message.clone());
        Failure {
            step: report.key.step.clone(),
            config: report.key.config.clone(),
            split: report.key.split.clone(),
            meaning: known.map(|known| known.meaning()),
            code,
            message: details.as_ref().map_or_else(String::new, |details| details.error.clone()),
            cause: cause.filter(|_| known.is_some_and(|known| known.discloses_cause())),
            since: time(report.updated_at),
            affected: copies.get(&Origin::of(report)).copied().unwrap_or_default(),
        }
    };
    let left_off = originals.len().saturating_sub(LISTED);
    (originals.iter().take(LISTED).map(failure).collect(), left_off)
}

impl Origin {
    fn of(report: &Report) -> Self {
        Self {
            kind: report.key.step.as_str().to_owned(),
            config: report.key.config.as_ref().map(|config| config.as_str().to_owned()),
            split: report.key.split.as_ref().map(|split| split.as_str().to_owned()),
        }
    }
}

impl Job {
    fn of(job: &JobRecord) -> Self {
        Self {
            step: job.key.step.clone(),
            config: job.key.config.clone(),
            split: job.key.split.clone(),
            status: job.status,
            attempt: job.attempt,
            created_at: time(job.created_at),
            started_at: job.started_at.map(time),
        }
    }
}

fn time(at: Timestamp) -> String {
    format!("{at}Z")
}
