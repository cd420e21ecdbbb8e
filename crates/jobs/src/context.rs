//! What all jobs share.

use std::sync::Arc;

use belvedere_domain::Graph;
use belvedere_store::{Blobs, Store};

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
