//! The text of a file as one growing and shrinking buffer of UTF-8.

use std::io::{self, Cursor, Read};

use super::ReadLimits;
use super::encoding::{TextDecoder, TextEncoding};
use crate::decompress::{self, Place};
use crate::error::{EngineError, ErrorKind};
use crate::source::Progress;

const MARK: &[u8] = b"\xef\xbb\xbf";
/// Begins no text in UTF-8, but one in UTF-16: its byte-order mark.
const WIDE_MARKS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];
/// The mark of UTF-32, of which one of UTF-16 is the beginning.
const WIDEST_MARK: &[u8] = b"\xff\xfe\0\0";
/// Bytes asked from the file at once.
const STEP: usize = 1 << 20;

/// Decompressed, decoded text. What [`text`](Self::text) shows is whole characters of valid UTF-8.
pub(super) struct Input {
    reader: Box<dyn Read + Send>,
    progress: Progress,
    decoder: Option<TextDecoder>,
    /// Bytes as read, for a decoder.
    raw: Vec<u8>,
    buffer: Vec<u8>,
    /// Up to here `buffer` is valid UTF-8; only an incomplete character may follow.
    valid: usize,
    at_end: bool,
    line: u64,
    /// Bytes of that line before the text.
    line_bytes: usize,
    max_record_bytes: usize,
}

impl Input {
    /// Opens a file. `drop_mark`: a byte-order mark at the start is no text, whatever the encoding. Text that should be
    /// UTF-8 but begins with the mark of UTF-16 is read as that.
    pub(super) fn open(
        place: &Place,
        encoding: TextEncoding,
        drop_mark: bool,
        limits: ReadLimits,
    ) -> Result<Self, EngineError> {
        let mut content = decompress::open(place)?;
        let mut start = Vec::new();
        while start.len() < WIDEST_MARK.len() && read_some(&mut content.reader, &mut start, STEP / 16)? > 0 {}
        let is_wide = encoding.is_strict_utf8() && WIDE_MARKS.iter().any(|mark| start.starts_with(mark));
        if is_wide && start.starts_with(WIDEST_MARK) {
            return Err(EngineError::new(ErrorKind::Unreadable, "the text is in UTF-32; store it in UTF-8").at_line(1));
        }
        let encoding = if is_wide { TextEncoding::UTF_16 } else { encoding };
        let mut input = Self {
            reader: Box::new(Cursor::new(start).chain(content.reader)),
            progress: content.progress,
            decoder: (!encoding.is_strict_utf8()).then(|| encoding.decoder()),
            raw: Vec::new(),
            buffer: Vec::new(),
            valid: 0,
            at_end: false,
            line: 1,
            line_bytes: 0,
            max_record_bytes: limits.max_record_bytes,
        };
        if drop_mark || encoding.drops_mark {
            while input.valid < MARK.len() && input.fill(STEP / 16)? {}
            if input.buffer.starts_with(MARK) {
                input.discard(MARK.len());
            }
        }
        Ok(input)
    }

    /// The text read and not yet discarded.
    pub(super) fn text(&self) -> &[u8] {
        &self.buffer[..self.valid]
    }

    /// True when nothing follows [`text`](Self::text).
    pub(super) fn at_end(&self) -> bool {
        self.at_end
    }

    /// The line that the text starts in, from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// The line of a position in the text.
    pub(super) fn line_of(&self, position: usize) -> u64 {
        self.line + count_lines(&self.buffer[..position.min(self.buffer.len())])
    }

    /// Stored bytes taken so far.
    pub(super) fn bytes_consumed(&self) -> u64 {
        self.progress.bytes()
    }

    /// Reads more text; false at the end. Nothing before it moves.
    pub(super) fn more(&mut self) -> Result<bool, EngineError> {
        self.fill(STEP)
    }

    /// Reads more because the record at `start` is not complete. Doubles what is there, so that looking again
    /// from the start of the record stays cheap.
    pub(super) fn more_of_record(&mut self, start: usize) -> Result<bool, EngineError> {
        let length = self.valid - start;
        if length > self.max_record_bytes {
            let message = format!("a single record is longer than {} bytes", self.max_record_bytes);
            return Err(EngineError::new(ErrorKind::Unreadable, message).at_line(self.line_of(start)));
        }
        let wanted = self.valid + length.max(STEP);
        let before = self.valid;
        while self.valid < wanted && self.fill(wanted - self.valid)? {}
        Ok(self.valid > before)
    }

    /// Forgets the first bytes of the text.
    pub(super) fn discard(&mut self, length: usize) {
        self.line += count_lines(&self.buffer[..length]);
        self.line_bytes = self.position_in_line(length);
        self.buffer.drain(..length);
        self.valid -= length;
    }

    fn fill(&mut self, step: usize) -> Result<bool, EngineError> {
        let before = self.valid;
        while !self.at_end && self.valid == before {
            self.fill_once(step)?;
        }
        Ok(self.valid > before)
    }

    fn fill_once(&mut self, step: usize) -> Result<(), EngineError> {
        let Some(decoder) = &mut self.decoder else {
            self.at_end = read_some(&mut self.reader, &mut self.buffer, step)? == 0;
            return self.validate();
        };
        self.raw.clear();
        self.at_end = read_some(&mut self.reader, &mut self.raw, step)? == 0;
        if !decoder.decode(&self.raw, self.at_end, &mut self.buffer) {
            let end = self.buffer.len();
            return Err(self.encoding_error(end, "its encoding", ""));
        }
        self.valid = self.buffer.len();
        Ok(())
    }

    /// How many bytes of its line come before a position in the text.
    fn position_in_line(&self, position: usize) -> usize {
        match memchr::memrchr(b'\n', &self.buffer[..position]) {
            Some(end) => position - end - 1,
            None => self.line_bytes + position,
        }
    }

    fn encoding_error(&self, position: usize, encoding: &str, byte: &str) -> EngineError {
        let message = format!(
            "from byte {}{byte} of this line on, the text is not valid in {encoding}; \
             store it in UTF-8, or name its encoding with the parameter `encoding`, as in `encoding: latin-1`",
            self.position_in_line(position) + 1
        );
        EngineError::new(ErrorKind::Unreadable, message).at_line(self.line_of(position))
    }

    fn validate(&mut self) -> Result<(), EngineError> {
        match std::str::from_utf8(&self.buffer[self.valid..]) {
            Ok(_) => self.valid = self.buffer.len(),
            Err(error) => {
                self.valid += error.valid_up_to();
                if error.error_len().is_some() || self.at_end {
                    let byte = self.buffer.get(self.valid).map(|byte| format!(" (0x{byte:02X})"));
                    return Err(self.encoding_error(self.valid, "UTF-8", &byte.unwrap_or_default()));
                }
            }
        }
        Ok(())
    }
}

fn read_some(reader: &mut dyn Read, buffer: &mut Vec<u8>, step: usize) -> io::Result<usize> {
    let old = buffer.len();
    buffer.resize(old + step, 0);
    let result = loop {
        match reader.read(&mut buffer[old..]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => break result,
        }
    };
    buffer.truncate(old + *result.as_ref().unwrap_or(&0));
    result
}

/// Number of line feeds.
pub(super) fn count_lines(text: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', text).count() as u64
}
