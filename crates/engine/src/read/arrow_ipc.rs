//! Arrow IPC: the stream format, else the file format.
//!
//! The features of the first schema of the config hold for all files. Lengths of messages are compared with the size
//! of the file before anything is allocated for them.

use std::io::{BufReader, Seek, SeekFrom};

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::ipc::reader::{FileReader, StreamReader};

use super::seekable::SeekableFile;
use super::{Agreement, TableStream};
use crate::error::{EngineError, ErrorKind};
use crate::features_arrow::features_of;
use crate::source::{Progress, SourceFile};

/// What a file in the file format begins with.
const MAGIC: &[u8] = b"ARROW1";
/// What each message of a stream begins with, before its length.
const CONTINUATION: [u8; 4] = [0xff; 4];

/// Opens an Arrow file.
pub(super) fn open(file: &SourceFile, agreement: &Agreement) -> Result<Box<dyn TableStream>, EngineError> {
    let mut source = SeekableFile::open(file)?;
    let progress = source.progress.clone();
    let mut start = [0; 6];
    let is_file = source.read_all(0, &mut start)? == start.len() && start == *MAGIC;
    let batches: Box<dyn Batches> = if is_file {
        check_footer(&mut source)?;
        Box::new(FileReader::try_new(BufReader::new(source), None).map_err(unreadable)?)
    } else {
        check_messages(&mut source)?;
        Box::new(StreamReader::try_new(BufReader::with_capacity(1 << 20, source), None).map_err(unreadable)?)
    };
    agreement.impose(&features_of(&batches.schema())?);
    Ok(Box::new(ArrowStream { batches, progress, path: file.path.clone() }))
}

struct ArrowStream {
    batches: Box<dyn Batches>,
    progress: Progress,
    path: String,
}

impl TableStream for ArrowStream {
    fn next_table(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        self.batches.next_batch().map_err(|error| error.in_file(&self.path))
    }

    fn bytes_consumed(&self) -> u64 {
        self.progress.bytes()
    }
}

/// Both formats.
trait Batches: Send {
    fn schema(&self) -> Schema;
    fn next_batch(&mut self) -> Result<Option<RecordBatch>, EngineError>;
}

impl Batches for FileReader<BufReader<SeekableFile>> {
    fn schema(&self) -> Schema {
        Schema::clone(&Self::schema(self))
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        self.next().transpose().map_err(unreadable)
    }
}

impl Batches for StreamReader<BufReader<SeekableFile>> {
    fn schema(&self) -> Schema {
        Schema::clone(&Self::schema(self))
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        self.next().transpose().map_err(unreadable)
    }
}

fn unreadable(error: arrow::error::ArrowError) -> EngineError {
    match error {
        arrow::error::ArrowError::IoError(_, error) if error.get_ref().is_some() => EngineError::from(error),
        error => EngineError::new(ErrorKind::Unreadable, format!("damaged Arrow data: {error}")),
    }
}

fn damaged(what: &str) -> EngineError {
    EngineError::new(ErrorKind::Unreadable, format!("damaged Arrow data: {what}"))
}

/// Follows the messages of a stream by their lengths. The end may be marked, or just the end of the file.
fn check_messages(source: &mut SeekableFile) -> Result<(), EngineError> {
    let size = source.size();
    if size == 0 {
        return Err(EngineError::new(ErrorKind::Unreadable, "the file is empty"));
    }
    let mut at = 0;
    while at < size {
        let mut prefix = [0; 8];
        if source.read_all(at, &mut prefix)? < 4 {
            return Err(damaged("a message is cut off"));
        }
        // Before format version 0.15 the length stood alone.
        let (length, begin) = match prefix[..4] == CONTINUATION {
            true => (u32::from_le_bytes([prefix[4], prefix[5], prefix[6], prefix[7]]), at + 8),
            false => (u32::from_le_bytes([prefix[0], prefix[1], prefix[2], prefix[3]]), at + 4),
        };
        if length == 0 {
            break;
        }
        if begin + u64::from(length) > size {
            return Err(damaged("a message is longer than the file; is it an Arrow file?"));
        }
        let mut metadata = vec![0; length as usize];
        source.read_all(begin, &mut metadata)?;
        let message = arrow::ipc::root_as_message(&metadata).map_err(|error| damaged(&error.to_string()))?;
        let body = u64::try_from(message.bodyLength()).map_err(|_| damaged("a message has a negative length"))?;
        at = begin + u64::from(length);
        at = at.checked_add(body).filter(|end| *end <= size).ok_or_else(|| damaged("a message is cut off"))?;
    }
    source.seek(SeekFrom::Start(0))?;
    source.progress.reach(0);
    Ok(())
}

/// Compares the places of all blocks with the size of the file.
fn check_footer(source: &mut SeekableFile) -> Result<(), EngineError> {
    const TAIL: u64 = 10;
    let size = source.size();
    let mut tail = [0; TAIL as usize];
    let cut_off = || damaged("the footer is cut off");
    let tail_at = size.checked_sub(TAIL).ok_or_else(cut_off)?;
    if source.read_all(tail_at, &mut tail)? < tail.len() || tail[4..] != *MAGIC {
        return Err(cut_off());
    }
    let length = u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]);
    let footer_at = tail_at.checked_sub(u64::from(length)).ok_or_else(cut_off)?;
    let mut footer = vec![0; length as usize];
    source.read_all(footer_at, &mut footer)?;
    let footer = arrow::ipc::root_as_footer(&footer).map_err(|error| damaged(&error.to_string()))?;
    let blocks = footer.recordBatches().into_iter().chain(footer.dictionaries()).flatten();
    for block in blocks {
        let number = |value: i64| u64::try_from(value).ok();
        let end = number(block.offset()).and_then(|at| {
            at.checked_add(number(i64::from(block.metaDataLength()))?)?.checked_add(number(block.bodyLength())?)
        });
        if end.is_none_or(|end| end > size) {
            return Err(damaged("a block lies outside the file"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
