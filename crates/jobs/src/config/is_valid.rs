//! `config-is-valid`: which answers at least one split has. Missing and failed splits have none.

use async_trait::async_trait;
use belvedere_domain::{ArtifactKey, Level, Step, StepName, View};

use crate::content::{IsValid, SplitNames};
use crate::dataset::is_valid::or_of;
use crate::job::{Job, JobContext, JobError, Ready, typed};

const STEP: Step =
    Step::config("config-is-valid").triggered_by(&["config-split-names", "split-is-valid"]).version(4).difficulty(20);

pub(crate) struct IsValidJob;

#[async_trait]
impl Job for IsValidJob {
    fn step(&self) -> &'static Step {
        &STEP
    }

    async fn run(&self, ctx: &mut JobContext) -> Result<Ready, JobError> {
        let names = ctx.at(StepName::known("config-split-names"), Level::Config);
        let Some(names) = ctx.read(&names).await?.filter(|found| found.stored.view.outcome.is_ok()) else {
            return Ok(View::ok(&IsValid::default()).with_progress(0, 1).into());
        };
        let key = |item: crate::content::SplitItem| {
            ArtifactKey::split(StepName::known("split-is-valid"), item.dataset, item.config, item.split)
        };
        let keys: Vec<_> = typed::<SplitNames>(names)?.content.splits.into_iter().map(key).collect();
        or_of(ctx, &keys).await
    }
}
