//! Files that come when somebody reads them, large ones in the parts that are read.
//!
//! Such a file lies in the cache with its full length and a hole in it. Whoever reads it asks for the bytes before
//! ([`Hub::bring`](crate::Hub::bring)). A small file comes as a whole then, and is checked; a large one in blocks, each once.
//! Of files that are read in spots only, such as images whose size is wanted, grains come: first a few, with every further call
//! more, and after some calls the file as if it were read through.
//! All that comes must be of one content by the tag that the Hub gives: the hash of the whole says nothing about parts.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use belvedere_domain::{DatasetName, FileEntry, Revision};

use super::cache::{Cache, NoRoom};
use super::download;
use super::http::{Client, HttpError};
use crate::hub::{PARTS_SUFFIX, Reading};

/// Bytes that come at once of a file that is read through, at least.
const BLOCK_BYTES: u64 = 4 << 20;
/// Bytes of one call.
const MAX_CALL_BYTES: u64 = 16 << 20;
/// Bytes that come with the first spot of a file, and the unit in which is noted what is here.
const GRAIN_BYTES: u64 = 64 << 10;
/// Files up to this size have grains, larger ones blocks only: what is noted of them takes memory.
const MAX_GRAINED_BYTES: u64 = 1 << 30;
/// Files up to this size come as a whole with their first spot.
const NO_SPOTS_BYTES: u64 = 2 * GRAIN_BYTES;
/// Calls for spots of a file; each but the first brings four times as much as the one before.
const MAX_SPOT_CALLS: u32 = 4;
/// Files that are remembered in any case.
const MIN_PRUNED: usize = 1000;

/// The files of which parts are here.
#[derive(Default)]
pub(super) struct Parts {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    files: HashMap<PathBuf, Arc<Part>>,
    /// So many files make it worth looking which of them the cache has dropped.
    prune_at: usize,
}

/// A file of which parts are here.
pub(super) struct Part {
    pub(super) dataset: DatasetName,
    pub(super) revision: Revision,
    pub(super) entry: FileEntry,
    url: String,
    key: String,
    /// It comes as a whole to whoever reads it through.
    is_small: bool,
    /// Bytes of a grain.
    grain: u64,
    state: tokio::sync::Mutex<State>,
}

struct State {
    /// By grain.
    is_here: Vec<bool>,
    bytes: u64,
    /// All of it is here, and was checked.
    is_whole: bool,
    /// Calls for parts.
    calls: u32,
    tag: Option<String>,
}

/// Why bytes do not come.
pub(super) enum Missing {
    Call(HttpError),
    Changed,
    NoRoom(NoRoom),
    Disk(io::Error),
}

impl Parts {
    /// Where the parts of a file lie from now on.
    pub(super) fn open(
        &self,
        cache: &Cache,
        (dataset, revision): (&DatasetName, &Revision),
        entry: &FileEntry,
        (url, key, is_small): (String, &str, bool),
    ) -> io::Result<PathBuf> {
        let key = format!("{key}.{PARTS_SUFFIX}");
        let path = cache.path(&key);
        let mut known = self.lock();
        if let Some(part) = known.files.get(&path).filter(|_| path.exists()) {
            cache.touch(&part.key);
            return Ok(path);
        }
        let file = OpenOptions::new().create(true).truncate(true).read(true).write(true).open(&path)?;
        file.set_len(entry.size)?;
        let grain = if entry.size <= MAX_GRAINED_BYTES { GRAIN_BYTES } else { BLOCK_BYTES };
        let grains = usize::try_from(entry.size.div_ceil(grain)).map_err(io::Error::other)?;
        let state = State { is_here: vec![false; grains], bytes: 0, is_whole: false, calls: 0, tag: None };
        cache.grow(&key, 0).map_err(io::Error::other)?;
        let (dataset, revision, entry) = (dataset.clone(), revision.clone(), entry.clone());
        let state = tokio::sync::Mutex::new(state);
        let part = Part { dataset, revision, entry, url, key, is_small, grain, state };
        known.files.insert(path.clone(), Arc::new(part));
        if known.files.len() >= known.prune_at {
            known.files.retain(|path, _| path.exists());
            known.prune_at = (known.files.len() * 2).max(MIN_PRUNED);
        }
        Ok(path)
    }

    /// The file behind a path.
    pub(super) fn find(&self, path: &Path) -> Option<Arc<Part>> {
        self.lock().files.get(path).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Part {
    /// Returns when a range of bytes is here.
    pub(super) async fn bring(
        &self,
        client: &Client,
        cache: &Cache,
        range: Range<u64>,
        reading: Reading,
    ) -> Result<(), Missing> {
        let range = range.start..range.end.min(self.entry.size);
        if range.is_empty() {
            return Ok(());
        }
        let mut state = self.state.lock().await;
        let is_here = state.is_whole || (reading == Reading::Spots && state.has(self.grains(&range, self.grain)));
        if !is_here {
            match self.spot(&state, &range).filter(|_| reading == Reading::Spots) {
                Some(spot) => self.bring_missing(&mut state, client, cache, self.grains(&spot, self.grain)).await?,
                None if self.is_small => self.bring_whole(&mut state, client, cache).await?,
                None => self.bring_missing(&mut state, client, cache, self.grains(&range, BLOCK_BYTES)).await?,
            }
        }
        cache.touch(&self.key);
        Ok(())
    }

    /// What comes for the sake of some bytes of a file that is read in spots; `None` when it is as well read through.
    fn spot(&self, state: &State, range: &Range<u64>) -> Option<Range<u64>> {
        let ahead = GRAIN_BYTES << (2 * state.calls.min(MAX_SPOT_CALLS));
        let spot = range.start..range.end.max(range.start + ahead).min(self.entry.size);
        let is_worth_it =
            self.entry.size > NO_SPOTS_BYTES && state.calls < MAX_SPOT_CALLS && spot.end - spot.start < self.entry.size;
        is_worth_it.then_some(spot)
    }

    /// The grains of some bytes, of whole units of so many bytes.
    fn grains(&self, range: &Range<u64>, unit: u64) -> Range<u64> {
        let unit = unit.max(self.grain);
        let end = (range.end.div_ceil(unit) * unit).min(self.entry.size);
        range.start / unit * unit / self.grain..end.div_ceil(self.grain)
    }

    async fn bring_whole(&self, state: &mut State, client: &Client, cache: &Cache) -> Result<(), Missing> {
        cache.grow(&self.key, self.entry.size).map_err(Missing::NoRoom)?;
        let (came, path) = (cache.part(&self.key), cache.path(&self.key));
        download::download(client, &self.url, &self.entry, &came).await.map_err(Missing::Call)?;
        let copied = tokio::task::spawn_blocking(move || {
            // The file itself stays: others have it open.
            io::copy(&mut File::open(&came)?, &mut OpenOptions::new().write(true).open(path)?)?;
            fs::remove_file(&came)
        });
        written(copied.await)?;
        (state.bytes, state.is_whole) = (self.entry.size, true);
        Ok(())
    }

    /// Brings what is missing of some grains.
    async fn bring_missing(
        &self,
        state: &mut State,
        client: &Client,
        cache: &Cache,
        grains: Range<u64>,
    ) -> Result<(), Missing> {
        let most = MAX_CALL_BYTES / self.grain;
        let mut next = grains.start;
        while next < grains.end {
            if state.has(next..next + 1) {
                next += 1;
                continue;
            }
            let mut run = next + 1;
            while run < grains.end && run - next < most && !state.has(run..run + 1) {
                run += 1;
            }
            self.bring_grains(state, client, cache, next..run).await?;
            next = run;
        }
        Ok(())
    }

    async fn bring_grains(
        &self,
        state: &mut State,
        client: &Client,
        cache: &Cache,
        grains: Range<u64>,
    ) -> Result<(), Missing> {
        let bytes = grains.start * self.grain..self.entry.size.min(grains.end * self.grain);
        let grown = state.bytes + (bytes.end - bytes.start);
        cache.grow(&self.key, grown).map_err(Missing::NoRoom)?;
        let (tag, content) = download::read_range(client, &self.url, bytes.clone()).await.map_err(Missing::Call)?;
        if state.tag.is_some() && state.tag != tag {
            return Err(Missing::Changed);
        }
        state.tag = tag;
        let path = cache.path(&self.key);
        let write = move || OpenOptions::new().write(true).open(path)?.write_all_at(&content, bytes.start);
        written(tokio::task::spawn_blocking(write).await)?;
        state.bytes = grown;
        state.calls = state.calls.saturating_add(1);
        for grain in grains {
            if let Some(is_here) = usize::try_from(grain).ok().and_then(|grain| state.is_here.get_mut(grain)) {
                *is_here = true;
            }
        }
        Ok(())
    }
}

impl State {
    /// Whether all of some grains are here.
    fn has(&self, mut grains: Range<u64>) -> bool {
        let is_here = |grain| usize::try_from(grain).ok().and_then(|grain| self.is_here.get(grain)).copied();
        grains.all(|grain| is_here(grain).unwrap_or(true))
    }
}

/// What became of writing into a file. One that the cache has dropped is located anew.
fn written(done: Result<io::Result<()>, tokio::task::JoinError>) -> Result<(), Missing> {
    match done.map_err(io::Error::other).flatten() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Missing::Changed),
        done => done.map_err(Missing::Disk),
    }
}

/// Removes parts that an earlier process has left: which of their bytes are there is not known any more.
pub(super) fn forget(folder: &Path) -> io::Result<()> {
    for file in fs::read_dir(folder)? {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == PARTS_SUFFIX) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: u64 = 1 << 10;

    fn part(size: u64) -> Part {
        let grain = if size <= MAX_GRAINED_BYTES { GRAIN_BYTES } else { BLOCK_BYTES };
        let state = State {
            is_here: vec![false; usize::try_from(size.div_ceil(grain)).unwrap()],
            bytes: 0,
            is_whole: false,
            calls: 0,
            tag: None,
        };
        let entry = FileEntry { path: "a".to_owned(), size, content_id: "0".repeat(64) };
        Part {
            dataset: DatasetName::new("a/b").unwrap(),
            revision: Revision::new("0".repeat(40)).unwrap(),
            entry,
            url: String::new(),
            key: String::new(),
            is_small: true,
            grain,
            state: tokio::sync::Mutex::new(state),
        }
    }

    /// What comes for a byte, after so many calls.
    fn spot(part: &mut Part, at: u64, calls: u32) -> Option<Range<u64>> {
        part.state.get_mut().calls = calls;
        let state = part.state.try_lock().unwrap();
        part.spot(&state, &(at..at + 1))
    }

    #[test]
    fn each_spot_brings_more_until_the_file_is_read_through() {
        let mut file = part(50_000 * KIB);
        let brought: Vec<_> = (0..5).map(|calls| spot(&mut file, 0, calls).map(|spot| spot.end / KIB)).collect();
        assert_eq!(brought, [Some(64), Some(256), Some(1024), Some(4096), None]);
        // Not beyond the end.
        assert_eq!(spot(&mut file, 49_900 * KIB, 2), Some(49_900 * KIB..50_000 * KIB));
    }

    #[test]
    fn what_would_be_the_whole_file_comes_as_the_whole_file() {
        assert_eq!(spot(&mut part(100 * KIB), 0, 0), None);
        assert_eq!(spot(&mut part(200 * KIB), 0, 0), Some(0..64 * KIB));
        assert_eq!(spot(&mut part(200 * KIB), 0, 1), None);
        assert_eq!(spot(&mut part(200 * KIB), 100 * KIB, 1), Some(100 * KIB..200 * KIB));
    }

    #[test]
    fn grains_are_whole_and_end_with_the_file() {
        let file = part(200 * KIB);
        assert_eq!(file.grains(&(0..1), GRAIN_BYTES), 0..1);
        assert_eq!(file.grains(&(60 * KIB..70 * KIB), GRAIN_BYTES), 0..2);
        assert_eq!(file.grains(&(60 * KIB..70 * KIB), BLOCK_BYTES), 0..4);
        // Of a very large file, only blocks are noted.
        let large = part(MAX_GRAINED_BYTES + 1);
        assert_eq!(large.grain, BLOCK_BYTES);
        assert_eq!(large.grains(&(BLOCK_BYTES..BLOCK_BYTES + 1), GRAIN_BYTES), 1..2);
        assert_eq!(large.grains(&(0..MAX_GRAINED_BYTES + 1), BLOCK_BYTES), 0..257);
    }
}
