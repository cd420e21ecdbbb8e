//! A small Parquet file in memory, with the layout of the large ones.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::arrow_writer::ArrowRowGroupWriterFactory;
use parquet::file::writer::SerializedFileWriter;

use super::file::{RowGroup, failed};
use super::{WriteOptions, layout};
use crate::error::EngineError;

/// A file of one row group, or of none as long as nothing was written.
pub(crate) struct ParquetPiece {
    schema: SchemaRef,
    file: SerializedFileWriter<Vec<u8>>,
    group: RowGroup,
}

impl ParquetPiece {
    /// A file for tables of the schema of this one, which decides the layout and is not written yet.
    pub(crate) fn begin(first: &RecordBatch) -> Result<Self, EngineError> {
        let schema = layout::stored_schema(first.schema_ref());
        let first = layout::stored(first, &schema)?;
        let layout = layout::properties(
            &schema,
            layout::ItemNames::Standard,
            layout::Sample::Table(&first),
            &WriteOptions::default(),
        )?;
        let root = layout.schema.root_schema_ptr();
        let file = SerializedFileWriter::new(Vec::new(), root, Arc::new(layout.properties)).map_err(failed)?;
        let factory = ArrowRowGroupWriterFactory::new(&file, Arc::clone(&schema));
        let group = RowGroup { columns: factory.create_column_writers(0).map_err(failed)?, rows: 0 };
        Ok(Self { schema, file, group })
    }

    /// Adds a table.
    pub(crate) fn write(&mut self, table: &RecordBatch) -> Result<(), EngineError> {
        self.group.write(&layout::stored(table, &self.schema)?).map_err(failed)
    }

    /// Bytes held, about.
    pub(crate) fn memory_size(&self) -> usize {
        self.group.memory_size()
    }

    /// The file.
    pub(crate) fn finish(mut self) -> Result<Vec<u8>, EngineError> {
        if self.group.rows > 0 {
            let mut writer = self.file.next_row_group().map_err(failed)?;
            for column in self.group.columns {
                column.close().and_then(|chunk| chunk.append_to_row_group(&mut writer)).map_err(failed)?;
            }
            writer.close().map_err(failed)?;
        }
        self.file.into_inner().map_err(failed)
    }
}
