//! Arrow values → JSON cells, written straight into a text buffer.
//!
//! Types are looked at once per column and batch: [`Cells`] is a tree of writers over the arrays. It knows nothing of
//! rows, pages or files; media cells are handed to the [`MediaStore`].

pub(crate) mod decimal;
pub(crate) mod temporal;

use std::ops::Range;

use arrow::array::{
    Array, ArrowPrimitiveType, AsArray, BinaryArray, GenericBinaryArray, GenericListArray, GenericStringArray,
    OffsetSizeTrait, StringArray,
};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Decimal128Type, Decimal256Type, DurationMicrosecondType, DurationMillisecondType,
    DurationNanosecondType, DurationSecondType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use belvedere_domain::Feature;

use crate::cells::temporal::Zone;
use crate::error::{EngineError, ErrorKind};
use crate::json_text;
use crate::media::{MediaCell, MediaStore, Place, Step};

/// Writes the cells of one column of a batch.
pub(crate) struct Cells<'a> {
    array: &'a dyn Array,
    kind: Kind<'a>,
}

type Write<'a> = Box<dyn Fn(&mut String, usize) + 'a>;
type ItemRange<'a> = Box<dyn Fn(usize) -> Range<usize> + 'a>;

enum Kind<'a> {
    Scalar(Write<'a>),
    List {
        range: ItemRange<'a>,
        items: Box<Cells<'a>>,
    },
    Struct(Vec<Child<'a>>),
    Json(&'a StringArray),
    Media {
        feature: &'a Feature,
        bytes: &'a BinaryArray,
        path: &'a StringArray,
    },
    /// Only nulls can be shown.
    Opaque(String),
}

struct Child<'a> {
    name: &'a str,
    /// `"name":`, escaped.
    key: String,
    /// `None`: the stored structs lack it.
    cells: Option<Cells<'a>>,
}

impl<'a> Cells<'a> {
    /// The writer of `array`, whose storage is that of `feature`.
    ///
    /// # Errors
    /// [`Internal`](ErrorKind::Internal) when the storage is another one.
    pub(crate) fn of(feature: &'a Feature, array: &'a dyn Array) -> Result<Self, EngineError> {
        let kind = match feature {
            Feature::List { feature, .. } | Feature::LargeList(feature) => list(array, Some(feature))?,
            Feature::Struct(fields) => {
                let stored = array.as_struct_opt().ok_or_else(|| mismatch(feature, array))?;
                let child = |(name, feature): &'a (String, Feature)| {
                    let cells = stored.column_by_name(name).map(|array| Self::of(feature, array)).transpose()?;
                    Ok(Child { name, key: key(name), cells })
                };
                Kind::Struct(fields.iter().map(child).collect::<Result<_, EngineError>>()?)
            }
            Feature::Json => Kind::Json(array.as_string_opt().ok_or_else(|| mismatch(feature, array))?),
            Feature::Image(_) | Feature::Audio(_) | Feature::Video(_) | Feature::Pdf(_) => {
                let stored = array.as_struct_opt().ok_or_else(|| mismatch(feature, array))?;
                let bytes = stored.column_by_name("bytes").and_then(|array| array.as_binary_opt());
                let path = stored.column_by_name("path").and_then(|array| array.as_string_opt());
                match (bytes, path) {
                    (Some(bytes), Some(path)) => Kind::Media { feature, bytes, path },
                    _ => return Err(mismatch(feature, array)),
                }
            }
            Feature::Opaque(json) => Kind::Opaque(json["_type"].as_str().unwrap_or("unknown").to_owned()),
            Feature::Value(_)
            | Feature::ClassLabel { .. }
            | Feature::Array { .. }
            | Feature::Translation { .. }
            | Feature::TranslationVariableLanguages { .. } => plain(array)?,
        };
        Ok(Self { array, kind })
    }

    /// Appends the cell of a row of the batch. Nulls are `null` for every type.
    ///
    /// # Errors
    /// [`Cell`](ErrorKind::Cell) for media that cannot be read and types that cannot be shown,
    /// [`Io`](ErrorKind::Io) when a media file cannot be written.
    pub(crate) fn write(
        &self,
        out: &mut String,
        row: usize,
        place: &mut Place<'a>,
        media: &mut MediaStore<'_>,
    ) -> Result<(), EngineError> {
        if self.array.is_null(row) {
            out.push_str("null");
            return Ok(());
        }
        match &self.kind {
            Kind::Scalar(write) => write(out, row),
            Kind::List { range, items } => {
                out.push('[');
                let range = range(row);
                for (index, item) in range.clone().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    place.path.push(Step::Index(index));
                    items.write(out, item, place, media)?;
                    place.path.pop();
                }
                out.push(']');
            }
            Kind::Struct(children) => {
                out.push('{');
                for (index, child) in children.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    out.push_str(&child.key);
                    match &child.cells {
                        Some(cells) => {
                            place.path.push(Step::Key(child.name));
                            cells.write(out, row, place, media)?;
                            place.path.pop();
                        }
                        None => out.push_str("null"),
                    }
                }
                out.push('}');
            }
            Kind::Json(texts) => parsed_json(out, texts.value(row)),
            Kind::Media { feature, bytes, path } => {
                let cell = MediaCell {
                    bytes: bytes.is_valid(row).then(|| bytes.value(row)).filter(|bytes| !bytes.is_empty()),
                    path: path.is_valid(row).then(|| path.value(row)),
                };
                media.write(out, feature, cell, place)?;
            }
            Kind::Opaque(name) => {
                let message = format!("values of type {name} cannot be shown");
                return Err(EngineError::new(ErrorKind::Cell, message).in_column(place.column));
            }
        }
        Ok(())
    }
}

/// `"name":`, escaped.
pub(crate) fn key(name: &str) -> String {
    let mut key = String::with_capacity(name.len() + 3);
    json_text::string(&mut key, name);
    key.push(':');
    key
}

fn mismatch(feature: &Feature, array: &dyn Array) -> EngineError {
    let message = format!("a column of type {} was to be shown as {}", array.data_type(), feature.to_json());
    EngineError::new(ErrorKind::Internal, message)
}

/// The parsed value in compact form; the text itself, as a string, if it does not parse.
fn parsed_json(out: &mut String, text: &str) {
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(value) => out.push_str(&value.to_string()),
        Err(_) => json_text::string(out, text),
    }
}

/// Cells of types that say by themselves how they are shown.
fn plain<'a>(array: &'a dyn Array) -> Result<Kind<'a>, EngineError> {
    let write: Write<'a> = match array.data_type() {
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => return list(array, None),
        DataType::Struct(fields) => {
            let columns = fields.iter().zip(array.as_struct().columns());
            let child = |(field, array): (&'a arrow::datatypes::FieldRef, &'a arrow::array::ArrayRef)| {
                let cells = Cells { array, kind: plain(array)? };
                Ok(Child { name: field.name(), key: key(field.name()), cells: Some(cells) })
            };
            return Ok(Kind::Struct(columns.map(child).collect::<Result<_, EngineError>>()?));
        }
        DataType::Null => Box::new(|out, _| out.push_str("null")),
        DataType::Boolean => {
            let array = array.as_boolean();
            Box::new(move |out, row| out.push_str(if array.value(row) { "true" } else { "false" }))
        }
        DataType::Int8 => integer::<Int8Type>(array),
        DataType::Int16 => integer::<Int16Type>(array),
        DataType::Int32 => integer::<Int32Type>(array),
        DataType::Int64 => integer::<Int64Type>(array),
        DataType::UInt8 => integer::<UInt8Type>(array),
        DataType::UInt16 => integer::<UInt16Type>(array),
        DataType::UInt32 => integer::<UInt32Type>(array),
        DataType::UInt64 => integer::<UInt64Type>(array),
        DataType::Float16 => value::<Float16Type>(array, |out, value| json_text::float(out, value.to_f64())),
        DataType::Float32 => value::<Float32Type>(array, |out, value| json_text::float(out, f64::from(value))),
        DataType::Float64 => value::<Float64Type>(array, json_text::float),
        DataType::Utf8 => text::<i32>(array),
        DataType::LargeUtf8 => text::<i64>(array),
        DataType::Utf8View => {
            let array = array.as_string_view();
            Box::new(move |out, row| json_text::string(out, array.value(row)))
        }
        DataType::Binary => binary::<i32>(array),
        DataType::LargeBinary => binary::<i64>(array),
        DataType::BinaryView => {
            let array = array.as_binary_view();
            Box::new(move |out, row| json_text::base64(out, array.value(row)))
        }
        DataType::FixedSizeBinary(_) => {
            let array = array.as_fixed_size_binary();
            Box::new(move |out, row| json_text::base64(out, array.value(row)))
        }
        DataType::Date32 => value::<Date32Type>(array, quoted(|out, days| temporal::date(out, i64::from(days)))),
        DataType::Date64 => {
            value::<Date64Type>(array, quoted(|out, millis: i64| temporal::date(out, millis.div_euclid(86_400_000))))
        }
        DataType::Time32(unit) | DataType::Time64(unit) => time(array, *unit),
        DataType::Timestamp(unit, zone) => timestamp(array, *unit, zone.as_deref())?,
        DataType::Duration(unit) => duration(array, *unit),
        DataType::Decimal128(_, scale) => {
            let scale = *scale;
            value::<Decimal128Type>(
                array,
                quoted(move |out, value: i128| decimal::decimal(out, itoa::Buffer::new().format(value), scale)),
            )
        }
        DataType::Decimal256(_, scale) => {
            let scale = *scale;
            value::<Decimal256Type>(
                array,
                quoted(move |out, value: arrow::datatypes::i256| decimal::decimal(out, &value.to_string(), scale)),
            )
        }
        other => {
            return Err(EngineError::new(ErrorKind::Internal, format!("cells of type {other} cannot be written")));
        }
    };
    Ok(Kind::Scalar(write))
}

fn list<'a>(array: &'a dyn Array, item: Option<&'a Feature>) -> Result<Kind<'a>, EngineError> {
    let (range, values): (ItemRange<'a>, _) = match array.data_type() {
        DataType::List(_) => variable_list(array.as_list::<i32>()),
        DataType::LargeList(_) => variable_list(array.as_list::<i64>()),
        DataType::FixedSizeList(..) => {
            let list = array.as_fixed_size_list();
            let length = usize::try_from(list.value_length()).unwrap_or(0);
            (Box::new(move |row| row * length..(row + 1) * length), list.values())
        }
        other => {
            let message = format!("a column of type {other} was to be shown as a list");
            return Err(EngineError::new(ErrorKind::Internal, message));
        }
    };
    let items = match item {
        Some(feature) => Cells::of(feature, values)?,
        None => Cells { array: values, kind: plain(values)? },
    };
    Ok(Kind::List { range, items: Box::new(items) })
}

fn variable_list<O: OffsetSizeTrait>(list: &GenericListArray<O>) -> (ItemRange<'_>, &arrow::array::ArrayRef) {
    let offsets = list.value_offsets();
    (Box::new(move |row| offsets[row].as_usize()..offsets[row + 1].as_usize()), list.values())
}

fn value<'a, T: ArrowPrimitiveType>(array: &'a dyn Array, write: impl Fn(&mut String, T::Native) + 'a) -> Write<'a> {
    let array = array.as_primitive::<T>();
    Box::new(move |out, row| write(out, array.value(row)))
}

fn quoted<T>(write: impl Fn(&mut String, T)) -> impl Fn(&mut String, T) {
    move |out, value| {
        out.push('"');
        write(out, value);
        out.push('"');
    }
}

fn integer<T: ArrowPrimitiveType<Native: itoa::Integer>>(array: &dyn Array) -> Write<'_> {
    value::<T>(array, json_text::integer)
}

fn text<O: OffsetSizeTrait>(array: &dyn Array) -> Write<'_> {
    let array: &GenericStringArray<O> = array.as_string();
    Box::new(move |out, row| json_text::string(out, array.value(row)))
}

fn binary<O: OffsetSizeTrait>(array: &dyn Array) -> Write<'_> {
    let array: &GenericBinaryArray<O> = array.as_binary();
    Box::new(move |out, row| json_text::base64(out, array.value(row)))
}

fn time(array: &dyn Array, unit: TimeUnit) -> Write<'_> {
    let narrow = quoted(move |out, value: i32| temporal::time(out, i64::from(value), unit));
    let wide = quoted(move |out, value: i64| temporal::time(out, value, unit));
    match unit {
        TimeUnit::Second => value::<Time32SecondType>(array, narrow),
        TimeUnit::Millisecond => value::<Time32MillisecondType>(array, narrow),
        TimeUnit::Microsecond => value::<Time64MicrosecondType>(array, wide),
        TimeUnit::Nanosecond => value::<Time64NanosecondType>(array, wide),
    }
}

fn timestamp<'a>(array: &'a dyn Array, unit: TimeUnit, zone: Option<&str>) -> Result<Write<'a>, EngineError> {
    let zone = Zone::parse(zone).ok_or_else(|| {
        EngineError::new(ErrorKind::Cell, format!("the time zone \"{}\" is unknown", zone.unwrap_or_default()))
    })?;
    let write = quoted(move |out, value: i64| temporal::timestamp(out, value, unit, &zone));
    Ok(match unit {
        TimeUnit::Second => value::<TimestampSecondType>(array, write),
        TimeUnit::Millisecond => value::<TimestampMillisecondType>(array, write),
        TimeUnit::Microsecond => value::<TimestampMicrosecondType>(array, write),
        TimeUnit::Nanosecond => value::<TimestampNanosecondType>(array, write),
    })
}

fn duration(array: &dyn Array, unit: TimeUnit) -> Write<'_> {
    let write = quoted(move |out, value: i64| temporal::duration(out, value, unit));
    match unit {
        TimeUnit::Second => value::<DurationSecondType>(array, write),
        TimeUnit::Millisecond => value::<DurationMillisecondType>(array, write),
        TimeUnit::Microsecond => value::<DurationMicrosecondType>(array, write),
        TimeUnit::Nanosecond => value::<DurationNanosecondType>(array, write),
    }
}

#[cfg(test)]
mod tests;
