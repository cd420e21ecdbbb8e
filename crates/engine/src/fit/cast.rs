//! An array → the storage of a feature.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, FixedSizeListArray, GenericListArray, Int64Array, OffsetSizeTrait,
    StringArray, StructArray, new_empty_array, new_null_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Int64Type};
use belvedere_domain::{Feature, Features};
use hashbrown::HashMap;

use super::{json_text, scalar};
use crate::error::{EngineError, ErrorKind};
use crate::features_arrow::{data_type, field};

/// Casts an array to a feature.
pub(crate) fn to_feature(array: &ArrayRef, feature: &Feature) -> Result<ArrayRef, EngineError> {
    if let DataType::Dictionary(_, values) = array.data_type() {
        let plain = cast(array, values).map_err(|error| EngineError::new(ErrorKind::Incompatible, error))?;
        return to_feature(&with_bitmap(plain), feature);
    }
    match feature {
        Feature::ClassLabel { names } => class_labels(array, names),
        Feature::Json => json_column(array),
        Feature::Image(_) | Feature::Audio(_) | Feature::Video(_) | Feature::Pdf(_) | Feature::Opaque(_) => {
            media(array, feature)
        }
        // The null type casts to anything.
        _ if *array.data_type() == DataType::Null => Ok(new_null_array(&data_type(feature), array.len())),
        Feature::Struct(children) => match array.data_type() {
            DataType::Struct(found) => structs(array.as_struct(), found, children),
            _ => Err(impossible(array, feature)),
        },
        Feature::List { feature: inner, length } => lists(array, feature, inner, *length),
        Feature::LargeList(inner) => match parts(array) {
            Some(list) => {
                let values = to_feature(&list.values, inner)?;
                rebuild::<i64>(item(inner), &list, values)
            }
            None => Err(impossible(array, feature)),
        },
        _ => to_type(array, &data_type(feature)),
    }
}

/// Counted as the reference counts it: texts taken out of a dictionary always carry a bitmap.
fn with_bitmap(array: ArrayRef) -> ArrayRef {
    match array.as_string_opt::<i32>() {
        Some(texts) if texts.nulls().is_none() => {
            let (offsets, values, _) = texts.clone().into_parts();
            Arc::new(StringArray::new(offsets, values, Some(NullBuffer::new_valid(array.len()))))
        }
        _ => array,
    }
}

/// Casts an array to a type: lists item by item, structs of the same names field by field, values as values.
fn to_type(array: &ArrayRef, target: &DataType) -> Result<ArrayRef, EngineError> {
    if array.data_type() == target {
        return Ok(Arc::clone(array));
    }
    if *array.data_type() == DataType::Null {
        return Ok(new_null_array(target, array.len()));
    }
    match (array.data_type(), target) {
        (DataType::Struct(found), DataType::Struct(wanted)) => {
            if found.len() != wanted.len() || wanted.iter().any(|field| found.find(field.name()).is_none()) {
                return Err(scalar::impossible(array.data_type(), target));
            }
            let source = array.as_struct();
            let child = |field: &FieldRef| {
                let (place, _) = found.find(field.name()).expect("the names were compared above");
                to_type(source.column(place), field.data_type())
            };
            let children = wanted.iter().map(child).collect::<Result<Vec<_>, _>>()?;
            Ok(Arc::new(StructArray::new(wanted.clone(), children, source.nulls().cloned())))
        }
        (DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..), DataType::List(wanted)) => {
            let list = parts(array).ok_or_else(|| scalar::impossible(array.data_type(), target))?;
            let values = to_type(&list.values, wanted.data_type())?;
            rebuild::<i32>(Arc::clone(wanted), &list, values)
        }
        _ => scalar::cast_values(array, target),
    }
}

fn structs(source: &StructArray, found: &Fields, children: &Features) -> Result<ArrayRef, EngineError> {
    if let Some(extra) = found.iter().find(|field| children.get(field.name()).is_none()) {
        let message = "this field is not among those of the column";
        return Err(EngineError::new(ErrorKind::Incompatible, message).in_column(extra.name()));
    }
    let child = |(name, feature): &(String, Feature)| match found.find(name) {
        Some((place, _)) => to_feature(source.column(place), feature).map_err(|error| within(error, name)),
        None => Ok(new_null_array(&data_type(feature), source.len())),
    };
    let arrays = children.iter().map(child).collect::<Result<Vec<_>, _>>()?;
    let fields: Fields = children.iter().map(|(name, feature)| field(name, feature)).collect();
    if fields.is_empty() {
        return Ok(Arc::new(StructArray::new_empty_fields(source.len(), source.nulls().cloned())));
    }
    Ok(Arc::new(StructArray::new(fields, arrays, source.nulls().cloned())))
}

/// Puts the name of a field before the place that an error already names.
pub(super) fn within(mut error: EngineError, name: &str) -> EngineError {
    error.column = Some(match error.column.take() {
        Some(inner) => format!("{name}.{inner}"),
        None => name.to_owned(),
    });
    error
}

/// The parts of any kind of list, without unused items at either end.
struct Parts {
    values: ArrayRef,
    lengths: Vec<usize>,
    nulls: Option<NullBuffer>,
}

fn parts(array: &ArrayRef) -> Option<Parts> {
    fn of<O: OffsetSizeTrait>(list: &GenericListArray<O>) -> Parts {
        let offsets = list.value_offsets();
        let (first, last) = (offsets[0].as_usize(), offsets[offsets.len() - 1].as_usize());
        Parts {
            values: list.values().slice(first, last - first),
            lengths: list.offsets().lengths().collect(),
            nulls: list.nulls().cloned(),
        }
    }
    match array.data_type() {
        DataType::List(_) => Some(of(array.as_list::<i32>())),
        DataType::LargeList(_) => Some(of(array.as_list::<i64>())),
        DataType::FixedSizeList(_, length) => {
            let list = array.as_fixed_size_list();
            let length = usize::try_from(*length).unwrap_or(0);
            Some(Parts {
                values: Arc::clone(list.values()),
                lengths: vec![length; list.len()],
                nulls: list.nulls().cloned(),
            })
        }
        _ => None,
    }
}

fn rebuild<O: OffsetSizeTrait>(item: FieldRef, list: &Parts, values: ArrayRef) -> Result<ArrayRef, EngineError> {
    let offsets = OffsetBuffer::<O>::from_lengths(list.lengths.iter().copied());
    let built = GenericListArray::try_new(item, offsets, values, list.nulls.clone());
    Ok(Arc::new(built.map_err(|error| EngineError::new(ErrorKind::Incompatible, error))?))
}

fn item(feature: &Feature) -> FieldRef {
    Arc::new(field(Field::LIST_FIELD_DEFAULT_NAME, feature))
}

fn lists(array: &ArrayRef, whole: &Feature, inner: &Feature, length: Option<u32>) -> Result<ArrayRef, EngineError> {
    let list = parts(array).ok_or_else(|| impossible(array, whole))?;
    let Some(length) = length else {
        let values = to_feature(&list.values, inner)?;
        return rebuild::<i32>(item(inner), &list, values);
    };
    let wanted = length as usize;
    let is_null = |row: usize| list.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
    if let Some(row) = (0..list.lengths.len()).find(|row| !is_null(*row) && list.lengths[*row] != wanted) {
        let message = format!("a list of {} items where {wanted} are declared", list.lengths[row]);
        return Err(EngineError::new(ErrorKind::Incompatible, message));
    }
    let was_fixed = matches!(array.data_type(), DataType::FixedSizeList(..));
    let values = if was_fixed || list.nulls.as_ref().is_none_or(|nulls| nulls.null_count() == 0) {
        Arc::clone(&list.values)
    } else {
        fill_null_lists(&list, wanted, &is_null)?
    };
    let values = to_feature(&values, inner)?;
    let nulls = match (was_fixed, list.nulls) {
        // Counted as the reference counts it: a cast of fixed lists always leaves a bitmap.
        (true, None) => Some(NullBuffer::new_valid(array.len())),
        (_, nulls) => nulls,
    };
    let size = i32::try_from(length).unwrap_or(i32::MAX);
    let built = FixedSizeListArray::try_new(item(inner), size, values, nulls);
    Ok(Arc::new(built.map_err(|error| EngineError::new(ErrorKind::Incompatible, error))?))
}

/// The items with as many nulls in the place of each null list as the others have items.
fn fill_null_lists(list: &Parts, wanted: usize, is_null: &dyn Fn(usize) -> bool) -> Result<ArrayRef, EngineError> {
    let filler = new_null_array(list.values.data_type(), wanted);
    let empty = new_empty_array(list.values.data_type());
    let (mut pieces, mut at) = (vec![empty], 0);
    for (row, length) in list.lengths.iter().enumerate() {
        pieces.push(if is_null(row) { Arc::clone(&filler) } else { list.values.slice(at, *length) });
        at += length;
    }
    let pieces: Vec<&dyn Array> = pieces.iter().map(AsRef::as_ref).collect();
    concat(&pieces).map_err(|error| EngineError::new(ErrorKind::Internal, error))
}

fn class_labels(array: &ArrayRef, names: &[String]) -> Result<ArrayRef, EngineError> {
    let count = i64::try_from(names.len()).unwrap_or(i64::MAX);
    match array.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            let texts = to_type(array, &DataType::Utf8)?;
            let numbers: HashMap<&str, i64> = names.iter().map(String::as_str).zip(0..).collect();
            let label = |text: Option<&str>| {
                let Some(text) = text else { return Ok(None) };
                let named = numbers.get(text).or_else(|| numbers.get(text.trim())).copied();
                let number = named.or_else(|| text.trim().parse().ok().filter(|number| (-1..count).contains(number)));
                number.map(Some).ok_or_else(|| {
                    let message = format!("\"{text}\" is not one of the {count} class names");
                    EngineError::new(ErrorKind::Incompatible, message)
                })
            };
            let labels = texts.as_string::<i32>().iter().map(label).collect::<Result<Int64Array, _>>()?;
            Ok(Arc::new(labels))
        }
        _ => {
            let labels = to_type(array, &DataType::Int64)?;
            let largest = arrow::compute::max(labels.as_primitive::<Int64Type>());
            match largest.filter(|label| array.data_type().is_integer() && *label >= count) {
                Some(label) => {
                    let message = format!("class {label} where only {count} classes are declared");
                    Err(EngineError::new(ErrorKind::Incompatible, message))
                }
                None => Ok(labels),
            }
        }
    }
}

/// Text stays as it is when it looks like JSON: the first few values tell. All else is written as JSON.
fn json_column(array: &ArrayRef) -> Result<ArrayRef, EngineError> {
    const LOOKED_AT: usize = 5;
    if *array.data_type() == DataType::Null {
        return Ok(new_null_array(&DataType::Utf8, array.len()));
    }
    if matches!(array.data_type(), DataType::LargeUtf8 | DataType::Utf8View) {
        return json_column(&to_type(array, &DataType::Utf8)?);
    }
    if let Some(texts) = array.as_string_opt::<i32>() {
        let is_json = |text: &str| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
        if texts.iter().take(LOOKED_AT).flatten().all(is_json) {
            return Ok(Arc::clone(array));
        }
    }
    json_text::of_array(array)
}

/// `{bytes, path}` from a path, from bytes, or from a struct with one or both.
fn media(array: &ArrayRef, feature: &Feature) -> Result<ArrayRef, EngineError> {
    let DataType::Struct(fields) = data_type(feature) else { return to_type(array, &data_type(feature)) };
    let rows = array.len();
    let no_bytes = || -> ArrayRef { Arc::new(BinaryArray::new_null(rows)) };
    let no_path = || -> ArrayRef { Arc::new(StringArray::new_null(rows)) };
    let children = match array.data_type() {
        DataType::Null => return Ok(new_null_array(&DataType::Struct(fields), rows)),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            vec![no_bytes(), to_type(array, &DataType::Utf8)?]
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
            vec![to_type(array, &DataType::Binary)?, no_path()]
        }
        DataType::Struct(_) => {
            let source = array.as_struct();
            let bytes = source.column_by_name("bytes").map(|bytes| to_type(bytes, &DataType::Binary));
            let path = source.column_by_name("path").map(|path| to_type(path, &DataType::Utf8));
            if bytes.is_none() && path.is_none() {
                return Err(impossible(array, feature));
            }
            vec![bytes.unwrap_or_else(|| Ok(no_bytes()))?, path.unwrap_or_else(|| Ok(no_path()))?]
        }
        _ => return Err(impossible(array, feature)),
    };
    Ok(Arc::new(StructArray::new(fields, children, array.nulls().cloned())))
}

fn impossible(array: &ArrayRef, feature: &Feature) -> EngineError {
    scalar::impossible(array.data_type(), &data_type(feature))
}
