//! What listens: `serve`, the public API, the admin service.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::Described::{Admin2022, Admin2024};
use crate::config::Fate::{Later, Read};
use crate::config::table::section;
use crate::config::types::{Count, Limit, Secret};

section! {
    /// One process that does everything, for one machine.
    Serve = "serve" {
        /// Directory for everything that is kept: database, Parquet files, assets, caches. Nothing is written
        /// outside of it unless another setting names a place. Deleting it loses nothing that cannot be computed again.
        state: PathBuf = "./.belvedere" { fate: Read("every part"), flag: "--state" },
        /// Folders to serve, as `PATH` or `NAME=PATH`. Arguments of `belvedere serve` take their place.
        folders: Vec<String> = "" { fate: Read("serve"), flag: "FOLDER…" },
        /// The one folder or file is one dataset, whatever is in it.
        single: bool = "false" { fate: Read("serve"), flag: "--single" },
        /// What links to this server start with, as `https://viewer.example.org`. Unset: the address it listens on.
        public_url: Option<String> = "" { fate: Read("serve and api") },
    }
}

section! {
    /// The public API.
    Api = "api" {
        /// The address to listen on. Anything but a loopback address makes every dataset readable from other machines.
        uvicorn_hostname: String = "localhost" { fate: Read("serve and api"), flag: "--host" },
        /// The port to listen on; 0 lets the system choose one.
        uvicorn_port: u16 = "8000" { fate: Read("serve and api"), flag: "--port" },
        /// Listen on an address that other machines reach, although there is no login in this version.
        open: bool = "false" { fate: Read("serve and api") },
        /// Threads that answer requests.
        uvicorn_num_workers: Count = "2" {
            fate: Read("serve and api"),
            serve: Some("auto"),
            why: "one process does all the work of the machine, so it may use every core",
            min: Some(1.0),
        },
        /// `max-age` of the `Cache-Control` header of data.
        max_age_long: u32 = "120" { fate: Read("serve and api"), unit: "seconds" },
        /// `max-age` of the `Cache-Control` header of errors and technical answers.
        max_age_short: u32 = "10" { fate: Read("serve and api"), unit: "seconds" },
        /// Largest number of rows of one page, in JSON. Always 100 with `COMPAT=reference`.
        max_page_rows: u32 = "10000" { fate: Read("serve and api"), min: Some(1.0) },
        /// Largest number of rows of one answer as JSON Lines, CSV, Arrow or Parquet; 0 for no limit.
        max_export_rows: Limit = "0" { fate: Read("serve and api"), unit: "rows" },
        /// Longest time that comparing two splits may take.
        compare_seconds: Duration = "600" { fate: Read("serve and api"), min: Some(1.0) },
        /// Number of pairs of splits that are compared at the same time; others wait.
        compare_at_a_time: Count = "2" { fate: Read("serve and api"), min: Some(1.0) },
        /// Path on the Hub that tells whether a user may read a dataset; `%s` stands for its name.
        hf_auth_path: String = "/api/datasets/%s/auth-check" { fate: Later("access control by a remote Hub") },
        /// URL of a JSON list of the public keys (JWK) that tokens may be signed with.
        hf_jwt_public_key_url: Option<String> = "" { fate: Later("access by signed tokens") },
        /// Further public keys, as PEM.
        hf_jwt_additional_public_keys: Vec<Secret> = "" { fate: Later("access by signed tokens") },
        /// The one algorithm of signatures; empty switches signed tokens off.
        hf_jwt_algorithm: String = "EdDSA" { fate: Later("access by signed tokens") },
        /// Longest wait for an answer of the Hub.
        hf_timeout_seconds: Duration = "0.2" { fate: Later("calls to a remote Hub") },
        /// What the Hub sends in the `X-Webhook-Secret` header.
        hf_webhook_secret: Option<Secret> = "" { fate: Later("the webhook"), secret_files: &["WEBHOOK_SECRET"] },
    }
}

section! {
    /// What a question about rows may cost: a filter, an order.
    Query = "query" {
        /// Longest time of one question.
        max_seconds: Duration = "30" { fate: Read("serve and api"), unit: "seconds", min: Some(0.1) },
        /// Memory of one question for what is kept while the files are read.
        max_memory_bytes: u64 = "256_000_000" { fate: Read("serve and api"), unit: "bytes", min: Some(1_000_000.0) },
        /// Rows that one question may look at, after those that statistics of the files rule out; 0 for no limit.
        max_rows: Limit = "0" { fate: Read("serve and api"), unit: "rows" },
        /// Largest number of rows of one answer, in any format; their numbers are held in memory.
        max_answer_rows: u64 = "1_000_000" { fate: Read("serve and api"), unit: "rows", min: Some(100.0) },
        /// Memory for the numbers of matching rows, kept for the next page.
        kept_bytes: u64 = "32_000_000" { fate: Read("serve and api"), unit: "bytes" },
    }
}

section! {
    /// The admin service: reports about queue and views, and forced refreshes.
    Admin = "admin" {
        /// The organization that a user must be part of to reach the protected routes. Unset: authentication is
        /// disabled, and the routes answer to this machine only.
        hf_organization: Option<String> = "" {
            fate: Later("the admin service"),
            aliases: &["HF_ORGANIZATION"],
            described: &[Admin2022, Admin2024],
        },
        /// Number of results in the answers of `/cache-reports/…`.
        cache_reports_num_results: u32 = "100" {
            fate: Later("the admin service"),
            aliases: &["CACHE_REPORTS_NUM_RESULTS"],
            min: Some(1.0),
            described: &[Admin2022, Admin2024],
        },
        /// Number of results in the answers of `/cache-reports-with-content/…`.
        cache_reports_with_content_num_results: u32 = "100" {
            fate: Later("the admin service"),
            min: Some(1.0),
            described: &[Admin2024],
        },
        /// Longest wait for an answer of the Hub.
        hf_timeout_seconds: Duration = "0.2" { fate: Later("the admin service"), described: &[Admin2024] },
        /// Path on the Hub that tells who a user is.
        hf_whoami_path: String = "/api/whoami-v2" {
            fate: Later("the admin service"),
            aliases: &["HF_WHOAMI_PATH"],
            described: &[Admin2022, Admin2024],
        },
        /// `max-age` of the `Cache-Control` header of technical answers.
        max_age: u32 = "10" {
            fate: Later("the admin service"),
            unit: "seconds",
            aliases: &["MAX_AGE_SHORT_SECONDS"],
            described: &[Admin2022, Admin2024],
        },
        /// The address to listen on, for an admin service of its own. `serve` answers admin calls on the address of
        /// the public API.
        uvicorn_hostname: String = "localhost" {
            fate: Later("the admin service"),
            described: &[Admin2022, Admin2024],
        },
        /// The port to listen on, for an admin service of its own.
        uvicorn_port: u16 = "8000" { fate: Later("the admin service"), described: &[Admin2022, Admin2024] },
        /// Threads that answer requests, for an admin service of its own.
        uvicorn_num_workers: Count = "2" {
            fate: Later("the admin service"),
            min: Some(1.0),
            described: &[Admin2022, Admin2024],
        },
    }
}
