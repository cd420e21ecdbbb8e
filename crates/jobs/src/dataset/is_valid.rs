//! `dataset-is-valid`: which answers at least one config has. Missing and failed configs have none.

use async_trait::async_trait;
use belvedere_domain::{ArtifactKey, Level, Step, StepName, View};

use super::is_ok;
use crate::content::{ConfigNames, IsValid};
use crate::job::{Job, JobContext, JobError, Ready, WithProgressOf as _, typed};

const STEP: Step = Step::dataset("dataset-is-valid")
    .triggered_by(&["dataset-config-names", "config-is-valid"])
    .version(8)
    .difficulty(20);

pub(crate) struct IsValidJob;

#[async_trait]
impl Job for IsValidJob {
    fn step(&self) -> &'static Step {
        &STEP
    }

    async fn run(&self, ctx: &mut JobContext) -> Result<Ready, JobError> {
        let names = ctx.at(StepName::known("dataset-config-names"), Level::Dataset);
        let Some(names) = ctx.read(&names).await?.filter(|found| found.stored.view.outcome.is_ok()) else {
            return Ok(View::ok(&IsValid::default()).with_progress(0, 1).into());
        };
        let key = |item: crate::content::ConfigItem| {
            ArtifactKey::config(StepName::known("config-is-valid"), item.dataset, item.config)
        };
        let keys: Vec<_> = typed::<ConfigNames>(names)?.content.config_names.into_iter().map(key).collect();
        or_of(ctx, &keys).await
    }
}

/// The flags that any of the views has.
pub(crate) async fn or_of(ctx: &mut JobContext, keys: &[ArtifactKey]) -> Result<Ready, JobError> {
    let found = ctx.read_all(keys).await?;
    let mut flags = IsValid::default();
    for found in found.iter().filter(|found| is_ok(found)).flatten() {
        flags = flags.or(typed(found.clone())?.content);
    }
    Ok(View::ok(&flags).with_progress_of(found.iter().map(Option::as_ref)).into())
}
