//! `/sample`: some rows of a split, chosen by a seed: each row as likely as any other, none twice.
//!
//! The same seed gives the same rows of the same revision, in the same order, and the first of them whatever their number.

mod draw;

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use belvedere_domain::view::DigestBuilder;
use belvedere_engine::call::{QueryText, WantedRows};

use super::export::{self, Export};
use super::filter;
use super::format::Shape;
use super::split::{self, Opened};
use crate::error::ApiError;
use crate::headers::is_known;
use crate::params::{DEFAULT_LENGTH, Params, invalid};
use crate::state::ApiState;

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
    let shape = Shape::of(params, headers, &state.settings)?;
    let (seed, count) = (params.number("seed", 0)?, params.number("n", DEFAULT_LENGTH)?);
    // Numbers of rows are held in memory; of JSON a page is.
    let max = if shape.is_paged() { state.settings.max_length() } else { state.settings.query.max_answer_rows };
    if count > max {
        return Err(invalid(format!("Parameter 'n' must not be greater than {max}")));
    }
    let condition = params.get("where").map(str::to_owned);
    let text = filter::readable(QueryText { condition, order: None, reference: state.settings.compat }).await?;
    let split = match split::open(state, params, headers).await? {
        Opened::Split(split) => split,
        Opened::Stored(response) => return Ok(response),
    };
    let condition = DigestBuilder::new("sample", 1).part("where", text.condition.as_deref().unwrap_or_default());
    let tag = format!("sample-{seed}-{count}-{}", &condition.finish().to_hex()[..16]);
    let etag = split.etag(&format!("{tag}{}", shape.tag()));
    let mut export =
        Export { split, shape, rows: WantedRows::Listed(Vec::new()), num_rows_total: None, extras: Vec::new(), tag };
    if !is_known(headers, &etag) {
        let (rows, total) = match text.condition {
            None => {
                let total = export.split.index(state).await?.files.files.iter().map(|file| file.num_rows).sum();
                (draw::places(seed, count, total), total)
            }
            Some(_) => {
                let found = filter::find(state, &export.split, &text, 0, None).await?;
                let places = draw::places(seed, count, found.rows.len() as u64);
                (places.into_iter().map(|place| found.rows[place as usize]).collect(), found.count)
            }
        };
        export.num_rows_total = Some(total);
        export.rows = WantedRows::Listed(rows);
    }
    export::respond(state, export, headers).await
}
