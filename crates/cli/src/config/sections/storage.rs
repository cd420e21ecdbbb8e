//! The database, and where files made from cells are kept.

use std::path::PathBuf;

use crate::config::Fate::{Later, Read};
use crate::config::table::section;
use crate::config::types::{StorageProtocol, StoreUrl};

section! {
    /// The database of queue, results and datasets.
    Store = "store" {
        /// `sqlite:PATH`, owned by one process, or `postgres://USER:PASSWORD@HOST/DATABASE`, shared by many. Unset:
        /// the file `belvedere.sqlite` in the state directory.
        url: Option<StoreUrl> = "" { fate: Read("every part") },
    }
}

section! {
    /// Files that jobs make from cells: images, sounds, videos of the first rows.
    Assets = "assets" {
        /// What their URLs start with. Unset: `/assets` of this server.
        base_url: Option<String> = "" { fate: Read("split-first-rows") },
        /// `file` is the only protocol of this version.
        storage_protocol: StorageProtocol = "file" { fate: Read("split-first-rows") },
        /// Directory for them. They are kept beside the converted files, in `blobs` of the state directory.
        storage_root: Option<PathBuf> = "" {
            fate: Later("a directory of their own for assets"),
            aliases: &["ASSETS_DIRECTORY"],
        },
    }
}

section! {
    /// Files that answers make from cells, which can be made again at any time.
    CachedAssets = "cached_assets" {
        /// What their URLs start with. Unset: `/cached-assets` of this server.
        base_url: Option<String> = "" { fate: Read("/rows") },
        /// `file` is the only protocol of this version.
        storage_protocol: StorageProtocol = "file" { fate: Read("/rows") },
        /// Directory for them. Unset: `cached-assets` in the state directory.
        storage_root: Option<PathBuf> = "" { fate: Read("/rows") },
    }
}
