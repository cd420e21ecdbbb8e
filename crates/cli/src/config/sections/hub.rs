//! Where datasets come from, and how long their revisions are kept.

use std::time::Duration;

use crate::config::Described::{Admin2022, Worker2022, Worker2023};
use crate::config::Fate::{Later, Read};
use crate::config::table::section;
use crate::config::types::{BlockedDataset, Secret};

section! {
    /// The Hub.
    Common = "common" {
        /// URL of the Hub that links to files start with. Unset: links lead to this server, which serves the files
        /// of its folders itself. Also where `admin.hf_organization` is looked up.
        hf_endpoint: Option<String> = "" {
            fate: Read("answers that hold links"),
            aliases: &["HF_ENDPOINT"],
            described: &[Admin2022, Worker2022, Worker2023],
        },
        /// App token that reads gated datasets of the Hub.
        hf_token: Option<Secret> = "" {
            fate: Later("calls to a remote Hub"),
            aliases: &["HF_TOKEN"],
            secret_files: &["HF_TOKEN"],
            described: &[Worker2022],
        },
        /// Datasets that are not served: `name`, or `namespace/name` with the wildcards `*`, `?` and `[…]` in the name.
        blocked_datasets: Vec<BlockedDataset> = "" { fate: Read("the folder watch") },
    }
}

section! {
    /// Folders of this machine as datasets.
    Hub = "hub" {
        /// When more than this waits to be hashed, a provisional revision is served at once and the final one follows.
        provisional_bytes: u64 = "100_000_000" { fate: Read("the folder watch"), unit: "bytes" },
        /// A file that changed more recently than this is still being written and waits.
        quiet_seconds: Duration = "0.5" { fate: Read("the folder watch") },
        /// Time between two scans where the system reports no changes, as on network file systems. A slow scan
        /// makes it longer: at least ten times the duration of the last one.
        poll_seconds: Duration = "2" { fate: Read("the folder watch"), min: Some(0.1) },
    }
}

section! {
    /// Stored results and the revision they are served for.
    Views = "views" {
        /// Earlier revisions of a dataset whose results are kept, apart from the one served and the one in work.
        keep_revisions: u32 = "2" { fate: Read("maintenance") },
        /// How long a new revision may take to answer everything before its results are served one by one.
        patience_seconds: Duration = "60" { fate: Read("answers") },
    }
}

section! {
    /// The account that writes converted files to a remote Hub.
    Committer = "committer" {
        /// Token with the right to create the conversion branch and to push to it.
        hf_token: Option<Secret> = "" {
            fate: Later("commits to a remote Hub"),
            aliases: &["PARQUET_AND_INFO_COMMITTER_HF_TOKEN"],
            secret_files: &["PARQUET_CONVERTER_HF_TOKEN"],
            described: &[Worker2023],
        },
    }
}
