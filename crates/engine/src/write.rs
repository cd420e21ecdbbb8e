//! The Parquet writer: tables of one split become files whose layout makes a page of rows cheap.
//!
//! Pages hold 1,000 rows and are indexed, so a page of a response costs about one Parquet page per column. Row groups
//! are bounded in rows and bytes, and never span two input files, so that those of an unchanged input can be copied
//! into the next conversion ([`SplitWriter::copy`]). A file gets its name only when it is complete.

mod bloom;
mod file;
mod layout;
mod piece;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use belvedere_domain::Features;
use parquet::file::metadata::ParquetMetaData;

use crate::call::WrittenFile;
use crate::error::EngineError;
use crate::features_arrow;
use crate::ranges::Ranges;
use file::Shard;

pub(crate) use file::WholeFileWriter;
pub(crate) use layout::{PAGE_BYTES, PAGE_ROWS, WriteOptions};
pub(crate) use piece::ParquetPiece;

/// Parquet counts the row groups of a file in 16 bits with sign.
const MAX_ROW_GROUPS_PER_FILE: usize = 32_000;

/// Writes the files of one split.
pub(crate) struct SplitWriter {
    output: PathBuf,
    /// Directory below `output`.
    directory: String,
    /// Of the files, with the features in its metadata.
    schema: SchemaRef,
    options: WriteOptions,
    shard: Option<Shard>,
    written: Vec<WrittenFile>,
}

/// Row groups that were written one after the other into one file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct WrittenRun {
    /// Relative to the output.
    pub(crate) path: PathBuf,
    /// The first of them in that file.
    pub(crate) first_row_group: usize,
    /// Their number.
    pub(crate) row_groups: usize,
}

impl SplitWriter {
    /// A writer into `<output>/<directory>/NNNN.parquet`. Nothing is written before the first table.
    pub(crate) fn new(output: &Path, directory: &str, features: &Features, options: WriteOptions) -> Self {
        Self {
            output: output.to_owned(),
            directory: directory.to_owned(),
            schema: layout::stored_schema(&features_arrow::to_schema(features, true)),
            options,
            shard: None,
            written: Vec::new(),
        }
    }

    /// Writes a table of the schema of the features; `num_bytes` are its bytes in memory. Returns the row groups of
    /// the current input in the file before, if the table begins a new file.
    pub(crate) fn write(&mut self, table: &RecordBatch, num_bytes: u64) -> Result<Option<WrittenRun>, EngineError> {
        if table.num_rows() == 0 {
            return Ok(None);
        }
        let finished = self.make_room()?;
        let table = &layout::stored(table, &self.schema)?;
        let shard = match &mut self.shard {
            Some(shard) => shard,
            none => none.insert(Shard::create(
                &self.output,
                shard_path(&self.directory, self.written.len()),
                &self.schema,
                layout::properties(
                    &self.schema,
                    layout::ItemNames::Standard,
                    layout::Sample::Table(table),
                    &self.options,
                )?,
            )?),
        };
        shard.write(table, &self.options)?;
        shard.num_bytes += num_bytes;
        shard.num_rows += table.num_rows() as u64;
        Ok(finished)
    }

    /// Copies row groups, byte for byte, from a file with the same schema.
    ///
    /// # Errors
    /// [`Internal`](ErrorKind::Internal) when the schemas differ; those of reading.
    pub(crate) fn copy(
        &mut self,
        source: &Ranges,
        metadata: &ParquetMetaData,
        row_groups: std::ops::Range<usize>,
        num_bytes: u64,
    ) -> Result<Option<WrittenRun>, EngineError> {
        let finished = self.make_room()?;
        let shard = match &mut self.shard {
            Some(shard) => shard,
            none => none.insert(Shard::create(
                &self.output,
                shard_path(&self.directory, self.written.len()),
                &self.schema,
                layout::properties(
                    &self.schema,
                    layout::ItemNames::Standard,
                    layout::Sample::RowGroup(metadata.row_group(row_groups.start)),
                    &self.options,
                )?,
            )?),
        };
        for index in row_groups {
            shard.copy(source, metadata, index)?;
        }
        shard.num_bytes += num_bytes;
        Ok(finished)
    }

    /// Ends the current input: what follows goes to another row group. Returns where its last rows went.
    pub(crate) fn end_input(&mut self) -> Result<Option<WrittenRun>, EngineError> {
        let Some(shard) = &mut self.shard else { return Ok(None) };
        shard.end_group()?;
        Ok(shard.end_input())
    }

    /// Completes the last file. A split without rows is one file without row groups.
    pub(crate) fn finish(mut self) -> Result<Vec<WrittenFile>, EngineError> {
        match self.shard.take() {
            Some(shard) => self.written.push(shard.finish(&self.output)?),
            None if self.written.is_empty() => {
                let empty = RecordBatch::new_empty(Arc::clone(&self.schema));
                let properties = layout::properties(
                    &self.schema,
                    layout::ItemNames::Standard,
                    layout::Sample::Table(&empty),
                    &self.options,
                )?;
                let path = shard_path(&self.directory, 0);
                self.written.push(Shard::create(&self.output, path, &self.schema, properties)?.finish(&self.output)?);
            }
            None => {}
        }
        Ok(self.written)
    }

    /// Completes the current file if it is full.
    fn make_room(&mut self) -> Result<Option<WrittenRun>, EngineError> {
        let full = |shard: &Shard| {
            shard.num_bytes >= self.options.max_shard_bytes || shard.row_groups() >= MAX_ROW_GROUPS_PER_FILE
        };
        let Some(mut shard) = self.shard.take_if(|shard| full(shard)) else { return Ok(None) };
        shard.end_group()?;
        let run = shard.end_input();
        self.written.push(shard.finish(&self.output)?);
        Ok(run)
    }
}

fn shard_path(directory: &str, index: usize) -> PathBuf {
    Path::new(directory).join(format!("{index:04}.parquet"))
}

#[cfg(test)]
mod tests;
