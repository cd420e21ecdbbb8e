//! Parquet files as a source of tables. Parameters: `columns` (names, kept in that order), `batch_size`.

use std::io::{self, Read};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use belvedere_domain::data_files::ResolvedConfig;
use bytes::{Buf, Bytes};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use super::TableStream;
use super::parameters::Parameters;
use crate::error::{EngineError, ErrorKind};
use crate::features_arrow;
use crate::source::{LocalFile, Progress, ReadRanges, SourceFile};

/// Rows of a table when `batch_size` does not say otherwise.
const BATCH_ROWS: u64 = 1_000;

/// Opens a Parquet file.
pub(super) fn open(config: &ResolvedConfig, file: &SourceFile) -> Result<Box<dyn TableStream>, EngineError> {
    let parameters = Parameters(&config.parameters);
    let stream = open_with(file, parameters.count("batch_size")?.unwrap_or(BATCH_ROWS), parameters.texts("columns")?)?;
    Ok(Box::new(stream.with_short_dates()))
}

/// Opens a Parquet file: some columns in their order, or all of them, in tables of so many rows.
pub(super) fn open_with(
    file: &SourceFile,
    rows: u64,
    columns: Option<Vec<String>>,
) -> Result<ParquetStream, EngineError> {
    let source = Source { file: Arc::new(LocalFile::open(file)?), progress: Progress::default() };
    let progress = source.progress.clone();
    let size = source.file.size();
    let builder = ParquetRecordBatchReaderBuilder::try_new(source).map_err(unreadable)?;
    let mut builder = builder.with_batch_size(usize::try_from(rows.clamp(1, 1_000_000)).unwrap_or(usize::MAX));
    let mut order = None;
    if let Some(columns) = columns {
        let schema = Arc::clone(builder.schema());
        let places = columns.iter().map(|column| {
            schema.index_of(column).map_err(|_| {
                let message = "parameter `columns`: the file has no such column";
                EngineError::new(ErrorKind::Parameter, message).in_column(column)
            })
        });
        let places = places.collect::<Result<Vec<_>, _>>()?;
        let mask = ProjectionMask::roots(builder.parquet_schema(), places);
        builder = builder.with_projection(mask);
        order = Some(columns);
    }
    // The batches do not carry the metadata of the file, which tell the features.
    let metadata = builder.schema().metadata().clone();
    let reader = builder.build().map_err(unreadable)?;
    let schema = arrow::array::RecordBatchReader::schema(&reader);
    let schema = Arc::new(Schema::new_with_metadata(schema.fields().clone(), metadata));
    let places = order.map(|columns| columns.iter().filter_map(|column| schema.index_of(column).ok()).collect());
    let path = file.path.clone();
    Ok(ParquetStream { reader, schema, short_dates: None, places, progress, size, done: false, path })
}

pub(super) struct ParquetStream {
    reader: ParquetRecordBatchReader,
    schema: SchemaRef,
    /// What batches are cast to, where that is another schema.
    short_dates: Option<SchemaRef>,
    /// Columns of the batches in the order asked.
    places: Option<Vec<usize>>,
    progress: Progress,
    size: u64,
    done: bool,
    path: String,
}

impl ParquetStream {
    /// Parquet has one type for dates, so no other is told of, whatever the Arrow schema beside it says.
    fn with_short_dates(mut self) -> Self {
        let short = features_arrow::with_short_dates(&self.schema);
        self.short_dates = (short != *self.schema).then(|| Arc::new(short));
        self
    }

    fn read_table(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        let Some(batch) = self.reader.next() else {
            self.done = true;
            return Ok(None);
        };
        let batch = batch.map_err(|error| match error {
            arrow::error::ArrowError::ExternalError(inner) => match inner.downcast::<ParquetError>() {
                Ok(inner) => unreadable(*inner),
                Err(inner) => EngineError::new(ErrorKind::Unreadable, format!("damaged Parquet data: {inner}")),
            },
            error => EngineError::new(ErrorKind::Unreadable, format!("damaged Parquet data: {error}")),
        })?;
        let internal = |error| EngineError::new(ErrorKind::Internal, error);
        let batch = batch.with_schema(Arc::clone(&self.schema)).map_err(internal)?;
        let batch = match &self.short_dates {
            None => batch,
            Some(schema) => {
                let cast = |(array, field): (&ArrayRef, &FieldRef)| arrow::compute::cast(array, field.data_type());
                let columns = batch.columns().iter().zip(schema.fields()).map(cast).collect::<Result<_, _>>();
                let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
                columns
                    .and_then(|columns| RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options))
                    .map_err(internal)?
            }
        };
        match &self.places {
            Some(places) => batch.project(places).map(Some).map_err(internal),
            None => Ok(Some(batch)),
        }
    }
}

impl TableStream for ParquetStream {
    fn next_table(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        self.read_table().map_err(|error| error.in_file(&self.path))
    }

    fn bytes_consumed(&self) -> u64 {
        // Footers are read first and some pages never: the end counts as everything.
        if self.done { self.size } else { self.progress.bytes().min(self.size) }
    }
}

fn unreadable(error: ParquetError) -> EngineError {
    let message = match error {
        ParquetError::External(inner) => match inner.downcast::<EngineError>() {
            Ok(own) => return *own,
            Err(other) => other.to_string(),
        },
        other => other.to_string(),
    };
    EngineError::new(ErrorKind::Unreadable, format!("damaged Parquet data: {message}"))
}

/// A file as the Parquet crate wants to read it.
struct Source {
    file: Arc<LocalFile>,
    /// Bytes fetched.
    progress: Progress,
}

impl Source {
    fn fetch(&self, start: u64, length: usize) -> Result<Bytes, EngineError> {
        let range = start..start.saturating_add(length as u64);
        let mut parts = self.file.read_ranges(std::slice::from_ref(&range))?;
        self.progress.reach(self.progress.bytes() + length as u64);
        Ok(parts.pop().unwrap_or_default())
    }
}

impl Length for Source {
    fn len(&self) -> u64 {
        self.file.size()
    }
}

impl ChunkReader for Source {
    type T = ChunkStream;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        let source = Self { file: Arc::clone(&self.file), progress: self.progress.clone() };
        Ok(ChunkStream { source, position: start, ahead: Bytes::new() })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        self.fetch(start, length).map_err(|error| ParquetError::External(Box::new(error)))
    }
}

/// Reads on from a position, a piece at a time.
struct ChunkStream {
    source: Source,
    position: u64,
    ahead: Bytes,
}

impl Read for ChunkStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        const PIECE: u64 = 64 << 10;
        if self.ahead.is_empty() {
            let left = self.source.len().saturating_sub(self.position).min(PIECE);
            self.ahead =
                self.source.fetch(self.position, usize::try_from(left).unwrap_or(0)).map_err(io::Error::other)?;
            self.position += self.ahead.len() as u64;
        }
        let length = buffer.len().min(self.ahead.len());
        self.ahead.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

#[cfg(test)]
mod tests;
