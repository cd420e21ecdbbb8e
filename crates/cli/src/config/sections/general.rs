//! What concerns the whole program: whose rules hold, logs, secrets.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::Described::Worker2022;
use crate::config::Fate::Read;
use crate::config::table::section;
use crate::config::types::{Compat, LogFormat, LogLevel, LogRequests};

section! {
    /// Settings outside of any table.
    General = "" {
        /// `reference` puts back the limits and rules of today's dataset viewer of the Hugging Face Hub wherever
        /// ours differ (see "Where our defaults differ"), as far as they show in answers. When jobs are started is
        /// left to the machine at hand. A setting with a value of its own keeps that value.
        compat: Compat = "belvedere" { fate: Read("every part") },
    }
}

section! {
    /// What is logged. Logs go to standard error; standard output is for data.
    Log = "log" {
        /// How much is logged, in any case; the names of Python's levels are understood. `--verbose` and `--quiet`
        /// take precedence.
        level: LogLevel = "info" {
            fate: Read("every part"),
            serve: Some("warning"),
            why: "they tell in plain lines how far they are",
            described: &[Worker2022],
        },
        /// The form of a line: `text` for people, `json` for programs.
        format: LogFormat = "text" { fate: Read("every part") },
        /// The level at which a line is logged for each request: `debug`, `info`, or `off` for none. It tells method, route,
        /// path without query, status and duration, and carries the number of the request (`X-Request-Id`).
        requests: LogRequests = "debug" { fate: Read("serve, api and worker") },
    }
}

section! {
    /// Secrets from files, as container platforms mount them: one file per secret, named like the variable or by
    /// one of the names under "Secrets from files". The directory is read once, at the start. Names that start with
    /// a dot are skipped and contents are trimmed. A file wins over the variable.
    Secrets = "secrets" {
        /// The directory. Unset: no secrets from files.
        dir: Option<PathBuf> = "" { fate: Read("every part") },
        /// How long to wait for empty files to be filled before the start fails, naming them.
        timeout_seconds: Duration = "90" { fate: Read("every part") },
        /// Time between two looks at empty files.
        poll_interval_seconds: Duration = "1" { fate: Read("every part"), min: Some(0.01) },
    }
}
