//! `/selections`: rows of a split that somebody chooses, to run tasks on exactly these.
//!
//! The row numbers are found once and stored with the revision; whoever asks the same question about the same revision gets
//! the same selection.

use std::collections::HashSet;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use belvedere_domain::{ConfigName, DatasetName, ErrorCode, Revision, SplitName, Timestamp};
use belvedere_engine::call::QueryText;
use belvedere_engine::search::Mode;
use belvedere_store::tasks::NewSelection;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::caller::Caller;
use super::problem::Problem;
use super::shared::{fresh, readable};
use super::{bodies, chosen};
use crate::params;
use crate::public::split::{self, Opened, Split};
use crate::public::{filter, search};
use crate::state::ApiState;

/// Largest body, in bytes.
const MAX_BODY: usize = 64 << 10;

/// What is asked for.
#[derive(Deserialize)]
struct Wanted {
    dataset: String,
    config: String,
    split: String,
    revision: Option<String>,
    #[serde(flatten)]
    question: Question,
}

/// How rows are chosen. All that is said holds: of the rows that match, in the order, the sample.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
struct Question {
    /// A condition, as `/filter` has it.
    #[serde(rename = "where", default, skip_serializing_if = "Option::is_none")]
    condition: Option<String>,
    /// An order, as `/filter` has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    orderby: Option<String>,
    /// A text, as `/search` has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    query: Option<String>,
    /// How the text is looked for, as `/search` has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
    /// Only so many of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sample: Option<Sample>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rows: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fraction: Option<f64>,
    #[serde(default)]
    seed: u64,
}

impl Sample {
    /// How many of so many rows.
    fn of(&self, count: usize) -> Result<usize, Problem> {
        match (self.rows, self.fraction) {
            (Some(rows), None) => Ok(usize::try_from(rows).unwrap_or(usize::MAX).min(count)),
            (None, Some(fraction)) if (0.0..=1.0).contains(&fraction) => Ok((count as f64 * fraction).round() as usize),
            (None, Some(_)) => Err(Problem::at("/sample/fraction", "expected a number from 0 to 1")),
            _ => Err(Problem::at("/sample", "expected either `rows` or `fraction`")),
        }
    }
}

/// `POST /selections`.
pub(super) async fn post(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    if body.len() > MAX_BODY {
        return Err(Problem::new(ErrorCode::TaskTooLarge, format!("the question is longer than {MAX_BODY} bytes")));
    }
    let value: Value = serde_json::from_slice(&body).map_err(|error| Problem::at("", error.to_string()))?;
    let known = ["dataset", "config", "split", "revision", "where", "orderby", "query", "mode", "sample"];
    if let Some(key) = value.as_object().and_then(|fields| fields.keys().find(|key| !known.contains(&key.as_str()))) {
        let pointer = format!("/{}", belvedere_domain::task::strict_json::escape(key));
        return Err(Problem::at(&pointer, format!("there is no such field; known are {}", known.join(", "))));
    }
    let wanted: Wanted = serde_json::from_value(value).map_err(|error| Problem::at("", error.to_string()))?;
    let dataset = DatasetName::new(&wanted.dataset).map_err(|error| Problem::at("/dataset", error.to_string()))?;
    readable(&state, &caller, &dataset, &headers)
        .await
        .map_err(|()| Problem::at("/dataset", format!("there is no dataset `{dataset}`")))?;
    let split = open(&state, dataset, &wanted, &headers).await?;
    let rows = choose(&state, &split, &wanted.question).await?;
    let selection = described(&caller, &split, &wanted.question, &rows);
    state.services.store.tasks.put_selection(selection.clone()).await?;
    let stored = state.services.store.tasks.selection(&selection.id).await?;
    let (selection, created_at) = stored.ok_or_else(Problem::not_found)?;
    let location = format!("/selections/{}", selection.id);
    let mut response = fresh((StatusCode::CREATED, Json(shown(&selection, created_at))));
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_str(&location).expect("an id is plain"));
    Ok(response)
}

/// `GET /selections/{id}`, for who may read the dataset.
pub(super) async fn get(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let missing =
        || Problem::new(ErrorCode::TaskNotFound, "There is no such selection, or you may not read its dataset.");
    let found = state.services.store.tasks.selection(&id).await?;
    let (selection, created_at) = found.ok_or_else(missing)?;
    readable(&state, &caller, &selection.dataset, &headers).await.map_err(|()| missing())?;
    Ok(fresh(Json(shown(&selection, created_at)).into_response()))
}

async fn open(state: &ApiState, dataset: DatasetName, wanted: &Wanted, headers: &HeaderMap) -> Result<Split, Problem> {
    let wrong = |pointer: &str, error: &dyn std::fmt::Display| Problem::at(pointer, error.to_string());
    let config = ConfigName::new(&wanted.config).map_err(|error| wrong("/config", &error))?;
    let name = SplitName::new(&wanted.split).map_err(|error| wrong("/split", &error))?;
    let revision = wanted.revision.as_deref().map(Revision::new).transpose();
    let revision = revision.map_err(|error| wrong("/revision", &error))?;
    let opened = split::find_for_anybody(state, dataset, config, name, revision.as_ref(), headers).await?;
    match opened {
        Opened::Split(split) => Ok(split),
        Opened::Stored(_) => Err(Problem::at("/config", "the config has no rows: its files could not be converted")),
    }
}

/// The numbers of the rows that a question means.
async fn choose(state: &ApiState, split: &Split, question: &Question) -> Result<Vec<u64>, Problem> {
    let text = QueryText {
        condition: question.condition.clone(),
        order: question.orderby.clone(),
        reference: state.settings.compat,
    };
    text.check().map_err(|error| Problem::from(params::invalid(format!("Parameter {}", error.message))))?;
    let filtered = match (&text.condition, &text.order) {
        (None, None) => None,
        _ => Some(filter::find(state, split, &text, 0, None).await?.rows),
    };
    let mode = match question.mode.as_deref() {
        None => Mode::default(),
        Some(name) => {
            Mode::parse(name).ok_or_else(|| Problem::at("/mode", "expected one of any, all, phrase, substring"))?
        }
    };
    let matching = match &question.query {
        None => None,
        Some(query) => Some(search::matching(state, split, query, mode).await?),
    };
    let rows = match (filtered, matching) {
        (None, None) => {
            let total: u64 = split.index(state).await?.files.files.iter().map(|file| file.num_rows).sum();
            within(state, total)?;
            (0..total).collect()
        }
        (Some(rows), None) | (None, Some(rows)) => rows,
        // The best first, unless an order is asked for.
        (Some(filtered), Some(matching)) => {
            let (ordered, other) = if text.order.is_some() { (filtered, matching) } else { (matching, filtered) };
            let other: HashSet<u64> = other.into_iter().collect();
            ordered.into_iter().filter(|row| other.contains(row)).collect()
        }
    };
    within(state, rows.len() as u64)?;
    match &question.sample {
        None => Ok(rows),
        Some(sample) => {
            let wanted = sample.of(rows.len())?;
            Ok(chosen::sample(rows, wanted, sample.seed))
        }
    }
}

fn within(state: &ApiState, rows: u64) -> Result<(), Problem> {
    let max = state.settings.query.max_answer_rows;
    match rows <= max {
        true => Ok(()),
        false => Err(Problem::at("", format!("these are {rows} rows, more than the {max} of one selection"))),
    }
}

fn described(caller: &Caller, split: &Split, question: &Question, rows: &[u64]) -> NewSelection {
    let key = &split.found.key;
    let question = serde_json::to_string(question).expect("a question has a JSON form");
    let sha256 = chosen::hash(rows);
    let config = key.config.as_ref().map(ToString::to_string).unwrap_or_default();
    let (revision, name) = (split.revision().to_string(), split.name.to_string());
    let identity = json!([key.dataset, revision, config, name, question, sha256]).to_string();
    NewSelection {
        id: hex::encode(&Sha256::digest(identity)[..16]),
        created_by: caller.name.clone(),
        dataset: key.dataset.clone(),
        revision,
        config,
        split: name,
        question,
        num_rows: rows.len() as u64,
        sha256,
        rows: chosen::encode(rows),
    }
}

fn shown(selection: &NewSelection, created_at: Timestamp) -> Value {
    let mut body = json!({
        "id": selection.id,
        "dataset": selection.dataset,
        "revision": selection.revision,
        "config": selection.config,
        "split": selection.split,
        "num_rows": selection.num_rows,
        "sha256": selection.sha256,
        "created_by": selection.created_by,
        "created_at": bodies::time(created_at),
    });
    let question: Value = serde_json::from_str(&selection.question).unwrap_or_default();
    for (key, value) in question.as_object().into_iter().flatten() {
        body[key] = value.clone();
    }
    body
}
