//! Files read by ranges, in the shape that the Parquet library asks for.

use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

use crate::error::{EngineError, ErrorKind};
use crate::source::ReadRanges;

/// Buffer of sequential reads, in bytes.
const BUFFER: usize = 1 << 20;

/// A shared file.
#[derive(Clone)]
pub(crate) struct Ranges(Arc<dyn ReadRanges>);

impl Ranges {
    /// Wraps a file.
    pub(crate) fn new(file: impl ReadRanges + 'static) -> Self {
        Self(Arc::new(file))
    }

    /// A file that is shared already.
    pub(crate) fn of(file: Arc<dyn ReadRanges>) -> Self {
        Self(file)
    }

    /// A reader that starts at a byte. It has no buffer.
    pub(crate) fn reader_at(&self, position: u64) -> RangeReader {
        RangeReader { file: self.clone(), position }
    }
}

impl ReadRanges for Ranges {
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn read_ranges(&self, ranges: &[std::ops::Range<u64>]) -> std::result::Result<Vec<Bytes>, EngineError> {
        self.0.read_ranges(ranges)
    }
}

impl Length for Ranges {
    fn len(&self) -> u64 {
        self.0.size()
    }
}

impl ChunkReader for Ranges {
    type T = BufReader<RangeReader>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(BufReader::with_capacity(BUFFER, self.reader_at(start)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let range = start..start.saturating_add(length as u64);
        let mut bytes =
            self.0.read_ranges(std::slice::from_ref(&range)).map_err(|error| ParquetError::External(error.into()))?;
        bytes.pop().ok_or_else(|| ParquetError::General("no bytes were read".into()))
    }
}

/// Reads on from some byte of a file.
pub(crate) struct RangeReader {
    file: Ranges,
    position: u64,
}

impl Read for RangeReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let end = self.file.size().min(self.position.saturating_add(buffer.len() as u64));
        if end <= self.position {
            return Ok(0);
        }
        let range = self.position..end;
        let bytes = self.file.read_ranges(std::slice::from_ref(&range)).map_err(io::Error::other)?;
        let length = bytes.first().map_or(0, Bytes::len);
        buffer[..length].copy_from_slice(&bytes[0]);
        self.position += length as u64;
        Ok(length)
    }
}

impl Seek for RangeReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(distance) => self.file.size().checked_add_signed(distance),
            SeekFrom::Current(distance) => self.position.checked_add_signed(distance),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

/// What went wrong while reading a Parquet file: our own error if one caused it, else the file is unreadable.
pub(crate) fn unreadable(error: ParquetError) -> EngineError {
    match error {
        ParquetError::External(source) => match source.downcast::<EngineError>() {
            Ok(error) => *error,
            Err(source) => match source.downcast::<io::Error>() {
                Ok(error) => EngineError::from(*error),
                Err(source) => EngineError::new(ErrorKind::Unreadable, format!("cannot read Parquet: {source}")),
            },
        },
        other => EngineError::new(ErrorKind::Unreadable, format!("cannot read Parquet: {other}")),
    }
}
