//! From names to files on this machine: the files of a revision, what they resolve to, and where converted files lie.

mod heads;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use belvedere_domain::data_files::{FolderKind, FolderRole, ResolvedConfig};
use belvedere_domain::parquet_path::ParquetPath;
use belvedere_domain::{
    ConfigName, DatasetName, Digest, ErrorCode, Features, Level, Manifest, Revision, SplitName, StepName,
};
use belvedere_engine::call::{MediaRules, MediaTarget, ParquetFile};
use belvedere_engine::source::{FileIdentity, SourceFile};
use belvedere_engine::{Needed, WantedFile};
use belvedere_hub::card::Card;
use belvedere_hub::data_files::Resolution;
use belvedere_hub::{Hub, HubError, LocatedFile, Origin};
use belvedere_store::blobs::segment;
use belvedere_store::{Blobs, Found, Views};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::config::parquet_layout::{COPIES, PARQUET_LAYOUT};
use crate::content::{FileBehind, LayoutCopy, Place};
use crate::job::JobError;
use crate::publish::Committers;

/// Resolutions and manifests kept in memory.
const KEPT: usize = 64;
/// What stays as it is in URLs and in the names of stored files.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

type Kept<T> = Mutex<HashMap<(DatasetName, Revision), Arc<T>>>;

/// The files of datasets.
pub struct Files {
    hub: Arc<dyn Hub>,
    blobs: Blobs,
    assets: Blobs,
    copies: Option<Arc<dyn Views>>,
    committers: Committers,
    manifests: Kept<Manifest>,
    resolutions: Kept<Resolution>,
    languages: Kept<Vec<String>>,
}

/// The Parquet files of a split, ready to be read.
#[derive(Clone, Debug)]
pub struct SplitFiles {
    /// In order, with their numbers of rows.
    pub files: Vec<ParquetFile>,
    /// All of them were written by us.
    pub trusted: bool,
    /// The split was cut.
    pub partial: bool,
    /// False while private copies that are faster to read may still come.
    pub settled: bool,
}

/// A file to be sent as it is.
#[derive(Clone, Debug)]
pub struct ServedFile {
    /// Where it lies on this machine, unless it is a distant blob.
    pub local_path: PathBuf,
    /// The key of a distant blob, and its size.
    pub distant: Option<(String, u64)>,
    /// Identifies its content.
    pub content_id: String,
}

impl Files {
    /// The files of a Hub, with converted ones in the store. `copies` are the views that tell of private copies of
    /// Parquet files; without them, originals are read.
    pub fn new(hub: Arc<dyn Hub>, blobs: Blobs, copies: Option<Arc<dyn Views>>) -> Self {
        let (manifests, resolutions, languages) = (Kept::default(), Kept::default(), Kept::default());
        let assets = blobs.clone();
        let committers = Committers::default();
        Self { hub, blobs, assets, copies, committers, manifests, resolutions, languages }
    }

    /// Keeps media files that jobs make in a place of their own.
    #[must_use]
    pub fn with_assets(mut self, assets: Blobs) -> Self {
        self.assets = assets;
        self
    }

    /// Sends converted files to the Hub that their dataset comes from.
    #[must_use]
    pub fn with_committers(mut self, committers: Committers) -> Self {
        self.committers = committers;
        self
    }

    /// Who sends converted files to a remote Hub.
    pub fn committers(&self) -> &Committers {
        &self.committers
    }

    /// Where media files are that jobs made.
    pub fn assets(&self) -> &Blobs {
        &self.assets
    }

    /// The places of all files behind views: one, or two where media have a place of their own.
    pub fn places(&self) -> impl Iterator<Item = &Blobs> {
        let own = (self.assets.name() != self.blobs.name()).then_some(&self.assets);
        std::iter::once(&self.blobs).chain(own)
    }

    /// The Hub.
    pub fn hub(&self) -> &Arc<dyn Hub> {
        &self.hub
    }

    /// True if the Hub has the dataset.
    pub async fn exists(&self, dataset: &DatasetName) -> bool {
        // Files that are still being written are a dataset already, only not one that can be read yet.
        matches!(self.hub.head(dataset).await, Ok(Some(_)) | Err(HubError::Busy(_)))
    }

    /// True if no folder here has the dataset. Another machine may.
    pub async fn is_elsewhere(&self, dataset: &DatasetName) -> bool {
        self.hub.origin(dataset) == Origin::Folders && matches!(self.hub.head(dataset).await, Ok(None))
    }

    /// The files of a revision.
    ///
    /// # Errors
    /// [`JobError::RevisionGone`] when the revision is not kept, or the dataset is not known here.
    pub async fn manifest(&self, dataset: &DatasetName, revision: &Revision) -> Result<Arc<Manifest>, JobError> {
        let key = (dataset.clone(), revision.clone());
        if let Some(manifest) = kept(&self.manifests, &key) {
            return Ok(manifest);
        }
        let manifest = Arc::new(self.hub.manifest(dataset, revision).await.map_err(hub_failure)?);
        keep(&self.manifests, key, Arc::clone(&manifest));
        Ok(manifest)
    }

    /// What a revision's files and card resolve to.
    ///
    /// # Errors
    /// The public code of the mistake that keeps all configs from being listed.
    pub async fn resolution(&self, dataset: &DatasetName, revision: &Revision) -> Result<Arc<Resolution>, JobError> {
        let key = (dataset.clone(), revision.clone());
        if let Some(resolution) = kept(&self.resolutions, &key) {
            return Ok(resolution);
        }
        let resolution = belvedere_hub::revision::resolve_revision(Arc::clone(&self.hub), dataset, revision)
            .await
            .map_err(hub_failure)?;
        let resolution =
            resolution.map_err(|error| JobError::fail_because(error.code, error.message.clone(), &error))?;
        let resolution = Arc::new(resolution);
        keep(&self.resolutions, key, Arc::clone(&resolution));
        Ok(resolution)
    }

    /// The languages that the card declares. A card that cannot be read declares none; the configs say what is wrong.
    ///
    /// # Errors
    /// [`JobError::RevisionGone`] when the revision is not kept.
    pub async fn languages(&self, dataset: &DatasetName, revision: &Revision) -> Result<Arc<Vec<String>>, JobError> {
        let key = (dataset.clone(), revision.clone());
        if let Some(languages) = kept(&self.languages, &key) {
            return Ok(languages);
        }
        let manifest = self.manifest(dataset, revision).await?;
        let card = belvedere_hub::revision::read_card(self.hub.as_ref(), dataset, revision, &manifest).await;
        let languages = Arc::new(card.map_err(hub_failure)?.map(|card| card.languages()).unwrap_or_default());
        keep(&self.languages, key, Arc::clone(&languages));
        Ok(languages)
    }

    /// A config whose files are known.
    ///
    /// # Errors
    /// The config's own mistake, or [`ErrorCode::ConfigNotFoundError`].
    pub async fn good_config(
        &self,
        dataset: &DatasetName,
        revision: &Revision,
        config: &ConfigName,
    ) -> Result<ResolvedConfig, JobError> {
        let resolution = self.resolution(dataset, revision).await?;
        let Some(files) = resolution.config(config.as_str()) else {
            return Err(JobError::fail(ErrorCode::ConfigNotFoundError, format!("config {config} does not exist")));
        };
        files.files.clone().map_err(|error| JobError::fail_because(error.code, error.message.clone(), &error))
    }

    /// Files of a revision, ready to be read; each path once.
    ///
    /// # Errors
    /// [`JobError::RevisionGone`] when a file is not what it was.
    pub async fn sources(
        &self,
        dataset: &DatasetName,
        revision: &Revision,
        paths: impl IntoIterator<Item = &str>,
    ) -> Result<Vec<SourceFile>, JobError> {
        let mut sources: Vec<SourceFile> = Vec::new();
        let mut known = HashSet::new();
        for path in paths {
            if known.insert(path.to_owned()) {
                let located = self.hub.locate(dataset, revision, path).await.map_err(hub_failure)?;
                sources.push(source(path, located));
            }
        }
        Ok(sources)
    }

    /// Those of some files that the revision has, ready to be read as far as they will be; each once.
    ///
    /// # Errors
    /// [`JobError::RevisionGone`] when a file is not what it was.
    pub async fn sources_if_there(
        &self,
        dataset: &DatasetName,
        revision: &Revision,
        wanted: &[WantedFile],
    ) -> Result<Vec<SourceFile>, JobError> {
        let manifest = self.manifest(dataset, revision).await?;
        let read: Vec<&str> = wanted
            .iter()
            .filter(|file| file.needed != Needed::Existence && manifest.get(&file.path).is_some())
            .map(|file| file.path.as_str())
            .collect();
        let mut files = self.sources(dataset, revision, read).await?;
        let heads: HashSet<&str> =
            wanted.iter().filter(|file| file.needed == Needed::Head).map(|file| file.path.as_str()).collect();
        let heads = files.iter().filter(|file| heads.contains(file.path.as_str()));
        self.bring_heads(heads.map(|file| file.local_path.clone()).collect()).await;
        // Bringing a file here may be costly: to be sure that it exists, the list of files is enough.
        let known = wanted.iter().filter(|file| file.needed == Needed::Existence).filter_map(|file| {
            let entry = manifest.get(&file.path)?;
            Some(SourceFile { path: file.path.clone(), local_path: PathBuf::new(), size: entry.size, identity: None })
        });
        files.extend(known);
        Ok(files)
    }

    /// The files that media cells of a split may refer to, to be measured; none where cells hold their content.
    ///
    /// # Errors
    /// [`JobError::RevisionGone`] when a file is not what it was.
    pub async fn media_of(
        &self,
        dataset: &DatasetName,
        revision: &Revision,
        (config, split): (&ConfigName, &SplitName),
        features: Option<&Features>,
    ) -> Result<Vec<SourceFile>, JobError> {
        if !features.is_some_and(shows_media) {
            return Ok(Vec::new());
        }
        let resolved = match self.good_config(dataset, revision, config).await {
            Ok(resolved) => resolved,
            Err(JobError::Fail { .. }) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let Some(kind) = resolved.reader.folder() else { return Ok(Vec::new()) };
        let metadata = resolved.metadata_filenames();
        let paths = resolved.splits.get(split).into_iter().flatten().map(String::as_str);
        let media: Vec<&str> = paths.filter(|path| kind.role(path, &metadata) == FolderRole::Media).collect();
        let files = self.sources(dataset, revision, media).await?;
        // Of documents, the size is known.
        if kind != FolderKind::Pdf {
            self.bring_heads(files.iter().map(|file| file.local_path.clone()).collect()).await;
        }
        Ok(files)
    }

    /// The names of the files in a zip archive; none when it cannot be read.
    ///
    /// # Errors
    /// [`JobError::RevisionGone`] when the archive is not what it was.
    pub async fn zip_members(
        &self,
        dataset: &DatasetName,
        revision: &Revision,
        path: &str,
    ) -> Result<Vec<String>, JobError> {
        let members = belvedere_hub::revision::zip_members(Arc::clone(&self.hub), dataset, revision, path).await;
        Ok(members.map_err(hub_failure)?.unwrap_or_default())
    }

    /// The card of a revision; `None` when it cannot be understood, which the configs tell.
    ///
    /// # Errors
    /// [`JobError::RevisionGone`] when one of its files is not what it was.
    pub async fn card(&self, dataset: &DatasetName, revision: &Revision) -> Result<Option<Card>, JobError> {
        let manifest = self.manifest(dataset, revision).await?;
        let card = belvedere_hub::revision::read_card(self.hub.as_ref(), dataset, revision, &manifest).await;
        Ok(card.map_err(hub_failure)?.ok())
    }

    /// The first byte of a file; `None` when it is empty.
    ///
    /// # Errors
    /// [`JobError::RevisionGone`] when the file is not what it was.
    pub async fn first_byte(
        &self,
        dataset: &DatasetName,
        revision: &Revision,
        path: &str,
    ) -> Result<Option<u8>, JobError> {
        let bytes = self.hub.read(dataset, revision, path, 0..1).await.map_err(hub_failure)?;
        Ok(bytes.first().copied())
    }

    /// The Parquet files of a split, as listed by a `config-parquet-metadata` view, for queries. Private copies stand in
    /// for originals that are slow to read.
    ///
    /// # Errors
    /// [`JobError::RevisionGone`] when a file of the dataset is not what it was; [`JobError::Retry`] from the store.
    pub async fn parquet_files(&self, found: &Found, split: &SplitName) -> Result<SplitFiles, JobError> {
        let behind: Option<Vec<FileBehind>> = found.stored.view.internal.parse().map_err(|_| {
            JobError::fail(ErrorCode::PreviousStepFormatError, "the list of stored files cannot be read")
        })?;
        let mut files: Vec<(ParquetPath, FileBehind)> = behind
            .unwrap_or_default()
            .into_iter()
            .filter_map(|file| ParquetPath::parse(&file.path).map(|path| (path, file)))
            .filter(|(path, _)| path.split == *split)
            .collect();
        files.sort_by_key(|(path, _)| (path.part, path.shard));
        let all_ours = files.iter().all(|(_, file)| matches!(file.place, Place::Blob(_)));
        let copies = if all_ours { Some(Vec::new()) } else { self.copies(found).await? };
        let mut split_files =
            SplitFiles { files: Vec::new(), trusted: true, partial: false, settled: copies.is_some() };
        let copies: HashMap<_, _> = copies.into_iter().flatten().map(|copy| (copy.path.clone(), copy)).collect();
        for (path, file) in files {
            split_files.partial |= path.partial;
            let copy = match copies.get(&file.path) {
                Some(copy) => self.copy_of(&file, copy).await?,
                None => None,
            };
            let source = match copy {
                Some(copy) => copy,
                None => {
                    split_files.trusted &= matches!(file.place, Place::Blob(_));
                    self.behind(&found.key.dataset, &found.revision, &file).await?
                }
            };
            split_files.files.push(ParquetFile { file: source, num_rows: file.num_rows });
        }
        Ok(split_files)
    }

    /// Whether the files of a list that was [not settled](SplitFiles::settled) are to be listed anew.
    ///
    /// # Errors
    /// [`JobError::Retry`] from the store.
    pub async fn has_copies(&self, found: &Found) -> Result<bool, JobError> {
        Ok(self.copies(found).await?.is_some())
    }

    /// The copies made of the files of a config; `None` while that is not decided.
    async fn copies(&self, found: &Found) -> Result<Option<Vec<LayoutCopy>>, JobError> {
        let Some(views) = &self.copies else { return Ok(Some(Vec::new())) };
        let key = found.key.at(StepName::known(PARQUET_LAYOUT), Level::Config);
        let layout = views.at_revision(&[key], &found.revision).await?.pop().flatten();
        // An error means that there are none.
        Ok(layout.map(|layout| layout.stored.view.internal.parse().ok().flatten().unwrap_or_default()))
    }

    /// The copy in place of the file, if it is one of the same content and still there.
    async fn copy_of(&self, file: &FileBehind, copy: &LayoutCopy) -> Result<Option<SourceFile>, JobError> {
        let Place::Source { path, content_id } = &file.place else { return Ok(None) };
        if copy.content_id != *content_id || self.blobs.head(&copy.key).await?.is_none() {
            return Ok(None);
        }
        // It goes by the name of the original, in messages too.
        let source = |local_path| SourceFile { path: path.clone(), local_path, size: copy.size, identity: None };
        Ok(self.blobs.local_path(&copy.key).map(source))
    }

    async fn behind(
        &self,
        dataset: &DatasetName,
        revision: &Revision,
        file: &FileBehind,
    ) -> Result<SourceFile, JobError> {
        match &file.place {
            Place::Blob(key) => {
                let local_path = self.blobs.local_path(key).ok_or(JobError::RevisionGone)?;
                Ok(SourceFile { path: file.path.clone(), local_path, size: file.size, identity: None })
            }
            Place::Source { path, .. } => {
                let located = self.hub.locate(dataset, revision, path).await.map_err(hub_failure)?;
                Ok(source(path, located))
            }
        }
    }

    /// Files of a split as they must lie for those who cannot ask for missing parts of them.
    ///
    /// # Errors
    /// [`JobError::RevisionGone`] when a file of the dataset is not what it was.
    pub async fn whole(&self, mut files: Vec<ParquetFile>) -> Result<Vec<ParquetFile>, JobError> {
        for file in &mut files {
            let located = self.hub.complete(&file.file.local_path).await.map_err(hub_failure)?;
            if let Some(located) = located {
                file.file = source(&file.file.path, located);
            }
        }
        Ok(files)
    }

    /// A converted file, to be sent as it is.
    ///
    /// # Errors
    /// [`JobError::RevisionGone`] when a file of the dataset is not what it was.
    pub async fn served(
        &self,
        dataset: &DatasetName,
        revision: &Revision,
        file: &FileBehind,
    ) -> Result<ServedFile, JobError> {
        let local_path = self.behind(dataset, revision, file).await?.local_path;
        let whole = self.hub.complete(&local_path).await.map_err(hub_failure)?;
        let local_path = whole.map_or(local_path, |whole| whole.local_path);
        let content_id = match &file.place {
            // The key begins with the digest of everything that the content depends on.
            Place::Blob(key) => key.clone(),
            Place::Source { content_id, .. } => content_id.clone(),
        };
        let distant = match &file.place {
            Place::Blob(key) if !self.blobs.is_folder() => Some((key.clone(), file.size)),
            _ => None,
        };
        Ok(ServedFile { local_path, distant, content_id })
    }

    /// A file of the dataset, to be sent as it is; `None` when the revision has no such file.
    ///
    /// # Errors
    /// [`JobError::RevisionGone`] when the file is not what it was.
    pub async fn original(
        &self,
        dataset: &DatasetName,
        revision: &Revision,
        path: &str,
    ) -> Result<Option<ServedFile>, JobError> {
        let manifest = self.manifest(dataset, revision).await?;
        let Some(entry) = manifest.get(path) else { return Ok(None) };
        let located = self.hub.locate(dataset, revision, path).await.map_err(hub_failure)?;
        let whole = self.hub.complete(&located.local_path).await.map_err(hub_failure)?;
        let (local_path, content_id) = (whole.unwrap_or(located).local_path, entry.content_id.clone());
        Ok(Some(ServedFile { local_path, distant: None, content_id }))
    }

    /// A file of the dataset turned out to be another one: look at it now rather than at the next change.
    pub async fn changed(&self, dataset: &DatasetName) {
        self.hub.look_again(dataset).await;
    }
}

/// True if cells of some column are media, which are understood in child processes only.
pub fn shows_media(features: &Features) -> bool {
    features.iter().any(|(_, feature)| feature.any(&mut |feature| feature.media().is_some()))
}

fn source(path: &str, located: LocatedFile) -> SourceFile {
    SourceFile {
        path: path.to_owned(),
        size: located.size,
        identity: Some(FileIdentity {
            size: located.size,
            mtime_ns: located.mtime_ns,
            ctime_ns: located.ctime_ns,
            inode: located.inode,
        }),
        local_path: located.local_path,
    }
}

pub(crate) fn hub_failure(error: HubError) -> JobError {
    match error {
        // A dataset that this process does not know may be new; one that is really gone takes its jobs along.
        HubError::DatasetNotFound(_) | HubError::RevisionGone { .. } | HubError::FileNotFound { .. } => {
            JobError::RevisionGone
        }
        HubError::Disabled(_) => JobError::RevisionGone,
        HubError::NoRoom { passing: false, .. } => JobError::fail(ErrorCode::DiskError, error.to_string()),
        HubError::Refused { .. } => JobError::fail(ErrorCode::HfHubError, error.to_string()),
        HubError::Remote { .. } if !error.is_passing() => {
            tracing::warn!(error = &error as &dyn std::error::Error, "the Hub answers with nothing of use");
            JobError::fail(ErrorCode::HfHubError, told(&error))
        }
        other => JobError::Retry { message: told(&other), code: ErrorCode::HfHubError },
    }
}

/// A failure with what the Hub said, but without what lies behind that: addresses are not for readers.
fn told(error: &HubError) -> String {
    match error {
        HubError::Remote { source, .. } => format!("{error}: {source}"),
        error => error.to_string(),
    }
}

fn kept<T>(cache: &Kept<T>, key: &(DatasetName, Revision)) -> Option<Arc<T>> {
    cache.lock().expect("never poisoned: no code panics while holding it").get(key).cloned()
}

fn keep<T>(cache: &Kept<T>, key: (DatasetName, Revision), value: Arc<T>) {
    let mut cache = cache.lock().expect("never poisoned: no code panics while holding it");
    if cache.len() >= KEPT {
        cache.clear();
    }
    cache.insert(key, value);
}

/// `<dataset>/--/<revision>/--/<config>/<split>`, percent-encoded: part of asset URLs and of stored paths.
pub fn asset_directory(
    dataset: &DatasetName,
    revision: &str,
    config: Option<&ConfigName>,
    split: Option<&SplitName>,
) -> String {
    let encode = |text: &str| utf8_percent_encode(text, PATH).to_string();
    format!(
        "{}/--/{revision}/--/{}/{}",
        encode(dataset.as_str()),
        encode(config.map_or("", ConfigName::as_str)),
        encode(split.map_or("", SplitName::as_str)),
    )
}

/// What the keys of all blobs of a view begin with.
pub(crate) fn prefixes_of(digest: &Digest) -> [String; 2] {
    let digest = digest.to_hex();
    [format!("views/{digest}"), format!("{COPIES}/{digest}")]
}

/// The key of a media file that belongs to a view. `path` is `<row>/<column>/<file>` as in URLs, percent-encoded.
pub fn asset_key(digest: &Digest, path: &str) -> String {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let path: Vec<String> = path.split('/').map(|part| segment(&decoded(part))).collect();
    format!("views/{}/assets/{}", digest.to_hex(), path.join("/"))
}

/// Where media of a split go, and how cells refer to them. `revision` may be the placeholder.
pub fn media_target(
    assets_url: &str,
    hub_url: &str,
    dataset: &DatasetName,
    revision: &str,
    config: Option<&ConfigName>,
    split: Option<&SplitName>,
    directory: &Path,
) -> MediaTarget {
    MediaTarget {
        directory: directory.to_owned(),
        url_prefix: format!("{assets_url}/{}", asset_directory(dataset, revision, config, split)),
        resolve_prefix: format!("{hub_url}/datasets/{dataset}/resolve/{revision}"),
        repository: format!("hf://datasets/{dataset}@{revision}"),
        linked_files: None,
        rules: MediaRules::default(),
    }
}
