//! Columns that both splits have and whose values can be compared, brought to one type.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder};
use arrow::datatypes::DataType;
use belvedere_domain::{Feature, Features};

use crate::error::{EngineError, ErrorKind};
use crate::features_arrow::{data_type, same_storage};

/// A column of both.
pub(super) struct Column {
    pub(super) name: String,
    /// As the left split shows it.
    pub(super) feature: Feature,
    /// Position left and right.
    pub(super) places: (usize, usize),
    /// What values are brought to.
    data_type: DataType,
    is_media: bool,
}

/// The columns of both splits with comparable types, in the order of the left one.
pub(super) fn columns(left: &Features, right: &Features) -> Vec<Column> {
    let mut columns = Vec::new();
    for (place, (name, feature)) in left.iter().enumerate() {
        let Some(other) = right.iter().position(|(other, _)| other == name) else { continue };
        let is_media = is_media(feature) && is_media(&right[other].1);
        let data_type = match is_media {
            true => Some(DataType::Binary),
            false => common(&data_type(feature), &data_type(&right[other].1)),
        };
        if let Some(data_type) = data_type {
            let (name, feature) = (name.clone(), feature.clone());
            columns.push(Column { name, feature, places: (place, other), data_type, is_media });
        }
    }
    columns
}

impl Column {
    /// The values in the type of both: of media their bytes, or their paths where the bytes are elsewhere.
    pub(super) fn values(&self, array: &ArrayRef) -> Result<ArrayRef, EngineError> {
        if self.is_media {
            return Ok(content(array));
        }
        if *array.data_type() == self.data_type {
            return Ok(Arc::clone(array));
        }
        arrow::compute::cast(array, &self.data_type)
            .map_err(|error| EngineError::new(ErrorKind::Incompatible, error).in_column(&self.name))
    }

    /// The type of [`values`](Self::values).
    pub(super) fn data_type(&self) -> &DataType {
        &self.data_type
    }
}

fn is_media(feature: &Feature) -> bool {
    feature.media().is_some() || matches!(feature, Feature::Opaque(_))
}

fn content(array: &ArrayRef) -> ArrayRef {
    let Some(stored) = array.as_struct_opt() else { return Arc::clone(array) };
    let bytes = stored.column_by_name("bytes").and_then(|array| array.as_binary_opt::<i32>());
    let path = stored.column_by_name("path").and_then(|array| array.as_string_opt::<i32>());
    let mut builder = BinaryBuilder::new();
    for row in 0..stored.len() {
        let bytes = bytes.filter(|bytes| bytes.is_valid(row)).map(|bytes| bytes.value(row));
        let path = || path.filter(|path| path.is_valid(row)).map(|path| path.value(row).as_bytes());
        builder.append_option(bytes.or_else(path).filter(|_| stored.is_valid(row)));
    }
    Arc::new(builder.finish())
}

/// The type that values of both can be brought to without loss, as far as types tell.
fn common(left: &DataType, right: &DataType) -> Option<DataType> {
    use DataType as T;
    if same_storage(left, right) {
        return Some(left.clone());
    }
    let is_text = |one: &T| matches!(one, T::Utf8 | T::LargeUtf8 | T::Utf8View);
    let is_bytes = |one: &T| matches!(one, T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_));
    let both = |test: &dyn Fn(&T) -> bool| test(left) && test(right);
    match (left, right) {
        (T::Null, other) | (other, T::Null) => Some(other.clone()),
        _ if both(&T::is_integer) => {
            let is_widest = |one: &T| matches!(one, T::UInt64);
            Some(if is_widest(left) || is_widest(right) { T::Decimal128(20, 0) } else { T::Int64 })
        }
        // Beyond 2⁵³ integers that differ in the last digit compare as equal to the same double.
        _ if both(&|one| T::is_integer(one) || T::is_floating(one)) => Some(T::Float64),
        _ if both(&is_text) => Some(T::LargeUtf8),
        _ if both(&is_bytes) => Some(T::LargeBinary),
        _ => None,
    }
}
