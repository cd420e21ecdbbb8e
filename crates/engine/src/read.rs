//! Readers: files of one format become tables, file after file, in bounded memory.
//!
//! A reader types each batch on its own, as the reference library does; [`fit`](crate::fit) reconciles them.

use arrow::record_batch::RecordBatch;

use crate::error::EngineError;

/// The tables of one file, in order.
pub trait TableStream: Send {
    /// The next table, typed on its own; `None` at the end. Tables may be empty.
    ///
    /// # Errors
    /// [`EngineError`] with file and line.
    fn next_table(&mut self) -> Result<Option<RecordBatch>, EngineError>;

    /// Bytes of the stored file consumed so far (compressed bytes for compressed files): what estimates extrapolate by.
    fn bytes_consumed(&self) -> u64;
}
