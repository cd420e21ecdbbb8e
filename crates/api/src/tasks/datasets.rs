//! Datasets for tasks: a reference becomes the files of one revision, either the dataset's own or a split as Parquet; a
//! selection becomes a Parquet file of its rows.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use belvedere_domain::task::InputFormat;
use belvedere_domain::{ArtifactKey, ConfigName, DatasetName, Features, FileEntry, Revision, SplitName, StepName};
use belvedere_engine::call::{Export, Format, ParquetFile, Piece, WantedRows};
use belvedere_engine::export::ParquetJoin;
use belvedere_engine::{Call, ErrorKind, Reply};
use belvedere_hub::HubError;
use belvedere_jobs::files::{SplitFiles, media_target};
use belvedere_jobs::heal::{self, Loss};
use belvedere_jobs::{CallError, JobError, Services};
use belvedere_store::Found;
use belvedere_store::tasks::NewSelection;
use belvedere_tasks::datasets::{PinnedFile, Reference};
use belvedere_tasks::{DatasetError, Datasets, Inbox, Pin, PinnedSelection};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;

use super::chosen;

/// Digits of the content id of a file whose SHA-256 is known.
const SHA256_DIGITS: usize = 64;
/// Files of one task, at most.
const MAX_FILES: usize = 1000;

/// Rows of one piece of a file with chosen rows, and its bytes.
const PIECE_ROWS: usize = 10_000;
const PIECE_BYTES: usize = 32 << 20;
/// Longest time that one piece may take.
const PIECE_LIMIT: Duration = Duration::from_secs(60);

/// The datasets of this server.
pub struct HubDatasets {
    services: Arc<Services>,
    /// Files with chosen rows, by the ids of their selections.
    written: PathBuf,
}

impl HubDatasets {
    /// Those that these services serve. Chosen rows are written beside the files of tasks.
    pub fn new(services: Arc<Services>, inbox: &Inbox) -> Self {
        Self { services, written: inbox.selections() }
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
        hashed_ones(files, dataset)
    }

    /// Where the Parquet files of a split lie.
    async fn parquet(
        &self,
        dataset: &DatasetName,
        revision: &Revision,
        (config, split): (&ConfigName, &SplitName),
    ) -> Result<(Arc<Found>, SplitFiles), DatasetError> {
        let step = StepName::known("config-parquet-metadata");
        let key = ArtifactKey::config(step, dataset.clone(), config.clone());
        let found = self.services.store.views.read(&key, Some(revision), 0.0).await.map_err(passing)?;
        let Some(found) = found else {
            return Err(DatasetError::NotReady(format!("the Parquet files of {dataset} are still being prepared")));
        };
        if !found.stored.view.outcome.is_ok() {
            return Err(DatasetError::Unknown(format!("the config {config} of {dataset} has no Parquet files")));
        }
        let files = self.services.files.parquet_files(&found, split).await;
        let mut files = files.map_err(|error| failed(error, dataset))?;
        if files.files.is_empty() {
            return Err(DatasetError::Unknown(format!("the config {config} of {dataset} has no split {split}")));
        }
        let whole = self.services.files.whole(std::mem::take(&mut files.files)).await;
        files.files = whole.map_err(|error| failed(error, dataset))?;
        Ok((Arc::new(found), files))
    }

    /// The files that a split is made of.
    async fn originals_of(
        &self,
        dataset: &DatasetName,
        revision: &Revision,
        (config, split): (&ConfigName, &SplitName),
    ) -> Result<Vec<PinnedFile>, DatasetError> {
        let config = self.services.files.good_config(dataset, revision, config).await;
        let config = config.map_err(|error| match error {
            JobError::Fail { .. } => DatasetError::Unknown(error.to_string()),
            other => failed(other, dataset),
        })?;
        let Some(paths) = config.splits.get(split) else {
            return Err(DatasetError::Unknown(format!("the config {} of {dataset} has no split {split}", config.name)));
        };
        let manifest = self.services.files.manifest(dataset, revision).await.map_err(|error| failed(error, dataset))?;
        let mut files = Vec::with_capacity(paths.len());
        for path in paths {
            let file = manifest.files.iter().find(|file| file.path == *path);
            let file = file.ok_or_else(|| DatasetError::Unknown(format!("{path} is no file of {dataset}")))?;
            files.push(file.clone());
        }
        hashed_ones(files, dataset)
    }

    /// The file with the rows of a selection; it is written when it is not there.
    async fn write(&self, selection: &NewSelection) -> Result<PathBuf, DatasetError> {
        let path = self.written.join(format!("{}.parquet", selection.id));
        if tokio::fs::try_exists(&path).await.map_err(passing)? {
            return Ok(path);
        }
        let gone = |error: belvedere_domain::NameError| DatasetError::Gone(error.to_string());
        let revision = Revision::new(&selection.revision).map_err(gone)?;
        let config = ConfigName::new(&selection.config).map_err(gone)?;
        let split = SplitName::new(&selection.split).map_err(gone)?;
        let rows = chosen::decode(&selection.rows).filter(|rows| chosen::hash(rows) == selection.sha256);
        let rows = rows.ok_or_else(|| DatasetError::Gone(format!("the rows of {} are damaged", selection.id)))?;
        let (found, files) = self.parquet(&selection.dataset, &revision, (&config, &split)).await?;
        tokio::fs::create_dir_all(&self.written).await.map_err(passing)?;
        let temporary = self.written.join(format!(".{}-{}", selection.id, rand::random::<u64>()));
        let written = self.export(&found, &files, &split, rows, &temporary).await;
        let moved = match written {
            Ok(()) => tokio::fs::rename(&temporary, &path).await.map_err(passing),
            Err(error) => Err(error),
        };
        if moved.is_err() {
            // Nobody else knows of it.
            let _ = tokio::fs::remove_file(&temporary).await;
        }
        moved.map(|()| path)
    }

    async fn export(
        &self,
        found: &Found,
        files: &SplitFiles,
        split: &SplitName,
        rows: Vec<u64>,
        to: &Path,
    ) -> Result<(), DatasetError> {
        #[derive(serde::Deserialize)]
        struct Content {
            features: Option<Features>,
        }
        let content: Content = serde_json::from_str(found.stored.view.content.as_str()).map_err(passing)?;
        let urls = &self.services.settings.urls;
        let (key, revision) = (&found.key, found.revision.as_str());
        let media = || {
            // Parquet has media as they are stored: nothing is written here.
            let config = key.config.as_ref();
            media_target(&urls.cached_assets, &urls.hub, &key.dataset, revision, config, Some(split), &self.written)
        };
        let caller = if files.trusted { &self.services.trusted } else { &self.services.children };
        let mut file = tokio::fs::File::create(to).await.map_err(passing)?;
        let (mut join, mut rest, mut begins) = (ParquetJoin::default(), rows.as_slice(), true);
        loop {
            let wanted = rest[..rest.len().min(PIECE_ROWS)].to_vec();
            let call = Call::Export(Export {
                files: files.files.clone(),
                features: content.features.clone(),
                columns: Vec::new(),
                rows: WantedRows::Listed(wanted),
                format: Format::Parquet,
                begins,
                max_bytes: PIECE_BYTES,
                max_rows: PIECE_ROWS,
                media: media(),
            });
            let exported = match caller.call(call, PIECE_LIMIT).await {
                Ok(Reply::Export(exported)) => exported,
                Ok(_) => return Err(passing("rows were asked for, and something else came")),
                Err(CallError::Engine(error)) if error.kind == ErrorKind::Changed => {
                    let loss = heal::parquet_files(&self.services, key, &found.revision).await.map_err(passing)?;
                    if loss == Loss::Remaking {
                        return Err(passing("the files behind the rows were lost and are being made again"));
                    }
                    return Err(DatasetError::Gone(format!("the files of {} have changed", key.dataset)));
                }
                Err(error) => return Err(passing(error)),
            };
            begins = false;
            let Piece::Bytes(bytes) = exported.piece else { return Err(passing("Parquet was asked for")) };
            let bytes = join.push(bytes).map_err(passing)?;
            file.write_all(&bytes).await.map_err(passing)?;
            let count = usize::try_from(exported.num_rows).unwrap_or(usize::MAX).min(rest.len());
            rest = &rest[count..];
            if rest.is_empty() {
                break;
            }
            if count == 0 {
                return Err(DatasetError::Gone(format!("rows of {} are not there any more", key.dataset)));
            }
        }
        file.write_all(&join.finish().map_err(passing)?).await.map_err(passing)?;
        file.sync_all().await.map_err(passing)
    }
}

/// Files as they are pinned, once all are hashed.
fn hashed_ones(files: Vec<FileEntry>, dataset: &DatasetName) -> Result<Vec<PinnedFile>, DatasetError> {
    if files.len() > MAX_FILES {
        return Err(DatasetError::Unknown(format!(
            "these are {} files of {dataset}, of which a task takes at most {MAX_FILES}; name one split as \
             {dataset}/CONFIG/SPLIT",
            files.len()
        )));
    }
    if files.iter().any(|file| !file.is_hashed()) {
        return Err(DatasetError::NotReady(format!("the files of {dataset} are still being hashed")));
    }
    if files.iter().any(|file| file.content_id.len() != SHA256_DIGITS) {
        return Err(DatasetError::Unknown(format!(
            "{dataset} is on a remote Hub, which tells no SHA-256 of its small files; name one split as \
             {dataset}/CONFIG/SPLIT"
        )));
    }
    Ok(files.into_iter().map(|file| PinnedFile { path: file.path, size: file.size, sha256: file.content_id }).collect())
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
        let original = reference.format == Some(InputFormat::Original);
        let files = match &reference.split {
            None if reference.format == Some(InputFormat::Parquet) => {
                let text = format!("a split is needed for Parquet: name one as {dataset}/CONFIG/SPLIT");
                return Err(DatasetError::Unknown(text));
            }
            None => self.originals(&dataset, &revision, reference.suffix.as_deref()).await?,
            Some((config, split)) if original => self.originals_of(&dataset, &revision, (config, split)).await?,
            Some((config, split)) => {
                let (_, files) = self.parquet(&dataset, &revision, (config, split)).await?;
                let located: Vec<_> = files.files.into_iter().map(located).collect();
                let hashed = tokio::task::spawn_blocking(move || located.into_iter().map(hashed).collect());
                let hashed: std::io::Result<Vec<PinnedFile>> = hashed.await.map_err(passing)?;
                hashed.map_err(passing)?
            }
        };
        let split = reference.split.as_ref().map(|(config, split)| (config.to_string(), split.to_string()));
        let (dataset, revision, original) = (dataset.to_string(), revision.to_string(), original && split.is_some());
        Ok(Pin { dataset, revision, split, original, selection: None, files })
    }

    async fn pin_selection(&self, id: &str) -> Result<Pin, DatasetError> {
        let tasks = &self.services.store.tasks;
        let unknown = || DatasetError::Unknown(format!("there is no selection `{id}`"));
        let (selection, _) = tasks.selection(id).await.map_err(passing)?.ok_or_else(unknown)?;
        tasks.use_selection(id).await.map_err(passing)?;
        let path = self.write(&selection).await?;
        let name = format!("{}-{}.parquet", selection.split, &id[..id.len().min(12)]);
        let file = tokio::task::spawn_blocking(move || hashed((name, path))).await.map_err(passing)?;
        let chosen = PinnedSelection { id: selection.id, num_rows: selection.num_rows, sha256: selection.sha256 };
        Ok(Pin {
            dataset: selection.dataset.to_string(),
            revision: selection.revision,
            split: Some((selection.config, selection.split)),
            original: false,
            selection: Some(chosen),
            files: vec![file.map_err(passing)?],
        })
    }

    async fn locate(&self, pin: &Pin) -> Result<Vec<PathBuf>, DatasetError> {
        let stored = |error: belvedere_domain::NameError| DatasetError::Gone(error.to_string());
        let dataset = DatasetName::new(&pin.dataset).map_err(stored)?;
        let revision = Revision::new(&pin.revision).map_err(stored)?;
        let gone = || DatasetError::Gone(format!("revision {revision} of {dataset} is not kept any more"));
        if let Some(chosen) = &pin.selection {
            let tasks = &self.services.store.tasks;
            let found = tasks.selection(&chosen.id).await.map_err(passing)?;
            let missing = || DatasetError::Gone(format!("the selection {} is not kept any more", chosen.id));
            let (selection, _) = found.ok_or_else(missing)?;
            tasks.use_selection(&chosen.id).await.map_err(passing)?;
            return Ok(vec![self.write(&selection).await?]);
        }
        if let Some((config, split)) = pin.split.as_ref().filter(|_| !pin.original) {
            let (config, split) = (ConfigName::new(config).map_err(stored)?, SplitName::new(split).map_err(stored)?);
            return match self.parquet(&dataset, &revision, (&config, &split)).await {
                Ok((_, files)) if files.files.len() == pin.files.len() => {
                    Ok(files.files.into_iter().map(|file| file.file.local_path).collect())
                }
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

fn located(file: ParquetFile) -> (String, PathBuf) {
    (file.file.path, file.file.local_path)
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
