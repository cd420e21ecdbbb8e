//! Datasets for tasks: a reference becomes the files of one revision, either the dataset's own or a split as Parquet.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use belvedere_domain::{ArtifactKey, ConfigName, DatasetName, Revision, SplitName, StepName};
use belvedere_hub::HubError;
use belvedere_jobs::{JobError, Services};
use belvedere_tasks::datasets::{PinnedFile, Reference};
use belvedere_tasks::{DatasetError, Datasets, Pin};
use sha2::{Digest as _, Sha256};

/// Digits of the content id of a file whose SHA-256 is known.
const SHA256_DIGITS: usize = 64;
/// Files of one task, at most.
const MAX_FILES: usize = 1000;

/// The datasets of this server.
pub struct HubDatasets {
    services: Arc<Services>,
}

impl HubDatasets {
    /// Those that these services serve.
    pub fn new(services: Arc<Services>) -> Self {
        Self { services }
    }

    /// The dataset that a name means: itself, or the only one of that name in any namespace.
    async fn find(&self, reference: &Reference) -> Result<DatasetName, DatasetError> {
        let hub = self.services.files.hub();
        let name = &reference.dataset;
        if name.as_str().contains('/') {
            return Ok(name.clone());
        }
        let all = hub.datasets().await.map_err(passing)?;
        let mut found: Vec<_> = all.into_iter().filter(|dataset| dataset.base() == name.as_str()).collect();
        match found.len() {
            0 => Err(unknown(name)),
            1 => Ok(found.remove(0)),
            _ => {
                let names: Vec<_> = found.iter().map(DatasetName::as_str).collect();
                Err(DatasetError::Unknown(format!("`{name}` could be any of {}; name it in full", names.join(", "))))
            }
        }
    }

    /// The dataset's own files: those of the suffix that was asked for, or all but its description.
    async fn originals(
        &self,
        dataset: &DatasetName,
        revision: &Revision,
        suffix: Option<&str>,
    ) -> Result<Vec<PinnedFile>, DatasetError> {
        let manifest = self.services.files.manifest(dataset, revision).await.map_err(|error| failed(error, dataset))?;
        let is_wanted = |path: &str| match suffix {
            Some(suffix) => path.rsplit_once('.').is_some_and(|(_, ending)| ending.eq_ignore_ascii_case(suffix)),
            None => !path.split('/').any(|part| part.starts_with('.')) && path != "README.md",
        };
        let files: Vec<_> = manifest.files.iter().filter(|file| is_wanted(&file.path)).cloned().collect();
        if files.is_empty() {
            let kind = suffix.map_or_else(String::new, |suffix| format!(" with the suffix `{suffix}`"));
            return Err(DatasetError::Unknown(format!("the dataset {dataset} has no files{kind}")));
        }
        if files.len() > MAX_FILES {
            return Err(DatasetError::Unknown(format!(
                "the dataset {dataset} has {} files, of which a task takes at most {MAX_FILES}; name one split as {dataset}/CONFIG/SPLIT",
                files.len()
            )));
        }
        if files.iter().any(|file| !file.is_hashed()) {
            return Err(DatasetError::NotReady(format!("the files of {dataset} are still being hashed")));
        }
        if files.iter().any(|file| file.content_id.len() != SHA256_DIGITS) {
            return Err(DatasetError::Unknown(format!(
                "{dataset} is on a remote Hub, which tells no SHA-256 of its small files; name one split as {dataset}/CONFIG/SPLIT"
            )));
        }
        Ok(files
            .into_iter()
            .map(|file| PinnedFile { path: file.path, size: file.size, sha256: file.content_id })
            .collect())
    }

    /// Where the Parquet files of a split lie.
    async fn parquet(
        &self,
        dataset: &DatasetName,
        revision: &Revision,
        (config, split): (&ConfigName, &SplitName),
    ) -> Result<Vec<(String, PathBuf)>, DatasetError> {
        let step = StepName::known("config-parquet-metadata");
        let key = ArtifactKey::config(step, dataset.clone(), config.clone());
        let found = self.services.store.views.read(&key, Some(revision), 0.0).await.map_err(passing)?;
        let Some(found) = found else {
            return Err(DatasetError::NotReady(format!("the Parquet files of {dataset} are still being prepared")));
        };
        if !found.stored.view.outcome.is_ok() {
            return Err(DatasetError::Unknown(format!("the config {config} of {dataset} has no Parquet files")));
        }
        let files = self.services.files.parquet_files(&found, split).await.map_err(|error| failed(error, dataset))?;
        if files.files.is_empty() {
            return Err(DatasetError::Unknown(format!("the config {config} of {dataset} has no split {split}")));
        }
        let files = self.services.files.whole(files.files).await.map_err(|error| failed(error, dataset))?;
        Ok(files.into_iter().map(|file| (file.file.path, file.file.local_path)).collect())
    }
}

#[async_trait]
impl Datasets for HubDatasets {
    async fn pin(&self, reference: &Reference) -> Result<Pin, DatasetError> {
        let dataset = self.find(reference).await?;
        let revision = match &reference.revision {
            Some(revision) => revision.clone(),
            None => {
                let head = match self.services.files.hub().head(&dataset).await {
                    Ok(head) => head.ok_or_else(|| unknown(&dataset))?,
                    Err(HubError::Busy(_)) => {
                        return Err(DatasetError::NotReady(format!("the files of {dataset} are still being written")));
                    }
                    Err(error) => return Err(passing(error)),
                };
                if head.is_provisional {
                    return Err(DatasetError::NotReady(format!("the files of {dataset} are still being hashed")));
                }
                head.revision
            }
        };
        let files = match &reference.split {
            None => self.originals(&dataset, &revision, reference.suffix.as_deref()).await?,
            Some((config, split)) => {
                let located = self.parquet(&dataset, &revision, (config, split)).await?;
                let hashed = tokio::task::spawn_blocking(move || located.into_iter().map(hashed).collect());
                let hashed: std::io::Result<Vec<PinnedFile>> = hashed.await.map_err(passing)?;
                hashed.map_err(passing)?
            }
        };
        let split = reference.split.as_ref().map(|(config, split)| (config.to_string(), split.to_string()));
        Ok(Pin { dataset: dataset.to_string(), revision: revision.to_string(), split, files })
    }

    async fn locate(&self, pin: &Pin) -> Result<Vec<PathBuf>, DatasetError> {
        let stored = |error: belvedere_domain::NameError| DatasetError::Gone(error.to_string());
        let dataset = DatasetName::new(&pin.dataset).map_err(stored)?;
        let revision = Revision::new(&pin.revision).map_err(stored)?;
        let gone = || DatasetError::Gone(format!("revision {revision} of {dataset} is not kept any more"));
        if let Some((config, split)) = &pin.split {
            let (config, split) = (ConfigName::new(config).map_err(stored)?, SplitName::new(split).map_err(stored)?);
            return match self.parquet(&dataset, &revision, (&config, &split)).await {
                Ok(files) if files.len() == pin.files.len() => Ok(files.into_iter().map(|(_, path)| path).collect()),
                Err(error @ DatasetError::Passing(_)) => Err(error),
                // It was there when the task was stored.
                _ => Err(gone()),
            };
        }
        let mut paths = Vec::with_capacity(pin.files.len());
        for file in &pin.files {
            match self.services.files.original(&dataset, &revision, &file.path).await {
                Ok(Some(found)) => paths.push(found.local_path),
                Ok(None) => return Err(gone()),
                Err(error) => return Err(failed(error, &dataset)),
            }
        }
        Ok(paths)
    }
}

fn hashed((path, local_path): (String, PathBuf)) -> std::io::Result<PinnedFile> {
    let (mut hash, mut size) = (Sha256::new(), 0);
    let mut file = std::fs::File::open(local_path)?;
    let mut piece = vec![0; 256 << 10];
    loop {
        match std::io::Read::read(&mut file, &mut piece)? {
            0 => return Ok(PinnedFile { path, size, sha256: hex::encode(hash.finalize()) }),
            read => {
                hash.update(&piece[..read]);
                size += read as u64;
            }
        }
    }
}

fn unknown(name: &DatasetName) -> DatasetError {
    DatasetError::Unknown(format!("there is no dataset `{name}`"))
}

fn failed(error: JobError, dataset: &DatasetName) -> DatasetError {
    match error {
        JobError::RevisionGone => {
            DatasetError::Gone(format!("the files of {dataset} are not those of that revision any more"))
        }
        other => passing(other),
    }
}

fn passing(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> DatasetError {
    DatasetError::Passing(error.into())
}
