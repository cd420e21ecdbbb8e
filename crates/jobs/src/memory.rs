//! The Hub's memory, kept in the store: manifests of revisions and hashes of files.

use std::sync::Arc;

use async_trait::async_trait;
use belvedere_domain::{DatasetName, Manifest, Revision};
use belvedere_hub::{Memory, MemoryError, RememberedHash};
use belvedere_store::{HashRow, Snapshots};

/// Remembers in the store.
pub struct StoreMemory(pub Arc<dyn Snapshots>);

#[async_trait]
impl Memory for StoreMemory {
    async fn put_manifest(
        &self,
        dataset: &DatasetName,
        revision: &Revision,
        manifest: &Manifest,
    ) -> Result<(), MemoryError> {
        Ok(self.0.put_manifest(dataset, revision, manifest).await?)
    }

    async fn manifest(&self, dataset: &DatasetName, revision: &Revision) -> Result<Option<Manifest>, MemoryError> {
        Ok(self.0.manifest(dataset, revision).await?)
    }

    async fn hashes(&self, folder: &str) -> Result<Vec<RememberedHash>, MemoryError> {
        let hash = |HashRow { path, size, mtime_ns, ctime_ns, inode, sha256 }| RememberedHash {
            path,
            size,
            mtime_ns,
            ctime_ns,
            inode,
            sha256,
        };
        Ok(self.0.hashes(folder).await?.into_values().map(hash).collect())
    }

    async fn remember_hashes(&self, hashes: Vec<RememberedHash>) -> Result<(), MemoryError> {
        let row = |RememberedHash { path, size, mtime_ns, ctime_ns, inode, sha256 }| HashRow {
            path,
            size,
            mtime_ns,
            ctime_ns,
            inode,
            sha256,
        };
        Ok(self.0.remember_hashes(hashes.into_iter().map(row).collect()).await?)
    }
}
