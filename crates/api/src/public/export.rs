//! Rows in any format, as a stream in bounded memory. For every endpoint that answers with rows.
//!
//! The first piece is made before the answer begins, so that what fails then is an ordinary error. Later pieces are made
//! while the one before is sent; what fails then breaks the connection off, since a short answer would look like a whole
//! one. A client that leaves ends the work.

mod frame;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use belvedere_domain::Features;
use belvedere_engine::call::{Exported, Format, WantedRows};
use belvedere_engine::{Call, Reply, call};
use bytes::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::sync::mpsc;

use super::format::Shape;
use super::serve;
use super::split::{RowsIndex, Split};
use crate::error::ApiError;
use crate::headers::{is_known, max_age, not_modified, set};
use crate::params::invalid;
use crate::state::ApiState;
use frame::Frame;

/// Longest time that one piece may take.
const LIMIT: Duration = Duration::from_secs(60);
/// Each piece of Parquet becomes a row group, which is better large.
const PARQUET_FACTOR: usize = 8;
const PIECE_ROWS: usize = 100_000;
/// Rows of a piece when each row may mean an image to be made.
const MEDIA_PIECE_ROWS: usize = 200;
/// Row numbers that are sent along with one question.
const LISTED_ROWS: usize = 10_000;

/// Rows to answer with.
pub(crate) struct Export {
    /// Where they are.
    pub(crate) split: Split,
    /// What they shall look like.
    pub(crate) shape: Shape,
    /// Which, by their numbers in the split.
    pub(crate) rows: WantedRows,
    /// `num_rows_total` of the JSON answer; `None`: the rows of the split.
    pub(crate) num_rows_total: Option<u64>,
    /// For JSON: members of each item after `truncated_cells`, as `"name":value,…`; none when empty.
    pub(crate) extras: Vec<String>,
    /// Tells this answer apart from the others of the split, the shape excepted.
    pub(crate) tag: String,
}

/// The answer.
///
/// # Errors
/// Those of reading the first piece; too many rows.
pub(crate) async fn respond(state: &Arc<ApiState>, export: Export, headers: &HeaderMap) -> Result<Response, ApiError> {
    let etag = export.split.etag(&format!("{}{}", export.tag, export.shape.tag()));
    // The same rows never change: what the client holds of them is good without reading a file.
    if is_known(headers, &etag) {
        return Ok(not_modified(dressed(state, &export, false, &etag, Body::empty())));
    }
    let index = export.split.index(state).await?;
    check_number(state, &export, &index)?;
    let base_url = serve::base_url(state, headers);
    let partial = index.files.partial;
    let dress = |export: &Export, body| dressed(state, export, partial, &etag, body);
    let mut pieces = Pieces::new(Arc::clone(state), export, &index, base_url);
    let Some(first) = pieces.next().await? else { return Ok(dress(&pieces.export, Body::empty())) };
    if pieces.is_done {
        return Ok(dress(&pieces.export, Body::from(first)));
    }
    let response = dress(&pieces.export, Body::empty());
    Ok(response.map(|_| streamed(first, pieces)))
}

/// Sends pieces while the next one is made.
fn streamed(first: Bytes, mut pieces: Pieces) -> Body {
    let (sender, mut receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            let piece = tokio::select! {
                biased;
                // The client left. Dropping the question stops the work.
                () = sender.closed() => return,
                piece = pieces.next() => piece,
            };
            let piece = piece.map_err(|error| {
                let dataset = &pieces.export.split.found.key.dataset;
                tracing::warn!(dataset.name = %dataset, %error, "an answer broke off");
                std::io::Error::other(error.to_string())
            });
            let is_last = !matches!(piece, Ok(Some(_)));
            if let Some(piece) = piece.transpose()
                && sender.send(piece).await.is_err()
            {
                return;
            }
            if is_last {
                return;
            }
        }
    });
    let first = futures::stream::once(std::future::ready(Ok(first)));
    let rest = futures::stream::poll_fn(move |context| receiver.poll_recv(context));
    Body::from_stream(futures::StreamExt::chain(first, rest))
}

/// The pieces of an answer, one after the other.
struct Pieces {
    state: Arc<ApiState>,
    export: Export,
    remaining: Remaining,
    frame: Frame,
    max_rows: usize,
    begins: bool,
    is_done: bool,
}

/// Rows still to be given.
enum Remaining {
    Range { offset: u64, length: u64 },
    Listed(VecDeque<u64>),
}

impl Pieces {
    fn new(state: Arc<ApiState>, mut export: Export, index: &RowsIndex, base_url: serve::Base) -> Self {
        let remaining = match std::mem::replace(&mut export.rows, WantedRows::Listed(Vec::new())) {
            WantedRows::Range { offset, length } => Remaining::Range { offset, length },
            WantedRows::Listed(rows) => Remaining::Listed(rows.into()),
        };
        let max_rows = match &index.features {
            Some(features) if makes_files(&export.shape, features) => MEDIA_PIECE_ROWS,
            _ => PIECE_ROWS,
        };
        let frame = Frame::new(&export, index.files.partial, base_url);
        Self { state, export, remaining, frame, max_rows, begins: true, is_done: false }
    }

    /// The next bytes; `None` after the last.
    async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        while !self.is_done {
            let (row, exported) = self.ask().await?;
            self.begins = false;
            self.is_done = self.take(&exported);
            let urls = &self.state.services.settings.urls;
            let bytes = self.frame.wrap(exported, row, self.is_done, urls, self.export.split.revision());
            let bytes = bytes.map_err(|error| ApiError::internal(&error))?;
            if !bytes.is_empty() {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }

    /// The next piece, and the numbers of its rows.
    async fn ask(&self) -> Result<(Vec<u64>, Exported), ApiError> {
        let rows = match &self.remaining {
            Remaining::Range { offset, length } => WantedRows::Range { offset: *offset, length: *length },
            Remaining::Listed(rows) => WantedRows::Listed(rows.iter().take(LISTED_ROWS).copied().collect()),
        };
        let format = self.export.shape.format;
        let piece_bytes = self.state.settings.piece_bytes;
        let question = |index: &RowsIndex| {
            Call::Export(call::Export {
                files: index.files.files.clone(),
                features: index.features.clone(),
                columns: self.export.shape.columns.clone(),
                rows: rows.clone(),
                format,
                begins: self.begins,
                max_bytes: if format == Format::Parquet { piece_bytes * PARQUET_FACTOR } else { piece_bytes },
                max_rows: self.max_rows,
                media: self.export.split.media(&self.state),
            })
        };
        match self.export.split.ask(&self.state, LIMIT, question).await? {
            (_, Reply::Export(exported)) => {
                let count = exported.num_rows;
                let numbers = match rows {
                    WantedRows::Range { offset, .. } => (offset..offset + count).collect(),
                    WantedRows::Listed(mut rows) => {
                        rows.truncate(usize::try_from(count).unwrap_or(usize::MAX));
                        rows
                    }
                };
                Ok((numbers, exported))
            }
            _ => Err(ApiError::unexpected("rows were asked for, and something else came")),
        }
    }

    /// Counts the rows of a piece off. True when none is left.
    fn take(&mut self, exported: &Exported) -> bool {
        let count = exported.num_rows;
        match &mut self.remaining {
            Remaining::Range { offset, length } => {
                *offset += count;
                *length = length.saturating_sub(count);
                count == 0 || *length == 0 || *offset >= exported.num_rows_total
            }
            Remaining::Listed(rows) => {
                rows.drain(..usize::try_from(count).unwrap_or(usize::MAX).min(rows.len()));
                count == 0 || rows.is_empty()
            }
        }
    }
}

/// True if cells become files for browsers, which costs time and disk for each row.
fn makes_files(shape: &Shape, features: &Features) -> bool {
    let is_text = matches!(shape.format, Format::Json | Format::Ndjson | Format::Csv);
    // A column that is not there is refused by the engine, with better words.
    is_text
        && belvedere_engine::export::chosen(features, &shape.columns).is_ok_and(|features| {
            features.iter().any(|(_, feature)| feature.any(&mut |feature| feature.media().is_some()))
        })
}

/// Refuses more rows than the operator allows, and more media than are made for one page.
fn check_number(state: &ApiState, export: &Export, index: &RowsIndex) -> Result<(), ApiError> {
    let total: u64 = index.files.files.iter().map(|file| file.num_rows).sum();
    let rows = match &export.rows {
        WantedRows::Range { offset, length } => total.saturating_sub(*offset).min(*length),
        WantedRows::Listed(rows) => rows.len() as u64,
    };
    if let Some(max) = state.settings.max_export_rows
        && export.shape.format != Format::Json
        && rows > max
    {
        let text = format!(
            "These are {rows} rows, more than the {max} of one answer. Ask for parts with 'offset' and 'length'."
        );
        return Err(invalid(text));
    }
    let max = state.settings.max_length();
    if rows > max && index.features.as_ref().is_some_and(|features| makes_files(&export.shape, features)) {
        let text = format!(
            "These are {rows} rows with media, more than the {max} whose files are made for one answer. Ask for parts \
             with 'offset' and 'length', for other 'columns', or for format=parquet, which has the media as they are stored."
        );
        return Err(invalid(text));
    }
    Ok(())
}

/// A response with the headers of this answer.
fn dressed(state: &ApiState, export: &Export, partial: bool, etag: &str, body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(export.shape.media_type()));
    headers.insert(header::CACHE_CONTROL, max_age(state.settings.max_age_long));
    if !state.settings.compat {
        headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    }
    set(headers, "x-revision", export.split.revision().as_str());
    set(headers, "etag", etag);
    if export.shape.format != Format::Json {
        set(headers, "content-disposition", &disposition(export));
        if partial {
            set(headers, "x-partial", "true");
        }
    }
    response
}

/// The name under which a browser saves the answer (RFC 6266): dataset, config and split.
fn disposition(export: &Export) -> String {
    let key = &export.split.found.key;
    let dataset = key.dataset.as_str();
    let config = key.config.as_ref().map_or("", |config| config.as_str());
    let dataset = dataset.rsplit('/').next().unwrap_or(dataset);
    let name = format!("{dataset}-{config}-{}.{}", export.split.name, export.shape.suffix());
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    let plain: String = name.chars().map(|letter| if is_plain(letter) { letter } else { '_' }).collect();
    if plain == name {
        return format!("attachment; filename=\"{plain}\"");
    }
    let encoded = utf8_percent_encode(&name, NON_ALPHANUMERIC);
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}
