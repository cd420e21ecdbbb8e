//! The plan of a dataset of which everything is stored, but that of splits by older code, and the transaction that
//! queues it.

use std::time::Instant;

use anyhow::Context as _;
use belvedere_domain::plan::{ArtifactRow, DatasetState, KnownConfig, Scope, plan};
use belvedere_domain::{
    ArtifactKey, ConfigName, DatasetName, Graph, Level, Priority, Revision, SplitName, Step, Timestamp,
};
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
        let configs: Vec<KnownConfig> = (0..configs).map(config).collect::<anyhow::Result<_>>()?;
        let state = DatasetState {
            dataset: dataset.clone(),
            target: revision.clone(),
            rows: rows(&graph, &dataset, &revision, &configs),
            configs,
            pending: Vec::new(),
        };
        let started = Instant::now();
        let plan = plan(&graph, &state, Scope::All, Priority::Normal);
        let planned = started.elapsed();
        let (queued, _) = store.queue.set_target(TargetChange { dataset, revision, plan }).await?;
        println!(
            "plan of {} configs with {} results on {database}: {queued} jobs planned in {:.0} ms and queued after {:.0} ms",
            state.configs.len(),
            state.rows.len(),
            planned.as_secs_f64() * 1e3,
            started.elapsed().as_secs_f64() * 1e3
        );
    }
    Ok(())
}

/// A result for every artifact; those of splits were made by another version of the code.
fn rows(graph: &Graph, dataset: &DatasetName, revision: &Revision, configs: &[KnownConfig]) -> Vec<ArtifactRow> {
    let row = |step: &Step, key: ArtifactKey| ArtifactRow {
        key,
        revision: revision.clone(),
        http_status: 200,
        error_code: None,
        runner_version: if step.level == Level::Split { 0 } else { step.version },
        updated_at: Timestamp(1),
        failed_runs: 0,
    };
    let mut rows = Vec::new();
    for step in graph.steps() {
        let at_dataset = ArtifactKey::dataset(step.step_name(), dataset.clone());
        match step.level {
            Level::Dataset => rows.push(row(step, at_dataset)),
            Level::Config => {
                let at_config =
                    |config: &KnownConfig| ArtifactKey { config: Some(config.name.clone()), ..at_dataset.clone() };
                rows.extend(configs.iter().map(|config| row(step, at_config(config))));
            }
            Level::Split => {
                for config in configs {
                    let at_split = |split: &SplitName| {
                        ArtifactKey::split(step.step_name(), dataset.clone(), config.name.clone(), split.clone())
                    };
                    rows.extend(config.splits.iter().map(|split| row(step, at_split(split))));
                }
            }
        }
    }
    rows
}
