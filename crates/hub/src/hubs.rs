//! Folders of this machine and a Hub elsewhere, side by side.
//!
//! A name decides where its dataset comes from, whatever is there: names in the namespace of a folder are those of the
//! folder, all others those of the Hub. So nobody elsewhere can put a dataset in place of one here, and nothing here hides
//! one there without saying so by its namespace.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use belvedere_domain::{DatasetName, Manifest, Revision};
use bytes::Bytes;
use tokio::sync::broadcast;

use crate::hub::{Head, Hub, HubError, HubEvent, LocatedFile, Origin, Reading};
use crate::local::LocalHub;
use crate::remote::RemoteHub;

/// Both sources of datasets.
pub struct Hubs {
    folders: Arc<LocalHub>,
    remote: Arc<RemoteHub>,
}

impl Hubs {
    /// The folders, and the Hub for all names that are not theirs. The news of both are those of the folders.
    pub fn new(folders: Arc<LocalHub>, remote: RemoteHub) -> Self {
        let remote = Arc::new(remote.with_events(folders.events().clone()));
        Self { folders, remote }
    }

    fn of(&self, dataset: &DatasetName) -> &dyn Hub {
        match self.origin(dataset) {
            Origin::Folders => self.folders.as_ref(),
            Origin::Remote => self.remote.as_ref(),
        }
    }
}

#[async_trait]
impl Hub for Hubs {
    async fn datasets(&self) -> Result<Vec<DatasetName>, HubError> {
        self.folders.datasets().await
    }

    async fn head(&self, dataset: &DatasetName) -> Result<Option<Head>, HubError> {
        self.of(dataset).head(dataset).await
    }

    async fn manifest(&self, dataset: &DatasetName, revision: &Revision) -> Result<Manifest, HubError> {
        self.of(dataset).manifest(dataset, revision).await
    }

    async fn locate(&self, dataset: &DatasetName, revision: &Revision, path: &str) -> Result<LocatedFile, HubError> {
        self.of(dataset).locate(dataset, revision, path).await
    }

    async fn read(
        &self,
        dataset: &DatasetName,
        revision: &Revision,
        path: &str,
        range: Range<u64>,
    ) -> Result<Bytes, HubError> {
        self.of(dataset).read(dataset, revision, path, range).await
    }

    async fn look_again(&self, dataset: &DatasetName) {
        self.of(dataset).look_again(dataset).await;
    }

    async fn look(&self, dataset: &DatasetName) -> Result<(), HubError> {
        self.of(dataset).look(dataset).await
    }

    async fn bring(&self, local_path: &Path, range: Range<u64>, reading: Reading) -> Result<(), HubError> {
        self.remote.bring(local_path, range, reading).await
    }

    async fn complete(&self, local_path: &Path) -> Result<Option<LocatedFile>, HubError> {
        self.remote.complete(local_path).await
    }

    fn origin(&self, dataset: &DatasetName) -> Origin {
        if self.folders.owns(dataset) { Origin::Folders } else { Origin::Remote }
    }

    async fn known_head(&self, dataset: &DatasetName) -> Result<Option<Head>, HubError> {
        self.of(dataset).known_head(dataset).await
    }

    fn subscribe(&self) -> broadcast::Receiver<HubEvent> {
        self.folders.subscribe()
    }
}
