//! `split-descriptive-statistics`: figures of every column of a split, from its Parquet files.

use async_trait::async_trait;
use belvedere_domain::{ErrorCode, Features, Step, View};
use belvedere_engine::call::SplitStatistics;
use belvedere_engine::{ErrorKind, Reply};

use crate::call::CallError;
use crate::content::DescriptiveStatistics as Content;
use crate::files::SplitFiles;
use crate::job::{Job, JobContext, JobError, Ready};
use crate::settings::DescriptiveStatistics;

const STEP: Step = Step::split("split-descriptive-statistics")
    .triggered_by(&["config-split-names", "config-parquet-metadata"])
    .version(3)
    .difficulty(70)
    .bonus_if_big(20)
    .heavy();

pub(crate) struct DescriptiveStatisticsJob;

#[async_trait]
impl Job for DescriptiveStatisticsJob {
    fn step(&self) -> &'static Step {
        &STEP
    }

    async fn run(&self, ctx: &mut JobContext) -> Result<Ready, JobError> {
        let metadata = ctx.parquet_of_config().await?;
        let settings = ctx.services.settings.descriptive_statistics.clone();
        ctx.input("rules", &settings.deciding());
        let files = ctx.services.files.parquet_files(&metadata.found, ctx.split()?).await?;
        if files.files.is_empty() {
            return Err(JobError::fail(ErrorCode::ParquetResponseEmptyError, "the split has no Parquet file"));
        }
        let features = metadata.content.features.as_ref().and_then(|features| Features::from_json(features).ok());
        let Some(features) = features else {
            let message = "the features of the split are not known";
            return Err(JobError::fail(ErrorCode::FeaturesResponseEmptyError, message));
        };
        if let Some(reused) = ctx.reuse().await? {
            return Ok(reused);
        }
        let partial = files.partial;
        let found = statistics(ctx, files, features, settings).await.map_err(failure)?;
        let content = Content {
            num_examples: found.num_examples,
            statistics: found.statistics,
            partial: partial || found.partial,
            more_statistics: found.more_statistics,
        };
        Ok(View::ok(&content).with_internal(&found.frames).into())
    }
}

async fn statistics(
    ctx: &JobContext,
    files: SplitFiles,
    features: Features,
    settings: DescriptiveStatistics,
) -> Result<SplitStatistics, CallError> {
    let call = settings.call(&ctx.key.dataset, files.files, Some(features), None);
    let limit =
        std::time::Duration::from_secs_f64(ctx.services.settings.worker.max_job_duration_seconds.clamp(1.0, 1e6) * 1.5);
    let reply = if files.trusted { ctx.services.trusted.call(call, limit).await? } else { ctx.call(call).await? };
    match reply {
        Reply::Statistics(found) => Ok(found),
        _ => Err(CallError::Died("answered another question".into())),
    }
}

/// Which public code a failed call ends in.
fn failure(error: CallError) -> JobError {
    let error = match error {
        CallError::Engine(error) => error,
        other => return JobError::from(other),
    };
    let code = match error.kind {
        ErrorKind::Features => ErrorCode::NoSupportedFeaturesError,
        ErrorKind::Unreadable | ErrorKind::Incompatible | ErrorKind::SchemaMismatch => {
            ErrorCode::PolarsParquetReadError
        }
        ErrorKind::Cell | ErrorKind::TooBig => ErrorCode::ComputationError,
        _ => return JobError::from(CallError::Engine(error)),
    };
    JobError::fail_because(code, format!("the statistics could not be computed: {error}"), &error)
}
