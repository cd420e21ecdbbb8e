//! A dataset of a thousand configs with three splits each: how long its plan takes, how long until every step of it is
//! done, and what a server costs that has nothing to do.
//!
//! `cargo run --release -p belvedere-benches --bin many -- target/release/belvedere`, and with `--postgres URL` the plan on an
//! empty PostgreSQL database as well. See `benches/README.md`.

#![expect(clippy::print_stdout, reason = "a benchmark's output is its figures")]

mod plan;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use belvedere_benches::Server;
use clap::Parser;

/// Splits of each config.
const SPLITS: [&str; 3] = ["train", "validation", "test"];
/// Rows of each file.
const ROWS: usize = 20;

/// Measures plans in this process, and the program from the outside.
#[derive(Parser)]
struct Args {
    /// The program, built for release.
    belvedere: PathBuf,
    /// Configs of the dataset.
    #[arg(long, default_value_t = 1_000)]
    configs: usize,
    /// An empty PostgreSQL database for the plan; without it, only SQLite is measured.
    #[arg(long)]
    postgres: Option<String>,
    /// Seconds to watch the server that has nothing to do.
    #[arg(long, default_value_t = 30)]
    idle_seconds: u64,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let folder = tempfile::tempdir()?;
    plan::measure(args.configs, &format!("sqlite:{}", folder.path().join("plan.sqlite").display()))?;
    if let Some(url) = &args.postgres {
        plan::measure(args.configs, url)?;
    }
    let many = folder.path().join("many");
    write_dataset(&many.join("many"), args.configs)?;
    everything(&args.belvedere, &many, &folder.path().join("state"), args.configs)?;
    let small = folder.path().join("small");
    write_dataset(&small.join("small"), 1)?;
    idle(&args.belvedere, &small, &folder.path().join("idle"), Duration::from_secs(args.idle_seconds))
}

/// A folder with a card that names the configs, and a csv file for each split.
fn write_dataset(folder: &Path, configs: usize) -> anyhow::Result<()> {
    let mut card = "---\nconfigs:\n".to_owned();
    std::fs::create_dir_all(folder.join("data"))?;
    for config in 0..configs {
        writeln!(card, "- config_name: c{config:04}\n  data_files:")?;
        for split in SPLITS {
            let path = format!("data/c{config:04}-{split}.csv");
            writeln!(card, "  - split: {split}\n    path: {path}")?;
            let mut csv = "id,text,score\n".to_owned();
            for row in 0..ROWS {
                writeln!(csv, "{row},row {row} of {split} in {config},{}", config as f64 + row as f64 / 2.0)?;
            }
            std::fs::write(folder.join(path), csv)?;
        }
    }
    card.push_str("---\n");
    std::fs::write(folder.join("README.md"), card).context("the dataset cannot be written")
}

/// From the start of the server on an empty state to the moment when no job is left.
fn everything(program: &Path, folder: &Path, state: &Path, configs: usize) -> anyhow::Result<()> {
    let started = Instant::now();
    let server = Server::start(program, folder, state)?;
    let splits = format!("/splits?dataset=local/many&config=c{:04}", configs - 1);
    // Before the first job is queued none is left either.
    server.wait_for(&splits, Duration::from_secs(600))?;
    while server.sum("queue_jobs_total")? > 0.0 {
        std::thread::sleep(Duration::from_millis(200));
    }
    let seconds = started.elapsed().as_secs_f64();
    let results = server.sum("responses_in_cache_total")?;
    let errors = results - server.sum("responses_in_cache_total{error_code=\"None\"")?;
    ensure!(results >= (configs * (5 + 3 * SPLITS.len())) as f64, "only {results} results");
    let planned = Instant::now();
    ensure!(server.status("/admin/dataset-backfill-plan?dataset=local/many")? == 200, "no plan");
    println!("reading what is stored and planning a repair takes {:.0} ms", planned.elapsed().as_secs_f64() * 1e3);
    println!(
        "{configs} configs x {} splits: everything done after {seconds:.1} s, {results} results, {errors} of them errors; \
         server {:.0} MB at most, {:.0} s of CPU without its children",
        SPLITS.len(),
        server.peak_memory()? / 1e6,
        server.cpu_seconds()?
    );
    Ok(())
}

/// What a server uses that serves one small dataset and has done everything.
fn idle(program: &Path, folder: &Path, state: &Path, time: Duration) -> anyhow::Result<()> {
    let server = Server::start(program, folder, state)?;
    server.wait_for("/splits?dataset=local/small", Duration::from_secs(60))?;
    while server.sum("queue_jobs_total")? > 0.0 {
        std::thread::sleep(Duration::from_millis(100));
    }
    std::thread::sleep(Duration::from_secs(5));
    let before = server.cpu_seconds()?;
    std::thread::sleep(time);
    let used = server.cpu_seconds()? - before;
    println!(
        "idle for {} s: {:.0} MB, {:.2} % of a core",
        time.as_secs(),
        server.memory()? / 1e6,
        used / time.as_secs_f64() * 100.0
    );
    Ok(())
}
