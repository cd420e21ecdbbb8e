//! What was used of late, within bounds of number and of bytes: what was used longest ago makes room for what is new.
//!
//! The caches of several crates are made of it. Whoever shares one puts it behind a lock.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// Values by key, each with the bytes that it counts for, in the order of their last use.
#[derive(Debug)]
pub struct Recent<K, V> {
    max_len: usize,
    max_bytes: u64,
    bytes: u64,
    entries: HashMap<K, Entry<V>>,
    /// The keys by last use.
    order: BTreeMap<u64, K>,
    /// Counts uses.
    clock: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    bytes: u64,
    last_use: u64,
}

impl<K: Clone + Eq + Hash, V> Recent<K, V> {
    /// Nothing yet, and at most `max_len` values of `max_bytes` together.
    pub fn new(max_len: usize, max_bytes: u64) -> Self {
        Self { max_len, max_bytes, bytes: 0, entries: HashMap::new(), order: BTreeMap::new(), clock: 0 }
    }

    /// A value, which is used by that.
    pub fn get(&mut self, key: &K) -> Option<&mut V> {
        let entry = self.entries.get_mut(key)?;
        self.clock += 1;
        if let Some(key) = self.order.remove(&entry.last_use) {
            self.order.insert(self.clock, key);
        }
        entry.last_use = self.clock;
        Some(&mut entry.value)
    }

    /// A value, which is not used by that.
    pub fn peek(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|entry| &entry.value)
    }

    /// As [`peek`](Self::peek), to be changed. What it counts for stays.
    pub fn peek_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key).map(|entry| &mut entry.value)
    }

    /// Keeps a value instead of one of the same key, and makes room for it. `false`: alone it is larger than all may be,
    /// and nothing has changed.
    pub fn keep(&mut self, key: K, value: V, bytes: u64) -> bool {
        if bytes > self.max_bytes {
            return false;
        }
        self.put(key, value, bytes);
        self.make_room(|_| true);
        true
    }

    /// Keeps a value even beyond the bounds, until the next [`make_room`](Self::make_room). What had the same key.
    pub fn put(&mut self, key: K, value: V, bytes: u64) -> Option<V> {
        let replaced = self.remove(&key);
        self.clock += 1;
        self.bytes += bytes;
        self.order.insert(self.clock, key.clone());
        self.entries.insert(key, Entry { value, bytes, last_use: self.clock });
        replaced
    }

    /// Forgets a value.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let entry = self.entries.remove(key)?;
        self.order.remove(&entry.last_use);
        self.bytes -= entry.bytes;
        Some(entry.value)
    }

    /// Forgets values that may go, those used longest ago first, until the bounds are kept. The forgotten ones.
    pub fn make_room(&mut self, may_go: impl Fn(&V) -> bool) -> Vec<(K, V)> {
        let mut gone = Vec::new();
        while self.bytes > self.max_bytes || self.entries.len() > self.max_len {
            let is_free = |key: &&K| self.peek(key).is_some_and(&may_go);
            let Some(key) = self.order.values().find(is_free).cloned() else { break };
            if let Some(value) = self.remove(&key) {
                gone.push((key, value));
            }
        }
        gone
    }

    /// All there is, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, entry)| (key, &entry.value))
    }

    /// Bytes of all values.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(recent: &Recent<&'static str, u32>) -> Vec<&'static str> {
        let mut keys: Vec<_> = recent.iter().map(|(key, _)| *key).collect();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn what_was_used_longest_ago_makes_room() {
        let mut recent = Recent::new(usize::MAX, 30);
        for (number, key) in ["a", "b", "c"].into_iter().enumerate() {
            assert!(recent.keep(key, number as u32, 10));
        }
        assert_eq!(recent.get(&"a"), Some(&mut 0));
        assert_eq!(recent.peek(&"b"), Some(&1));
        recent.keep("d", 3, 5);
        assert_eq!(keys(&recent), ["a", "c", "d"], "looking is no use");
        recent.keep("e", 4, 20);
        assert_eq!((keys(&recent), recent.bytes()), (vec!["d", "e"], 25));
        assert!(!recent.keep("d", 5, 31));
        assert_eq!(recent.peek(&"d"), Some(&3), "what is too large changes nothing");
    }

    #[test]
    fn the_number_is_bounded_too() {
        let mut recent = Recent::new(2, 100);
        for key in ["a", "b", "c"] {
            recent.keep(key, 0, 0);
        }
        assert_eq!(keys(&recent), ["b", "c"]);
    }

    #[test]
    fn a_replaced_value_counts_no_more() {
        let mut recent = Recent::new(2, 100);
        recent.keep("a", 1, 60);
        recent.keep("b", 2, 10);
        recent.keep("a", 3, 90);
        assert_eq!((keys(&recent), recent.bytes()), (vec!["a", "b"], 100));
        assert_eq!((recent.remove(&"a"), recent.remove(&"a"), recent.bytes()), (Some(3), None, 10));
    }

    #[test]
    fn what_may_not_go_stays_beyond_the_bounds() {
        let mut recent = Recent::new(usize::MAX, 10);
        for (number, key) in ["a", "b", "c"].into_iter().enumerate() {
            assert_eq!(recent.put(key, number as u32, 10), None);
        }
        let gone = recent.make_room(|value| *value != 0);
        assert_eq!(gone, [("b", 1), ("c", 2)]);
        assert_eq!((keys(&recent), recent.bytes()), (vec!["a"], 10));
        assert_eq!(recent.put("a", 7, 20), Some(0));
        assert!(recent.make_room(|value| *value == 0).is_empty());
        assert_eq!(recent.bytes(), 20);
    }
}
