//! One column of texts in the form that is cheapest to read: codes into the dictionary of the file, or views of its pages.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, RowSelection};
use parquet::arrow::push_decoder::{ParquetPushDecoder, ParquetPushDecoderBuilder};
use parquet::basic::Encoding;
use parquet::file::metadata::ColumnChunkMetaData;

use super::batches::{MAX_FETCH, fetch};
use super::{Group, OpenFile, SplitTable};
use crate::error::EngineError;
use crate::ranges::{Ranges, unreadable};

/// Arrays of one column of a row group, in order: `Utf8View`, or dictionaries of `Utf8` with codes of 32 bits.
pub(crate) struct Texts<'t> {
    file: &'t OpenFile,
    decoder: ParquetPushDecoder,
    ranges: Ranges,
}

impl SplitTable {
    /// The texts of a feature in a group, at most `batch_rows` at a time; `None` where [`read`](Self::read) has to do:
    /// the file lacks the column, stores something else, or has more of it than is fetched at once.
    ///
    /// # Errors
    /// [`Unreadable`](crate::ErrorKind::Unreadable) naming the file.
    pub(crate) fn read_texts(
        &self,
        group: &Group,
        feature: usize,
        rows: Option<RowSelection>,
        batch_rows: usize,
    ) -> Result<Option<Texts<'_>>, EngineError> {
        let file = &self.files[group.file];
        let Some(column) = file.columns[feature] else { return Ok(None) };
        let schema = file.footer.arrow.schema();
        if !matches!(schema.field(column).data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) {
            return Ok(None);
        }
        let mask = ProjectionMask::roots(file.footer.metadata().file_metadata().schema_descr(), [column]);
        let metadata = self.metadata(group);
        let Some(leaf) = (0..metadata.num_columns()).find(|&leaf| mask.leaf_included(leaf)) else { return Ok(None) };
        let chunk = metadata.column(leaf);
        if chunk.byte_range().1 > MAX_FETCH {
            return Ok(None);
        }
        let stored = if is_coded(chunk) {
            DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
        } else {
            DataType::Utf8View
        };
        let open = || {
            let field = |(position, field): (usize, &Arc<Field>)| match position == column {
                true => Arc::new(Field::new(field.name(), stored.clone(), field.is_nullable())),
                false => Arc::clone(field),
            };
            let schema = Schema::new(schema.fields().iter().enumerate().map(field).collect::<Vec<_>>());
            let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
            let arrow = ArrowReaderMetadata::try_new(Arc::clone(file.footer.arrow.metadata()), options)?;
            let mut builder = ParquetPushDecoderBuilder::new_with_metadata(arrow)
                .with_row_groups(vec![group.row_group])
                .with_projection(mask)
                .with_batch_size(batch_rows.max(1));
            if let Some(rows) = rows {
                builder = builder.with_row_selection(rows);
            }
            builder.build()
        };
        let decoder = open().map_err(|error| unreadable(error).in_file(&file.path))?;
        Ok(Some(Texts { file, decoder, ranges: file.ranges.clone() }))
    }
}

/// True when every page holds codes: the writer did not give its dictionary up half-way.
fn is_coded(chunk: &ColumnChunkMetaData) -> bool {
    chunk
        .page_encoding_stats_mask()
        .is_some_and(|pages| pages.is_only(Encoding::RLE_DICTIONARY) || pages.is_only(Encoding::PLAIN_DICTIONARY))
}

impl Iterator for Texts<'_> {
    type Item = Result<ArrayRef, EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        let table = fetch(&mut self.decoder, &self.ranges).map_err(|error| error.in_file(&self.file.path));
        table.transpose().map(|table| table.map(|table| Arc::clone(table.column(0))))
    }
}
