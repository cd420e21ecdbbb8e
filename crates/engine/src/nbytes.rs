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
