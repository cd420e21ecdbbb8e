//! From the array of a column to the array of values inside of it.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, GenericListArray, OffsetSizeTrait};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::filter;
use arrow::datatypes::DataType;

use crate::error::{EngineError, ErrorKind};
use crate::statistics::plan::Step;

/// Values, and how many more there are that are null because something around them is.
pub(super) struct Reached {
    pub(super) values: ArrayRef,
    pub(super) nulls: u64,
}

/// Follows a path. Items of null lists do not exist; fields of null structs are null.
///
/// # Errors
/// [`Internal`](ErrorKind::Internal) when the array has no such place.
pub(super) fn reach(column: &ArrayRef, path: &[Step]) -> Result<Reached, EngineError> {
    let mut reached = Reached { values: column.clone(), nulls: 0 };
    for step in path {
        reached = match step {
            Step::Field(position) => field(reached, *position)?,
            Step::Items => Reached { values: items(&reached.values)?, nulls: 0 },
        };
    }
    Ok(reached)
}

fn field(parent: Reached, position: usize) -> Result<Reached, EngineError> {
    let parents = parent.values.as_struct_opt().ok_or_else(|| astray(&parent.values))?;
    let child = parents.columns().get(position).ok_or_else(|| astray(&parent.values))?;
    match parents.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => Ok(Reached { values: child.clone(), nulls: parent.nulls }),
        Some(nulls) => Ok(Reached { values: keep(child, nulls)?, nulls: parent.nulls + nulls.null_count() as u64 }),
    }
}

fn items(lists: &ArrayRef) -> Result<ArrayRef, EngineError> {
    match lists.data_type() {
        DataType::List(_) => items_between(lists.as_list::<i32>()),
        DataType::LargeList(_) => items_between(lists.as_list::<i64>()),
        DataType::FixedSizeList(..) => {
            let lists = lists.as_fixed_size_list();
            let width = usize::try_from(lists.value_length()).unwrap_or(0);
            // The values of a slice are those of the slice.
            match lists.nulls().filter(|nulls| nulls.null_count() > 0) {
                None => Ok(lists.values().clone()),
                Some(nulls) => keep(lists.values(), &nulls.expand(width)),
            }
        }
        _ => Err(astray(lists)),
    }
}

fn items_between<O: OffsetSizeTrait>(lists: &GenericListArray<O>) -> Result<ArrayRef, EngineError> {
    let offsets = lists.value_offsets();
    let (start, end) = (offsets[0].as_usize(), offsets[lists.len()].as_usize());
    let items = lists.values().slice(start, end - start);
    // Null lists seldom hold items; only then they have to be taken out.
    let Some(nulls) = lists.nulls().filter(|nulls| nulls.null_count() > 0) else { return Ok(items) };
    let hidden = |list: usize| nulls.is_null(list) && offsets[list] != offsets[list + 1];
    if !(0..lists.len()).any(hidden) {
        return Ok(items);
    }
    let mut valid = Vec::with_capacity(items.len());
    for list in 0..lists.len() {
        let length = offsets[list + 1].as_usize() - offsets[list].as_usize();
        valid.extend(std::iter::repeat_n(nulls.is_valid(list), length));
    }
    keep(&items, &NullBuffer::new(BooleanBuffer::from(valid)))
}

fn keep(values: &ArrayRef, valid: &NullBuffer) -> Result<ArrayRef, EngineError> {
    let mask = BooleanArray::new(valid.inner().clone(), None);
    filter(values, &mask).map_err(|error| EngineError::new(ErrorKind::Internal, error))
}

fn astray(array: &ArrayRef) -> EngineError {
    EngineError::new(ErrorKind::Internal, format!("no place of that kind in {}", array.data_type()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{FixedSizeListArray, Int64Array, ListArray, StructArray};
    use arrow::datatypes::{Field, Int64Type};

    use super::*;

    fn numbers(reached: &Reached) -> (Vec<Option<i64>>, u64) {
        (reached.values.as_primitive::<Int64Type>().iter().collect(), reached.nulls)
    }

    fn structs() -> ArrayRef {
        let child: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]));
        let nulls = NullBuffer::from(vec![true, true, false]);
        let field = Field::new("x", DataType::Int64, true);
        Arc::new(StructArray::new(vec![field].into(), vec![child], Some(nulls)))
    }

    #[test]
    fn fields_of_null_structs_are_null() {
        let reached = reach(&structs(), &[Step::Field(0)]).unwrap();
        assert_eq!(numbers(&reached), (vec![Some(1), None], 1));
    }

    #[test]
    fn items_of_null_lists_and_of_other_slices_do_not_exist() {
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([
            Some(vec![Some(9)]),
            Some(vec![Some(1), None]),
            None,
            Some(vec![Some(2)]),
        ]);
        let sliced: ArrayRef = Arc::new(lists.slice(1, 3));
        assert_eq!(numbers(&reach(&sliced, &[Step::Items]).unwrap()), (vec![Some(1), None, Some(2)], 0));
        // A null list over items, which Arrow allows.
        let (field, offsets, values, _) = lists.into_parts();
        let nulls = NullBuffer::from(vec![false, true, true, true]);
        let hiding: ArrayRef = Arc::new(ListArray::new(field, offsets, values, Some(nulls)));
        assert_eq!(numbers(&reach(&hiding, &[Step::Items]).unwrap()).0, [Some(1), None, Some(2)]);
    }

    #[test]
    fn items_of_lists_of_one_length_follow_their_lists() {
        let lists = [Some(vec![Some(1), Some(2)]), None, Some(vec![None, Some(4)])];
        let lists: ArrayRef = Arc::new(FixedSizeListArray::from_iter_primitive::<Int64Type, _, _>(lists, 2));
        assert_eq!(numbers(&reach(&lists, &[Step::Items]).unwrap()).0, [Some(1), Some(2), None, Some(4)]);
        assert_eq!(numbers(&reach(&lists.slice(2, 1), &[Step::Items]).unwrap()).0, [None, Some(4)]);
    }

    #[test]
    fn a_path_that_does_not_fit_is_an_error() {
        assert_eq!(reach(&structs(), &[Step::Items]).err().unwrap().kind, ErrorKind::Internal);
    }
}
