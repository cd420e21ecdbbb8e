//! What of distant blobs is kept on this machine: whole files for those who need files, and blocks for those who read
//! ranges. Bounded by bytes; what was used longest ago goes first.
//!
//! Each process has a directory of its own, locked while it lives and emptied when it begins, so that all bookkeeping is
//! in memory. Losing any of it costs a download.

use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use belvedere_domain::Recent;
use bytes::Bytes;

/// Size of a block in bytes: some pages of rows.
pub(super) const BLOCK: u64 = 1 << 20;
/// Processes that may share one directory; more are a mistake.
const MAX_PROCESSES: u32 = 1_000;

/// A bounded cache of blobs on this machine. Cheap to clone.
#[derive(Clone, Debug)]
pub struct BlobCache(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Of this process alone.
    folder: PathBuf,
    max_bytes: u64,
    kept: Mutex<Kept>,
    /// Downloads of whole blobs, one at a time for each stripe of keys.
    turns: [tokio::sync::Mutex<()>; 16],
    /// Held as long as the process lives.
    _lock: File,
}

#[derive(Debug)]
struct Kept {
    entries: Recent<Id, Entry>,
    objects: HashMap<String, Object>,
    /// The last number of an object or of a temporary file.
    number: u64,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Id {
    Whole(String),
    /// Number of the object, and of the block in it.
    Block(u64, u64),
}

#[derive(Debug)]
struct Entry {
    bytes: u64,
    /// Uses under way, during which it stays.
    pins: u32,
    /// False while it is being downloaded.
    ready: bool,
    /// Of blocks: the key of their object.
    key: Option<String>,
}

/// A blob of which blocks are kept.
#[derive(Debug)]
struct Object {
    number: u64,
    tag: String,
    size: u64,
    blocks: u64,
}

/// A whole blob on this machine, which stays as long as this lives.
#[derive(Debug)]
pub struct Pin {
    cache: BlobCache,
    key: String,
}

/// Why there is no room for a blob.
#[derive(Debug, thiserror::Error)]
#[error(
    "it has {size} bytes, and the cache of {max_bytes} bytes has no room for that; make `blobs.cache_bytes` larger"
)]
pub(super) struct NoRoom {
    size: u64,
    max_bytes: u64,
}

impl BlobCache {
    /// A cache in `parent`, in a directory of this process, of at most `max_bytes`.
    ///
    /// # Errors
    /// When the directory cannot be made or emptied.
    pub fn open(parent: &Path, max_bytes: u64) -> io::Result<Self> {
        fs::create_dir_all(parent)?;
        let parent = fs::canonicalize(parent)?;
        for number in 0..MAX_PROCESSES {
            let lock = File::create(parent.join(format!("{number}.lock")))?;
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(error)) => return Err(error),
            }
            let folder = parent.join(number.to_string());
            match fs::remove_dir_all(&folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            for part in ["files", "blocks", "tmp"] {
                fs::create_dir_all(folder.join(part))?;
            }
            let turns = std::array::from_fn(|_| tokio::sync::Mutex::default());
            let entries = Recent::new(usize::MAX, max_bytes);
            let kept = Mutex::new(Kept { entries, objects: HashMap::new(), number: 0 });
            return Ok(Self(Arc::new(Shared { folder, max_bytes, kept, turns, _lock: lock })));
        }
        Err(io::Error::other("too many processes share the directory"))
    }

    /// Where the whole blob lies when it is here.
    pub(super) fn path_of(&self, key: &str) -> PathBuf {
        self.0.folder.join("files").join(key)
    }

    /// The key of a path that [`path_of`](Self::path_of) gave.
    pub(super) fn key_of(&self, path: &Path) -> Option<String> {
        path.strip_prefix(self.0.folder.join("files")).ok()?.to_str().map(str::to_owned)
    }

    /// Bytes kept at the moment.
    pub fn bytes(&self) -> u64 {
        self.lock().entries.bytes()
    }

    /// Waits for the turn to download a blob.
    pub(super) async fn turn(&self, key: &str) -> tokio::sync::MutexGuard<'_, ()> {
        let stripe = key.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)));
        self.0.turns[stripe % self.0.turns.len()].lock().await
    }

    /// The whole blob, if it is here and of this size.
    pub(super) fn pin(&self, key: &str, size: Option<u64>) -> Option<Pin> {
        let mut kept = self.lock();
        let id = Id::Whole(key.to_owned());
        let is_here = |entry: &&Entry| entry.ready && size.is_none_or(|size| size == entry.bytes);
        kept.entries.peek(&id).filter(is_here)?;
        kept.entries.get(&id)?.pins += 1;
        Some(Pin { cache: self.clone(), key: key.to_owned() })
    }

    /// Makes room for a whole blob, which counts from now on. It becomes readable by [`Pin::ready`].
    pub(super) fn reserve(&self, key: &str, size: u64) -> Result<Pin, NoRoom> {
        self.forget(key);
        let mut kept = self.lock();
        let held: u64 = kept.entries.iter().filter(|(_, entry)| entry.pins > 0).map(|(_, entry)| entry.bytes).sum();
        if held.saturating_add(size) > self.0.max_bytes {
            return Err(NoRoom { size, max_bytes: self.0.max_bytes });
        }
        let entry = Entry { bytes: size, pins: 1, ready: false, key: None };
        kept.entries.put(Id::Whole(key.to_owned()), entry, size);
        let gone = kept.shrink();
        drop(kept);
        self.remove(gone);
        Ok(Pin { cache: self.clone(), key: key.to_owned() })
    }

    /// A name for a file to be written, in the same file system.
    pub(super) fn temporary(&self) -> PathBuf {
        let mut kept = self.lock();
        kept.number += 1;
        self.0.folder.join("tmp").join(kept.number.to_string())
    }

    /// Takes a file that has just been uploaded: whoever made it often reads it next. Where there is no room it is deleted.
    pub(super) fn adopt(&self, key: &str, file: &Path, size: u64) -> io::Result<()> {
        let Ok(pin) = self.reserve(key, size) else { return fs::remove_file(file) };
        let target = self.path_of(key);
        let moved = target.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::rename(file, &target));
        match moved {
            Ok(()) => {
                pin.ready();
                Ok(())
            }
            Err(_) => {
                pin.give_up();
                fs::remove_file(file)
            }
        }
    }

    /// The tag of a blob of which blocks are kept, if it had this size.
    pub(super) fn tag(&self, key: &str, size: u64) -> Option<String> {
        let kept = self.lock();
        kept.objects.get(key).filter(|object| object.size == size).map(|object| object.tag.clone())
    }

    /// The file of a block, if it is here; it may be gone by the time it is opened.
    pub(super) fn block(&self, key: &str, tag: &str, block: u64) -> Option<PathBuf> {
        let mut kept = self.lock();
        let number = kept.objects.get(key).filter(|object| object.tag == tag)?.number;
        let id = Id::Block(number, block);
        kept.entries.get(&id).map(|_| self.path(&id))
    }

    /// Keeps a block. What cannot be written is not kept.
    pub(super) fn put_block(&self, key: &str, (tag, size): (&str, u64), block: u64, bytes: &Bytes) {
        let mut gone = Vec::new();
        let number = {
            let mut kept = self.lock();
            if kept.objects.get(key).is_some_and(|object| object.tag != tag || object.size != size) {
                gone = kept.drop_object(key);
            }
            kept.number += 1;
            let fresh = Object { number: kept.number, tag: tag.to_owned(), size, blocks: 0 };
            kept.objects.entry(key.to_owned()).or_insert(fresh).number
        };
        self.remove(std::mem::take(&mut gone));
        let id = Id::Block(number, block);
        let path = self.path(&id);
        let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, bytes));
        if let Err(error) = written {
            tracing::warn!(error = &error as &dyn std::error::Error, "a block of a blob could not be kept");
            let _ = fs::remove_file(&path);
            return;
        }
        let mut kept = self.lock();
        match kept.objects.get_mut(key) {
            Some(object) if object.number == number => {}
            // Replaced while it was written.
            _ => {
                drop(kept);
                return self.remove(vec![id]);
            }
        }
        let length = bytes.len() as u64;
        let entry = Entry { bytes: length, pins: 0, ready: true, key: Some(key.to_owned()) };
        if kept.entries.put(id, entry, length).is_none()
            && let Some(object) = kept.objects.get_mut(key)
        {
            object.blocks += 1;
        }
        let gone = kept.shrink();
        drop(kept);
        self.remove(gone);
    }

    /// Drops all that is kept of a blob, apart from what is in use.
    pub(super) fn forget(&self, key: &str) {
        let mut kept = self.lock();
        let mut gone = kept.drop_object(key);
        let whole = Id::Whole(key.to_owned());
        if kept.entries.peek(&whole).is_some_and(|entry| entry.pins == 0) {
            kept.take(&whole);
            gone.push(whole);
        }
        drop(kept);
        self.remove(gone);
    }

    fn path(&self, id: &Id) -> PathBuf {
        match id {
            Id::Whole(key) => self.path_of(key),
            Id::Block(number, block) => self.0.folder.join(format!("blocks/{number}/{block}")),
        }
    }

    fn remove(&self, gone: Vec<Id>) {
        for id in gone {
            let path = self.path(&id);
            let _ = fs::remove_file(&path);
            // Succeeds for the last one.
            let _ = path.parent().map(fs::remove_dir);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // A panic between two statements of this module leaves nothing half-done that matters: it is a cache.
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn take(&mut self, id: &Id) {
        if let Some(entry) = self.entries.remove(id) {
            self.discount(&entry);
        }
    }

    /// Of an entry that is gone: its object has one block less.
    fn discount(&mut self, entry: &Entry) {
        let Some(key) = &entry.key else { return };
        if let Some(object) = self.objects.get_mut(key) {
            object.blocks = object.blocks.saturating_sub(1);
            if object.blocks == 0 {
                self.objects.remove(key);
            }
        }
    }

    /// What has to go, apart from what is in use.
    fn shrink(&mut self) -> Vec<Id> {
        let gone = self.entries.make_room(|entry| entry.pins == 0);
        gone.iter().for_each(|(_, entry)| self.discount(entry));
        gone.into_iter().map(|(id, _)| id).collect()
    }

    fn drop_object(&mut self, key: &str) -> Vec<Id> {
        let Some(object) = self.objects.remove(key) else { return Vec::new() };
        let of_object = |id: &&Id| matches!(id, Id::Block(number, _) if *number == object.number);
        let gone: Vec<Id> = self.entries.iter().map(|(id, _)| id).filter(of_object).cloned().collect();
        gone.iter().for_each(|id| self.take(id));
        gone
    }
}

impl Pin {
    /// Where it lies.
    pub fn path(&self) -> PathBuf {
        self.cache.path_of(&self.key)
    }

    /// The file is complete.
    pub(super) fn ready(&self) {
        if let Some(entry) = self.cache.lock().entries.peek_mut(&Id::Whole(self.key.clone())) {
            entry.ready = true;
        }
    }

    /// The file will not come.
    pub(super) fn give_up(self) {
        let id = Id::Whole(self.key.clone());
        self.cache.lock().take(&id);
        self.cache.remove(vec![id]);
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut kept = self.cache.lock();
        if let Some(entry) = kept.entries.peek_mut(&Id::Whole(self.key.clone())) {
            entry.pins = entry.pins.saturating_sub(1);
        }
        let gone = kept.shrink();
        drop(kept);
        self.cache.remove(gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(max_bytes: u64) -> (tempfile::TempDir, BlobCache) {
        let folder = tempfile::tempdir().unwrap();
        let cache = BlobCache::open(folder.path(), max_bytes).unwrap();
        (folder, cache)
    }

    fn files(folder: &Path) -> usize {
        let mut count = 0;
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
                match entry.file_type().unwrap().is_dir() {
                    true => folders.push(entry.path()),
                    false => count += 1,
                }
            }
        }
        count
    }

    fn adopt(cache: &BlobCache, key: &str, size: usize) {
        let file = cache.temporary();
        fs::write(&file, vec![0; size]).unwrap();
        cache.adopt(key, &file, size as u64).unwrap();
    }

    #[test]
    fn what_was_used_longest_ago_goes_first_and_what_is_in_use_stays() {
        let (folder, cache) = cache(30);
        for key in ["v/a", "v/b", "v/c"] {
            adopt(&cache, key, 10);
        }
        assert!(cache.pin("v/a", Some(10)).is_some(), "a is used again");
        let b = cache.pin("v/b", Some(10)).unwrap();
        drop(cache.pin("v/a", Some(10)));
        adopt(&cache, "v/d", 10);
        assert!(cache.pin("v/c", Some(10)).is_none(), "c was used longest ago");
        adopt(&cache, "v/e", 15);
        assert!(cache.pin("v/b", Some(10)).is_some(), "b is in use");
        assert!(b.path().is_file());
        assert!(cache.pin("v/a", Some(10)).is_none() && cache.pin("v/d", Some(10)).is_none());
        assert_eq!(cache.bytes(), 25);
        assert_eq!(files(&folder.path().join("0")), 2, "nothing else is left on the disk");
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_setting_to_change() {
        let (_folder, cache) = cache(30);
        adopt(&cache, "v/a", 20);
        let held = cache.pin("v/a", None).unwrap();
        let error = cache.reserve("v/b", 11).unwrap_err();
        assert!(error.to_string().contains("blobs.cache_bytes"), "{error}");
        drop(held);
        cache.reserve("v/b", 11).unwrap().give_up();
        assert_eq!(cache.bytes(), 0, "a made room, and b was given up");
    }

    #[test]
    fn blocks_of_another_content_are_dropped() {
        let (folder, cache) = cache(1000);
        cache.put_block("v/a", ("one", 10), 0, &Bytes::from_static(b"0123456789"));
        assert_eq!(fs::read(cache.block("v/a", "one", 0).unwrap()).unwrap(), b"0123456789");
        assert_eq!(cache.tag("v/a", 10).as_deref(), Some("one"));
        assert_eq!(cache.tag("v/a", 11), None);
        cache.put_block("v/a", ("two", 10), 1, &Bytes::from_static(b"abc"));
        assert!(cache.block("v/a", "one", 0).is_none() && cache.block("v/a", "two", 0).is_none());
        assert_eq!(cache.bytes(), 3);
        cache.forget("v/a");
        assert_eq!((cache.bytes(), files(&folder.path().join("0"))), (0, 0));
        assert!(cache.lock().objects.is_empty());
    }

    #[test]
    fn each_process_has_a_directory_of_its_own_that_begins_empty() {
        let (folder, first) = cache(1000);
        adopt(&first, "v/a", 10);
        let second = BlobCache::open(folder.path(), 1000).unwrap();
        assert_ne!(first.path_of("v/a"), second.path_of("v/a"));
        let path = first.path_of("v/a");
        assert_eq!(first.key_of(&path).as_deref(), Some("v/a"));
        assert_eq!(second.key_of(&path), None);
        drop(first);
        let third = BlobCache::open(folder.path(), 1000).unwrap();
        assert_eq!(third.path_of("v/a"), path);
        assert!(!path.exists() && third.pin("v/a", None).is_none());
    }
}
