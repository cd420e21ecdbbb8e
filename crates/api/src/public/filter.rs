//! `/filter`: the rows of a split that match a condition, in the order asked.
//!
//! One engine call finds the numbers of matching rows, some more than the page needs; they are kept, so that the next
//! page costs no look at the others. The rows themselves are read as any rows are.

mod selections;

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use belvedere_domain::ErrorCode;
use belvedere_domain::view::DigestBuilder;
use belvedere_engine::call::{Filter, QueryText, WantedRows};
use belvedere_engine::{Call, Reply};

use super::export::{self, Export};
use super::format::Shape;
use super::split::{self, Opened, RowsIndex, Split};
use crate::error::ApiError;
use crate::headers::is_known;
use crate::params::{Params, invalid};
use crate::state::ApiState;

pub(crate) use selections::{Found, Selections};

/// Matching rows that are listed at once, from the first wanted one on: pages to come. Without an order they are at
/// hand; with one, each costs some work.
const LISTED_ROWS: u64 = 10_000;
const LISTED_IN_ORDER: u64 = 1_000;

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
    params.require(&["dataset", "config", "split"])?;
    let text = query_text(state, params).await?;
    let shape = Shape::of(params, headers, &state.settings)?;
    let (offset, length) = (params.offset()?, shape.length(params, &state.settings)?);
    let split = match split::open(state, params, headers).await? {
        Opened::Split(split) => split,
        Opened::Stored(response) => return Ok(response),
    };
    let mut export = Export {
        tag: tag(&text, offset, length),
        rows: WantedRows::Range { offset, length: length.unwrap_or(u64::MAX) },
        num_rows_total: None,
        extras: Vec::new(),
        split,
        shape,
    };
    let is_everything = text.condition.is_none() && text.order.is_none();
    // What the client holds already is confirmed without looking for it.
    let etag = export.split.etag(&format!("{}{}", export.tag, export.shape.tag()));
    if !is_everything && !is_known(headers, &etag) {
        let found = find(state, &export.split, &text, offset, length).await?;
        export.num_rows_total = Some(found.count);
        export.rows = WantedRows::Listed(found.rows);
    }
    export::respond(state, export, headers).await
}

/// `where` and `orderby`, readable.
///
/// # Errors
/// What cannot be read, and where.
async fn query_text(state: &ApiState, params: &Params) -> Result<QueryText, ApiError> {
    let text = QueryText {
        condition: params.get("where").map(str::to_owned),
        order: params.get("orderby").map(str::to_owned),
        reference: state.settings.compat,
    };
    readable(text).await
}

/// A question that can be read. It is read on a thread of its own: nested as deep as it may be, it can take more of the stack
/// than is left below a handler.
///
/// # Errors
/// What cannot be read, and where.
pub(crate) async fn readable(text: QueryText) -> Result<QueryText, ApiError> {
    let checked = tokio::task::spawn_blocking(move || text.check().map(|()| text)).await;
    let checked = checked.map_err(|panic| ApiError::internal(&panic))?;
    checked.map_err(|error| invalid(format!("Parameter {}", error.message)))
}

fn tag(text: &QueryText, offset: u64, length: Option<u64>) -> String {
    let digest = DigestBuilder::new("filter", 1);
    let digest = digest.part("where", text.condition.as_deref().unwrap_or_default());
    let digest = digest.part("orderby", text.order.as_deref().unwrap_or_default());
    let length = length.map_or_else(|| "all".to_owned(), |length| length.to_string());
    format!("filter-{}-{offset}-{length}", &digest.finish().to_hex()[..24])
}

/// The numbers of matching rows from `offset` on, `length` of them or all, and how many match in all.
///
/// # Errors
/// What is wrong with the question, or that it costs too much.
pub(crate) async fn find(
    state: &ApiState,
    split: &Split,
    text: &QueryText,
    offset: u64,
    length: Option<u64>,
) -> Result<Found, ApiError> {
    let key = selections::Key { split: split.key(), text: text.clone() };
    if let Some(found) = state.selections.get(&key, offset, length) {
        return Ok(found);
    }
    let settings = state.settings.query;
    let _permit = state.selections.permit().await;
    let ahead = if text.order.is_some() { LISTED_IN_ORDER } else { LISTED_ROWS };
    // One more than allowed tells whether there are too many.
    let listed = length.unwrap_or(u64::MAX).max(ahead).min(settings.max_answer_rows.saturating_add(1));
    let question = |index: &RowsIndex| {
        Call::Filter(Filter {
            files: index.files.files.clone(),
            features: index.features.clone(),
            query: text.clone(),
            offset,
            length: usize::try_from(listed).unwrap_or(usize::MAX),
            budget: settings.budget(),
        })
    };
    let (_, Reply::Filter(filtered)) = split.ask(state, settings.limit(), question).await? else {
        return Err(ApiError::unexpected("matching rows were asked for, and something else came"));
    };
    let wanted = filtered.count.saturating_sub(offset).min(length.unwrap_or(u64::MAX));
    if wanted > settings.max_answer_rows {
        let message = format!(
            "These are {wanted} rows, more than the {} of one answer. Ask for parts with 'offset' and 'length'.",
            settings.max_answer_rows
        );
        return Err(ApiError::new(ErrorCode::QueryBudgetExceeded, message).at(split.revision()));
    }
    let rows = filtered.rows.iter().take(usize::try_from(wanted).unwrap_or(usize::MAX)).copied().collect();
    state.selections.keep(key, offset, filtered.rows, filtered.count);
    Ok(Found { rows, count: filtered.count })
}
