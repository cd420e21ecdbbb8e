//! `dataset-parquet`: the Parquet files of all configs. Partial while some configs are missing.

use async_trait::async_trait;
use belvedere_domain::{Step, View};

use super::of_configs;
use crate::content::{ConfigParquet, DatasetParquet};
use crate::job::{Job, JobContext, JobError, Ready};

const STEP: Step = Step::dataset("dataset-parquet")
    .triggered_by(&["dataset-config-names", "config-parquet"])
    .version(2)
    .difficulty(20)
    .answers();

pub(crate) struct ParquetJob;

#[async_trait]
impl Job for ParquetJob {
    fn step(&self) -> &'static Step {
        &STEP
    }

    async fn run(&self, ctx: &mut JobContext) -> Result<Ready, JobError> {
        let all = of_configs::<ConfigParquet>(ctx, "config-parquet").await?;
        let (settled, total) = (all.settled(), all.total);
        let partial = all.ready.iter().any(|config| config.partial);
        let parquet_files = all.ready.into_iter().flat_map(|config| config.parquet_files).collect();
        let content = DatasetParquet { parquet_files, pending: all.pending, failed: all.failed, partial };
        Ok(View::ok(&content).with_progress(settled, total).into())
    }
}
