//! `split-duckdb-index`: a DuckDB file of a split, beside its Parquet files: the table `data` with a full-text index.
//!
//! For those who query a split with a DuckDB of their own; no answer of ours is read from it. Only programs that come with
//! DuckDB plan this step.

mod stemmer;

use std::path::Path;

use async_trait::async_trait;
use belvedere_domain::view::REVISION_PLACEHOLDER;
use belvedere_domain::{ErrorCode, Step, View};
use belvedere_engine::{Call, ErrorKind, Reply, call};
use belvedere_store::blobs::segment;
use serde_json::json;

use crate::call::CallError;
use crate::content::{DuckdbIndex, FileBehind, Place, Written};
use crate::files::{SplitFiles, media_target};
use crate::job::{Job, JobContext, JobError, Ready};
use crate::scratch::ScratchDirectory;

const STEP: Step = Step::split("split-duckdb-index")
    .triggered_by(&["config-split-names", "config-parquet-metadata"])
    .version(3)
    .difficulty(70)
    .bonus_if_big(20)
    .heavy();

/// The column with the number of the row. It is listed with the columns of the split.
const ROW: &str = "__hf_index_id";

pub(crate) struct DuckdbIndexJob;

#[async_trait]
impl Job for DuckdbIndexJob {
    fn step(&self) -> &'static Step {
        &STEP
    }

    async fn run(&self, ctx: &mut JobContext) -> Result<Ready, JobError> {
        let parent = ctx.parquet_of_config().await?;
        let settings = ctx.settings().into_owned();
        let (settings, urls) = (settings.duckdb_index, settings.urls);
        ctx.input("limits", &(settings.max_bytes, &settings.target_revision, &settings.url_template));
        ctx.input("hub", &urls.converted);
        let stemmer = stemmer::of_card(ctx).await?;
        ctx.input("stemmer", stemmer);
        ctx.input("extension", &settings.extensions.as_deref().map(extension_files));
        if let Some(reused) = ctx.reuse().await? {
            return Ok(reused);
        }
        let split = ctx.split()?.clone();
        let SplitFiles { files, partial, .. } = ctx.split_files(&parent.found).await?;
        let files = ctx.services.files.whole(files).await?;
        let scratch = scratch_directory(ctx)?;
        let count = files.len();
        let call = Call::DuckdbIndex(call::DuckdbIndex {
            files,
            features: parent.content.known_features(),
            max_bytes: settings.max_bytes,
            output: scratch.path().to_owned(),
            stemmer: stemmer.to_owned(),
            extensions: settings.extensions.clone(),
            memory_bytes: settings.memory_bytes,
            media: media(ctx, scratch.path()),
        });
        let made = match ctx.call(call).await {
            Ok(Reply::DuckdbIndex(made)) => made,
            Ok(_) => return Err(JobError::fail(ErrorCode::UnexpectedError, "the reader answered another question")),
            Err(error) => return Err(failure(error)),
        };
        if let Some(reason) = &made.without_text_because {
            tracing::info!(reason, "the DuckDB file is without a full-text index");
        }
        let left_out = made.files < count;
        let filename = if left_out { "partial-index.duckdb" } else { "index.duckdb" };
        let directory = if partial { format!("partial-{split}") } else { split.to_string() };
        let config = ctx.config()?.clone();
        let path = format!("{config}/{directory}/{filename}");
        let key = format!("views/{}/{}/{filename}", ctx.digest().to_hex(), segment(&directory));
        ctx.keep(&[Written { from: scratch.path().join(&made.path), key: key.clone() }]).await?;
        let file = FileBehind { path, size: made.size, num_rows: made.num_rows, place: Place::Blob(key) };
        let splits = parent.content.parquet_files_metadata.iter().map(|item| &item.split).collect();
        crate::publish::duckdb_index(ctx, &file, &splits).await?;
        let content = DuckdbIndex {
            url: urls.of_file(&settings.url_template, &ctx.key.dataset, &settings.target_revision, &file.path),
            dataset: ctx.key.dataset.clone(),
            config,
            split,
            filename: filename.to_owned(),
            size: made.size,
            features: features(parent.content.features),
            has_fts: made.stemmer.is_some(),
            partial: partial || left_out,
            num_rows: made.num_rows,
            num_bytes: made.num_bytes,
            duckdb_version: made.duckdb_version,
            stemmer: made.stemmer,
        };
        Ok(View::ok(&content).with_internal(&[file]).into())
    }
}

/// The columns of the split and the number of the row.
fn features(of_split: Option<serde_json::Value>) -> serde_json::Value {
    let mut features = of_split.unwrap_or_else(|| json!({}));
    if let Some(columns) = features.as_object_mut() {
        columns.insert(ROW.to_owned(), json!({"dtype": "int64", "_type": "Value"}));
    }
    features
}

fn scratch_directory(ctx: &JobContext) -> Result<ScratchDirectory, JobError> {
    let Some(parent) = &ctx.services.settings.duckdb_index.scratch else { return ctx.scratch_directory() };
    ScratchDirectory::make_in(parent, STEP.name).map_err(|error| {
        let message = format!("no scratch directory could be made in {}: {error}", parent.display());
        JobError::Retry { message, code: ErrorCode::DiskError }
    })
}

fn media(ctx: &JobContext, directory: &Path) -> call::MediaTarget {
    let urls = &ctx.services.settings.urls;
    let (config, split) = (ctx.key.config.as_ref(), ctx.key.split.as_ref());
    media_target(&urls.assets, &urls.hub, &ctx.key.dataset, REVISION_PLACEHOLDER, config, split, directory)
}

/// The files of the extension in a directory, with their sizes: a file that comes or changes makes another index.
fn extension_files(directory: &Path) -> Vec<(String, u64)> {
    const DEPTH: usize = 3;
    let mut found = Vec::new();
    let mut directories = vec![(directory.to_owned(), DEPTH)];
    while let Some((directory, depth)) = directories.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() && depth > 1 {
                directories.push((entry.path(), depth - 1));
            } else if entry.file_name() == "fts.duckdb_extension" {
                found.push((entry.path().to_string_lossy().into_owned(), metadata.len()));
            }
        }
    }
    found.sort_unstable();
    found
}

fn failure(error: CallError) -> JobError {
    JobError::of_call(error, "no DuckDB file could be made", |kind| match kind {
        ErrorKind::Unreadable | ErrorKind::Incompatible | ErrorKind::SchemaMismatch => {
            Some(ErrorCode::DatasetGenerationError)
        }
        ErrorKind::Features => Some(ErrorCode::FeaturesError),
        ErrorKind::TooLongColumnName => Some(ErrorCode::TooLongColumnNameError),
        _ => None,
    })
}
