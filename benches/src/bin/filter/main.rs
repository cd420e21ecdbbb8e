//! Filters over a million rows, a key among ten million, and the first question to a new split, beside DuckDB on the same
//! files.
//!
//! See `benches/README.md` for what is measured and how to run it.

#![expect(clippy::print_stdout, reason = "the figures are the output")]

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use belvedere_benches::{convert, listed, only, parquet_file, python};
use belvedere_domain::data_files::Reader;
use belvedere_engine::call::{Budget, Export, Filter, Format, MediaTarget, ParquetFile, QueryText, WantedRows};
use belvedere_engine::{Call, FooterCache, Reply, Task, execute_with};
use clap::Parser;
use serde_json::{Value, json};

#[derive(Parser)]
struct Args {
    /// Rows of the table that is filtered.
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
    /// Rows of the table that keys are looked up in.
    #[arg(long, default_value_t = 10_000_000)]
    keys: u64,
    /// Times that each question is asked.
    #[arg(long, default_value_t = 11)]
    rounds: usize,
    /// Threads of either side.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// A Python with pyarrow and duckdb: it makes the tables, and DuckDB is the peer.
    #[arg(long)]
    python: PathBuf,
    /// Where the tables are kept from one run to the next; a temporary directory if unset.
    #[arg(long)]
    folder: Option<PathBuf>,
}

/// A question: name, condition, order, offset.
type Question = (&'static str, &'static str, &'static str, u64);

const QUESTIONS: &[Question] = &[
    ("15 % match, ordered, deep", r#""a" > 10 and "s" = 'alpha'"#, r#""b" desc"#, 1_000),
    ("0.1 % match, ordered", r#""a" > 990 and "s" = 'alpha' and "d" < 0.7"#, r#""b" desc"#, 0),
    ("half match, two keys", r#""d" > 0.5"#, r#""s", "b" desc"#, 0),
    ("all match, ordered", "", r#""d""#, 0),
    ("text contains, no order", r#""t" like '%zeta eta zeta%'"#, "", 0),
    ("one key among unsorted", r#""mail" = 'user-00000077@example.org'"#, "", 0),
];

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let temporary = tempfile::tempdir()?;
    let folder = args.folder.clone().unwrap_or_else(|| temporary.path().to_owned());
    std::fs::create_dir_all(&folder)?;
    let (foreign, keys) =
        (folder.join(format!("rows-{}.parquet", args.rows)), folder.join(format!("keys-{}.parquet", args.keys)));
    for (path, what, rows) in [(&foreign, "rows", args.rows), (&keys, "keys", args.keys)] {
        if !path.exists() {
            peer(&args, &json!({"make": what, "rows": rows, "path": path}))?;
        }
    }
    let ours = in_our_layout(&foreign, &folder)?;
    let our_keys = in_our_layout(&keys, &folder)?;
    for (layout, path) in [("our layout", &ours), ("pyarrow's layout", &foreign)] {
        println!("\n{layout}: {:.0} MB", size(path)? as f64 / 1e6);
        filters(&args, path)?;
    }
    for (layout, path) in [("our layout", &our_keys), ("pyarrow's layout", &keys)] {
        println!("\nkeys, {layout}: {:.0} MB", size(path)? as f64 / 1e6);
        look_ups(&args, path)?;
    }
    println!();
    first(&args, &ours)
}

fn size(path: &Path) -> anyhow::Result<u64> {
    Ok(std::fs::metadata(path)?.len())
}

/// Asks each question often, here and there, and compares the rows.
fn filters(args: &Args, path: &Path) -> anyhow::Result<()> {
    let questions: Vec<Value> = QUESTIONS
        .iter()
        .map(|(_, condition, order, offset)| json!({"where": condition, "order": order, "offset": offset}))
        .collect();
    let theirs = peer(args, &json!({"time": path, "questions": questions}))?;
    let reader = OurReader::open(path, args.threads)?;
    for ((name, condition, order, offset), their) in QUESTIONS.iter().zip(theirs.as_array().context("a list")?) {
        let mut times = Vec::new();
        let mut found = (Vec::new(), 0);
        for _ in 0..args.rounds {
            let started = Instant::now();
            found = reader.ask(condition, order, *offset)?;
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
        let expected: Vec<u64> = serde_json::from_value(their["rows"].clone())?;
        ensure!(
            found.0 == expected,
            "{name}: rows {:?}…, DuckDB's {:?}…",
            &found.0[..found.0.len().min(5)],
            &expected[..expected.len().min(5)]
        );
        let (mine, page, with_count) = (median(&mut times), number(their, "page")?, number(their, "page_and_count")?);
        println!(
            "{name:<28} {mine:>8.2} ms, DuckDB {page:>8.2} ms ({:>5.1}×), with the count {with_count:>8.2} ms ({:>5.1}×), {} match",
            page / mine,
            with_count / mine,
            found.1
        );
    }
    Ok(())
}

/// Looks single keys up.
fn look_ups(args: &Args, path: &Path) -> anyhow::Result<()> {
    let keys: Vec<u64> = (0..101).map(|index: u64| index.wrapping_mul(2_654_435_761) % args.keys).collect();
    let their = number(
        &peer(args, &json!({"look_up": path, "keys": keys.iter().map(|key| key * 3).collect::<Vec<_>>()}))?,
        "p50",
    )?;
    let reader = OurReader::open(path, args.threads)?;
    let mut times = Vec::new();
    for key in keys {
        let started = Instant::now();
        let (rows, count) = reader.ask(&format!("\"key\" = {}", key * 3), "", 0)?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
        ensure!((rows.as_slice(), count) == (&[key][..], 1), "key {key}: {rows:?}");
    }
    let mine = median(&mut times);
    println!("one key, p50                 {mine:>8.2} ms, DuckDB {their:>8.2} ms ({:>5.1}×)", their / mine);
    Ok(())
}

/// The first question to a split that nobody has asked anything, and what the reference does for it.
fn first(args: &Args, path: &Path) -> anyhow::Result<()> {
    let (_, condition, order, offset) = QUESTIONS[0];
    let question = json!({"where": condition, "order": order, "offset": offset});
    let theirs = peer(args, &json!({"first": path, "question": question}))?;
    let mut times = Vec::new();
    for _ in 0..args.rounds {
        let started = Instant::now();
        OurReader::open(path, args.threads)?.ask(condition, order, offset)?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    let (mine, table, index, query) =
        (median(&mut times), number(&theirs, "table")?, number(&theirs, "index")?, number(&theirs, "query")?);
    let total = table + index + query;
    println!(
        "first question {mine:.1} ms; the reference's way {total:.0} ms: table {table:.0}, full-text index {index:.0} ({}), query {query:.0} ({:.0}×)",
        theirs["fts"].as_str().unwrap_or("?"),
        total / mine
    );
    Ok(())
}

fn number(value: &Value, name: &str) -> anyhow::Result<f64> {
    value[name].as_f64().with_context(|| format!("the peer tells no {name}"))
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// A file with its footer known after the first question.
struct OurReader {
    files: Vec<ParquetFile>,
    cache: FooterCache,
    task: Task,
}

impl OurReader {
    fn open(path: &Path, threads: usize) -> anyhow::Result<Self> {
        let (cache, task) = (FooterCache::default(), Task::new(threads));
        Ok(Self { files: vec![parquet_file(path, &cache, &task)?], cache, task })
    }

    /// Numbers of up to 100 rows, after they were read and written as JSON, and how many match.
    fn ask(&self, condition: &str, order: &str, offset: u64) -> anyhow::Result<(Vec<u64>, u64)> {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let call = Call::Filter(Filter {
            files: self.files.clone(),
            features: None,
            query: QueryText { condition: text(condition), order: text(order), reference: false },
            offset,
            length: if order.is_empty() { 10_000 } else { 1_000 },
            budget: Budget { max_seconds: 600.0, max_memory_bytes: 256 << 20, max_rows: None },
        });
        let Reply::Filter(mut found) = execute_with(&call, &self.cache, &self.task)? else {
            bail!("a filter was asked for")
        };
        found.rows.truncate(100);
        let call = Call::Export(Export {
            files: self.files.clone(),
            features: None,
            columns: Vec::new(),
            rows: WantedRows::Listed(found.rows.clone()),
            format: Format::Json,
            begins: true,
            max_bytes: 4 << 20,
            max_rows: 100_000,
            media: MediaTarget {
                directory: PathBuf::new(),
                url_prefix: String::new(),
                resolve_prefix: String::new(),
                repository: "hf://datasets/bench/filter@main".to_owned(),
                linked_files: Some(Vec::new()),
                rules: Default::default(),
            },
        });
        let Reply::Export(rows) = execute_with(&call, &self.cache, &self.task)? else { bail!("rows were asked for") };
        ensure!(rows.num_rows == found.rows.len() as u64, "{} rows of {}", rows.num_rows, found.rows.len());
        Ok((found.rows, found.count))
    }
}

/// The same rows in our layout.
fn in_our_layout(path: &Path, folder: &Path) -> anyhow::Result<PathBuf> {
    let output = folder.join(format!("ours-{}", listed(path)?.path));
    let started = Instant::now();
    let converted = only(convert(path, Reader::Parquet, &output)?)?;
    println!("{} converted in {:.1} s", path.display(), started.elapsed().as_secs_f64());
    Ok(converted)
}

/// Asks the peer for something, as JSON.
fn peer(args: &Args, request: &Value) -> anyhow::Result<Value> {
    let mut request = request.clone();
    request["threads"] = json!(args.threads);
    request["rounds"] = json!(args.rounds);
    let printed = python(&args.python, include_str!("peer.py"), &[&request.to_string()])?;
    serde_json::from_slice(&printed).context("the peer answers with JSON")
}
