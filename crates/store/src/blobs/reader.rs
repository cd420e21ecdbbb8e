//! A distant blob read by ranges, as programs that know only files do: without await, any bytes at any time.
//!
//! What is read passes through blocks in the cache. All of it is of one content: each request names the entity tag that the
//! first one found.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use bytes::Bytes;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use object_store::{GetOptions, GetRange};
use tokio::runtime::Handle;

use super::cache::{BLOCK, Pin};
use super::{Blobs, remote_failure};
use crate::StoreError;

/// Blocks of one request, and requests at the same time. Together they bound the memory of one call beyond what it
/// returns: 16 MiB.
const RUN: u64 = 4;
const AT_A_TIME: usize = 4;

/// Why bytes could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The blob is gone, or is not the one that was opened.
    #[error("the blob is not the one that was listed")]
    Changed,
    /// The place cannot be reached, or refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One blob, opened. Not for use on the threads that carry async work.
#[derive(Debug)]
pub struct BlobReader {
    blobs: Blobs,
    key: String,
    size: u64,
    tag: String,
    /// All of it is on this machine.
    whole: Option<(File, Pin)>,
    runtime: Handle,
}

impl BlobReader {
    /// Opens a blob that must have this size. Its last bytes, where Parquet files have their footer, are fetched with the
    /// same request, unless some of it is on this machine already.
    ///
    /// # Errors
    /// [`ReadError`].
    pub(super) fn open(blobs: &Blobs, key: &str, size: u64, runtime: &Handle) -> Result<Self, ReadError> {
        let mut reader = Self {
            blobs: blobs.clone(),
            key: key.to_owned(),
            size,
            tag: String::new(),
            whole: None,
            runtime: runtime.clone(),
        };
        let Some(cache) = &blobs.cache else { return Ok(reader) };
        if let Some(pin) = cache.pin(key, Some(size))
            && let Ok(file) = File::open(pin.path())
        {
            reader.whole = Some((file, pin));
            return Ok(reader);
        }
        match cache.tag(key, size) {
            Some(tag) => reader.tag = tag,
            None => {
                let last = size.saturating_sub(1) / BLOCK;
                let first = last.saturating_sub(u64::from(size % BLOCK < BLOCK / 4));
                reader.tag = runtime.block_on(reader.fetch(first..last + 1, None))?.2;
            }
        }
        Ok(reader)
    }

    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Tells the content apart from any other that had this key.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// The bytes of each range (start inclusive, end exclusive, within the size), in the order asked.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read_ranges(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, ReadError> {
        let mut buffers: Vec<Vec<u8>> = Vec::with_capacity(ranges.len());
        for range in ranges {
            let length = range.end.saturating_sub(range.start);
            buffers.push(vec![0; usize::try_from(length).unwrap_or(usize::MAX)]);
        }
        match &self.whole {
            Some((file, _pin)) => {
                for (range, buffer) in ranges.iter().zip(&mut buffers) {
                    file.read_exact_at(buffer, range.start).map_err(|error| self.local(error))?;
                }
            }
            None => {
                let missing = self.copy_what_is_here(ranges, &mut buffers);
                if !missing.is_empty() {
                    self.runtime.block_on(self.copy_what_is_not(missing, ranges, &mut buffers))?;
                }
            }
        }
        Ok(buffers.into_iter().map(Bytes::from).collect())
    }

    /// Returns the blocks that are to be fetched.
    fn copy_what_is_here(&self, ranges: &[Range<u64>], buffers: &mut [Vec<u8>]) -> BTreeSet<u64> {
        let needed: BTreeSet<u64> = ranges.iter().filter(|range| !range.is_empty()).flat_map(blocks_of).collect();
        let Some(cache) = &self.blobs.cache else { return needed };
        let mut missing = BTreeSet::new();
        for block in needed {
            let copied = cache.block(&self.key, &self.tag, block).and_then(|path| File::open(path).ok()).map(|file| {
                let start = block * BLOCK;
                overlaps(ranges, start..start + BLOCK).all(|(at, part)| {
                    let into = position(&ranges[at], &part);
                    file.read_exact_at(&mut buffers[at][into], part.start - start).is_ok()
                })
            });
            // Dropped, or cut short by a full disk, since it was listed.
            if copied != Some(true) {
                missing.insert(block);
            }
        }
        missing
    }

    async fn copy_what_is_not(
        &self,
        missing: BTreeSet<u64>,
        ranges: &[Range<u64>],
        buffers: &mut [Vec<u8>],
    ) -> Result<(), ReadError> {
        let tag = (!self.tag.is_empty()).then_some(self.tag.as_str());
        let fetches = runs(missing).into_iter().map(|run| self.fetch(run, tag));
        let mut fetched = stream::iter(fetches).buffer_unordered(AT_A_TIME);
        while let Some((start, bytes, _)) = fetched.try_next().await? {
            let end = start + bytes.len() as u64;
            for (at, part) in overlaps(ranges, start..end) {
                let from = (part.start - start) as usize..(part.end - start) as usize;
                buffers[at][position(&ranges[at], &part)].copy_from_slice(&bytes[from]);
            }
        }
        Ok(())
    }

    /// Fetches blocks and keeps them; the first byte's position, the bytes, the entity tag.
    async fn fetch(&self, blocks: Range<u64>, tag: Option<&str>) -> Result<(u64, Bytes, String), ReadError> {
        let range = blocks.start * BLOCK..(blocks.end * BLOCK).min(self.size);
        let options = GetOptions {
            range: Some(GetRange::Bounded(range.clone())),
            if_match: tag.map(str::to_owned),
            ..GetOptions::default()
        };
        let path = self.blobs.object(&self.key)?;
        let result = match self.blobs.store.get_opts(&path, options).await {
            Ok(result) => result,
            Err(error) => return Err(self.refused(error)),
        };
        let found = result.meta.e_tag.clone().unwrap_or_default();
        if result.meta.size != self.size || tag.is_some_and(|tag| tag != found) {
            return Err(self.changed());
        }
        let bytes = result.bytes().await.map_err(|error| self.refused(error))?;
        if bytes.len() as u64 != range.end - range.start {
            return Err(self.changed());
        }
        if let Some(cache) = &self.blobs.cache {
            for block in blocks {
                let start = (block * BLOCK - range.start) as usize;
                let end = bytes.len().min(start + BLOCK as usize);
                cache.put_block(&self.key, (&found, self.size), block, &bytes.slice(start..end));
            }
        }
        Ok((range.start, bytes, found))
    }

    fn refused(&self, error: object_store::Error) -> ReadError {
        match error {
            object_store::Error::NotFound { .. } | object_store::Error::Precondition { .. } => self.changed(),
            // A range beyond the end is answered by an error.
            error if super::failure::status_of(&error) == Some(416) => self.changed(),
            error => ReadError::Store(remote_failure("read", &self.key, error)),
        }
    }

    fn changed(&self) -> ReadError {
        if let Some(cache) = &self.blobs.cache {
            cache.forget(&self.key);
        }
        ReadError::Changed
    }

    fn local(&self, error: io::Error) -> ReadError {
        ReadError::Store(super::failure("read", &self.key, error))
    }
}

fn blocks_of(range: &Range<u64>) -> Range<u64> {
    range.start / BLOCK..(range.end - 1) / BLOCK + 1
}

/// Neighbours become one request, up to [`RUN`] blocks.
fn runs(blocks: BTreeSet<u64>) -> Vec<Range<u64>> {
    let mut runs: Vec<Range<u64>> = Vec::new();
    for block in blocks {
        match runs.last_mut() {
            Some(run) if run.end == block && run.end - run.start < RUN => run.end += 1,
            _ => runs.push(block..block + 1),
        }
    }
    runs
}

/// The parts of the wanted ranges that lie in `here`, with the number of their range.
fn overlaps(ranges: &[Range<u64>], here: Range<u64>) -> impl Iterator<Item = (usize, Range<u64>)> {
    ranges.iter().enumerate().filter_map(move |(at, range)| {
        let part = range.start.max(here.start)..range.end.min(here.end);
        (part.start < part.end).then_some((at, part))
    })
}

/// Where a part of a range lies in its buffer.
fn position(range: &Range<u64>, part: &Range<u64>) -> Range<usize> {
    (part.start - range.start) as usize..(part.end - range.start) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_become_one_request() {
        assert_eq!(runs([0, 1, 2, 3, 4, 7, 9, 10].into()), [0..4, 4..5, 7..8, 9..11]);
    }
}
