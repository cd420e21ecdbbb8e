//! `dataset-duckdb-index-size`: rows and bytes in the DuckDB files of a dataset. Partial while some configs are missing.

use async_trait::async_trait;
use belvedere_domain::{Step, View};

use super::of_configs;
use crate::content::{ConfigIndexSize, DatasetIndexSize, DatasetIndexSizeItem, DatasetIndexSizes};
use crate::job::{Job, JobContext, JobError, Ready};

const STEP: Step = Step::dataset("dataset-duckdb-index-size")
    .triggered_by(&["dataset-config-names", "config-duckdb-index-size"])
    .difficulty(20);

pub(crate) struct SizeJob;

#[async_trait]
impl Job for SizeJob {
    fn step(&self) -> &'static Step {
        &STEP
    }

    async fn run(&self, ctx: &mut JobContext) -> Result<Ready, JobError> {
        let all = of_configs::<ConfigIndexSize>(ctx, "config-duckdb-index-size").await?;
        let (settled, total) = (all.settled(), all.total);
        let partial = all.ready.iter().any(|config| config.partial);
        let (configs, splits): (Vec<_>, Vec<_>) =
            all.ready.into_iter().map(|config| (config.size.config, config.size.splits)).unzip();
        let dataset = DatasetIndexSizeItem {
            dataset: ctx.key.dataset.clone(),
            has_fts: configs.iter().any(|config| config.has_fts),
            num_rows: configs.iter().map(|config| config.num_rows).sum(),
            num_bytes: configs.iter().map(|config| config.num_bytes).sum(),
        };
        let size = DatasetIndexSizes { dataset, configs, splits: splits.into_iter().flatten().collect() };
        let content = DatasetIndexSize { size, pending: all.pending, failed: all.failed, partial };
        Ok(View::ok(&content).with_progress(settled, total).into())
    }
}
