//! Features ⇄ Arrow schemas.
//!
//! The storage of every feature is fixed: media are `struct<bytes: binary, path: string>`, `Json` is text, class
//! labels are 64-bit integers, `Array2D`…`Array5D` are nested lists. What Arrow types cannot say travels twice, so
//! that the reference library reads our files as we read its files: in the schema metadata under `huggingface`, and
//! as extension types on the fields of `Json` and array columns.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit as ArrowUnit};
use belvedere_domain::features::{Dtype, TimeUnit};
use belvedere_domain::{Feature, Features};
use serde_json::{Value as JsonValue, json};

use crate::error::{EngineError, ErrorKind};

/// Key of the schema metadata that holds `{"info": {"features": {…}}}`.
pub const METADATA_KEY: &str = "huggingface";

const EXTENSION_NAME: &str = "ARROW:extension:name";
const EXTENSION_METADATA: &str = "ARROW:extension:metadata";
const JSON_EXTENSION: &str = "arrow.json";
/// The reference library's array types are called `…Array2DExtensionType` and so on.
const ARRAY_EXTENSION_PREFIX: &str = "datasets.features.features.Array";
const ARRAY_EXTENSION_SUFFIX: &str = "DExtensionType";

/// The features of a schema: for each column what the `huggingface` metadata tell if the physical type agrees with
/// it, else what the physical type tells.
///
/// # Errors
/// [`Features`](ErrorKind::Features) naming the column when its type has no feature (maps, unions, intervals,
/// run-end encoded), or when the metadata are malformed.
pub fn features_of(schema: &Schema) -> Result<Features, EngineError> {
    let told = told_features(schema)?;
    let mut columns = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let feature = match told.as_ref().and_then(|told| told.get(field.name())) {
            Some(told) if same_storage(&data_type(told), field.data_type()) => told.clone(),
            _ => physical(field).map_err(|error| error.in_column(field.name()))?,
        };
        columns.push((field.name().clone(), feature));
    }
    Ok(Features::new(columns))
}

/// The schema that data of these features are stored in, column order kept; every field is nullable.
pub fn to_schema(features: &Features, with_metadata: bool) -> SchemaRef {
    let schema = Schema::new(fields(features));
    Arc::new(match with_metadata {
        true => {
            let info = json!({"info": {"features": features.to_json()}});
            schema.with_metadata(HashMap::from([(METADATA_KEY.to_owned(), info.to_string())]))
        }
        false => schema,
    })
}

/// The storage type of a feature. List items are called `item`.
pub fn data_type(feature: &Feature) -> DataType {
    match feature {
        Feature::Value(dtype) => scalar(dtype),
        Feature::ClassLabel { .. } => DataType::Int64,
        Feature::List { feature, length: None } => DataType::List(item(feature)),
        Feature::List { feature, length: Some(length) } => {
            DataType::FixedSizeList(item(feature), i32::try_from(*length).unwrap_or(i32::MAX))
        }
        Feature::LargeList(feature) => DataType::LargeList(item(feature)),
        Feature::Array { shape, dtype } => (0..shape.len())
            .fold(scalar(dtype), |inner, _| DataType::List(Arc::new(Field::new_list_field(inner, true)))),
        // The reference library sorts the languages.
        Feature::Translation { languages } => {
            let mut languages: Vec<&str> = languages.iter().map(String::as_str).collect();
            languages.sort_unstable();
            languages.dedup();
            DataType::Struct(languages.into_iter().map(|language| Field::new(language, DataType::Utf8, true)).collect())
        }
        Feature::TranslationVariableLanguages { .. } => {
            let texts = || DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)));
            DataType::Struct(
                ["language", "translation"].into_iter().map(|name| Field::new(name, texts(), true)).collect(),
            )
        }
        Feature::Image(_) | Feature::Audio(_) | Feature::Video(_) | Feature::Pdf(_) | Feature::Opaque(_) => media(),
        Feature::Json => DataType::Utf8,
        Feature::Struct(children) => DataType::Struct(fields(children)),
    }
}

/// The nullable field of a column, with its extension type if it has one.
pub fn field(name: &str, feature: &Feature) -> Field {
    let field = Field::new(name, data_type(feature), true);
    match feature {
        Feature::Json => {
            let extension = [(EXTENSION_NAME, JSON_EXTENSION.to_owned()), (EXTENSION_METADATA, String::new())];
            field.with_metadata(extension.map(|(key, value)| (key.to_owned(), value)).into())
        }
        Feature::Array { shape, dtype } => {
            let name = format!("{ARRAY_EXTENSION_PREFIX}{}{ARRAY_EXTENSION_SUFFIX}", shape.len());
            let parameters = json!([shape, dtype.to_string()]).to_string();
            let extension = [(EXTENSION_NAME, name), (EXTENSION_METADATA, parameters)];
            field.with_metadata(extension.map(|(key, value)| (key.to_owned(), value)).into())
        }
        _ => field,
    }
}

/// True when both types store the same values: names of list items, nullability and metadata are ignored, and a
/// dictionary counts as its values. Fields of structs must have the same names in the same order.
pub fn same_storage(left: &DataType, right: &DataType) -> bool {
    use DataType as T;
    match (left, right) {
        (T::Dictionary(_, left), right) => same_storage(left, right),
        (left, T::Dictionary(_, right)) => same_storage(left, right),
        (T::List(left), T::List(right)) | (T::LargeList(left), T::LargeList(right)) => {
            same_storage(left.data_type(), right.data_type())
        }
        (T::FixedSizeList(left, left_length), T::FixedSizeList(right, right_length)) => {
            left_length == right_length && same_storage(left.data_type(), right.data_type())
        }
        (T::Struct(left), T::Struct(right)) => {
            left.len() == right.len()
                && left.iter().zip(right).all(|(left, right)| {
                    left.name() == right.name() && same_storage(left.data_type(), right.data_type())
                })
        }
        (left, right) => left == right,
    }
}

/// The schema with 32-bit dates in place of 64-bit ones, at any depth.
pub(crate) fn with_short_dates(schema: &Schema) -> Schema {
    let fields: Fields = schema.fields().iter().map(short_dates).collect();
    Schema::new(fields).with_metadata(schema.metadata().clone())
}

fn short_dates(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Date64 => DataType::Date32,
        DataType::List(inner) => DataType::List(short_dates(inner)),
        DataType::LargeList(inner) => DataType::LargeList(short_dates(inner)),
        DataType::FixedSizeList(inner, length) => DataType::FixedSizeList(short_dates(inner), *length),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(short_dates).collect()),
        _ => return Arc::clone(field),
    };
    Arc::new(Field::clone(field).with_data_type(data_type))
}

fn fields(features: &Features) -> Fields {
    features.iter().map(|(name, feature)| field(name, feature)).collect()
}

fn item(feature: &Feature) -> FieldRef {
    Arc::new(field(Field::LIST_FIELD_DEFAULT_NAME, feature))
}

fn media() -> DataType {
    DataType::Struct(Fields::from(vec![
        Field::new("bytes", DataType::Binary, true),
        Field::new("path", DataType::Utf8, true),
    ]))
}

/// The features in the schema metadata, whether the physical types agree or not.
pub(crate) fn told_features(schema: &Schema) -> Result<Option<Features>, EngineError> {
    let Some(text) = schema.metadata().get(METADATA_KEY) else { return Ok(None) };
    let malformed = |reason: String| {
        EngineError::new(ErrorKind::Features, format!("the schema metadata `{METADATA_KEY}` are malformed: {reason}"))
    };
    let metadata: JsonValue = serde_json::from_str(text).map_err(|error| malformed(error.to_string()))?;
    match metadata.pointer("/info/features") {
        None | Some(JsonValue::Null) => Ok(None),
        Some(features) => Features::from_json(features).map(Some).map_err(|error| malformed(error.to_string())),
    }
}

/// What a field tells without schema metadata.
fn physical(field: &Field) -> Result<Feature, EngineError> {
    if let Some(feature) = extension(field) {
        return Ok(feature);
    }
    match field.data_type() {
        DataType::Dictionary(_, values) => physical(&Field::new(field.name(), (**values).clone(), true)),
        DataType::List(item) => Ok(Feature::list(physical(item)?)),
        DataType::LargeList(item) => Ok(Feature::LargeList(Box::new(physical(item)?))),
        DataType::FixedSizeList(item, length) => {
            Ok(Feature::List { feature: Box::new(physical(item)?), length: u32::try_from(*length).ok() })
        }
        DataType::Struct(children) => {
            let child = |child: &FieldRef| Ok((child.name().clone(), physical(child)?));
            Ok(Feature::Struct(Features::new(children.iter().map(child).collect::<Result<Vec<_>, EngineError>>()?)))
        }
        other => dtype(other).map(Feature::Value).ok_or_else(|| {
            EngineError::new(
                ErrorKind::Features,
                format!("columns of type {other} cannot be shown; store another type"),
            )
        }),
    }
}

/// The feature of the extension types that the reference library writes.
fn extension(field: &Field) -> Option<Feature> {
    let name = field.metadata().get(EXTENSION_NAME)?;
    let feature = if name == JSON_EXTENSION {
        Feature::Json
    } else {
        let dimensions = name.strip_prefix(ARRAY_EXTENSION_PREFIX)?.strip_suffix(ARRAY_EXTENSION_SUFFIX)?;
        let (shape, dtype): (JsonValue, JsonValue) =
            serde_json::from_str(field.metadata().get(EXTENSION_METADATA)?).ok()?;
        Feature::from_json(&json!({"_type": format!("Array{dimensions}D"), "shape": shape, "dtype": dtype})).ok()?
    };
    same_storage(&data_type(&feature), field.data_type()).then_some(feature)
}

fn scalar(dtype: &Dtype) -> DataType {
    match dtype {
        Dtype::Null => DataType::Null,
        Dtype::Bool => DataType::Boolean,
        Dtype::Int8 => DataType::Int8,
        Dtype::Int16 => DataType::Int16,
        Dtype::Int32 => DataType::Int32,
        Dtype::Int64 => DataType::Int64,
        Dtype::UInt8 => DataType::UInt8,
        Dtype::UInt16 => DataType::UInt16,
        Dtype::UInt32 => DataType::UInt32,
        Dtype::UInt64 => DataType::UInt64,
        Dtype::Float16 => DataType::Float16,
        Dtype::Float32 => DataType::Float32,
        Dtype::Float64 => DataType::Float64,
        Dtype::Time32(unit) => DataType::Time32(arrow_unit(*unit)),
        Dtype::Time64(unit) => DataType::Time64(arrow_unit(*unit)),
        Dtype::Timestamp(unit, zone) => DataType::Timestamp(arrow_unit(*unit), zone.as_deref().map(Arc::from)),
        Dtype::Date32 => DataType::Date32,
        Dtype::Date64 => DataType::Date64,
        Dtype::Duration(unit) => DataType::Duration(arrow_unit(*unit)),
        Dtype::Decimal128(precision, scale) => DataType::Decimal128(*precision, *scale),
        Dtype::Decimal256(precision, scale) => DataType::Decimal256(*precision, *scale),
        Dtype::Binary => DataType::Binary,
        Dtype::LargeBinary => DataType::LargeBinary,
        Dtype::BinaryView => DataType::BinaryView,
        Dtype::FixedSizeBinary(width) => DataType::FixedSizeBinary(i32::try_from(*width).unwrap_or(i32::MAX)),
        Dtype::String => DataType::Utf8,
        Dtype::LargeString => DataType::LargeUtf8,
        Dtype::StringView => DataType::Utf8View,
    }
}

fn dtype(data_type: &DataType) -> Option<Dtype> {
    Some(match data_type {
        DataType::Null => Dtype::Null,
        DataType::Boolean => Dtype::Bool,
        DataType::Int8 => Dtype::Int8,
        DataType::Int16 => Dtype::Int16,
        DataType::Int32 => Dtype::Int32,
        DataType::Int64 => Dtype::Int64,
        DataType::UInt8 => Dtype::UInt8,
        DataType::UInt16 => Dtype::UInt16,
        DataType::UInt32 => Dtype::UInt32,
        DataType::UInt64 => Dtype::UInt64,
        DataType::Float16 => Dtype::Float16,
        DataType::Float32 => Dtype::Float32,
        DataType::Float64 => Dtype::Float64,
        DataType::Time32(unit) => Dtype::Time32(domain_unit(*unit)),
        DataType::Time64(unit) => Dtype::Time64(domain_unit(*unit)),
        DataType::Timestamp(unit, zone) => {
            let zone = zone.as_deref().filter(|zone| !zone.is_empty()).map(str::to_owned);
            Dtype::Timestamp(domain_unit(*unit), zone)
        }
        DataType::Date32 => Dtype::Date32,
        DataType::Date64 => Dtype::Date64,
        DataType::Duration(unit) => Dtype::Duration(domain_unit(*unit)),
        DataType::Decimal128(precision, scale) => Dtype::Decimal128(*precision, *scale),
        DataType::Decimal256(precision, scale) => Dtype::Decimal256(*precision, *scale),
        DataType::Binary => Dtype::Binary,
        DataType::LargeBinary => Dtype::LargeBinary,
        DataType::BinaryView => Dtype::BinaryView,
        DataType::FixedSizeBinary(width) => Dtype::FixedSizeBinary(u32::try_from(*width).ok()?),
        DataType::Utf8 => Dtype::String,
        DataType::LargeUtf8 => Dtype::LargeString,
        DataType::Utf8View => Dtype::StringView,
        _ => return None,
    })
}

fn arrow_unit(unit: TimeUnit) -> ArrowUnit {
    match unit {
        TimeUnit::Second => ArrowUnit::Second,
        TimeUnit::Millisecond => ArrowUnit::Millisecond,
        TimeUnit::Microsecond => ArrowUnit::Microsecond,
        TimeUnit::Nanosecond => ArrowUnit::Nanosecond,
    }
}

fn domain_unit(unit: ArrowUnit) -> TimeUnit {
    match unit {
        ArrowUnit::Second => TimeUnit::Second,
        ArrowUnit::Millisecond => TimeUnit::Millisecond,
        ArrowUnit::Microsecond => TimeUnit::Microsecond,
        ArrowUnit::Nanosecond => TimeUnit::Nanosecond,
    }
}

#[cfg(test)]
mod tests;
