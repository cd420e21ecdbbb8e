//! `config-info`: what is known about a config, without its list of files.

use async_trait::async_trait;
use belvedere_domain::{Step, View};

use super::sibling;
use crate::content::{ConfigInfo, ParquetAndInfo};
use crate::job::{Job, JobContext, JobError, Ready};

const STEP: Step =
    Step::config("config-info").triggered_by(&["config-parquet-and-info"]).version(2).difficulty(20).answers();

pub(crate) struct InfoJob;

#[async_trait]
impl Job for InfoJob {
    fn step(&self) -> &'static Step {
        &STEP
    }

    async fn run(&self, ctx: &mut JobContext) -> Result<Ready, JobError> {
        let content = sibling::<ParquetAndInfo>(ctx, "config-parquet-and-info").await?.content;
        Ok(View::ok(&ConfigInfo {
            dataset_info: content.dataset_info,
            partial: content.partial,
            schema_report: content.schema_report,
        })
        .into())
    }
}
