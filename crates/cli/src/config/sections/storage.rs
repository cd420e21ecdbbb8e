//! The database, and where files made from cells are kept.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::Fate::Read;
use crate::config::table::section;
use crate::config::types::{BlobDelivery, StorageProtocol, StoreUrl};

section! {
    /// The database of queue, results and datasets.
    Store = "store" {
        /// `sqlite:PATH`, owned by one process, or `postgres://USER:PASSWORD@HOST/DATABASE`, shared by many. Unset:
        /// the file `belvedere.sqlite` in the state directory.
        url: Option<StoreUrl> = "" { fate: Read("every part") },
    }
}

section! {
    /// Files that results refer to: Parquet files that were converted, search indexes, and assets unless these have a place
    /// of their own.
    Blobs = "blobs" {
        /// A directory, or `s3://BUCKET/PREFIX` for a place that many machines share; the section `s3` tells who we are
        /// there. Unset: `blobs` in the state directory.
        url: Option<String> = "" { fate: Read("every part") },
        /// Directory for what this machine keeps of files in S3. Each process has a part of it, which begins empty. Unset:
        /// `blob-cache` in the state directory.
        cache_directory: Option<PathBuf> = "" { fate: Read("every part") },
        /// How much one process keeps of files in S3. What was used longest ago goes first. A child process that reads
        /// whole files needs room for all of them.
        cache_bytes: u64 = "10_000_000_000" { fate: Read("every part"), unit: "bytes", min: Some(100_000_000.0) },
        /// How clients get files that are in S3: `proxy`, through this server, or `link`, by a redirection to a signed link
        /// that they must be able to reach.
        delivery: BlobDelivery = "proxy" { fate: Read("serve and api") },
        /// How long a signed link may be used.
        link_seconds: Duration = "3600" { fate: Read("serve and api"), min: Some(1.0), max: Some(604_800.0) },
    }
}

section! {
    /// Files that jobs make from cells: images, sounds, videos of the first rows.
    Assets = "assets" {
        /// What their URLs start with. Unset: `/assets` of this server.
        base_url: Option<String> = "" { fate: Read("split-first-rows") },
        /// Where `assets.storage_root` is: `file`, a directory, or `s3`, a bucket.
        storage_protocol: StorageProtocol = "file" { fate: Read("split-first-rows") },
        /// Directory for them, or `BUCKET/PREFIX`. Unset: beside the other files, where `blobs.url` says.
        storage_root: Option<String> = "" { fate: Read("split-first-rows"), aliases: &["ASSETS_DIRECTORY"] },
    }
}

section! {
    /// Files that answers make from cells, which can be made again at any time.
    CachedAssets = "cached_assets" {
        /// What their URLs start with. Unset: `/cached-assets` of this server.
        base_url: Option<String> = "" { fate: Read("/rows") },
        /// `file`. With `s3` they are kept in the state directory, too: a server that is asked for one that it does not have
        /// makes it again, so that several servers need not share them.
        storage_protocol: StorageProtocol = "file" { fate: Read("/rows") },
        /// Directory for them, with the protocol `file`. Unset: `cached-assets` in the state directory.
        storage_root: Option<PathBuf> = "" { fate: Read("/rows") },
    }
}
