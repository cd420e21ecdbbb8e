//! A table with what expressions see of it: columns, fields of them, and what is computed from them.

use std::cell::OnceCell;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::DataType;

use super::node::internal;
use super::types::Type;
use crate::error::{EngineError, ErrorKind};
use crate::scan::FieldPath;

/// What an expression looks at.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Column {
    /// As written in messages.
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) of: Type,
    /// Names of the classes, of a class label.
    pub(super) labels: Option<Vec<String>>,
}

/// Where a column comes from.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Place {
    /// Number of the row in the split.
    RowNumber,
    /// A column or a field of it, or what is computed from that.
    Field { path: FieldPath, derived: Option<Derived> },
}

/// What is computed from a column. The names are those that the reference gives its extra columns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Derived {
    /// Characters of a text, items of a list.
    Length,
}

impl Derived {
    /// All, with the ends of their names.
    pub(super) const ALL: [(&'static str, Self); 1] = [("length", Self::Length)];
}

/// The columns of an expression for the rows of one table, each computed when it is first asked for.
pub(super) struct Frame<'f> {
    columns: &'f [Column],
    /// A table, and what its columns are.
    table: Option<(&'f RecordBatch, &'f [FieldPath])>,
    numbers: Option<ArrayRef>,
    num_rows: usize,
    held: Vec<OnceCell<ArrayRef>>,
}

impl<'f> Frame<'f> {
    /// A frame of a table whose columns are those fields, in that order. `numbers` are the rows' numbers in the split,
    /// needed only where a column asks for them.
    pub(super) fn new(
        columns: &'f [Column],
        table: &'f RecordBatch,
        fields: &'f [FieldPath],
        numbers: Option<ArrayRef>,
    ) -> Self {
        let held = columns.iter().map(|_| OnceCell::new()).collect();
        Self { columns, table: Some((table, fields)), numbers, num_rows: table.num_rows(), held }
    }

    /// A frame in which one column has given values, and no other is asked for.
    pub(super) fn of_column(columns: &'f [Column], column: usize, values: ArrayRef) -> Self {
        let num_rows = values.len();
        let held: Vec<OnceCell<ArrayRef>> = columns.iter().map(|_| OnceCell::new()).collect();
        // A fresh cell is empty.
        let _ = held[column].set(values);
        Self { columns, table: None, numbers: None, num_rows, held }
    }

    /// One row without columns.
    pub(super) fn of_constants() -> Frame<'static> {
        Frame { columns: &[], table: None, numbers: None, num_rows: 1, held: Vec::new() }
    }

    /// Number of rows.
    pub(super) fn num_rows(&self) -> usize {
        self.num_rows
    }

    /// The values of a column.
    pub(super) fn column(&self, index: usize) -> Result<ArrayRef, EngineError> {
        if let Some(array) = self.held[index].get() {
            return Ok(Arc::clone(array));
        }
        let array = self.compute(&self.columns[index])?;
        let _ = self.held[index].set(Arc::clone(&array));
        Ok(array)
    }

    fn compute(&self, column: &Column) -> Result<ArrayRef, EngineError> {
        let missing = || EngineError::new(ErrorKind::Internal, format!("column {} was not read", column.name));
        let (path, derived) = match &column.place {
            Place::RowNumber => return self.numbers.clone().ok_or_else(missing),
            Place::Field { path, derived } => (path, derived),
        };
        let (table, fields) = self.table.ok_or_else(missing)?;
        let position = fields.iter().position(|field| field == path).ok_or_else(missing)?;
        let array = Arc::clone(table.column(position));
        match derived {
            None => column.of.hold(&array),
            Some(Derived::Length) => lengths(&array),
        }
    }
}

/// Characters of texts, items of lists.
pub(super) fn lengths(array: &ArrayRef) -> Result<ArrayRef, EngineError> {
    let lengths: Int64Array = match array.data_type() {
        DataType::Utf8 => text_lengths(array.as_string()),
        DataType::LargeUtf8 | DataType::Utf8View => {
            let texts = arrow::compute::cast(array, &DataType::Utf8).map_err(internal)?;
            text_lengths(texts.as_string())
        }
        DataType::Null => Int64Array::new_null(array.len()),
        _ => {
            let lengths = arrow::compute::kernels::length::length(array).map_err(internal)?;
            let lengths = arrow::compute::cast(&lengths, &DataType::Int64).map_err(internal)?;
            return Ok(lengths);
        }
    };
    Ok(Arc::new(lengths))
}

/// Characters are Unicode scalar values.
pub(super) fn text_lengths(texts: &StringArray) -> Int64Array {
    let offsets = texts.value_offsets();
    let (start, end) = (offsets[0], offsets[texts.len()]);
    let bytes = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    if bytes.is_some_and(|(start, end)| texts.value_data()[start..end].is_ascii()) {
        let lengths = offsets.windows(2).map(|pair| i64::from(pair[1] - pair[0]));
        return Int64Array::new(lengths.collect(), texts.nulls().cloned());
    }
    let count = |text: &str| i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
    texts.iter().map(|text| text.map(count)).collect()
}
