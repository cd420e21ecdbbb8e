//! `/compare`: how two splits differ, or one split at two revisions.
//!
//! Small ones are answered at once. Larger ones are worked on in the background: the answer is 202 with the progress until
//! the same question is answered. What was found is kept in memory for a while; a restarted server begins anew when asked.

mod board;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use belvedere_domain::view::DigestBuilder;
use belvedere_domain::{Digest, ErrorCode, Revision};
use belvedere_engine::call::{Compare, SplitOf};
use belvedere_engine::compare::Compared;
use belvedere_engine::task::Progress;
use belvedere_engine::{Call, ErrorKind, Reply};
use belvedere_jobs::CallError;
use serde::Serialize;

use super::serve;
use super::split::{self, Opened, RowsIndex, Split};
use crate::error::ApiError;
use crate::headers::{is_known, max_age, not_modified};
use crate::params::{Params, invalid};
use crate::state::ApiState;
pub(crate) use board::Board;
use board::{Found, Work};

/// Goes into the key of kept answers: what one version found is not what the next would find.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Answer<'a> {
    left: Side<'a>,
    right: Side<'a>,
    schema: &'a belvedere_engine::compare::SchemaDifference,
    rows: &'a Option<belvedere_engine::compare::RowDifference>,
    columns: &'a [belvedere_engine::compare::ColumnDifference],
    leakage: &'a Option<belvedere_engine::compare::Leakage>,
}

#[derive(Serialize)]
struct Side<'a> {
    dataset: &'a str,
    config: &'a str,
    split: &'a str,
    revision: &'a str,
    num_rows: u64,
    partial: bool,
}

#[derive(Serialize)]
struct Underway {
    status: &'static str,
    /// From 0 to 1; null while nobody knows.
    progress: Option<f64>,
}

/// What is asked.
struct Question {
    left: Split,
    right: Split,
    key: Vec<String>,
    columns: Vec<String>,
}

/// The handler.
pub(crate) async fn get(
    State(state): State<Arc<ApiState>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let short = state.settings.max_age_short;
    answer(&state, &Params::parse(query.as_deref()), &headers).await.map_err(|error| error.keep(short))
}

async fn answer(state: &Arc<ApiState>, params: &Params, headers: &HeaderMap) -> Result<Response, ApiError> {
    let right = match split::open(state, params, headers).await? {
        Opened::Split(split) => split,
        Opened::Stored(response) => return Ok(response),
    };
    let left = match with(state, params, headers).await? {
        Opened::Split(split) => split,
        Opened::Stored(response) => return Ok(response),
    };
    let list = |name| params.all(name).map(str::to_owned).collect();
    let question = Question { left, right, key: list("key"), columns: list("columns") };
    let key = question.key();
    let revision = question.right.revision().clone();
    let etag = format!("W/\"{}\"", &key.to_hex()[..32]);
    if is_known(headers, &etag) {
        let body =
            serve::json(StatusCode::OK, max_age(state.settings.max_age_long), &revision, Some(&etag), Body::empty());
        return Ok(not_modified(body));
    }
    match state
        .compares
        .ask(key, state.settings.compare.wait, |progress| work(Arc::clone(state), question, progress))
        .await?
    {
        Found::Answer(body) => {
            let age = max_age(state.settings.max_age_long);
            Ok(serve::json(StatusCode::OK, age, &revision, Some(&etag), Body::from(body)))
        }
        Found::Underway { waits, progress } => {
            let body = Underway { status: if waits { "waiting" } else { "running" }, progress };
            let body = serde_json::to_string(&body).expect("two plain members");
            let mut response = serve::json(StatusCode::ACCEPTED, max_age(0), &revision, None, Body::from(body));
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            Ok(response)
        }
    }
}

/// The split to compare with: what `with_…` names, and where it names nothing what is compared.
async fn with(state: &ApiState, params: &Params, headers: &HeaderMap) -> Result<Opened, ApiError> {
    let names = [("with_dataset", "dataset"), ("with_config", "config"), ("with_split", "split")];
    let [dataset, config, split] = names.map(|(with, name)| params.get(with).or(params.get(name)).unwrap_or_default());
    let revision = params
        .get("with_revision")
        .map(|text| Revision::new(text).map_err(|error| invalid(format!("Parameter 'with_revision': {error}"))));
    split::find(state, (dataset, config, split), revision.transpose()?.as_ref(), headers).await
}

impl Question {
    /// Tells this question apart from every other one.
    fn key(&self) -> Digest {
        let mut digest = DigestBuilder::new("compare", VERSION);
        for split in [&self.left, &self.right] {
            let (files, revision, name) = split.key();
            digest =
                digest.part("files", files.to_hex()).part("revision", revision.as_str()).part("split", name.as_str());
        }
        for (name, list) in [("key", &self.key), ("columns", &self.columns)] {
            digest = list.iter().fold(digest, |digest, value| digest.part(name, value));
        }
        digest.finish()
    }

    fn call(&self, state: &ApiState, left: &RowsIndex, right: &RowsIndex) -> Call {
        let split = |index: &RowsIndex| SplitOf { files: index.files.files.clone(), features: index.features.clone() };
        Call::Compare(Compare {
            left: split(left),
            right: split(right),
            key: self.key.clone(),
            columns: self.columns.clone(),
            scratch: state.services.settings.worker.scratch.join("compare"),
        })
    }
}

/// The work behind a question.
fn work(state: Arc<ApiState>, question: Question, progress: Progress) -> Work {
    Box::pin(async move {
        let limit = state.settings.compare.limit;
        for may_be_old in [true, false] {
            let (left, right) = (question.left.index(&state).await?, question.right.index(&state).await?);
            let services = &state.services;
            let trusted = left.files.trusted && right.files.trusted;
            let caller = if trusted { &services.trusted } else { &services.children };
            let call = question.call(&state, &left, &right);
            match caller.call_watched(call, limit, progress.clone()).await {
                Ok(Reply::Compare(compared)) => return Ok(body(&question, &left, &right, &compared)),
                Ok(_) => return Err(ApiError::unexpected("two splits were to be compared, and something else came")),
                Err(CallError::Engine(error)) if error.kind == ErrorKind::Changed && may_be_old => {
                    question.left.forget(&state);
                    question.right.forget(&state);
                }
                Err(CallError::Engine(error)) if error.kind == ErrorKind::Changed => {
                    // Either may be the one; both datasets are looked at again.
                    let left = question.left.is_gone::<bytes::Bytes>(&state).await;
                    return question.right.is_gone::<bytes::Bytes>(&state).await.and(left);
                }
                Err(error) => return Err(failure(error, limit, question.right.revision())),
            }
        }
        Err(ApiError::unexpected("the second attempt always ends"))
    })
}

fn failure(error: CallError, limit: Duration, revision: &Revision) -> ApiError {
    match error {
        CallError::TooLong(_) => {
            let text = format!(
                "Comparing takes longer than the {} seconds allowed. Compare smaller splits, or ask the operator.",
                limit.as_secs_f64()
            );
            ApiError::new(ErrorCode::QueryBudgetExceeded, text).at(revision)
        }
        other => split::failure(other, revision),
    }
}

fn body(question: &Question, left: &RowsIndex, right: &RowsIndex, compared: &Compared) -> bytes::Bytes {
    let answer = Answer {
        left: side(&question.left, left, compared.left_rows),
        right: side(&question.right, right, compared.right_rows),
        schema: &compared.schema,
        rows: &compared.rows,
        columns: &compared.columns,
        leakage: &compared.leakage,
    };
    serde_json::to_vec(&answer).expect("the answer has a JSON form").into()
}

fn side<'a>(split: &'a Split, index: &RowsIndex, num_rows: u64) -> Side<'a> {
    let key = &split.found.key;
    Side {
        dataset: key.dataset.as_str(),
        config: key.config.as_ref().map_or("", |config| config.as_str()),
        split: split.name.as_str(),
        revision: split.found.revision.as_str(),
        num_rows,
        partial: index.files.partial,
    }
}
