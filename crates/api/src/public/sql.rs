//! `POST /sql`: a query over splits. A child process carries it out, and dies when the client leaves or the time is up.
//!
//! Tables are named `"dataset"."config"."split"`; `"dataset"."split"` and `"dataset"` will do where only one split can be
//! meant; `data` is the split that the request names beside the query. `"dataset@revision"` is a kept revision, and
//! `revision` beside the query that of every table.

mod tables;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use belvedere_domain::{ErrorCode, Revision};
use belvedere_engine::call::{Format, Piece, Sql, SqlResult, SqlTables};
use belvedere_engine::{Call, ErrorKind, Reply, export};
use belvedere_jobs::{CallError, Caller};
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use super::format;
use crate::error::ApiError;
use crate::headers::{max_age, set};
use crate::params::{self, Params, invalid};
use crate::state::ApiState;
use tables::Table;

/// Bytes of a request; a query has no reason to be longer.
const MAX_REQUEST_BYTES: usize = 100_000;

/// Whether this program answers queries in SQL.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub enum SqlAccess {
    /// It was built without a query engine.
    #[default]
    NotBuilt,
    /// It listens on an address that other machines reach, and the operator has not allowed queries there.
    NotAllowed,
    /// It does, within budgets.
    Open(SqlBudget),
}

/// What one query may use.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SqlBudget {
    /// Seconds from the request to the last row.
    pub max_seconds: f64,
    /// Rows of an answer.
    pub max_rows: usize,
    /// Bytes of an answer, about.
    pub max_bytes: usize,
    /// Bytes that joins, sorts and groups may hold in memory.
    pub memory_bytes: usize,
}

/// What a client sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    sql: String,
    /// As of `/rows`; without it the header `Accept` decides.
    format: Option<String>,
    /// Rows wanted, at most those of the budget.
    limit: Option<usize>,
    /// Tell the plan, too; for JSON.
    #[serde(default)]
    plan: bool,
    /// The split behind the table `data`.
    dataset: Option<String>,
    config: Option<String>,
    split: Option<String>,
    /// A kept revision to be read instead of the served one.
    revision: Option<String>,
}

#[derive(Serialize)]
struct Answer<'a> {
    features: serde_json::Value,
    rows: &'a [Box<RawValue>],
    num_rows: usize,
    truncated: bool,
    tables: Vec<Source<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<&'a belvedere_engine::call::SqlPlan>,
}

/// A split that was asked.
#[derive(Serialize)]
struct Source<'a> {
    dataset: &'a str,
    config: &'a str,
    split: &'a str,
    revision: &'a str,
    partial: bool,
}

pub(crate) async fn post(State(state): State<Arc<ApiState>>, request: Request) -> Response {
    answer(&state, request).await.unwrap_or_else(IntoResponse::into_response)
}

async fn answer(state: &ApiState, request: Request) -> Result<Response, ApiError> {
    let budget = budget(state)?;
    let caller = state.sql.as_ref().ok_or_else(|| not_answered(NOT_BUILT))?;
    let (parts, body) = request.into_parts();
    let question = read(body).await?;
    let format = format::of(question.format.as_deref(), &parts.headers)?;
    let max_rows = match question.limit {
        Some(limit) if limit > budget.max_rows => {
            return Err(invalid(format!("'limit' must not be greater than {}", budget.max_rows)));
        }
        Some(limit) => limit,
        None => budget.max_rows,
    };
    let revision = match question.revision.as_deref().filter(|text| !text.trim().is_empty()) {
        Some(text) => Some(params::revision(text)?),
        None => Params::parse(parts.uri.query()).revision()?,
    };
    let clock = Clock::start(budget.max_seconds);
    let named = match ask(caller, Call::SqlTables(SqlTables { sql: question.sql.clone() }), &clock).await? {
        Reply::SqlTables(list) => list.tables,
        _ => return Err(ApiError::unexpected("the tables of a query were asked for, and something else came")),
    };
    let alias = [question.dataset, question.config, question.split];
    let tables = match tables::find(state, named, alias, revision.as_ref(), &parts.headers).await? {
        tables::Found::Tables(tables) => tables,
        tables::Found::Stored(response) => return Ok(response),
    };
    let call = Call::Sql(Sql {
        sql: question.sql,
        tables: tables.iter().map(Table::for_engine).collect(),
        max_rows,
        max_bytes: budget.max_bytes,
        memory_bytes: budget.memory_bytes,
        format,
        plan: question.plan,
    });
    let answer = match ask(caller, call, &clock).await {
        Err(error) if error.code() == ErrorCode::RevisionGone => return Err(lost(state, &tables, error).await),
        answer => answer?,
    };
    let Reply::Sql(result) = answer else {
        return Err(ApiError::unexpected("a query was asked, and something else came"));
    };
    Ok(respond(&tables, format, &result))
}

const NOT_BUILT: &str = "This program was built without a query engine. Build it with the cargo feature `sql`: \
                         `cargo build --release -p belvedere --features sql`.";
const NOT_ALLOWED: &str = "Queries in SQL are switched off, since this server listens on an address that other machines \
                           reach. The operator can allow them with `api.sql=true`.";

fn budget(state: &ApiState) -> Result<SqlBudget, ApiError> {
    match state.settings.sql {
        SqlAccess::NotBuilt => Err(not_answered(NOT_BUILT)),
        SqlAccess::NotAllowed => Err(not_answered(NOT_ALLOWED)),
        SqlAccess::Open(budget) => Ok(budget),
    }
}

fn not_answered(text: &str) -> ApiError {
    ApiError::new(ErrorCode::FeatureNotAvailableError, text)
}

async fn read(body: Body) -> Result<Question, ApiError> {
    let bytes = to_bytes(body, MAX_REQUEST_BYTES)
        .await
        .map_err(|_| invalid(format!("the request is longer than {MAX_REQUEST_BYTES} bytes, or broke off")))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| invalid(format!("the request must be a JSON object like {{\"sql\": \"SELECT …\"}}: {error}")))
}

/// The time of one request.
struct Clock {
    start: Instant,
    max: Duration,
}

impl Clock {
    fn start(max_seconds: f64) -> Self {
        Self { start: Instant::now(), max: Duration::try_from_secs_f64(max_seconds).unwrap_or(Duration::MAX) }
    }

    fn left(&self) -> Duration {
        self.max.saturating_sub(self.start.elapsed())
    }
}

/// What to say when files of a table are not what they were: maybe they are being made again.
async fn lost(state: &ApiState, tables: &[Table], error: ApiError) -> ApiError {
    for table in tables {
        table.split.forget(state);
        if let Err(error) = table.split.check_files(state).await {
            return error;
        }
    }
    error
}

/// Asks a child. Dropping this future, as when the client leaves, kills the child.
async fn ask(caller: &Arc<dyn Caller>, call: Call, clock: &Clock) -> Result<Reply, ApiError> {
    let error = match caller.call(call, clock.left()).await {
        Ok(reply) => return Ok(reply),
        Err(error) => error,
    };
    Err(match error {
        CallError::TooLong(_) => invalid(format!(
            "the query takes longer than the {} seconds it may take; ask for fewer rows or columns, or the operator to \
             raise `sql.max_seconds`",
            clock.max.as_secs_f64()
        )),
        // What a query can do to the process that carries it out is the fault of the query.
        CallError::Died(how) => invalid(format!("the query was given up: the process that carried it out {how}")),
        CallError::Hub(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "files do not come from their Hub");
            let text = "The files of a table do not come from the Hub. Please try again later.";
            ApiError::new(ErrorCode::HfHubError, text)
        }
        CallError::Engine(error) => match error.kind {
            ErrorKind::Query | ErrorKind::OverBudget | ErrorKind::Parameter => invalid(error.message),
            ErrorKind::NotBuilt => not_answered(NOT_BUILT),
            ErrorKind::Changed => ApiError::new(
                ErrorCode::RevisionGone,
                "The files of a table have changed since it was read. Ask again.",
            ),
            ErrorKind::Unreadable | ErrorKind::Cell | ErrorKind::SchemaMismatch | ErrorKind::Incompatible => {
                let text = format!("Server error while reading the rows: {error}");
                ApiError::new(ErrorCode::TransformRowsProcessingError, text)
            }
            _ => ApiError::internal(&error),
        },
        other => ApiError::internal(&other),
    })
}

fn respond(tables: &[Table], format: Format, result: &SqlResult) -> Response {
    let body = match &result.piece {
        Piece::Rows(rows) => {
            let answer = Answer {
                features: result.features.to_list_json(),
                rows,
                num_rows: result.num_rows,
                truncated: result.truncated,
                tables: tables.iter().map(Table::source).collect(),
                plan: result.plan.as_ref(),
            };
            Body::from(serde_json::to_vec(&answer).expect("rows are JSON already"))
        }
        Piece::Text(text) => Body::from(text.clone()),
        Piece::Bytes(bytes) if format == Format::Arrow => Body::from([bytes.as_ref(), &export::END_OF_STREAM].concat()),
        Piece::Bytes(bytes) => Body::from(bytes.clone()),
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format::media_type(format)));
    // The same query may have another answer as soon as a dataset changes.
    headers.insert(header::CACHE_CONTROL, max_age(0));
    headers.insert("x-truncated", HeaderValue::from_static(if result.truncated { "true" } else { "false" }));
    if let Some(revision) = one_revision(tables) {
        set(headers, "x-revision", revision.as_str());
    }
    response
}

/// The revision, when all tables are of one.
fn one_revision(tables: &[Table]) -> Option<&Revision> {
    let first = tables.first()?;
    let of = |table: &Table| (table.split.found.key.dataset.clone(), table.split.revision().clone());
    let same = |table: &Table| of(table) == of(first);
    tables.iter().all(same).then(|| first.split.revision())
}

/// Says that the route takes queries by POST only.
pub(crate) async fn get(State(state): State<Arc<ApiState>>) -> ApiError {
    let text = "send the query by POST, as JSON: {\"sql\": \"SELECT …\"}";
    budget(&state).err().unwrap_or_else(|| invalid(text.to_owned()))
}

/// The operation, for the OpenAPI document.
pub(crate) fn openapi() -> serde_json::Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    let error = |description: &str| {
        json!({
            "description": description,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
        })
    };
    json!({
        "summary": "A query in SQL over splits, in programs built with the feature `sql`.",
        "requestBody": {"required": true, "content": {"application/json": {"schema": {
            "type": "object",
            "required": ["sql"],
            "additionalProperties": false,
            "properties": {
                "sql": text(
                    "One query. Tables are named \"dataset\".\"config\".\"split\", \"dataset@revision\" for a kept revision.",
                ),
                "format": {"type": "string", "enum": format::names()},
                "limit": {"type": "integer", "minimum": 0, "description": "Rows wanted."},
                "plan": {"type": "boolean", "default": false, "description": "Tell the plan, too."},
                "dataset": text("With config and split: what the table `data` is."),
                "config": text("See dataset."),
                "split": text("See dataset."),
                "revision": text("A kept revision of the one dataset of the query, instead of the served one."),
            },
        }}}},
        "responses": {
            "200": {
                "description": "The rows of the result.",
                "headers": {"X-Truncated": {"schema": {"type": "boolean"}}},
                "content": {"application/json": {"schema": {"type": "object"}}},
            },
            "404": error("A table is not there (`ResponseNotFound`), or its revision is not kept (`RevisionGone`)."),
            "422": error("The query cannot be understood, or needs more time or memory than it may have."),
            "500": error("Not ready yet (`ResponseNotReady`), or the stored error of a dataset."),
            "501": error("This program answers no queries in SQL, or not on this address."),
        },
    })
}
