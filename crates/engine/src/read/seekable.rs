//! A file with a position, for libraries that jump about.

use std::io::{self, Read, Seek, SeekFrom};

use crate::error::EngineError;
use crate::source::{LocalFile, Progress, ReadRanges, SourceFile};

/// A file that is checked like any other, and remembers how far it was read.
pub(super) struct SeekableFile {
    file: LocalFile,
    position: u64,
    /// Up to here it was read.
    pub(super) progress: Progress,
}

impl SeekableFile {
    /// Opens a file.
    pub(super) fn open(file: &SourceFile) -> Result<Self, EngineError> {
        Ok(Self { file: LocalFile::open(file)?, position: 0, progress: Progress::default() })
    }

    /// Size in bytes.
    pub(super) fn size(&self) -> u64 {
        self.file.size()
    }

    /// Fills `buffer` from a position as far as the file goes; gives how far.
    pub(super) fn read_all(&mut self, at: u64, buffer: &mut [u8]) -> Result<usize, EngineError> {
        let end = self.size().min(at + buffer.len() as u64);
        let parts = self.file.read_ranges(std::slice::from_ref(&(at..end.max(at))))?;
        let length = parts[0].len();
        buffer[..length].copy_from_slice(&parts[0]);
        Ok(length)
    }
}

impl Read for SeekableFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.read_all(self.position.min(self.size()), buffer).map_err(io::Error::other)?;
        self.position += length as u64;
        self.progress.reach(self.position.max(self.progress.bytes()));
        Ok(length)
    }
}

impl Seek for SeekableFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.size().checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}
