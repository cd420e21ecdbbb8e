//! How long a user waits: from the start of a cold server to the first rows of a large csv file, and for a page of rows
//! at a random place of a million.
//!
//! `cargo run --release -p belvedere-benches --bin serve -- target/release/belvedere`
//!
//! The server is the real program in a process of its own; everything goes over HTTP on loopback. Each run prints what it
//! is compared with: `/healthcheck` on the same connection (what a request costs without any work), and reading and
//! parsing the same 101 lines in this process.

#![expect(clippy::print_stdout, reason = "a benchmark's output is its figures")]

mod data;
mod load;
mod writes;

use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::ensure;
use belvedere_benches::Server;
use clap::Parser;

/// Measures a server from the outside.
#[derive(Parser)]
struct Arguments {
    /// The program to measure, built for release.
    belvedere: PathBuf,
    /// Measure the load on this empty PostgreSQL database as well: alone, and while another process writes.
    #[arg(long)]
    postgres: Option<String>,
    /// Only what a server does under load.
    #[arg(long)]
    load_only: bool,
    /// Connections of the load.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Seconds of each load.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Answer everything with the bytes of this file, on this port.
    #[arg(long, hide = true, num_args = 2)]
    bare: Option<Vec<String>>,
    /// Size of the csv file of the first measure, in bytes.
    #[arg(long, default_value_t = 200_000_000)]
    csv_bytes: u64,
    /// Rows of the dataset of the second measure.
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
    /// Cold starts.
    #[arg(long, default_value_t = 5)]
    starts: usize,
    /// Pages asked for.
    #[arg(long, default_value_t = 2_000)]
    pages: usize,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some([file, port]) = arguments.bare.as_deref() {
        return load::serve_bytes(std::fs::read(file)?, port.parse()?);
    }
    let folder = tempfile::tempdir()?;
    if arguments.load_only {
        return under_load(&arguments, folder.path());
    }
    println!("cold start to /first-rows, one csv file of {} bytes:", arguments.csv_bytes);
    let big = folder.path().join("big");
    let file = big.join("csv/data.csv");
    data::write_bytes(&file, arguments.csv_bytes)?;
    let mut waits = Vec::new();
    for _ in 0..arguments.starts {
        let state = tempfile::tempdir()?;
        waits.push(cold_start(&arguments.belvedere, &big, state.path())?);
    }
    print("from the start of the process", &mut waits);
    let mut floor = (0..arguments.starts).map(|_| head_of(&file)).collect::<anyhow::Result<Vec<_>>>()?;
    print("peer: 101 lines read and split in this process", &mut floor);
    std::fs::remove_dir_all(&big)?;

    println!("/rows of 100 rows at a random offset of {} rows, 9 columns, one connection:", arguments.rows);
    let many = folder.path().join("many");
    data::write_rows(&many.join("rows/data.csv"), arguments.rows)?;
    let state = tempfile::tempdir()?;
    let server = Server::start(&arguments.belvedere, &many, state.path())?;
    let page = |offset: u64| format!("/rows?dataset=local/rows&config=default&split=train&offset={offset}&length=100");
    server.wait_for(&page(0), Duration::from_secs(600))?;
    let mut random = data::Random::new(7);
    let mut ask = |count: usize| -> anyhow::Result<Vec<Duration>> {
        (0..count).map(|_| server.time(&page(random.below(arguments.rows - 100)))).collect()
    };
    // The first pages fill caches of the operating system.
    ask(100)?;
    let mut pages = ask(arguments.pages)?;
    let mut health = (0..arguments.pages).map(|_| server.time("/healthcheck")).collect::<anyhow::Result<Vec<_>>>()?;
    print("page", &mut pages);
    print("peer: /healthcheck", &mut health);
    let ratio = median(&pages).as_secs_f64() / median(&health).as_secs_f64();
    println!("  ratio of the medians: {ratio:.1}");
    drop(server);
    under_load(&arguments, folder.path())
}

/// Cached answers under load on each database.
fn under_load(arguments: &Arguments, folder: &Path) -> anyhow::Result<()> {
    load_on(arguments, None, folder, "SQLite")?;
    let Some(url) = &arguments.postgres else { return Ok(()) };
    load_on(arguments, Some(url), folder, "PostgreSQL")?;
    let writing = writes::Writing::start(url)?;
    load_on(arguments, Some(url), folder, "PostgreSQL, which another process writes to")?;
    println!("  {:.0} transactions of the other process per second", writing.end()?);
    Ok(())
}

/// Cached answers under load, each beside a bare route with the same bytes.
fn load_on(arguments: &Arguments, database: Option<&str>, folder: &Path, name: &str) -> anyhow::Result<()> {
    println!("{name}, {} connections, {} s each, answers per second:", arguments.connections, arguments.seconds);
    let data = folder.join("load");
    data::write_rows(&data.join("rows/data.csv"), 10_000)?;
    let state = tempfile::tempdir()?;
    let server = Server::start_on(database, &arguments.belvedere, &data, state.path())?;
    let split = "dataset=local/rows&config=default&split=train";
    let routes = [
        "/splits?dataset=local/rows".to_owned(),
        "/size?dataset=local/rows".to_owned(),
        "/info?dataset=local/rows".to_owned(),
        "/is-valid?dataset=local/rows".to_owned(),
        format!("/first-rows?{split}"),
    ];
    server.wait_for(&format!("/statistics?{split}"), Duration::from_secs(120))?;
    let duration = Duration::from_secs_f64(arguments.seconds);
    for route in &routes {
        server.wait_for(route, Duration::from_secs(60))?;
        let bytes = server.body(route)?;
        let body = folder.join("body");
        std::fs::write(&body, &bytes)?;
        // The first argument is that of a server to measure, which there is none of then.
        let bare = Server::this(&["-".as_ref(), "--bare".as_ref(), body.as_ref()])?;
        bare.wait_for("/", Duration::from_secs(10))?;
        let mut rates = [Vec::new(), Vec::new()];
        for _ in 0..3 {
            for (server, rates) in [&server, &bare].into_iter().zip(&mut rates) {
                rates.push(load::answers_per_second(server.address()?, route, arguments.connections, duration)?);
            }
        }
        let [ours, theirs] = rates.map(|mut rates| {
            rates.sort_by(f64::total_cmp);
            rates[rates.len() / 2]
        });
        let name = route.split('?').next().unwrap_or_default();
        println!(
            "  {name:<12} {:>6} B: {ours:>7.0}, bare route {theirs:>7.0}, ratio {:.2}",
            bytes.len(),
            ours / theirs
        );
    }
    Ok(())
}

fn cold_start(program: &Path, folder: &Path, state: &Path) -> anyhow::Result<Duration> {
    let begin = Instant::now();
    let server = Server::start(program, folder, state)?;
    server.wait_for("/first-rows?dataset=local/csv&config=default&split=train", Duration::from_secs(120))?;
    Ok(begin.elapsed())
}

fn head_of(file: &Path) -> anyhow::Result<Duration> {
    let begin = Instant::now();
    let lines = std::io::BufReader::new(std::fs::File::open(file)?).lines().take(101);
    let mut fields = 0;
    for line in lines {
        fields += line?.split(',').count();
    }
    ensure!(fields > 101, "the file has columns");
    Ok(begin.elapsed())
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort();
    times[times.len() / 2]
}

fn print(what: &str, times: &mut [Duration]) {
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1e3;
    println!("  {what}: min {:.2} ms, p50 {:.2} ms, p99 {:.2} ms", at(0), at(50), at(99));
}
