//! How long 200 MB of csv, and of nested JSON lines, take to become Parquet, beside `datasets`, DuckDB and polars.
//!
//! See `benches/README.md` for what is measured and how to run it.

#![expect(clippy::print_stdout, reason = "the figures are the output")]

mod data;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use belvedere_benches::{convert, peak_memory, python};
use belvedere_domain::data_files::Reader;
use clap::Parser;
use serde::{Deserialize, Serialize};

const PEERS: [&str; 3] = ["datasets", "duckdb", "polars"];

#[derive(Parser)]
struct Args {
    /// A Python with datasets, duckdb and polars; without it only ours is measured.
    #[arg(long)]
    python: Option<PathBuf>,
    /// Size of each source file, in bytes.
    #[arg(long, default_value_t = 200_000_000)]
    bytes: u64,
    /// Runs of each, taken in turns.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Only this format: `csv` or `jsonl`.
    #[arg(long)]
    only: Option<String>,
    /// Where the source files are kept for the next run; a temporary folder otherwise.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Convert this file alone, and print time and memory as JSON.
    #[arg(long, hide = true)]
    alone: Option<PathBuf>,
}

/// One conversion in a process of its own.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Run {
    /// From the call to the finished files; without the start of the process.
    seconds: f64,
    /// Largest memory of the process.
    peak_bytes: f64,
    /// Rows written.
    rows: u64,
    /// Size of the Parquet files.
    bytes: u64,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if let Some(source) = &args.alone {
        println!("{}", serde_json::to_string(&ours(source)?)?);
        return Ok(());
    }
    let temporary = tempfile::tempdir()?;
    let folder = args.folder.as_deref().unwrap_or(temporary.path());
    fs::create_dir_all(folder)?;
    for (format, write) in [("csv", data::csv as fn(&Path, u64) -> std::io::Result<()>), ("jsonl", data::jsonl)] {
        if args.only.as_deref().is_some_and(|only| only != format) {
            continue;
        }
        let source = folder.join(format!("data-{}.{format}", args.bytes));
        if !source.exists() {
            write(&source, args.bytes)?;
        }
        compare(&args, format, &source)?;
    }
    Ok(())
}

/// Measures ours and the peers in turns, and prints the medians.
fn compare(args: &Args, format: &str, source: &Path) -> anyhow::Result<()> {
    println!("{format}, {} MB, medians of {} runs:", args.bytes / 1_000_000, args.runs);
    let names: Vec<&str> = std::iter::once("ours").chain(args.python.iter().flat_map(|_| PEERS)).collect();
    let mut runs: Vec<Vec<Run>> = vec![Vec::new(); names.len()];
    for _ in 0..args.runs {
        for (name, runs) in names.iter().zip(&mut runs) {
            runs.push(match (*name, &args.python) {
                ("ours", _) => in_a_process(source)?,
                (peer, Some(program)) => theirs(program, peer, format, source)?,
                (_, None) => bail!("peers need a Python"),
            });
        }
    }
    let medians: Vec<Run> = runs.iter_mut().map(|runs| median(runs)).collect();
    let own = medians[0];
    for (name, run) in names.iter().zip(&medians) {
        ensure!(run.rows == own.rows, "{name} wrote {} rows, ours {}", run.rows, own.rows);
        println!(
            "  {name:<9} {:>6.2} s, {:>5.2} × ours, peak {:>5.0} MB, Parquet {:>5.1} MB",
            run.seconds,
            run.seconds / own.seconds,
            run.peak_bytes / 1e6,
            run.bytes as f64 / 1e6
        );
    }
    Ok(())
}

/// The run of the median time, with the largest memory of all of them.
fn median(runs: &mut [Run]) -> Run {
    runs.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    let peak_bytes = runs.iter().map(|run| run.peak_bytes).fold(0.0, f64::max);
    Run { peak_bytes, ..runs[runs.len() / 2] }
}

/// This program once more, so that nothing else counts into the memory.
fn in_a_process(source: &Path) -> anyhow::Result<Run> {
    let output = Command::new(std::env::current_exe()?).arg("--alone").arg(source).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("a run as JSON")
}

fn ours(source: &Path) -> anyhow::Result<Run> {
    let output = tempfile::tempdir()?;
    let reader =
        if source.extension().is_some_and(|extension| extension == "csv") { Reader::Csv } else { Reader::Json };
    let started = Instant::now();
    let files = convert(source, reader, output.path())?;
    let seconds = started.elapsed().as_secs_f64();
    let peak_bytes = peak_memory().context("the system tells no memory")?;
    let (mut rows, mut bytes) = (0, 0);
    for file in &files {
        let cache = belvedere_engine::FooterCache::default();
        rows += belvedere_benches::parquet_file(file, &cache, &belvedere_engine::Task::default())?.num_rows;
        bytes += fs::metadata(file)?.len();
    }
    Ok(Run { seconds, peak_bytes, rows, bytes })
}

fn theirs(program: &Path, peer: &str, format: &str, source: &Path) -> anyhow::Result<Run> {
    let output = tempfile::tempdir()?;
    let arguments = [source, output.path()].map(|path| path.to_str().context("a path of text"));
    let [source, output] = arguments;
    let printed = python(program, include_str!("peer.py"), &[peer, format, source?, output?])?;
    serde_json::from_slice(&printed).with_context(|| format!("what {peer} prints"))
}
