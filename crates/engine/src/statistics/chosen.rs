//! Some rows of a split, as its columns are read: only the pages that hold them, and of those only the rows.

use arrow::array::{Array, ArrayRef, BooleanArray, BooleanBufferBuilder};
use arrow::buffer::BooleanBuffer;
use arrow::compute::filter;
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};

use crate::error::{EngineError, ErrorKind};
use crate::query::select::{Chosen, Selection};
use crate::scan::Group;

/// Rows that are read together where one of them is wanted: skipping fewer would cost more than it saves.
const BLOCK_ROWS: usize = 512;

/// What to read of a row group.
pub(super) enum Wanted {
    Nothing,
    Everything,
    Some(Picked),
}

/// Blocks of a row group, and which of their rows are wanted.
pub(super) struct Picked {
    blocks: RowSelection,
    /// For each row of the blocks whether it is wanted.
    mask: BooleanBuffer,
    /// Rows of the blocks that were read.
    at: usize,
}

impl Wanted {
    /// What to read of the group at a position; without a selection everything.
    pub(super) fn of(selection: Option<&Selection>, position: usize, group: &Group) -> Self {
        match selection.and_then(|selection| selection.groups().get(position)) {
            None | Some(Chosen::All) => Self::Everything,
            Some(Chosen::None) => Self::Nothing,
            Some(Chosen::Some(mask)) => Self::Some(Picked::of(mask, group.num_rows)),
        }
    }

    /// For the reader of the group.
    pub(super) fn blocks(&self) -> Option<RowSelection> {
        match self {
            Self::Some(picked) => Some(picked.blocks.clone()),
            _ => None,
        }
    }

    /// The wanted rows of the next array that was read.
    ///
    /// # Errors
    /// [`Unreadable`](ErrorKind::Unreadable) when the file holds more rows than its footer tells.
    pub(super) fn rows_of(&mut self, array: ArrayRef) -> Result<ArrayRef, EngineError> {
        let Self::Some(picked) = self else { return Ok(array) };
        if picked.at + array.len() > picked.mask.len() {
            let message = "the file holds more rows than its footer tells";
            return Err(EngineError::new(ErrorKind::Unreadable, message));
        }
        let mask = picked.mask.slice(picked.at, array.len());
        picked.at += array.len();
        filter(&array, &BooleanArray::new(mask, None)).map_err(|error| EngineError::new(ErrorKind::Internal, error))
    }
}

impl Picked {
    fn of(mask: &BooleanBuffer, rows: usize) -> Self {
        let mut selectors = Vec::new();
        let mut wanted = BooleanBufferBuilder::new(rows);
        for start in (0..rows).step_by(BLOCK_ROWS) {
            let block = mask.slice(start, BLOCK_ROWS.min(rows - start));
            let is_wanted = block.count_set_bits() > 0;
            if is_wanted {
                wanted.append_buffer(&block);
            }
            selectors.push(RowSelector { row_count: block.len(), skip: !is_wanted });
        }
        // Neighbours of one kind become one.
        Self { blocks: RowSelection::from(selectors), mask: wanted.finish(), at: 0 }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{AsArray, Int64Array};
    use arrow::datatypes::Int64Type;

    use super::*;

    #[test]
    fn blocks_that_hold_wanted_rows_are_read_and_their_other_rows_dropped() {
        let mask = BooleanBuffer::collect_bool(2_000, |row| row == 3 || row == 700 || row == 1_999);
        let mut wanted = Wanted::Some(Picked::of(&mask, 2_000));
        let selectors: Vec<(usize, bool)> =
            wanted.blocks().unwrap().iter().map(|selector| (selector.row_count, selector.skip)).collect();
        assert_eq!(selectors, [(1_024, false), (512, true), (464, false)]);
        let read: Vec<i64> = (0..1_024).chain(1_536..2_000).collect();
        let mut kept = Vec::new();
        for part in read.chunks(700) {
            let rows = wanted.rows_of(Arc::new(Int64Array::from(part.to_vec()))).unwrap();
            kept.extend(rows.as_primitive::<Int64Type>().values().iter().copied());
        }
        assert_eq!(kept, [3, 700, 1_999]);
        let more = wanted.rows_of(Arc::new(Int64Array::from(vec![1])));
        assert_eq!(more.unwrap_err().kind, ErrorKind::Unreadable);
    }
}
