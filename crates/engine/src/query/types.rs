//! Types of values inside a query: fewer than those that are stored, so that every operation has few cases.
//!
//! All integers are 64-bit ones; larger ones, and those without sign, are decimals. Instants count microseconds, as
//! answers show them. Floating-point numbers have one NaN, the greatest number, and one zero.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array, Float64Array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Fields, Float32Type, Float64Type, TimeUnit};
use belvedere_domain::Feature;

use crate::error::{EngineError, ErrorKind};
use crate::features_arrow::data_type;

/// What a value is.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Type {
    /// Of `NULL` itself.
    Null,
    Boolean,
    Integer,
    Decimal {
        precision: u8,
        scale: i8,
    },
    Float,
    Double,
    Text,
    Bytes,
    Date,
    Time,
    /// Without a time zone.
    Timestamp,
    /// An instant, shown in UTC.
    Zoned,
    Duration,
    /// JSON text.
    Json,
    List(Box<Type>),
    Struct(Vec<(String, Type)>),
}

/// Integers of up to 38 digits.
pub(super) const HUGE: Type = Type::Decimal { precision: 38, scale: 0 };

impl Type {
    /// What the values of a feature are.
    pub(super) fn of(feature: &Feature) -> Self {
        match feature {
            Feature::Json => Self::Json,
            Feature::Struct(fields) => {
                Self::Struct(fields.iter().map(|(name, field)| (name.clone(), Self::of(field))).collect())
            }
            Feature::List { feature, .. } | Feature::LargeList(feature) => Self::List(Box::new(Self::of(feature))),
            other => Self::stored(&data_type(other)),
        }
    }

    fn stored(data_type: &DataType) -> Self {
        use DataType as T;
        match data_type {
            T::Boolean => Self::Boolean,
            T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::UInt8 | T::UInt16 | T::UInt32 => Self::Integer,
            T::UInt64 => HUGE,
            T::Float16 | T::Float32 => Self::Float,
            // What does not fit 38 digits is compared as a floating-point number.
            T::Float64 | T::Decimal256(..) => Self::Double,
            T::Decimal32(precision, scale) | T::Decimal64(precision, scale) | T::Decimal128(precision, scale) => {
                match *scale < 0 {
                    true => Self::Double,
                    false => Self::Decimal { precision: *precision, scale: *scale },
                }
            }
            T::Utf8 | T::LargeUtf8 | T::Utf8View => Self::Text,
            T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => Self::Bytes,
            T::Date32 | T::Date64 => Self::Date,
            T::Time32(_) | T::Time64(_) => Self::Time,
            T::Timestamp(_, None) => Self::Timestamp,
            T::Timestamp(_, Some(_)) => Self::Zoned,
            T::Duration(_) => Self::Duration,
            T::List(item) | T::LargeList(item) | T::FixedSizeList(item, _) => {
                Self::List(Box::new(Self::stored(item.data_type())))
            }
            T::Struct(fields) => Self::Struct(
                fields.iter().map(|field| (field.name().clone(), Self::stored(field.data_type()))).collect(),
            ),
            _ => Self::Null,
        }
    }

    /// How values are held in memory.
    pub(super) fn arrow(&self) -> DataType {
        match self {
            Self::Null => DataType::Null,
            Self::Boolean => DataType::Boolean,
            Self::Integer => DataType::Int64,
            Self::Decimal { precision, scale } => DataType::Decimal128(*precision, *scale),
            Self::Float => DataType::Float32,
            Self::Double => DataType::Float64,
            Self::Text | Self::Json => DataType::Utf8,
            Self::Bytes => DataType::Binary,
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Zoned => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Duration => DataType::Duration(TimeUnit::Microsecond),
            Self::List(item) => DataType::List(Arc::new(Field::new_list_field(item.arrow(), true))),
            Self::Struct(fields) => {
                let field = |(name, inner): &(String, Self)| Field::new(name, inner.arrow(), true);
                DataType::Struct(fields.iter().map(field).collect::<Fields>())
            }
        }
    }

    /// True for integers, decimals and floating-point numbers.
    pub(super) fn is_number(&self) -> bool {
        matches!(self, Self::Integer | Self::Decimal { .. } | Self::Float | Self::Double)
    }

    /// True for dates and instants.
    pub(super) fn is_instant(&self) -> bool {
        matches!(self, Self::Date | Self::Timestamp | Self::Zoned)
    }

    /// True for types that have parts; they are compared by their parts only.
    pub(super) fn is_nested(&self) -> bool {
        matches!(self, Self::List(_) | Self::Struct(_))
    }

    /// The type that holds values of both, for numbers, and for dates and instants. A decimal beside a floating-point
    /// number becomes one; so does an exact number of more than 38 digits.
    pub(super) fn common(left: &Self, right: &Self) -> Option<Self> {
        use Type as T;
        Some(match (left, right) {
            (left, right) if left == right => left.clone(),
            (T::Null, other) | (other, T::Null) => other.clone(),
            (T::Boolean, number) | (number, T::Boolean) if number.is_number() => number.clone(),
            (T::Double, number) | (number, T::Double) if number.is_number() => T::Double,
            (T::Float, number) | (number, T::Float) if number.is_number() => T::Float,
            (left, right) if left.is_number() && right.is_number() => {
                let (left, right) = (left.digits(), right.digits());
                let (whole, scale) = (left.0.max(right.0), left.1.max(right.1));
                match u8::try_from(whole + i16::from(scale)) {
                    Ok(precision) if precision <= 38 => T::Decimal { precision, scale },
                    _ => T::Double,
                }
            }
            (left, right) if left.is_instant() && right.is_instant() => {
                if [left, right].contains(&&T::Zoned) {
                    T::Zoned
                } else {
                    T::Timestamp
                }
            }
            _ => return None,
        })
    }

    /// Digits before and after the point.
    fn digits(&self) -> (i16, i8) {
        match self {
            Self::Decimal { precision, scale } => (i16::from(*precision) - i16::from(*scale), *scale),
            _ => (19, 0),
        }
    }

    /// Stored values as they are held here.
    ///
    /// # Errors
    /// [`Query`](ErrorKind::Query) when a list is too long for its new home.
    pub(super) fn hold(&self, array: &ArrayRef) -> Result<ArrayRef, EngineError> {
        let wanted = self.arrow();
        if *array.data_type() == wanted {
            return Ok(self.canonical(Arc::clone(array)));
        }
        let options = CastOptions { safe: true, ..CastOptions::default() };
        let held = cast_with_options(array, &wanted, &options)
            .map_err(|error| EngineError::new(ErrorKind::Query, format!("values cannot be compared: {error}")))?;
        Ok(self.canonical(held))
    }

    /// Floating-point numbers with one NaN and one zero, so that bits order them.
    pub(super) fn canonical(&self, array: ArrayRef) -> ArrayRef {
        match self {
            Self::Double => {
                let array: Float64Array = array.as_primitive::<Float64Type>().unary(canonical);
                Arc::new(array)
            }
            Self::Float => {
                let array: Float32Array = array
                    .as_primitive::<Float32Type>()
                    .unary(|value| if value.is_nan() { f32::NAN } else { value + 0.0 });
                Arc::new(array)
            }
            _ => array,
        }
    }
}

fn canonical(value: f64) -> f64 {
    if value.is_nan() { f64::NAN } else { value + 0.0 }
}

impl fmt::Display for Type {
    /// In SQL's words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Boolean => f.write_str("BOOLEAN"),
            Self::Integer => f.write_str("INTEGER"),
            Self::Decimal { precision: 38, scale: 0 } => f.write_str("HUGEINT"),
            Self::Decimal { precision, scale } => write!(f, "DECIMAL({precision}, {scale})"),
            Self::Float => f.write_str("FLOAT"),
            Self::Double => f.write_str("DOUBLE"),
            Self::Text => f.write_str("VARCHAR"),
            Self::Bytes => f.write_str("BLOB"),
            Self::Date => f.write_str("DATE"),
            Self::Time => f.write_str("TIME"),
            Self::Timestamp => f.write_str("TIMESTAMP"),
            Self::Zoned => f.write_str("TIMESTAMP WITH TIME ZONE"),
            Self::Duration => f.write_str("INTERVAL"),
            Self::Json => f.write_str("JSON"),
            Self::List(item) => write!(f, "{item}[]"),
            Self::Struct(fields) => {
                f.write_str("STRUCT(")?;
                for (index, (name, inner)) in fields.iter().enumerate() {
                    write!(f, "{}{name} {inner}", if index > 0 { ", " } else { "" })?;
                }
                f.write_str(")")
            }
        }
    }
}
