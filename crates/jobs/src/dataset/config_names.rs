//! `dataset-config-names`: the configs of a dataset, the default one first, then by name.

use async_trait::async_trait;
use belvedere_domain::{ErrorCode, Step, View};
use belvedere_hub::data_files::ConfigFiles;

use crate::content::{ConfigItem, ConfigNames};
use crate::files::hub_failure;
use crate::job::{Job, JobContext, JobError, Ready};
use crate::refresh::harmless::card_mark;

const STEP: Step = Step::dataset("dataset-config-names").triggered_by(&["dataset-init"]).version(2).answers();

pub(crate) struct ConfigNamesJob;

#[async_trait]
impl Job for ConfigNamesJob {
    fn step(&self) -> &'static Step {
        &STEP
    }

    async fn run(&self, ctx: &mut JobContext) -> Result<Ready, JobError> {
        let names = list(ctx).await?;
        let max = ctx.services.settings.names.configs_max;
        ctx.input("max", &max);
        let count = names.config_names.len();
        if count > max {
            return Err(JobError::fail(
                ErrorCode::DatasetWithTooManyConfigsError,
                format!("the dataset has {count} configs, more than the limit of {max}"),
            ));
        }
        Ok(view(ctx, &names).await?.into())
    }
}

/// The view of the names, with a mark of the card they come from.
pub(crate) async fn view(ctx: &JobContext, names: &ConfigNames) -> Result<View, JobError> {
    let mark = card_mark(&ctx.services.files, &ctx.key.dataset, &ctx.revision).await;
    Ok(View::ok(names).with_internal(&mark.map_err(hub_failure)?))
}

/// The configs, from the card and the files.
pub(crate) async fn list(ctx: &mut JobContext) -> Result<ConfigNames, JobError> {
    let resolution = ctx.resolution().await.map_err(|error| match error {
        // Today's reference means to answer as we do, but its library raises another error.
        JobError::Fail { code: ErrorCode::DatasetWithScriptNotSupportedError, message, cause }
            if ctx.services.settings.compat =>
        {
            JobError::Fail { code: ErrorCode::ConfigNamesError, message, cause }
        }
        other => other,
    })?;
    let item = |config: &ConfigFiles| ConfigItem { dataset: ctx.key.dataset.clone(), config: config.name.clone() };
    Ok(ConfigNames { config_names: resolution.configs.iter().map(item).collect() })
}
