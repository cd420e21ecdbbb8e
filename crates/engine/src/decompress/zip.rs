//! Zip archives: the members that count as data, in order of their names.
//!
//! Format: PKWARE's APPNOTE 6.3.10, sections 4.3 to 4.5. Stored and deflated members, with or without Zip64.

use std::io::{self, BufReader, Read};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::{EngineError, ErrorKind};
use crate::source::{LocalFile, Progress, ReadRanges, Sequential, SourceFile};

/// Longest end record: 22 bytes and a comment.
const MAX_END: u64 = 22 + 65_535;
/// Largest directory that is read.
const MAX_DIRECTORY: u64 = 256 << 20;
/// Stands in a 32-bit field whose value is in a Zip64 field.
const ELSEWHERE: u64 = 0xffff_ffff;

/// A file inside an archive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Member {
    /// Its path inside the archive.
    pub(crate) name: String,
    header_at: u64,
    stored: u64,
    size: u64,
    crc: u32,
    deflated: bool,
}

impl Member {
    /// Bytes of its content, as the directory tells.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Bytes that it takes in the archive.
    pub(crate) fn stored_size(&self) -> u64 {
        self.stored
    }
}

fn damaged(what: &str) -> EngineError {
    EngineError::new(ErrorKind::Unreadable, format!("damaged zip file: {what}; pack or upload it again"))
}

/// Little-endian numbers of a record, one after the other.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], EngineError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(|| damaged("a record is cut off"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self, bytes: usize) -> Result<u64, EngineError> {
        Ok(self.take(bytes)?.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }
}

fn fetch(file: &impl ReadRanges, at: u64, length: u64) -> Result<Bytes, EngineError> {
    let end = at.checked_add(length).filter(|end| *end <= file.size());
    let range = at..end.ok_or_else(|| damaged("a record lies outside the file"))?;
    Ok(file.read_ranges(std::slice::from_ref(&range))?.pop().unwrap_or_default())
}

/// The data members of an archive: no folders, nothing below a name that starts with `.` or `__`.
pub(crate) fn members(source: &SourceFile) -> Result<Vec<Member>, EngineError> {
    let read = || {
        let file = LocalFile::open(source)?;
        let directory = directory(&file)?;
        let mut fields = Fields(&directory);
        let mut members = Vec::new();
        while fields.0.starts_with(b"PK\x01\x02") {
            members.extend(member(&mut fields)?);
        }
        members.sort_by(|left: &Member, right| left.name.cmp(&right.name));
        Ok(members)
    };
    read().map_err(|error: EngineError| error.in_file(&source.path))
}

/// The bytes of the central directory.
fn directory(file: &LocalFile) -> Result<Bytes, EngineError> {
    let size = file.size();
    let tail_at = size.saturating_sub(MAX_END);
    let tail = fetch(file, tail_at, size - tail_at)?;
    let end = memchr::memmem::rfind(&tail, b"PK\x05\x06").ok_or_else(|| damaged("it has no directory"))?;
    let mut fields = Fields(&tail[end + 12..]);
    let (mut length, mut at) = (fields.number(4)?, fields.number(4)?);
    let locator = (tail_at + end as u64).checked_sub(20);
    if (length == ELSEWHERE || at == ELSEWHERE)
        && let Some(locator) = locator
    {
        let locator = fetch(file, locator, 20)?;
        let record_at = Fields(&locator[8..]).number(8)?;
        let record = fetch(file, record_at, 56)?;
        if !record.starts_with(b"PK\x06\x06") {
            return Err(damaged("it has no directory"));
        }
        let mut fields = Fields(&record[40..]);
        (length, at) = (fields.number(8)?, fields.number(8)?);
    }
    if length > MAX_DIRECTORY {
        return Err(damaged("its directory is too large"));
    }
    fetch(file, at, length)
}

/// Reads an entry of the directory; `None` if it is no data.
fn member(fields: &mut Fields<'_>) -> Result<Option<Member>, EngineError> {
    fields.take(8)?;
    let flags = fields.number(2)?;
    let method = fields.number(2)?;
    fields.take(4)?;
    let crc = u32::try_from(fields.number(4)?).unwrap_or(0);
    let (mut stored, mut size) = (fields.number(4)?, fields.number(4)?);
    let (name, extra, comment) = (fields.number(2)?, fields.number(2)?, fields.number(2)?);
    fields.take(8)?;
    let mut header_at = fields.number(4)?;
    let length = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let name = String::from_utf8_lossy(fields.take(length(name))?).into_owned();
    let mut extra = Fields(fields.take(length(extra))?);
    fields.take(length(comment))?;
    while extra.0.len() >= 4 {
        let (id, size_of_field) = (extra.number(2)?, extra.number(2)?);
        let mut field = Fields(extra.take(length(size_of_field))?);
        if id == 1 {
            for number in [&mut size, &mut stored, &mut header_at] {
                if *number == ELSEWHERE {
                    *number = field.number(8)?;
                }
            }
        }
    }
    let hidden = name.split('/').any(|part| part.starts_with('.') || part.starts_with("__"));
    if hidden || name.ends_with('/') {
        return Ok(None);
    }
    if flags & 1 != 0 {
        return Err(EngineError::new(
            ErrorKind::Unreadable,
            format!("the member \"{name}\" is encrypted; pack it without a password"),
        ));
    }
    let deflated = match method {
        0 => false,
        8 => true,
        other => {
            let message = format!("the member \"{name}\" is compressed by method {other}; only deflate is supported");
            return Err(EngineError::new(ErrorKind::Unreadable, message));
        }
    };
    Ok(Some(Member { name, header_at, stored, size, crc, deflated }))
}

/// The content of a member. The progress counts stored bytes of this member.
pub(crate) fn open(source: &SourceFile, member: &Member) -> Result<(Box<dyn Read + Send>, Progress), EngineError> {
    let file = LocalFile::open(source)?;
    let header = fetch(&file, member.header_at, 30)?;
    if !header.starts_with(b"PK\x03\x04") {
        return Err(damaged("a member is not where the directory says").in_file(&source.path));
    }
    // Lengths of name and extra field may differ from those in the directory.
    let mut fields = Fields(&header[26..]);
    let start = member.header_at + 30 + fields.number(2)? + fields.number(2)?;
    let end = start.checked_add(member.stored).filter(|end| *end <= file.size());
    let range = start..end.ok_or_else(|| damaged("a member is cut off").in_file(&source.path))?;
    let stored = Sequential::new(Part { file: Arc::new(file), range });
    let progress = stored.progress();
    let stored = BufReader::with_capacity(super::BUFFER, stored);
    let inner: Box<dyn Read + Send> = match member.deflated {
        true => Box::new(flate2::bufread::DeflateDecoder::new(stored)),
        false => Box::new(stored),
    };
    let checked = Checked { inner, member: member.clone(), crc: flate2::Crc::new(), taken: 0 };
    Ok((Box::new(checked), progress))
}

/// A part of a file.
struct Part {
    file: Arc<LocalFile>,
    range: Range<u64>,
}

impl ReadRanges for Part {
    fn size(&self) -> u64 {
        self.range.end - self.range.start
    }

    fn read_ranges(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, EngineError> {
        let moved: Vec<_> =
            ranges.iter().map(|range| self.range.start + range.start..self.range.start + range.end).collect();
        self.file.read_ranges(&moved)
    }
}

/// Compares size and checksum at the end.
struct Checked {
    inner: Box<dyn Read + Send>,
    member: Member,
    crc: flate2::Crc,
    taken: u64,
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.crc.update(&buffer[..length]);
        self.taken += length as u64;
        let wrong = match length {
            0 if !buffer.is_empty() => self.taken != self.member.size || self.crc.sum() != self.member.crc,
            _ => self.taken > self.member.size,
        };
        if wrong {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "size or checksum are not those of the directory"));
        }
        Ok(length)
    }
}
