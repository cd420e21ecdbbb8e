//! The feature that holds the values of two others.

use belvedere_domain::features::{Dtype, TimeUnit};
use belvedere_domain::{Feature, Features};

/// The narrowest feature that every value of both can be stored as: wider numbers, else text for simple values, else JSON.
/// `None` for media and other kinds that nothing else can hold.
pub(super) fn join(left: &Feature, right: &Feature) -> Option<Feature> {
    if left == right {
        return Some(left.clone());
    }
    let is_null = |feature: &Feature| *feature == Feature::Value(Dtype::Null);
    if is_null(left) {
        return Some(right.clone());
    }
    if is_null(right) {
        return Some(left.clone());
    }
    match (left, right) {
        (Feature::Value(left), Feature::Value(right)) => Some(Feature::Value(scalars(left, right)?)),
        // Numbers of classes mean different things.
        (Feature::ClassLabel { .. }, Feature::ClassLabel { .. }) => Some(Feature::Value(Dtype::Int64)),
        (Feature::ClassLabel { .. }, other) | (other, Feature::ClassLabel { .. }) => {
            join(&Feature::Value(Dtype::Int64), other)
        }
        (Feature::Struct(left), Feature::Struct(right)) => Some(Feature::Struct(fields(left, right)?)),
        (Feature::LargeList(left), right) | (right, Feature::LargeList(left)) if items(right).is_some() => {
            Some(Feature::LargeList(Box::new(join(left, items(right)?)?)))
        }
        (Feature::List { feature: left, .. }, Feature::List { feature: right, .. }) => {
            Some(Feature::list(join(left, right)?))
        }
        (left, right) => (is_plain(left) && is_plain(right)).then_some(Feature::Json),
    }
}

/// The columns or fields of both, those of the left one first.
pub(super) fn fields(left: &Features, right: &Features) -> Option<Features> {
    let mut joined: Vec<(String, Feature)> = Vec::with_capacity(left.len());
    for (name, feature) in left {
        let feature = match right.get(name) {
            Some(other) => join(feature, other)?,
            None => feature.clone(),
        };
        joined.push((name.clone(), feature));
    }
    joined.extend(right.iter().filter(|(name, _)| left.get(name).is_none()).cloned());
    Some(Features::new(joined))
}

fn items(feature: &Feature) -> Option<&Feature> {
    match feature {
        Feature::List { feature, .. } | Feature::LargeList(feature) => Some(feature),
        _ => None,
    }
}

/// What JSON can say.
fn is_plain(feature: &Feature) -> bool {
    match feature {
        Feature::Json => true,
        Feature::Value(dtype) => {
            dtype.is_text() || dtype.is_integer() || dtype.is_float() || matches!(dtype, Dtype::Bool | Dtype::Null)
        }
        Feature::List { feature, .. } | Feature::LargeList(feature) => is_plain(feature),
        Feature::Struct(fields) => fields.iter().all(|(_, feature)| is_plain(feature)),
        _ => false,
    }
}

fn scalars(left: &Dtype, right: &Dtype) -> Option<Dtype> {
    if let (Some(left), Some(right)) = (bits(left), bits(right)) {
        return Some(integers(left, right));
    }
    let is_number = |dtype: &Dtype| dtype.is_integer() || dtype.is_float();
    Some(match (left, right) {
        (left, right) if is_number(left) && is_number(right) => Dtype::Float64,
        (Dtype::Timestamp(left, zone), Dtype::Timestamp(right, other)) if zone == other => {
            Dtype::Timestamp(finer(*left, *right), zone.clone())
        }
        (Dtype::Duration(left), Dtype::Duration(right)) => Dtype::Duration(finer(*left, *right)),
        (Dtype::Date32 | Dtype::Date64, Dtype::Date32 | Dtype::Date64) => Dtype::Date64,
        (left, right) if is_binary(left) && is_binary(right) => Dtype::LargeBinary,
        // Bytes are no text.
        (left, right) if is_binary(left) || is_binary(right) => return None,
        (Dtype::LargeString, _) | (_, Dtype::LargeString) => Dtype::LargeString,
        _ => Dtype::String,
    })
}

fn is_binary(dtype: &Dtype) -> bool {
    matches!(dtype, Dtype::Binary | Dtype::LargeBinary | Dtype::BinaryView | Dtype::FixedSizeBinary(_))
}

/// Width of an integer, and whether it has a sign.
fn bits(dtype: &Dtype) -> Option<(u8, bool)> {
    Some(match dtype {
        Dtype::Int8 => (8, true),
        Dtype::Int16 => (16, true),
        Dtype::Int32 => (32, true),
        Dtype::Int64 => (64, true),
        Dtype::UInt8 => (8, false),
        Dtype::UInt16 => (16, false),
        Dtype::UInt32 => (32, false),
        Dtype::UInt64 => (64, false),
        _ => return None,
    })
}

fn integers((left, left_signed): (u8, bool), (right, right_signed): (u8, bool)) -> Dtype {
    let signed = left_signed || right_signed;
    // A sign takes a bit that an unsigned number may need.
    let width = |bits: u8, has_sign: bool| if signed && !has_sign { u16::from(bits) * 2 } else { u16::from(bits) };
    match (width(left, left_signed).max(width(right, right_signed)), signed) {
        (8, true) => Dtype::Int8,
        (16, true) => Dtype::Int16,
        (32, true) => Dtype::Int32,
        (64, true) => Dtype::Int64,
        (8, false) => Dtype::UInt8,
        (16, false) => Dtype::UInt16,
        (32, false) => Dtype::UInt32,
        (64, false) => Dtype::UInt64,
        // No number is that wide.
        _ => Dtype::String,
    }
}

fn finer(left: TimeUnit, right: TimeUnit) -> TimeUnit {
    let rank = |unit: TimeUnit| match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 1,
        TimeUnit::Microsecond => 2,
        TimeUnit::Nanosecond => 3,
    };
    if rank(left) >= rank(right) { left } else { right }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as JsonValue, json};

    use super::*;

    fn joined(left: JsonValue, right: JsonValue) -> String {
        let feature = |json: &JsonValue| match json {
            JsonValue::String(dtype) => Feature::from_json(&json!({"dtype": dtype, "_type": "Value"})).unwrap(),
            other => Feature::from_json(other).unwrap(),
        };
        let (left, right) = (feature(&left), feature(&right));
        let (one, other) = (join(&left, &right), join(&right, &left));
        assert_eq!(one.is_some(), other.is_some());
        one.map_or_else(|| "nothing".to_owned(), |feature| crate::schema::type_name(&feature))
    }

    #[test]
    fn the_narrowest_feature_holds_both() {
        let list = |item: &str| json!({"feature": {"dtype": item, "_type": "Value"}, "_type": "List"});
        let cases = [
            (json!("int8"), json!("int32"), "int32"),
            (json!("int8"), json!("uint8"), "int16"),
            (json!("int64"), json!("uint64"), "string"),
            (json!("uint16"), json!("uint64"), "uint64"),
            (json!("int64"), json!("float64"), "float64"),
            (json!("float32"), json!("int8"), "float64"),
            (json!("null"), json!("bool"), "bool"),
            (json!("bool"), json!("int64"), "string"),
            (json!("string"), json!("large_string"), "large_string"),
            (json!("timestamp[s]"), json!("timestamp[ns]"), "timestamp[ns]"),
            (json!("timestamp[s]"), json!("string"), "string"),
            (json!("date32"), json!("date64"), "date64"),
            (json!("binary"), json!("string"), "nothing"),
            (list("int64"), list("string"), "list<string>"),
            (list("int64"), json!("int64"), "json"),
            (
                json!({"a": {"dtype": "int64", "_type": "Value"}}),
                json!({"b": {"dtype": "bool", "_type": "Value"}}),
                "struct<a: int64, b: bool>",
            ),
            (json!({"_type": "Image"}), json!({"_type": "Image"}), "image"),
            (json!({"_type": "Image"}), json!("string"), "nothing"),
            (json!({"names": ["a"], "_type": "ClassLabel"}), json!({"names": ["b"], "_type": "ClassLabel"}), "int64"),
        ];
        for (left, right, expected) in cases {
            assert_eq!(joined(left.clone(), right.clone()), expected, "{left} {right}");
        }
    }
}
