//! `config-opt-in-out-urls-count`: the wishes of authors, added up over the splits of a config. Failed splits add nothing.

use async_trait::async_trait;
use belvedere_domain::{ArtifactKey, Step, StepName, View};

use super::sibling;
use crate::content::{OptInOutUrlsCount, SplitNames};
use crate::job::{Job, JobContext, JobError, Ready, WithProgressOf as _, ok_content};

const STEP: Step = Step::config("config-opt-in-out-urls-count")
    .triggered_by(&["config-split-names", "split-opt-in-out-urls-count"])
    .version(3)
    .difficulty(20)
    .background();

pub(crate) struct OptInOutUrlsCountJob;

#[async_trait]
impl Job for OptInOutUrlsCountJob {
    fn step(&self) -> &'static Step {
        &STEP
    }

    async fn run(&self, ctx: &mut JobContext) -> Result<Ready, JobError> {
        let splits = sibling::<SplitNames>(ctx, "config-split-names").await?.content.splits;
        let step = StepName::known("split-opt-in-out-urls-count");
        let keys: Vec<_> = splits
            .into_iter()
            .map(|item| ArtifactKey::split(step.clone(), item.dataset, item.config, item.split))
            .collect();
        sum(ctx, &keys).await
    }
}

/// The counts of some views as one.
pub(crate) async fn sum(ctx: &mut JobContext, keys: &[ArtifactKey]) -> Result<Ready, JobError> {
    let found = ctx.read_all(keys).await?;
    let parts: Vec<Option<OptInOutUrlsCount>> = found.iter().map(|found| ok_content(found.as_ref())).collect();
    let content = OptInOutUrlsCount::sum(&parts);
    Ok(View::ok(&content).with_progress_of(found.iter().map(Option::as_ref)).into())
}
