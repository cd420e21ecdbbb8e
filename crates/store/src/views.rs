//! Views under their digests, and the pointers from (dataset, revision, config, split, step) to them.

use async_trait::async_trait;
use belvedere_domain::plan::ArtifactRow;
use belvedere_domain::{ArtifactKey, DatasetName, Digest, Revision, Timestamp, View};

use crate::StoreError;

/// A view as stored.
#[derive(Clone, PartialEq, Debug)]
pub struct StoredView {
    /// Digest of its inputs.
    pub digest: Digest,
    /// The result.
    pub view: View,
    /// Version of the step's code that made it.
    pub runner_version: u32,
    /// Seconds the job had run when the result was there.
    pub duration_seconds: f64,
}

impl StoredView {
    /// True for a view that is to be made again though nothing it was made from has changed ([`Views::outdate`]).
    pub fn is_outdated(&self) -> bool {
        self.runner_version == OUTDATED
    }
}

/// The version of code that no step has: plans find views of it obsolete.
const OUTDATED: u32 = 0;

/// What a pointer leads to.
#[derive(Clone, PartialEq, Debug)]
pub struct Found {
    /// Which artifact.
    pub key: ArtifactKey,
    /// The revision of the pointer: what `X-Revision` says.
    pub revision: Revision,
    /// The view.
    pub stored: StoredView,
    /// When the pointer was last written.
    pub updated_at: Timestamp,
    /// Failures stored for this artifact at this revision.
    pub failed_runs: u32,
}

/// Views and pointers.
#[async_trait]
pub trait Views: Send + Sync {
    /// The view that a reader gets now. With a revision: that one or nothing. Without: the served revision's; but
    /// while nothing is served, or the target was set longer than `patience_seconds` ago or is already superseded
    /// work in progress, the target's if it has one, else the served one's; until patience ends, an incomplete one of
    /// the target only if the served revision has none.
    async fn read(
        &self,
        key: &ArtifactKey,
        revision: Option<&Revision>,
        patience_seconds: f64,
    ) -> Result<Option<Found>, StoreError>;

    /// The views of many keys at exactly one revision, in the order asked: what a job reads of its parents.
    async fn at_revision(&self, keys: &[ArtifactKey], revision: &Revision) -> Result<Vec<Option<Found>>, StoreError>;

    /// The view of a digest, whoever points at it.
    async fn by_digest(&self, digest: &Digest) -> Result<Option<StoredView>, StoreError>;

    /// One row per artifact of a dataset: the target revision's if stored, else the served one's.
    async fn rows(&self, dataset: &DatasetName) -> Result<Vec<ArtifactRow>, StoreError>;

    /// True if anything is stored for the dataset.
    async fn has_any(&self, dataset: &DatasetName) -> Result<bool, StoreError>;

    /// Marks successful views as [outdated](StoredView::is_outdated): they are read as before until somebody makes them again
    /// under the same digest. `lost`: because files of theirs are gone, which counts as a failed run of each artifact that
    /// they belong to. Errors, and views that are outdated already, stay as they are. Returns how many were marked.
    async fn outdate(&self, digests: &[Digest], lost: bool) -> Result<usize, StoreError>;

    /// Drops pointers of revisions that are neither target, served, nor among the newest `keep` of their dataset, then
    /// the views nobody points at. Returns the digests dropped, so that their blobs can go too.
    async fn retire(&self, dataset: &DatasetName, keep: u32) -> Result<Vec<Digest>, StoreError>;
}
