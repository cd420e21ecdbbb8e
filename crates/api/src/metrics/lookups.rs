//! How often the caches of this process had what was asked for.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the lookups of one cache.
#[derive(Debug, Default)]
pub(crate) struct Lookups {
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Lookups {
    /// Counts a lookup, and gives its result back.
    pub(crate) fn count<T>(&self, found: Option<T>) -> Option<T> {
        let number = if found.is_some() { &self.hits } else { &self.misses };
        number.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// Hits and misses so far.
    pub(crate) fn counts(&self) -> [(&'static str, u64); 2] {
        [("hit", self.hits.load(Ordering::Relaxed)), ("miss", self.misses.load(Ordering::Relaxed))]
    }
}
