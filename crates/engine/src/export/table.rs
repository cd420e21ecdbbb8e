//! Tables that are no rows of a split, such as results of queries, in any format.

use std::path::PathBuf;

use arrow::array::{RecordBatch, RecordBatchOptions};
use belvedere_domain::Features;

use super::{Encoder, encoder};
use crate::call::{Format, MediaRules, MediaTarget, Piece};
use crate::error::{EngineError, ErrorKind};
use crate::features_arrow::to_schema;

/// There are no media whose files it would get.
static NOWHERE: MediaTarget = MediaTarget {
    directory: PathBuf::new(),
    url_prefix: String::new(),
    resolve_prefix: String::new(),
    repository: String::new(),
    linked_files: Some(Vec::new()),
    rules: MediaRules { strict: false, any_revision: false },
};

/// Writes tables of one schema, the whole of which becomes one piece.
pub struct TableWriter<'a> {
    features: &'a Features,
    encoder: Box<dyn Encoder + 'a>,
    num_rows: u64,
}

impl<'a> TableWriter<'a> {
    /// A writer for tables with these columns.
    ///
    /// # Errors
    /// [`Parameter`](ErrorKind::Parameter) for columns of media: only rows of a split have a place for their files.
    pub fn new(format: Format, features: &'a Features) -> Result<Self, EngineError> {
        if let Some((name, _)) = features.iter().find(|(_, feature)| feature.any(&mut |part| part.media().is_some())) {
            let error = EngineError::new(ErrorKind::Parameter, "media are shown in rows of a split only");
            return Err(error.in_column(name));
        }
        Ok(Self { features, encoder: encoder(format, features, &NOWHERE, true)?, num_rows: 0 })
    }

    /// Adds the rows of a table whose columns have the storage of the features.
    ///
    /// # Errors
    /// [`Internal`](ErrorKind::Internal) when a column has another type; [`Cell`](ErrorKind::Cell) when a cell cannot be
    /// shown.
    pub fn push(&mut self, table: &RecordBatch) -> Result<(), EngineError> {
        let options = RecordBatchOptions::new().with_row_count(Some(table.num_rows()));
        let columns = table.columns().to_vec();
        let table = RecordBatch::try_new_with_options(to_schema(self.features, false), columns, &options)
            .map_err(|error| EngineError::new(ErrorKind::Internal, error))?;
        let numbers: Vec<u64> = (self.num_rows..).take(table.num_rows()).collect();
        self.num_rows += numbers.len() as u64;
        self.encoder.push(&table, &numbers)
    }

    /// Bytes so far, about.
    pub fn num_bytes(&self) -> usize {
        self.encoder.num_bytes()
    }

    /// The piece. An Arrow stream needs its end mark after it; a piece of Parquet is a whole file.
    ///
    /// # Errors
    /// [`Internal`](ErrorKind::Internal), for no known reason.
    pub fn finish(self) -> Result<Piece, EngineError> {
        self.encoder.finish()
    }
}
