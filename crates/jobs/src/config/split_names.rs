//! `config-split-names`: the splits of a config, from its info once that is there, before from the card and the files.

use async_trait::async_trait;
use belvedere_domain::{ErrorCode, Level, SplitName, Step, StepName, View};

use crate::content::{ConfigInfo, SplitItem, SplitNames};
use crate::job::{Job, JobContext, JobError, Ready, typed};

const STEP: Step = Step::config("config-split-names")
    .triggered_by(&["dataset-config-names", "config-info"])
    .version(3)
    .difficulty(60)
    .answers();

pub(crate) struct SplitNamesJob;

#[async_trait]
impl Job for SplitNamesJob {
    fn step(&self) -> &'static Step {
        &STEP
    }

    async fn run(&self, ctx: &mut JobContext) -> Result<Ready, JobError> {
        let info = ctx.at(StepName::known("config-info"), Level::Config);
        let names: Vec<SplitName> = match ctx.read(&info).await? {
            Some(found) if found.stored.view.outcome.is_ok() => {
                typed::<ConfigInfo>(found)?.content.dataset_info.splits.into_keys().collect()
            }
            // Absent or an error: the first success wins.
            _ => from_files(ctx).await?,
        };
        let max = ctx.services.settings.names.splits_max;
        ctx.input("max", &max);
        if names.len() > max {
            return Err(JobError::fail(
                ErrorCode::DatasetWithTooManySplitsError,
                format!("the config has {} splits, more than the limit of {max}", names.len()),
            ));
        }
        let (dataset, config) = (ctx.key.dataset.clone(), ctx.config()?.clone());
        let item = |split| SplitItem { dataset: dataset.clone(), config: config.clone(), split };
        Ok(View::ok(&SplitNames { splits: names.into_iter().map(item).collect() }).into())
    }
}

async fn from_files(ctx: &mut JobContext) -> Result<Vec<SplitName>, JobError> {
    let resolution = ctx.resolution().await?;
    let config = ctx.config()?;
    let Some(files) = resolution.config(config.as_str()) else {
        return Err(JobError::fail(ErrorCode::ConfigNotFoundError, format!("config {config} does not exist")));
    };
    match &files.files {
        Ok(resolved) => Ok(match &resolved.declared_splits {
            Some(declared) if !declared.is_empty() => declared.clone(),
            _ => files.split_names.clone(),
        }),
        Err(error) => Err(JobError::fail_because(
            match error.code {
                code @ (ErrorCode::EmptyDatasetError | ErrorCode::DatasetWithScriptNotSupportedError) => code,
                _ => ErrorCode::SplitNamesFromStreamingError,
            },
            error.to_string(),
            error,
        )),
    }
}
