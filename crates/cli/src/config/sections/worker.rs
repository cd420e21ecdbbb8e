//! Who runs jobs, how many, and when not.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::Described::{Worker2022, Worker2023};
use crate::config::table::section;
use crate::config::types::{Count, Limit};

section! {
    /// Workers claim jobs from the queue and run each in a child process of its own.
    Worker = "worker" {
        /// Jobs that run at the same time. `auto`: one per core.
        slots: Count = "auto" { min: Some(1.0) },
        /// Memory of one child process. A job that needs more ends with an error that says so.
        child_memory_bytes: u64 = "4_000_000_000" { unit: "bytes", min: Some(100_000_000.0) },
        /// Crashes of a job (memory, signals) after which its result is an error.
        max_crashes: u32 = "3" { min: Some(1.0) },
        /// Largest size of a stored result, as JSON. A bigger one is the error `TooBigContentError`.
        content_max_bytes: u64 = "10_000_000" { unit: "bytes", min: Some(1.0), described: &[Worker2023] },
        /// Hardest jobs taken, included. Unset: no bound.
        difficulty_max: Option<u8> = "" { max: Some(100.0), described: &[Worker2023] },
        /// Easiest jobs taken; whether that difficulty itself is included is `worker.difficulty_min_inclusive`. Unset:
        /// no bound.
        difficulty_min: Option<u8> = "" { max: Some(100.0), described: &[Worker2023] },
        /// Jobs of exactly the difficulty `worker.difficulty_min` are taken.
        difficulty_min_inclusive: bool = "true" {
            reference: Some("false"),
            why: "the description of 2023 calls it the minimum of what is processed; today's code takes only what is above",
        },
        /// Steps that are never run, as `dataset-config-names,config-split-names`. `belvedere admin graph` lists them.
        job_types_blocked: Vec<String> = "" { described: &[Worker2023] },
        /// If not empty, only these steps are run, minus the blocked ones.
        job_types_only: Vec<String> = "" { described: &[Worker2023] },
        /// Time between two heartbeats, each of which renews the lease of a running job. With a short lease they are
        /// more frequent: at least three per lease.
        heartbeat_interval_seconds: Duration = "60" { min: Some(0.1), described: &[Worker2023] },
        /// Heartbeats missed before a job counts as abandoned. Times the interval, this is the length of a lease.
        max_missing_heartbeats: u32 = "5" { min: Some(1.0), described: &[Worker2023] },
        /// Time between two searches for abandoned jobs of any worker.
        kill_zombies_interval_seconds: Duration = "600" { min: Some(0.1), described: &[Worker2023] },
        /// Time between two looks at jobs that run too long.
        kill_long_job_interval_seconds: Duration = "60" { min: Some(0.1), described: &[Worker2023] },
        /// Longest duration of a job; a longer one is killed and ends with an error that says so.
        max_job_duration_seconds: Duration = "1200" { min: Some(1.0), described: &[Worker2023] },
        /// How long running jobs, and answers in transmission, may take to end when the process is asked to stop. Then
        /// jobs go back to the queue, and another worker begins them anew.
        grace_seconds: Duration = "20" {
            serve: Some("1"),
            why: "whoever presses Ctrl-C does not want to wait; what is not done by then is done at the next start",
        },
        /// Load of the machine (the larger of the 1 and 5 minute loads, per core) from which no job is started.
        /// 0 disables the test.
        max_load_pct: Limit = "70" {
            unit: "percent",
            serve: Some("0"),
            why: "the jobs of the machine itself would close the gate",
            aliases: &["MAX_LOAD_PCT", "QUEUE_MAX_LOAD_PCT"],
            described: &[Worker2022, Worker2023],
        },
        /// Memory in use, of the container if it has a limit and else of the machine with its swap, from which no job
        /// is started. 0 disables the test.
        max_memory_pct: Limit = "80" {
            unit: "percent",
            serve: Some("95"),
            why: "a desktop often uses more than 80 percent with nothing wrong, and every job has a memory limit",
            aliases: &["MAX_MEMORY_PCT", "QUEUE_MAX_MEMORY_PCT"],
            described: &[Worker2022, Worker2023],
        },
        /// Memory in use on the whole machine, swap included, from which no job is started. 0 disables the test.
        max_system_memory_pct: Limit = "80" {
            unit: "percent",
            serve: Some("95"),
            why: "as for `worker.max_memory_pct`",
        },
        /// Use of a disk named by `worker.storage_paths` from which no job is started. 0 disables the test.
        max_disk_usage_pct: Limit = "90" { unit: "percent", described: &[Worker2023] },
        /// Paths on the disks to be tested. The directory of `datasets_based.hf_datasets_cache` is added if it is set.
        storage_paths: Vec<PathBuf> = "" { described: &[Worker2023] },
        /// Wait before a worker that found nothing to do looks again, varied by up to a quarter. After a job it looks
        /// at once.
        sleep_seconds: Duration = "15" {
            min: Some(0.01),
            aliases: &["QUEUE_SLEEP_SECONDS"],
            described: &[Worker2022, Worker2023],
        },
        /// A new job wakes a waiting worker at once, since a user who saves a file waits for the result. The wait of
        /// `worker.sleep_seconds`, by which the reference finds its jobs, remains as a fallback.
        wake_on_enqueue: bool = "true",
        /// How many ended runs of jobs are remembered, over all jobs: when, where, at what cost and why they failed. 0: none.
        kept_runs: u64 = "10_000" { unit: "runs" },
        /// Parent of the directories for temporary files of jobs. Unset: `tmp` in the state directory.
        temporary_directory: Option<PathBuf> = "" { named: Some("TMPDIR"), described: &[Worker2023] },
        /// The address where `belvedere worker` answers `/healthcheck` and `/metrics`. `serve` answers them on the
        /// address of the public API.
        uvicorn_hostname: String = "localhost",
        /// The port for that; 0 lets the system choose one, which is logged.
        uvicorn_port: u16 = "8000",
    }
}

section! {
    /// Limits of the queue across all workers.
    Queue = "queue" {
        /// Largest number of jobs of one dataset that run at the same time; 0 for no limit. The description of 2022
        /// has 1 here. Since then workers choose fairly between namespaces, so that a limit only leaves cores idle.
        max_jobs_per_dataset: Limit = "0" { aliases: &["MAX_JOBS_PER_DATASET"], described: &[Worker2022] },
        /// A dataset whose jobs took more than two hours of machine time within an hour rests for six hours.
        rate_limit: bool = "true" {
            serve: Some("false"),
            why: "on a machine of one's own nobody else waits",
        },
    }
}

section! {
    /// Storage of jobs that download or convert.
    DatasetsBased = "datasets_based" {
        /// Parent of the scratch directories of jobs. Unset: `scratch` in the state directory.
        hf_datasets_cache: Option<PathBuf> = "" {
            aliases: &["HF_DATASETS_CACHE"],
            described: &[Worker2022, Worker2023],
        },
    }
}
