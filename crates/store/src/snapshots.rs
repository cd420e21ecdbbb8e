//! Manifests of revisions, and remembered file hashes so that unchanged files are not read again.

use std::collections::HashMap;
use std::ops::Range;

use async_trait::async_trait;
use belvedere_domain::{DatasetName, Manifest, Revision};

use crate::StoreError;

/// The remembered hash of a local file. It holds as long as the four facts about the file do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HashRow {
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

/// Manifests, hashes and segments.
#[async_trait]
pub trait Snapshots: Send + Sync {
    /// Stores the manifest of a revision. Storing it again changes nothing.
    async fn put_manifest(
        &self,
        dataset: &DatasetName,
        revision: &Revision,
        manifest: &Manifest,
    ) -> Result<(), StoreError>;

    /// The manifest of a revision.
    async fn manifest(&self, dataset: &DatasetName, revision: &Revision) -> Result<Option<Manifest>, StoreError>;

    /// The hashes remembered for files below a folder, by path.
    async fn hashes(&self, folder: &str) -> Result<HashMap<String, HashRow>, StoreError>;

    /// Remembers hashes, replacing those of the same paths.
    async fn remember_hashes(&self, rows: Vec<HashRow>) -> Result<(), StoreError>;

    /// Remembers where the rows of one input file were written: opaque JSON under the segment's key.
    async fn put_segments(&self, segments: Vec<(String, String)>) -> Result<(), StoreError>;

    /// The remembered segments among these keys.
    async fn segments(&self, keys: &[String]) -> Result<HashMap<String, String>, StoreError>;
}

/// The range of paths below a folder, in byte order: `/` is followed by `0`.
pub(crate) fn below(folder: &str) -> Range<String> {
    let folder = folder.trim_end_matches('/');
    format!("{folder}/")..format!("{folder}0")
}
