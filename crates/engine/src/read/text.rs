//! Text files: a row per line, paragraph or document. XML files: a row per document, as text.
//!
//! Parameters: `sample_by` (`line`, `paragraph`, `document`), `keep_linebreaks`, `encoding`, `encoding_errors`,
//! and `features`, whose first name renames the column.

use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use belvedere_domain::data_files::ResolvedConfig;

use super::encoding::TextEncoding;
use super::input::Input;
use super::parameters::Parameters;
use super::{ReadLimits, TableStream};
use crate::decompress::Place;
use crate::error::{EngineError, ErrorKind};

/// Text of one table.
const BATCH: usize = 10 << 20;

/// What a row is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum SampleBy {
    Line,
    Paragraph,
    Document,
}

/// Opens a text file.
pub(super) fn open(
    config: &ResolvedConfig,
    place: &Place,
    limits: ReadLimits,
) -> Result<Box<dyn TableStream>, EngineError> {
    let units = [("line", SampleBy::Line), ("paragraph", SampleBy::Paragraph), ("document", SampleBy::Document)];
    let sample_by = Parameters(&config.parameters).choice("sample_by", &units, SampleBy::Line)?;
    open_by(config, place, limits, sample_by, "text")
}

/// Opens a file of which the whole content is one row, in a column of the given name.
pub(super) fn open_documents(
    config: &ResolvedConfig,
    place: &Place,
    limits: ReadLimits,
    column: &str,
) -> Result<Box<dyn TableStream>, EngineError> {
    open_by(config, place, limits, SampleBy::Document, column)
}

fn open_by(
    config: &ResolvedConfig,
    place: &Place,
    limits: ReadLimits,
    sample_by: SampleBy,
    column: &str,
) -> Result<Box<dyn TableStream>, EngineError> {
    let parameters = Parameters(&config.parameters);
    let renamed = config.reader_features.as_ref().and_then(|features| features.iter().next());
    let column = renamed.map_or(column, |(name, _)| name.as_str());
    Ok(Box::new(TextStream {
        input: Input::open(place, TextEncoding::of(parameters)?, false, limits)?,
        sample_by,
        keep_line_breaks: parameters.flag("keep_linebreaks", false)?,
        schema: Arc::new(Schema::new(vec![Field::new(column, DataType::Utf8, true)])),
        pending: Vec::new(),
        max_record_bytes: limits.max_record_bytes,
        after_return: false,
        done: false,
        path: place.path(),
    }))
}

struct TextStream {
    input: Input,
    sample_by: SampleBy,
    keep_line_breaks: bool,
    schema: SchemaRef,
    /// Text with line ends already made uniform, from the start of the row in progress.
    pending: Vec<u8>,
    max_record_bytes: usize,
    /// The last character taken was a carriage return, made a line feed; one that follows belongs to it.
    after_return: bool,
    done: bool,
    path: String,
}

impl TextStream {
    /// Moves text from the input to `pending`, with CRLF and CR as LF; false at the end.
    fn pull(&mut self) -> Result<bool, EngineError> {
        if self.input.text().is_empty() && !self.input.more()? {
            return Ok(false);
        }
        let mut text = self.input.text();
        let length = text.len();
        if std::mem::take(&mut self.after_return) && text.first() == Some(&b'\n') {
            text = &text[1..];
        }
        while let Some(at) = memchr::memchr(b'\r', text) {
            self.pending.extend(&text[..at]);
            self.pending.push(b'\n');
            self.after_return = at + 1 == text.len();
            text = &text[at + 1..];
            if text.first() == Some(&b'\n') {
                text = &text[1..];
            }
        }
        self.pending.extend(text);
        self.input.discard(length);
        Ok(true)
    }

    /// Fills `pending` with at least a batch that ends with a whole row; gives its length, `None` at the end of the file.
    fn gather(&mut self) -> Result<Option<usize>, EngineError> {
        let separator: Option<&[u8]> = match self.sample_by {
            SampleBy::Line => Some(b"\n"),
            SampleBy::Paragraph => Some(b"\n\n"),
            SampleBy::Document => None,
        };
        let mut looked = 0;
        loop {
            if self.pending.len() >= BATCH
                && let Some(separator) = separator
            {
                // From the front, as rows are cut: separators do not overlap.
                if let Some(at) = memchr::memmem::find_iter(&self.pending[looked..], separator).last() {
                    return Ok(Some(looked + at + separator.len()));
                }
                looked = self.pending.len() - 1;
            }
            if self.pending.len() > BATCH.max(self.max_record_bytes) {
                let message = format!("a single row of text is longer than {} bytes", self.max_record_bytes);
                return Err(EngineError::new(ErrorKind::Unreadable, message).at_line(self.input.line()));
            }
            if !self.pull()? {
                return Ok(None);
            }
        }
    }

    fn table(&self, text: &[u8], at_end: bool) -> Result<RecordBatch, EngineError> {
        let mut rows = Rows { values: Vec::with_capacity(text.len()), offsets: vec![0] };
        match self.sample_by {
            SampleBy::Document => rows.push(text),
            SampleBy::Line => {
                let mut start = 0;
                for end in memchr::memchr_iter(b'\n', text) {
                    rows.push(&text[start..if self.keep_line_breaks { end + 1 } else { end }]);
                    start = end + 1;
                }
                if start < text.len() {
                    rows.push(&text[start..]);
                }
            }
            SampleBy::Paragraph => {
                let mut start = 0;
                for end in memchr::memmem::find_iter(text, b"\n\n") {
                    if end > start {
                        rows.push(&text[start..end]);
                    }
                    start = end + 2;
                }
                if at_end && start < text.len() {
                    rows.push(&text[start..]);
                }
            }
        }
        rows.finish(&self.schema)
    }
}

impl TableStream for TextStream {
    fn next_table(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        if self.done {
            return Ok(None);
        }
        let end = self.gather().map_err(|error| error.in_file(&self.path))?;
        let rest = self.pending.split_off(end.unwrap_or(self.pending.len()));
        let text = std::mem::replace(&mut self.pending, rest);
        self.done = end.is_none();
        if self.done && text.is_empty() && self.sample_by != SampleBy::Document {
            return Ok(None);
        }
        self.table(&text, self.done).map(Some)
    }

    fn bytes_consumed(&self) -> u64 {
        self.input.bytes_consumed()
    }
}

struct Rows {
    values: Vec<u8>,
    offsets: Vec<i32>,
}

impl Rows {
    fn push(&mut self, row: &[u8]) {
        self.values.extend(row);
        self.offsets.push(i32::try_from(self.values.len()).unwrap_or(i32::MAX));
    }

    fn finish(self, schema: &SchemaRef) -> Result<RecordBatch, EngineError> {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        let column = StringArray::try_new(offsets, self.values.into(), None);
        let table = column.and_then(|column| RecordBatch::try_new(Arc::clone(schema), vec![Arc::new(column)]));
        table.map_err(|error| EngineError::new(ErrorKind::Internal, error))
    }
}

#[cfg(test)]
mod tests;
