//! `config-size`: bytes, rows and columns of a config and its splits.

use async_trait::async_trait;
use belvedere_domain::{SplitName, Step, View};

use super::sibling;
use crate::content::{ConfigSize, ConfigSizeItem, ConfigSizes, ParquetAndInfo, SplitInfo, SplitSize};
use crate::job::{Job, JobContext, JobError, Ready};

const STEP: Step =
    Step::config("config-size").triggered_by(&["config-parquet-and-info"]).version(2).difficulty(20).answers();

pub(crate) struct SizeJob;

#[async_trait]
impl Job for SizeJob {
    fn step(&self) -> &'static Step {
        &STEP
    }

    async fn run(&self, ctx: &mut JobContext) -> Result<Ready, JobError> {
        let content = sibling::<ParquetAndInfo>(ctx, "config-parquet-and-info").await?.content;
        let info = &content.dataset_info;
        let num_columns =
            info.features.as_ref().and_then(|features| features.as_object()).map_or(0, |all| all.len() as u64);
        let split = |(name, split): (&SplitName, &SplitInfo)| SplitSize {
            dataset: ctx.key.dataset.clone(),
            config: info.config_name.clone(),
            split: name.clone(),
            num_bytes_parquet_files: content
                .parquet_files
                .iter()
                .filter(|file| file.split == *name)
                .map(|file| file.size)
                .sum(),
            num_bytes_memory: split.num_bytes,
            num_rows: split.num_examples,
            num_columns,
            estimated_num_rows: content
                .estimated_dataset_info
                .as_ref()
                .and_then(|estimated| estimated.splits.get(name))
                .map(|estimated| estimated.num_examples),
        };
        let splits: Vec<SplitSize> = info.splits.iter().map(split).collect();
        let estimated = splits.iter().any(|split| split.estimated_num_rows.is_some_and(|rows| rows > 0));
        let config = ConfigSizeItem {
            dataset: ctx.key.dataset.clone(),
            config: info.config_name.clone(),
            num_bytes_original_files: info.download_size,
            num_bytes_parquet_files: splits.iter().map(|split| split.num_bytes_parquet_files).sum(),
            num_bytes_memory: splits.iter().map(|split| split.num_bytes_memory).sum(),
            num_rows: splits.iter().map(|split| split.num_rows).sum(),
            num_columns,
            estimated_num_rows: estimated
                .then(|| splits.iter().map(|split| split.estimated_num_rows.unwrap_or(split.num_rows)).sum()),
        };
        Ok(View::ok(&ConfigSize { size: ConfigSizes { config, splits }, partial: content.partial }).into())
    }
}
