//! `config-duckdb-index-size`: rows and bytes in the DuckDB files of a config.

use async_trait::async_trait;
use belvedere_domain::{ArtifactKey, Level, Step, StepName, View};

use super::sibling;
use crate::content::{ConfigIndexSize, ConfigIndexSizeItem, ConfigIndexSizes, DuckdbIndex, SplitIndexSize, SplitNames};
use crate::job::{Job, JobContext, JobError, Ready, typed};

const STEP: Step = Step::config("config-duckdb-index-size")
    .triggered_by(&["config-split-names", "split-duckdb-index"])
    .version(2)
    .difficulty(20);

pub(crate) struct SizeJob;

#[async_trait]
impl Job for SizeJob {
    fn step(&self) -> &'static Step {
        &STEP
    }

    async fn run(&self, ctx: &mut JobContext) -> Result<Ready, JobError> {
        let names = sibling::<SplitNames>(ctx, "config-split-names").await?.content;
        let at =
            |split| ArtifactKey { split: Some(split), ..ctx.at(StepName::known("split-duckdb-index"), Level::Config) };
        let keys: Vec<ArtifactKey> = names.splits.into_iter().map(|item| at(item.split)).collect();
        let found = ctx.read_all(&keys).await?;
        let settled = found.iter().flatten().count();
        let mut splits = Vec::new();
        let mut partial = false;
        for found in found {
            // A split that failed has nothing to count; neither has one that is missing yet.
            let Some(found) = found.filter(|found| found.stored.view.outcome.is_ok()) else {
                partial = true;
                continue;
            };
            let index = typed::<DuckdbIndex>(found)?.content;
            partial |= index.partial;
            splits.push(SplitIndexSize {
                dataset: index.dataset,
                config: index.config,
                split: index.split,
                has_fts: index.has_fts,
                num_rows: index.num_rows,
                num_bytes: index.num_bytes,
            });
        }
        let config = ConfigIndexSizeItem {
            dataset: ctx.key.dataset.clone(),
            config: ctx.config()?.clone(),
            has_fts: splits.iter().any(|split| split.has_fts),
            num_rows: splits.iter().map(|split| split.num_rows).sum(),
            num_bytes: splits.iter().map(|split| split.num_bytes).sum(),
        };
        let content = ConfigIndexSize { size: ConfigIndexSizes { config, splits }, partial };
        Ok(View::ok(&content).with_progress(settled, keys.len()).into())
    }
}
