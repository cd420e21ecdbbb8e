//! Files behind views that are gone: deleted by hand, or lost with a storage that is older than the database.
//!
//! Whoever misses one reports it here. The view that names it counts as outdated from then on, and its step is queued for
//! the same revision. It makes the same view under the same digest, so whoever names its files finds them again: later
//! steps, earlier revisions, lists that are kept in memory. Nothing else is computed, unless files came out differently;
//! then the steps that follow are (see `Attempt::Remade`). Losses are counted: a view whose files keep getting lost becomes
//! an error, which repairs try again.

use belvedere_domain::{ArtifactKey, Difficulty, Digest, Level, NewJob, Priority, Revision, Step, StepName, View};
use belvedere_store::{Blobs, Found, StoreError};
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, stream};

use crate::content::{FileBehind, Place};
use crate::context::Services;
use crate::search::IndexFile;

/// A view whose files were lost more often, at one revision, is not made again at once.
pub const MAX_LOSSES: u32 = 3;
/// Files looked for at the same time; in distant places each look is a request.
const LOOKS_AT_A_TIME: usize = 16;
/// Who makes Parquet files, and those who list them, each from the one before.
const MAKER: StepName = StepName::known("config-parquet-and-info");
const LISTS: [StepName; 2] = [StepName::known("config-parquet"), StepName::known("config-parquet-metadata")];

/// What became of files that somebody misses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loss {
    /// They are there, and whole.
    None,
    /// Some are gone, and are being made again.
    Remaking,
    /// Some are gone for good: they belong to an earlier revision, for which nothing is computed any more.
    ForGood,
}

/// Looks after the Parquet files of a config, for which any of its artifacts stands.
///
/// # Errors
/// [`StoreError`] when views or files cannot be asked for.
pub async fn parquet_files(services: &Services, of: &ArtifactKey, revision: &Revision) -> Result<Loss, StoreError> {
    let views = &services.store.views;
    let keys: Vec<_> = [MAKER].into_iter().chain(LISTS).map(|step| of.at(step, Level::Config)).collect();
    let mut found = views.at_revision(&keys, revision).await?.into_iter();
    let Some(made) = found.next().flatten().filter(is_good) else { return Ok(Loss::None) };
    let loss = of_view(services, &made).await?;
    let lists: Vec<Found> = found.flatten().filter(is_good).collect();
    let are_old = lists.iter().any(|list| list.stored.view.internal != made.stored.view.internal && names_files(list));
    if loss != Loss::None || !are_old {
        return Ok(loss);
    }
    // The files were made again after an error had taken the place of their view, and came out differently.
    let digests: Vec<Digest> = lists.iter().map(|list| list.stored.digest).collect();
    views.outdate(&digests, false).await?;
    queue(services, &made).await
}

/// Looks after the files that the view of an artifact names.
///
/// # Errors
/// [`StoreError`] when views or files cannot be asked for.
pub async fn files(services: &Services, of: &ArtifactKey, revision: &Revision) -> Result<Loss, StoreError> {
    let found = services.store.views.at_revision(std::slice::from_ref(of), revision).await?.pop().flatten();
    match found.filter(is_good) {
        Some(found) => of_view(services, &found).await,
        None => Ok(Loss::None),
    }
}

/// A media file is missing that URLs in a view may name by this path (`<row>/<column>/<file>`, as in URLs).
///
/// # Errors
/// [`StoreError`] when views cannot be asked for.
pub async fn asset(services: &Services, found: &Found, path: &str) -> Result<Loss, StoreError> {
    let is_named = is_good(found) && found.stored.view.content.as_str().contains(&format!("/{path}"));
    if is_named { remake(services, found).await } else { Ok(Loss::None) }
}

fn is_good(found: &Found) -> bool {
    found.stored.view.outcome.is_ok()
}

async fn of_view(services: &Services, found: &Found) -> Result<Loss, StoreError> {
    // One that is known to be lost need not be looked at again.
    if found.stored.is_outdated() || !are_whole(&services.blobs, files_behind(&found.stored.view)).await? {
        return remake(services, found).await;
    }
    Ok(Loss::None)
}

/// Keys and sizes of the files that a view names.
fn files_behind(view: &View) -> Vec<(String, u64)> {
    if let Ok(files) = view.internal.parse::<Vec<FileBehind>>() {
        let blob = |file: FileBehind| match file.place {
            Place::Blob(key) => Some((key, file.size)),
            Place::Source { .. } => None,
        };
        return files.into_iter().filter_map(blob).collect();
    }
    view.internal.parse::<IndexFile>().map(|index| vec![(index.key, index.size)]).unwrap_or_default()
}

fn names_files(list: &Found) -> bool {
    !files_behind(&list.stored.view).is_empty()
}

async fn are_whole(blobs: &Blobs, files: Vec<(String, u64)>) -> Result<bool, StoreError> {
    let look = |(key, size): (String, u64)| {
        let blobs = blobs.clone();
        async move { Ok(blobs.head(&key).await?.is_some_and(|head| head.size == size)) }.boxed()
    };
    let looks: Vec<BoxFuture<'static, Result<bool, StoreError>>> = files.into_iter().map(look).collect();
    let mut looks = stream::iter(looks).buffer_unordered(LOOKS_AT_A_TIME);
    while let Some(is_whole) = looks.next().await {
        if !is_whole? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Sees to it that a view is made again whose files are gone.
async fn remake(services: &Services, found: &Found) -> Result<Loss, StoreError> {
    if services.store.views.outdate(&[found.stored.digest], true).await? > 0 {
        let Found { key, revision, .. } = found;
        tracing::warn!(
            dataset.name = %key.dataset, step = %key.step, %revision, losses = found.failed_runs + 1,
            "files of {key} are gone from the storage; they are made again"
        );
    } else if services.store.queue.has_pending(&found.key.dataset, std::slice::from_ref(&found.key.step)).await? {
        return current(services, found).await.map(|target| target.map_or(Loss::ForGood, |_| Loss::Remaking));
    }
    queue(services, found).await
}

/// Queues the step of a view for the target of its dataset, if the view is one of that.
async fn queue(services: &Services, found: &Found) -> Result<Loss, StoreError> {
    let (Some(revision), Some(step)) = (current(services, found).await?, services.graph.step(&found.key.step)) else {
        return Ok(Loss::ForGood);
    };
    let job = NewJob {
        key: found.key.clone(),
        revision,
        priority: step.priority(Priority::Normal),
        difficulty: Difficulty::new(step.difficulty),
        forced: false,
        coalesce: services.graph.aggregates(step),
    };
    services.store.queue.enqueue(vec![job]).await?;
    Ok(Loss::Remaking)
}

/// The target of the dataset, if the view is what it has.
async fn current(services: &Services, found: &Found) -> Result<Option<Revision>, StoreError> {
    let Some(row) = services.store.datasets.get(&found.key.dataset).await? else { return Ok(None) };
    if row.target == found.revision {
        return Ok(Some(row.target));
    }
    let now = services.store.views.at_revision(std::slice::from_ref(&found.key), &row.target).await?.pop().flatten();
    Ok(now.is_some_and(|now| now.stored.digest == found.stored.digest).then_some(row.target))
}

/// Whether a step reads files that [`parquet_files`] looks after.
pub(crate) fn reads_parquet(step: &Step) -> bool {
    step.level != Level::Dataset && step.step_name() != MAKER
}
