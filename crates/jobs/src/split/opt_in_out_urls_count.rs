//! `split-opt-in-out-urls-count`: the numbers of the scan of a split, without the URLs.

use async_trait::async_trait;
use belvedere_domain::{Level, Step, StepName, View};

use crate::content::OptInOutUrlsScan;
use crate::job::{Job, JobContext, JobError, Ready};

const STEP: Step = Step::split("split-opt-in-out-urls-count")
    .triggered_by(&["split-opt-in-out-urls-scan"])
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
        let scan = ctx.at(StepName::known("split-opt-in-out-urls-scan"), Level::Split);
        let scan = ctx.parent::<OptInOutUrlsScan>(&scan).await?.content;
        Ok(View::ok(&scan.counts).into())
    }
}
