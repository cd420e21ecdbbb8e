//! The Arrow IPC stream: the schema with the first piece, then record batches. The end mark is [`END_OF_STREAM`].

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use belvedere_domain::Features;

use super::Encoder;
use crate::call::Piece;
use crate::error::{EngineError, ErrorKind};
use crate::features_arrow::to_schema;

/// A continuation mark and no message: what ends a stream.
pub const END_OF_STREAM: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

pub(super) struct ArrowStream {
    schema: SchemaRef,
    writer: StreamWriter<Vec<u8>>,
}

impl ArrowStream {
    pub(super) fn new(features: &Features, begins: bool) -> Result<Self, EngineError> {
        let schema = to_schema(features, true);
        let mut writer = StreamWriter::try_new(Vec::new(), &schema).map_err(failed)?;
        writer.flush().map_err(failed)?;
        if !begins {
            // The reader has the schema already. Our columns have no dictionaries, so nothing else is shared.
            writer.get_mut().clear();
        }
        Ok(Self { schema, writer })
    }
}

impl Encoder for ArrowStream {
    fn push(&mut self, table: &RecordBatch, _: &[u64]) -> Result<(), EngineError> {
        self.writer.write(&with_schema(table, &self.schema)?).map_err(failed)
    }

    fn num_bytes(&self) -> usize {
        self.writer.get_ref().len()
    }

    fn finish(mut self: Box<Self>) -> Result<Piece, EngineError> {
        self.writer.flush().map_err(failed)?;
        Ok(Piece::Bytes(std::mem::take(self.writer.get_mut()).into()))
    }
}

/// The table with this schema, which has the same types and may have other metadata.
pub(super) fn with_schema(table: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, EngineError> {
    let cast = |(array, field): (&arrow::array::ArrayRef, &arrow::datatypes::FieldRef)| {
        match array.data_type() == field.data_type() {
            true => Ok(Arc::clone(array)),
            // Only names and marks of nested fields differ.
            false => arrow::compute::cast(array, field.data_type()),
        }
    };
    let columns = table.columns().iter().zip(schema.fields()).map(cast).collect::<Result<_, _>>().map_err(failed)?;
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(table.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(failed)
}

fn failed(error: ArrowError) -> EngineError {
    EngineError::new(ErrorKind::Internal, format!("cannot write Arrow: {error}"))
}
