//! How many jobs per second the queue claims and finishes, beside a bare loop that only claims and deletes.
//!
//! See `benches/README.md` for what is measured and how to run it.

#![expect(clippy::print_stdout, reason = "the figures are the output")]

mod bare;
mod fill;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use belvedere_domain::job::ClaimedJob;
use belvedere_domain::view::DigestBuilder;
use belvedere_domain::{Lease, StepName, View};
use belvedere_store::{ClaimRequest, Completion, Fairness, Finished, NewView, RateLimit, Store, ViewContent};
use clap::Parser;

#[derive(Parser)]
struct Args {
    /// `sqlite:PATH` or `postgres://…`: an empty database that may be filled.
    url: String,
    /// Views stored beforehand; 0 when an earlier run has filled the database.
    #[arg(long, default_value_t = 1_000_000)]
    views: u32,
    /// Jobs waiting beforehand, and again before each round.
    #[arg(long, default_value_t = 50_000)]
    waiting: u32,
    /// Namespaces among which the datasets are spread.
    #[arg(long, default_value_t = 200)]
    namespaces: u32,
    /// Jobs claimed and finished in each round.
    #[arg(long, default_value_t = 20_000)]
    jobs: usize,
    /// Rounds; each runs the bare loop and then the queue.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Claimers at once.
    #[arg(long, default_value_t = 8)]
    clients: usize,
    /// Cap of started jobs per dataset; none when absent.
    #[arg(long)]
    cap: Option<u32>,
}

/// One round of one loop.
struct Round {
    jobs_per_second: f64,
    /// Microseconds per claim, sorted.
    claims: Vec<u64>,
}

impl Round {
    fn percentile(&self, percent: usize) -> f64 {
        self.claims.get(self.claims.len() * percent / 100).copied().unwrap_or_default() as f64 / 1000.0
    }

    fn print(&self, name: &str) {
        println!(
            "{name:<6} {:>8.0} jobs/s   claim p50 {:>6.2} ms, p99 {:>6.2} ms",
            self.jobs_per_second,
            self.percentile(50),
            self.percentile(99)
        );
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    Store::connect(&args.url).await.context("cannot open the store")?;
    let started = Instant::now();
    if args.views > 0 {
        fill::views(&args.url, args.views, args.namespaces).await?;
        println!("{} views stored in {:.0} s", args.views, started.elapsed().as_secs_f64());
    }
    if let Some(path) = args.url.strip_prefix("sqlite:") {
        bare::run_sqlite_connections(path, args.jobs / 10, args.clients).await?.print("plain");
    }
    let mut ratios = Vec::new();
    let mut speeds = Vec::new();
    for round in 1..=args.rounds {
        println!("round {round}");
        let bare = bare::run(&args.url, args.jobs, args.clients).await?;
        bare.print("bare");
        fill::jobs(&args.url, args.waiting, args.namespaces).await?;
        let queue = run_queue(&args).await?;
        queue.print("queue");
        ratios.push(queue.jobs_per_second / bare.jobs_per_second);
        speeds.push(queue.jobs_per_second);
    }
    println!("median {:.0} jobs/s, ratio to the bare loop {:.2}", median(&mut speeds), median(&mut ratios));
    Ok(())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Runs clients that take tickets until none is left; each returns the microseconds of its claims.
async fn measure<F>(jobs: usize, clients: usize, client: impl Fn(Arc<AtomicUsize>) -> F) -> anyhow::Result<Round>
where
    F: Future<Output = anyhow::Result<Vec<u64>>> + Send + 'static,
{
    let tickets = Arc::new(AtomicUsize::new(jobs));
    let started = Instant::now();
    let tasks: Vec<_> = (0..clients).map(|_| tokio::spawn(client(tickets.clone()))).collect();
    let mut claims = Vec::with_capacity(jobs);
    for task in tasks {
        claims.extend(task.await??);
    }
    let elapsed = started.elapsed();
    claims.sort_unstable();
    Ok(Round { jobs_per_second: jobs as f64 / elapsed.as_secs_f64(), claims })
}

/// Takes one of the tickets; `false` when none is left.
fn take(tickets: &AtomicUsize) -> bool {
    tickets.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

async fn run_queue(args: &Args) -> anyhow::Result<Round> {
    let store = Store::connect(&args.url).await?;
    let request = ClaimRequest {
        owner: "bench".to_owned(),
        difficulty_min: Some(0),
        difficulty_max: Some(80),
        blocked: vec![StepName::known("step-blocked")],
        lease_seconds: 300.0,
        fairness: Fairness { max_jobs_per_dataset: args.cap },
        ..ClaimRequest::default()
    };
    let client = |tickets: Arc<AtomicUsize>| {
        let (store, request) = (store.clone(), request.clone());
        async move {
            let mut claims = Vec::new();
            let mut next = None;
            while take(&tickets) {
                let job = match next.take() {
                    Some(job) => job,
                    None => {
                        let asked = Instant::now();
                        let Some(job) = store.queue.claim(&request).await? else { bail!("the queue ran dry") };
                        claims.push(micros(asked.elapsed()));
                        job
                    }
                };
                let (lease, completion) = completion_of(job);
                let asked = Instant::now();
                let finished = if tickets.load(Ordering::Relaxed) > 0 {
                    let (finished, claimed) = store.queue.finish_and_claim(&lease, completion, &request).await;
                    next = claimed?;
                    claims.push(micros(asked.elapsed()));
                    finished?
                } else {
                    store.queue.finish(&lease, completion).await?
                };
                anyhow::ensure!(matches!(finished, Finished::Saved { .. }), "a result was refused: {finished:?}");
            }
            if let Some(job) = next {
                store.queue.release(&job.lease, 0.0, false).await?;
            }
            Ok(claims)
        }
    };
    measure(args.jobs, args.clients, client).await
}

/// The end of a job that leaves a view of 1 kB.
fn completion_of(job: ClaimedJob) -> (Lease, Completion) {
    let digest = DigestBuilder::new("bench", 1).part("job", job.record.id.0.to_le_bytes()).finish();
    let content = ViewContent::Computed(View::ok(&"x".repeat(1000)));
    let view = NewView { key: job.record.key, digest, runner_version: 1, content };
    let completion = Completion {
        views: vec![view],
        answer_set: vec![StepName::known("step-never")],
        rate_limit: Some(RateLimit::default()),
        coalesce_seconds: 1.0,
        ..Completion::default()
    };
    (job.lease, completion)
}
