//! Where datasets come from, and how long their revisions are kept.

use std::path::PathBuf;
use std::time::Duration;

use belvedere_hub::remote::Network;

use crate::config::Described::{Admin2022, Worker2022, Worker2023};
use crate::config::Fate::Read;
use crate::config::table::section;
use crate::config::types::{BlockedDataset, Secret};

section! {
    /// The Hub.
    Common = "common" {
        /// URL of the Hub whose datasets are served beside the folders, under all names that are not in a namespace of a
        /// folder: those that a webhook tells of, see `remote.on_demand`. Links to files start with it. Unset: there is no
        /// such Hub, and links lead to this server. Also where `admin.hf_organization` is looked up.
        hf_endpoint: Option<String> = "" {
            fate: Read("datasets of a remote Hub, and answers that hold links"),
            aliases: &["HF_ENDPOINT"],
            described: &[Admin2022, Worker2022, Worker2023],
        },
        /// App token that reads gated datasets of the Hub.
        hf_token: Option<Secret> = "" {
            fate: Read("calls to a remote Hub"),
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
    /// Datasets of a remote Hub, that of `common.hf_endpoint`.
    Remote = "remote" {
        /// Ask the Hub about a dataset that is unknown here when somebody wants to read it, and prepare it. Otherwise a
        /// dataset appears when a webhook tells of it. Whoever can reach the server can then make it fetch.
        on_demand: bool = "false" { fate: Read("answers") },
        /// Directory of downloaded files. Unset: `remote` in the state directory.
        cache_directory: Option<PathBuf> = "" { fate: Read("downloads from a remote Hub") },
        /// Most room for downloaded files of one process. Those used longest ago go when more come; those that were asked
        /// for within one and a half times `worker.max_job_duration_seconds` stay.
        cache_bytes: u64 = "20_000_000_000" {
            fate: Read("downloads from a remote Hub"),
            unit: "bytes",
            min: Some(1_000_000.0),
        },
        /// Files up to this size are downloaded as a whole and checked against their hash. Of larger ones only the parts come
        /// that are read: the beginning for a conversion that stops at a limit, a few pages for rows of a Parquet file. Such
        /// parts are told to be of one file by its tag alone.
        whole_bytes: u64 = "50_000_000" { fate: Read("downloads from a remote Hub"), unit: "bytes" },
        /// Addresses and networks that may be called though they are private, such as `127.0.0.1, 10.0.0.0/8`: for a Hub
        /// in one's own network, and where it redirects to.
        allowed_addresses: Vec<Network> = "" { fate: Read("calls to a remote Hub") },
        /// Longest wait for a connection, an answer, and each further piece of one.
        timeout_seconds: Duration = "10" { fate: Read("calls to a remote Hub"), min: Some(0.01) },
        /// Pause before a call that came to nothing is tried again. Three such, then three of ten times the length; longer
        /// where the Hub asks for it.
        retry_seconds: Duration = "1" { fate: Read("calls to a remote Hub") },
        /// How long what the Hub has said about a dataset holds before it is asked again.
        fresh_seconds: Duration = "60" { fate: Read("calls to a remote Hub") },
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
        /// Token with the right to create the conversion branch and to push to it. Unset: converted files stay here and are
        /// served by this server.
        hf_token: Option<Secret> = "" {
            fate: Read("commits to a remote Hub"),
            aliases: &["PARQUET_AND_INFO_COMMITTER_HF_TOKEN"],
            secret_files: &["PARQUET_CONVERTER_HF_TOKEN"],
            described: &[Worker2023],
        },
    }
}
