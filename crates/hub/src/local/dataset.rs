//! What is known of one dataset: its head, its files, and whether a file still is what a revision says.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use belvedere_domain::{FileEntry, Manifest, Revision};

use super::hashing;
use super::scan::{Known, KnownFiles, Look};
use super::walk::{FileIdentity, Seen, SeenFile};
use crate::hub::Head;
use crate::memory::RememberedHash;

/// One dataset.
pub(super) struct Dataset {
    /// Index of its root.
    pub(super) root: usize,
    /// Its folder, or the one file it is.
    pub(super) path: PathBuf,
    /// Held during a scan, so that looks at one folder never overlap.
    pub(super) scanning: tokio::sync::Mutex<Recall>,
    state: Mutex<DatasetState>,
}

/// Whether the hashes of earlier runs have been fetched.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Recall {
    #[default]
    Missing,
    Done,
}

/// What the last look saw.
#[derive(Default)]
pub(super) struct DatasetState {
    /// The newest revision; `None` before the first look and without any file.
    pub(super) head: Option<Snapshot>,
    /// The older revision asked for last: its files are usually asked for one after the other.
    pub(super) older: Option<(Revision, Arc<Manifest>)>,
    pub(super) known: KnownFiles,
    /// Where the files lie, by path.
    pub(super) places: HashMap<String, SeenFile>,
    /// What has to be watched.
    pub(super) folders: Vec<PathBuf>,
    /// What is not served, and why.
    pub(super) refused: Vec<String>,
    /// Whether a look was ever completed.
    pub(super) was_scanned: bool,
}

impl DatasetState {
    /// Whether a look that sees these files learns nothing: all of them, and no others, are the files of the head, hashed, and
    /// as they were then.
    fn is_of(&self, seen: &Seen) -> bool {
        let Some(Snapshot { manifest, .. }) = self.head.as_ref().filter(|_| self.was_scanned) else { return false };
        let is_known = |(entry, file): (&FileEntry, &SeenFile)| {
            let known = self.known.get(&file.path);
            entry.path == file.path
                && self.places.get(&file.path) == Some(file)
                && known.is_some_and(|known| {
                    known.identity == file.identity
                        && !known.wants_hash()
                        && known.content_id() == Some(&entry.content_id)
                })
        };
        // Both are sorted by path.
        manifest.files.len() == seen.files.len() && manifest.files.iter().zip(&seen.files).all(is_known)
    }
}

/// A head with its files.
#[derive(Clone)]
pub(super) struct Snapshot {
    pub(super) head: Head,
    pub(super) manifest: Arc<Manifest>,
}

impl Dataset {
    pub(super) fn new(root: usize, path: PathBuf) -> Self {
        Self { root, path, scanning: tokio::sync::Mutex::default(), state: Mutex::default() }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, DatasetState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over the hashes of earlier runs.
    pub(super) fn recall(&self, rows: Vec<RememberedHash>) {
        let known = rows.into_iter().filter_map(|row| {
            let path = Path::new(&row.path);
            let below = path.strip_prefix(&self.path).ok()?;
            let name = if below.as_os_str().is_empty() { Path::new(path.file_name()?) } else { below };
            let (size, mtime_ns, ctime_ns, inode) = (row.size, row.mtime_ns, row.ctime_ns, row.inode);
            let identity = FileIdentity { size, mtime_ns, ctime_ns, inode };
            Some((name.to_str()?.to_owned(), Known { sha256: Some(row.sha256), ..Known::new(identity) }))
        });
        self.state().known.extend(known);
    }

    /// A hash to remember, under the path in the dataset: for links that is not where the file lies.
    pub(super) fn row(&self, file: &SeenFile, sha256: &str) -> RememberedHash {
        let FileIdentity { size, mtime_ns, ctime_ns, inode } = file.identity;
        let path = if file.local_path == self.path { self.path.clone() } else { self.path.join(&file.path) };
        let path = path.to_string_lossy().into_owned();
        RememberedHash { path, size, mtime_ns, ctime_ns, inode, sha256: sha256.to_owned() }
    }

    /// Whether nothing has changed since the last look, as far as these files tell; their folders are taken over then.
    pub(super) fn is_unchanged(&self, seen: &Seen) -> bool {
        let mut state = self.state();
        let unchanged = state.is_of(seen) && state.refused == seen.refused;
        if unchanged {
            state.folders.clone_from(&seen.folders);
        }
        unchanged
    }

    /// Takes over what a look saw. Without a manifest, what was known of the files stays known.
    pub(super) fn learn(&self, look: Look) {
        let mut state = self.state();
        for reason in look.refused.iter().filter(|reason| !state.refused.contains(reason)) {
            tracing::info!(folder = %self.path.display(), "not served: {reason}");
        }
        state.folders = look.folders;
        state.refused = look.refused;
        if look.manifest.is_some() {
            state.was_scanned = true;
            state.known = look.known;
            state.places = look.places;
        } else {
            state.known.extend(look.known);
        }
    }

    /// Files with provisional ids that nobody has tried to hash in vain.
    pub(super) fn unhashed(&self) -> Vec<SeenFile> {
        let state = self.state();
        let wanting = |file: &&SeenFile| {
            state.known.get(&file.path).is_some_and(|known| known.identity == file.identity && known.wants_hash())
        };
        state.places.values().filter(wanting).cloned().collect()
    }

    /// The file of an entry, if what lies there now has the entry's content.
    pub(super) fn unchanged(&self, entry: &FileEntry) -> Option<SeenFile> {
        let (place, identity_of_content) = {
            let state = self.state();
            let known = state.known.get(&entry.path)?;
            let same_content = |id: &Option<String>| id.as_ref() == Some(&entry.content_id);
            let has_content = same_content(&known.sha256) || same_content(&known.provisional);
            (state.places.get(&entry.path).cloned()?, has_content.then_some(known.identity))
        };
        let identity = FileIdentity::of(&fs::metadata(&place.local_path).ok()?);
        let file = SeenFile { identity, ..place };
        if identity_of_content == Some(identity) {
            return Some(file);
        }
        // A provisional id of an earlier run is cheap to make again.
        let is_provisional = !entry.is_hashed() && identity.size == entry.size;
        (is_provisional && hashing::provisional(&file).ok().flatten().as_ref() == Some(&entry.content_id))
            .then_some(file)
    }
}
