//! Scans of the content of datasets, which are off until they are turned on here.

use std::time::Duration;

use crate::config::Fate::Read;
use crate::config::table::section;
use crate::config::types::{ScannedDataset, Secret};

section! {
    /// The scan of image URLs for the wishes of their authors. All processes need the same settings.
    /// See `docs/privacy.md`.
    OptInOutUrlsScan = "opt_in_out_urls_scan" {
        /// Most columns scanned.
        columns_max_number: u32 = "10" { fate: Read("split-opt-in-out-urls-scan") },
        /// Requests at the same time.
        max_concurrent_requests_number: u32 = "50" { fate: Read("split-opt-in-out-urls-scan"), min: Some(1.0) },
        /// Requests per second.
        max_requests_per_second: u32 = "25" { fate: Read("split-opt-in-out-urls-scan"), min: Some(1.0) },
        /// Most rows scanned.
        rows_max_number: u32 = "100_000" { fate: Read("split-opt-in-out-urls-scan") },
        /// Token of the service. Unset: nothing is scanned. With it, the image URLs of all datasets are sent to the service,
        /// those of private datasets too.
        spawning_token: Option<Secret> = "" {
            fate: Read("split-opt-in-out-urls-scan"),
            secret_files: &["SPAWNING_TOKEN"],
        },
        /// URL of the service.
        spawning_url: String = "https://opts-api.spawningaiapi.com/api/v2/query/urls" {
            fate: Read("split-opt-in-out-urls-scan"),
        },
        /// Longest wait for an answer of the service. What may pass is tried again three times.
        timeout_seconds: Duration = "30" { fate: Read("split-opt-in-out-urls-scan"), min: Some(0.1) },
        /// URLs in one request.
        urls_number_per_batch: u32 = "1000" { fate: Read("split-opt-in-out-urls-scan"), min: Some(1.0) },
    }
}

section! {
    /// The scan of texts for personal data. All processes need the same settings. See `docs/privacy.md`.
    PresidioEntitiesScan = "presidio_entities_scan" {
        /// Requests to the analyzer at the same time.
        analyzer_max_concurrent_requests: u32 = "4" { fate: Read("split-presidio-scan"), min: Some(1.0) },
        /// Longest wait for an answer of the analyzer. What may pass is tried again three times.
        analyzer_timeout_seconds: Duration = "30" { fate: Read("split-presidio-scan"), min: Some(0.1) },
        /// Address of a Presidio analyzer, such as `http://localhost:5002`, which knows names of people and places too. The
        /// texts are sent there. Unset: rules of this program look for what can be told by its form.
        analyzer_url: Option<String> = "" { fate: Read("split-presidio-scan") },
        /// Most columns scanned.
        columns_max_number: u32 = "10" { fate: Read("split-presidio-scan") },
        /// Datasets that are scanned: `name`, or `namespace/name` with the wildcards `*`, `?` and `[…]` in the name, or `*` for
        /// all. None: nothing is scanned.
        datasets: Vec<ScannedDataset> = "" { fate: Read("split-presidio-scan") },
        /// Longest part of a text that is scanned.
        max_text_length: u32 = "1000" { fate: Read("split-presidio-scan"), unit: "characters", min: Some(1.0) },
        /// Most rows scanned.
        rows_max_number: u32 = "10_000" { fate: Read("split-presidio-scan") },
    }
}
