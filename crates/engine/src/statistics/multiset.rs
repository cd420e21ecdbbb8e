//! Exact multisets of keys in bounded memory: sorted runs, those beyond the budget in a scratch file, read back as one
//! ascending sequence.
//!
//! Whatever is computed from that sequence does not depend on how the values were cut into runs, on the order in which
//! the runs came, or on which of them were spilled.

mod cursor;

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{EngineError, ErrorKind};
use crate::statistics::keys::{Key, sort};
use crate::task::Task;

use cursor::Cursor;

/// Distances up to which keys are counted in a table rather than sorted.
const TABLE: u32 = 1 << 16;
/// Bytes written to the scratch file at once.
const WRITE_BUFFER: usize = 256 << 10;
/// Keys between two looks at the task.
const CHECK_EVERY: u32 = 1 << 16;

/// Memory that runs may take, shared by the multisets of a call, and where they go beyond it.
#[derive(Debug)]
pub(super) struct Budget {
    limit: usize,
    used: AtomicUsize,
    directory: PathBuf,
}

impl Budget {
    /// At most `limit` bytes of runs in memory; files without a name are made in `directory`.
    pub(super) fn new(limit: usize, directory: PathBuf) -> Arc<Self> {
        Arc::new(Self { limit, used: AtomicUsize::new(0), directory })
    }

    fn reserve(&self, bytes: usize) -> bool {
        let within = self.used.fetch_add(bytes, Ordering::Relaxed) + bytes <= self.limit;
        if !within {
            self.release(bytes);
        }
        within
    }

    fn release(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Keys in ascending order with their numbers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Run<K> {
    keys: Vec<K>,
    /// How often each key occurs; empty: once for every time it is listed.
    counts: Vec<u32>,
}

impl<K: Key> Run<K> {
    /// Sorts keys.
    pub(super) fn of(mut keys: Vec<K>) -> Self {
        let (Some(&low), Some(&high)) = (keys.iter().min(), keys.iter().max()) else { return Self::default() };
        let dense = u32::try_from(keys.len()).unwrap_or(u32::MAX).max(TABLE);
        if let Some(span) = high.above(low).filter(|&span| span < dense) {
            return Self::counted(&keys, low, span);
        }
        sort(&mut keys);
        let distinct = 1 + keys.windows(2).filter(|pair| pair[0] != pair[1]).count();
        if distinct > keys.len() / 2 {
            return Self { keys, counts: Vec::new() };
        }
        let mut run = Self { keys: Vec::with_capacity(distinct), counts: Vec::with_capacity(distinct) };
        for same in keys.chunk_by(|left, right| left == right) {
            run.keys.push(same[0]);
            run.counts.push(u32::try_from(same.len()).expect("a run holds fewer keys"));
        }
        run
    }

    /// Keys that lie close together, counted.
    fn counted(keys: &[K], low: K, span: u32) -> Self {
        let mut table = vec![0_u32; span as usize + 1];
        for key in keys {
            table[key.above(low).expect("within the span") as usize] += 1;
        }
        let mut run = Self::default();
        for (distance, &count) in (0_u32..).zip(&table) {
            if count > 0 {
                run.keys.push(low.plus(distance));
                run.counts.push(count);
            }
        }
        run
    }

    /// Sorts distinct keys that were counted already.
    pub(super) fn of_counts(mut pairs: Vec<(K, u32)>) -> Self {
        pairs.sort_unstable_by_key(|(key, _)| *key);
        let (keys, counts) = pairs.into_iter().unzip();
        Self { keys, counts }
    }

    /// Every distinct key with its number.
    fn for_each(&self, task: &Task, mut visit: impl FnMut(K, u64)) -> Result<(), EngineError> {
        for (part, keys) in self.keys.chunks(CHECK_EVERY as usize).enumerate() {
            task.check()?;
            if self.counts.is_empty() {
                // What is equal may reach over the end of a part; then the next part goes on with it.
                let first = part * CHECK_EVERY as usize;
                let goes_on = first > 0 && self.keys[first - 1] == keys[0];
                let skipped = if goes_on { keys.iter().take_while(|key| **key == keys[0]).count() } else { 0 };
                let mut at = first + skipped;
                while at < first + keys.len() {
                    let key = self.keys[at];
                    let count = self.keys[at..].iter().take_while(|other| **other == key).count();
                    visit(key, count as u64);
                    at += count;
                }
            } else {
                let counts = &self.counts[part * CHECK_EVERY as usize..];
                keys.iter().zip(counts).for_each(|(&key, &count)| visit(key, count.into()));
            }
        }
        Ok(())
    }

    fn len(&self) -> u64 {
        match self.counts.is_empty() {
            true => self.keys.len() as u64,
            false => self.counts.iter().map(|&count| u64::from(count)).sum(),
        }
    }

    fn bytes(&self) -> usize {
        self.keys.len() * K::BYTES + self.counts.len() * size_of::<u32>()
    }
}

/// A multiset of keys.
#[derive(Debug)]
pub(super) struct Multiset<K> {
    budget: Arc<Budget>,
    runs: Vec<Stored<K>>,
    len: u64,
    range: Option<(K, K)>,
    /// Bytes of the budget in use.
    held: usize,
    file: Option<File>,
    file_bytes: u64,
}

#[derive(Debug)]
enum Stored<K> {
    Memory(Run<K>),
    /// Keys with their numbers, one after the other.
    Scratch {
        start: u64,
        entries: u64,
        counted: bool,
    },
}

impl<K: Key> Multiset<K> {
    /// An empty one.
    pub(super) fn new(budget: &Arc<Budget>) -> Self {
        let budget = Arc::clone(budget);
        Self { budget, runs: Vec::new(), len: 0, range: None, held: 0, file: None, file_bytes: 0 }
    }

    /// Number of values.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The least and the greatest key.
    pub(super) fn range(&self) -> Option<(K, K)> {
        self.range
    }

    /// Adds the values of a run.
    ///
    /// # Errors
    /// [`Io`](ErrorKind::Io) when the scratch file cannot be written.
    pub(super) fn add(&mut self, mut run: Run<K>) -> Result<(), EngineError> {
        let (Some(&first), Some(&last)) = (run.keys.first(), run.keys.last()) else { return Ok(()) };
        self.len += run.len();
        let (low, high) = self.range.unwrap_or((first, last));
        self.range = Some((low.min(first), high.max(last)));
        let bytes = run.bytes();
        if self.budget.reserve(bytes) {
            self.held += bytes;
            run.keys.shrink_to_fit();
            run.counts.shrink_to_fit();
            self.runs.push(Stored::Memory(run));
            return Ok(());
        }
        self.spill(&run)
    }

    fn spill(&mut self, run: &Run<K>) -> Result<(), EngineError> {
        let failed = |error: std::io::Error| {
            let message = format!("cannot spill to {}: {error}", self.budget.directory.display());
            EngineError::new(ErrorKind::of_io(&error), message)
        };
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                std::fs::create_dir_all(&self.budget.directory).map_err(failed)?;
                none.insert(tempfile::tempfile_in(&self.budget.directory).map_err(failed)?)
            }
        };
        let counted = !run.counts.is_empty();
        let mut buffer = Vec::with_capacity(WRITE_BUFFER + 32);
        let mut written = 0;
        for (index, &key) in run.keys.iter().enumerate() {
            key.write(&mut buffer);
            if counted {
                buffer.extend_from_slice(&run.counts[index].to_le_bytes());
            }
            if buffer.len() >= WRITE_BUFFER {
                file.write_all(&buffer).map_err(failed)?;
                written += buffer.len() as u64;
                buffer.clear();
            }
        }
        file.write_all(&buffer).map_err(failed)?;
        written += buffer.len() as u64;
        self.runs.push(Stored::Scratch { start: self.file_bytes, entries: run.keys.len() as u64, counted });
        self.file_bytes += written;
        Ok(())
    }

    /// Every distinct key, ascending, with its number.
    ///
    /// # Errors
    /// Those of reading the scratch file and of the task.
    pub(super) fn for_each(&self, task: &Task, mut visit: impl FnMut(K, u64)) -> Result<(), EngineError> {
        if let [Stored::Memory(run)] = self.runs.as_slice() {
            return run.for_each(task, visit);
        }
        let mut cursors = self.runs.iter().map(|run| self.cursor(run)).collect::<Result<Vec<_>, _>>()?;
        let mut heads: Vec<Head<K>> = Vec::with_capacity(cursors.len());
        for (run, cursor) in cursors.iter_mut().enumerate() {
            if let Some((key, count)) = cursor.next()? {
                heads.push(Head { key, count, run });
            }
        }
        heads.sort_unstable_by_key(|head| head.key);
        let mut pending: Option<(K, u64)> = None;
        let mut until_check = CHECK_EVERY;
        while let Some(head) = heads.first_mut() {
            match &mut pending {
                Some((key, count)) if *key == head.key => *count += u64::from(head.count),
                other => {
                    if let Some((key, count)) = other.replace((head.key, u64::from(head.count))) {
                        visit(key, count);
                    }
                }
            }
            match cursors[head.run].next()? {
                Some((key, count)) => (head.key, head.count) = (key, count),
                None => {
                    heads.swap_remove(0);
                }
            }
            sink(&mut heads);
            until_check -= 1;
            if until_check == 0 {
                task.check()?;
                until_check = CHECK_EVERY;
            }
        }
        if let Some((key, count)) = pending {
            visit(key, count);
        }
        Ok(())
    }

    fn cursor<'s>(&'s self, run: &'s Stored<K>) -> Result<Cursor<'s, K>, EngineError> {
        Ok(match run {
            Stored::Memory(run) => Cursor::over(&run.keys, &run.counts),
            Stored::Scratch { start, entries, counted } => {
                let file = self.file.as_ref().expect("a spilled run has a file");
                let read = move |at: u64, bytes: &mut [u8]| {
                    file.read_exact_at(bytes, start + at).map_err(|error| EngineError::new(ErrorKind::Io, error))
                };
                Cursor::reading(Box::new(read), *entries, *counted, self.runs.len())
            }
        })
    }
}

impl<K> Drop for Multiset<K> {
    fn drop(&mut self) {
        self.budget.release(self.held);
    }
}

/// The next key of a run.
struct Head<K> {
    key: K,
    count: u32,
    run: usize,
}

/// Moves the first of a heap, which may have become too great, to its place.
fn sink<K: Key>(heads: &mut [Head<K>]) {
    let mut at = 0;
    loop {
        let left = 2 * at + 1;
        let right = left + 1;
        let Some(mut least) = heads.get(left).map(|_| left) else { return };
        if right < heads.len() && heads[right].key < heads[left].key {
            least = right;
        }
        if heads[at].key <= heads[least].key {
            return;
        }
        heads.swap(at, least);
        at = least;
    }
}

#[cfg(test)]
mod tests;
