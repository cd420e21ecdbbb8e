//! What Belvedere remembers: the queue, the views with their pointers, datasets, snapshots, tasks, users, and blobs.
//!
//! `store` never decides; it records decisions. One method is one transaction with one intention. All times
//! come from the database clock. Two databases stand behind the same traits, side by side under `sqlite/`
//! and `postgres/`, and one contract suite runs on both (`contract/`). Knows nothing of steps or files.
//!
//! To add a query: a method in the family's trait, its SQL under `sqlite/` and `postgres/`, and a test in
//! `contract/`.

pub mod blobs;
pub mod datasets;
pub mod error;
pub mod history;
pub mod housekeeping;
pub mod queue;
pub mod reports;
pub mod snapshots;
pub mod tasks;
pub mod users;
pub mod views;

mod changes;
mod codec;
mod portable;
mod postgres;
mod sqlite;

use std::path::Path;
use std::sync::Arc;

pub use blobs::{BlobCache, BlobHead, BlobReader, Blobs, Fetched, ReadError, S3, S3Identity};
pub use datasets::{DatasetRow, Datasets};
pub use error::StoreError;
pub use history::{Ending, History, Run};
pub use housekeeping::{Duty, DutyRow, Housekeeping};
pub use queue::{
    ClaimRequest, Completion, DeadJob, Fairness, Finished, NewView, Pulse, Queue, RateLimit, TargetChange, ViewContent,
};
pub use reports::{ArtifactCount, JobCount, JobDetail, Leftovers, Report, Reports};
pub use snapshots::{HashRow, Snapshots};
pub use tasks::Tasks;
pub use users::{NewToken, NewUser, UserChange, Users};
pub use views::{Found, StoredView, Views};

use changes::Changes;

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
    /// What processes agree on.
    pub housekeeping: Arc<dyn Housekeeping>,
    /// What operators ask and change.
    pub reports: Arc<dyn Reports>,
    /// Tasks of users on clusters.
    pub tasks: Arc<dyn Tasks>,
    /// Users, tokens and sessions.
    pub users: Arc<dyn Users>,
    /// How the last runs of jobs ended.
    pub history: Arc<dyn History>,
    changes: Changes,
}

impl Store {
    /// Opens a database by its URL and brings its schema up to date. A SQLite file is made when missing.
    ///
    /// # Errors
    /// [`StoreError::Url`] for other schemes, [`StoreError::InUse`] when another process owns the SQLite file,
    /// [`StoreError::NewerSchema`], and whatever the database says.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        if let Some(path) = url.strip_prefix("sqlite:").filter(|path| !path.is_empty()) {
            let path = path.strip_prefix("//").unwrap_or(path).to_owned();
            let opened = tokio::task::spawn_blocking(move || sqlite::Sqlite::open(Path::new(&path)));
            let sqlite = opened.await.map_err(StoreError::unavailable)??;
            let changes = Changes::Counted(sqlite.changes());
            Ok(Self::of(Arc::new(sqlite), changes))
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let postgres = postgres::Postgres::connect(url).await?;
            let changes = Changes::Seen(postgres.looks());
            Ok(Self::of(Arc::new(postgres), changes))
        } else {
            Err(StoreError::Url(url.to_owned()))
        }
    }

    fn of<T>(database: Arc<T>, changes: Changes) -> Self
    where
        T: Queue + Views + Datasets + Snapshots + Housekeeping + Reports + Tasks + Users + History + 'static,
    {
        Self {
            queue: database.clone(),
            views: database.clone(),
            datasets: database.clone(),
            snapshots: database.clone(),
            housekeeping: database.clone(),
            reports: database.clone(),
            tasks: database.clone(),
            users: database.clone(),
            history: database,
            changes,
        }
    }
}
