//! A page of rows out of a Parquet file of many gigabytes in one row group, which the reference refuses.
//!
//! See `benches/README.md` for what is measured and how to run it.

#![expect(clippy::print_stdout, reason = "the figures are the output")]

mod generate;
mod thrift;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use belvedere_benches::{Server, parquet_file, peak_memory, python};
use belvedere_engine::call::{MediaTarget, Rows};
use belvedere_engine::{Call, FooterCache, Reply, Task, execute_with};
use clap::Parser;
use serde::{Deserialize, Serialize};

const PAGE: usize = 100;

#[derive(Parser)]
struct Args {
    /// Size of the file, about, in bytes.
    #[arg(long, default_value_t = 10_000_000_000)]
    bytes: u64,
    /// Pages read.
    #[arg(long, default_value_t = 50)]
    pages: usize,
    /// A Python with pyarrow, which reads the same first page the only way it has: the whole row group of the columns.
    #[arg(long)]
    python: Option<PathBuf>,
    /// Where the file is made, and removed at the end; a temporary folder otherwise.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// The program, built for release: it serves the file, and the same pages are asked over HTTP.
    #[arg(long)]
    belvedere: Option<PathBuf>,
    /// Read pages of this file alone, and print times and memory as JSON.
    #[arg(long, hide = true)]
    alone: Option<PathBuf>,
}

#[derive(Serialize, Deserialize)]
struct Figures {
    /// The first page, with the footer not known.
    first_ms: f64,
    /// The others, in order.
    pages_ms: Vec<f64>,
    peak_bytes: f64,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if let Some(file) = &args.alone {
        println!("{}", serde_json::to_string(&pages(file, args.pages)?)?);
        return Ok(());
    }
    let temporary = tempfile::tempdir()?;
    let folder = args.folder.as_deref().unwrap_or(temporary.path());
    fs::create_dir_all(folder)?;
    for with_index in [true, false] {
        let file = folder.join(if with_index { "indexed.parquet" } else { "plain.parquet" });
        let started = Instant::now();
        let rows = generate::write(&file, args.bytes, with_index)?;
        let gigabytes = fs::metadata(&file)?.len() as f64 / 1e9;
        let seconds = started.elapsed().as_secs_f64();
        let index = if with_index { "with" } else { "without" };
        println!("{gigabytes:.1} GB, {rows} rows in one row group, {index} page index, written in {seconds:.0} s:");
        let result = compare(&args, &file)
            .and_then(|()| args.belvedere.iter().try_for_each(|program| served(&args, program, &file, rows)));
        // It is too large to be left behind.
        fs::remove_file(&file)?;
        result?;
    }
    Ok(())
}

fn compare(args: &Args, file: &Path) -> anyhow::Result<()> {
    let pages = args.pages.to_string();
    let output = Command::new(std::env::current_exe()?).args(["--pages", &pages, "--alone"]).arg(file).output()?;
    if output.status.success() {
        let figures: Figures = serde_json::from_slice(&output.stdout).context("figures as JSON")?;
        println!(
            "  first page {:.1} ms; then {}; peak memory {:.0} MB",
            figures.first_ms,
            percentiles(&figures.pages_ms),
            figures.peak_bytes / 1e6
        );
    } else {
        println!("  refused: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    if let Some(program) = &args.python {
        let path = file.to_str().context("a path of text")?;
        let printed = python(program, include_str!("peer.py"), &[path])?;
        println!("  pyarrow: {}", String::from_utf8_lossy(&printed).trim());
    }
    Ok(())
}

/// Pages over HTTP of the program that serves the file: the first as soon as there is one, the others when nothing else
/// is left to do.
fn served(args: &Args, program: &Path, file: &Path, rows: u64) -> anyhow::Result<()> {
    let directory = tempfile::tempdir_in(file.parent().context("a file in a folder")?)?;
    let (folder, state) = (directory.path().join("folder"), directory.path().join("state"));
    fs::create_dir_all(folder.join("one"))?;
    // Not copied: it is as large as the disk may have room for.
    fs::hard_link(file, folder.join("one/train.parquet"))?;
    let page =
        |offset: u64| format!("/rows?dataset=local/one&config=default&split=train&offset={offset}&length={PAGE}");
    let begin = Instant::now();
    let server = Server::start(program, &folder, &state)?;
    server.wait_for(&page(rows / 2), Duration::from_secs(600))?;
    let first = begin.elapsed().as_secs_f64();
    while server.sum("queue_jobs_total")? > 0.0 {
        std::thread::sleep(Duration::from_millis(200));
    }
    let all = begin.elapsed().as_secs_f64();
    let mut pages_ms = Vec::with_capacity(args.pages);
    for offset in places(rows).take(args.pages.max(1)) {
        let asked = Instant::now();
        let body: serde_json::Value = serde_json::from_slice(&server.body(&page(offset))?)?;
        pages_ms.push(asked.elapsed().as_secs_f64() * 1e3);
        let listed = body["rows"].as_array().with_context(|| body.to_string())?;
        ensure!(listed.len() == PAGE && listed[0]["row"]["id"] == offset, "row {offset} is another one");
    }
    pages_ms.sort_by(f64::total_cmp);
    println!(
        "  over HTTP: first page {first:.1} s after the start of a server without state, everything done after {all:.0} s; \
         then {}; peak memory {:.0} MB, and {:.0} MB in the process that reads files",
        percentiles(&pages_ms),
        server.peak_memory()? / 1e6,
        server.peak_memory_of_children()? / 1e6
    );
    Ok(())
}

/// Of milliseconds in order.
fn percentiles(ms: &[f64]) -> String {
    let at = |share: usize| ms.get((ms.len() - 1) * share / 100).copied().unwrap_or_default();
    format!("p50 {:.1} ms, p99 {:.1} ms", at(50), at(99))
}

/// Rows at which pages begin, the same in every run.
fn places(rows: u64) -> impl Iterator<Item = u64> {
    let next =
        |place: &u64| Some(place.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407));
    std::iter::successors(Some(12_345_u64), next).skip(1).map(move |place| (place >> 20) % (rows - PAGE as u64))
}

/// Pages at random places, in this process.
fn pages(file: &Path, count: usize) -> anyhow::Result<Figures> {
    let (cache, task) = (FooterCache::default(), Task::default());
    let started = Instant::now();
    let listed = parquet_file(file, &cache, &task)?;
    let rows = listed.num_rows;
    ensure!(rows > PAGE as u64, "too few rows");
    let read = |offset: u64| -> anyhow::Result<()> {
        let media = MediaTarget {
            directory: PathBuf::new(),
            url_prefix: String::new(),
            resolve_prefix: String::new(),
            repository: "hf://datasets/bench/one-group@main".to_owned(),
            linked_files: Some(Vec::new()),
            rules: Default::default(),
        };
        let call = Call::Rows(Rows {
            files: vec![listed.clone()],
            features: None,
            offset,
            length: PAGE,
            max_read_bytes: 300_000_000,
            max_columns: None,
            media,
        });
        let Reply::Rows(page) = execute_with(&call, &cache, &task)? else { bail!("rows were asked for") };
        ensure!(page.rows.len() == PAGE, "a page has {} rows", page.rows.len());
        let first: serde_json::Value = serde_json::from_str(page.rows[0].get())?;
        ensure!(first["id"] == offset, "row {offset} has the id {}", first["id"]);
        Ok(())
    };
    read(rows / 2)?;
    let first_ms = started.elapsed().as_secs_f64() * 1e3;
    let mut pages_ms = Vec::with_capacity(count);
    for offset in places(rows).take(count.max(1)) {
        let started = Instant::now();
        read(offset)?;
        pages_ms.push(started.elapsed().as_secs_f64() * 1e3);
    }
    pages_ms.sort_by(f64::total_cmp);
    Ok(Figures { first_ms, pages_ms, peak_bytes: peak_memory().context("the system tells no memory")? })
}
