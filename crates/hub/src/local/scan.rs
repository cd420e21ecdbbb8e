//! One look at a dataset's folder: which files there are, what they contain, and the revision that makes.
//!
//! Content ids of unchanged files are known; of the others, the smallest are hashed at once up to a limit, and the
//! rest gets provisional ids, to be hashed later by [`hash_rest`]. A folder in which nothing changed costs no more than its
//! names and times. Knows nothing of events or of other datasets.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use belvedere_domain::{FileEntry, Manifest};

use super::LocalOptions;
use super::hashing::{in_parallel, provisional, sha256};
use super::walk::{FileIdentity, Seen, SeenFile};

/// What is known of a file's content, as long as its identity holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Known {
    pub(super) identity: FileIdentity,
    pub(super) sha256: Option<String>,
    pub(super) provisional: Option<String>,
    /// The whole file could not be read, though its samples could.
    pub(super) given_up: bool,
}

impl Known {
    pub(super) fn new(identity: FileIdentity) -> Self {
        Self { identity, sha256: None, provisional: None, given_up: false }
    }

    /// True while only the provisional id is known.
    pub(super) fn wants_hash(&self) -> bool {
        self.sha256.is_none() && !self.given_up
    }

    /// The best content id.
    pub(super) fn content_id(&self) -> Option<&String> {
        self.sha256.as_ref().or(self.provisional.as_ref())
    }
}

/// What is known of the files of a dataset, by their paths in it.
pub(super) type KnownFiles = HashMap<String, Known>;

/// What one look saw.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// `None` when files are still being written.
    pub(super) manifest: Option<Manifest>,
    /// What is known now of every file there is.
    pub(super) known: KnownFiles,
    /// Paths of the files whose hash is new.
    pub(super) hashed: Vec<String>,
    /// Where each file of the manifest lies.
    pub(super) places: HashMap<String, SeenFile>,
    /// When to look again, if files are still being written.
    pub(super) again_at: Option<SystemTime>,
    /// Every folder of the dataset: what has to be watched.
    pub(super) folders: Vec<std::path::PathBuf>,
    /// What was refused, and why.
    pub(super) refused: Vec<String>,
    /// Last modification of the youngest file, nanoseconds since 1970.
    pub(super) last_modified_ns: i64,
}

/// A look to be taken.
pub(super) struct LookRequest<'a> {
    /// The files there are.
    pub(super) seen: Seen,
    /// What is known of them.
    pub(super) known: KnownFiles,
    /// The manifest of the last look.
    pub(super) previous: Option<&'a Manifest>,
    /// The time.
    pub(super) now: SystemTime,
    /// Files that are still being written are passed over instead of waited for: they keep their entry in
    /// `previous`, or have none.
    pub(super) patience_lost: bool,
}

/// How content is read.
#[derive(Clone, Copy)]
pub(super) struct Reading<'a> {
    pub(super) threads: usize,
    /// Gets the bytes done and the bytes to do.
    pub(super) progress: &'a (dyn Fn(u64, u64) + Sync),
    /// Set when the program ends.
    pub(super) stop: &'a AtomicBool,
}

/// Looks at the files of a folder.
pub(super) fn look(request: LookRequest<'_>, options: &LocalOptions, reading: Reading<'_>) -> Look {
    let LookRequest { seen, mut known, previous, now, patience_lost } = request;
    let mut look = Look { folders: seen.folders, refused: seen.refused, ..Look::default() };
    look.last_modified_ns = seen.files.iter().map(|file| file.identity.mtime_ns).max().unwrap_or_default();

    let mut entries: Vec<FileEntry> = Vec::with_capacity(seen.files.len());
    let paths: Vec<String> = seen.files.iter().map(|file| file.path.clone()).collect();
    let mut unknown: Vec<SeenFile> = Vec::new();
    let mut being_written: Vec<SeenFile> = Vec::new();
    for file in seen.files {
        let unchanged = known.remove(&file.path).filter(|known| known.identity == file.identity);
        match unchanged {
            Some(known) if !known.wants_hash() => {
                look.known.insert(file.path.clone(), known);
            }
            Some(known) => {
                look.known.insert(file.path.clone(), known);
                unknown.push(file.clone());
            }
            None if is_being_written(&file, options.quiet, now) => being_written.push(file.clone()),
            None => unknown.push(file.clone()),
        }
        look.places.insert(file.path.clone(), file);
    }
    if let Some(latest) = being_written.iter().map(|file| time_of(file.identity.mtime_ns) + options.quiet).max() {
        look.again_at = Some(latest);
        if !patience_lost {
            // Nothing is read yet; what was known of other files stays known.
            for file in &being_written {
                look.places.remove(&file.path);
            }
            return look;
        }
    }
    if let Some(changed_at) = identify(&unknown, &mut look, options, reading) {
        look.again_at = Some(look.again_at.unwrap_or(now).max(now + options.quiet));
        if !patience_lost {
            return look;
        }
        being_written.extend(changed_at);
    }
    for file in &being_written {
        look.places.remove(&file.path);
        entries.extend(previous.and_then(|previous| previous.get(&file.path)).cloned());
    }
    for path in paths {
        let Some(file) = look.places.get(&path) else { continue };
        if let Some(content_id) = look.known.get(&path).and_then(Known::content_id) {
            entries.push(FileEntry { path, size: file.identity.size, content_id: content_id.clone() });
        }
    }
    look.manifest = Some(Manifest::new(entries));
    look
}

/// Gives every unknown file an id: the smallest their hash, as long as all of them stay within the limit, the others
/// a provisional one. Returns the files that changed meanwhile, if any did.
fn identify(
    unknown: &[SeenFile],
    look: &mut Look,
    options: &LocalOptions,
    reading: Reading<'_>,
) -> Option<Vec<SeenFile>> {
    let mut by_size: Vec<&SeenFile> = unknown.iter().collect();
    by_size.sort_by_key(|file| file.identity.size);
    let mut total = 0_u64;
    let fits = |file: &&&SeenFile| {
        total = total.saturating_add(file.identity.size);
        total <= options.hash_at_once_bytes
    };
    let at_once = by_size.iter().take_while(fits).count();
    let (small, large) = by_size.split_at(at_once);
    let mut changed = Vec::new();
    for (file, hash) in small.iter().zip(hash_all(small, reading)) {
        match hash {
            Ok(Some(sha256)) => {
                let known = Known {
                    sha256: Some(sha256),
                    provisional: provisional_of(look, file),
                    ..Known::new(file.identity)
                };
                look.known.insert(file.path.clone(), known);
                look.hashed.push(file.path.clone());
            }
            Ok(None) => changed.push((*file).clone()),
            Err(error) => refuse(look, file, &error),
        }
    }
    let large: Vec<&SeenFile> = large.iter().copied().filter(|file| provisional_of(look, file).is_none()).collect();
    for (file, id) in large.iter().zip(in_parallel(&large, reading.threads, |file| provisional(file))) {
        match id {
            Ok(Some(id)) => {
                let known = Known { provisional: Some(id), ..Known::new(file.identity) };
                look.known.insert(file.path.clone(), known);
            }
            Ok(None) => changed.push((*file).clone()),
            Err(error) => refuse(look, file, &error),
        }
    }
    (!changed.is_empty()).then_some(changed)
}

/// A file that cannot be read is left out and reported; the others are served.
fn refuse(look: &mut Look, file: &SeenFile, error: &io::Error) {
    look.places.remove(&file.path);
    look.refused.push(format!("{}: {error}", file.path));
}

fn provisional_of(look: &Look, file: &SeenFile) -> Option<String> {
    look.known.get(&file.path).and_then(|known| known.provisional.clone())
}

/// Hashes files that have provisional ids only. A changed file has no hash.
pub(super) fn hash_rest(files: Vec<SeenFile>, reading: Reading<'_>) -> Vec<(SeenFile, io::Result<Option<String>>)> {
    let hashes = hash_all(&files.iter().collect::<Vec<_>>(), reading);
    files.into_iter().zip(hashes).collect()
}

fn hash_all(files: &[&SeenFile], reading: Reading<'_>) -> Vec<io::Result<Option<String>>> {
    let total: u64 = files.iter().map(|file| file.identity.size).sum();
    let done = AtomicU64::new(0);
    // Some hundred reports are enough for any progress bar.
    let step = (total / 200).max(8 << 20);
    let report = |bytes: u64| {
        let before = done.fetch_add(bytes, Ordering::Relaxed);
        if before / step != (before + bytes) / step {
            (reading.progress)(before + bytes, total);
        }
    };
    in_parallel(files, reading.threads, |file| sha256(file, reading.stop, &report))
}

/// Modified less than `quiet` ago. A time in the future is not waited for.
fn is_being_written(file: &SeenFile, quiet: Duration, now: SystemTime) -> bool {
    let modified = time_of(file.identity.mtime_ns);
    now < modified + quiet && modified <= now + quiet
}

fn time_of(nanoseconds: i64) -> SystemTime {
    match u64::try_from(nanoseconds) {
        Ok(nanoseconds) => UNIX_EPOCH + Duration::from_nanos(nanoseconds),
        Err(_) => UNIX_EPOCH,
    }
}
