//! Row numbers of recent questions, kept in bounded memory, so that the next page is at hand.

use std::sync::{Mutex, MutexGuard, PoisonError};

use belvedere_domain::{Digest, Recent, Revision, SplitName};
use belvedere_engine::call::QueryText;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::metrics::Lookups;

/// Bytes of an entry beside its rows and texts, about.
const ENTRY_BYTES: usize = 256;

/// A question about a split of a revision.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Key {
    pub(crate) split: (Digest, Revision, SplitName),
    pub(crate) text: QueryText,
}

/// Matching rows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Found {
    /// Numbers in the split, in order.
    pub(crate) rows: Vec<u64>,
    /// How many match in all.
    pub(crate) count: u64,
}

/// The recent questions, and how many may be worked on at the same time: as many as there are processors.
pub(crate) struct Selections {
    kept: Mutex<Recent<Key, Entry>>,
    permits: Semaphore,
    lookups: Lookups,
}

struct Entry {
    /// Of the matching rows, the one that the listed ones begin with.
    offset: u64,
    rows: Vec<u64>,
    count: u64,
}

impl Selections {
    /// Keeps at most so many bytes.
    pub(crate) fn new(max_bytes: usize) -> Self {
        let permits = std::thread::available_parallelism().map_or(1, usize::from);
        let kept = Mutex::new(Recent::new(usize::MAX, max_bytes as u64));
        Self { kept, permits: Semaphore::new(permits), lookups: Lookups::default() }
    }

    /// Waits until another question may be worked on.
    pub(crate) async fn permit(&self) -> SemaphorePermit<'_> {
        self.permits.acquire().await.expect("the semaphore is never closed")
    }

    /// The rows from `offset` on, `length` or all of them, if all of these are kept.
    pub(crate) fn get(&self, key: &Key, offset: u64, length: Option<u64>) -> Option<Found> {
        self.lookups.count(self.find(key, offset, length))
    }

    /// How often something was there.
    pub(crate) fn lookups(&self) -> &Lookups {
        &self.lookups
    }

    fn find(&self, key: &Key, offset: u64, length: Option<u64>) -> Option<Found> {
        let mut kept = self.lock();
        let entry = kept.get(key)?;
        let wanted = offset.min(entry.count)..offset.saturating_add(length.unwrap_or(u64::MAX)).min(entry.count);
        let end = entry.offset + entry.rows.len() as u64;
        if !wanted.is_empty() && (wanted.start < entry.offset || wanted.end > end) {
            return None;
        }
        let first = usize::try_from(wanted.start.saturating_sub(entry.offset)).ok()?;
        let length = usize::try_from(wanted.end - wanted.start).ok()?;
        let rows = entry.rows.iter().skip(first).take(length).copied().collect();
        Some(Found { rows, count: entry.count })
    }

    /// Keeps rows for later; those of the same question from before are forgotten.
    pub(crate) fn keep(&self, key: Key, offset: u64, rows: Vec<u64>, count: u64) {
        let texts = [&key.text.condition, &key.text.order].into_iter().flatten().map(String::len).sum::<usize>();
        let bytes = rows.len() * size_of::<u64>() + texts + ENTRY_BYTES;
        self.lock().keep(key, Entry { offset, rows, count }, bytes as u64);
    }

    fn lock(&self) -> MutexGuard<'_, Recent<Key, Entry>> {
        // It is a cache: a panic leaves nothing half-done that matters.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(condition: &str) -> Key {
        Key {
            split: (
                belvedere_domain::view::DigestBuilder::new("test", 1).finish(),
                Revision::new("r").unwrap(),
                SplitName::new("train").unwrap(),
            ),
            text: QueryText { condition: Some(condition.to_owned()), order: None, reference: false },
        }
    }

    #[test]
    fn pages_within_the_kept_rows_are_at_hand() {
        let selections = Selections::new(10_000);
        selections.keep(key("a"), 10, (100..120).collect(), 1_000);
        let rows = |offset, length| selections.get(&key("a"), offset, length).map(|found| found.rows);
        assert_eq!(rows(10, Some(2)), Some(vec![100, 101]));
        assert_eq!(rows(28, Some(2)), Some(vec![118, 119]));
        assert_eq!((rows(9, Some(2)), rows(28, Some(3)), rows(10, None)), (None, None, None));
        // Beyond the last match there is nothing, which is known without looking.
        assert_eq!(rows(1_000, Some(5)), Some(Vec::new()));
        assert_eq!(selections.get(&key("b"), 10, Some(1)), None);
        selections.keep(key("c"), 0, vec![3, 5], 2);
        assert_eq!(selections.get(&key("c"), 1, None), Some(Found { rows: vec![5], count: 2 }));
    }

    #[test]
    fn what_was_used_last_is_kept_longest() {
        let selections = Selections::new(2 * (ENTRY_BYTES + 1 + 80));
        selections.keep(key("a"), 0, vec![0; 10], 10);
        selections.keep(key("b"), 0, vec![0; 10], 10);
        assert!(selections.get(&key("a"), 0, Some(1)).is_some());
        selections.keep(key("c"), 0, vec![0; 10], 10);
        let is_kept = |name| selections.get(&key(name), 0, Some(1)).is_some();
        assert_eq!([is_kept("a"), is_kept("b"), is_kept("c")], [true, false, true]);
        selections.keep(key("huge"), 0, vec![0; 100_000], 100_000);
        assert!(!is_kept("huge"));
    }
}
