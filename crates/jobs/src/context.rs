//! What all jobs share.

use std::sync::Arc;

use belvedere_domain::{ArtifactKey, DatasetName, Graph, Revision};
use belvedere_store::{Blobs, Store, StoreError};

use crate::call::Caller;
use crate::files::Files;
use crate::settings::Settings;

/// Services of a process, passed as a value.
pub struct Services {
    /// The database.
    pub store: Store,
    /// Converted files and assets.
    pub blobs: Blobs,
    /// The files of datasets.
    pub files: Files,
    /// The graph of all steps.
    pub graph: Arc<Graph>,
    /// Settings.
    pub settings: Settings,
    /// Reads anybody's files, behind limits.
    pub children: Arc<dyn Caller>,
    /// Reads files that we wrote.
    pub trusted: Arc<dyn Caller>,
}

impl Services {
    /// True for a revision of which anything is stored: every job chain begins with a view of its root.
    ///
    /// # Errors
    /// [`StoreError`] when the views cannot be asked for.
    pub async fn is_kept(&self, dataset: &DatasetName, revision: &Revision) -> Result<bool, StoreError> {
        let roots = self.graph.steps().iter().filter(|step| step.triggered_by.is_empty());
        let keys: Vec<_> = roots.map(|step| ArtifactKey::dataset(step.step_name(), dataset.clone())).collect();
        let found = self.store.views.at_revision(&keys, revision).await?;
        Ok(found.iter().any(Option::is_some))
    }
}
