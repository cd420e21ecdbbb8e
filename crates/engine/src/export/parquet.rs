//! Parquet: each piece is a whole file of one row group; [`ParquetJoin`] makes one file of the pieces.

use arrow::array::RecordBatch;
use belvedere_domain::Features;
use bytes::Bytes;
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;

use super::{Encoder, arrow_stream};
use crate::call::Piece;
use crate::error::{EngineError, ErrorKind};
use crate::features_arrow::to_schema;
use crate::ranges::unreadable;
use crate::write::ParquetPiece;

/// A piece in the making.
pub(super) struct RowGroup<'a> {
    features: &'a Features,
    piece: Option<ParquetPiece>,
}

impl<'a> RowGroup<'a> {
    pub(super) fn new(features: &'a Features) -> Self {
        Self { features, piece: None }
    }
}

impl Encoder for RowGroup<'_> {
    fn push(&mut self, table: &RecordBatch, _: &[u64]) -> Result<(), EngineError> {
        let table = arrow_stream::with_schema(table, &to_schema(self.features, true))?;
        let piece = match &mut self.piece {
            Some(piece) => piece,
            none => none.insert(ParquetPiece::begin(&table)?),
        };
        piece.write(&table)
    }

    fn num_bytes(&self) -> usize {
        self.piece.as_ref().map_or(0, ParquetPiece::memory_size)
    }

    fn finish(self: Box<Self>) -> Result<Piece, EngineError> {
        let piece = match self.piece {
            Some(piece) => piece,
            None => ParquetPiece::begin(&RecordBatch::new_empty(to_schema(self.features, true)))?,
        };
        Ok(Piece::Bytes(piece.finish()?.into()))
    }
}

/// Makes one file of many small ones with the same columns, while they come: row groups are passed on as they are, the
/// footer is written last. Holds nothing but the footer.
#[derive(Default)]
pub struct ParquetJoin {
    writer: Option<SerializedFileWriter<Vec<u8>>>,
}

impl ParquetJoin {
    /// The next bytes of the file, for one more piece.
    ///
    /// # Errors
    /// [`Unreadable`](ErrorKind::Unreadable) when the piece is no Parquet file, [`Internal`](ErrorKind::Internal) when
    /// its columns are not those of the first.
    pub fn push(&mut self, piece: Bytes) -> Result<Bytes, EngineError> {
        let metadata = ParquetMetaDataReader::new()
            .with_page_index_policy(PageIndexPolicy::Optional)
            .parse_and_finish(&piece)
            .map_err(unreadable)?;
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => none.insert(begin(&metadata).map_err(failed)?),
        };
        for index in 0..metadata.num_row_groups() {
            append(writer, &piece, &metadata, index).map_err(failed)?;
        }
        writer.flush().map_err(EngineError::from)?;
        Ok(std::mem::take(writer.inner_mut()).into())
    }

    /// The last bytes of the file. None without a piece.
    ///
    /// # Errors
    /// [`Internal`](ErrorKind::Internal), for no known reason.
    pub fn finish(self) -> Result<Bytes, EngineError> {
        Ok(match self.writer {
            Some(writer) => writer.into_inner().map_err(failed)?.into(),
            None => Bytes::new(),
        })
    }
}

fn begin(metadata: &ParquetMetaData) -> Result<SerializedFileWriter<Vec<u8>>, ParquetError> {
    let file = metadata.file_metadata();
    let properties = WriterProperties::builder()
        .set_created_by(file.created_by().unwrap_or_default().to_owned())
        .set_key_value_metadata(file.key_value_metadata().cloned())
        .build();
    SerializedFileWriter::new(Vec::new(), file.schema_descr().root_schema_ptr(), properties.into())
}

fn append(
    writer: &mut SerializedFileWriter<Vec<u8>>,
    piece: &Bytes,
    metadata: &ParquetMetaData,
    index: usize,
) -> Result<(), ParquetError> {
    let group = metadata.row_group(index);
    let mut row_group = writer.next_row_group()?;
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
        row_group.append_column(piece, close)?;
    }
    row_group.close()?;
    Ok(())
}

fn failed(error: ParquetError) -> EngineError {
    EngineError::new(ErrorKind::Internal, format!("cannot join Parquet files: {error}"))
}
