//! `split-descriptive-statistics`: figures of every column of a split, from its Parquet files.

use async_trait::async_trait;
use belvedere_domain::{ErrorCode, Features, Step, View};
use belvedere_engine::call::SplitStatistics;
use belvedere_engine::source::SourceFile;
use belvedere_engine::{ErrorKind, Reply};

use crate::call::CallError;
use crate::content::DescriptiveStatistics as Content;
use crate::files::{SplitFiles, shows_media};
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
        let settings = ctx.settings().descriptive_statistics.clone();
        ctx.input("rules", &settings.deciding());
        let files = ctx.split_files(&metadata.found).await?;
        let Some(features) = metadata.content.known_features() else {
            let message = "the features of the split are not known";
            return Err(JobError::fail(ErrorCode::FeaturesResponseEmptyError, message));
        };
        if let Some(reused) = ctx.reuse().await? {
            return Ok(reused);
        }
        let partial = files.partial;
        let place = (ctx.config()?, ctx.split()?);
        let linked = ctx.services.files.media_of(&ctx.key.dataset, &ctx.revision, place, Some(&features)).await?;
        let found = statistics(ctx, files, features, settings, linked).await.map_err(failure)?;
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
    linked_files: Vec<SourceFile>,
) -> Result<SplitStatistics, CallError> {
    let trusted = files.trusted && !shows_media(&features);
    let call = settings.call(&ctx.key.dataset, files.files, Some(features), None, linked_files);
    let reply = match trusted {
        true => ctx.services.trusted.call(call, ctx.call_limit()).await?,
        false => ctx.call(call).await?,
    };
    match reply {
        Reply::Statistics(found) => Ok(found),
        _ => Err(CallError::Died("answered another question".into())),
    }
}

/// Which public code a failed call ends in.
fn failure(error: CallError) -> JobError {
    JobError::of_call(error, "the statistics could not be computed", |kind| match kind {
        ErrorKind::Features => Some(ErrorCode::NoSupportedFeaturesError),
        ErrorKind::Unreadable | ErrorKind::Incompatible | ErrorKind::SchemaMismatch => {
            Some(ErrorCode::PolarsParquetReadError)
        }
        ErrorKind::Cell | ErrorKind::TooBig => Some(ErrorCode::ComputationError),
        _ => None,
    })
}
