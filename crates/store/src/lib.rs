//! What Belvedere remembers: the queue, the views with their pointers, datasets, snapshots, and blobs.
//!
//! `store` never decides; it records decisions. One method is one transaction with one intention. All times
//! come from the database clock. Two databases stand behind the same traits, side by side under `sqlite/`
//! and `postgres/`, and one contract suite runs on both (`contract/`). Knows nothing of steps or files.
//!
//! To add a query: a method in the family's trait, its SQL under `sqlite/` and `postgres/`, and a test in
//! `contract/`.

pub mod datasets;
pub mod error;
pub mod queue;
pub mod snapshots;
pub mod views;

use std::sync::Arc;

pub use datasets::{DatasetRow, Datasets};
pub use error::StoreError;
pub use queue::{
    ClaimRequest, Completion, DeadJob, Fairness, Finished, NewView, Pulse, Queue, RateLimit, TargetChange, ViewContent,
};
pub use snapshots::{HashRow, Snapshots};
pub use views::{Found, StoredView, Views};

/// Everything behind one URL: `sqlite:PATH` or `postgres://…`.
#[derive(Clone)]
pub struct Store {
    /// Jobs and leases.
    pub queue: Arc<dyn Queue>,
    /// Views and pointers.
    pub views: Arc<dyn Views>,
    /// Datasets with their target and served revisions.
    pub datasets: Arc<dyn Datasets>,
    /// Manifests of revisions and remembered file hashes.
    pub snapshots: Arc<dyn Snapshots>,
}
