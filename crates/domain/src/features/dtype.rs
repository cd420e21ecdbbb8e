//! Scalar types and their names, such as `timestamp[us, tz=UTC]`.

use std::fmt;
use std::str::FromStr;

/// Resolution of times, timestamps and durations.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TimeUnit {
    /// Seconds.
    Second,
    /// Milliseconds.
    Millisecond,
    /// Microseconds.
    Microsecond,
    /// Nanoseconds.
    Nanosecond,
}

/// A scalar type.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "the variants are the names of Arrow's types")]
pub enum Dtype {
    Null,
    Bool,
    Int8,
    Int16,
    Int32,
    Int64,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    Float16,
    Float32,
    Float64,
    Time32(TimeUnit),
    Time64(TimeUnit),
    Timestamp(TimeUnit, Option<String>),
    Date32,
    Date64,
    Duration(TimeUnit),
    Decimal128(u8, i8),
    Decimal256(u8, i8),
    Binary,
    LargeBinary,
    BinaryView,
    FixedSizeBinary(u32),
    String,
    LargeString,
    StringView,
}

/// The text names no scalar type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a scalar type; examples: int64, float32, string, bool, timestamp[us], decimal128(10, 2)")]
pub struct UnknownDtype(pub String);

impl Dtype {
    /// True for the signed and unsigned integers.
    pub fn is_integer(&self) -> bool {
        matches!(
            self,
            Self::Int8
                | Self::Int16
                | Self::Int32
                | Self::Int64
                | Self::UInt8
                | Self::UInt16
                | Self::UInt32
                | Self::UInt64
        )
    }

    /// True for the floating-point numbers.
    pub fn is_float(&self) -> bool {
        matches!(self, Self::Float16 | Self::Float32 | Self::Float64)
    }

    /// True for every text type.
    pub fn is_text(&self) -> bool {
        matches!(self, Self::String | Self::LargeString | Self::StringView)
    }

    /// True for every type of raw bytes.
    pub fn is_binary(&self) -> bool {
        matches!(self, Self::Binary | Self::LargeBinary | Self::BinaryView | Self::FixedSizeBinary(_))
    }
}

const PLAIN: [(&str, Dtype); 21] = [
    ("null", Dtype::Null),
    ("bool", Dtype::Bool),
    ("int8", Dtype::Int8),
    ("int16", Dtype::Int16),
    ("int32", Dtype::Int32),
    ("int64", Dtype::Int64),
    ("uint8", Dtype::UInt8),
    ("uint16", Dtype::UInt16),
    ("uint32", Dtype::UInt32),
    ("uint64", Dtype::UInt64),
    ("float16", Dtype::Float16),
    ("float32", Dtype::Float32),
    ("float64", Dtype::Float64),
    ("date32", Dtype::Date32),
    ("date64", Dtype::Date64),
    ("binary", Dtype::Binary),
    ("large_binary", Dtype::LargeBinary),
    ("binary_view", Dtype::BinaryView),
    ("string", Dtype::String),
    ("large_string", Dtype::LargeString),
    ("string_view", Dtype::StringView),
];

/// Spellings that name the same type.
const ALIASES: [(&str, Dtype); 4] =
    [("float", Dtype::Float32), ("double", Dtype::Float64), ("boolean", Dtype::Bool), ("utf8", Dtype::String)];

impl FromStr for Dtype {
    type Err = UnknownDtype;

    fn from_str(text: &str) -> Result<Self, UnknownDtype> {
        if let Some((_, dtype)) = PLAIN.iter().chain(&ALIASES).find(|(name, _)| *name == text) {
            return Ok(dtype.clone());
        }
        parametric(text).ok_or_else(|| UnknownDtype(text.to_owned()))
    }
}

fn parametric(text: &str) -> Option<Dtype> {
    let (name, inside) = match text.split_once(['[', '(']) {
        Some((name, rest)) => (name, rest.strip_suffix([']', ')'])?),
        None => return None,
    };
    let (first, second) = match inside.split_once(',') {
        Some((first, second)) => (first.trim(), Some(second.trim())),
        None => (inside.trim(), None),
    };
    match (name, second) {
        ("timestamp", None) => Some(Dtype::Timestamp(unit(first)?, None)),
        ("timestamp", Some(zone)) => Some(Dtype::Timestamp(unit(first)?, Some(zone.strip_prefix("tz=")?.to_owned()))),
        ("duration", None) => Some(Dtype::Duration(unit(first)?)),
        ("time32", None) => match unit(first)? {
            unit @ (TimeUnit::Second | TimeUnit::Millisecond) => Some(Dtype::Time32(unit)),
            _ => None,
        },
        ("time64", None) => match unit(first)? {
            unit @ (TimeUnit::Microsecond | TimeUnit::Nanosecond) => Some(Dtype::Time64(unit)),
            _ => None,
        },
        ("fixed_size_binary", None) => Some(Dtype::FixedSizeBinary(first.parse().ok()?)),
        ("decimal128", scale) => Some(Dtype::Decimal128(first.parse().ok()?, scale.unwrap_or("0").parse().ok()?)),
        ("decimal256", scale) => Some(Dtype::Decimal256(first.parse().ok()?, scale.unwrap_or("0").parse().ok()?)),
        _ => None,
    }
}

fn unit(text: &str) -> Option<TimeUnit> {
    Some(match text {
        "s" => TimeUnit::Second,
        "ms" => TimeUnit::Millisecond,
        "us" => TimeUnit::Microsecond,
        "ns" => TimeUnit::Nanosecond,
        _ => return None,
    })
}

impl fmt::Display for TimeUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Second => "s",
            Self::Millisecond => "ms",
            Self::Microsecond => "us",
            Self::Nanosecond => "ns",
        })
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time32(unit) => write!(f, "time32[{unit}]"),
            Self::Time64(unit) => write!(f, "time64[{unit}]"),
            Self::Timestamp(unit, None) => write!(f, "timestamp[{unit}]"),
            Self::Timestamp(unit, Some(zone)) => write!(f, "timestamp[{unit}, tz={zone}]"),
            Self::Duration(unit) => write!(f, "duration[{unit}]"),
            Self::Decimal128(precision, scale) => write!(f, "decimal128({precision}, {scale})"),
            Self::Decimal256(precision, scale) => write!(f, "decimal256({precision}, {scale})"),
            Self::FixedSizeBinary(width) => write!(f, "fixed_size_binary[{width}]"),
            plain => {
                let (name, _) = PLAIN.iter().find(|(_, dtype)| dtype == plain).expect("every other type is plain");
                f.write_str(name)
            }
        }
    }
}
