//! Scans of the content of datasets, which call services of others.

use crate::config::Fate::Later;
use crate::config::table::section;
use crate::config::types::Secret;

section! {
    /// The scan of image URLs for the wishes of their authors.
    OptInOutUrlsScan = "opt_in_out_urls_scan" {
        /// Most columns scanned.
        columns_max_number: u32 = "10" { fate: Later("the scan of image URLs") },
        /// Requests at the same time.
        max_concurrent_requests_number: u32 = "50" { fate: Later("the scan of image URLs"), min: Some(1.0) },
        /// Requests per second.
        max_requests_per_second: u32 = "25" { fate: Later("the scan of image URLs"), min: Some(1.0) },
        /// Most rows scanned.
        rows_max_number: u32 = "100_000" { fate: Later("the scan of image URLs") },
        /// Token of the service.
        spawning_token: Option<Secret> = "" { fate: Later("the scan of image URLs"), secret_files: &["SPAWNING_TOKEN"] },
        /// URL of the service.
        spawning_url: String = "https://opts-api.spawningaiapi.com/api/v2/query/urls" {
            fate: Later("the scan of image URLs"),
        },
        /// URLs in one request.
        urls_number_per_batch: u32 = "1000" { fate: Later("the scan of image URLs"), min: Some(1.0) },
    }
}

section! {
    /// The scan of texts for personal data.
    PresidioEntitiesScan = "presidio_entities_scan" {
        /// Most columns scanned.
        columns_max_number: u32 = "10" { fate: Later("the scan for personal data") },
        /// Longest part of a text that is scanned.
        max_text_length: u32 = "1000" { fate: Later("the scan for personal data"), unit: "characters" },
        /// Most rows scanned.
        rows_max_number: u32 = "10_000" { fate: Later("the scan for personal data") },
    }
}
