//! The Parquet writer: tables of one split become files whose layout makes a page of rows cheap.
//!
//! Pages hold 1,000 rows and are indexed, so a page of a response costs about one Parquet page per column. Row groups
//! are bounded in rows and bytes, and never span two input files, so that those of an unchanged input can be copied
//! into the next conversion ([`SplitWriter::copy`]). A file gets its name only when it is complete.

mod layout;
mod piece;

use std::fs::Permissions;
use std::io::BufWriter;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use belvedere_domain::Features;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::writer::SerializedFileWriter;
use tempfile::NamedTempFile;

use crate::call::WrittenFile;
use crate::error::{EngineError, ErrorKind};
use crate::features_arrow;
use crate::ranges::Ranges;

pub(crate) use layout::WriteOptions;
pub(crate) use piece::ParquetPiece;

/// Parquet counts the row groups of a file in 16 bits with sign.
const MAX_ROW_GROUPS_PER_FILE: usize = 32_000;
/// Tables are encoded in slices of this many rows, so that the bounds of a row group are looked at often enough.
const SLICE_ROWS: usize = 8_192;

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

/// A file being written.
struct Shard {
    path: PathBuf,
    file: SerializedFileWriter<BufWriter<NamedTempFile>>,
    factory: ArrowRowGroupWriterFactory,
    group: Option<RowGroup>,
    /// Bytes in memory of the tables written.
    num_bytes: u64,
    num_rows: u64,
    /// First row group of the current input.
    input_start: usize,
}

struct RowGroup {
    columns: Vec<ArrowColumnWriter>,
    rows: usize,
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
                layout::properties(&self.schema, layout::Sample::Table(table), &self.options)?,
            )?),
        };
        for start in (0..table.num_rows()).step_by(SLICE_ROWS) {
            shard.write(&table.slice(start, SLICE_ROWS.min(table.num_rows() - start)), &self.options)?;
        }
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
                let properties = layout::properties(&self.schema, layout::Sample::Table(&empty), &self.options)?;
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

impl Shard {
    fn create(output: &Path, path: PathBuf, schema: &SchemaRef, layout: layout::Layout) -> Result<Self, EngineError> {
        let folder = output.join(path.parent().unwrap_or(Path::new("")));
        std::fs::create_dir_all(&folder)?;
        // Removed when it is dropped before it is finished.
        let readable = Permissions::from_mode(0o644);
        let temporary = tempfile::Builder::new().suffix(".parquet.tmp").permissions(readable).tempfile_in(&folder)?;
        let properties = Arc::new(layout.properties);
        let file = SerializedFileWriter::new(BufWriter::new(temporary), layout.schema.root_schema_ptr(), properties)
            .map_err(failed)?;
        let factory = ArrowRowGroupWriterFactory::new(&file, Arc::clone(schema));
        Ok(Self { path, file, factory, group: None, num_bytes: 0, num_rows: 0, input_start: 0 })
    }

    fn row_groups(&self) -> usize {
        self.file.flushed_row_groups().len()
    }

    fn write(&mut self, table: &RecordBatch, options: &WriteOptions) -> Result<(), EngineError> {
        let mut rest = table.clone();
        while rest.num_rows() > 0 {
            let group = match &mut self.group {
                Some(group) => group,
                none => {
                    let columns = self.factory.create_column_writers(self.file.flushed_row_groups().len());
                    none.insert(RowGroup { columns: columns.map_err(failed)?, rows: 0 })
                }
            };
            let fitting = rest.num_rows().min(options.max_row_group_rows.saturating_sub(group.rows).max(1));
            group.write(&rest.slice(0, fitting)).map_err(failed)?;
            rest = rest.slice(fitting, rest.num_rows() - fitting);
            if group.rows >= options.max_row_group_rows || group.memory_size() >= options.max_row_group_bytes {
                self.end_group()?;
            }
        }
        Ok(())
    }

    fn end_group(&mut self) -> Result<(), EngineError> {
        let Some(group) = self.group.take() else { return Ok(()) };
        let mut writer = self.file.next_row_group().map_err(failed)?;
        for column in group.columns {
            column.close().and_then(|chunk| chunk.append_to_row_group(&mut writer)).map_err(failed)?;
        }
        writer.close().map_err(failed)?;
        Ok(())
    }

    fn end_input(&mut self) -> Option<WrittenRun> {
        let end = self.row_groups();
        let first_row_group = std::mem::replace(&mut self.input_start, end);
        let row_groups = end - first_row_group;
        (row_groups > 0).then(|| WrittenRun { path: self.path.clone(), first_row_group, row_groups })
    }

    fn copy(&mut self, source: &Ranges, metadata: &ParquetMetaData, index: usize) -> Result<(), EngineError> {
        self.end_group()?;
        let group = metadata.row_group(index);
        let mut writer = self.file.next_row_group().map_err(failed)?;
        for (position, column) in group.columns().iter().enumerate() {
            let column_index = metadata.column_index().and_then(|index_of| index_of.get(index)?.get(position));
            let offset_index = metadata.offset_index().and_then(|index_of| index_of.get(index)?.get(position));
            let close = ColumnCloseResult {
                bytes_written: column.compressed_size().unsigned_abs(),
                rows_written: group.num_rows().unsigned_abs(),
                metadata: column.clone(),
                bloom_filter: None,
                column_index: column_index.cloned(),
                offset_index: offset_index.cloned(),
            };
            writer.append_column(source, close).map_err(failed)?;
        }
        self.num_rows += group.num_rows().unsigned_abs();
        writer.close().map_err(failed)?;
        Ok(())
    }

    fn finish(mut self, output: &Path) -> Result<WrittenFile, EngineError> {
        self.end_group()?;
        let buffered = self.file.into_inner().map_err(failed)?;
        let temporary = buffered.into_inner().map_err(|error| EngineError::from(error.into_error()))?;
        let file = temporary.persist(output.join(&self.path)).map_err(|error| error.error)?;
        let size = file.metadata()?.len();
        Ok(WrittenFile { path: self.path, size, num_rows: self.num_rows })
    }
}

impl RowGroup {
    fn write(&mut self, table: &RecordBatch) -> Result<(), ParquetError> {
        let mut columns = self.columns.iter_mut();
        for (field, array) in table.schema_ref().fields().iter().zip(table.columns()) {
            for leaf in compute_leaves(field, array)? {
                let writer =
                    columns.next().ok_or_else(|| ParquetError::General("more columns than the schema".into()))?;
                writer.write(&leaf)?;
            }
        }
        self.rows += table.num_rows();
        Ok(())
    }

    fn memory_size(&self) -> usize {
        self.columns.iter().map(ArrowColumnWriter::memory_size).sum()
    }
}

fn shard_path(directory: &str, index: usize) -> PathBuf {
    Path::new(directory).join(format!("{index:04}.parquet"))
}

/// Writing fails because of the disk; anything else is a bug.
fn failed(error: ParquetError) -> EngineError {
    match error {
        ParquetError::External(source) => match source.downcast::<std::io::Error>() {
            Ok(error) => EngineError::from(*error),
            Err(source) => EngineError::new(ErrorKind::Internal, format!("cannot write Parquet: {source}")),
        },
        other => EngineError::new(ErrorKind::Internal, format!("cannot write Parquet: {other}")),
    }
}

#[cfg(test)]
mod tests;
