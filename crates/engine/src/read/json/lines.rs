//! Objects one after the other, usually one per line.

use arrow::array::RecordBatch;

use super::build::StructBuilder;
use super::cursor::{Cursor, Fault};
use super::shape::{Rules, Shape};
use super::{Context, check_cells, columns, failure, table};
use crate::error::EngineError;
use crate::read::TableStream;
use crate::read::input::Input;

pub(super) struct LinesStream {
    context: Context,
    input: Input,
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
        Self { context, input }
    }

    fn read_table(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        let batch = self.observe()?;
        if batch.rows.objects == 0 {
            return Ok(None);
        }
        check_cells(batch.rows.cells())?;
        let known = self.context.known();
        let rules = Rules { known: None, keys_must_agree: known.is_none() && batch.line_by_line };
        let features = columns(&batch.rows, batch.first_row, rules, known);
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
        self.input.discard(batch.end);
        // Objects without any key are no rows.
        let rows = if features.is_empty() { 0 } else { rows };
        table(&features, builder, rows).map(Some)
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

    fn bytes_consumed(&self) -> u64 {
        self.input.bytes_consumed()
    }
}
