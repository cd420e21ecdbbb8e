//! How long exact figures of twelve mixed columns take, beside polars as the reference uses it and DuckDB's aggregates.
//!
//! See `benches/README.md` for what is measured and how to run it.

#![expect(clippy::print_stdout, reason = "the figures are the output")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use belvedere_benches::{convert, parquet_file, peak_memory, python};
use belvedere_domain::data_files::Reader;
use belvedere_engine::call::{Budget, QueryText, SelectedRows, SplitStatistics, Statistics};
use belvedere_engine::statistics::Rules;
use belvedere_engine::{Call, FooterCache, Reply, Task, execute_with};
use clap::Parser;

#[derive(Parser)]
struct Args {
    /// A Python with pyarrow, polars and duckdb.
    #[arg(long)]
    python: PathBuf,
    /// Rows of the table.
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
    /// Runs of each, taken in turns.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Threads of ours.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Bytes of gathered values in memory.
    #[arg(long, default_value_t = 128 << 20)]
    memory_bytes: usize,
    /// Only ours, to see its memory.
    #[arg(long)]
    alone: bool,
    /// Where the table is kept for the next run; a temporary folder otherwise.
    #[arg(long)]
    folder: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let temporary = tempfile::tempdir()?;
    let folder = args.folder.clone().unwrap_or_else(|| temporary.path().to_owned());
    fs::create_dir_all(&folder)?;
    let foreign = folder.join(format!("foreign-{}.parquet", args.rows));
    let ours = folder.join(format!("ours-{}.parquet", args.rows));
    if !ours.exists() {
        let arrow = temporary.path().join("data.arrow");
        python(&args.python, include_str!("data.py"), &[&args.rows.to_string(), text(&foreign)?, text(&arrow)?])?;
        // Of a table beyond one file, the first one is described.
        fs::copy(&convert(&arrow, Reader::Arrow, temporary.path())?[0], &ours)?;
    }
    if peak_memory().is_some() {
        fs::write("/proc/self/clear_refs", "5")?;
    }
    let mut sorted = vec![Vec::new(); 6];
    let peers = [include_str!("polars_peer.py"), include_str!("duckdb_peer.py")];
    for _ in 0..args.runs {
        for (index, path) in [&ours, &foreign].into_iter().enumerate() {
            sorted[index].push(describe(path, &args, temporary.path(), None)?.0);
            for (peer, script) in peers.iter().enumerate().filter(|_| !args.alone) {
                let printed = python(&args.python, script, &[text(path)?, "1"])?;
                let times: Vec<f64> = serde_json::from_slice(&printed).context("the peer prints a list of times")?;
                sorted[2 + 2 * peer + index].extend(times);
            }
        }
    }
    let names =
        ["ours", "ours, foreign layout", "polars", "polars, foreign layout", "DuckDB", "DuckDB, foreign layout"];
    let medians: Vec<Option<f64>> = sorted.iter_mut().map(|times| median(times)).collect();
    for (index, (name, time)) in names.iter().zip(&medians).enumerate() {
        if let (Some(time), Some(own)) = (time, medians[index % 2]) {
            println!("{name:<24} {time:>9.1} ms, {:>5.2} × ours", time / own);
        }
    }
    print_peak("all rows")?;
    // Rows spread all over the table, which is the worst case.
    let (_, whole) = describe(&ours, &args, temporary.path(), None)?;
    for (share, below) in [("1 %", (1_u64 << 40) / 100), ("50 %", 1 << 39)] {
        let selected = SelectedRows {
            query: QueryText { condition: Some(format!("amount < {below}")), order: None, reference: false },
            budget: Budget { max_seconds: 600.0, max_memory_bytes: 256 << 20, max_rows: None },
            frames: whole.frames.clone(),
        };
        let runs = 0..args.runs.max(11);
        let times = runs.map(|_| Ok(describe(&ours, &args, temporary.path(), Some(&selected))?.0));
        let time = median(&mut times.collect::<anyhow::Result<Vec<f64>>>()?).unwrap_or_default();
        println!("where, {share:<17} {time:>9.1} ms");
    }
    print_peak("selected rows")
}

/// The largest memory of this process since the last call, where the system tells.
fn print_peak(part: &str) -> anyhow::Result<()> {
    if let Some(peak) = peak_memory() {
        println!("peak memory of this process, {part}: {:.0} MB", peak / 1e6);
        fs::write("/proc/self/clear_refs", "5")?;
    }
    Ok(())
}

fn median(times: &mut [f64]) -> Option<f64> {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied()
}

/// Milliseconds of one run, with the footer known, and what was found.
fn describe(
    path: &Path,
    args: &Args,
    scratch: &Path,
    selected: Option<&SelectedRows>,
) -> anyhow::Result<(f64, SplitStatistics)> {
    let cache = FooterCache::default();
    let task = Task::new(args.threads);
    let call = Call::Statistics(Statistics {
        files: vec![parquet_file(path, &cache, &task)?],
        features: None,
        rules: Rules::Seed,
        histogram_bins: 10,
        max_string_labels: 30,
        max_split_bytes: None,
        memory_bytes: args.memory_bytes,
        scratch: scratch.to_owned(),
        repository: String::new(),
        linked_files: Vec::new(),
        selected: selected.cloned(),
    });
    let started = Instant::now();
    let Reply::Statistics(found) = execute_with(&call, &cache, &task)? else { bail!("statistics were asked for") };
    let time = started.elapsed().as_secs_f64() * 1e3;
    ensure!(found.statistics.len() == 12 && found.statistics.iter().all(|column| column.error.is_none()));
    Ok((time, found))
}

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("a path of text")
}
