//! Keys of numbers, times and lengths.

use arrow::array::{Array, ArrowPrimitiveType, AsArray, GenericListArray, OffsetSizeTrait, PrimitiveArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Decimal128Type, Decimal256Type, DurationMicrosecondType, DurationMillisecondType,
    DurationNanosecondType, DurationSecondType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};

use super::{Sorter, unexpected};
use crate::error::{EngineError, ErrorKind};
use crate::statistics::keys::{Key, of_float, of_signed, of_wide};

/// Milliseconds of a day.
const DAY_MILLISECONDS: i64 = 86_400_000;

/// Adds the values that are not null.
fn each<T: ArrowPrimitiveType, K: Key>(array: &dyn Array, sorter: &mut Sorter<K>, key: impl Fn(T::Native) -> K) {
    let array: &PrimitiveArray<T> = array.as_primitive();
    match array.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => sorter.extend(array.values().iter().map(|&value| key(value))),
        Some(nulls) => {
            let values = array.values();
            sorter.extend(nulls.valid_indices().map(|index| key(values[index])));
        }
    }
}

/// Integers, and whatever is stored as one.
pub(super) fn integers(array: &dyn Array, sorter: &mut Sorter<u64>) -> Result<(), EngineError> {
    use DataType as T;
    use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
    macro_rules! signed {
        ($type:ty) => {
            each::<$type, u64>(array, sorter, |value| of_signed(value.into()))
        };
    }
    match array.data_type() {
        T::Int8 => signed!(Int8Type),
        T::Int16 => signed!(Int16Type),
        T::Int32 => signed!(Int32Type),
        T::Int64 => signed!(Int64Type),
        T::UInt8 => each::<UInt8Type, u64>(array, sorter, u64::from),
        T::UInt16 => each::<UInt16Type, u64>(array, sorter, u64::from),
        T::UInt32 => each::<UInt32Type, u64>(array, sorter, u64::from),
        T::UInt64 => each::<UInt64Type, u64>(array, sorter, |value| value),
        T::Timestamp(Second, _) => signed!(TimestampSecondType),
        T::Timestamp(Millisecond, _) => signed!(TimestampMillisecondType),
        T::Timestamp(Microsecond, _) => signed!(TimestampMicrosecondType),
        T::Timestamp(Nanosecond, _) => signed!(TimestampNanosecondType),
        T::Date32 => signed!(Date32Type),
        T::Date64 => {
            each::<Date64Type, u64>(array, sorter, |value| of_signed(value.div_euclid(DAY_MILLISECONDS)));
        }
        T::Time32(Second) => signed!(Time32SecondType),
        T::Time32(_) => signed!(Time32MillisecondType),
        T::Time64(Nanosecond) => signed!(Time64NanosecondType),
        T::Time64(_) => signed!(Time64MicrosecondType),
        T::Duration(Second) => signed!(DurationSecondType),
        T::Duration(Millisecond) => signed!(DurationMillisecondType),
        T::Duration(Microsecond) => signed!(DurationMicrosecondType),
        T::Duration(Nanosecond) => signed!(DurationNanosecondType),
        _ => return Err(unexpected(array)),
    }
    Ok(())
}

/// Floats. Returns how many were NaN, and infinite.
pub(super) fn floats(array: &dyn Array, sorter: &mut Sorter<u64>) -> Result<(u64, u64), EngineError> {
    let (mut nans, mut infinities) = (0, 0);
    macro_rules! widened {
        ($type:ty, $widen:expr) => {{
            let array = array.as_primitive::<$type>();
            let values = array.values();
            let finite = |value: f64| match value.is_finite() {
                true => Some(of_float(value)),
                false if value.is_nan() => {
                    nans += 1;
                    None
                }
                false => {
                    infinities += 1;
                    None
                }
            };
            match array.nulls().filter(|nulls| nulls.null_count() > 0) {
                None => sorter.extend(values.iter().map($widen).filter_map(finite)),
                Some(nulls) => {
                    let valid = nulls.valid_indices().map(|index| &values[index]);
                    sorter.extend(valid.map($widen).filter_map(finite));
                }
            }
        }};
    }
    match array.data_type() {
        DataType::Float16 => widened!(Float16Type, |value| value.to_f64()),
        DataType::Float32 => widened!(Float32Type, |&value| f64::from(value)),
        DataType::Float64 => widened!(Float64Type, |&value| value),
        _ => return Err(unexpected(array)),
    }
    Ok((nans, infinities))
}

/// Decimals, without their point.
pub(super) fn decimals(array: &dyn Array, sorter: &mut Sorter<u128>) -> Result<(), EngineError> {
    match array.data_type() {
        DataType::Decimal128(..) => each::<Decimal128Type, u128>(array, sorter, of_wide),
        DataType::Decimal256(..) => {
            for value in array.as_primitive::<Decimal256Type>().iter().flatten() {
                let value = value.to_i128().ok_or_else(|| {
                    EngineError::new(ErrorKind::Incompatible, "a decimal has more digits than 128 bits hold")
                })?;
                sorter.push(of_wide(value));
            }
        }
        _ => return Err(unexpected(array)),
    }
    Ok(())
}

/// Numbers of items of lists, of bytes of binary cells and texts.
pub(super) fn lengths(array: &dyn Array, sorter: &mut Sorter<u64>) -> Result<(), EngineError> {
    use DataType as T;
    let mut fixed = |width: i32| {
        let width = of_signed(width.into());
        sorter.extend(std::iter::repeat_n(width, array.len() - array.null_count()));
    };
    match array.data_type() {
        T::List(_) => between(list::<i32>(array).offsets(), array, sorter),
        T::LargeList(_) => between(list::<i64>(array).offsets(), array, sorter),
        T::FixedSizeList(_, width) | T::FixedSizeBinary(width) => fixed(*width),
        T::Binary => between(array.as_binary::<i32>().offsets(), array, sorter),
        T::LargeBinary => between(array.as_binary::<i64>().offsets(), array, sorter),
        T::BinaryView => {
            let views = array.as_binary_view();
            // The lower half of a view is the length.
            let length = |view: u128| of_signed(i64::from(view as u32));
            let valid = (0..views.len()).filter(|&row| views.is_valid(row));
            sorter.extend(valid.map(|row| length(views.views()[row])));
        }
        T::Utf8 => characters(array.as_string::<i32>().iter(), sorter),
        T::LargeUtf8 => characters(array.as_string::<i64>().iter(), sorter),
        _ => return Err(unexpected(array)),
    }
    Ok(())
}

fn characters<'a>(texts: impl Iterator<Item = Option<&'a str>>, sorter: &mut Sorter<u64>) {
    sorter.extend(texts.flatten().map(|text| of_signed(number_of_characters(text).into())));
}

/// Characters of a text; those without anything beyond ASCII are as long as their bytes.
pub(super) fn number_of_characters(text: &str) -> u32 {
    let count = if text.is_ascii() { text.len() } else { text.chars().count() };
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn list<O: OffsetSizeTrait>(array: &dyn Array) -> &GenericListArray<O> {
    array.as_list::<O>()
}

fn between<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>, array: &dyn Array, sorter: &mut Sorter<u64>) {
    let length = |row: usize| of_signed((offsets[row + 1] - offsets[row]).as_usize() as i64);
    match array.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => sorter.extend((0..array.len()).map(length)),
        Some(nulls) => sorter.extend(nulls.valid_indices().map(length)),
    }
}
