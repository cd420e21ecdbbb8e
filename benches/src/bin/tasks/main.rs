//! Tasks: how many a server accepts in a second, what it costs to watch over a thousand of them on a cluster, and how long one
//! takes from its submission until it runs.
//!
//! `cargo run --release -p belvedere-benches --bin tasks -- target/release/belvedere`, with `--postgres URL` on an empty
//! PostgreSQL database as well, and under `ci/slurm.sh run` with a real cluster. See `benches/README.md`.

#![expect(clippy::print_stdout, reason = "a benchmark's output is its figures")]

mod accept;
mod watch;

use std::path::PathBuf;

use clap::Parser;

/// Measures the program from the outside, and the monitor in this process.
#[derive(Parser)]
struct Args {
    /// The program, built for release.
    belvedere: PathBuf,
    /// An empty PostgreSQL database; without it, only SQLite is measured.
    #[arg(long)]
    postgres: Option<String>,
    /// Tasks that are sent.
    #[arg(long, default_value_t = 6_000)]
    requests: usize,
    /// Clients that send at the same time.
    #[arg(long, default_value_t = 16)]
    clients: usize,
    /// Seconds for which tasks then arrive at the rate that is the goal.
    #[arg(long, default_value_t = 20)]
    seconds: usize,
    /// Leave SQLite out.
    #[arg(long, requires = "postgres")]
    postgres_only: bool,
    /// Active tasks on the cluster.
    #[arg(long, default_value_t = 1_000)]
    active: usize,
    /// Looks at the cluster that are measured.
    #[arg(long, default_value_t = 20)]
    looks: u32,
    /// Do not measure how many are accepted.
    #[arg(long)]
    cluster_only: bool,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if !args.cluster_only {
        let load = accept::Load { requests: args.requests, clients: args.clients, seconds: args.seconds };
        if !args.postgres_only {
            accept::measure(&args.belvedere, None, load, 300)?;
        }
        if let Some(url) = &args.postgres {
            accept::measure(&args.belvedere, Some(url), load, 500)?;
        }
    }
    match std::env::var_os("BELVEDERE_TEST_SLURM") {
        Some(cluster) => watch::measure(&PathBuf::from(cluster), args.active, args.looks),
        None => {
            println!("no cluster: run it under `ci/slurm.sh run`");
            Ok(())
        }
    }
}
