//! What a step is in code: its place in the graph, and how it turns views of its parents into its own.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use belvedere_domain::data_files::ResolvedConfig;
use belvedere_domain::job::ClaimedJob;
use belvedere_domain::view::{Digest, DigestBuilder, ErrorCause};
use belvedere_domain::{
    ArtifactKey, ConfigName, ErrorCode, FileEntry, Level, Manifest, Revision, SplitName, Step, StepName, View,
};
use belvedere_engine::source::SourceFile;
use belvedere_engine::{Call, ErrorKind, Reply};
use belvedere_store::{Blobs, Found, NewView, StoreError, StoredView, ViewContent};
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::call::CallError;
use crate::content::{ConfigNames, ConfigParquetMetadata, Written};
use crate::context::Services;
use crate::files::SplitFiles;
use crate::heal::MAX_LOSSES;
use crate::identity::Identity;
use crate::meter::Meter;
use crate::scratch::ScratchDirectory;
use crate::settings::Settings;

/// Files on their way to their place at the same time.
const PUTS_AT_A_TIME: usize = 4;

/// A step that can be run.
#[async_trait]
pub trait Job: Send + Sync {
    /// Its place in the graph.
    fn step(&self) -> &'static Step;

    /// Computes the view of the context's artifact.
    ///
    /// # Errors
    /// [`JobError`] decides what becomes of the job: tried again, stored as an error, or nothing.
    async fn run(&self, ctx: &mut JobContext) -> Result<Ready, JobError>;
}

/// What a run ended with.
#[derive(Debug)]
pub enum Ready {
    /// A new view.
    View(View),
    /// A view of exactly these inputs is stored already.
    Reused,
    /// The view stored under this digest is what these inputs give.
    ReusedAs(Digest),
}

impl From<View> for Ready {
    fn from(view: View) -> Self {
        Self::View(view)
    }
}

/// Why a run gave no view.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The environment failed: try again later, inside the queue.
    #[error("{message}")]
    Retry {
        /// What failed.
        message: String,
        /// The code that is stored when it keeps failing.
        code: ErrorCode,
    },
    /// A result that users ask for: stored and served.
    #[error("{code}: {message}")]
    Fail {
        /// Public code.
        code: ErrorCode,
        /// Short text for users.
        message: String,
        /// What lies behind.
        cause: Option<ErrorCause>,
    },
    /// A parent is an error: this view becomes a copy of it.
    #[error("the previous step {} failed", .0.key)]
    Copy(Box<Found>),
    /// Nothing is stored: the artifact does not belong to this revision.
    #[error("{0}")]
    Nothing(String),
    /// Not yet: look again after some seconds. Counts as no attempt.
    #[error("{reason}")]
    Postpone {
        /// Seconds to wait.
        seconds: f64,
        /// What is waited for.
        reason: &'static str,
    },
    /// The files of this revision are not there any more.
    #[error("the files of this revision changed")]
    RevisionGone,
}

impl JobError {
    /// An error to store, without cause.
    pub fn fail(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::Fail { code, message: message.into(), cause: None }
    }

    /// An error to store, with its cause.
    pub fn fail_because(
        code: ErrorCode,
        message: impl Into<String>,
        cause: &(dyn std::error::Error + 'static),
    ) -> Self {
        let mut traceback = Vec::new();
        let mut source = cause.source();
        while let Some(error) = source {
            traceback.push(error.to_string());
            source = error.source();
        }
        let cause = ErrorCause { kind: kind_of(cause), message: cause.to_string(), traceback };
        Self::Fail { code, message: message.into(), cause: Some(cause) }
    }
}

/// A name for the kind of an error, for clients that group by it.
fn kind_of(error: &(dyn std::error::Error + 'static)) -> String {
    match error.downcast_ref::<belvedere_engine::EngineError>() {
        Some(error) => format!("{:?}Error", error.kind),
        None => "Error".to_owned(),
    }
}

impl From<StoreError> for JobError {
    fn from(error: StoreError) -> Self {
        if let StoreError::Blob { .. } | StoreError::BlobsAway { .. } = error {
            // The causes hold addresses of the storage, which are not for readers.
            tracing::warn!(error = &error as &dyn std::error::Error, "files cannot be stored or read");
            let code = if error.is_full() { ErrorCode::DiskError } else { ErrorCode::FileSystemError };
            return Self::Retry { message: error.to_string(), code };
        }
        if error.is_passing() {
            // No attempt of the job's: without the database nothing can be stored anyway.
            tracing::warn!(error = &error as &dyn std::error::Error, "a job found the database away");
            return Self::Postpone { seconds: 1.0, reason: "the database is away" };
        }
        let mut message = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(error) = source {
            message = format!("{message}: {error}");
            source = error.source();
        }
        let code = if error.is_full() { ErrorCode::DiskError } else { ErrorCode::UnexpectedError };
        Self::Retry { message, code }
    }
}

/// What one run of a job sees. Everything it reads goes into the digest of its view.
pub struct JobContext {
    /// Shared services.
    pub services: Arc<Services>,
    /// What to compute.
    pub key: ArtifactKey,
    /// Of which revision.
    pub revision: Revision,
    forced: bool,
    digest: DigestBuilder,
    sealed: bool,
    shortcuts: Vec<(ArtifactKey, View)>,
    meter: Meter,
    before: Option<View>,
}

/// The digest under which an error is stored, if there is one.
pub(crate) struct Unstored(DigestBuilder);

impl Unstored {
    /// Passes an error on, to be stored under its own digest.
    pub(crate) fn fail(self, ctx: &mut JobContext, error: JobError) -> JobError {
        if matches!(error, JobError::Fail { .. }) {
            ctx.digest = self.0;
        }
        error
    }
}

/// A view of a parent, typed.
#[derive(Debug)]
pub struct Parent<T> {
    /// Its content.
    pub content: T,
    /// The view it was read from.
    pub found: Found,
}

impl JobContext {
    /// A context for a claimed job.
    pub fn new(services: Arc<Services>, step: &Step, job: &ClaimedJob) -> Self {
        let record = &job.record;
        let mut digest = DigestBuilder::new(step.name, step.version)
            .part("dataset", record.key.dataset.as_str())
            .part("config", record.key.config.as_ref().map_or("", ConfigName::as_str))
            .part("split", record.key.split.as_ref().map_or("", SplitName::as_str));
        if record.forced {
            // Forced runs compute anew, and what they compute is another view.
            digest = digest.part("forced", job.lease.token.to_le_bytes());
        }
        Self {
            services,
            key: record.key.clone(),
            revision: record.revision.clone(),
            forced: record.forced,
            digest,
            sealed: false,
            shortcuts: Vec::new(),
            meter: Meter::default(),
            before: None,
        }
    }

    /// The same, noting what it uses.
    #[must_use]
    pub fn with_meter(self, meter: Meter) -> Self {
        Self { meter, ..self }
    }

    /// The settings for datasets from where this one comes from.
    pub fn settings(&self) -> Cow<'_, Settings> {
        self.services.settings.of(self.services.files.hub().origin(&self.key.dataset))
    }

    /// The config of a config- or split-level job.
    pub fn config(&self) -> Result<&ConfigName, JobError> {
        self.key
            .config
            .as_ref()
            .ok_or_else(|| JobError::fail(ErrorCode::ParameterMissingError, "the job names no config"))
    }

    /// The split of a split-level job.
    pub fn split(&self) -> Result<&SplitName, JobError> {
        self.key
            .split
            .as_ref()
            .ok_or_else(|| JobError::fail(ErrorCode::ParameterMissingError, "the job names no split"))
    }

    /// Adds an input to the digest of the view.
    pub fn input<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) {
        assert!(!self.sealed, "every input must be read before asking whether a view of them is stored");
        let value = serde_json::to_vec(value).expect("inputs are plain values");
        self.digest = self.digest.clone().part(name, value);
    }

    /// The artifact of another step at the same place.
    pub fn at(&self, step: StepName, level: Level) -> ArtifactKey {
        self.key.at(step, level)
    }

    /// The view of one artifact at this revision, success or error; `None` when there is none yet.
    pub async fn read(&mut self, key: &ArtifactKey) -> Result<Option<Found>, JobError> {
        Ok(self.read_all(std::slice::from_ref(key)).await?.pop().flatten())
    }

    /// The views of many artifacts at this revision.
    pub async fn read_all(&mut self, keys: &[ArtifactKey]) -> Result<Vec<Option<Found>>, JobError> {
        let found = self.services.store.views.at_revision(keys, &self.revision).await?;
        for (key, found) in keys.iter().zip(&found) {
            let digest = found.as_ref().map(|found| found.stored.digest);
            self.input("view", &(key, digest));
        }
        Ok(found)
    }

    /// The successful view of a parent, typed.
    ///
    /// # Errors
    /// Absent: `PreviousStepStillProcessingError`. An error: a copy of it. Unexpected content: `PreviousStepFormatError`.
    pub async fn parent<T: DeserializeOwned>(&mut self, key: &ArtifactKey) -> Result<Parent<T>, JobError> {
        match self.read(key).await? {
            None => Err(JobError::fail(ErrorCode::PreviousStepStillProcessingError, format!("{key} is not there yet"))),
            Some(found) if !found.stored.view.outcome.is_ok() => Err(JobError::Copy(Box::new(found))),
            Some(found) => typed(found),
        }
    }

    /// The Parquet files of the config, for steps that the names of its splits trigger too: whichever of the two comes
    /// last finds the other.
    ///
    /// # Errors
    /// Absent: nothing is stored, since the files trigger the step again. Else as [`parent`](Self::parent).
    pub(crate) async fn parquet_of_config(&mut self) -> Result<Parent<ConfigParquetMetadata>, JobError> {
        let key = self.at(StepName::known("config-parquet-metadata"), Level::Config);
        match self.read(&key).await? {
            None => Err(JobError::Nothing("the Parquet files are not there yet".into())),
            Some(found) if !found.stored.view.outcome.is_ok() => Err(JobError::Copy(Box::new(found))),
            Some(found) => typed(found),
        }
    }

    /// The Parquet files of the job's split, of those that a `config-parquet-metadata` view lists; there is at least one.
    pub(crate) async fn split_files(&self, listed: &Found) -> Result<SplitFiles, JobError> {
        let files = self.services.files.parquet_files(listed, self.split()?).await?;
        match files.files.is_empty() {
            true => Err(JobError::fail(ErrorCode::ParquetResponseEmptyError, "the split has no Parquet file")),
            false => Ok(files),
        }
    }

    /// The view of exactly these inputs, if one is stored and need not be made again. No input may be added after.
    pub async fn reuse(&mut self) -> Result<Option<Ready>, JobError> {
        self.sealed = true;
        if self.forced {
            return Ok(None);
        }
        let Some(stored) = self.services.store.views.by_digest(&self.digest()).await? else { return Ok(None) };
        if stored.is_outdated() {
            self.make_again(stored).await?;
            return Ok(None);
        }
        let is_final = |code: &str| ErrorCode::max_failed_runs_of(code) == 0;
        Ok(stored.view.outcome.code().is_none_or(is_final).then_some(Ready::Reused))
    }

    /// Notes what an outdated view says, unless its files were lost too often to be made once more.
    async fn make_again(&mut self, stored: StoredView) -> Result<(), JobError> {
        let key = std::slice::from_ref(&self.key);
        let own = self.services.store.views.at_revision(key, &self.revision).await?.pop().flatten();
        let losses = own.filter(|own| own.stored.digest == stored.digest).map_or(0, |own| own.failed_runs);
        if losses > MAX_LOSSES {
            let message =
                format!("its files were lost {losses} times; the storage does not keep what is written to it");
            return Err(JobError::fail(ErrorCode::DiskError, message));
        }
        self.before = Some(stored.view);
        Ok(())
    }

    /// Whether a view that is made again has become another one. What was made from it has the same digest all the same.
    pub(crate) fn is_other_than_before(&self, view: &View) -> bool {
        self.before.as_ref().is_some_and(|before| before.content != view.content || before.internal != view.internal)
    }

    /// After [`reuse`](Self::reuse) found nothing: the same with one input more, under which errors alone are stored
    /// ([`Unstored::fail`]). For what only errors tell.
    pub(crate) async fn reuse_error(
        &mut self,
        name: &str,
        value: &impl Serialize,
    ) -> Result<Result<Ready, Unstored>, JobError> {
        let value = serde_json::to_vec(value).expect("inputs are plain values");
        let digest = self.digest.clone().part(name, value);
        if !self.forced {
            let stored = self.services.store.views.by_digest(&digest.clone().finish()).await?;
            let final_ = |code: &str| ErrorCode::max_failed_runs_of(code) == 0;
            if stored.is_some_and(|stored| stored.view.outcome.code().is_some_and(final_)) {
                return Ok(Ok(Ready::ReusedAs(digest.finish())));
            }
        }
        Ok(Err(Unstored(digest)))
    }

    /// The view of this artifact that readers have now, if it may stand in for a new one: what it was made from is for
    /// the step to compare.
    pub async fn served(&self) -> Result<Option<Found>, JobError> {
        if self.forced {
            return Ok(None);
        }
        let store = &self.services.store;
        let Some(served) = store.datasets.get(&self.key.dataset).await?.and_then(|row| row.served) else {
            return Ok(None);
        };
        Ok(store.views.at_revision(std::slice::from_ref(&self.key), &served).await?.pop().flatten())
    }

    /// The digest of the inputs read so far.
    pub fn digest(&self) -> Digest {
        self.digest.clone().finish()
    }

    /// Stores a view on behalf of another step of the same dataset.
    pub fn shortcut(&mut self, key: ArtifactKey, view: View) {
        self.shortcuts.push((key, view));
    }

    /// Takes the shortcut views out, with digests derived from this one's.
    pub(crate) fn take_shortcuts(&mut self, graph: &belvedere_domain::Graph) -> Vec<NewView> {
        let digest = self.digest();
        let view = |(key, view): (ArtifactKey, View)| {
            let version = graph.step(&key.step).map_or(1, |step| step.version);
            let digest = DigestBuilder::new(key.step.as_str(), version).part("from", digest.as_bytes()).finish();
            NewView { key, digest, runner_version: version, content: ViewContent::Computed(view) }
        };
        std::mem::take(&mut self.shortcuts).into_iter().map(view).collect()
    }

    /// The files of this revision.
    pub async fn manifest(&self) -> Result<Arc<Manifest>, JobError> {
        self.services.files.manifest(&self.key.dataset, &self.revision).await
    }

    /// Longest time of a call. The worker watches over the duration of the whole job; this only bounds a call nobody
    /// watches.
    pub(crate) fn call_limit(&self) -> Duration {
        Duration::from_secs_f64(self.services.settings.worker.max_job_duration_seconds.clamp(1.0, 1e6) * 1.5)
    }

    /// Carries out an engine call in a child process.
    pub async fn call(&self, call: Call) -> Result<Reply, CallError> {
        let reply = self.services.children.call_metered(call, self.call_limit(), self.meter.clone()).await;
        if let Err(CallError::Engine(error)) = &reply
            && let Some(file) = &error.file
        {
            self.meter.note_failed_file(file);
        }
        reply
    }

    /// A config-level job's config must exist at this revision, a split-level job's split too.
    pub async fn validate(&self, level: Level) -> Result<(), JobError> {
        if level == Level::Dataset {
            return Ok(());
        }
        let names = self.key.at(StepName::known("dataset-config-names"), Level::Dataset);
        let splits = self.key.at(StepName::known("config-split-names"), Level::Config);
        let found = self.services.store.views.at_revision(&[names, splits], &self.revision).await?;
        let config = self.config()?;
        let known = ok_content::<ConfigNames>(found[0].as_ref());
        if !known.is_some_and(|names| names.config_names.iter().any(|item| item.config == *config)) {
            return Err(JobError::Nothing(format!("config {config} does not exist")));
        }
        if level == Level::Split {
            let split = self.split()?;
            let known = ok_content::<crate::content::SplitNames>(found[1].as_ref());
            if !known.is_some_and(|names| names.splits.iter().any(|item| item.split == *split)) {
                return Err(JobError::Nothing(format!("split {split} does not exist")));
            }
        }
        Ok(())
    }
}

/// The typed content of a successful view.
///
/// # Errors
/// `PreviousStepFormatError` when the content has another shape.
pub fn typed<T: DeserializeOwned>(found: Found) -> Result<Parent<T>, JobError> {
    let content: Result<T, _> = found.stored.view.content.parse::<serde_json::Value>().and_then(serde_json::from_value);
    match content {
        Ok(content) => Ok(Parent { content, found }),
        Err(error) => {
            let message = format!("{} stored something unexpected", found.key);
            Err(JobError::fail_because(ErrorCode::PreviousStepFormatError, message, &error))
        }
    }
}

/// The typed content if there is a successful view of that shape.
pub fn ok_content<T: DeserializeOwned>(found: Option<&Found>) -> Option<T> {
    let found = found.filter(|found| found.stored.view.outcome.is_ok())?;
    serde_json::from_str(found.stored.view.content.as_str()).ok()
}

/// Progress that follows from that of parents.
pub(crate) trait WithProgressOf: Sized {
    /// As complete as the least complete parent; one that is missing counts as nothing, one that failed as complete.
    #[must_use]
    fn with_progress_of<'f>(self, parents: impl IntoIterator<Item = Option<&'f Found>>) -> Self;
}

impl WithProgressOf for View {
    fn with_progress_of<'f>(self, parents: impl IntoIterator<Item = Option<&'f Found>>) -> Self {
        const COMPLETE: u16 = belvedere_domain::view::COMPLETE;
        let progress = |found: Option<&Found>| found.map_or(0, |found| found.stored.view.progress.unwrap_or(COMPLETE));
        let least = parents.into_iter().map(progress).min().unwrap_or(COMPLETE);
        self.with_progress(usize::from(least), usize::from(COMPLETE))
    }
}

/// Files: what a job reads besides views.
impl JobContext {
    /// What the files and the card of the revision resolve to. Everything that decides it goes into the digest.
    pub async fn resolution(&mut self) -> Result<Arc<belvedere_hub::data_files::Resolution>, JobError> {
        use belvedere_hub::card::{DATASET_INFOS_PATH, OVERRIDES_PATH, README_PATH};
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

impl JobError {
    /// What a failed call ends in: the public code that the step gives to its kind, with a message that begins with `what`;
    /// what the step gives no code is a failure of the machine or of the process.
    pub(crate) fn of_call(error: CallError, what: &str, code: impl FnOnce(ErrorKind) -> Option<ErrorCode>) -> Self {
        let error = match error {
            CallError::Engine(error) => error,
            other => return Self::from(other),
        };
        match code(error.kind) {
            Some(code) => Self::fail_because(code, format!("{what}: {error}"), &error),
            None => Self::from(CallError::Engine(error)),
        }
    }
}

impl From<CallError> for JobError {
    /// What no step gives a code of its own: failures of the machine and of the process.
    fn from(error: CallError) -> Self {
        match error {
            CallError::Engine(error) => match error.kind {
                ErrorKind::Changed => Self::RevisionGone,
                ErrorKind::Io | ErrorKind::Away => {
                    Self::Retry { message: error.to_string(), code: ErrorCode::FileSystemError }
                }
                ErrorKind::NoSpace => Self::Retry { message: error.to_string(), code: ErrorCode::DiskError },
                ErrorKind::TooBig => Self::fail(ErrorCode::TooBigContentError, error.to_string()),
                _ => Self::fail_because(ErrorCode::UnexpectedError, error.to_string(), &error),
            },
            CallError::Hub(error) => crate::files::hub_failure(error),
            CallError::Start(_) => Self::Retry { message: error.to_string(), code: ErrorCode::JobManagerCrashedError },
            CallError::Died(_) => Self::fail(ErrorCode::JobManagerCrashedError, error.to_string()),
            CallError::TooLong(_) => Self::fail(ErrorCode::JobManagerExceededMaximumDurationError, error.to_string()),
        }
    }
}
