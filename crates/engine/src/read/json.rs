//! JSON: one object per line, an array of objects or of anything else, or one object.
//!
//! Every batch is read twice: [`shape`] finds out its types, [`build`] makes the arrays. Parameters: `field` (the key
//! whose items are the rows), `encoding`, `encoding_errors`, `chunksize` (bytes of a batch), `parse_agent_traces`.

mod array;
mod build;
mod cursor;
mod dates;
mod lines;
mod rewrite;
mod shape;
mod traces;

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use belvedere_domain::data_files::ResolvedConfig;
use belvedere_domain::{Feature, Features};

use self::array::ArrayStream;
use self::build::StructBuilder;
use self::cursor::Fault;
use self::lines::LinesStream;
use self::shape::{Rules, Shape};
use self::traces::TraceStream;
use super::encoding::TextEncoding;
use super::input::Input;
use super::parameters::Parameters;
use super::{Agreement, ReadLimits, TableStream};
use crate::decompress::Place;
use crate::error::{EngineError, ErrorKind};
use crate::features_arrow::to_schema;

/// Bytes of a batch of lines.
const BATCH: u64 = 10 << 20;
/// Most values that the arrays of one batch may hold, absent ones included.
const MAX_CELLS: u64 = 1 << 27;

/// The columns of logs of agents.
pub fn trace_features() -> Features {
    traces::features()
}

/// Opens a JSON file.
pub(super) fn open(
    config: &ResolvedConfig,
    place: &Place,
    limits: ReadLimits,
    agreement: Arc<Agreement>,
) -> Result<Box<dyn TableStream>, EngineError> {
    let parameters = Parameters(&config.parameters);
    let chosen = match parameters.count("chunksize")? {
        Some(bytes) => Some(bytes),
        None => parameters.count("block_size")?,
    };
    let context = Context {
        place: place.clone(),
        encoding: TextEncoding::of(parameters)?,
        limits,
        batch: usize::try_from(chosen.unwrap_or(BATCH)).unwrap_or(usize::MAX).clamp(1, limits.max_batch_bytes),
        field: parameters.text("field")?.map(str::to_owned),
        parses_traces: parameters.flag("parse_agent_traces", true)?,
        agreement,
    };
    if context.parses_traces && context.field.is_none() && context.known() == Some(&traces::features()) {
        return Ok(Box::new(TraceStream::new(context)?));
    }
    let mut input = context.input()?;
    if context.field.is_none() && first_byte(&mut input)? != Some(b'[') {
        return Ok(Box::new(LinesStream::new(context, input)));
    }
    Ok(Box::new(ArrayStream::new(context, input)?))
}

/// What a stream over one file knows about its surroundings.
#[derive(Clone)]
struct Context {
    place: Place,
    encoding: TextEncoding,
    limits: ReadLimits,
    /// Bytes of a batch.
    batch: usize,
    field: Option<String>,
    /// Logs of agents are a row per file.
    parses_traces: bool,
    agreement: Arc<Agreement>,
}

impl Context {
    fn input(&self) -> Result<Input, EngineError> {
        Input::open(&self.place, self.encoding, true, self.limits)
    }

    /// The features that columns have already.
    fn known(&self) -> Option<&Features> {
        self.agreement.known()
    }
}

/// The first byte that is no white space; `None` in an empty file. Passes over the white space.
fn first_byte(input: &mut Input) -> Result<Option<u8>, EngineError> {
    loop {
        let text = input.text();
        match text.iter().position(|byte| !byte.is_ascii_whitespace()) {
            Some(at) => {
                let byte = text[at];
                // White space of the first line and before is no blank line.
                input.discard(at);
                return Ok(Some(byte));
            }
            None => {
                input.discard(text.len());
                if !input.more()? {
                    return Ok(None);
                }
            }
        }
    }
}

/// The columns of the rows of a batch.
///
/// `first_row`: number of columns of the first row. A column of JSON text that it lacks comes right after them, before
/// others that appear later: the reference adds the key to every row when it rewrites them.
fn columns(rows: &Shape, first_row: usize, rules: Rules<'_>, known: Option<&Features>) -> Features {
    let features = rows.fields.features(known, rules.keys_must_agree);
    let has_json = |(_, feature): &&(String, Feature)| feature.any(&mut |part| *part == Feature::Json);
    let (first, later): (Vec<_>, Vec<_>) = features.iter().enumerate().partition(|(place, _)| *place < first_row);
    let later: Vec<_> = later.into_iter().map(|(_, column)| column).collect();
    let (json, other): (Vec<_>, Vec<_>) = later.into_iter().partition(has_json);
    Features::new(first.into_iter().map(|(_, column)| column).chain(json).chain(other).cloned())
}

/// A table from collected objects.
fn table(features: &Features, builder: StructBuilder, rows: usize) -> Result<RecordBatch, EngineError> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(to_schema(features, false), builder.finish()?, &options)
        .map_err(|error| EngineError::new(ErrorKind::Internal, error))
}

/// Refuses tables in which almost everything would be absent.
fn check_cells(cells: u64) -> Result<(), EngineError> {
    if cells <= MAX_CELLS {
        return Ok(());
    }
    let message = "the objects have too many different keys to be columns; keep them as texts or lists instead";
    Err(EngineError::new(ErrorKind::Unreadable, message))
}

/// The error for a fault in the value that starts at `start`.
fn failure(input: &Input, start: usize, fault: Fault) -> EngineError {
    let (at, message) = match fault {
        Fault::End => (
            start,
            "the file ends inside the JSON value that starts here; if it was cut off, upload it again".to_owned(),
        ),
        // Some say already what to do.
        Fault::At(at, message) if message.contains("; ") => (at, format!("invalid JSON: {message}")),
        Fault::At(at, message) => (at, format!("invalid JSON: {message}; correct it there, or write the file again")),
    };
    EngineError::new(ErrorKind::Unreadable, message).at_line(input.line_of(at))
}

#[cfg(test)]
mod tests;
