//! `split-first-rows`: the first rows of a split, cut to a size that a page can show.
//!
//! Before the conversion they are read from the source files, after it from the Parquet files, whose view replaces
//! the first one.

use async_trait::async_trait;
use belvedere_domain::data_files::{FolderKind, ResolvedConfig};
use belvedere_domain::view::{DigestBuilder, REVISION_PLACEHOLDER};
use belvedere_domain::{ConfigName, DatasetName, Digest, ErrorCode, Level, SplitName, Step, StepName, View};
use belvedere_engine::call::{Head, MediaRules, MediaTarget, PageOfRows, Rows};
use belvedere_engine::first_rows::{FirstRows, Header, Limits, truncate};
use belvedere_engine::source::SourceFile;
use belvedere_engine::{Call, EngineError, ErrorKind, Reply};
use belvedere_store::Found;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::call::CallError;
use crate::config::parquet_and_info::joins_schemas;
use crate::content::{ConfigParquetMetadata, Written};
use crate::files::{asset_key, shows_media};
use crate::identity::Identity;
use crate::job::{Job, JobContext, JobError, Ready, ok_content};

const STEP: Step = Step::split("split-first-rows")
    .triggered_by(&["config-split-names", "config-parquet-metadata"])
    .version(4)
    .difficulty(70)
    .answers();

pub(crate) struct FirstRowsJob;

#[async_trait]
impl Job for FirstRowsJob {
    fn step(&self) -> &'static Step {
        &STEP
    }

    async fn run(&self, ctx: &mut JobContext) -> Result<Ready, JobError> {
        let metadata = ctx.at(StepName::known("config-parquet-metadata"), Level::Config);
        let metadata = ctx.read(&metadata).await?;
        let limits = ctx.services.settings.first_rows;
        ctx.input("limits", &limits);
        let urls = ctx.services.settings.urls.clone();
        ctx.input("urls", &(&urls.hub, &urls.assets));
        // Media that cannot be shown end the page, or their cells say so.
        let strict = ctx.services.settings.compat;
        ctx.input("strict", &strict);
        let converted = converted_files(ctx, metadata.as_ref()).await?;
        if converted.is_none() {
            let resolved = ctx.good_config().await?;
            if metadata.is_none() && joins_schemas(ctx, &resolved)? {
                // The types follow from all files together.
                return Err(JobError::Nothing("the files are joined first".to_owned()));
            }
            let (paths, schema_paths) = paths_of(&resolved, ctx.split()?);
            let paths: Vec<&str> = paths.iter().map(String::as_str).chain(schema_paths).collect();
            ctx.input_files(paths).await?;
        }
        if let Some(reused) = ctx.reuse().await? {
            return Ok(reused);
        }
        let source = source_of(ctx).await?;
        if converted.is_none()
            && let Some(served) = ctx.served().await?.filter(|served| !served.stored.is_outdated())
            && Origin::of(&served).is_some_and(|origin| origin.source == source)
        {
            // The same rows, read before or from the files converted from the same source.
            return Ok(Ready::ReusedAs(served.stored.digest));
        }
        let scratch = ctx.scratch_directory()?;
        let media = media_target(ctx, scratch.path());
        let page = match converted {
            Some(files) => match from_parquet(ctx, files, media.clone()).await {
                // The files do not have the columns they are said to have: the source may still tell.
                Err(CallError::Engine(error)) if error.kind == ErrorKind::SchemaMismatch => {
                    from_source(ctx, media).await?
                }
                other => other.map_err(|error| failure(ErrorCode::StreamingRowsError, error))?,
            },
            None => from_source(ctx, media).await?,
        };
        let view = view_of(ctx, &page)?.with_internal(&Origin { source });
        let key = |asset: &std::path::PathBuf| Written {
            from: scratch.path().join(asset),
            key: asset_key(&ctx.digest(), &asset.to_string_lossy()),
        };
        ctx.keep_media(&page.assets.iter().map(key).collect::<Vec<_>>()).await?;
        Ok(view.into())
    }
}

/// Private companion of the view: what its rows come from, whichever way they were read.
#[derive(Serialize, Deserialize)]
struct Origin {
    source: Digest,
}

impl Origin {
    fn of(found: &Found) -> Option<Self> {
        found.stored.view.internal.parse().ok()
    }
}

/// Everything that decides the first rows of the source: the config, the content of its files, the limits.
async fn source_of(ctx: &JobContext) -> Result<Digest, JobError> {
    let settings = &ctx.services.settings;
    let config = ctx.services.files.good_config(&ctx.key.dataset, &ctx.revision, ctx.config()?).await?;
    let (paths, schema_paths) = paths_of(&config, ctx.split()?);
    let manifest = ctx.manifest().await?;
    let paths = paths.iter().map(String::as_str).chain(schema_paths);
    let identity = Identity::of(&config, &manifest, paths).ok_or(JobError::RevisionGone)?;
    let urls = (&settings.urls.hub, &settings.urls.assets);
    let inputs = (identity, settings.first_rows, urls, settings.compat);
    let inputs = serde_json::to_vec(&inputs).expect("inputs are plain values");
    Ok(DigestBuilder::new(STEP.name, STEP.version).part("source", inputs).finish())
}

/// What reading rows of the converted files needs.
struct ConvertedFiles {
    rows: Rows,
    trusted: bool,
}

/// The converted files of the split, if there are any.
async fn converted_files(ctx: &JobContext, metadata: Option<&Found>) -> Result<Option<ConvertedFiles>, JobError> {
    let Some(content) = ok_content::<ConfigParquetMetadata>(metadata) else { return Ok(None) };
    let Some(found) = metadata else { return Ok(None) };
    let split = ctx.split()?;
    let files = ctx.services.files.parquet_files(found, split).await?;
    if files.files.is_empty() {
        return Ok(None);
    }
    let settings = &ctx.services.settings;
    let features = content.known_features();
    let media = media_target(ctx, std::path::Path::new(""));
    Ok(Some(ConvertedFiles {
        trusted: files.trusted,
        rows: Rows {
            files: files.files,
            features,
            offset: 0,
            length: settings.first_rows.max_number,
            max_read_bytes: settings.parquet.max_read_bytes,
            max_columns: Some(settings.first_rows.columns_max_number),
            media,
        },
    }))
}

async fn from_parquet(ctx: &JobContext, files: ConvertedFiles, media: MediaTarget) -> Result<PageOfRows, CallError> {
    let rules = MediaRules { any_revision: files.trusted, ..media.rules };
    // Media are content of others, whoever wrote the file that holds or names them.
    let trusted = files.trusted && !files.rows.features.as_ref().is_none_or(shows_media);
    let call = Call::Rows(Rows { media: MediaTarget { rules, ..media }, ..files.rows });
    match with_linked_files(ctx, call, trusted).await? {
        Reply::Rows(page) => Ok(page),
        _ => Err(CallError::Died("answered another question".into())),
    }
}

/// Carries out a call; with the files that its media cells refer to, if they do.
async fn with_linked_files(ctx: &JobContext, call: Call, trusted: bool) -> Result<Reply, CallError> {
    let limit = std::time::Duration::from_secs(600);
    let mut again = call.clone();
    let first = if trusted { ctx.services.trusted.call(call, limit).await } else { ctx.call(call).await };
    let wanted = match first {
        Err(CallError::Engine(error)) if error.kind == ErrorKind::FilesWanted => error.wanted,
        answer => return answer,
    };
    let linked = ctx.services.files.sources_if_there(&ctx.key.dataset, &ctx.revision, &wanted).await;
    let linked = linked.map_err(|error| {
        let kind = if matches!(error, JobError::RevisionGone) { ErrorKind::Changed } else { ErrorKind::Io };
        CallError::Engine(EngineError::new(kind, error))
    })?;
    if let Some(media) = again.media_mut() {
        media.linked_files = Some(linked);
    }
    ctx.call(again).await
}

async fn from_source(ctx: &JobContext, media: MediaTarget) -> Result<PageOfRows, JobError> {
    let config = ctx.services.files.good_config(&ctx.key.dataset, &ctx.revision, ctx.config()?).await?;
    let split = ctx.split()?.clone();
    let (paths, schema_paths) = paths_of(&config, &split);
    let opened: Vec<&str> = config.opened(paths.iter().map(String::as_str)).collect();
    let files = ctx.source_files(opened).await?;
    let opened: Vec<&str> = config.opened(schema_paths.into_iter()).collect();
    let schema_files = ctx.source_files(opened).await?;
    let limits = ctx.services.settings.first_rows;
    let linked_files = linked_ahead(ctx, &config, &split, limits.max_number).await?;
    let media = MediaTarget { linked_files, ..media };
    // Before anything is known of the types, a file that cannot be read leaves them unknown.
    let unreadable = match config.declared_features {
        Some(_) => ErrorCode::StreamingRowsError,
        None => ErrorCode::FeaturesError,
    };
    let call = Call::Head(Head {
        config,
        split,
        files,
        schema_files,
        max_rows: limits.max_number,
        max_columns: limits.columns_max_number,
        repository: media.repository.clone(),
        media,
    });
    match with_linked_files(ctx, call, false).await.map_err(|error| failure(unreadable, error))? {
        Reply::Head(page) => Ok(page),
        _ => Err(JobError::fail(ErrorCode::UnexpectedError, "the reader answered another question")),
    }
}

/// The files behind the first rows, where it is clear which these are and that they will be read: else it takes a call to know.
async fn linked_ahead(
    ctx: &JobContext,
    config: &ResolvedConfig,
    split: &SplitName,
    rows: usize,
) -> Result<Option<Vec<SourceFile>>, JobError> {
    let is_read = matches!(config.reader.folder(), Some(FolderKind::Image | FolderKind::Pdf));
    match config.first_media(split, rows).filter(|_| is_read) {
        Some(paths) => {
            let files = ctx.source_files(paths).await?;
            // Of an image the size is shown, of a document all of it.
            if config.reader.folder() == Some(FolderKind::Image) {
                ctx.services.files.bring_heads(files.iter().map(|file| file.local_path.clone()).collect()).await;
            }
            Ok(Some(files))
        }
        None => Ok(None),
    }
}

fn media_target(ctx: &JobContext, directory: &std::path::Path) -> MediaTarget {
    let dataset = &ctx.key.dataset;
    let urls = &ctx.services.settings.urls;
    let (config, split) = (ctx.key.config.as_ref(), ctx.key.split.as_ref());
    let target =
        crate::files::media_target(&urls.assets, &urls.hub, dataset, REVISION_PLACEHOLDER, config, split, directory);
    let strict = ctx.services.settings.compat;
    MediaTarget { rules: MediaRules { strict, any_revision: false }, ..target }
}

#[derive(Serialize)]
struct Content<'a> {
    dataset: &'a DatasetName,
    config: &'a ConfigName,
    split: &'a SplitName,
    features: serde_json::Value,
    rows: &'a [Box<RawValue>],
    truncated: bool,
}

fn view_of(ctx: &JobContext, page: &PageOfRows) -> Result<View, JobError> {
    let limits = ctx.services.settings.first_rows;
    let (dataset, config, split) = (&ctx.key.dataset, ctx.config()?, ctx.split()?);
    let header = Header { dataset: dataset.as_str(), config: config.as_str(), split: split.as_str() };
    let limits =
        Limits { max_bytes: limits.max_bytes, min_cell_bytes: limits.min_cell_bytes, min_number: limits.min_number };
    let shown = truncate(header, &page.features, &page.rows, !page.more, &[], limits);
    let FirstRows { items, truncated } =
        shown.map_err(|error| failure(ErrorCode::StreamingRowsError, CallError::Engine(error)))?;
    let features = page.features.to_list_json();
    Ok(View::ok(&Content { dataset, config, split, features, rows: &items, truncated }))
}

/// The files of a split, and those that decide its columns too: of the first split when that is another one; of all
/// others where the names of files tell labels.
fn paths_of<'c>(config: &'c ResolvedConfig, split: &SplitName) -> (&'c [String], Vec<&'c str>) {
    let paths = config.splits.get(split).map_or(&[][..], Vec::as_slice);
    let deciding = if config.reader.folder().is_some() { config.splits.len() } else { 1 };
    let others = config.splits.iter().take(deciding).filter(|(other, _)| *other != split);
    (paths, others.flat_map(|(_, paths)| paths).map(String::as_str).collect())
}

/// Which public code a failed call ends in. `unreadable` is the code for content that cannot be read.
fn failure(unreadable: ErrorCode, error: CallError) -> JobError {
    JobError::of_call(error, "the first rows could not be read", |kind| match kind {
        ErrorKind::Unreadable
        | ErrorKind::Incompatible
        | ErrorKind::ColumnsMismatch
        | ErrorKind::Parameter
        | ErrorKind::Empty
        | ErrorKind::SchemaMismatch => Some(unreadable),
        ErrorKind::Features => Some(ErrorCode::FeaturesError),
        ErrorKind::TooLongColumnName => Some(ErrorCode::TooLongColumnNameError),
        ErrorKind::TooManyColumns => Some(ErrorCode::TooManyColumnsError),
        ErrorKind::TooBig => Some(ErrorCode::TooBigContentError),
        ErrorKind::Cell => Some(ErrorCode::RowsPostProcessingError),
        _ => None,
    })
}
