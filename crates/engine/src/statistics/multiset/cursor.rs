//! Reading one run from its first to its last key.

use std::borrow::Cow;

use crate::error::EngineError;
use crate::statistics::keys::Key;

/// Memory for the blocks of all spilled runs of a multiset, in bytes.
const BLOCKS: usize = 8 << 20;
/// Bytes of a block at least and at most.
const BLOCK: std::ops::RangeInclusive<usize> = 4 << 10..=256 << 10;

/// Fills a buffer with the bytes of a run from some place on.
pub(super) type ReadAt<'r> = Box<dyn Fn(u64, &mut [u8]) -> Result<(), EngineError> + 'r>;

/// A place in a run.
pub(super) struct Cursor<'r, K: Clone> {
    keys: Cow<'r, [K]>,
    counts: Cow<'r, [u32]>,
    at: usize,
    rest: Option<Rest<'r>>,
}

/// What of a run is not in memory yet.
struct Rest<'r> {
    read: ReadAt<'r>,
    position: u64,
    entries: u64,
    counted: bool,
    buffer: Vec<u8>,
    block: usize,
}

impl<'r, K: Key> Cursor<'r, K> {
    /// Over a run in memory.
    pub(super) fn over(keys: &'r [K], counts: &'r [u32]) -> Self {
        Self { keys: Cow::Borrowed(keys), counts: Cow::Borrowed(counts), at: 0, rest: None }
    }

    /// Over `entries` stored keys, one of `runs` runs that are read at the same time.
    pub(super) fn reading(read: ReadAt<'r>, entries: u64, counted: bool, runs: usize) -> Self {
        let block = (BLOCKS / runs.max(1)).clamp(*BLOCK.start(), *BLOCK.end());
        let rest = Rest { read, position: 0, entries, counted, buffer: Vec::new(), block };
        Self { keys: Cow::Owned(Vec::new()), counts: Cow::Owned(Vec::new()), at: 0, rest: Some(rest) }
    }

    /// The next key and its number.
    ///
    /// # Errors
    /// Those of reading.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<(K, u32)>, EngineError> {
        if self.at == self.keys.len() && !self.refill()? {
            return Ok(None);
        }
        let at = self.at;
        self.at += 1;
        Ok(Some((self.keys[at], self.counts.get(at).copied().unwrap_or(1))))
    }

    #[cold]
    fn refill(&mut self) -> Result<bool, EngineError> {
        let Some(rest) = self.rest.as_mut().filter(|rest| rest.entries > 0) else { return Ok(false) };
        let width = K::BYTES + if rest.counted { size_of::<u32>() } else { 0 };
        let entries = usize::try_from(rest.entries).unwrap_or(usize::MAX).min((rest.block / width).max(1));
        rest.buffer.resize(entries * width, 0);
        (rest.read)(rest.position, &mut rest.buffer)?;
        rest.position += rest.buffer.len() as u64;
        rest.entries -= entries as u64;
        let (keys, counts) = (self.keys.to_mut(), self.counts.to_mut());
        keys.clear();
        counts.clear();
        for entry in rest.buffer.chunks_exact(width) {
            let (key, count) = entry.split_at(K::BYTES);
            keys.push(K::read(key));
            if rest.counted {
                counts.push(u32::from_le_bytes(count.try_into().expect("four bytes")));
            }
        }
        self.at = 0;
        Ok(true)
    }
}
