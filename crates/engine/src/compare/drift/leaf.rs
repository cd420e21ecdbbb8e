//! The parts of columns that have a distribution: scalars, and the lengths of everything else.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, make_array};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::compute::kernels::length::length;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use belvedere_domain::Feature;

use crate::compare::shared;
use crate::error::{EngineError, ErrorKind};

/// A part of a shared column.
pub(super) struct Leaf {
    /// With the fields on the way to it.
    pub(super) name: String,
    column: usize,
    /// Positions of those fields.
    path: Vec<usize>,
    pub(super) kind: Kind,
}

/// What its values are.
pub(super) enum Kind {
    /// Numbers, or times as numbers of their unit.
    Number,
    /// Characters, compared as categories while there are few.
    Text,
    /// Items or bytes.
    Length,
    /// Truth values.
    Bool,
    /// Class labels, by their names.
    Label(Vec<String>),
}

/// The leaves of all columns.
pub(super) fn leaves(columns: &[shared::Column]) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    for (place, column) in columns.iter().enumerate() {
        match &column.feature {
            Feature::ClassLabel { names } if *column.data_type() == DataType::Int64 => leaves.push(Leaf {
                name: column.name.clone(),
                column: place,
                path: Vec::new(),
                kind: Kind::Label(names.clone()),
            }),
            _ => push(&mut leaves, column.name.clone(), place, Vec::new(), column.data_type()),
        }
    }
    leaves
}

fn push(leaves: &mut Vec<Leaf>, name: String, column: usize, path: Vec<usize>, data_type: &DataType) {
    use DataType as T;
    let kind = match data_type {
        T::Struct(fields) => {
            for (index, field) in fields.iter().enumerate() {
                let path = path.iter().copied().chain([index]).collect();
                push(leaves, format!("{name}.{}", field.name()), column, path, field.data_type());
            }
            return;
        }
        T::Boolean => Kind::Bool,
        T::Utf8 | T::LargeUtf8 | T::Utf8View => Kind::Text,
        T::Null => return,
        other if other.is_numeric() || other.is_temporal() => Kind::Number,
        _ => Kind::Length,
    };
    leaves.push(Leaf { name, column, path, kind });
}

impl Leaf {
    /// Position among the shared columns.
    pub(super) fn column(&self) -> usize {
        self.column
    }

    /// True for what is counted in bins.
    pub(super) fn has_bins(&self) -> bool {
        !matches!(self.kind, Kind::Bool | Kind::Label(_))
    }

    /// The values of this part of the column.
    pub(super) fn values(&self, column: &ArrayRef) -> Result<ArrayRef, EngineError> {
        let mut array = Arc::clone(column);
        for &field in &self.path {
            let parent = array.as_struct();
            let child = Arc::clone(parent.column(field));
            // What is inside of a null is null.
            let nulls = NullBuffer::union(parent.nulls(), child.nulls());
            array = match parent.null_count() {
                0 => child,
                _ => make_array(child.to_data().into_builder().nulls(nulls).build().map_err(internal)?),
            };
        }
        Ok(array)
    }

    /// The numbers that are counted in bins.
    pub(super) fn numbers(&self, column: &ArrayRef) -> Result<Float64Array, EngineError> {
        self.numbers_of(&self.values(column)?)
    }

    /// As [`numbers`](Self::numbers), of [`values`](Self::values).
    pub(super) fn numbers_of(&self, values: &ArrayRef) -> Result<Float64Array, EngineError> {
        use DataType as T;
        let numbers = match (&self.kind, values.data_type()) {
            (Kind::Text, _) => return Ok(characters(values)),
            (Kind::Number, T::Date32 | T::Time32(_)) => cast(values, &T::Int32).map_err(internal)?,
            (Kind::Number, other) if other.is_temporal() => cast(values, &T::Int64).map_err(internal)?,
            (Kind::Number, _) => Arc::clone(values),
            (_, T::BinaryView) => length(&cast(values, &T::LargeBinary).map_err(internal)?).map_err(internal)?,
            _ => length(values).map_err(internal)?,
        };
        Ok(cast(&numbers, &T::Float64).map_err(internal)?.as_primitive::<Float64Type>().clone())
    }

    /// The category of each row, if this part has any; `None` for null.
    pub(super) fn for_each_category(&self, values: &ArrayRef, mut each: impl FnMut(Option<&str>) -> bool) {
        let mut rows = 0..values.len();
        match (&self.kind, values.data_type()) {
            (Kind::Bool, _) => {
                let values = values.as_boolean();
                let name = |row| if values.value(row) { "true" } else { "false" };
                rows.all(|row| each(values.is_valid(row).then(|| name(row))));
            }
            (Kind::Label(names), _) => {
                let values = values.as_primitive::<Int64Type>();
                rows.all(|row| {
                    let number = values.is_valid(row).then(|| values.value(row));
                    let name = number.and_then(|number| names.get(usize::try_from(number).ok()?));
                    match (number, name) {
                        (Some(_), Some(name)) => each(Some(name)),
                        (Some(number), None) => each(Some(&number.to_string())),
                        (None, _) => each(None),
                    }
                });
            }
            (Kind::Text, DataType::Utf8) => {
                let values = values.as_string::<i32>();
                rows.all(|row| each(values.is_valid(row).then(|| values.value(row))));
            }
            (Kind::Text, DataType::LargeUtf8) => {
                let values = values.as_string::<i64>();
                rows.all(|row| each(values.is_valid(row).then(|| values.value(row))));
            }
            (Kind::Text, DataType::Utf8View) => {
                let values = values.as_string_view();
                rows.all(|row| each(values.is_valid(row).then(|| values.value(row))));
            }
            _ => {}
        }
    }
}

fn characters(values: &ArrayRef) -> Float64Array {
    let count = |text: &str| if text.is_ascii() { text.len() as f64 } else { text.chars().count() as f64 };
    match values.data_type() {
        DataType::Utf8 => values.as_string::<i32>().iter().map(|text| text.map(count)).collect(),
        DataType::LargeUtf8 => values.as_string::<i64>().iter().map(|text| text.map(count)).collect(),
        _ => values.as_string_view().iter().map(|text| text.map(count)).collect(),
    }
}

fn internal(error: impl std::fmt::Display) -> EngineError {
    EngineError::new(ErrorKind::Internal, error)
}
