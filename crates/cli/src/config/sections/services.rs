//! What listens: `serve`, the public API, the admin service.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::Described::{Admin2022, Admin2024};
use crate::config::Fate::{Built, Read};
use crate::config::table::section;
use crate::config::types::{Count, Limit, PrivateDataset, Secret};

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
        /// The address to listen on. On anything but a loopback address other machines read every dataset that is not
        /// private, and somebody must have a login: see `api.open`.
        uvicorn_hostname: String = "localhost" { fate: Read("serve and api"), flag: "--host" },
        /// The port to listen on; 0 lets the system choose one.
        uvicorn_port: u16 = "8000" { fate: Read("serve and api"), flag: "--port" },
        /// File with the certificate of this server in the PEM form, and those that it is signed by: then the API and the
        /// admin service answer by TLS alone. It is read again when it changes.
        tls_cert: Option<PathBuf> = "" { fate: Read("serve and api"), flag: "--tls-cert" },
        /// File with the key of that certificate.
        tls_key: Option<PathBuf> = "" { fate: Read("serve and api"), flag: "--tls-key" },
        /// Listen on an address that other machines reach, although nobody has a login: no admin among the users, no
        /// `admin.tokens`, no `admin.hf_organization`.
        open: bool = "false" { fate: Read("serve and api") },
        /// Answer queries in SQL, `POST /sql`. Unset: on loopback addresses only.
        sql: Option<bool> = "" { fate: Built("sql", "/sql") },
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
        /// Datasets that are not for everybody: `name`, or `namespace/name` with `*` in the name. Readers need a session or a
        /// token of ours with `read`. A card says the same with `private: true` or `gated: true`. See `docs/access.md`.
        private_datasets: Vec<PrivateDataset> = "" { fate: Read("serve and api") },
        /// How long a session lasts after a login.
        session_seconds: Duration = "3600" { fate: Read("serve and api"), min: Some(60.0), max: Some(604_800.0) },
        /// How long links to media of datasets that are not for everybody are good, at least; at most twice as long.
        link_seconds: Duration = "3600" { fate: Read("serve and api"), min: Some(60.0), max: Some(604_800.0) },
        /// Proxies that are believed about where a login comes from, in `X-Forwarded-For`.
        trusted_proxies: Vec<std::net::IpAddr> = "" { fate: Read("serve and api") },
        /// Path on the Hub that tells whether a user may read a dataset, as `/api/datasets/%s/auth-check`, where `%s` stands for
        /// its name. When set, the Hub (`common.hf_endpoint`) is asked about every request for a dataset. Unset, as datasets
        /// in folders of ours are nothing the Hub knows of: nobody is asked.
        hf_auth_path: Option<String> = "" { fate: Read("serve and api") },
        /// URL of a JSON list of the public keys (JWK) that tokens may be signed with. It is read at the start, and again when
        /// a token is signed with another key, at most once a minute.
        hf_jwt_public_key_url: Option<String> = "" { fate: Read("serve and api") },
        /// Further public keys, as PEM.
        hf_jwt_additional_public_keys: Vec<Secret> = "" { fate: Read("serve and api") },
        /// The one algorithm of signatures; empty switches signed tokens off.
        hf_jwt_algorithm: String = "EdDSA" { fate: Read("serve and api") },
        /// Longest wait for an answer of the Hub.
        hf_timeout_seconds: Duration = "0.2" { fate: Read("serve and api"), min: Some(0.001) },
        /// What a Hub sends in the `X-Webhook-Secret` header of its webhooks. Unset: all webhooks are refused.
        hf_webhook_secret: Option<Secret> = "" { fate: Read("serve and api"), secret_files: &["WEBHOOK_SECRET"] },
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
    /// Queries in SQL, `POST /sql`. Each is carried out by a process of its own, which is stopped when it passes a limit or
    /// when nobody waits any more.
    Sql = "sql" {
        /// Longest time from the request to the last row.
        max_seconds: Duration = "1" { fate: Built("sql", "/sql"), min: Some(0.1) },
        /// Most rows of an answer; what comes after is left out and the answer says so.
        max_rows: u32 = "1000" { fate: Built("sql", "/sql"), min: Some(1.0) },
        /// Most bytes of an answer, passed by less than a thousand rows.
        max_bytes: u64 = "10_000_000" { fate: Built("sql", "/sql"), unit: "bytes", min: Some(1.0) },
        /// Memory that joins, sorts and groups of one query may use. Its process may use 1 GiB on top.
        memory_bytes: u64 = "256_000_000" { fate: Built("sql", "/sql"), unit: "bytes", min: Some(1_000_000.0) },
        /// Queries carried out at the same time; others wait.
        max_concurrent: u32 = "2" { fate: Built("sql", "/sql"), min: Some(1.0), max: Some(64.0) },
    }
}

section! {
    /// The admin service: reports about queue and views, and what operators do. See `docs/admin.md`.
    Admin = "admin" {
        /// There is an admin service.
        enabled: bool = "true" { fate: Read("serve and api") },
        /// The organization that a user must be part of to reach the protected routes. Unset or empty: authentication is
        /// disabled unless there are `admin.tokens`, and the routes answer to this machine only.
        hf_organization: Option<String> = "" {
            fate: Read("serve and api"),
            aliases: &["HF_ORGANIZATION"],
            described: &[Admin2022, Admin2024],
        },
        /// Operators' tokens of our own, each as the hash that `belvedere admin token NAME` prints with it.
        tokens: Vec<Secret> = "" { fate: Read("serve and api") },
        /// Number of results in the answers of `/cache-reports/…`.
        cache_reports_num_results: u32 = "100" {
            fate: Read("serve and api"),
            aliases: &["CACHE_REPORTS_NUM_RESULTS"],
            min: Some(1.0),
            described: &[Admin2022, Admin2024],
        },
        /// Number of results in the answers of `/cache-reports-with-content/…`.
        cache_reports_with_content_num_results: u32 = "100" {
            fate: Read("serve and api"),
            min: Some(1.0),
            described: &[Admin2024],
        },
        /// Number of waiting jobs of one step in the answer of `/pending-jobs`. Where more wait, the oldest are listed.
        pending_jobs_num_results: u32 = "100" { fate: Read("serve and api"), min: Some(1.0) },
        /// Longest wait for an answer of the Hub.
        hf_timeout_seconds: Duration = "0.2" {
            fate: Read("serve and api"),
            min: Some(0.001),
            described: &[Admin2024],
        },
        /// Path on the Hub that tells who a user is. The Hub is `common.hf_endpoint`, or huggingface.co where that is unset.
        hf_whoami_path: String = "/api/whoami-v2" {
            fate: Read("serve and api"),
            aliases: &["HF_WHOAMI_PATH"],
            described: &[Admin2022, Admin2024],
        },
        /// `max-age` of the `Cache-Control` header of technical answers.
        max_age: u32 = "10" {
            fate: Read("serve and api"),
            unit: "seconds",
            aliases: &["MAX_AGE_SHORT_SECONDS"],
            described: &[Admin2022, Admin2024],
        },
        /// The address of the admin service, where it has one of its own. With neither this nor `admin.uvicorn_port` it
        /// listens where the public API does; with the port alone on `localhost`.
        uvicorn_hostname: Option<String> = "" { fate: Read("serve and api"), described: &[Admin2022, Admin2024] },
        /// The port of the admin service, where it has one of its own; 0 lets the system choose one. With the address
        /// alone it is 8000.
        uvicorn_port: Option<u16> = "" { fate: Read("serve and api"), described: &[Admin2022, Admin2024] },
        /// Threads that answer requests, where the admin service has an address of its own.
        uvicorn_num_workers: Count = "2" {
            fate: Read("serve and api"),
            min: Some(1.0),
            described: &[Admin2022, Admin2024],
        },
        /// Where processes of a server share their metrics. A server is one process and writes nothing there; when this is
        /// set, its gauges carry the label `pid`, as dashboards of such servers expect.
        prometheus_multiproc_dir: Option<PathBuf> = "" {
            named: Some("PROMETHEUS_MULTIPROC_DIR"),
            fate: Read("serve and api"),
            described: &[Admin2022, Admin2024],
        },
    }
}

section! {
    /// What servers and monitors repeat by themselves so that datasets stay complete and nothing is left behind. Of those that
    /// share a database, one does what is due.
    Maintenance = "maintenance" {
        /// Time between two repairs of datasets with errors that may have passed; 0 for never.
        retry_errors_seconds: Duration = "600" { fate: Read("serve, api and monitor") },
        /// Time between two repairs of all datasets; 0 for never.
        backfill_seconds: Duration = "10_800" { fate: Read("serve, api and monitor") },
        /// Time between two removals of what nobody needs any more: results of revisions beyond `views.keep_revisions`, files
        /// that belong to no result, media of revisions that are gone; 0 for never.
        clean_seconds: Duration = "3_600" { fate: Read("serve, api and monitor") },
    }
}
