//! Files of a Hub on this machine, by what they contain, within a bound.
//!
//! Each process has a directory of its own, locked while it lives. Whole files stay there for the next run, and so do the
//! beginnings of downloads; what was used longest ago goes when room is needed. A file in use cannot go: the one that uses it may open it
//! again a little later.

use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// Processes that can share the parent directory.
const MAX_PROCESSES: u32 = 64;
/// Suffix of downloads that are not complete.
const PART: &str = "part";

/// Files, bounded by the bytes they take.
#[derive(Debug)]
pub(super) struct Cache {
    folder: PathBuf,
    max_bytes: u64,
    /// How long a file counts as in use after it was asked for.
    in_use: Duration,
    clock: fn() -> SystemTime,
    kept: Mutex<Kept>,
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    _lock: File,
}

#[derive(Debug, Default)]
struct Kept {
    files: HashMap<String, Entry>,
    bytes: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    bytes: u64,
    used_at: SystemTime,
}

/// Why there is no room for a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum NoRoom {
    /// It is larger than the whole cache.
    #[error("{size} bytes exceed the cache of {max_bytes} bytes; make `remote.cache_bytes` larger")]
    Never {
        /// Its size.
        size: u64,
        /// The bound.
        max_bytes: u64,
    },
    /// The files in use take the room.
    #[error("the cache of {max_bytes} bytes is full of files in use; make `remote.cache_bytes` larger")]
    Now {
        /// The bound.
        max_bytes: u64,
    },
}

impl Cache {
    /// A cache in `parent` of at most `max_bytes`.
    ///
    /// # Errors
    /// When the directory cannot be made or read.
    pub(super) fn open(parent: &Path, max_bytes: u64, in_use: Duration, clock: fn() -> SystemTime) -> io::Result<Self> {
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
            fs::create_dir_all(&folder)?;
            super::parts::forget(&folder)?;
            let kept = Mutex::new(found(&folder)?);
            let cache = Self { folder, max_bytes, in_use, clock, kept, turns: Mutex::default(), _lock: lock };
            // The bound may be lower than it was.
            let _ = cache.make_room(&mut cache.kept(), 0);
            return Ok(cache);
        }
        Err(io::Error::other("too many processes share the directory"))
    }

    /// Where the content lies once it is complete.
    pub(super) fn path(&self, key: &str) -> PathBuf {
        self.folder.join(key)
    }

    /// Where it lies before.
    pub(super) fn part(&self, key: &str) -> PathBuf {
        self.folder.join(format!("{key}.{PART}"))
    }

    /// The complete content, from now on in use; `None` when it is not here.
    pub(super) fn find(&self, key: &str, size: u64) -> Option<PathBuf> {
        let path = self.path(key);
        let is_whole = fs::metadata(&path).is_ok_and(|metadata| metadata.len() == size);
        let mut kept = self.kept();
        if !is_whole {
            return None;
        }
        let entry = Entry { bytes: size, used_at: (self.clock)() };
        kept.put(key, entry);
        Some(path)
    }

    /// Makes room for content that is about to come, and counts it as if it were here.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub(super) fn reserve(&self, key: &str, size: u64) -> Result<(), NoRoom> {
        let mut kept = self.kept();
        kept.take(key);
        self.make_room(&mut kept, size)?;
        kept.put(key, Entry { bytes: size, used_at: (self.clock)() });
        Ok(())
    }

    /// Counts content that is here in parts: so many bytes by now.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub(super) fn grow(&self, key: &str, bytes: u64) -> Result<(), NoRoom> {
        let mut kept = self.kept();
        let here = kept.files.get(key).map_or(0, |entry| entry.bytes);
        // In use, so that making room does not take it.
        kept.put(key, Entry { bytes: here, used_at: (self.clock)() });
        self.make_room(&mut kept, bytes.saturating_sub(here))?;
        kept.put(key, Entry { bytes, used_at: (self.clock)() });
        Ok(())
    }

    /// Notes that content is in use.
    pub(super) fn touch(&self, key: &str) {
        if let Some(entry) = self.kept().files.get_mut(key) {
            entry.used_at = (self.clock)();
        }
    }

    /// Forgets what will not come.
    pub(super) fn give_up(&self, key: &str) {
        self.kept().take(key);
        self.remove(key);
    }

    /// Waits for one's turn with some content: it is downloaded by one at a time.
    pub(super) async fn turn(&self, key: &str) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(turns.entry(key.to_owned()).or_default())
        };
        turn.lock_owned().await
    }

    fn make_room(&self, kept: &mut Kept, size: u64) -> Result<(), NoRoom> {
        let max_bytes = self.max_bytes;
        if size > max_bytes {
            return Err(NoRoom::Never { size, max_bytes });
        }
        if kept.bytes + size <= max_bytes {
            return Ok(());
        }
        let now = (self.clock)();
        let mut idle: Vec<(SystemTime, String)> = kept
            .files
            .iter()
            .filter(|(_, entry)| now.duration_since(entry.used_at).unwrap_or_default() >= self.in_use)
            .map(|(key, entry)| (entry.used_at, key.clone()))
            .collect();
        idle.sort();
        for (_, key) in idle {
            kept.take(&key);
            self.remove(&key);
            if kept.bytes + size <= max_bytes {
                return Ok(());
            }
        }
        Err(NoRoom::Now { max_bytes })
    }

    fn remove(&self, key: &str) {
        for path in [self.path(key), self.part(key)] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(path = %path.display(), %error, "a downloaded file is left over");
                }
                _ => {}
            }
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn put(&mut self, key: &str, entry: Entry) {
        self.take(key);
        self.bytes += entry.bytes;
        self.files.insert(key.to_owned(), entry);
    }

    fn take(&mut self, key: &str) {
        if let Some(entry) = self.files.remove(key) {
            self.bytes -= entry.bytes;
        }
    }
}

/// What an earlier process has left, none of it in use.
fn found(folder: &Path) -> io::Result<Kept> {
    let mut kept = Kept::default();
    for file in fs::read_dir(folder)? {
        let file = file?;
        let (name, metadata) = (file.file_name(), file.metadata()?);
        let Some(name) = name.to_str() else { continue };
        let key = name.strip_suffix(PART).and_then(|name| name.strip_suffix('.')).unwrap_or(name);
        // Old enough for anything, in the order in which they came.
        let age = SystemTime::now().duration_since(metadata.modified()?).unwrap_or_default();
        let used_at = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 30).saturating_sub(age);
        kept.put(key, Entry { bytes: metadata.len(), used_at });
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    static NOW: AtomicU64 = AtomicU64::new(2_000_000_000);

    fn clock() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(NOW.load(Ordering::Relaxed))
    }

    fn open(folder: &Path) -> Cache {
        Cache::open(folder, 10, Duration::from_secs(60), clock).unwrap()
    }

    fn put(cache: &Cache, key: &str, size: usize) -> Result<(), NoRoom> {
        cache.reserve(key, size as u64)?;
        fs::write(cache.path(key), vec![0; size]).unwrap();
        Ok(())
    }

    #[test]
    fn the_longest_unused_goes_and_what_is_in_use_stays() {
        let folder = tempfile::tempdir().unwrap();
        let cache = open(folder.path());
        put(&cache, "a", 4).unwrap();
        put(&cache, "b", 4).unwrap();
        assert_eq!(put(&cache, "c", 4), Err(NoRoom::Now { max_bytes: 10 }));
        assert_eq!(put(&cache, "c", 11), Err(NoRoom::Never { size: 11, max_bytes: 10 }));
        NOW.fetch_add(60, Ordering::Relaxed);
        assert!(cache.find("a", 4).is_some());
        put(&cache, "c", 4).unwrap();
        assert_eq!((cache.find("a", 4).is_some(), cache.find("b", 4)), (true, None));
        assert!(!cache.path("b").exists());
        drop(cache);
        // Another run finds what is there and may drop it.
        let cache = open(folder.path());
        assert!(cache.find("a", 4).is_some() && cache.find("a", 5).is_none());
        put(&cache, "d", 6).unwrap();
        assert!(cache.find("c", 4).is_none() && cache.find("a", 4).is_some());
    }

    #[test]
    fn processes_have_directories_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (open(folder.path()), open(folder.path()));
        assert_ne!(one.path("a"), other.path("a"));
    }
}
