//! Datasets with their two revisions: the target, to which work is planned, and the served one, which readers see.

use async_trait::async_trait;
use belvedere_domain::{DatasetName, Digest, Revision, Timestamp};

use crate::StoreError;

/// A dataset.
#[derive(Clone, PartialEq, Debug)]
pub struct DatasetRow {
    /// Its name.
    pub name: DatasetName,
    /// The revision that jobs work towards.
    pub target: Revision,
    /// When the target was set.
    pub target_since: Timestamp,
    /// The revision that readers see; `None` until the first answer set is complete.
    pub served: Option<Revision>,
    /// Jobs that wait or run for it.
    pub pending_jobs: u64,
    /// Views stored as errors at the target revision.
    pub errors: u64,
    /// Its card says that it is not for everybody.
    pub restricted: bool,
}

/// Datasets.
#[async_trait]
pub trait Datasets: Send + Sync {
    /// One dataset.
    async fn get(&self, name: &DatasetName) -> Result<Option<DatasetRow>, StoreError>;

    /// All datasets by name.
    async fn list(&self) -> Result<Vec<DatasetRow>, StoreError>;

    /// Serves a revision from now on, whatever is pending: its predecessor's files are gone.
    async fn serve(&self, name: &DatasetName, revision: &Revision) -> Result<(), StoreError>;

    /// Moves a dataset to a revision for which everything stored for another one holds as well, without any work. Only
    /// if that one is served and the target, nothing is pending, and nothing is stored for the new one; else `false`, and
    /// nothing is done.
    async fn adopt(&self, name: &DatasetName, from: &Revision, to: &Revision) -> Result<bool, StoreError>;

    /// Notes whether the card of a dataset says that it is not for everybody, for servers that do not have its files.
    async fn restrict(&self, name: &DatasetName, restricted: bool) -> Result<(), StoreError>;

    /// Deletes a dataset with its pointers, its waiting jobs and the views nobody else points at. Started jobs will
    /// find themselves superseded. Returns the digests dropped.
    async fn delete(&self, name: &DatasetName) -> Result<Vec<Digest>, StoreError>;
}
