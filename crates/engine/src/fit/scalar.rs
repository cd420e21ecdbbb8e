//! Casts between value types that lose nothing, with the words and limits of Arrow C++'s safe casts.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, StringArray, StringBuilder};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Float32Type, Float64Type, TimeUnit};
use arrow::util::display::FormatOptions;

use crate::error::{EngineError, ErrorKind};

/// The error for types between which there is no way.
pub(super) fn impossible(from: &DataType, to: &DataType) -> EngineError {
    let message = format!("values of type {} cannot become {}", name(from), name(to));
    EngineError::new(ErrorKind::Incompatible, message)
}

/// Types by short names; nested ones by their kind.
fn name(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 => "string".into(),
        DataType::Struct(_) => "struct".into(),
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => "list".into(),
        other => other.to_string().to_lowercase(),
    }
}

/// Casts values to values.
pub(super) fn cast_values(array: &ArrayRef, target: &DataType) -> Result<ArrayRef, EngineError> {
    let from = array.data_type();
    if from == target {
        return Ok(Arc::clone(array));
    }
    if from.is_nested() || target.is_nested() || *target == DataType::Null {
        return Err(impossible(from, target));
    }
    match (from, target) {
        (from, to) if from.is_floating() && to.is_integer() => check_whole(array, to)?,
        (from, to) if from.is_integer() && to.is_floating() => check_precise(array, to)?,
        (DataType::Timestamp(from, _), DataType::Timestamp(to, _)) => check_unit(array, *from, *to)?,
        (DataType::Utf8, DataType::Boolean) => return booleans(array.as_string()),
        (DataType::Float64, DataType::Utf8) => return Ok(float_texts::<Float64Type>(array, |value| value.to_string())),
        (DataType::Float32, DataType::Utf8) => return Ok(float_texts::<Float32Type>(array, |value| value.to_string())),
        (DataType::Float16, DataType::Utf8) => {
            let wider = cast_with_options(array, &DataType::Float32, &CastOptions::default())
                .map_err(|_| impossible(from, target))?;
            return cast_values(&wider, target);
        }
        (from_number, to) if to.is_temporal() && (from_number.is_floating() || *from_number == DataType::Boolean) => {
            return Err(impossible(from, target));
        }
        (from_time, to) if from_time.is_temporal() && (to.is_floating() || *to == DataType::Boolean) => {
            return Err(impossible(from, target));
        }
        _ => {}
    }
    let (time, zoned) = timestamp_formats(from);
    let format = FormatOptions::new().with_timestamp_format(Some(time)).with_timestamp_tz_format(Some(zoned));
    let options = CastOptions { safe: false, format_options: format };
    cast_with_options(array, target, &options).map_err(|error| {
        use arrow::error::ArrowError as E;
        match error {
            E::CastError(reason)
            | E::ParseError(reason)
            | E::ComputeError(reason)
            | E::InvalidArgumentError(reason) => {
                let reason = reason.trim_end_matches('.').replacen("Can", "can", 1).replacen("Error", "error", 1);
                EngineError::new(ErrorKind::Incompatible, format!("{} to {}: {reason}", name(from), name(target)))
            }
            _ => impossible(from, target),
        }
    })
}

/// How a time is spelled without and with a zone: always with all digits of its unit.
fn timestamp_formats(from: &DataType) -> (&'static str, &'static str) {
    let DataType::Timestamp(unit, zone) = from else { return ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S%z") };
    let is_utc = zone.as_deref() == Some("UTC");
    match (unit, is_utc) {
        (TimeUnit::Second, false) => ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S%z"),
        (TimeUnit::Second, true) => ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%SZ"),
        (TimeUnit::Millisecond, false) => ("%Y-%m-%d %H:%M:%S%.3f", "%Y-%m-%d %H:%M:%S%.3f%z"),
        (TimeUnit::Millisecond, true) => ("%Y-%m-%d %H:%M:%S%.3f", "%Y-%m-%d %H:%M:%S%.3fZ"),
        (TimeUnit::Microsecond, false) => ("%Y-%m-%d %H:%M:%S%.6f", "%Y-%m-%d %H:%M:%S%.6f%z"),
        (TimeUnit::Microsecond, true) => ("%Y-%m-%d %H:%M:%S%.6f", "%Y-%m-%d %H:%M:%S%.6fZ"),
        (TimeUnit::Nanosecond, false) => ("%Y-%m-%d %H:%M:%S%.9f", "%Y-%m-%d %H:%M:%S%.9f%z"),
        (TimeUnit::Nanosecond, true) => ("%Y-%m-%d %H:%M:%S%.9f", "%Y-%m-%d %H:%M:%S%.9fZ"),
    }
}

/// Floats become integers only if nothing is cut off.
fn check_whole(array: &ArrayRef, target: &DataType) -> Result<(), EngineError> {
    let wide = cast_with_options(array, &DataType::Float64, &CastOptions::default())
        .map_err(|_| impossible(array.data_type(), target))?;
    match wide.as_primitive::<Float64Type>().iter().flatten().find(|value| value.fract() != 0.0) {
        None => Ok(()),
        Some(value) => {
            let message = format!("{value} would be cut to fit into {}", name(target));
            Err(EngineError::new(ErrorKind::Incompatible, message))
        }
    }
}

/// Integers become floats only if they stay the same number.
fn check_precise(array: &ArrayRef, target: &DataType) -> Result<(), EngineError> {
    let bits = match target {
        DataType::Float16 => 11,
        DataType::Float32 => 24,
        _ => 53,
    };
    let wide = cast_with_options(array, &DataType::Decimal128(20, 0), &CastOptions::default())
        .map_err(|_| impossible(array.data_type(), target))?;
    let limit = 1_i128 << bits;
    let values = wide.as_primitive::<arrow::datatypes::Decimal128Type>();
    match values.iter().flatten().find(|value| value.abs() > limit) {
        None => Ok(()),
        Some(value) => {
            let message = format!("the integer {value} has no exact {}", name(target));
            Err(EngineError::new(ErrorKind::Incompatible, message))
        }
    }
}

/// A coarser unit must not cut off anything.
fn check_unit(array: &ArrayRef, from: TimeUnit, to: TimeUnit) -> Result<(), EngineError> {
    let per_second = |unit| match unit {
        TimeUnit::Second => 1_i64,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    };
    let factor = per_second(from) / per_second(to);
    if factor <= 1 {
        return Ok(());
    }
    let ticks = cast_with_options(array, &DataType::Int64, &CastOptions::default())
        .map_err(|error| EngineError::new(ErrorKind::Internal, error))?;
    let ticks = ticks.as_primitive::<arrow::datatypes::Int64Type>();
    if ticks.iter().flatten().any(|tick| tick % factor != 0) {
        return Err(EngineError::new(
            ErrorKind::Incompatible,
            format!("a time is finer than its unit {to:?} can tell"),
        ));
    }
    Ok(())
}

fn booleans(texts: &StringArray) -> Result<ArrayRef, EngineError> {
    let value = |text: Option<&str>| match text {
        None => Ok(None),
        Some("1") => Ok(Some(true)),
        Some("0") => Ok(Some(false)),
        Some(text) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
        Some(text) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
        Some(text) => Err(EngineError::new(ErrorKind::Incompatible, format!("\"{text}\" is neither true nor false"))),
    };
    Ok(Arc::new(texts.iter().map(value).collect::<Result<BooleanArray, _>>()?))
}

fn float_texts<T: ArrowPrimitiveType>(array: &ArrayRef, shortest: impl Fn(T::Native) -> String) -> ArrayRef {
    let mut builder = StringBuilder::new();
    let mut text = String::new();
    for value in array.as_primitive::<T>() {
        match value {
            None => builder.append_null(),
            Some(value) => {
                text.clear();
                write_float(&shortest(value), &mut text);
                builder.append_value(&text);
            }
        }
    }
    Arc::new(builder.finish())
}

/// Spells a float as Arrow C++ does: shortest digits, without `.0`, with an exponent below 1e-6 and from 1e15 on.
/// `plain` is the shortest spelling without exponent.
fn write_float(plain: &str, text: &mut String) {
    let (sign, number) = plain.strip_prefix('-').map_or(("", plain), |number| ("-", number));
    text.push_str(sign);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if !whole.starts_with(|c: char| c.is_ascii_digit()) {
        text.push_str(if number == "NaN" { "nan" } else { "inf" });
        return;
    }
    let digits = format!("{whole}{fraction}");
    let leading = digits.len() - digits.trim_start_matches('0').len();
    let significant = digits.trim_matches('0');
    // The power of ten of the first significant digit.
    let power = i64::try_from(whole.len()).unwrap_or(0) - 1 - i64::try_from(leading).unwrap_or(0);
    if significant.is_empty() || (-6..15).contains(&power) {
        text.push_str(number);
        return;
    }
    let (first, rest) = significant.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    let sign = if power < 0 { "" } else { "+" };
    write!(text, "{first}{point}{rest}e{sign}{power}").expect("writing to a text cannot fail");
}
