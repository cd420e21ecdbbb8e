//! Views that a job reads, all of which go into the digest of its own, and those that spare it the work.

use belvedere_domain::view::DigestBuilder;
use belvedere_domain::{ArtifactKey, ErrorCode, Level, StepName, View};
use belvedere_store::{Found, StoredView};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{JobContext, JobError, Ready};
use crate::content::{ConfigNames, ConfigParquetMetadata, SplitNames};
use crate::heal::MAX_LOSSES;

/// A view of a parent, typed.
#[derive(Debug)]
pub struct Parent<T> {
    /// Its content.
    pub content: T,
    /// The view it was read from.
    pub found: Found,
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

impl JobContext {
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
            let known = ok_content::<SplitNames>(found[1].as_ref());
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
