//! `dataset-info`: the infos of all configs. Partial while some configs are missing.

use async_trait::async_trait;
use belvedere_domain::{Step, View};

use super::of_configs;
use crate::content::{ConfigInfo, DatasetInfos};
use crate::job::{Job, JobContext, JobError, Ready};

const STEP: Step = Step::dataset("dataset-info")
    .triggered_by(&["dataset-config-names", "config-info"])
    .version(2)
    .difficulty(20)
    .answers();

pub(crate) struct InfoJob;

#[async_trait]
impl Job for InfoJob {
    fn step(&self) -> &'static Step {
        &STEP
    }

    async fn run(&self, ctx: &mut JobContext) -> Result<Ready, JobError> {
        let all = of_configs::<ConfigInfo>(ctx, "config-info").await?;
        let (settled, total) = (all.settled(), all.total);
        let partial = all.ready.iter().any(|config| config.partial);
        let dataset_info = all
            .ready
            .into_iter()
            .map(|config| (config.dataset_info.config_name.clone(), config.dataset_info))
            .collect();
        let content = DatasetInfos { dataset_info, pending: all.pending, failed: all.failed, partial };
        Ok(View::ok(&content).with_progress(settled, total).into())
    }
}
