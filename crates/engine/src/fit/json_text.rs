//! Arrays as JSON text: what a column of type `Json` stores.
//!
//! Compact, ASCII only, with `/` escaped: the spelling of the reference, whose table sizes are part of dataset infos.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use arrow::datatypes::{DataType, Float64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::error::{EngineError, ErrorKind};

/// One JSON text per value; null stays null.
pub(super) fn of_array(array: &ArrayRef) -> Result<ArrayRef, EngineError> {
    let mut builder = StringBuilder::new();
    let mut text = String::new();
    for row in 0..array.len() {
        if array.is_null(row) {
            builder.append_null();
        } else {
            text.clear();
            write_value(array.as_ref(), row, &mut text)?;
            builder.append_value(&text);
        }
    }
    Ok(Arc::new(builder.finish()))
}

fn write_value(array: &dyn Array, row: usize, text: &mut String) -> Result<(), EngineError> {
    if array.is_null(row) {
        text.push_str("null");
        return Ok(());
    }
    match array.data_type() {
        DataType::Null => text.push_str("null"),
        DataType::Boolean => text.push_str(if array.as_boolean().value(row) { "true" } else { "false" }),
        DataType::Utf8 => write_text(array.as_string::<i32>().value(row), text),
        DataType::LargeUtf8 => write_text(array.as_string::<i64>().value(row), text),
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            let one = arrow::compute::cast(&array.slice(row, 1), &DataType::Float64)
                .map_err(|error| EngineError::new(ErrorKind::Internal, error))?;
            write_float(one.as_primitive::<Float64Type>().value(0), text);
        }
        DataType::List(_) => write_list(array.as_list::<i32>().value(row).as_ref(), text)?,
        DataType::LargeList(_) => write_list(array.as_list::<i64>().value(row).as_ref(), text)?,
        DataType::FixedSizeList(..) => write_list(array.as_fixed_size_list().value(row).as_ref(), text)?,
        DataType::Struct(fields) => {
            let mut separator = '{';
            for (field, child) in fields.iter().zip(array.as_struct().columns()) {
                text.push(separator);
                separator = ',';
                write_text(field.name(), text);
                text.push(':');
                write_value(child.as_ref(), row, text)?;
            }
            text.push_str(if separator == '{' { "{}" } else { "}" });
        }
        other => {
            let options = FormatOptions::new();
            let formatter = ArrayFormatter::try_new(array, &options)
                .map_err(|error| EngineError::new(ErrorKind::Incompatible, error))?;
            let value = formatter.value(row).to_string();
            if other.is_integer() { text.push_str(&value) } else { write_text(&value, text) }
        }
    }
    Ok(())
}

/// The JSON text of a list of these items.
pub(crate) fn of_list(items: &dyn Array) -> Result<String, EngineError> {
    let mut text = String::new();
    write_list(items, &mut text)?;
    Ok(text)
}

fn write_list(items: &dyn Array, text: &mut String) -> Result<(), EngineError> {
    text.push('[');
    for row in 0..items.len() {
        if row > 0 {
            text.push(',');
        }
        write_value(items, row, text)?;
    }
    text.push(']');
    Ok(())
}

/// Writes a float so that it reads back as the same float; what JSON cannot say is null.
pub(crate) fn write_float(value: f64, text: &mut String) {
    if value.is_finite() {
        text.push_str(ryu::Buffer::new().format_finite(value));
    } else {
        text.push_str("null");
    }
}

/// Writes a text in quotes.
pub(crate) fn write_text(value: &str, text: &mut String) {
    text.push('"');
    for character in value.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '/' => text.push_str("\\/"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            ' '..='\u{7f}' => text.push(character),
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    write!(text, "\\u{unit:04x}").expect("writing to a text cannot fail");
                }
            }
        }
    }
    text.push('"');
}
