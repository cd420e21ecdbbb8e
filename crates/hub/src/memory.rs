//! What a hub has to remember between runs: manifests of revisions, and hashes of files that did not change.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use belvedere_domain::{DatasetName, Manifest, Revision};

/// The failure of whatever stands behind a [`Memory`].
pub type MemoryError = Box<dyn Error + Send + Sync>;

/// The hash of a local file. It holds as long as the four facts about the file do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RememberedHash {
    /// Absolute path.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// Last modification, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Last change of the inode, nanoseconds since 1970.
    pub ctime_ns: i64,
    /// Inode number.
    pub inode: u64,
    /// Hexadecimal SHA-256.
    pub sha256: String,
}

/// A place to remember. Usually the store.
#[async_trait]
pub trait Memory: Send + Sync {
    /// Keeps the manifest of a revision. Keeping it again changes nothing.
    async fn put_manifest(
        &self,
        dataset: &DatasetName,
        revision: &Revision,
        manifest: &Manifest,
    ) -> Result<(), MemoryError>;

    /// The manifest of a revision, if kept.
    async fn manifest(&self, dataset: &DatasetName, revision: &Revision) -> Result<Option<Manifest>, MemoryError>;

    /// The hashes remembered for the files below a folder, or for that file.
    async fn hashes(&self, folder: &str) -> Result<Vec<RememberedHash>, MemoryError>;

    /// Remembers hashes, replacing those of the same paths.
    async fn remember_hashes(&self, hashes: Vec<RememberedHash>) -> Result<(), MemoryError>;
}

/// Remembers until the process ends: for commands that run without a store.
#[derive(Default)]
pub struct ProcessMemory {
    content: Mutex<Content>,
}

#[derive(Default)]
struct Content {
    manifests: HashMap<(DatasetName, Revision), Manifest>,
    hashes: HashMap<String, RememberedHash>,
}

#[async_trait]
impl Memory for ProcessMemory {
    async fn put_manifest(
        &self,
        dataset: &DatasetName,
        revision: &Revision,
        manifest: &Manifest,
    ) -> Result<(), MemoryError> {
        let mut content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        content.manifests.insert((dataset.clone(), revision.clone()), manifest.clone());
        Ok(())
    }

    async fn manifest(&self, dataset: &DatasetName, revision: &Revision) -> Result<Option<Manifest>, MemoryError> {
        let content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(content.manifests.get(&(dataset.clone(), revision.clone())).cloned())
    }

    async fn hashes(&self, folder: &str) -> Result<Vec<RememberedHash>, MemoryError> {
        let content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        let below = |path: &str| path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        Ok(content.hashes.values().filter(|hash| below(&hash.path)).cloned().collect())
    }

    async fn remember_hashes(&self, hashes: Vec<RememberedHash>) -> Result<(), MemoryError> {
        let mut content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        content.hashes.extend(hashes.into_iter().map(|hash| (hash.path.clone(), hash)));
        Ok(())
    }
}
