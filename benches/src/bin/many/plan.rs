//! The plan of a dataset of which nothing is stored but names, and the transaction that queues it.

use std::time::Instant;

use anyhow::Context as _;
use belvedere_domain::plan::{DatasetState, KnownConfig, Scope, plan};
use belvedere_domain::{ConfigName, DatasetName, Priority, Revision, SplitName};
use belvedere_jobs::Registry;
use belvedere_store::{Store, TargetChange};

/// Plans and queues, three times with another dataset, and prints the times.
pub(crate) fn measure(configs: usize, url: &str) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(configs, url))
}

async fn run(configs: usize, url: &str) -> anyhow::Result<()> {
    let store = Store::connect(url).await.context("the store cannot be opened")?;
    let graph = Registry::new()?.graph();
    let database = url.split(':').next().unwrap_or_default();
    for round in 0..3 {
        let dataset = DatasetName::new(format!("bench/many{round}"))?;
        let revision = Revision::new("a".repeat(40))?;
        let config = |number: usize| -> anyhow::Result<KnownConfig> {
            Ok(KnownConfig {
                name: ConfigName::new(format!("c{number:04}"))?,
                splits: super::SPLITS.iter().map(SplitName::new).collect::<Result<_, _>>()?,
                big: false,
                big_splits: Vec::new(),
            })
        };
        let state = DatasetState {
            dataset: dataset.clone(),
            target: revision.clone(),
            configs: (0..configs).map(config).collect::<anyhow::Result<_>>()?,
            rows: Vec::new(),
            pending: Vec::new(),
        };
        let started = Instant::now();
        let plan = plan(&graph, &state, Scope::All, Priority::Normal);
        let planned = started.elapsed();
        let (queued, _) = store.queue.set_target(TargetChange { dataset, revision, plan }).await?;
        println!(
            "plan of {configs} configs on {database}: {queued} jobs planned in {:.0} ms and queued after {:.0} ms",
            planned.as_secs_f64() * 1e3,
            started.elapsed().as_secs_f64() * 1e3
        );
    }
    Ok(())
}
