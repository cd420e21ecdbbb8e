//! Rows of a row group as ascending ranges that do not touch.

use std::ops::Range;

use arrow::buffer::BooleanBuffer;
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};

/// Rows that are read together where one of them is wanted: less would cost more than it saves.
const BLOCK_ROWS: usize = 512;

/// Some rows of a row group.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Rows(Vec<Range<usize>>);

impl Rows {
    /// The first `count` rows.
    pub(super) fn all(count: usize) -> Self {
        let mut rows = Self::default();
        rows.push(0..count);
        rows
    }

    /// Ranges in ascending order; those that touch become one.
    pub(super) fn of(ranges: impl IntoIterator<Item = Range<usize>>) -> Self {
        let mut rows = Self::default();
        ranges.into_iter().for_each(|range| rows.push(range));
        rows
    }

    fn push(&mut self, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        match self.0.last_mut() {
            Some(last) if last.end >= range.start => last.end = last.end.max(range.end),
            _ => self.0.push(range),
        }
    }

    /// Blocks that hold a marked row.
    pub(super) fn around(mask: &BooleanBuffer) -> Self {
        let blocks = (0..mask.len()).step_by(BLOCK_ROWS).map(|start| start..(start + BLOCK_ROWS).min(mask.len()));
        Self::of(blocks.filter(|block| mask.slice(block.start, block.len()).count_set_bits() > 0))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn count(&self) -> usize {
        self.0.iter().map(Range::len).sum()
    }

    /// The ranges.
    pub(super) fn iter(&self) -> impl Iterator<Item = Range<usize>> {
        self.0.iter().cloned()
    }

    /// Rows that are in both.
    pub(super) fn and(&self, other: &Self) -> Self {
        let (mut left, mut right) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut both = Self::default();
        while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
            both.push(a.start.max(b.start)..a.end.min(b.end));
            if a.end <= b.end {
                left.next()
            } else {
                right.next()
            };
        }
        both
    }

    /// Rows that are in either.
    pub(super) fn or(&self, other: &Self) -> Self {
        let mut all: Vec<_> = self.0.iter().chain(&other.0).cloned().collect();
        all.sort_unstable_by_key(|range| range.start);
        Self::of(all)
    }

    /// For the reader of a group of `count` rows; `None` for all rows.
    pub(super) fn selection(&self, count: usize) -> Option<RowSelection> {
        if self.count() == count {
            return None;
        }
        let mut selectors = Vec::with_capacity(2 * self.0.len() + 1);
        let mut next = 0;
        for range in &self.0 {
            if range.start > next {
                selectors.push(RowSelector::skip(range.start - next));
            }
            selectors.push(RowSelector::select(range.len()));
            next = range.end;
        }
        if next < count {
            selectors.push(RowSelector::skip(count - next));
        }
        Some(RowSelection::from(selectors))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_join_and_meet() {
        let left = Rows::of([0..10, 20..30, 30..40]);
        let right = Rows::of([5..25, 39..50]);
        assert_eq!(left, Rows::of([0..10, 20..40]));
        assert_eq!(left.and(&right), Rows::of([5..10, 20..25, 39..40]));
        assert_eq!(left.or(&right), Rows::all(50));
        assert_eq!((left.count(), left.and(&Rows::default()).is_empty()), (30, true));
    }

    #[test]
    fn blocks_around_marked_rows_are_read() {
        let mask = BooleanBuffer::collect_bool(2_000, |row| row == 700 || row == 1_999);
        assert_eq!(Rows::around(&mask), Rows::of([512..1_024, 1_536..2_000]));
        assert_eq!(Rows::all(7).selection(7), None);
        assert_eq!(Rows::of([2..3, 4..5]).selection(7).unwrap().row_count(), 2);
    }
}
