//! Where things are kept: settings that name a place, and the state directory for those that do not.

use std::path::{Path, PathBuf};

use super::Config;
use super::types::{StorageProtocol, StoreUrl};

/// The places of one installation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Paths {
    /// The state directory.
    pub state: PathBuf,
    /// Parquet files, assets and other content that results refer to, if these are on this machine.
    pub blobs: PathBuf,
    /// What is kept here of such content elsewhere.
    pub blob_cache: PathBuf,
    /// Files made by answers from cells.
    pub cached_assets: PathBuf,
    /// Parent of the scratch directories of jobs.
    pub scratch: PathBuf,
    /// Values of statistics that do not fit into memory.
    pub statistics: PathBuf,
    /// Parent of temporary files.
    pub temporary: PathBuf,
    /// Files of a remote Hub.
    pub remote: PathBuf,
    /// Files of tasks, and what they leave.
    pub tasks: PathBuf,
}

impl Config {
    /// The places that this configuration names.
    pub fn paths(&self) -> Paths {
        let state = &self.serve.state;
        let or_in_state = |path: &Option<PathBuf>, name: &str| path.clone().unwrap_or_else(|| state.join(name));
        Paths {
            state: state.clone(),
            blobs: match &self.blobs.url {
                Some(url) if !url.contains("://") => PathBuf::from(url),
                _ => state.join("blobs"),
            },
            blob_cache: or_in_state(&self.blobs.cache_directory, "blob-cache"),
            cached_assets: match self.cached_assets.storage_protocol {
                StorageProtocol::File => or_in_state(&self.cached_assets.storage_root, "cached-assets"),
                StorageProtocol::S3 => state.join("cached-assets"),
            },
            scratch: or_in_state(&self.datasets_based.hf_datasets_cache, "scratch"),
            statistics: or_in_state(&self.descriptive_statistics.cache_directory, "statistics"),
            temporary: or_in_state(&self.worker.temporary_directory, "tmp"),
            remote: or_in_state(&self.remote.cache_directory, "remote"),
            tasks: or_in_state(&self.tasks.directory, "tasks"),
        }
    }

    /// Keeps everything in the state directory, whatever other places are named: for commands that only look at folders, and
    /// never touch what an installation keeps.
    pub fn keep_in_state(&mut self) {
        self.store.url = None;
        (self.blobs.url, self.blobs.cache_directory) = (None, None);
        (self.assets.storage_protocol, self.assets.storage_root) = (StorageProtocol::File, None);
        self.cached_assets.storage_root = None;
        (self.common.hf_endpoint, self.remote.cache_directory) = (None, None);
    }

    /// The store: the one that is named, or a SQLite file in the state directory.
    pub fn store_url(&self) -> StoreUrl {
        self.store.url.clone().unwrap_or_else(|| StoreUrl::sqlite(&self.serve.state.join("belvedere.sqlite")))
    }

    /// Paths on the disks whose use may close the gate for new jobs.
    pub fn watched_disks(&self) -> Vec<&Path> {
        let named = self.worker.storage_paths.iter();
        named.chain(self.datasets_based.hf_datasets_cache.as_ref()).map(PathBuf::as_path).collect()
    }
}
