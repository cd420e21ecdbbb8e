//! `dataset-opt-in-out-urls-count`: the wishes of authors, added up over the configs of a dataset. Failed configs add nothing.

use async_trait::async_trait;
use belvedere_domain::{ArtifactKey, Step, StepName};

use super::config_names;
use crate::config::opt_in_out_urls_count::sum;
use crate::job::{Job, JobContext, JobError, Ready};

const STEP: Step = Step::dataset("dataset-opt-in-out-urls-count")
    .triggered_by(&["dataset-config-names", "config-opt-in-out-urls-count"])
    .version(2)
    .difficulty(20)
    .background();

pub(crate) struct OptInOutUrlsCountJob;

#[async_trait]
impl Job for OptInOutUrlsCountJob {
    fn step(&self) -> &'static Step {
        &STEP
    }

    async fn run(&self, ctx: &mut JobContext) -> Result<Ready, JobError> {
        let step = StepName::known("config-opt-in-out-urls-count");
        let configs = config_names(ctx).await?.config_names;
        let keys: Vec<_> =
            configs.into_iter().map(|item| ArtifactKey::config(step.clone(), item.dataset, item.config)).collect();
        sum(ctx, &keys).await
    }
}
