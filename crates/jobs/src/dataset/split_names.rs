//! `dataset-split-names`: the splits of all configs. Partial while some configs are missing.

use async_trait::async_trait;
use belvedere_domain::{ArtifactKey, Step, StepName, View};

use super::config_names;
use crate::content::{DatasetSplitNames, FailedConfig, SplitNames, error_of};
use crate::job::{Job, JobContext, JobError, Ready, typed};

const STEP: Step = Step::dataset("dataset-split-names")
    .triggered_by(&["dataset-config-names", "config-split-names"])
    .version(3)
    .difficulty(20)
    .answers();

pub(crate) struct SplitNamesJob;

#[async_trait]
impl Job for SplitNamesJob {
    fn step(&self) -> &'static Step {
        &STEP
    }

    async fn run(&self, ctx: &mut JobContext) -> Result<Ready, JobError> {
        let configs = config_names(ctx).await?.config_names;
        let step = StepName::known("config-split-names");
        let key = |item: &crate::content::ConfigItem| {
            ArtifactKey::config(step.clone(), item.dataset.clone(), item.config.clone())
        };
        let found = ctx.read_all(&configs.iter().map(key).collect::<Vec<_>>()).await?;
        let total = configs.len();
        let mut content = DatasetSplitNames { splits: Vec::new(), pending: Vec::new(), failed: Vec::new() };
        for (item, found) in configs.into_iter().zip(found) {
            match found {
                None => content.pending.push(item),
                Some(found) if !found.stored.view.outcome.is_ok() => content.failed.push(FailedConfig {
                    dataset: item.dataset,
                    config: item.config,
                    error: error_of(&found.stored.view.content),
                }),
                Some(found) => content.splits.extend(typed::<SplitNames>(found)?.content.splits),
            }
        }
        let settled = total - content.pending.len();
        Ok(View::ok(&content).with_progress(settled, total).into())
    }
}
