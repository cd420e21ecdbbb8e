//! How long a page of 100 rows takes at random places of a million rows, beside the Python peer of the reference.
//!
//! See `benches/README.md` for what is measured and how to run it.

#![expect(clippy::print_stdout, reason = "the figures are the output")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use belvedere_benches::{convert, listed, only, parquet_file};
use belvedere_domain::data_files::Reader;
use belvedere_engine::call::{Footers, MediaTarget, Relaid, Relayout, Rows};
use belvedere_engine::{Call, FooterCache, Reply, Task, execute_with};
use clap::Parser;

const PAGE: usize = 100;

#[derive(Parser)]
struct Args {
    /// Rows of the table.
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
    /// Pages read.
    #[arg(long, default_value_t = 2_000)]
    pages: usize,
    /// A Python with pyarrow: it writes and reads the same table as the reference does (row groups of 1,000 rows), and
    /// writes it in two common layouts for us to read, before and after they got a private copy.
    #[arg(long)]
    python: Option<PathBuf>,
}

/// Times of pages, in milliseconds.
struct Times {
    sorted: Vec<f64>,
    /// Bytes read per page.
    bytes: Option<u64>,
}

impl Times {
    fn percentile(&self, percent: usize) -> f64 {
        self.sorted.get(self.sorted.len() * percent / 100).copied().unwrap_or_default()
    }

    fn print(&self, name: &str, file: &Path) -> anyhow::Result<()> {
        let size = fs::metadata(file)?.len() as f64 / 1e6;
        let bytes = self.bytes.map_or_else(String::new, |bytes| format!(", {:>7.1} kB read", bytes as f64 / 1e3));
        let (p50, p99) = (self.percentile(50), self.percentile(99));
        println!("{name:<28} p50 {p50:>8.3} ms, p99 {p99:>8.3} ms{bytes}, file of {size:.1} MB");
        Ok(())
    }
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    ensure!(args.rows > PAGE as u64, "at least {} rows are needed", PAGE + 1);
    let folder = tempfile::tempdir()?;
    let csv = folder.path().join("data.csv");
    fs::write(&csv, table(args.rows))?;
    let started = Instant::now();
    let ours = only(convert(&csv, Reader::Csv, folder.path())?)?;
    let megabytes = fs::metadata(&csv)?.len() as f64 / 1e6;
    println!("{megabytes:.0} MB of csv converted in {:.2} s", started.elapsed().as_secs_f64());
    let offsets: Vec<u64> = places().map(|place| place % (args.rows - PAGE as u64)).take(args.pages).collect();
    let times = read(&ours, &offsets)?;
    times.print("ours", &ours)?;
    if let Some(python) = &args.python {
        let [peer, foreign, plain] =
            ["peer", "foreign", "plain"].map(|name| folder.path().join(name).with_extension("parquet"));
        let peer_times = peer_times(python, [&csv, &peer, &foreign, &plain], &offsets)?;
        peer_times.print("pyarrow, reference's layout", &peer)?;
        println!("ratio of p50: {:.0}", peer_times.percentile(50) / times.percentile(50));
        for (name, original) in [("row groups of 100,000, index", &foreign), ("pyarrow's defaults", &plain)] {
            let before = read(original, &offsets)?;
            before.print(name, original)?;
            let started = Instant::now();
            let copy = copy_of(original)?;
            let seconds = started.elapsed().as_secs_f64();
            let after = read(&copy, &offsets)?;
            after.print("  its private copy", &copy)?;
            println!("  written in {seconds:.2} s; ratio of p50: {:.0}", before.percentile(50) / after.percentile(50));
        }
    }
    Ok(())
}

/// Ten columns: numbers of several kinds, words that repeat, texts that do not, dates and truths.
fn table(rows: u64) -> String {
    const WORDS: [&str; 7] = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta"];
    let mut random = places();
    let mut next = move || random.next().unwrap_or_default();
    let mut csv = String::from("id,small,large,ratio,score,word,mail,words,truth,day\n");
    for id in 0..rows {
        let (small, large, ratio, score) =
            (next() % 1_000, next(), next() as f64 / 1e7, (next() % 1_000_000) as f64 / 1e6);
        let word = WORDS[(next() % 7) as usize];
        let _ = write!(csv, "{id},{small},{large},{ratio},{score},{word},user-{:08x}@example.org,", next());
        for _ in 0..8 {
            csv.push_str(WORDS[(next() % 7) as usize]);
            csv.push(' ');
        }
        let truth = if next() % 2 == 0 { "True" } else { "False" };
        let _ = writeln!(csv, "x,{truth},2024-{:02}-{:02}", 1 + next() % 12, 1 + next() % 28);
    }
    csv
}

/// The same numbers below 2^31 in every run.
fn places() -> impl Iterator<Item = u64> {
    let step =
        |state: &u64| Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407));
    std::iter::successors(Some(12_345), step).skip(1).map(|state| state >> 33)
}

/// Reads a page at each offset, with the footer known.
fn read(path: &Path, offsets: &[u64]) -> anyhow::Result<Times> {
    let cache = FooterCache::default();
    let files = vec![parquet_file(path, &cache, &Task::default())?];
    let mut sorted = Vec::with_capacity(offsets.len());
    let read_before = bytes_read();
    for &offset in offsets {
        let media = MediaTarget {
            directory: PathBuf::new(),
            url_prefix: String::new(),
            resolve_prefix: String::new(),
            repository: "hf://datasets/bench/rows@main".to_owned(),
            linked_files: Some(Vec::new()),
            rules: Default::default(),
        };
        let files = files.clone();
        let call = Call::Rows(Rows {
            files,
            features: None,
            offset,
            length: PAGE,
            max_read_bytes: u64::MAX,
            max_columns: None,
            media,
        });
        let started = Instant::now();
        let Reply::Rows(page) = execute_with(&call, &cache, &Task::default())? else { bail!("rows were asked for") };
        sorted.push(started.elapsed().as_secs_f64() * 1e3);
        ensure!(page.rows.len() == PAGE, "a page has {} rows", page.rows.len());
    }
    let bytes = bytes_read().zip(read_before).map(|(after, before)| (after - before) / offsets.len().max(1) as u64);
    sorted.sort_by(f64::total_cmp);
    Ok(Times { sorted, bytes })
}

/// The private copy that is made of a file whose layout is poor.
fn copy_of(path: &Path) -> anyhow::Result<PathBuf> {
    let (file, output) = (listed(path)?, path.with_extension("copy"));
    let facts = Call::Footers(Footers { files: vec![file.clone()] });
    let Reply::Footers(facts) = belvedere_engine::execute(facts, &Task::default())? else {
        bail!("footers were asked for")
    };
    ensure!(facts.files[0].poor, "the layout of {} is not poor", file.path);
    let call = Call::Relayout(Relayout { file, output: output.clone(), max_bytes: u64::MAX });
    match belvedere_engine::execute(call, &Task::default())? {
        Reply::Relayout(Relaid::Written(written)) => Ok(output.join(written.path)),
        other => bail!("no copy was made: {other:?}"),
    }
}

/// Bytes that this process has read, where the system tells.
fn bytes_read() -> Option<u64> {
    let counters = fs::read_to_string("/proc/self/io").ok()?;
    counters.lines().find_map(|line| line.strip_prefix("rchar: "))?.parse().ok()
}

/// `files` are the csv to read and the Parquet files to write.
fn peer_times(python: &Path, files: [&PathBuf; 4], offsets: &[u64]) -> anyhow::Result<Times> {
    let list = serde_json::to_string(offsets)?;
    let arguments = files[0].with_file_name("offsets.json");
    fs::write(&arguments, list)?;
    let output = Command::new(python)
        .args(["-c", include_str!("peer.py")])
        .args(files)
        .arg(&arguments)
        .output()
        .with_context(|| format!("cannot run {}", python.display()))?;
    ensure!(output.status.success(), "the peer failed: {}", String::from_utf8_lossy(&output.stderr));
    let mut sorted: Vec<f64> = serde_json::from_slice(&output.stdout).context("the peer prints a list of times")?;
    sorted.sort_by(f64::total_cmp);
    Ok(Times { sorted, bytes: None })
}
