//! Files that a job reads besides views, and those that it writes.

use std::sync::Arc;

use belvedere_domain::data_files::ResolvedConfig;
use belvedere_domain::{ErrorCode, FileEntry, Manifest};
use belvedere_engine::source::SourceFile;
use belvedere_hub::card::{DATASET_INFOS_PATH, OVERRIDES_PATH, README_PATH};
use belvedere_hub::data_files::Resolution;
use belvedere_store::{Blobs, Found};
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};

use super::{JobContext, JobError};
use crate::content::Written;
use crate::files::SplitFiles;
use crate::identity::Identity;
use crate::scratch::ScratchDirectory;

/// Files on their way to their place at the same time.
const PUTS_AT_A_TIME: usize = 4;

impl JobContext {
    /// The files of this revision.
    pub async fn manifest(&self) -> Result<Arc<Manifest>, JobError> {
        self.services.files.manifest(&self.key.dataset, &self.revision).await
    }

    /// The Parquet files of the job's split, of those that a `config-parquet-metadata` view lists; there is at least one.
    pub(crate) async fn split_files(&self, listed: &Found) -> Result<SplitFiles, JobError> {
        let files = self.services.files.parquet_files(listed, self.split()?).await?;
        match files.files.is_empty() {
            true => Err(JobError::fail(ErrorCode::ParquetResponseEmptyError, "the split has no Parquet file")),
            false => Ok(files),
        }
    }

    /// What the files and the card of the revision resolve to. Everything that decides it goes into the digest.
    pub async fn resolution(&mut self) -> Result<Arc<Resolution>, JobError> {
        let manifest = self.manifest().await?;
        let card: Vec<_> = [README_PATH, OVERRIDES_PATH, DATASET_INFOS_PATH].map(|path| manifest.get(path)).into();
        self.input("card", &card);
        self.input("paths", &manifest.files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>());
        self.services.files.resolution(&self.key.dataset, &self.revision).await
    }

    /// The config of the job, when its files are known. What it resolves to goes into the digest.
    pub async fn good_config(&mut self) -> Result<ResolvedConfig, JobError> {
        let config = self.config()?.clone();
        let resolved = self.services.files.good_config(&self.key.dataset, &self.revision, &config).await;
        match &resolved {
            Ok(resolved) => self.input("config", resolved),
            Err(error) => self.input("config", &error.to_string()),
        }
        resolved
    }

    /// As [`good_config`](Self::good_config) with the content of all its files. Where no cell tells the name of its file, names
    /// do not go into the digest: renamed files in the same order are the same.
    pub async fn config_with_contents(&mut self) -> Result<ResolvedConfig, JobError> {
        let config = self.config()?.clone();
        let resolved = self.services.files.good_config(&self.key.dataset, &self.revision, &config).await;
        match &resolved {
            Ok(resolved) => {
                let manifest = self.manifest().await?;
                let identity = Identity::of(resolved, &manifest, resolved.paths()).ok_or(JobError::RevisionGone)?;
                self.input("config", &identity);
            }
            Err(error) => self.input("config", &error.to_string()),
        }
        resolved
    }

    /// Adds the content of files to the digest.
    pub async fn input_files(&mut self, paths: impl IntoIterator<Item = &str>) -> Result<(), JobError> {
        let manifest = self.manifest().await?;
        let contents: Option<Vec<_>> =
            manifest.each(paths).map(|(path, entry)| Some((path, entry?.content_id.as_str()))).collect();
        self.input("files", &contents.ok_or(JobError::RevisionGone)?);
        Ok(())
    }

    /// True once the content of all these files is known, not just their sizes and times.
    pub async fn are_hashed(&self, paths: impl IntoIterator<Item = &str>) -> Result<bool, JobError> {
        let manifest = self.manifest().await?;
        Ok(manifest.each(paths).all(|(_, entry)| entry.is_none_or(FileEntry::is_hashed)))
    }

    /// Files of the revision, ready to be read.
    pub async fn source_files(&self, paths: impl IntoIterator<Item = &str>) -> Result<Vec<SourceFile>, JobError> {
        let sources = self.services.files.sources(&self.key.dataset, &self.revision, paths).await?;
        sources.iter().for_each(|source| self.meter.note_file(&source.path));
        Ok(sources)
    }

    /// A directory of the job's own, removed when it is dropped.
    pub fn scratch_directory(&self) -> Result<ScratchDirectory, JobError> {
        let base = &self.services.settings.worker.scratch;
        ScratchDirectory::make_in(base, self.key.step.as_str()).map_err(|error| {
            let message = format!("no scratch directory could be made in {}: {error}", base.display());
            JobError::Retry { message, code: ErrorCode::DiskError }
        })
    }

    /// Moves written files into the store.
    pub async fn keep(&self, written: &[Written]) -> Result<(), JobError> {
        keep_in(&self.services.blobs, written).await
    }

    /// Moves media files that were made from cells into the place for such.
    pub async fn keep_media(&self, written: &[Written]) -> Result<(), JobError> {
        keep_in(self.services.files.assets(), written).await
    }
}

async fn keep_in(place: &Blobs, written: &[Written]) -> Result<(), JobError> {
    let put = |file: &Written| {
        let (place, file) = (place.clone(), file.clone());
        async move { place.put_file(&file.key, &file.from).await }.boxed()
    };
    let puts: Vec<BoxFuture<'static, _>> = written.iter().map(put).collect();
    Ok(stream::iter(puts).buffer_unordered(PUTS_AT_A_TIME).try_collect::<()>().await?)
}
