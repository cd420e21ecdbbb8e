//! What a search index costs and what a search takes, beside the full-text index of DuckDB on the same Parquet file.
//!
//! See `benches/README.md` for what is measured and how to run it.

#![expect(clippy::print_stdout, reason = "the figures are the output")]

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use belvedere_benches::{convert, listed, only, parquet_file, peak_memory};
use belvedere_domain::data_files::Reader;
use belvedere_engine::call::{BuildSearchIndex, MediaTarget, Search, SearchIndexBuilt};
use belvedere_engine::search::{Alphabet, Mode, Rules};
use belvedere_engine::{Call, FooterCache, Reply, Task, execute_with};
use clap::Parser;
use serde_json::{Value, json};

const PAGE: usize = 100;
const WORDS: usize = 60_000;
const WORDS_PER_TEXT: usize = 30;

#[derive(Parser)]
struct Args {
    /// Texts, each of about 200 characters.
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
    /// Times that each query is asked.
    #[arg(long, default_value_t = 15)]
    times: usize,
    /// Threads, for the peer too.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Memory for building the index, in bytes.
    #[arg(long, default_value_t = 48 << 20)]
    memory: usize,
    /// A Python with duckdb.
    #[arg(long)]
    python: Option<PathBuf>,
    /// The `fts` extension of that DuckDB, as a file.
    #[arg(long, requires = "python")]
    extension: Option<PathBuf>,
    /// Only build the index of a Parquet file, and tell the figures as JSON: how the program asks itself, so that memory
    /// is that of building alone.
    #[arg(long, hide = true, num_args = 2)]
    build: Option<Vec<PathBuf>>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if let Some([parquet, index]) = args.build.as_deref() {
        println!("{}", build(parquet, index, &args)?);
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let csv = folder.path().join("texts.csv");
    write_texts(&csv, args.rows)?;
    let parquet = only(convert(&csv, Reader::Csv, folder.path())?)?;
    let index = folder.path().join("index");
    let output = Command::new(std::env::current_exe()?)
        .args(["--threads", &args.threads.to_string(), "--memory", &args.memory.to_string(), "--build"])
        .args([&parquet, &index])
        .output()?;
    ensure!(output.status.success(), "building failed: {}", String::from_utf8_lossy(&output.stderr));
    let ours: Value = serde_json::from_slice(&output.stdout)?;
    let number = |value: &Value, name: &str| value[name].as_f64().unwrap_or(f64::NAN);
    let text = number(&ours, "text_bytes");
    let show = |name: &str, figures: &Value| {
        let (seconds, memory, size) =
            (number(figures, "seconds"), number(figures, "peak_bytes"), number(figures, "index_bytes"));
        println!(
            "{name:<12} index in {seconds:>6.2} s, peak memory {:>6.0} MB, {:>5.0} MB on disk, {:.2} of the text",
            memory / 1e6,
            size / 1e6,
            size / text
        );
    };
    show("ours", &ours);
    let peer = args.python.as_ref().map(|python| peer(python, &args, &parquet, folder.path())).transpose()?;
    if let Some(peer) = &peer {
        show("DuckDB", peer);
        println!("ratio: {:.1} × as fast to build", number(peer, "seconds") / number(&ours, "seconds"));
    }
    let (mut ratios, mut with_count) = (Vec::new(), Vec::new());
    for (number, (name, query)) in queries().into_iter().enumerate() {
        let (hits, times) = search(&parquet, &index, &query, &args)?;
        let median = times[times.len() / 2];
        print!("{name:<22} {hits:>7} hits, p50 {median:>8.3} ms");
        if let Some(peer) = &peer {
            let answer = &peer["queries"][number];
            let their = answer["ms"].as_f64().context("the peer's time")?;
            ensure!(answer["hits"] == hits, "{query}: DuckDB finds {} rows", answer["hits"]);
            let count = answer["count_ms"].as_f64().context("the peer's time for the count")?;
            let counted = (their + count) / median;
            print!(", DuckDB {their:>8.1} ms, ratio {:>6.1}, with the count {counted:>6.1}", their / median);
            ratios.push(their / median);
            with_count.push(counted);
        }
        println!();
    }
    for (name, ratios) in [("page", &mut ratios), ("page and count", &mut with_count)] {
        ratios.sort_by(f64::total_cmp);
        if let Some(middle) = ratios.get(ratios.len() / 2) {
            println!("median of the ratios, {name}: {middle:.1}");
        }
    }
    Ok(())
}

/// Word number `rank`: easy to say, so that stemmers have work to do.
fn word(rank: usize) -> String {
    const SYLLABLES: [&str; 20] = [
        "ra", "ton", "mi", "der", "ing", "sol", "ka", "ver", "ne", "ly", "pro", "est", "gu", "ation", "be", "lor",
        "ed", "chi", "wan", "s",
    ];
    let mut word = String::new();
    let mut rest = rank + 20;
    while rest > 0 {
        word.push_str(SYLLABLES[rest % 20]);
        rest /= 20;
    }
    word
}

/// Texts of words as common as in a language (Zipf).
fn write_texts(csv: &Path, rows: u64) -> anyhow::Result<()> {
    let words: Vec<String> = (0..WORDS).map(word).collect();
    let total: f64 = (1..=WORDS).map(|rank| 1.0 / rank as f64).sum();
    let mut bounds: Vec<f64> = Vec::with_capacity(WORDS);
    for rank in 1..=WORDS {
        bounds.push(bounds.last().copied().unwrap_or_default() + 1.0 / rank as f64 / total);
    }
    let mut file = std::io::BufWriter::new(fs::File::create(csv)?);
    let mut random = numbers();
    let mut line = String::new();
    writeln!(file, "id,text")?;
    for id in 0..rows {
        line.clear();
        let _ = write!(line, "{id},");
        for at in 0..WORDS_PER_TEXT {
            let place = random.next().unwrap_or_default() as f64 / (1_u64 << 31) as f64;
            let rank = bounds.partition_point(|bound| *bound < place).min(WORDS - 1);
            line.push_str(if at == 0 { "" } else { " " });
            line.push_str(&words[rank]);
        }
        writeln!(file, "{line}")?;
    }
    file.flush()?;
    Ok(())
}

/// One word and several, rare and common.
fn queries() -> Vec<(&'static str, String)> {
    let words = |ranks: &[usize]| ranks.iter().map(|rank| word(*rank)).collect::<Vec<_>>().join(" ");
    vec![
        ("one rare word", words(&[45_000])),
        ("one word", words(&[1_000])),
        ("one common word", words(&[10])),
        ("three words", words(&[900, 3_000, 20_000])),
        ("three common words", words(&[5, 20, 40])),
        ("rare and common", words(&[30_000, 3])),
        ("five words", words(&[50, 500, 5_000, 15_000, 50_000])),
    ]
}

/// The same numbers below 2^31 in every run.
fn numbers() -> impl Iterator<Item = u64> {
    let step =
        |state: &u64| Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407));
    std::iter::successors(Some(12_345), step).skip(1).map(|state| state >> 33)
}

fn rules() -> Rules {
    Rules { alphabet: Alphabet::Unicode, stemmer: Some("english".to_owned()) }
}

fn build(parquet: &Path, index: &Path, args: &Args) -> anyhow::Result<Value> {
    let call = Call::BuildSearchIndex(BuildSearchIndex {
        files: vec![parquet_file(parquet, &FooterCache::default(), &Task::new(1))?],
        features: None,
        rules: rules(),
        output: index.to_owned(),
        memory_bytes: args.memory,
    });
    let started = Instant::now();
    let reply = execute_with(&call, &FooterCache::default(), &Task::new(args.threads))?;
    let seconds = started.elapsed().as_secs_f64();
    let Reply::BuildSearchIndex(SearchIndexBuilt { size, num_text_bytes, .. }) = reply else { bail!("an index") };
    let peak = peak_memory().context("a peak")?;
    Ok(json!({"seconds": seconds, "peak_bytes": peak, "index_bytes": size, "text_bytes": num_text_bytes}))
}

/// Number of matches, and the time of each search in milliseconds, ascending. The rows come as JSON, with match spans.
fn search(parquet: &Path, index: &Path, query: &str, args: &Args) -> anyhow::Result<(u64, Vec<f64>)> {
    let call = Call::Search(Search {
        files: vec![parquet_file(parquet, &FooterCache::default(), &Task::new(1))?],
        features: None,
        query: query.to_owned(),
        mode: Mode::Any,
        or_substring: false,
        rules: rules(),
        index: Some(listed(index)?),
        max_seconds: 0.0,
        offset: 0,
        length: PAGE,
        with_rows: true,
        with_matches: true,
        media: MediaTarget {
            directory: PathBuf::from("/nonexistent"),
            url_prefix: String::new(),
            resolve_prefix: String::new(),
            repository: String::new(),
            linked_files: Some(Vec::new()),
            rules: Default::default(),
        },
    });
    let footers = FooterCache::default();
    let task = Task::new(args.threads);
    let mut hits = 0;
    let mut times = Vec::with_capacity(args.times);
    // The first time opens the files.
    for time in 0..=args.times {
        let started = Instant::now();
        let Reply::Search(found) = execute_with(&call, &footers, &task)? else { bail!("a page") };
        ensure!(found.from_index && found.page.rows.len() == found.matches.len(), "the index answers");
        hits = found.page.num_rows_total.unwrap_or_default();
        if time > 0 {
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
    }
    times.sort_by(f64::total_cmp);
    Ok((hits, times))
}

fn peer(python: &Path, args: &Args, parquet: &Path, folder: &Path) -> anyhow::Result<Value> {
    let script = folder.join("peer.py");
    fs::write(&script, include_str!("peer.py"))?;
    let queries: Vec<String> = queries().into_iter().map(|(_, query)| query).collect();
    let request = json!({
        "parquet": parquet,
        "database": folder.join("peer.duckdb"),
        "extension": args.extension,
        "threads": args.threads,
        "times": args.times.min(7),
        "queries": queries,
    });
    let output = Command::new(python).arg(&script).arg(request.to_string()).output()?;
    ensure!(output.status.success(), "the peer failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}
