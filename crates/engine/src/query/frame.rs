//! A table with what expressions see of it: columns, fields of them, and what is computed from them.

use std::cell::OnceCell;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::DataType;

use super::node::internal;
use super::types::Type;
use crate::error::{EngineError, ErrorKind};
use crate::media::measure::{self, Content};
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
    /// Seconds of a sound or a video.
    Duration,
    /// Pixels of an image.
    Width,
    /// The same, upwards.
    Height,
}

impl Derived {
    /// All, with the ends of their names.
    pub(super) const ALL: [(&'static str, Self); 4] =
        [("length", Self::Length), ("duration", Self::Duration), ("width", Self::Width), ("height", Self::Height)];
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
            Some(Derived::Duration) => {
                let seconds = |bytes| measure::seconds(&Content::Embedded(bytes)).ok();
                Ok(Arc::new(media(&array).map(|bytes| bytes.and_then(seconds)).collect::<Float64Array>()))
            }
            Some(Derived::Width) => Ok(pixels(&array, |(width, _)| width)),
            Some(Derived::Height) => Ok(pixels(&array, |(_, height)| height)),
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

/// The bytes that media cells hold; none where they only refer to a file.
fn media(array: &ArrayRef) -> impl Iterator<Item = Option<&[u8]>> {
    let stored = array.as_struct_opt().and_then(|media| media.column_by_name("bytes"));
    let bytes = stored.and_then(|bytes| bytes.as_binary_opt::<i32>());
    (0..array.len()).map(move |row| {
        let bytes = bytes.filter(|bytes| array.is_valid(row) && bytes.is_valid(row))?;
        Some(bytes.value(row))
    })
}

fn pixels(array: &ArrayRef, side: impl Fn((u32, u32)) -> u32) -> ArrayRef {
    let size = |bytes| measure::image_size(&Content::Embedded(bytes)).ok();
    Arc::new(media(array).map(|bytes| bytes.and_then(size).map(|size| i64::from(side(size)))).collect::<Int64Array>())
}

#[cfg(test)]
mod tests {
    use arrow::array::{BinaryArray, StructArray};
    use arrow::datatypes::{Field, Fields};

    use super::*;

    #[test]
    fn texts_are_measured_in_characters() {
        let texts = StringArray::from(vec![Some("abc"), None, Some("")]);
        assert_eq!(text_lengths(&texts), Int64Array::from(vec![Some(3), None, Some(0)]));
        let texts = StringArray::from(vec![Some("été"), None, Some("東京")]);
        assert_eq!(text_lengths(&texts), Int64Array::from(vec![Some(3), None, Some(2)]));
        assert_eq!(text_lengths(&texts.slice(2, 1)), Int64Array::from(vec![2]));
    }

    #[test]
    fn images_are_measured_where_the_cell_holds_them() {
        // The head of a BMP of 7 × 3 pixels.
        let mut bmp = b"BM\x5a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x07\0\0\0\x03\0\0\0\x01\0\x18\0".to_vec();
        bmp.resize(0x5a + 12, 0);
        let bytes = BinaryArray::from(vec![Some(bmp.as_slice()), Some(b"no image".as_slice()), None]);
        let fields = Fields::from(vec![Field::new("bytes", DataType::Binary, true)]);
        let array: ArrayRef = Arc::new(StructArray::new(fields, vec![Arc::new(bytes)], None));
        let sides =
            |side: fn((u32, u32)) -> u32| pixels(&array, side).as_primitive::<arrow::datatypes::Int64Type>().clone();
        assert_eq!(sides(|(width, _)| width), Int64Array::from(vec![Some(7), None, None]));
        assert_eq!(sides(|(_, height)| height), Int64Array::from(vec![Some(3), None, None]));
    }
}
