//! The items of an array: the whole file, or the value of one key.
//!
//! The types of an array are those of all its items, so a long array is read twice from the file, in bounded memory;
//! [`ReadLimits::max_inference_bytes`](crate::read::ReadLimits) shortens the first reading.

use std::ops::Range;

use arrow::array::{RecordBatch, RecordBatchOptions};
use belvedere_domain::{Feature, Features};

use super::build::{Builder, StructBuilder};
use super::cursor::{Cursor, Fault, Kind};
use super::shape::{Rules, Shape};
use super::{Context, check_cells, columns, failure, table};
use crate::error::{EngineError, ErrorKind};
use crate::features_arrow::to_schema;
use crate::read::TableStream;
use crate::read::input::Input;

/// Column of items that are no objects.
const COLUMN: &str = "text";

pub(super) struct ArrayStream {
    context: Context,
    scan: Scan,
    types: Option<Types>,
}

/// The types of all batches.
#[derive(Clone)]
struct Types {
    features: Features,
    /// Items are values of one column, not objects.
    is_column: bool,
    /// Values per row, absent ones included.
    cells_per_row: u64,
}

impl ArrayStream {
    pub(super) fn new(context: Context, input: Input) -> Result<Self, EngineError> {
        Ok(Self { scan: Scan::start(input, context.field.as_deref())?, context, types: None })
    }

    fn read_table(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        let Some(items) = self.scan.next_items(self.context.batch)? else { return Ok(None) };
        let types = match &self.types {
            Some(types) => types.clone(),
            None => {
                let types = self.infer(&items)?;
                self.types.insert(types).clone()
            }
        };
        check_cells(types.cells_per_row.saturating_mul(items.len() as u64))?;
        let built = build(self.scan.input.text(), &items, &types);
        let table = built.map_err(|fault| match fault {
            Failed::Json(start, fault) => failure(&self.scan.input, start, fault),
            Failed::Table(error) => error,
        })?;
        self.scan.discard();
        Ok(Some(table))
    }

    /// The types of the whole array, of which `items` are the first ones.
    fn infer(&self, items: &[Range<usize>]) -> Result<Types, EngineError> {
        let mut seen = Seen::default();
        seen.observe(&self.scan.input, items)?;
        let limit = self.context.limits.max_inference_bytes.unwrap_or(u64::MAX);
        if !self.scan.done && limit > self.context.batch as u64 {
            let mut scan = Scan::start(self.context.input()?, self.context.field.as_deref())?;
            seen = Seen::default();
            while scan.taken < limit
                && let Some(items) = scan.next_items(self.context.batch)?
            {
                seen.observe(&scan.input, &items)?;
                scan.discard();
            }
        }
        let known = self.context.known();
        // The reference reads the items of a field in another way, which joins the keys of all objects.
        let rules = Rules { known: None, keys_must_agree: known.is_none() && self.context.field.is_none() };
        let cells_per_row = seen.shape.cells() / seen.items.max(1);
        let features = if seen.is_column {
            let known = known.and_then(|known| known.get(COLUMN));
            Features::new([(COLUMN.to_owned(), seen.shape.feature(Rules { known, ..rules }))])
        } else {
            columns(&seen.shape, seen.first_row, rules, known)
        };
        Ok(Types { features, is_column: seen.is_column, cells_per_row })
    }
}

/// What was seen of the items.
#[derive(Default)]
struct Seen {
    shape: Shape,
    items: u64,
    is_column: bool,
    first_row: usize,
}

impl Seen {
    fn observe(&mut self, input: &Input, items: &[Range<usize>]) -> Result<(), EngineError> {
        let text = input.text();
        for item in items {
            let mut cursor = Cursor { text, at: item.start };
            let kind = cursor.kind().map_err(|fault| failure(input, item.start, fault))?;
            if self.items == 0 {
                self.is_column = kind != Kind::Object;
            } else if !self.is_column && kind != Kind::Object {
                let fault = cursor.fault("expected an object like the first item of the array");
                return Err(failure(input, item.start, fault));
            }
            self.shape.observe(&mut cursor, 1).map_err(|fault| failure(input, item.start, fault))?;
            if self.items == 0 {
                self.first_row = self.shape.fields.len();
            }
            self.items += 1;
        }
        Ok(())
    }
}

enum Failed {
    Json(usize, Fault),
    Table(EngineError),
}

fn build(text: &[u8], items: &[Range<usize>], types: &Types) -> Result<RecordBatch, Failed> {
    let Types { features, is_column, .. } = types;
    if !is_column {
        let mut builder = StructBuilder::new(features);
        for (row, item) in items.iter().enumerate() {
            let mut cursor = Cursor { text, at: item.start };
            builder.append(&mut cursor, row).map_err(|fault| Failed::Json(item.start, fault))?;
        }
        return table(features, builder, items.len()).map_err(Failed::Table);
    }
    let feature = features.get(COLUMN).unwrap_or(&Feature::Json);
    let mut builder = Builder::new(feature, 0);
    for item in items {
        let mut cursor = Cursor { text, at: item.start };
        builder.append(&mut cursor).map_err(|fault| Failed::Json(item.start, fault))?;
    }
    let column = builder.finish().map_err(Failed::Table)?;
    let options = RecordBatchOptions::new().with_row_count(Some(items.len()));
    RecordBatch::try_new_with_options(to_schema(features, false), vec![column], &options)
        .map_err(|error| Failed::Table(EngineError::new(ErrorKind::Internal, error)))
}

/// Finds the items of an array in a file.
struct Scan {
    input: Input,
    /// After the last item found.
    position: usize,
    first: bool,
    done: bool,
    /// What comes after the array is of no interest.
    inside: bool,
    /// Bytes of text passed.
    taken: u64,
}

impl Scan {
    /// Goes to the first item.
    fn start(mut input: Input, field: Option<&str>) -> Result<Self, EngineError> {
        super::first_byte(&mut input)?;
        let position = match field {
            None => 0,
            Some(field) => find_field(&mut input, field)?,
        };
        Ok(Self { input, position: position + 1, first: true, done: false, inside: field.is_some(), taken: 0 })
    }

    /// The places of the next items, at least one and about `size` bytes; `None` after the last one.
    fn next_items(&mut self, size: usize) -> Result<Option<Vec<Range<usize>>>, EngineError> {
        while self.input.text().len() < size && self.input.more()? {}
        let mut items = Vec::new();
        while !self.done && self.position < size {
            let (text, start) = (self.input.text(), self.position);
            match next_item(Cursor { text, at: start }, self.first) {
                Ok((Some(item), after)) => {
                    items.push(item);
                    self.first = false;
                    self.position = after;
                }
                Ok((None, after)) => {
                    self.position = after;
                    self.done = true;
                }
                Err(Fault::End) if !self.input.at_end() => {
                    if !items.is_empty() {
                        break;
                    }
                    self.input.more_of_record(start)?;
                }
                Err(fault) => return Err(failure(&self.input, start, fault)),
            }
        }
        if self.done && !self.inside {
            self.check_end()?;
        }
        Ok((!items.is_empty()).then_some(items))
    }

    /// Nothing may follow the array.
    fn check_end(&mut self) -> Result<(), EngineError> {
        loop {
            let rest = &self.input.text()[self.position..];
            if let Some(at) = rest.iter().position(|byte| !byte.is_ascii_whitespace()) {
                let fault = Fault::At(self.position + at, "text after the end of the array".to_owned());
                return Err(failure(&self.input, self.position, fault));
            }
            if !self.input.more()? {
                return Ok(());
            }
        }
    }

    /// Forgets the items found.
    fn discard(&mut self) {
        self.taken += self.position as u64;
        self.input.discard(self.position);
        self.position = 0;
    }
}

/// The place of the next item and the position after it, where a comma or the closing bracket must stand.
fn next_item(mut cursor: Cursor<'_>, first: bool) -> Result<(Option<Range<usize>>, usize), Fault> {
    if !cursor.next_item(first)? {
        return Ok((None, cursor.at));
    }
    let start = cursor.at;
    cursor.skip(1)?;
    let end = cursor.at;
    // A number ends only where something else begins.
    cursor.blanks();
    cursor.byte()?;
    Ok((Some(start..end), end))
}

/// The position of the array behind a key of the object that the file is.
fn find_field(input: &mut Input, field: &str) -> Result<usize, EngineError> {
    let missing = || {
        let message = format!("parameter `field`: the file is no object with a list under the key \"{field}\"");
        EngineError::new(ErrorKind::Parameter, message)
    };
    if input.text().first() != Some(&b'{') {
        return Err(missing());
    }
    let (mut position, mut first) = (1, true);
    loop {
        match next_field(Cursor { text: input.text(), at: position }, first, field) {
            Ok(Step::Found(value)) if input.text()[value] == b'[' => return Ok(value),
            Ok(Step::Found(_) | Step::End) => return Err(missing()),
            Ok(Step::Other(after)) => {
                input.discard(after);
                (position, first) = (0, false);
            }
            Err(Fault::End) if !input.at_end() => {
                input.more_of_record(position)?;
            }
            Err(fault) => return Err(failure(input, position, fault)),
        }
    }
}

enum Step {
    /// The position of the value of the key.
    Found(usize),
    /// The position after a field of another name.
    Other(usize),
    End,
}

fn next_field(mut cursor: Cursor<'_>, first: bool, field: &str) -> Result<Step, Fault> {
    if !cursor.next_field(first)? {
        return Ok(Step::End);
    }
    let mut name = Vec::new();
    cursor.key()?.append_to(&mut name)?;
    cursor.byte()?;
    if name == field.as_bytes() {
        return Ok(Step::Found(cursor.at));
    }
    cursor.skip(1)?;
    let end = cursor.at;
    cursor.blanks();
    cursor.byte()?;
    Ok(Step::Other(end))
}

impl TableStream for ArrayStream {
    fn next_table(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        self.read_table().map_err(|error| error.in_file(&self.context.place.path()))
    }

    fn bytes_consumed(&self) -> u64 {
        self.scan.input.bytes_consumed()
    }
}
