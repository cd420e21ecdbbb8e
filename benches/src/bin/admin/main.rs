//! How fast the reports of the admin service are with a million jobs and a million views.
//!
//! See `benches/README.md` for what is measured and how to run it.

#![expect(clippy::print_stdout, reason = "the figures are the output")]

mod fill;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use belvedere_api::{ApiSettings, ApiState};
use belvedere_hub::local::{LocalHub, LocalOptions};
use belvedere_jobs::call::InProcess;
use belvedere_jobs::files::Files;
use belvedere_jobs::memory::StoreMemory;
use belvedere_jobs::{Caller, Refresher, Registry, Services, Settings};
use belvedere_store::{Blobs, Store};
use clap::Parser;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[derive(Parser)]
struct Args {
    /// `sqlite:PATH` or `postgres://…`: an empty database that may be filled.
    url: String,
    /// Views stored beforehand; 0 when an earlier run has filled the database.
    #[arg(long, default_value_t = 1_000_000)]
    views: u32,
    /// Jobs waiting beforehand; 0 when an earlier run has filled the database.
    #[arg(long, default_value_t = 1_000_000)]
    jobs: u32,
    /// Questions of each kind.
    #[arg(long, default_value_t = 50)]
    questions: usize,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let store = Store::connect(&args.url).await.context("cannot open the store")?;
    drop(store);
    let started = Instant::now();
    fill::fill(&args.url, args.views, args.jobs).await?;
    println!("{} views and {} jobs stored in {:.0} s", args.views, args.jobs, started.elapsed().as_secs_f64());
    let folder = tempfile::tempdir()?;
    let address = serve(&args.url, folder.path()).await?;
    let questions = args.questions;
    tokio::task::spawn_blocking(move || ask_all(&address, questions)).await?
}

/// The admin service over the store, on a socket.
async fn serve(url: &str, folder: &std::path::Path) -> anyhow::Result<String> {
    let store = Store::connect(url).await.context("cannot open the store")?;
    let blobs = Blobs::folder(&folder.join("blobs"))?;
    let memory = Arc::new(StoreMemory(Arc::clone(&store.snapshots)));
    let hub = Arc::new(LocalHub::open(&[], memory, LocalOptions::default())?);
    let caller = Arc::new(InProcess) as Arc<dyn Caller>;
    let services = Arc::new(Services {
        files: Files::new(hub, blobs.clone(), None),
        store,
        blobs,
        graph: Registry::new()?.graph(),
        settings: Settings::default(),
        children: Arc::clone(&caller),
        trusted: caller,
    });
    let refresher = Arc::new(Refresher::new(Arc::clone(&services), 2));
    let state = Arc::new(ApiState::new(services, refresher, ApiSettings::default()));
    // As a server does when it starts; scrapers come later.
    state.prepare();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    tokio::spawn(belvedere_api::serve(listener, belvedere_api::admin_router(state), CancellationToken::new()));
    Ok(address)
}

fn ask_all(address: &str, questions: usize) -> anyhow::Result<()> {
    let agent = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(300))).build().new_agent();
    let ask = |path: &str| -> anyhow::Result<(f64, usize)> {
        let started = Instant::now();
        let body = agent
            .get(format!("http://{address}{path}"))
            .call()?
            .body_mut()
            .with_config()
            .limit(u64::MAX)
            .read_to_vec()?;
        Ok((started.elapsed().as_secs_f64() * 1000.0, body.len()))
    };
    for path in [
        "/admin/healthcheck",
        "/admin/metrics",
        "/admin/pending-jobs",
        "/admin/cache-reports/config-size",
        "/admin/cache-reports-with-content/config-size",
        "/admin/dataset-status?dataset=n0/d0",
        "/admin/blocked-datasets",
        "/admin/num-dataset-infos-by-builder-name",
        "/admin/datasets",
    ] {
        let (first, bytes) = ask(path)?;
        let mut times = Vec::with_capacity(questions);
        for _ in 0..questions {
            times.push(ask(path)?.0);
        }
        times.sort_by(f64::total_cmp);
        let at = |percent: usize| times.get((times.len() * percent / 100).min(times.len().saturating_sub(1)));
        println!(
            "{path:<48} {bytes:>9} bytes   first {first:>8.2} ms   p50 {:>8.2} ms   p99 {:>8.2} ms",
            at(50).copied().unwrap_or_default(),
            at(99).copied().unwrap_or_default()
        );
    }
    Ok(())
}
