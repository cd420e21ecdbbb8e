//! `dataset-size`: bytes and rows of a dataset, summed over its configs. Partial while some configs are missing.

use async_trait::async_trait;
use belvedere_domain::{DatasetName, Step, View};

use super::of_configs;
use crate::content::{ConfigSize, ConfigSizeItem, DatasetSize, DatasetSizeItem, DatasetSizes};
use crate::job::{Job, JobContext, JobError, Ready};

const STEP: Step = Step::dataset("dataset-size")
    .triggered_by(&["dataset-config-names", "config-size"])
    .version(2)
    .difficulty(20)
    .answers();

pub(crate) struct SizeJob;

#[async_trait]
impl Job for SizeJob {
    fn step(&self) -> &'static Step {
        &STEP
    }

    async fn run(&self, ctx: &mut JobContext) -> Result<Ready, JobError> {
        let all = of_configs::<ConfigSize>(ctx, "config-size").await?;
        let (settled, total) = (all.settled(), all.total);
        let partial = all.ready.iter().any(|config| config.partial);
        let (configs, splits): (Vec<_>, Vec<_>) =
            all.ready.into_iter().map(|config| (config.size.config, config.size.splits)).unzip();
        let size = DatasetSizes {
            dataset: sum(ctx.key.dataset.clone(), &configs),
            configs,
            splits: splits.into_iter().flatten().collect(),
        };
        let content = DatasetSize { size, pending: all.pending, failed: all.failed, partial };
        Ok(View::ok(&content).with_progress(settled, total).into())
    }
}

/// A total is unknown as soon as one part is; an estimate is there as soon as one part has one.
fn sum(dataset: DatasetName, configs: &[ConfigSizeItem]) -> DatasetSizeItem {
    let estimated = configs.iter().any(|config| config.estimated_num_rows.is_some());
    DatasetSizeItem {
        dataset,
        num_bytes_original_files: configs.iter().map(|config| config.num_bytes_original_files).sum(),
        num_bytes_parquet_files: configs.iter().map(|config| config.num_bytes_parquet_files).sum(),
        num_bytes_memory: configs.iter().map(|config| config.num_bytes_memory).sum(),
        num_rows: configs.iter().map(|config| config.num_rows).sum(),
        estimated_num_rows: estimated
            .then(|| configs.iter().map(|config| config.estimated_num_rows.unwrap_or(config.num_rows)).sum()),
    }
}

#[cfg(test)]
mod tests {
    use belvedere_domain::ConfigName;

    use super::*;

    fn config(name: &str, original: Option<u64>, rows: u64, estimated: Option<u64>) -> ConfigSizeItem {
        ConfigSizeItem {
            dataset: DatasetName::new("acme/birds").unwrap(),
            config: ConfigName::new(name).unwrap(),
            num_bytes_original_files: original,
            num_bytes_parquet_files: 10,
            num_bytes_memory: 100,
            num_rows: rows,
            num_columns: 2,
            estimated_num_rows: estimated,
        }
    }

    #[test]
    fn one_unknown_part_makes_the_total_unknown() {
        let total =
            sum(DatasetName::new("acme/birds").unwrap(), &[config("a", Some(5), 1, None), config("b", None, 2, None)]);
        assert_eq!(total.num_bytes_original_files, None);
        assert_eq!((total.num_rows, total.num_bytes_memory, total.estimated_num_rows), (3, 200, None));
    }

    #[test]
    fn one_estimate_makes_the_total_an_estimate() {
        let total = sum(
            DatasetName::new("acme/birds").unwrap(),
            &[config("a", Some(5), 1, Some(50)), config("b", Some(6), 2, None)],
        );
        assert_eq!((total.num_bytes_original_files, total.estimated_num_rows), (Some(11), Some(52)));
    }
}
