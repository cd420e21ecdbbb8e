//! What endpoint and step of the search share: the rules of words, and where an index lies.

use belvedere_domain::{ArtifactKey, DatasetName, Digest, Level, Revision, SplitName, StepName};
use belvedere_engine::search::{Alphabet, Rules, stemmer_of};
use belvedere_engine::source::SourceFile;
use belvedere_store::{Found, StoreError};
use serde::{Deserialize, Serialize};

use crate::context::Services;
use crate::heal::{self, Loss};
use crate::job::JobError;

/// The step that builds indexes.
pub const STEP_NAME: StepName = StepName::known("split-search-index");

/// Private companion of the view: the file, and what it is an index of.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct IndexFile {
    /// Key of the blob.
    pub(crate) key: String,
    /// Size in bytes.
    pub(crate) size: u64,
    /// The view of `config-parquet-metadata` that lists the files.
    pub(crate) files: Digest,
}

/// The index of a split.
#[derive(Debug)]
pub enum Index {
    /// It is there.
    Ready(SourceFile),
    /// It is being built, or waits for that.
    Expected,
    /// There will be none: no text, not wanted, too big, or it could not be built.
    Never,
}

/// What a word is in a dataset: words are stemmed when the card declares exactly one language that has a stemmer.
///
/// # Errors
/// [`JobError::RevisionGone`] when the revision is not kept.
pub async fn rules(services: &Services, dataset: &DatasetName, revision: &Revision) -> Result<Rules, JobError> {
    let compat = services.settings.compat;
    let languages = services.files.languages(dataset, revision).await?;
    let stemmer = match &languages[..] {
        [language] => stemmer_of(language, compat),
        _ => None,
    };
    let alphabet = if compat { Alphabet::Reference } else { Alphabet::Unicode };
    Ok(Rules { alphabet, stemmer: stemmer.map(str::to_owned) })
}

/// The index of a split of the files that a `config-parquet-metadata` view lists.
///
/// # Errors
/// When the store cannot be read.
pub async fn index(services: &Services, files: &Found, split: &SplitName) -> Result<Index, StoreError> {
    let key = ArtifactKey { split: Some(split.clone()), ..files.key.at(STEP_NAME, Level::Config) };
    let found = services.store.views.at_revision(std::slice::from_ref(&key), &files.revision).await?.pop().flatten();
    let Some(found) = found else { return Ok(Index::Expected) };
    let Ok(Some(file)) = found.stored.view.internal.parse::<Option<IndexFile>>() else { return Ok(Index::Never) };
    if file.files != files.stored.digest {
        // Of files that were made anew since; the next run of the step looks at those.
        return Ok(Index::Expected);
    }
    let blobs = &services.blobs;
    let is_there = match blobs.is_folder() {
        true => blobs.head(&file.key).await?.is_some_and(|head| head.size == file.size),
        // It is needed as a file of this machine anyway. Whoever opens it tells what else is wrong.
        false => !matches!(blobs.fetch(&file.key, Some(file.size)).await, Ok(None)),
    };
    if !is_there {
        return Ok(match heal::files(services, &key, &files.revision).await? {
            Loss::ForGood => Index::Never,
            Loss::Remaking | Loss::None => Index::Expected,
        });
    }
    let Some(local_path) = blobs.local_path(&file.key) else { return Ok(Index::Never) };
    Ok(Index::Ready(SourceFile { path: file.key, local_path, size: file.size, identity: None }))
}
