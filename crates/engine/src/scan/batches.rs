//! Some columns of a row group as tables.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use belvedere_domain::Feature;
use parquet::DecodeResult;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection};
use parquet::arrow::push_decoder::{ParquetPushDecoder, ParquetPushDecoderBuilder};

use super::{Group, OpenFile, SplitTable};
use crate::error::EngineError;
use crate::features_arrow;
use crate::ranges::{Ranges, unreadable};
use crate::rows::stored_as;
use crate::source::ReadRanges;

/// Compressed bytes of the chosen columns of a row group that are fetched in one read; larger ones stream page by page.
pub(crate) const MAX_FETCH: u64 = 64 << 20;

/// Tables of one row group, in order.
pub(crate) struct Batches<'t> {
    file: &'t OpenFile,
    source: Source,
    /// Features of the columns, and whether the file has them.
    columns: Vec<(&'t str, &'t Feature, bool)>,
    schema: SchemaRef,
}

/// Some leaf columns of a row group, as the file has them.
pub(super) enum Source {
    /// All bytes of the wanted pages in one read.
    Fetched(Box<ParquetPushDecoder>, Ranges),
    /// Page by page.
    Streamed(ParquetRecordBatchReader),
    /// No column of the file is wanted: numbers of rows still to come, and per table.
    Counted { left: usize, batch_rows: usize },
}

impl<'t> Batches<'t> {
    pub(super) fn open(
        table: &'t SplitTable,
        group: &Group,
        columns: &[usize],
        rows: Option<RowSelection>,
        batch_rows: usize,
    ) -> Result<Self, EngineError> {
        let file = &table.files[group.file];
        let in_file: Vec<usize> = columns.iter().filter_map(|&column| file.columns[column]).collect();
        let schema = file.footer.metadata().file_metadata().schema_descr();
        let mask = (!in_file.is_empty()).then(|| ProjectionMask::roots(schema, in_file));
        let source = Source::open(table, group, mask, rows, batch_rows)?;
        let described = |&column: &usize| {
            let (name, feature) = &table.features[column];
            (name.as_str(), feature, file.columns[column].is_some())
        };
        let columns: Vec<_> = columns.iter().map(described).collect();
        let fields: Vec<_> = columns.iter().map(|(name, feature, _)| features_arrow::field(name, feature)).collect();
        Ok(Self { file, source, columns, schema: Arc::new(Schema::new(fields)) })
    }

    fn next_table(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        let table = self.source.next_table()?;
        table.map(|table| self.conform(&table)).transpose()
    }

    /// The columns in the order and storage of the features.
    fn conform(&self, table: &RecordBatch) -> Result<RecordBatch, EngineError> {
        let column = |(name, feature, is_there): &(&str, &Feature, bool)| -> Result<ArrayRef, EngineError> {
            match table.column_by_name(name).filter(|_| *is_there) {
                Some(array) => {
                    stored_as(array, feature).map(std::borrow::Cow::into_owned).map_err(|error| error.in_column(name))
                }
                None => Ok(new_null_array(&features_arrow::data_type(feature), table.num_rows())),
            }
        };
        // The names and marks of nested fields may differ from file to file.
        let exactly = |(array, field): (ArrayRef, &FieldRef)| match array.data_type() == field.data_type() {
            true => Ok(array),
            false => arrow::compute::cast(&array, field.data_type())
                .map_err(|error| EngineError::new(crate::ErrorKind::Internal, error).in_column(field.name())),
        };
        let columns = self.columns.iter().map(column).collect::<Result<Vec<_>, _>>()?;
        let columns = columns.into_iter().zip(self.schema.fields()).map(exactly).collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(table.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| EngineError::new(crate::ErrorKind::Internal, error))
    }
}

impl Source {
    /// The columns of a mask, or of none only their rows.
    pub(super) fn open(
        table: &SplitTable,
        group: &Group,
        mask: Option<ProjectionMask>,
        rows: Option<RowSelection>,
        batch_rows: usize,
    ) -> Result<Self, EngineError> {
        let Some(mask) = mask else {
            let left = rows.as_ref().map_or(group.num_rows, RowSelection::row_count);
            return Ok(Self::Counted { left, batch_rows: batch_rows.max(1) });
        };
        let (file, metadata) = (&table.files[group.file], table.metadata(group));
        let wanted = (0..metadata.num_columns()).filter(|&leaf| mask.leaf_included(leaf));
        let bytes: u64 = wanted.map(|leaf| metadata.column(leaf).byte_range().1).sum();
        let fetch = bytes <= MAX_FETCH || rows.is_some();
        open(file, group, mask, rows, batch_rows, fetch).map_err(|error| error.in_file(&file.path))
    }

    pub(super) fn next_table(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        match self {
            Self::Fetched(decoder, ranges) => fetch(decoder, ranges),
            Self::Streamed(reader) => reader.next().transpose().map_err(|error| unreadable(error.into())),
            Self::Counted { left, batch_rows } => {
                let rows = (*left).min(*batch_rows);
                *left -= rows;
                Ok((rows > 0).then(|| empty_columns(rows)))
            }
        }
    }
}

impl Iterator for Batches<'_> {
    type Item = Result<RecordBatch, EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_table().map_err(|error| error.in_file(&self.file.path)).transpose()
    }
}

fn empty_columns(rows: usize) -> RecordBatch {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options)
        .expect("a table without columns has any number of rows")
}

fn open(
    file: &OpenFile,
    group: &Group,
    mask: ProjectionMask,
    rows: Option<RowSelection>,
    batch_rows: usize,
    fetch: bool,
) -> Result<Source, EngineError> {
    if fetch {
        let mut builder = ParquetPushDecoderBuilder::new_with_metadata(file.footer.arrow.clone())
            .with_row_groups(vec![group.row_group])
            .with_projection(mask)
            .with_batch_size(batch_rows.max(1));
        if let Some(rows) = rows {
            builder = builder.with_row_selection(rows);
        }
        return Ok(Source::Fetched(Box::new(builder.build().map_err(unreadable)?), file.ranges.clone()));
    }
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file.ranges.clone(), file.footer.arrow.clone())
        .with_row_groups(vec![group.row_group])
        .with_projection(mask)
        .with_batch_size(batch_rows.max(1));
    Ok(Source::Streamed(builder.build().map_err(unreadable)?))
}

pub(super) fn fetch(decoder: &mut ParquetPushDecoder, file: &Ranges) -> Result<Option<RecordBatch>, EngineError> {
    loop {
        match decoder.try_decode().map_err(unreadable)? {
            DecodeResult::NeedsData(ranges) => {
                let data = file.read_ranges(&ranges)?;
                decoder.push_ranges(ranges, data).map_err(unreadable)?;
            }
            DecodeResult::Data(batch) => return Ok(Some(batch)),
            DecodeResult::Finished => return Ok(None),
        }
    }
}
