//! The fields of one column of one batch → a typed Arrow array, by pandas' rules.
//!
//! A type is tried on the whole batch before the next one: integer, float, boolean, text. The order and the
//! conditions below are those of `TextReader._convert_tokens`.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, BooleanBufferBuilder, Float64Array, Int64Array, NullArray, StringArray, UInt64Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};

use super::numbers::{Integer, Unsigned, float, integer, unsigned};
use super::options::ValueRules;
use super::tokens::Span;
use crate::error::{EngineError, ErrorKind};

/// The fields of a column, from top to bottom.
#[derive(Clone, Copy)]
pub(super) struct Cells<'a> {
    pub(super) text: &'a [u8],
    pub(super) side: &'a [u8],
    /// Row after row.
    pub(super) spans: &'a [Span],
    /// Fields per row.
    pub(super) width: usize,
    /// This column; beyond the width, every field is empty.
    pub(super) column: usize,
}

impl<'a> Cells<'a> {
    fn len(self) -> usize {
        self.spans.len() / self.width
    }

    #[inline]
    fn iter(self) -> impl ExactSizeIterator<Item = &'a [u8]> {
        let column = self.column;
        self.spans
            .chunks_exact(self.width)
            .map(move |row| row.get(column).map_or(&b""[..], |span| span.bytes(self.text, self.side)))
    }
}

/// What the attempt to read integers found.
enum Integers {
    /// All of them are.
    Values(ArrayRef),
    /// Try floats.
    No,
    /// Text as it stands; `missing`: missing values are still null.
    Text { missing: bool },
}

impl ValueRules {
    /// The array of a column. `as_text`: no other type is tried.
    pub(super) fn array(&self, cells: Cells<'_>, as_text: bool) -> Result<ArrayRef, EngineError> {
        if cells.len() == 0 {
            return Ok(Arc::new(NullArray::new(0)));
        }
        if as_text {
            return self.texts(cells, self.finds_missing);
        }
        match self.integers(cells) {
            Integers::Values(array) => return Ok(array),
            Integers::Text { missing } => return self.texts(cells, missing && self.finds_missing),
            Integers::No => {}
        }
        if let Some(array) = self.floats(cells).or_else(|| self.booleans(cells)) {
            return Ok(array);
        }
        self.texts(cells, self.finds_missing)
    }

    #[inline]
    fn is_missing(&self, field: &[u8]) -> bool {
        self.finds_missing
            && ((self.default_missing && is_missing_marker(field))
                || (!self.more_missing.is_empty() && self.more_missing.contains(field)))
    }

    fn integers(&self, cells: Cells<'_>) -> Integers {
        let mut values = Vec::with_capacity(cells.len());
        let mut missing = false;
        for field in cells.iter() {
            match integer(field, self.thousands) {
                Integer::Value(value) => values.push(value),
                Integer::Beyond => return self.large_integers(cells),
                Integer::No if self.is_missing(field) => missing = true,
                Integer::No => return Integers::No,
            }
            // `-1.#IND` and the like start with digits, so only a plain number can be a missing value here.
            if !self.more_missing.is_empty() && self.is_missing(field) {
                missing = true;
            }
        }
        if missing { Integers::No } else { Integers::Values(Arc::new(Int64Array::from(values))) }
    }

    fn large_integers(&self, cells: Cells<'_>) -> Integers {
        let mut values = Vec::with_capacity(cells.len());
        let (mut negative, mut large, mut missing) = (false, false, false);
        for field in cells.iter() {
            if self.is_missing(field) {
                missing = true;
                continue;
            }
            match unsigned(field, self.thousands) {
                Unsigned::Value(value) => {
                    large |= i64::try_from(value).is_err();
                    values.push(value);
                }
                Unsigned::Negative => negative = true,
                Unsigned::Beyond => return Integers::Text { missing: true },
                Unsigned::No => return Integers::No,
            }
        }
        match (large && (negative || missing), negative || missing) {
            (true, _) => Integers::Text { missing: false },
            (false, true) => Integers::Text { missing: true },
            (false, false) => Integers::Values(Arc::new(UInt64Array::from(values))),
        }
    }

    fn floats(&self, cells: Cells<'_>) -> Option<ArrayRef> {
        let mut values = Vec::with_capacity(cells.len());
        let mut valid = Validity::new(cells.len());
        for field in cells.iter() {
            let value = if self.is_missing(field) { None } else { Some(float(field, self.decimal, self.thousands)?) };
            let value = value.filter(|value| !self.missing_numbers.contains(value));
            valid.push(value.is_some());
            values.push(value.unwrap_or(0.0));
        }
        Some(Arc::new(Float64Array::new(ScalarBuffer::from(values), valid.finish())))
    }

    fn booleans(&self, cells: Cells<'_>) -> Option<ArrayRef> {
        let mut values = BooleanBufferBuilder::new(cells.len());
        let mut valid = Validity::new(cells.len());
        for field in cells.iter() {
            let value = if self.is_missing(field) { None } else { Some(self.boolean(field)?) };
            valid.push(value.is_some());
            values.append(value.unwrap_or(false));
        }
        Some(Arc::new(BooleanArray::new(values.finish(), valid.finish())))
    }

    fn boolean(&self, field: &[u8]) -> Option<bool> {
        match field {
            b"True" | b"TRUE" | b"true" => Some(true),
            b"False" | b"FALSE" | b"false" => Some(false),
            other if self.true_words.iter().any(|word| word == other) => Some(true),
            other if self.false_words.iter().any(|word| word == other) => Some(false),
            _ => None,
        }
    }

    fn texts(&self, cells: Cells<'_>, finds_missing: bool) -> Result<ArrayRef, EngineError> {
        let mut bytes = Vec::with_capacity(cells.iter().map(<[u8]>::len).sum());
        let mut offsets = Vec::with_capacity(cells.len() + 1);
        let mut valid = Validity::new(cells.len());
        offsets.push(0);
        for field in cells.iter() {
            let missing = finds_missing && self.is_missing(field);
            valid.push(!missing);
            if !missing {
                bytes.extend_from_slice(field);
            }
            offsets.push(i32::try_from(bytes.len()).map_err(|_| {
                EngineError::new(ErrorKind::Unreadable, "a column holds more than 2 GiB of text in one batch")
            })?);
        }
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        // An escape before a character of several bytes may have cut it.
        let array = StringArray::try_new(offsets, bytes.into(), valid.finish())
            .map_err(|_| EngineError::new(ErrorKind::Unreadable, "an escape character splits another character"))?;
        Ok(Arc::new(array) as ArrayRef)
    }
}

/// Markers of missing values that pandas knows.
#[inline]
fn is_missing_marker(field: &[u8]) -> bool {
    match field.first() {
        None => true,
        Some(b'#' | b'-' | b'1' | b'<' | b'N' | b'n') if field.len() <= 8 => matches!(
            field,
            b"#N/A"
                | b"#N/A N/A"
                | b"#NA"
                | b"-1.#IND"
                | b"-1.#QNAN"
                | b"-NaN"
                | b"-nan"
                | b"1.#IND"
                | b"1.#QNAN"
                | b"<NA>"
                | b"N/A"
                | b"NA"
                | b"NULL"
                | b"NaN"
                | b"None"
                | b"n/a"
                | b"nan"
                | b"null"
        ),
        _ => false,
    }
}

/// Builds a validity bitmap only once there is a null.
struct Validity {
    bits: Option<BooleanBufferBuilder>,
    length: usize,
    capacity: usize,
}

impl Validity {
    fn new(capacity: usize) -> Self {
        Self { bits: None, length: 0, capacity }
    }

    #[inline]
    fn push(&mut self, valid: bool) {
        if !valid && self.bits.is_none() {
            let mut bits = BooleanBufferBuilder::new(self.capacity);
            bits.append_n(self.length, true);
            self.bits = Some(bits);
        }
        if let Some(bits) = &mut self.bits {
            bits.append(valid);
        }
        self.length += 1;
    }

    fn finish(self) -> Option<NullBuffer> {
        self.bits.map(|mut bits| NullBuffer::new(bits.finish()))
    }
}
