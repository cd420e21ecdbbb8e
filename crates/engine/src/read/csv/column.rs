//! The fields of one column of one batch → a typed Arrow array, by pandas' rules.
//!
//! A type is tried on the whole batch before the next one: integer, float, boolean, text. The order and the
//! conditions below are those of `TextReader._convert_tokens`.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, BooleanBufferBuilder, Float64Array, Int64Array, NullArray, StringArray, UInt64Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};

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

enum Integer {
    Value(i64),
    /// An integer beyond 64 bits signed, or one that starts like it.
    Beyond,
    No,
}

enum Unsigned {
    Value(u64),
    Negative,
    Beyond,
    No,
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\x0b' | b'\x0c' | b'\r')
}

fn trim(mut field: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = field
        && is_space(*first)
    {
        field = rest;
    }
    while let [rest @ .., last] = field
        && is_space(*last)
    {
        field = rest;
    }
    field
}

/// The digits of a number as long as they fit in `limit`; what follows must be nothing.
#[inline]
fn magnitude(digits: &[u8], limit: u64, thousands: Option<u8>) -> Option<Result<u64, ()>> {
    if !digits.first()?.is_ascii_digit() {
        return None;
    }
    let mut value = 0_u64;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            if Some(byte) == thousands {
                continue;
            }
            return None;
        }
        match value.checked_mul(10).and_then(|value| value.checked_add(u64::from(digit))) {
            Some(next) if next <= limit => value = next,
            _ => return Some(Err(())),
        }
    }
    Some(Ok(value))
}

#[inline]
fn integer(field: &[u8], thousands: Option<u8>) -> Integer {
    // The usual case first: up to 18 digits, which cannot overflow.
    if let 1..=18 = field.len() {
        let mut value = 0_i64;
        let mut plain = true;
        for &byte in field {
            let digit = byte.wrapping_sub(b'0');
            plain &= digit <= 9;
            value = value * 10 + i64::from(digit & 15);
        }
        if plain {
            return Integer::Value(value);
        }
    }
    let (negative, digits) = match trim(field) {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    let limit = if negative { i64::MIN.unsigned_abs() } else { i64::MAX.unsigned_abs() };
    match magnitude(digits, limit, thousands) {
        None => Integer::No,
        Some(Err(())) => Integer::Beyond,
        Some(Ok(value)) if negative => Integer::Value(0_i64.wrapping_sub_unsigned(value)),
        Some(Ok(value)) => Integer::Value(value.cast_signed()),
    }
}

fn unsigned(field: &[u8], thousands: Option<u8>) -> Unsigned {
    let digits = match trim(field) {
        [b'-', ..] => return Unsigned::Negative,
        [b'+', digits @ ..] | digits => digits,
    };
    match magnitude(digits, u64::MAX, thousands) {
        None => Unsigned::No,
        Some(Err(())) => Unsigned::Beyond,
        Some(Ok(value)) => Unsigned::Value(value),
    }
}

/// Powers of ten that a float holds exactly.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// A correctly rounded float, or an infinity by name. Numbers too large for a float are none.
fn float(field: &[u8], decimal: u8, thousands: Option<u8>) -> Option<f64> {
    let text = trim(field);
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    let mut value = 0_u64;
    let (mut significant, mut fraction, mut seen, mut exponent) = (0_u32, 0_i32, false, 0_i32);
    let mut in_fraction = false;
    let mut rest = digits;
    while let [byte, after @ ..] = rest {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            seen = true;
            if significant > 0 || digit > 0 {
                significant += 1;
            }
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
            fraction += i32::from(in_fraction);
        } else if *byte == decimal && !in_fraction {
            in_fraction = true;
        } else if Some(*byte) != thousands || in_fraction || !seen {
            break;
        }
        rest = after;
    }
    if !seen {
        return infinity(field);
    }
    if let [b'e' | b'E', after @ ..] = rest {
        let (down, power) = match after {
            [b'-', power @ ..] => (true, power),
            [b'+', power @ ..] | power => (false, power),
        };
        if power.is_empty() || !power.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let size = power.iter().fold(0_i32, |size, digit| (size * 10 + i32::from(digit - b'0')).min(100_000));
        exponent = if down { -size } else { size };
    } else if !rest.is_empty() {
        return None;
    }
    let scale = exponent - fraction;
    let size = match EXACT_POWERS.get(scale.unsigned_abs() as usize) {
        // Both factors are exact, so the result is rounded once (Clinger, "How to read floating point numbers accurately").
        Some(power) if significant <= 15 && scale < 0 => value as f64 / power,
        Some(power) if significant <= 15 => value as f64 * power,
        _ => plain_text(digits, decimal, thousands).parse().ok().filter(|size: &f64| size.is_finite())?,
    };
    Some(if negative { -size } else { size })
}

/// A number as Rust spells it.
fn plain_text(digits: &[u8], decimal: u8, thousands: Option<u8>) -> String {
    let spell = |byte: u8| if byte == decimal { '.' } else { char::from(byte) };
    digits.iter().filter(|byte| Some(**byte) != thousands).map(|byte| spell(*byte)).collect()
}

/// `inf` or `infinity` in any case, with or without sign; blanks around are not allowed.
fn infinity(field: &[u8]) -> Option<f64> {
    let (sign, name) = match field {
        [b'-', name @ ..] => (-1.0, name),
        [b'+', name @ ..] | name => (1.0, name),
    };
    let named = name.eq_ignore_ascii_case(b"inf") || name.eq_ignore_ascii_case(b"infinity");
    named.then_some(sign * f64::INFINITY)
}
