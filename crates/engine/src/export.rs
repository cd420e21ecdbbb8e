//! Rows of a split in the formats that programs read: JSON, JSON Lines, CSV, an Arrow stream, Parquet.
//!
//! A call gives the next piece of a longer answer and holds nothing afterwards, so that a slow reader costs no memory,
//! thread or child between two pieces. Pieces are cut by bytes, never within a row.

mod arrow_stream;
pub(crate) mod columns;
mod csv;
mod json;
mod parquet;
mod read;
mod table;
mod texts;

use ::arrow::array::RecordBatch;
use belvedere_domain::Features;

use crate::call::{Export, Exported, Format, MediaTarget, Piece};
use crate::error::EngineError;
use crate::footers::FooterCache;
use crate::task::Task;

pub use arrow_stream::END_OF_STREAM;
pub use parquet::ParquetJoin;
pub use table::TableWriter;
pub(crate) use texts::texts;

/// What makes bytes of tables.
trait Encoder {
    /// Adds all rows of a table, whose columns are those of the features; `numbers` are the rows in the split.
    fn push(&mut self, table: &RecordBatch, numbers: &[u64]) -> Result<(), EngineError>;

    /// Bytes so far, about.
    fn num_bytes(&self) -> usize;

    /// The piece.
    fn finish(self: Box<Self>) -> Result<Piece, EngineError>;
}

/// Answers [`Call::Export`](crate::Call::Export).
///
/// # Errors
/// [`Parameter`](crate::ErrorKind::Parameter) for a column that is not there; those of [`Call::Rows`](crate::Call::Rows).
pub(crate) fn export(call: &Export, cache: &FooterCache, task: &Task) -> Result<Exported, EngineError> {
    let source = read::Source::open(call, cache)?;
    let columns = columns::resolve(source.features(), "columns", &call.columns)?;
    let features = columns::project(source.features(), &columns);
    let mut encoder = encoder(call.format, &features, &call.media, call.begins)?;
    let num_rows = source.read(&columns, task, &mut |table, numbers| {
        encoder.push(table, numbers)?;
        Ok(encoder.num_bytes() < call.max_bytes)
    })?;
    let piece = encoder.finish()?;
    Ok(Exported { features, piece, num_rows, num_rows_total: call.files.iter().map(|file| file.num_rows).sum() })
}

/// The features of the columns that are asked for, as [`Export::columns`] tells them.
///
/// # Errors
/// [`Parameter`](crate::ErrorKind::Parameter) for a column that is not there.
pub fn chosen(features: &Features, columns: &[String]) -> Result<Features, EngineError> {
    Ok(columns::project(features, &columns::resolve(features, "columns", columns)?))
}

fn encoder<'a>(
    format: Format,
    features: &'a Features,
    media: &'a MediaTarget,
    begins: bool,
) -> Result<Box<dyn Encoder + 'a>, EngineError> {
    Ok(match format {
        Format::Json => Box::new(json::Rows::new(features, media)),
        Format::Ndjson => Box::new(json::Lines::new(features, media)),
        Format::Csv => Box::new(csv::Csv::new(features, media, begins)),
        Format::Arrow => Box::new(arrow_stream::ArrowStream::new(features, begins)?),
        Format::Parquet => Box::new(parquet::RowGroup::new(features)),
    })
}

#[cfg(test)]
mod tests;
