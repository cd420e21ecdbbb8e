//! Reading ahead: while one table is fitted and written, the next one is read.

use std::ops::ControlFlow;
use std::sync::mpsc;

use arrow::array::RecordBatch;

use crate::error::{EngineError, ErrorKind};
use crate::read::TableStream;

/// Files below this size are not worth a thread.
const SMALL_FILE_BYTES: u64 = 1 << 20;
/// Tables read ahead.
const TABLES_AHEAD: usize = 2;

/// Calls `consume` for each table of the stream until it breaks. Returns the stored bytes that had been read when the
/// last consumed table came. The thread that reads ends with this call.
pub(crate) fn for_each(
    mut stream: Box<dyn TableStream>,
    file_size: u64,
    mut consume: impl FnMut(RecordBatch) -> Result<ControlFlow<()>, EngineError>,
) -> Result<u64, EngineError> {
    let mut bytes_read = 0;
    if file_size < SMALL_FILE_BYTES {
        while let Some(table) = stream.next_table()? {
            if consume(table)?.is_break() {
                return Ok(bytes_read);
            }
            bytes_read = stream.bytes_consumed();
        }
        return Ok(file_size);
    }
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::sync_channel(TABLES_AHEAD);
        let producer = std::thread::Builder::new().name("read-ahead".to_owned()).spawn_scoped(scope, move || {
            loop {
                let message = stream.next_table().map(|table| table.map(|table| (table, stream.bytes_consumed())));
                let last = !matches!(message, Ok(Some(_)));
                // The receiver is gone when enough was read.
                if sender.send(message).is_err() || last {
                    return;
                }
            }
        });
        producer.map_err(|error| EngineError::new(ErrorKind::Io, format!("cannot start a thread: {error}")))?;
        for message in &receiver {
            let Some((table, consumed)) = message? else { return Ok(file_size) };
            if consume(table)?.is_break() {
                return Ok(bytes_read);
            }
            bytes_read = consumed;
        }
        Err(EngineError::new(ErrorKind::Internal, "the reading thread ended without a word"))
    })
}
