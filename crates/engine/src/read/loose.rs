//! Values that carry their own types, as self-describing formats give them, and the columns that hold them.
//!
//! [`feature_of`] tells the type that fits some values, [`column`] builds an array of a type. Integers and decimals together
//! are decimals; whatever else differs becomes JSON text.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Float64Array, Int64Array, ListArray, NullArray, StringArray,
    StructArray, TimestampMicrosecondArray, new_empty_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Schema};
use belvedere_domain::features::{Dtype, TimeUnit};
use belvedere_domain::{Feature, Features};
use indexmap::IndexMap;

use crate::error::{EngineError, ErrorKind};
use crate::features_arrow::{data_type, features_of, field};
use crate::fit::{json_text, to_feature};

/// A value.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    /// Microseconds since 1970, without a time zone.
    Time(i64),
    List(Vec<Self>),
    /// A list of numbers of one type.
    Array(ArrayRef),
    Object(Vec<(String, Self)>),
}

/// What kind of value it is, where integers and decimals are one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Bool,
    Number,
    Text,
    Bytes,
    Time,
    List,
    Object,
}

impl Value {
    fn kind(&self) -> Option<Kind> {
        Some(match self {
            Self::Null => return None,
            Self::Bool(_) => Kind::Bool,
            Self::Int(_) | Self::Float(_) => Kind::Number,
            Self::Text(_) => Kind::Text,
            Self::Bytes(_) => Kind::Bytes,
            Self::Time(_) => Kind::Time,
            Self::List(_) | Self::Array(_) => Kind::List,
            Self::Object(_) => Kind::Object,
        })
    }

    /// The value of a key of an object.
    fn get(&self, key: &str) -> &Self {
        match self {
            Self::Object(fields) => fields.iter().find(|(name, _)| name == key).map_or(&Self::Null, |(_, value)| value),
            _ => &Self::Null,
        }
    }

    /// About how many bytes of memory it takes.
    pub(super) fn size(&self) -> usize {
        let inside = match self {
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::List(items) => items.iter().map(Self::size).sum(),
            Self::Array(array) => array.get_array_memory_size(),
            Self::Object(fields) => fields.iter().map(|(name, value)| name.len() + value.size()).sum(),
            _ => 0,
        };
        size_of::<Self>() + inside
    }
}

impl From<serde_json::Value> for Value {
    fn from(json: serde_json::Value) -> Self {
        use serde_json::Value as Json;
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(value),
            Json::Number(number) => match number.as_i64() {
                Some(integer) => Self::Int(integer),
                None => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Self::Text(text),
            Json::Array(items) => Self::List(items.into_iter().map(Self::from).collect()),
            Json::Object(fields) => Self::Object(fields.into_iter().map(|(key, value)| (key, value.into())).collect()),
        }
    }
}

/// The kind of all values that are not null; `Err` when they differ.
fn common_kind(values: &[&Value]) -> Result<Option<Kind>, ()> {
    let mut kinds = values.iter().filter_map(|value| value.kind());
    let first = kinds.next();
    if kinds.all(|kind| Some(kind) == first) { Ok(first) } else { Err(()) }
}

/// The type that holds all of the values.
pub(super) fn feature_of(values: &[&Value]) -> Feature {
    let Ok(kind) = common_kind(values) else { return Feature::Json };
    match kind {
        None => Feature::Value(Dtype::Null),
        Some(Kind::Bool) => Feature::Value(Dtype::Bool),
        Some(Kind::Number) => {
            let is_float = values.iter().any(|value| matches!(value, Value::Float(_)));
            Feature::Value(if is_float { Dtype::Float64 } else { Dtype::Int64 })
        }
        Some(Kind::Text) => Feature::string(),
        Some(Kind::Bytes) => Feature::Value(Dtype::Binary),
        Some(Kind::Time) => Feature::Value(Dtype::Timestamp(TimeUnit::Microsecond, None)),
        Some(Kind::List) => list_feature(values),
        Some(Kind::Object) => object_feature(values),
    }
}

fn list_feature(values: &[&Value]) -> Feature {
    let typed: Vec<&ArrayRef> =
        values.iter().filter_map(|value| if let Value::Array(array) = value { Some(array) } else { None }).collect();
    let items: Vec<&Value> =
        values.iter().flat_map(|value| if let Value::List(items) = value { &items[..] } else { &[] }).collect();
    let Some(first) = typed.first() else { return Feature::list(feature_of(&items)) };
    let schema = Schema::new(vec![Field::new("item", first.data_type().clone(), true)]);
    match features_of(&schema).ok().and_then(|features| features.get("item").cloned()) {
        Some(item) if items.is_empty() && typed.iter().all(|array| array.data_type() == first.data_type()) => {
            Feature::list(item)
        }
        _ => Feature::Json,
    }
}

fn object_feature(values: &[&Value]) -> Feature {
    let mut fields: IndexMap<&str, Vec<&Value>> = IndexMap::new();
    for value in values {
        if let Value::Object(found) = value {
            for (name, value) in found {
                fields.entry(name).or_default().push(value);
            }
        }
    }
    if fields.is_empty() {
        // A type without fields cannot be stored.
        return Feature::Json;
    }
    let fields = fields.into_iter().map(|(name, values)| (name.to_owned(), feature_of(&values)));
    Feature::Struct(Features::new(fields))
}

/// The values as an array of a type. Keys that a struct lacks are left out.
///
/// # Errors
/// [`Incompatible`](ErrorKind::Incompatible) when a value does not fit.
pub(super) fn column(feature: &Feature, values: &[&Value]) -> Result<ArrayRef, EngineError> {
    let nulls = || NullBuffer::from(values.iter().map(|value| **value != Value::Null).collect::<Vec<_>>());
    let only = |kind| values.iter().all(|value| value.kind().is_none_or(|found| found == kind));
    match feature {
        Feature::Struct(fields) if only(Kind::Object) => {
            let child = |(name, feature): &(String, Feature)| {
                let values: Vec<&Value> = values.iter().map(|value| value.get(name)).collect();
                column(feature, &values).map_err(|error| below(error, name))
            };
            let children = fields.iter().map(child).collect::<Result<Vec<_>, _>>()?;
            let DataType::Struct(types) = data_type(feature) else { return Err(misfit(feature, values)) };
            StructArray::try_new(types, children, Some(nulls())).map(|array| Arc::new(array) as _).map_err(internal)
        }
        Feature::List { feature: item, length: None } if only(Kind::List) => list_column(item, values, nulls()),
        Feature::Image(_) | Feature::Audio(_) | Feature::Video(_) | Feature::Pdf(_) if only(Kind::Object) => {
            let parts = [("bytes", Feature::Value(Dtype::Binary)), ("path", Feature::string())];
            column(&Feature::Struct(Features::new(parts.map(|(name, part)| (name.to_owned(), part)))), values)
        }
        Feature::Json => {
            let texts = values.iter().map(|value| {
                let mut text = String::new();
                write_json(value, &mut text);
                (**value != Value::Null).then_some(text)
            });
            Ok(Arc::new(texts.collect::<StringArray>()))
        }
        _ => match feature_of(values) {
            Feature::Json if is_text(feature) && !values.iter().any(|value| value.is_nested()) => {
                let texts: Vec<Value> = values.iter().map(|value| value.as_text()).collect();
                column(feature, &texts.iter().collect::<Vec<_>>())
            }
            Feature::Json => Err(misfit(feature, values)),
            natural @ Feature::Value(_) => {
                let array = scalars(&natural, values)?;
                if natural == *feature { Ok(array) } else { to_feature(&array, feature) }
            }
            natural if natural == *feature => Err(misfit(feature, values)),
            natural => to_feature(&column(&natural, values)?, feature),
        },
    }
}

fn is_text(feature: &Feature) -> bool {
    matches!(feature, Feature::Value(Dtype::String | Dtype::LargeString | Dtype::StringView))
}

impl Value {
    fn is_nested(&self) -> bool {
        matches!(self.kind(), Some(Kind::List | Kind::Object | Kind::Bytes))
    }

    fn as_text(&self) -> Self {
        match self {
            Self::Null => Self::Null,
            Self::Text(text) => Self::Text(text.clone()),
            other => {
                let mut text = String::new();
                write_json(other, &mut text);
                Self::Text(text)
            }
        }
    }
}

fn list_column(item: &Feature, values: &[&Value], nulls: NullBuffer) -> Result<ArrayRef, EngineError> {
    let mut lengths = Vec::with_capacity(values.len());
    let mut pieces: Vec<ArrayRef> = Vec::new();
    let mut items: Vec<&Value> = Vec::new();
    for value in values {
        match value {
            Value::List(found) => {
                lengths.push(found.len());
                items.extend(found);
            }
            Value::Array(array) => {
                if !items.is_empty() {
                    pieces.push(column(item, &std::mem::take(&mut items))?);
                }
                lengths.push(array.len());
                pieces.push(to_feature(array, item)?);
            }
            _ => lengths.push(0),
        }
    }
    if !items.is_empty() {
        pieces.push(column(item, &items)?);
    }
    let pieces: Vec<&dyn Array> = pieces.iter().map(AsRef::as_ref).collect();
    let joined = match pieces[..] {
        [] => new_empty_array(&data_type(item)),
        _ => arrow::compute::concat(&pieces).map_err(internal)?,
    };
    let field = Arc::new(field(Field::LIST_FIELD_DEFAULT_NAME, item));
    let list = ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), joined, Some(nulls));
    Ok(Arc::new(list.map_err(internal)?))
}

/// Values of one kind, which is no nested one.
fn scalars(natural: &Feature, values: &[&Value]) -> Result<ArrayRef, EngineError> {
    Ok(match natural {
        Feature::Value(Dtype::Null) => Arc::new(NullArray::new(values.len())),
        Feature::Value(Dtype::Bool) => Arc::new(
            pick(values, |value| match value {
                Value::Bool(value) => Some(*value),
                _ => None,
            })
            .collect::<BooleanArray>(),
        ),
        Feature::Value(Dtype::Int64) => Arc::new(
            pick(values, |value| match value {
                Value::Int(value) => Some(*value),
                _ => None,
            })
            .collect::<Int64Array>(),
        ),
        Feature::Value(Dtype::Float64) => Arc::new(
            pick(values, |value| match value {
                Value::Int(value) => Some(*value as f64),
                Value::Float(value) => Some(*value),
                _ => None,
            })
            .collect::<Float64Array>(),
        ),
        Feature::Value(Dtype::String) => Arc::new(
            pick(values, |value| match value {
                Value::Text(text) => Some(text.as_str()),
                _ => None,
            })
            .collect::<StringArray>(),
        ),
        Feature::Value(Dtype::Binary) => Arc::new(
            pick(values, |value| match value {
                Value::Bytes(bytes) => Some(bytes.as_slice()),
                _ => None,
            })
            .collect::<BinaryArray>(),
        ),
        Feature::Value(Dtype::Timestamp(..)) => Arc::new(
            pick(values, |value| match value {
                Value::Time(time) => Some(*time),
                _ => None,
            })
            .collect::<TimestampMicrosecondArray>(),
        ),
        other => return Err(misfit(other, values)),
    })
}

fn pick<'v, T>(values: &'v [&Value], of: impl Fn(&'v Value) -> Option<T>) -> impl Iterator<Item = Option<T>> {
    values.iter().map(move |value| of(value))
}

/// Compact JSON, spelled like all our JSON text. Bytes are written in base 64.
fn write_json(value: &Value, text: &mut String) {
    use base64::Engine;
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        Value::Int(value) => text.push_str(itoa::Buffer::new().format(*value)),
        Value::Float(value) => json_text::write_float(*value, text),
        Value::Text(value) => json_text::write_text(value, text),
        Value::Bytes(bytes) => {
            json_text::write_text(&base64::engine::general_purpose::STANDARD.encode(bytes), text);
        }
        Value::Time(micros) => {
            let time = chrono::DateTime::from_timestamp_micros(*micros).unwrap_or_default();
            json_text::write_text(&time.naive_utc().format("%Y-%m-%dT%H:%M:%S%.f").to_string(), text);
        }
        Value::List(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_json(item, text);
            }
            text.push(']');
        }
        Value::Array(array) => match json_text::of_list(array.as_ref()) {
            Ok(list) => text.push_str(&list),
            Err(_) => text.push_str("null"),
        },
        Value::Object(fields) => {
            text.push('{');
            for (index, (name, value)) in fields.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                json_text::write_text(name, text);
                text.push(':');
                write_json(value, text);
            }
            text.push('}');
        }
    }
}

/// Names the way from the column to the field.
fn below(mut error: EngineError, name: &str) -> EngineError {
    error.column = Some(match error.column {
        Some(inner) => format!("{name}.{inner}"),
        None => name.to_owned(),
    });
    error
}

fn misfit(feature: &Feature, values: &[&Value]) -> EngineError {
    let found = match common_kind(values) {
        Ok(Some(kind)) => format!("values of kind {kind:?}").to_lowercase(),
        _ => "values of different kinds".to_owned(),
    };
    let wanted = match feature {
        Feature::Value(dtype) => dtype.to_string(),
        Feature::List { .. } | Feature::LargeList(_) => "lists".to_owned(),
        Feature::Struct(_) => "structs".to_owned(),
        other => other.to_json().to_string(),
    };
    let message = format!("{found} cannot become {wanted}; store values of one type");
    EngineError::new(ErrorKind::Incompatible, message)
}

fn internal(error: arrow::error::ArrowError) -> EngineError {
    EngineError::new(ErrorKind::Internal, error)
}

#[cfg(test)]
mod tests {
    use arrow::array::RecordBatch;
    use serde_json::json;

    use super::*;
    use crate::features_arrow::to_schema;
    use crate::read::testing::show;

    /// The values as a column of the type that fits them, or of another one.
    fn shown(values: serde_json::Value, feature: Option<Feature>) -> String {
        let values: Vec<Value> = values.as_array().unwrap().iter().cloned().map(Value::from).collect();
        let values: Vec<&Value> = values.iter().collect();
        let feature = feature.unwrap_or_else(|| feature_of(&values));
        let array = match column(&feature, &values) {
            Ok(array) => array,
            Err(error) => return error.to_string(),
        };
        let schema = to_schema(&Features::new([("x".to_owned(), feature)]), false);
        show(&[RecordBatch::try_new(schema, vec![array]).unwrap()])
    }

    #[test]
    fn types_follow_from_the_values() {
        let values = [
            json!([1, null, 2]),
            json!([1, 2.5]),
            json!([true, null]),
            json!([[1], [], null, [2, 3]]),
            json!([{"a": 1}, {"b": "x", "a": 2}, null]),
            json!([{}, {}]),
            json!([1, "a/é", [true], {"k": null}]),
            json!([18_446_744_073_709_551_615_u64]),
        ];
        insta::assert_snapshot!(values.map(|values| shown(values, None)).concat(), @r#"
        x: int64
        1
        null
        2
        x: float64
        1.0
        2.5
        x: bool
        true
        null
        x: [int64]
        [1]
        []
        null
        [2, 3]
        x: {a: int64, b: string}
        {a: 1, b: null}
        {a: 2, b: x}
        null
        x: Json
        {}
        {}
        x: Json
        1
        "a\/\u00e9"
        [true]
        {"k":null}
        x: float64
        1.8446744073709552e19
        "#);
    }

    #[test]
    fn values_are_cast_to_the_type_of_the_column() {
        let point = Feature::Struct(Features::new([("a".to_owned(), Feature::Value(Dtype::Float32))]));
        let shown = [
            shown(json!([1, 2.5, "x", null]), Some(Feature::string())),
            shown(json!([{"a": 1, "more": 2}, {}]), Some(point)),
            shown(json!([[], [1, 2]]), Some(Feature::list(Feature::Value(Dtype::Int8)))),
            shown(json!(["5"]), Some(Feature::Value(Dtype::Int64))),
        ];
        insta::assert_snapshot!(shown.concat(), @r"
        x: string
        1
        2.5
        x
        null
        x: {a: float32}
        {a: 1.0}
        {a: null}
        x: [int8]
        []
        [1, 2]
        x: int64
        5
        ");
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let number = || Some(Feature::Value(Dtype::Int64));
        let errors =
            [shown(json!([1, [2]]), number()), shown(json!([{"a": 1}]), number()), shown(json!([1.5]), number())];
        insta::assert_snapshot!(errors.join("\n"), @r#"
        values of different kinds cannot become int64; store values of one type
        values of type struct cannot become int64
        1.5 would be cut to fit into int64
        "#);
    }
}
