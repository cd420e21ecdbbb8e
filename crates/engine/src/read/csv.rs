//! Delimited text, with the types and the parameters of `pandas.read_csv`.

mod column;
mod numbers;
mod options;
mod tokens;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema};
use belvedere_domain::data_files::ResolvedConfig;
use hashbrown::HashSet;

use self::column::Cells;
use self::options::{BadLines, ColumnKey, CsvOptions, Header, Index, SkipLines};
use self::tokens::{Found, Span, Tokenizer};
use super::input::Input;
use super::{ReadLimits, TableStream};
use crate::decompress::Place;
use crate::error::{EngineError, ErrorKind};

/// Opens a csv file.
pub(super) fn open(
    config: &ResolvedConfig,
    place: &Place,
    limits: ReadLimits,
) -> Result<Box<dyn TableStream>, EngineError> {
    let options = CsvOptions::of(config)?;
    Ok(Box::new(CsvStream {
        input: Input::open(place, options.encoding, true, limits)?,
        tokenizer: Tokenizer::new(options.dialect.clone()),
        rows_left: options.max_rows.unwrap_or(u64::MAX),
        options,
        names: None,
        layout: None,
        line_number: 0,
        position: 0,
        spans: Vec::new(),
        side: Vec::new(),
        max_batch_bytes: limits.max_batch_bytes,
        gave_table: false,
        path: place.path(),
    }))
}

struct CsvStream {
    input: Input,
    tokenizer: Tokenizer,
    options: CsvOptions,
    rows_left: u64,
    /// Names from header or parameters, once the header was read; `None` inside: the file has no names.
    names: Option<Option<Vec<String>>>,
    /// Known from the first data row on.
    layout: Option<Layout>,
    /// Physical line of the file, from 0, for `skiprows`.
    line_number: u64,
    /// Where the next record starts in the text of the input.
    position: usize,
    spans: Vec<Span>,
    side: Vec<u8>,
    max_batch_bytes: usize,
    gave_table: bool,
    path: String,
}

/// How the fields of a row become columns.
#[derive(Debug)]
struct Layout {
    /// Fields of a row.
    width: usize,
    /// A longer row is no error; what it has more is dropped.
    drops_surplus: bool,
    columns: Vec<Column>,
}

#[derive(Debug)]
struct Column {
    name: String,
    /// Field of the row it comes from.
    field: usize,
    as_text: bool,
}

impl TableStream for CsvStream {
    fn next_table(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        self.read_table().map_err(|error| error.in_file(&self.path))
    }

    fn line_of_row(&self, row: usize) -> Option<u64> {
        let width = self.layout.as_ref()?.width;
        let start = self.spans.get(row * width..)?.iter().take(width).find_map(|span| span.start_in_text())?;
        Some(self.input.line_of(start))
    }

    fn bytes_consumed(&self) -> u64 {
        self.input.bytes_consumed()
    }
}

impl CsvStream {
    fn read_table(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        if self.names.is_none() {
            self.names = Some(self.read_names()?);
        }
        self.input.discard(self.position);
        self.position = 0;
        self.spans.clear();
        self.side.clear();
        let rows = self.read_rows()?;
        if rows == 0 && self.gave_table {
            return Ok(None);
        }
        self.gave_table = true;
        if self.layout.is_none() {
            // There are names and no row.
            self.layout = Some(self.layout_for(0)?);
        }
        self.table(rows).map(Some)
    }

    /// Passes over what comes before the data.
    fn read_names(&mut self) -> Result<Option<Vec<String>>, EngineError> {
        let line = match (self.options.header, &self.options.names) {
            (Header::Absent, _) | (Header::Infer, Some(_)) => None,
            (Header::Infer, None) => Some(0),
            (Header::Line(line), _) => Some(line),
        };
        let mut names = None;
        for _ in 0..line.map_or(0, |line| line + 1) {
            self.spans.clear();
            if !self.read_record()? {
                return Err(EngineError::new(
                    ErrorKind::Unreadable,
                    "the file is empty: it has no header and no row; fill it, or leave it out",
                ));
            }
            let text = |span: &Span| String::from_utf8_lossy(span.bytes(self.input.text(), &self.side)).into_owned();
            names = Some(unique_names(self.spans.iter().map(text).collect()));
        }
        match &self.options.names {
            Some(given) => {
                if given.iter().collect::<HashSet<_>>().len() < given.len() {
                    let message = "parameter `names`: a name is given twice";
                    return Err(EngineError::new(ErrorKind::Parameter, message));
                }
                Ok(Some(given.clone()))
            }
            None => Ok(names),
        }
    }

    /// Appends the fields of the next record to `spans`; false at the end of the file.
    fn read_record(&mut self) -> Result<bool, EngineError> {
        loop {
            let (text, at_end) = (self.input.text(), self.input.at_end());
            if self.position == text.len() && at_end {
                return Ok(false);
            }
            let skipped = match &self.options.skip_lines {
                SkipLines::First(lines) => self.line_number < *lines,
                SkipLines::These(lines) => lines.contains(&self.line_number),
            };
            let found = if skipped {
                self.tokenizer.skip_line(text, self.position, at_end)
            } else {
                self.tokenizer.record(text, self.position, at_end, &mut self.spans, &mut self.side)
            };
            match found {
                Found::Record { end } => {
                    self.line_number += 1;
                    self.position = end;
                    return Ok(true);
                }
                Found::Nothing { end } => {
                    self.line_number += 1;
                    self.position = end;
                }
                Found::Incomplete => {
                    self.input.more_of_record(self.position)?;
                }
                Found::OpenQuote { start } => {
                    let line = self.input.line_of(start);
                    let message =
                        "a quote is opened here and never closed; close it, or set `quoting: 3` if quotes mean nothing";
                    return Err(EngineError::new(ErrorKind::Unreadable, message).at_line(line));
                }
            }
        }
    }

    /// Reads the rows of one batch, each with as many spans as the layout is wide.
    fn read_rows(&mut self) -> Result<usize, EngineError> {
        let mut rows = 0;
        while rows < self.options.batch_rows && self.rows_left > 0 && self.position < self.max_batch_bytes {
            let (start, first) = (self.position, self.spans.len());
            if !self.read_record()? {
                break;
            }
            let found = self.spans.len() - first;
            let (width, drops_surplus) = match &self.layout {
                Some(layout) => (layout.width, layout.drops_surplus),
                None => {
                    let layout = self.layout_for(found)?;
                    let shape = (layout.width, layout.drops_surplus);
                    self.layout = Some(layout);
                    shape
                }
            };
            if found > width && !drops_surplus {
                if self.options.bad_lines == BadLines::Skip {
                    self.spans.truncate(first);
                    continue;
                }
                // Blank lines may stand before the record.
                let blank =
                    self.input.text()[start..self.position].iter().take_while(|byte| byte.is_ascii_whitespace());
                let line = self.input.line_of(start + blank.count());
                let message = format!(
                    "expected {width} fields, found {found}; quote fields that hold the separator, \
                     or skip such lines with `on_bad_lines: skip`"
                );
                return Err(EngineError::new(ErrorKind::Unreadable, message).at_line(line));
            }
            self.spans.resize(first + width, Span::EMPTY);
            rows += 1;
            self.rows_left -= 1;
        }
        Ok(rows)
    }

    /// Decides the columns by the number of fields of the first row.
    fn layout_for(&self, found: usize) -> Result<Layout, EngineError> {
        let options = &self.options;
        let names = match self.names.as_ref().and_then(Option::as_ref) {
            Some(names) => names.clone(),
            None if found > 0 => (0..found).map(|place| place.to_string()).collect(),
            None => {
                return Err(EngineError::new(
                    ErrorKind::Unreadable,
                    "the file is empty: it has no row; fill it, or leave it out",
                ));
            }
        };
        // Names given for some of the columns name exactly those.
        let renames = options.columns.as_ref().filter(|keys| options.names.is_some() && keys.len() == names.len());
        let surplus = match options.index {
            Index::Surplus if options.columns.is_none() => found.saturating_sub(names.len()),
            _ => 0,
        };
        let field_of = |key: &ColumnKey, parameter: &str| {
            let field = match key {
                ColumnKey::Place(place) => (*place < names.len().max(found)).then_some(*place),
                ColumnKey::Name(name) => names.iter().position(|known| known == name),
            };
            field.ok_or_else(|| {
                EngineError::new(ErrorKind::Parameter, format!("parameter `{parameter}`: there is no column {key}"))
            })
        };
        let mut columns: Vec<Column> = Vec::with_capacity(names.len() + surplus);
        let mut push = |name: &str, field| {
            columns.push(Column { name: name.to_owned(), field, as_text: options.reads_as_text(name) });
        };
        match (&options.columns, renames) {
            (Some(keys), Some(_)) => {
                let mut fields = keys.iter().map(|key| field_of(key, "usecols")).collect::<Result<Vec<_>, _>>()?;
                fields.sort_unstable();
                fields.into_iter().zip(&names).for_each(|(field, name)| push(name, field));
            }
            (Some(keys), None) => {
                let mut fields = keys.iter().map(|key| field_of(key, "usecols")).collect::<Result<Vec<_>, _>>()?;
                fields.sort_unstable();
                fields.dedup();
                for field in fields {
                    push(names.get(field).map_or("", String::as_str), field);
                }
            }
            (None, _) => names.iter().enumerate().for_each(|(place, name)| push(name, surplus + place)),
        }
        (0..surplus).for_each(|level| push(&format!("__index_level_{level}__"), level));
        if let Index::Columns(keys) = &options.index {
            for key in keys {
                let field = field_of(key, "index_col")?;
                if let Some(at) = columns.iter().position(|column| column.field == field) {
                    let column = columns.remove(at);
                    columns.push(column);
                }
            }
        }
        let drops_surplus = options.columns.is_some() || options.index == Index::Never;
        Ok(Layout { width: (names.len() + surplus).max(found), drops_surplus, columns })
    }

    fn table(&self, rows: usize) -> Result<RecordBatch, EngineError> {
        let layout = self.layout.as_ref().ok_or_else(|| EngineError::new(ErrorKind::Internal, "csv without layout"))?;
        let cells = Cells {
            text: self.input.text(),
            side: &self.side,
            spans: &self.spans,
            width: layout.width.max(1),
            column: 0,
        };
        let array = |column: &Column| {
            let cells = Cells { column: column.field, ..cells };
            self.options.values.array(cells, column.as_text).map_err(|error| error.in_column(&column.name))
        };
        let arrays = layout.columns.iter().map(array).collect::<Result<Vec<ArrayRef>, _>>()?;
        let field = |(column, array): (&Column, &ArrayRef)| Field::new(&column.name, array.data_type().clone(), true);
        let schema = Schema::new(layout.columns.iter().zip(&arrays).map(field).collect::<Vec<_>>());
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::new(schema), arrays, &options)
            .map_err(|error| EngineError::new(ErrorKind::Internal, error))
    }
}

/// Names as pandas makes them: an empty one by its place, a repeated one with the next free number.
pub(super) fn unique_names(names: Vec<String>) -> Vec<String> {
    let mut unnamed = HashSet::new();
    let mut result: Vec<String> = names
        .into_iter()
        .enumerate()
        .map(|(place, name)| match name.is_empty() {
            false => name,
            true => {
                unnamed.insert(place);
                format!("Unnamed: {place}")
            }
        })
        .collect();
    let given: HashSet<String> = result.iter().cloned().collect();
    let mut used = HashSet::new();
    // Names from the file win over names made for empty cells, and the first over the later ones.
    let (named, made): (Vec<usize>, Vec<usize>) = (0..result.len()).partition(|place| !unnamed.contains(place));
    for place in named.into_iter().chain(made) {
        let base = result[place].clone();
        let mut name = base.clone();
        let mut number = 0;
        while used.contains(&name) || (number > 0 && given.contains(&name)) {
            number += 1;
            name = format!("{base}.{number}");
        }
        used.insert(name.clone());
        result[place] = name;
    }
    result
}

#[cfg(test)]
mod tests;
