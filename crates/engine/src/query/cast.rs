//! Values of one type as values of another.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, Date32Array, Decimal128Array, DurationMicrosecondArray,
    Float32Array, Float64Array, Int64Array, PrimitiveArray, StringArray, Time64MicrosecondArray,
    TimestampMicrosecondArray, new_null_array,
};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, DurationMicrosecondType, Float32Type, Float64Type, Int64Type,
    Time64MicrosecondType, TimestampMicrosecondType,
};
use serde_json::Value as JsonValue;

use super::parse::shortened;
use super::texts;
use super::types::Type;
use crate::error::{EngineError, ErrorKind};

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// True where [`cast`] knows a way.
pub(super) fn is_known(from: &Type, to: &Type) -> bool {
    use Type as T;
    match (from, to) {
        (from, to) if from == to => true,
        (T::Null, _) => true,
        (T::Text | T::Json, to) => !matches!(to, T::Bytes | T::List(_) | T::Struct(_) | T::Null),
        (from, T::Text | T::Json) => !matches!(from, T::Bytes | T::List(_) | T::Struct(_) | T::Duration),
        (from, to) if is_numeric(from) && is_numeric(to) => true,
        (from, to) if from.is_instant() && to.is_instant() => true,
        (T::Timestamp | T::Zoned, T::Time) => true,
        _ => false,
    }
}

fn is_numeric(kind: &Type) -> bool {
    *kind == Type::Boolean || kind.is_number()
}

/// Casts an array. Where a value does not fit, the result is null if `or_null`, else an error that shows the value.
///
/// # Errors
/// [`Query`](ErrorKind::Query).
pub(super) fn cast(array: &ArrayRef, from: &Type, to: &Type, or_null: bool) -> Result<ArrayRef, EngineError> {
    use Type as T;
    if from == to {
        return Ok(Arc::clone(array));
    }
    let strict = Strict { to, or_null };
    Ok(match (from, to) {
        (T::Null, to) => new_null_array(&to.arrow(), array.len()),
        (T::Json, T::Text) => Arc::new(json_texts(array)),
        (T::Json, to) => return cast(&(Arc::new(json_texts(array)) as ArrayRef), &T::Text, to, or_null),
        (T::Text, _) => strict.of_texts(array.as_string())?,
        (from, T::Text | T::Json) => Arc::new(to_texts(array, from)),
        (T::Timestamp | T::Zoned, T::Date) => {
            let days = |micros: i64| i32::try_from(micros.div_euclid(MICROS_PER_DAY)).ok();
            Arc::new(array.as_primitive::<TimestampMicrosecondType>().unary_opt::<_, Date32Type>(days))
        }
        (T::Timestamp | T::Zoned, T::Time) => {
            let micros = |micros: i64| micros.rem_euclid(MICROS_PER_DAY);
            Arc::new(array.as_primitive::<TimestampMicrosecondType>().unary::<_, Time64MicrosecondType>(micros))
        }
        (T::Date, to @ (T::Timestamp | T::Zoned)) => {
            let micros = |days: i32| i64::from(days) * MICROS_PER_DAY;
            let array = array.as_primitive::<Date32Type>().unary::<_, TimestampMicrosecondType>(micros);
            in_zone(&array, to)
        }
        (T::Timestamp | T::Zoned, to) => in_zone(array.as_primitive(), to),
        (T::Boolean, to) => {
            let array = array.as_boolean();
            let ones: Int64Array = array.iter().map(|value| value.map(i64::from)).collect();
            return cast(&(Arc::new(ones) as ArrayRef), &T::Integer, to, or_null);
        }
        (T::Integer, T::Boolean) => Arc::new(is_not(array.as_primitive::<Int64Type>(), 0)),
        (T::Decimal { .. }, T::Boolean) => Arc::new(is_not(array.as_primitive::<Decimal128Type>(), 0)),
        (T::Float, T::Boolean) => Arc::new(is_not(array.as_primitive::<Float32Type>(), 0.0)),
        (T::Double, T::Boolean) => Arc::new(is_not(array.as_primitive::<Float64Type>(), 0.0)),
        (T::Integer, T::Float) => Arc::new(map::<Int64Type, Float32Type>(array, |value| value as f32)),
        (T::Integer, T::Double) => Arc::new(map::<Int64Type, Float64Type>(array, |value| value as f64)),
        (T::Float, T::Double) => Arc::new(map::<Float32Type, Float64Type>(array, f64::from)),
        (T::Double, T::Float) => Arc::new(map::<Float64Type, Float32Type>(array, |value| value as f32)),
        (T::Integer, T::Decimal { scale, .. }) => {
            let units = |value: i64| i128::from(value).checked_mul(power(*scale));
            strict.decimals(array.as_primitive::<Int64Type>(), units)?
        }
        (T::Decimal { scale: old, .. }, T::Decimal { scale, .. }) => {
            let units = |value: i128| match *scale >= *old {
                true => value.checked_mul(power(scale - old)),
                false => Some(rounded(value, power(old - scale))),
            };
            strict.decimals(array.as_primitive::<Decimal128Type>(), units)?
        }
        (T::Decimal { scale, .. }, T::Integer) => {
            let units = power(*scale);
            let whole = |value: i128| i64::try_from(rounded(value, units)).ok();
            strict.each::<Decimal128Type, Int64Type>(array, whole)?
        }
        (T::Decimal { scale, .. }, T::Double) => {
            let scale = i32::from(*scale);
            Arc::new(map::<Decimal128Type, Float64Type>(array, move |value| value as f64 / 10_f64.powi(scale)))
        }
        (T::Decimal { scale, .. }, T::Float) => {
            let scale = i32::from(*scale);
            Arc::new(map::<Decimal128Type, Float32Type>(array, move |value| (value as f64 / 10_f64.powi(scale)) as f32))
        }
        (T::Double, T::Integer) => strict.each::<Float64Type, Int64Type>(array, whole)?,
        (T::Float, T::Integer) => strict.each::<Float32Type, Int64Type>(array, |value| whole(f64::from(value)))?,
        (T::Double, T::Decimal { scale, .. }) => {
            let factor = 10_f64.powi(i32::from(*scale));
            strict.decimals(array.as_primitive::<Float64Type>(), |value| units_of(value * factor))?
        }
        (T::Float, T::Decimal { scale, .. }) => {
            let factor = 10_f64.powi(i32::from(*scale));
            strict.decimals(array.as_primitive::<Float32Type>(), |value| units_of(f64::from(value) * factor))?
        }
        _ => {
            let message = format!("{from} cannot be cast to {to}");
            return Err(EngineError::new(ErrorKind::Query, message));
        }
    })
}

fn map<A: ArrowPrimitiveType, B: ArrowPrimitiveType>(
    array: &ArrayRef,
    value: impl Fn(A::Native) -> B::Native,
) -> PrimitiveArray<B> {
    array.as_primitive::<A>().unary(value)
}

fn is_not<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>, zero: T::Native) -> BooleanArray {
    BooleanArray::from_unary(array, |value| value != zero)
}

fn in_zone(array: &TimestampMicrosecondArray, to: &Type) -> ArrayRef {
    let array = array.clone();
    if *to == Type::Zoned {
        Arc::new(array.with_timezone("UTC"))
    } else {
        Arc::new(array.with_timezone_opt::<&str>(None))
    }
}

/// 10 to the power of a scale, which is 0 to 38.
pub(super) fn power(scale: i8) -> i128 {
    10_i128.pow(u32::try_from(scale).unwrap_or(0).min(38))
}

/// Divides and rounds half away from zero.
pub(super) fn rounded(value: i128, by: i128) -> i128 {
    let half = by / 2;
    if by <= 1 {
        value
    } else if value < 0 {
        (value - half) / by
    } else {
        (value + half) / by
    }
}

fn whole(value: f64) -> Option<i64> {
    let value = value.round_ties_even();
    // 2^63 is the first that does not fit, and is exact.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    (-LIMIT..LIMIT).contains(&value).then_some(value as i64)
}

fn units_of(value: f64) -> Option<i128> {
    let value = value.round();
    (value.abs() < 1e38).then_some(value as i128)
}

/// A cast that says which value does not fit.
struct Strict<'t> {
    to: &'t Type,
    or_null: bool,
}

impl Strict<'_> {
    fn refuse(&self, value: &str) -> EngineError {
        let message = format!("'{}' cannot be read as {}", shortened(value), self.to);
        EngineError::new(ErrorKind::Query, message)
    }

    fn each<A: ArrowPrimitiveType, B: ArrowPrimitiveType>(
        &self,
        array: &ArrayRef,
        value: impl Fn(A::Native) -> Option<B::Native>,
    ) -> Result<ArrayRef, EngineError> {
        let array = array.as_primitive::<A>();
        let cast: PrimitiveArray<B> = array.unary_opt(value);
        self.check(array, &cast)?;
        Ok(Arc::new(cast))
    }

    fn decimals<A: ArrowPrimitiveType>(
        &self,
        array: &PrimitiveArray<A>,
        units: impl Fn(A::Native) -> Option<i128>,
    ) -> Result<ArrayRef, EngineError> {
        let Type::Decimal { precision, scale } = *self.to else {
            return Err(EngineError::new(ErrorKind::Internal, "decimals were asked of another type"));
        };
        let limit = power(i8::try_from(precision).unwrap_or(38));
        let fitting = |value| units(value).filter(|units| -limit < *units && *units < limit);
        let cast: Decimal128Array = array.unary_opt::<_, Decimal128Type>(fitting);
        self.check(array, &cast)?;
        let typed = cast.with_precision_and_scale(precision, scale);
        Ok(Arc::new(typed.map_err(|error| EngineError::new(ErrorKind::Internal, error))?))
    }

    fn check<A: ArrowPrimitiveType>(&self, before: &PrimitiveArray<A>, after: &dyn Array) -> Result<(), EngineError> {
        if self.or_null || before.null_count() == after.null_count() {
            return Ok(());
        }
        let lost = (0..before.len()).find(|&row| before.is_valid(row) && after.is_null(row));
        Err(self.refuse(&lost.map(|row| format!("{:?}", before.value(row))).unwrap_or_default()))
    }

    fn of_texts(&self, array: &StringArray) -> Result<ArrayRef, EngineError> {
        use Type as T;
        fn read<V>(
            strict: &Strict<'_>,
            array: &StringArray,
            value: impl Fn(&str) -> Option<V>,
        ) -> Result<Vec<Option<V>>, EngineError> {
            let one = |text: Option<&str>| match text.map(|text| (value(text), text)) {
                None => Ok(None),
                Some((None, text)) if !strict.or_null => Err(strict.refuse(text)),
                Some((value, _)) => Ok(value),
            };
            array.iter().map(one).collect()
        }
        Ok(match self.to {
            T::Boolean => Arc::new(BooleanArray::from(read(self, array, texts::boolean)?)),
            T::Integer => {
                let integer = |text: &str| texts::integer(text).and_then(|value| i64::try_from(value).ok());
                Arc::new(Int64Array::from(read(self, array, integer)?))
            }
            T::Decimal { precision, scale } => {
                let limit = power(i8::try_from(*precision).unwrap_or(38));
                let units = |text: &str| {
                    let units = texts::decimal(text, *scale)
                        .or_else(|| units_of(texts::double(text)? * 10_f64.powi(i32::from(*scale))));
                    units.filter(|units| -limit < *units && *units < limit)
                };
                let array =
                    Decimal128Array::from(read(self, array, units)?).with_precision_and_scale(*precision, *scale);
                Arc::new(array.map_err(|error| EngineError::new(ErrorKind::Internal, error))?)
            }
            T::Float => {
                let single = |text: &str| texts::double(text).map(|value| value as f32);
                self.to.canonical(Arc::new(Float32Array::from(read(self, array, single)?)))
            }
            T::Double => self.to.canonical(Arc::new(Float64Array::from(read(self, array, texts::double)?))),
            T::Date => Arc::new(Date32Array::from(read(self, array, texts::date)?)),
            T::Time => Arc::new(Time64MicrosecondArray::from(read(self, array, texts::time)?)),
            T::Timestamp => {
                let micros = |text: &str| texts::timestamp(text, false);
                Arc::new(TimestampMicrosecondArray::from(read(self, array, micros)?))
            }
            T::Zoned => {
                let micros = |text: &str| texts::timestamp(text, true);
                Arc::new(TimestampMicrosecondArray::from(read(self, array, micros)?).with_timezone("UTC"))
            }
            T::Duration => Arc::new(DurationMicrosecondArray::from(read(self, array, texts::duration)?)),
            T::Json => {
                let json =
                    |text: &str| serde_json::from_str::<serde::de::IgnoredAny>(text).ok().map(|_| text.to_owned());
                Arc::new(StringArray::from(read(self, array, json)?))
            }
            T::Null | T::Text | T::Bytes | T::List(_) | T::Struct(_) => {
                let message = format!("VARCHAR cannot be cast to {}", self.to);
                return Err(EngineError::new(ErrorKind::Query, message));
            }
        })
    }
}

/// JSON texts without quotes, other values as they are written; JSON `null` is null.
fn json_texts(array: &ArrayRef) -> StringArray {
    let text = |json: &str| match serde_json::from_str(json) {
        Ok(JsonValue::String(text)) => Some(text),
        Ok(JsonValue::Null) => None,
        Ok(other) => Some(other.to_string()),
        Err(_) => Some(json.to_owned()),
    };
    array.as_string::<i32>().iter().map(|json| json.and_then(text)).collect()
}

fn to_texts(array: &ArrayRef, from: &Type) -> StringArray {
    fn each<T: ArrowPrimitiveType>(array: &ArrayRef, text: impl Fn(T::Native) -> String) -> StringArray {
        array.as_primitive::<T>().iter().map(|value| value.map(&text)).collect()
    }
    match array.data_type() {
        DataType::Boolean => array.as_boolean().iter().map(|value| value.map(|value| value.to_string())).collect(),
        DataType::Int64 => each::<Int64Type>(array, |value| value.to_string()),
        DataType::Decimal128(_, scale) => each::<Decimal128Type>(array, |units| texts::of_decimal(units, *scale)),
        DataType::Float32 => each::<Float32Type>(array, texts::of_single),
        DataType::Float64 => each::<Float64Type>(array, texts::of_double),
        DataType::Date32 => each::<Date32Type>(array, texts::of_date),
        DataType::Time64(_) => each::<Time64MicrosecondType>(array, texts::of_time),
        DataType::Timestamp(..) => {
            each::<TimestampMicrosecondType>(array, |micros| texts::of_timestamp(micros, *from == Type::Zoned))
        }
        DataType::Duration(_) => each::<DurationMicrosecondType>(array, |micros| format!("{micros} microseconds")),
        _ => array.as_string::<i32>().clone(),
    }
}
