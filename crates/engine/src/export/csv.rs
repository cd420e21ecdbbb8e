//! CSV as RFC 4180 has it: commas, CRLF, quotes where they are needed.
//!
//! Texts are written as they are, everything else as in JSON, without the quotes around dates and the like. Nulls are
//! empty and empty texts are `""`, so that readers that look can tell them apart.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float16Type, Float32Type, Float64Type};
use belvedere_domain::{Feature, Features};

use super::{Encoder, json};
use crate::call::{MediaTarget, Piece};
use crate::cells::Cells;
use crate::error::EngineError;
use crate::media::{MediaStore, Place};

const END_OF_LINE: &str = "\r\n";

pub(super) struct Csv<'a> {
    features: &'a Features,
    media: MediaStore<'a>,
    text: String,
}

impl<'a> Csv<'a> {
    /// The first piece begins with the names of the columns.
    pub(super) fn new(features: &'a Features, media: &'a MediaTarget, begins: bool) -> Self {
        let mut text = String::new();
        if begins {
            for (index, (name, _)) in features.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                field(&mut text, name);
            }
            text.push_str(END_OF_LINE);
        }
        Self { features, media: MediaStore::new(media), text }
    }
}

impl Encoder for Csv<'_> {
    fn push(&mut self, table: &RecordBatch, numbers: &[u64]) -> Result<(), EngineError> {
        let writers = json::writers(self.features, table)?;
        let columns: Vec<Column<'_>> = table
            .columns()
            .iter()
            .zip(self.features)
            .zip(writers)
            .map(|((array, (name, feature)), cells)| Column { name, array, kind: Kind::of(feature, array), cells })
            .collect();
        let mut scratch = String::new();
        for (row, &number) in numbers.iter().enumerate() {
            for (index, column) in columns.iter().enumerate() {
                if index > 0 {
                    self.text.push(',');
                }
                let start = self.text.len();
                column.write(&mut self.text, &mut scratch, row, number, &mut self.media)?;
                // An empty line is no row to most readers.
                if columns.len() == 1 && self.text.len() == start {
                    self.text.push_str("\"\"");
                }
            }
            self.text.push_str(END_OF_LINE);
        }
        Ok(())
    }

    fn num_bytes(&self) -> usize {
        self.text.len()
    }

    fn finish(self: Box<Self>) -> Result<Piece, EngineError> {
        self.media.into_assets()?;
        Ok(Piece::Text(self.text))
    }
}

struct Column<'a> {
    name: &'a str,
    array: &'a dyn Array,
    kind: Kind<'a>,
    cells: Cells<'a>,
}

/// How a value becomes a field.
enum Kind<'a> {
    Text(Box<dyn Fn(usize) -> &'a str + 'a>),
    /// JSON has no word for what is not finite; readers of CSV do.
    Float(Box<dyn Fn(usize) -> f64 + 'a>),
    /// As in JSON; the text of a JSON string stands for itself, since it needs no escapes.
    Scalar,
    /// JSON text.
    Json,
}

impl<'a> Kind<'a> {
    fn of(feature: &Feature, array: &'a dyn Array) -> Self {
        if !matches!(feature, Feature::Value(_) | Feature::ClassLabel { .. }) {
            return Self::Json;
        }
        match array.data_type() {
            DataType::Utf8 => {
                let array = array.as_string::<i32>();
                Self::Text(Box::new(|row| array.value(row)))
            }
            DataType::LargeUtf8 => {
                let array = array.as_string::<i64>();
                Self::Text(Box::new(|row| array.value(row)))
            }
            DataType::Utf8View => {
                let array = array.as_string_view();
                Self::Text(Box::new(|row| array.value(row)))
            }
            DataType::Float16 => {
                let array = array.as_primitive::<Float16Type>();
                Self::Float(Box::new(|row| array.value(row).to_f64()))
            }
            DataType::Float32 => {
                let array = array.as_primitive::<Float32Type>();
                Self::Float(Box::new(|row| f64::from(array.value(row))))
            }
            DataType::Float64 => {
                let array = array.as_primitive::<Float64Type>();
                Self::Float(Box::new(|row| array.value(row)))
            }
            _ => Self::Scalar,
        }
    }
}

impl<'a> Column<'a> {
    fn write(
        &self,
        out: &mut String,
        scratch: &mut String,
        row: usize,
        number: u64,
        media: &mut MediaStore<'_>,
    ) -> Result<(), EngineError> {
        if self.array.is_null(row) {
            return Ok(());
        }
        match &self.kind {
            Kind::Text(value) => {
                field(out, value(row));
                return Ok(());
            }
            Kind::Float(value) if !value(row).is_finite() => {
                let value = value(row);
                out.push_str(if value.is_nan() {
                    "NaN"
                } else if value > 0.0 {
                    "Infinity"
                } else {
                    "-Infinity"
                });
                return Ok(());
            }
            Kind::Float(_) | Kind::Scalar | Kind::Json => {}
        }
        scratch.clear();
        let mut place = Place { row: number, column: self.name, path: Vec::new() };
        self.cells.write(scratch, row, &mut place, media).map_err(|error| error.in_column(self.name))?;
        let text = match &self.kind {
            Kind::Json => scratch.as_str(),
            _ => scratch.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(scratch),
        };
        // A media cell without content, or a column of nothing but nulls.
        if text != "null" || self.is_json_null(row) {
            field(out, text);
        }
        Ok(())
    }

    /// A `null` that somebody wrote as JSON.
    fn is_json_null(&self, row: usize) -> bool {
        matches!(self.kind, Kind::Json) && self.array.as_string_opt::<i32>().is_some_and(|texts| texts.is_valid(row))
    }
}

/// Appends a field that is not null.
fn field(out: &mut String, text: &str) {
    let needs_quotes = |byte: u8| matches!(byte, b'"' | b',' | b'\r' | b'\n');
    if !text.is_empty() && !text.bytes().any(needs_quotes) {
        out.push_str(text);
        return;
    }
    out.push('"');
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'"', rest.as_bytes()) {
        out.push_str(&rest[..=at]);
        out.push('"');
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
}
