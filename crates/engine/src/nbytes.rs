//! Size of tables in memory, counted as `num_bytes` of dataset infos always was.
//!
//! The rules are those of Arrow C++ (`arrow/util/byte_size.cc`): values in use, a validity bitmap where
//! there is one, one offset per list or text (not one more), and nothing for the bitmap of a struct.

use arrow::array::{Array, AsArray, RecordBatch, make_array};
use arrow::datatypes::DataType;

/// Bytes of a table.
pub fn of_table(table: &RecordBatch) -> u64 {
    table.columns().iter().map(|column| of_array(column.as_ref())).sum()
}

/// Bytes of an array, children included.
pub fn of_array(array: &dyn Array) -> u64 {
    let rows = array.len() as u64;
    let bitmap = if array.nulls().is_some() { rows.div_ceil(8) } else { 0 };
    match array.data_type() {
        DataType::Null => 0,
        DataType::Boolean => bitmap + rows.div_ceil(8),
        DataType::Struct(_) => array.as_struct().columns().iter().map(|child| of_array(child.as_ref())).sum(),
        DataType::Utf8 => bitmap + text(rows, 4, array.as_string::<i32>().value_offsets()),
        DataType::LargeUtf8 => bitmap + text(rows, 8, array.as_string::<i64>().value_offsets()),
        DataType::Binary => bitmap + text(rows, 4, array.as_binary::<i32>().value_offsets()),
        DataType::LargeBinary => bitmap + text(rows, 8, array.as_binary::<i64>().value_offsets()),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            bitmap + 4 * rows + items(list.values().as_ref(), list.value_offsets())
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            bitmap + 8 * rows + items(list.values().as_ref(), list.value_offsets())
        }
        DataType::FixedSizeList(_, _) => bitmap + of_array(array.as_fixed_size_list().values().as_ref()),
        DataType::Dictionary(_, _) => {
            let dictionary = array.as_any_dictionary();
            of_array(make_array(dictionary.keys().to_data()).as_ref()) + of_array(dictionary.values().as_ref())
        }
        other => match other.primitive_width() {
            Some(width) => bitmap + rows * width as u64,
            None => match other {
                DataType::FixedSizeBinary(width) => bitmap + rows * u64::from(width.unsigned_abs()),
                _ => array.get_array_memory_size() as u64,
            },
        },
    }
}

fn text<O: Copy + Into<i64>>(rows: u64, width: u64, offsets: &[O]) -> u64 {
    width * rows + span(offsets).1
}

fn items<O: Copy + Into<i64>>(values: &dyn Array, offsets: &[O]) -> u64 {
    let (first, length) = span(offsets);
    let used = values.slice(usize::try_from(first).unwrap_or(0), usize::try_from(length).unwrap_or(0));
    of_array(used.as_ref())
}

/// Start and length of what a run of offsets refers to.
fn span<O: Copy + Into<i64>>(offsets: &[O]) -> (u64, u64) {
    let first = offsets.first().map_or(0, |&offset| offset.into());
    let last = offsets.last().map_or(0, |&offset| offset.into());
    (first.unsigned_abs(), (last - first).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, BooleanArray, Int32Array, ListArray, StringArray, StructArray};
    use arrow::datatypes::{Field, Int64Type};

    use super::*;

    #[test]
    fn values_are_counted_with_a_bitmap_only_if_there_is_one() {
        assert_eq!(of_array(&Int32Array::from(vec![1; 9])), 36);
        assert_eq!(of_array(&Int32Array::from(vec![Some(1), None])), 8 + 1);
        assert_eq!(of_array(&BooleanArray::from(vec![true; 9])), 2);
        assert_eq!(of_array(&StringArray::from(vec!["ab", "é"])), 2 * 4 + 4);
        assert_eq!(of_array(&arrow::array::NullArray::new(9)), 0);
    }

    #[test]
    fn only_the_part_in_use_of_a_slice_counts() {
        let texts = StringArray::from(vec!["ab", "cde", "f"]);
        assert_eq!(of_array(&texts.slice(1, 1)), 4 + 3);
        let items = [Some(vec![Some(1), Some(2)]), Some(vec![Some(3)])];
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>(items);
        assert_eq!(of_array(&lists), 2 * 4 + 3 * 8);
        assert_eq!(of_array(&lists.slice(1, 1)), 4 + 8);
    }

    #[test]
    fn the_bitmap_of_a_struct_is_free_and_those_of_its_children_are_not() {
        let child: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None]));
        let field = Arc::new(Field::new("a", DataType::Int32, true));
        let array = StructArray::new(vec![field].into(), vec![child], Some(vec![true, false].into()));
        assert_eq!(of_array(&array), 8 + 1);
    }
}
