//! `config-parquet`: the Parquet files of a config, by split and file name.

use async_trait::async_trait;
use belvedere_domain::{Step, View};

use super::sibling;
use crate::content::{ConfigParquet, ParquetAndInfo};
use crate::job::{Job, JobContext, JobError, Ready};

const STEP: Step =
    Step::config("config-parquet").triggered_by(&["config-parquet-and-info"]).version(6).difficulty(20).answers();

pub(crate) struct ParquetJob;

#[async_trait]
impl Job for ParquetJob {
    fn step(&self) -> &'static Step {
        &STEP
    }

    async fn run(&self, ctx: &mut JobContext) -> Result<Ready, JobError> {
        let parent = sibling::<ParquetAndInfo>(ctx, "config-parquet-and-info").await?;
        let mut parquet_files = parent.content.parquet_files;
        parquet_files.sort_by(|a, b| {
            (&a.split, directory(&a.url), &a.filename).cmp(&(&b.split, directory(&b.url), &b.filename))
        });
        let content = ConfigParquet {
            parquet_files,
            features: parent.content.dataset_info.features,
            partial: parent.content.partial,
        };
        let view = View { internal: parent.found.stored.view.internal, ..View::ok(&content) };
        Ok(view.into())
    }
}

/// The directory of a file's URL; `-part10` comes after `-part9`.
fn directory(url: &str) -> (usize, &str) {
    let parent = url.rsplit_once('/').map_or("", |(parent, _)| parent);
    (parent.len(), parent)
}
