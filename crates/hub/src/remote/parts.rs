//! Files that come when somebody reads them, large ones in the parts that are read.
//!
//! Such a file lies in the cache with its full length and a hole in it. Whoever reads it asks for the bytes before
//! ([`Hub::bring`](crate::Hub::bring)). A small file comes as a whole then, and is checked; a large one in blocks, each once.
//! All blocks must be of one content by the tag that the Hub gives: the hash of the whole says nothing about them.

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
use crate::hub::PARTS_SUFFIX;

/// Bytes that come at once, at least.
const BLOCK_BYTES: u64 = 4 << 20;
/// Files that are remembered in any case.
const MIN_PRUNED: usize = 1000;
/// Blocks of one call.
const MAX_BLOCKS: u64 = 4;

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
    /// It comes as a whole.
    is_small: bool,
    state: tokio::sync::Mutex<State>,
}

struct State {
    is_here: Vec<bool>,
    bytes: u64,
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
        let blocks = usize::try_from(entry.size.div_ceil(BLOCK_BYTES)).map_err(io::Error::other)?;
        let state = State { is_here: vec![false; blocks], bytes: 0, tag: None };
        cache.grow(&key, 0).map_err(io::Error::other)?;
        let (dataset, revision) = (dataset.clone(), revision.clone());
        let part =
            Part { dataset, revision, entry: entry.clone(), url, key, is_small, state: tokio::sync::Mutex::new(state) };
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
    pub(super) async fn bring(&self, client: &Client, cache: &Cache, range: Range<u64>) -> Result<(), Missing> {
        let end = range.end.min(self.entry.size);
        if range.start >= end {
            return Ok(());
        }
        let mut state = self.state.lock().await;
        if self.is_small {
            return self.bring_whole(&mut state, client, cache).await;
        }
        let blocks = range.start / BLOCK_BYTES..end.div_ceil(BLOCK_BYTES);
        let mut next = blocks.start;
        while next < blocks.end {
            if state.is_here(next) {
                next += 1;
                continue;
            }
            let mut run = next + 1;
            while run < blocks.end && run - next < MAX_BLOCKS && !state.is_here(run) {
                run += 1;
            }
            self.bring_blocks(&mut state, client, cache, next..run).await?;
            next = run;
        }
        cache.touch(&self.key);
        Ok(())
    }

    async fn bring_whole(&self, state: &mut State, client: &Client, cache: &Cache) -> Result<(), Missing> {
        if state.bytes == self.entry.size {
            cache.touch(&self.key);
            return Ok(());
        }
        cache.grow(&self.key, self.entry.size).map_err(Missing::NoRoom)?;
        let (came, path) = (cache.part(&self.key), cache.path(&self.key));
        download::download(client, &self.url, &self.entry, &came).await.map_err(Missing::Call)?;
        let copied = tokio::task::spawn_blocking(move || {
            // The file itself stays: others have it open.
            io::copy(&mut File::open(&came)?, &mut OpenOptions::new().write(true).open(path)?)?;
            fs::remove_file(&came)
        });
        written(copied.await)?;
        state.bytes = self.entry.size;
        Ok(())
    }

    async fn bring_blocks(
        &self,
        state: &mut State,
        client: &Client,
        cache: &Cache,
        blocks: Range<u64>,
    ) -> Result<(), Missing> {
        let bytes = blocks.start * BLOCK_BYTES..self.entry.size.min(blocks.end * BLOCK_BYTES);
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
        for block in blocks {
            if let Some(is_here) = usize::try_from(block).ok().and_then(|block| state.is_here.get_mut(block)) {
                *is_here = true;
            }
        }
        Ok(())
    }
}

impl State {
    fn is_here(&self, block: u64) -> bool {
        usize::try_from(block).ok().and_then(|block| self.is_here.get(block)).copied().unwrap_or(true)
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
