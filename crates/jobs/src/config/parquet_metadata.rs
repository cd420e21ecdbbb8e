//! `config-parquet-metadata`: the Parquet files of a config with their numbers of rows: what pages of rows are read by.

use std::collections::HashMap;

use async_trait::async_trait;
use belvedere_domain::parquet_path::ParquetPath;
use belvedere_domain::{ErrorCode, Step, View};

use super::sibling;
use crate::content::{ConfigParquet, ConfigParquetMetadata, FileBehind, ParquetItem, ParquetMetadataItem};
use crate::job::{Job, JobContext, JobError, Ready};

const STEP: Step =
    Step::config("config-parquet-metadata").triggered_by(&["config-parquet"]).version(2).difficulty(50).answers();

pub(crate) struct ParquetMetadataJob;

#[async_trait]
impl Job for ParquetMetadataJob {
    fn step(&self) -> &'static Step {
        &STEP
    }

    async fn run(&self, ctx: &mut JobContext) -> Result<Ready, JobError> {
        let parent = sibling::<ConfigParquet>(ctx, "config-parquet").await?;
        let unexpected = || {
            JobError::fail(
                ErrorCode::PreviousStepFormatError,
                "the list of Parquet files does not fit the stored files",
            )
        };
        if parent.content.parquet_files.is_empty() {
            return Err(JobError::fail(ErrorCode::ParquetResponseEmptyError, "the config has no Parquet file"));
        }
        let internal = &parent.found.stored.view.internal;
        let behind: Vec<FileBehind> = internal.parse().map_err(|_| unexpected())?;
        let by_path: HashMap<&str, &FileBehind> = behind.iter().map(|file| (file.path.as_str(), file)).collect();
        let item = |file: ParquetItem| {
            let path = path_of(&file)?;
            let num_rows = by_path.get(path.path().as_str())?.num_rows;
            let parquet_metadata_subpath = format!("{}/--/{}", file.dataset, path.path());
            let ParquetItem { dataset, config, split, url, filename, size } = file;
            Some(ParquetMetadataItem {
                dataset,
                config,
                split,
                url,
                filename,
                size,
                num_rows,
                parquet_metadata_subpath,
            })
        };
        let files: Option<Vec<_>> = parent.content.parquet_files.into_iter().map(item).collect();
        let content = ConfigParquetMetadata {
            parquet_files_metadata: files.ok_or_else(unexpected)?,
            features: parent.content.features,
            partial: parent.content.partial,
        };
        Ok(View { internal: internal.clone(), ..View::ok(&content) }.into())
    }
}

/// The path on the branch that a file's URL ends with.
fn path_of(file: &ParquetItem) -> Option<ParquetPath> {
    let mut segments = file.url.rsplit('/');
    let (filename, directory) = (segments.next()?, segments.next()?);
    ParquetPath::parse(&format!("{}/{directory}/{filename}", file.config))
}
