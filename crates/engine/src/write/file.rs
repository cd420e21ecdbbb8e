//! One Parquet file: row groups, bounded in rows and bytes, written into a file that gets its name when it is complete.

use std::fs::Permissions;
use std::io::BufWriter;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::bloom_filter::Sbbf;
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::writer::SerializedFileWriter;
use tempfile::NamedTempFile;

use super::WrittenRun;
use super::layout::{self, WriteOptions};
use crate::call::WrittenFile;
use crate::error::{EngineError, ErrorKind};
use crate::ranges::{Ranges, unreadable};

/// Tables are encoded in slices of this many rows, so that the bounds of a row group are looked at often enough.
const SLICE_ROWS: usize = 8_192;

/// Writes one file whose schema is taken as it is, types that other programs may not know included: for files that
/// only we read.
pub(crate) struct WholeFileWriter {
    output: PathBuf,
    name: PathBuf,
    schema: SchemaRef,
    options: WriteOptions,
    file: Option<Shard>,
}

impl WholeFileWriter {
    /// A writer of `<output>/<name>`. Nothing is written before the first table.
    pub(crate) fn new(output: &Path, name: &str, schema: SchemaRef, options: WriteOptions) -> Self {
        Self { output: output.to_owned(), name: name.into(), schema, options, file: None }
    }

    /// Writes a table of the schema.
    pub(crate) fn write(&mut self, table: &RecordBatch) -> Result<(), EngineError> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(Shard::create(
                &self.output,
                self.name.clone(),
                &self.schema,
                layout::properties(
                    &self.schema,
                    layout::ItemNames::AsTheyAre,
                    layout::Sample::Table(table),
                    &self.options,
                )?,
            )?),
        };
        file.write(table, &self.options)?;
        file.num_rows += table.num_rows() as u64;
        Ok(())
    }

    /// Bytes of the row groups that are complete.
    pub(crate) fn bytes_written(&self) -> u64 {
        self.file.as_ref().map_or(0, |file| file.file.bytes_written() as u64)
    }

    /// Completes the file; `None` when it got no table.
    pub(crate) fn finish(self) -> Result<Option<WrittenFile>, EngineError> {
        self.file.map(|file| file.finish(&self.output)).transpose()
    }
}

/// A file being written.
pub(super) struct Shard {
    path: PathBuf,
    file: SerializedFileWriter<BufWriter<NamedTempFile>>,
    factory: ArrowRowGroupWriterFactory,
    group: Option<RowGroup>,
    /// Bytes in memory of the tables written.
    pub(super) num_bytes: u64,
    pub(super) num_rows: u64,
    /// First row group of the current input.
    input_start: usize,
}

/// The encoded columns of a row group.
pub(super) struct RowGroup {
    pub(super) columns: Vec<ArrowColumnWriter>,
    pub(super) rows: usize,
}

impl Shard {
    pub(super) fn create(
        output: &Path,
        path: PathBuf,
        schema: &SchemaRef,
        layout: layout::Layout,
    ) -> Result<Self, EngineError> {
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

    pub(super) fn row_groups(&self) -> usize {
        self.file.flushed_row_groups().len()
    }

    /// Writes a table of the schema of the file.
    pub(super) fn write(&mut self, table: &RecordBatch, options: &WriteOptions) -> Result<(), EngineError> {
        for start in (0..table.num_rows()).step_by(SLICE_ROWS) {
            self.write_slice(table.slice(start, SLICE_ROWS.min(table.num_rows() - start)), options)?;
        }
        Ok(())
    }

    fn write_slice(&mut self, mut rest: RecordBatch, options: &WriteOptions) -> Result<(), EngineError> {
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

    pub(super) fn end_group(&mut self) -> Result<(), EngineError> {
        let Some(group) = self.group.take() else { return Ok(()) };
        let mut writer = self.file.next_row_group().map_err(failed)?;
        for column in group.columns {
            column.close().and_then(|chunk| chunk.append_to_row_group(&mut writer)).map_err(failed)?;
        }
        writer.close().map_err(failed)?;
        Ok(())
    }

    pub(super) fn end_input(&mut self) -> Option<WrittenRun> {
        let end = self.row_groups();
        let first_row_group = std::mem::replace(&mut self.input_start, end);
        let row_groups = end - first_row_group;
        (row_groups > 0).then(|| WrittenRun { path: self.path.clone(), first_row_group, row_groups })
    }

    pub(super) fn copy(
        &mut self,
        source: &Ranges,
        metadata: &ParquetMetaData,
        index: usize,
    ) -> Result<(), EngineError> {
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
                bloom_filter: Sbbf::read_from_column_chunk(column, source).map_err(unreadable)?,
                column_index: column_index.cloned(),
                offset_index: offset_index.cloned(),
            };
            writer.append_column(source, close).map_err(failed)?;
        }
        self.num_rows += group.num_rows().unsigned_abs();
        writer.close().map_err(failed)?;
        Ok(())
    }

    pub(super) fn finish(mut self, output: &Path) -> Result<WrittenFile, EngineError> {
        self.end_group()?;
        let buffered = self.file.into_inner().map_err(failed)?;
        let temporary = buffered.into_inner().map_err(|error| EngineError::from(error.into_error()))?;
        let file = temporary.persist(output.join(&self.path)).map_err(|error| error.error)?;
        let size = file.metadata()?.len();
        Ok(WrittenFile { path: self.path, size, num_rows: self.num_rows })
    }
}

impl RowGroup {
    pub(super) fn write(&mut self, table: &RecordBatch) -> Result<(), ParquetError> {
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

    pub(super) fn memory_size(&self) -> usize {
        self.columns.iter().map(ArrowColumnWriter::memory_size).sum()
    }
}

/// Writing fails because of the disk; anything else is a bug.
pub(super) fn failed(error: ParquetError) -> EngineError {
    match error {
        ParquetError::External(source) => match source.downcast::<std::io::Error>() {
            Ok(error) => EngineError::from(*error),
            Err(source) => EngineError::new(ErrorKind::Internal, format!("cannot write Parquet: {source}")),
        },
        other => EngineError::new(ErrorKind::Internal, format!("cannot write Parquet: {other}")),
    }
}
