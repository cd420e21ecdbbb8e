//! `split-is-valid`: which answers a split has.

use async_trait::async_trait;
use belvedere_domain::{Level, Step, StepName, View};
use belvedere_engine::search::is_searchable;

use crate::content::{ConfigParquetMetadata, IsValid};
use crate::job::{Job, JobContext, JobError, Ready, ok_content};

const STEP: Step = Step::split("split-is-valid")
    .triggered_by(&["config-size", "split-first-rows", "config-parquet-metadata", "split-descriptive-statistics"])
    .version(6)
    .difficulty(20);

pub(crate) struct IsValidJob;

#[async_trait]
impl Job for IsValidJob {
    fn step(&self) -> &'static Step {
        &STEP
    }

    async fn run(&self, ctx: &mut JobContext) -> Result<Ready, JobError> {
        let at = |step, level| ctx.at(StepName::known(step), level);
        let keys = [
            at("config-size", Level::Config),
            at("split-first-rows", Level::Split),
            at("config-parquet-metadata", Level::Config),
            at("split-descriptive-statistics", Level::Split),
        ];
        let found = ctx.read_all(&keys).await?;
        let settled = found.iter().flatten().count();
        let ok = |index: usize| found[index].as_ref().is_some_and(|found| found.stored.view.outcome.is_ok());
        let (viewer, preview, statistics) = (ok(0), ok(1), ok(3));
        let search = ok_content::<ConfigParquetMetadata>(found[2].as_ref())
            .is_some_and(|metadata| metadata.known_features().is_some_and(|features| is_searchable(&features)));
        let flags = IsValid { preview, viewer, search, filter: ok(2), statistics };
        Ok(View::ok(&flags).with_progress(settled, keys.len()).into())
    }
}
