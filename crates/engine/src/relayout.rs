//! Private copies of Parquet files of others, in the layout that makes a page of rows cheap.
//!
//! Whether a copy is worth its room is decided from the footer ([`cost`]). A copy has the rows, the schema and the
//! metadata of its original, to the last detail that a reader sees; where that cannot be had, there is no copy.

mod cost;

use std::ops::ControlFlow;

use arrow::datatypes::SchemaRef;
use parquet::file::metadata::ParquetMetaData;

use crate::call::{FooterFacts, FooterList, Footers, Relaid, Relayout, WrittenFile};
use crate::convert::for_each_table;
use crate::error::EngineError;
use crate::footers::{Footer, FooterCache, chunks};
use crate::ranges::Ranges;
use crate::read;
use crate::source::{LocalFile, SourceFile};
use crate::write::{WholeFileWriter, WriteOptions};

/// Name of the copy in the directory of the call.
const NAME: &str = "copy.parquet";
/// Tables are read in pieces of about this size in memory.
const TABLE_BYTES: u64 = 16 << 20;
const TABLE_ROWS: u64 = 8_192;

/// Answers [`Call::Footers`](crate::Call::Footers).
///
/// # Errors
/// Those of reading a footer, naming the file.
pub(crate) fn facts(call: &Footers, cache: &FooterCache) -> Result<FooterList, EngineError> {
    let fact = |file: &SourceFile| {
        let (_, footer) = cache.open(file)?;
        let metadata = footer.metadata();
        Ok(FooterFacts { num_rows: footer.num_rows(), poor: cost::is_poor(metadata), chunks: chunks::of(metadata) })
    };
    Ok(FooterList { files: call.files.iter().map(fact).collect::<Result<_, EngineError>>()? })
}

/// Answers [`Call::Relayout`](crate::Call::Relayout).
///
/// # Errors
/// Those of reading the file and of writing the copy; what is written of it then is for the caller to remove.
pub(crate) fn relayout(call: &Relayout, options: WriteOptions, footers: &FooterCache) -> Result<Relaid, EngineError> {
    let (_, original) = footers.open(&call.file)?;
    Ok(match copy(call, &original, options)? {
        Err(instead) => instead,
        Ok((_, copy)) if !cost::is_better(copy.metadata(), original.metadata()) => {
            left("another layout would hardly help")
        }
        Ok((written, _)) => Relaid::Written(written),
    })
}

/// The copy with its footer, or what there is instead.
fn copy(
    call: &Relayout,
    original: &Footer,
    options: WriteOptions,
) -> Result<Result<(WrittenFile, Footer), Relaid>, EngineError> {
    let schema = original.arrow.schema();
    let stream = read::parquet_file(&call.file, rows_of_tables(original.metadata()))?;
    let mut writer = WholeFileWriter::new(&call.output, NAME, SchemaRef::clone(schema), options);
    let mut too_big = false;
    for_each_table(stream, call.file.size, |table| {
        writer.write(&table).map_err(|error| error.in_file(&call.file.path))?;
        too_big = writer.bytes_written() > call.max_bytes;
        Ok(if too_big { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    if too_big {
        return Ok(Err(Relaid::TooBig));
    }
    let Some(written) = writer.finish()? else { return Ok(Err(left("the file has no rows"))) };
    if written.size > call.max_bytes {
        return Ok(Err(Relaid::TooBig));
    }
    let copy = SourceFile {
        path: call.file.path.clone(),
        local_path: call.output.join(&written.path),
        size: written.size,
        identity: None,
    };
    let copy = Footer::read(&Ranges::new(LocalFile::open(&copy)?), &call.file.path)?;
    Ok(match is_the_same(original, &copy) {
        true => Ok((written, copy)),
        false => Err(left("a copy would not have the same types")),
    })
}

fn left(reason: &str) -> Relaid {
    Relaid::Left { reason: reason.to_owned() }
}

/// True when readers cannot tell the copy from the original.
fn is_the_same(original: &Footer, copy: &Footer) -> bool {
    original.num_rows() == copy.num_rows()
        && original.arrow.schema() == copy.arrow.schema()
        && original.features().ok() == copy.features().ok()
        && original.told_features() == copy.told_features()
}

/// Few rows at a time where rows are big, so that memory is bounded whatever the file.
fn rows_of_tables(metadata: &ParquetMetaData) -> u64 {
    let bytes_per_row = |group: &parquet::file::metadata::RowGroupMetaData| {
        group.total_byte_size().unsigned_abs() / group.num_rows().unsigned_abs().max(1)
    };
    let biggest = metadata.row_groups().iter().map(bytes_per_row).max().unwrap_or_default();
    (TABLE_BYTES / biggest.max(1)).clamp(1, TABLE_ROWS)
}

#[cfg(test)]
mod tests;
