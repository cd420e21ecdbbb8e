//! `dataset-init`: the root. Lists the configs of small datasets at once, so that work starts without a second job.
//!
//! Writes `dataset-config-names` along the way; with too many configs that step runs as a job of its own.

use async_trait::async_trait;
use belvedere_domain::{ErrorCode, Level, Step, StepName, View};

use super::config_names;
use crate::content::{Init as Content, PreviousJob};
use crate::job::{Job, JobContext, JobError, Ready};

const STEP: Step = Step::dataset("dataset-init");

pub(crate) struct Init;

#[async_trait]
impl Job for Init {
    fn step(&self) -> &'static Step {
        &STEP
    }

    async fn run(&self, ctx: &mut JobContext) -> Result<Ready, JobError> {
        let names = config_names::list(ctx).await?;
        let max = ctx.services.settings.names.configs_max_for_init;
        ctx.input("max", &max);
        let count = names.config_names.len();
        if count > max {
            return Err(JobError::fail(
                ErrorCode::DatasetWithTooManyConfigsError,
                format!("the dataset has {count} configs, more than the {max} that are listed at once"),
            ));
        }
        let key = ctx.at(StepName::known("dataset-config-names"), Level::Dataset);
        let content = Content { successes: vec![PreviousJob::from(&key)], failed: Vec::new() };
        let names = config_names::view(ctx, &names).await?;
        ctx.shortcut(key, names);
        Ok(View::ok(&content).into())
    }
}
