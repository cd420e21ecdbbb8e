//! Records of two splits, matched part by part.

use std::collections::BinaryHeap;

use super::records::{PARTS, Record, Records};
use super::{RowDifference, RowExamples, Shared};
use crate::error::EngineError;
use crate::task::Task;

/// Examples of each kind.
const EXAMPLES: usize = 10;

/// What the records of two splits have in common.
#[derive(Default)]
pub(super) struct Matched {
    same: u64,
    changed: u64,
    added: u64,
    removed: u64,
    repeated: (u64, u64),
    shared: Shared,
    changed_examples: First<(u64, u64)>,
    added_examples: First<u64>,
    removed_examples: First<u64>,
    shared_examples: First<(u64, u64)>,
}

/// The smallest of many.
struct First<T>(BinaryHeap<T>);

impl<T: Ord> Default for First<T> {
    fn default() -> Self {
        Self(BinaryHeap::new())
    }
}

impl<T: Ord + Clone> First<T> {
    fn push(&mut self, example: T) {
        self.0.push(example);
        if self.0.len() > EXAMPLES {
            self.0.pop();
        }
    }

    fn sorted(&self) -> Vec<T> {
        self.0.clone().into_sorted_vec()
    }
}

/// Matches records by key, then by value.
///
/// # Errors
/// Those of reading records back; that the task shall stop.
pub(super) fn matched(mut left: Records, mut right: Records, task: &Task) -> Result<Matched, EngineError> {
    let mut matched = Matched::default();
    for part in 0..PARTS {
        task.check()?;
        let (left, right) = (left.take(part)?, right.take(part)?);
        let (mut left, mut right) = (left.as_slice(), right.as_slice());
        while let Some(key) = left.first().into_iter().chain(right.first()).map(|record| record.key).min() {
            let (here, there);
            (here, left) = left.split_at(left.partition_point(|record| record.key == key));
            (there, right) = right.split_at(right.partition_point(|record| record.key == key));
            matched.key(here, there);
        }
    }
    Ok(matched)
}

impl Matched {
    /// Rows of one key. Those with equal values are the same; of the rest, as many as both sides have are changed.
    fn key(&mut self, left: &[Record], right: &[Record]) {
        let count = |records: &[Record]| records.iter().map(|record| record.count).sum::<u64>();
        let (left_count, right_count) = (count(left), count(right));
        self.repeated.0 += left_count.saturating_sub(1);
        self.repeated.1 += right_count.saturating_sub(1);
        let first = |records: &[Record]| records.iter().map(|record| record.row).min();
        if let (Some(here), Some(there)) = (first(left), first(right)) {
            self.shared.left_rows += left_count;
            self.shared.right_rows += right_count;
            self.shared.distinct += 1;
            self.shared_examples.push((here, there));
        }
        let (here, there) = (rest(left, right), rest(right, left));
        let (here_count, there_count) = (count(&here), count(&there));
        let changed = here_count.min(there_count);
        self.same += left_count - here_count;
        self.changed += changed;
        self.removed += here_count - changed;
        self.added += there_count - changed;
        if let (Some(here), Some(there)) = (first(&here), first(&there)) {
            self.changed_examples.push((here, there));
        }
        // Which of several rows with one key have gone is a matter of taste; the last ones are shown.
        let mut beyond = |records: &[Record], count: u64, examples: fn(&mut Self) -> &mut First<u64>| {
            let mut rows: Vec<u64> = records.iter().map(|record| record.row).collect();
            rows.sort_unstable();
            let shown = rows.len().min(usize::try_from(count).unwrap_or(usize::MAX));
            rows[rows.len() - shown..].iter().for_each(|&row| examples(self).push(row));
        };
        beyond(&here, here_count - changed, |matched| &mut matched.removed_examples);
        beyond(&there, there_count - changed, |matched| &mut matched.added_examples);
    }

    /// What is in both.
    pub(super) fn shared(&self) -> Shared {
        Shared { examples: self.shared_examples.sorted(), ..self.shared.clone() }
    }

    /// What is in one only.
    pub(super) fn difference(&self, key: Vec<String>, columns: Vec<String>) -> RowDifference {
        RowDifference {
            key,
            columns,
            same: self.same,
            changed: self.changed,
            added: self.added,
            removed: self.removed,
            repeated: self.repeated,
            examples: RowExamples {
                changed: self.changed_examples.sorted(),
                added: self.added_examples.sorted(),
                removed: self.removed_examples.sorted(),
            },
        }
    }
}

/// The records that the other side has not, or not as often. Both are of one key and ascending by value.
fn rest(records: &[Record], others: &[Record]) -> Vec<Record> {
    let beyond = |record: &Record| {
        let other = others.binary_search_by(|other| other.value.cmp(&record.value));
        let matched = other.map_or(0, |index| others[index].count);
        (record.count > matched).then(|| Record { count: record.count - matched, ..*record })
    };
    records.iter().filter_map(beyond).collect()
}
