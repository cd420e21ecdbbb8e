//! Objects one after the other, usually one per line.

use arrow::array::RecordBatch;
use belvedere_domain::Features;

use super::build::{self, StructBuilder};
use super::cursor::{Cursor, Fault};
use super::shape::{Rules, Shape};
use super::traces::{self, TraceStream};
use super::{Context, MAX_CELLS, check_cells, columns, failure, table};
use crate::error::EngineError;
use crate::read::TableStream;
use crate::read::input::Input;

/// Batches after which the known types are tried again, once they did not do.
const MAX_PAUSE: u32 = 64;

pub(super) struct LinesStream {
    context: Context,
    input: Input,
    /// Features that are known and that batches are read as at once, with their number of fields; outer `None`: not asked
    /// for yet.
    expected: Option<Option<(Features, u64)>>,
    /// Batches to go until the next try, and how many to wait after the next failure.
    pause: u32,
    next_pause: u32,
    /// The line of the first row of the last table; `None`: its rows are not one per line.
    first_line: Option<u64>,
    /// The file turned out to be the log of an agent.
    log: Option<TraceStream>,
}

/// What the objects of a batch look like.
struct Batch {
    rows: Shape,
    /// Number of columns of the first object.
    first_row: usize,
    /// Position after the last object.
    end: usize,
    /// Every line holds exactly one object.
    line_by_line: bool,
}

impl LinesStream {
    pub(super) fn new(context: Context, input: Input) -> Self {
        Self { context, input, expected: None, pause: 0, next_pause: 1, first_line: None, log: None }
    }

    fn read_table(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        if let Some(log) = &mut self.log {
            return log.next_table();
        }
        if let Some(table) = self.as_expected()? {
            return Ok(Some(table));
        }
        let batch = self.observe()?;
        if batch.rows.objects == 0 {
            return Ok(None);
        }
        check_cells(batch.rows.cells())?;
        let known = self.context.known();
        let rules = Rules { known: None, keys_must_agree: known.is_none() && batch.line_by_line };
        let features = columns(&batch.rows, batch.first_row, rules, known);
        if known.is_none() && self.context.parses_traces && traces::is_log(&features) {
            self.context.agreement.impose(&traces::features());
            let mut log = TraceStream::new(self.context.clone())?;
            let table = log.next_table();
            self.log = Some(log);
            return table;
        }
        if known.is_none() {
            self.context.agreement.impose(&features);
        }
        let mut builder = StructBuilder::new(&features);
        let mut cursor = Cursor { text: &self.input.text()[..batch.end], at: 0 };
        let mut rows = 0;
        loop {
            cursor.blanks();
            if cursor.at == batch.end {
                break;
            }
            let start = cursor.at;
            builder.append(&mut cursor, rows).map_err(|fault| failure(&self.input, start, fault))?;
            rows += 1;
        }
        self.take(batch.end, rows);
        // Objects without any key are no rows.
        let rows = if features.is_empty() { 0 } else { rows };
        table(&features, builder, rows).map(Some)
    }

    /// Forgets the text of a batch of so many rows, and remembers where they stood.
    fn take(&mut self, end: usize, rows: usize) {
        let text = &self.input.text()[..end];
        let blanks = text.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let one_per_line = line_ends(&text[blanks..]) + 1 == rows;
        self.first_line = one_per_line.then(|| self.input.line_of(blanks));
        self.input.discard(end);
    }

    /// Reads the next batch as what is known, in one pass instead of two. `None` for whatever is not exactly as expected: then
    /// nothing was taken, and looking at the batch first finds out why.
    fn as_expected(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        if self.expected.is_none()
            && let Some(known) = self.context.known()
        {
            // Objects without any key are no rows.
            let fields = build::supports(known).filter(|_| !known.is_empty());
            self.expected = Some(fields.map(|fields| (known.clone(), fields)));
        }
        let Some(Some((features, fields))) = &self.expected else { return Ok(None) };
        if self.pause > 0 {
            self.pause -= 1;
            return Ok(None);
        }
        let (features, max_rows) = (features.clone(), MAX_CELLS / (*fields).max(1));
        let cut = self.cut()?;
        if let Some((builder, rows, end)) = build_until(self.input.text(), cut, &features, max_rows) {
            self.next_pause = 1;
            self.take(end, rows);
            return table(&features, builder, rows).map(Some);
        }
        self.pause = self.next_pause;
        self.next_pause = (self.next_pause * 2).min(MAX_PAUSE);
        Ok(None)
    }

    /// Finds the next batch and what is in it.
    fn observe(&mut self) -> Result<Batch, EngineError> {
        let cut = self.cut()?;
        loop {
            let mut start = 0;
            match look(self.input.text(), cut, &mut start) {
                Ok(batch) => return Ok(batch),
                // The last object goes on after the cut: look again with more of it.
                Err(Fault::End) if !self.input.at_end() => {
                    self.input.more_of_record(start)?;
                }
                Err(fault) => return Err(failure(&self.input, start, fault)),
            }
        }
    }

    /// Where the batch ends: after the first line end beyond the size of a batch.
    fn cut(&mut self) -> Result<usize, EngineError> {
        let size = self.context.batch;
        while self.input.text().len() < size && self.input.more()? {}
        let mut looked = size;
        loop {
            let text = self.input.text();
            if let Some(length) = text.get(looked..).and_then(|rest| memchr::memchr(b'\n', rest)) {
                return Ok(looked + length + 1);
            }
            if self.input.at_end() {
                return Ok(text.len());
            }
            looked = looked.max(text.len());
            self.input.more_of_record(size.min(text.len()))?;
        }
    }
}

/// The objects that start before the cut as rows of these features, their number, and where the last one ends. `None` if there
/// are none, one is no such object, or the features that they would tell by themselves are others.
fn build_until(text: &[u8], cut: usize, features: &Features, max_rows: u64) -> Option<(StructBuilder, usize, usize)> {
    let mut builder = StructBuilder::new(features);
    let mut cursor = Cursor { text, at: 0 };
    let (mut rows, mut end) = (0, 0);
    loop {
        cursor.blanks();
        if cursor.at >= cut {
            return (rows > 0 && builder.tells_its_features()).then_some((builder, rows, end));
        }
        if rows as u64 >= max_rows {
            return None;
        }
        builder.append(&mut cursor, rows).ok()?;
        rows += 1;
        end = cursor.at;
    }
}

/// Observes the objects that start before the cut. `start`: where the last one looked at starts.
fn look(text: &[u8], cut: usize, start: &mut usize) -> Result<Batch, Fault> {
    let mut cursor = Cursor { text, at: 0 };
    let mut rows = Shape::default();
    let (mut first_row, mut end, mut line_by_line) = (0, 0, true);
    loop {
        cursor.blanks();
        *start = cursor.at;
        if cursor.at >= cut {
            line_by_line &= line_ends(&text[end..cursor.at.min(cut)]) <= 1;
            return Ok(Batch { rows, first_row, end, line_by_line });
        }
        line_by_line &= line_ends(&text[end..cursor.at]) == usize::from(rows.objects > 0);
        if cursor.byte()? != b'{' {
            return Err(cursor.fault("expected an object: every line must hold one"));
        }
        rows.observe(&mut cursor, 0)?;
        if rows.objects == 1 {
            first_row = rows.fields.len();
        }
        end = cursor.at;
        line_by_line &= line_ends(&text[*start..end]) == 0;
    }
}

fn line_ends(text: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', text).count()
}

impl TableStream for LinesStream {
    fn next_table(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        self.read_table().map_err(|error| error.in_file(&self.context.place.path()))
    }

    fn line_of_row(&self, row: usize) -> Option<u64> {
        self.first_line.map(|line| line + row as u64)
    }

    fn bytes_consumed(&self) -> u64 {
        self.input.bytes_consumed()
    }
}

#[cfg(test)]
mod tests;
