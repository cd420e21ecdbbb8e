//! Converted files on their way to the remote Hub that their dataset comes from.

use std::collections::BTreeSet;
use std::sync::Arc;

use belvedere_domain::{ErrorCode, SplitName};
use belvedere_hub::Origin;
use belvedere_hub::remote::{Publication, PublishError, Published, Publisher};

use crate::content::{FileBehind, Place};
use crate::files::hub_failure;
use crate::job::{JobContext, JobError};

/// A writer to a Hub, and what its commits say.
#[derive(Clone)]
pub struct Committer {
    /// The writer.
    pub publisher: Arc<Publisher>,
    /// The message.
    pub message: String,
}

/// Who writes what.
#[derive(Clone, Default)]
pub struct Committers {
    /// Converted files; `None`: they are served by this server.
    pub parquet: Option<Committer>,
    /// DuckDB files.
    pub duckdb_index: Option<Committer>,
}

/// Makes the Parquet files of the job's config those of the branch: others of the config go, and so do those of configs
/// that are no more.
pub(crate) async fn parquet(ctx: &JobContext, files: &[FileBehind]) -> Result<(), JobError> {
    let Some(committer) = ctx.services.files.committers().parquet.as_ref().filter(|_| is_remote(ctx)) else {
        return Ok(());
    };
    let config = ctx.config()?.as_str();
    let configs = configs(ctx).await?;
    let keeps = |path: &str| match path.split_once('/') {
        // An index is made from the files, and replaced when it is made again.
        Some((directory, name)) if configs.iter().any(|known| known == directory) => {
            name.ends_with(".duckdb") || (directory != config && name.ends_with(".parquet"))
        }
        _ => false,
    };
    let branch = ctx.settings().parquet.target_revision.clone();
    publish(ctx, committer, &branch, files, &keeps).await
}

/// The same for files that were converted before: they are on the branch, unless somebody removed them, but the revision may
/// have fewer configs.
pub(crate) async fn parquet_again(ctx: &JobContext) -> Result<(), JobError> {
    if ctx.services.files.committers().parquet.is_none() || !is_remote(ctx) {
        return Ok(());
    }
    let stored = ctx.services.store.views.by_digest(&ctx.digest()).await?;
    let files = stored.filter(|stored| stored.view.outcome.is_ok()).and_then(|stored| {
        let files: Option<Vec<FileBehind>> = stored.view.internal.parse().ok().flatten();
        files
    });
    match files {
        Some(files) => parquet(ctx, &files).await,
        None => Ok(()),
    }
}

/// Puts the DuckDB file of the job's split on its branch, in place of others of the split and of splits and configs that are
/// no more. `splits` are those that the config has.
pub(crate) async fn duckdb_index(
    ctx: &JobContext,
    file: &FileBehind,
    splits: &BTreeSet<&SplitName>,
) -> Result<(), JobError> {
    let Some(committer) = ctx.services.files.committers().duckdb_index.as_ref().filter(|_| is_remote(ctx)) else {
        return Ok(());
    };
    let (config, split) = (ctx.config()?.as_str(), ctx.split()?.as_str());
    let configs = configs(ctx).await?;
    let keeps = |path: &str| {
        let mut parts = path.split('/');
        let (directory, of_split) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let of_split = of_split.strip_prefix("partial-").unwrap_or(of_split);
        let is_of_another = match directory == config {
            true => of_split != split && splits.iter().any(|known| known.as_str() == of_split),
            false => configs.iter().any(|known| known == directory),
        };
        !path.ends_with(".duckdb") || is_of_another
    };
    let branch = ctx.settings().duckdb_index.target_revision.clone();
    publish(ctx, committer, &branch, std::slice::from_ref(file), &keeps).await
}

fn is_remote(ctx: &JobContext) -> bool {
    ctx.services.files.hub().origin(&ctx.key.dataset) == Origin::Remote
}

async fn configs(ctx: &JobContext) -> Result<Vec<String>, JobError> {
    let resolution = ctx.services.files.resolution(&ctx.key.dataset, &ctx.revision).await?;
    Ok(resolution.configs.iter().map(|config| config.name.to_string()).collect())
}

async fn publish(
    ctx: &JobContext,
    committer: &Committer,
    branch: &str,
    files: &[FileBehind],
    keeps: &(dyn Fn(&str) -> bool + Send + Sync),
) -> Result<(), JobError> {
    let dataset = &ctx.key.dataset;
    let row = ctx.services.store.datasets.get(dataset).await?;
    if row.is_none_or(|row| row.target != ctx.revision) {
        return Err(JobError::Nothing("the dataset moved on, its branch is left to the newer revision".to_owned()));
    }
    // As long as these live, the files are on this machine.
    let mut held = Vec::new();
    let mut published = Vec::with_capacity(files.len());
    for file in files {
        let (path, size) = (file.path.clone(), file.size);
        let from = match &file.place {
            Place::Blob(key) => {
                let fetched = ctx.services.blobs.fetch(key, Some(size)).await?;
                let Some(fetched) = fetched else {
                    // The next attempt makes the file again.
                    ctx.services.store.views.outdate(&[ctx.digest()], true).await?;
                    return Err(gone(&path));
                };
                let from = fetched.path().to_owned();
                held.push(fetched);
                from
            }
            // Large files are named by their content, which the Hub has.
            Place::Source { content_id, .. } if is_sha256(content_id) => {
                published.push(Published { path, size, sha256: content_id.clone(), from: None });
                continue;
            }
            Place::Source { path: source, .. } => {
                let hub = ctx.services.files.hub();
                hub.locate(dataset, &ctx.revision, source).await.map_err(hub_failure)?.local_path
            }
        };
        let file = Published::of_file(path.clone(), from).await;
        published.push(file.map_err(|error| JobError::Retry {
            message: format!("{path} cannot be read before it is committed: {error}"),
            code: ErrorCode::FileSystemError,
        })?);
    }
    let publication = Publication { dataset, branch, message: &committer.message, files: published, keeps };
    match committer.publisher.publish(&publication).await {
        Ok(_) => Ok(()),
        Err(PublishError::Gone) => Err(JobError::RevisionGone),
        Err(PublishError::Call(error)) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "files could not be committed");
            let message = format!("the files could not be committed to {branch}: {error}");
            Err(JobError::fail(ErrorCode::CreateCommitError, message))
        }
    }
}

fn gone(path: &str) -> JobError {
    JobError::Retry { message: format!("{path} is gone"), code: ErrorCode::FileSystemError }
}

fn is_sha256(content_id: &str) -> bool {
    content_id.len() == 64
}
