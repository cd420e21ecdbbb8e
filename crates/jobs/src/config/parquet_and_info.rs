//! `config-parquet-and-info`: the data of a config as Parquet files, and what is known about them.
//!
//! Files that are Parquet already are referenced under the converted paths, byte for byte, unless a setting says that
//! their row groups are too large. Everything else is converted by a child process; its files become blobs under the
//! digest of this view.

use async_trait::async_trait;
use belvedere_domain::data_files::{Reader, ResolvedConfig, Schemas};
use belvedere_domain::parquet_path::ParquetPath;
use belvedere_domain::{ConfigName, DatasetName, Digest, ErrorCode, Features, SplitName, Step, View};
use belvedere_engine::call::{Convert, Converted, Inspect, Inspected, Survey, Surveyed};
use belvedere_engine::{Call, ErrorKind, Reply};
use belvedere_store::blobs::segment;
use indexmap::IndexMap;
use serde_json::{Map, json};

use super::segments;
use crate::call::CallError;
use crate::content::{DatasetInfo, EstimatedInfo, FileBehind, ParquetAndInfo, ParquetItem, Place, SplitInfo, Written};
use crate::job::{Job, JobContext, JobError, Ready};
use crate::settings::{Parquet, Settings};

const STEP: Step = Step::config("config-parquet-and-info")
    .triggered_by(&["dataset-config-names"])
    .version(4)
    .difficulty(70)
    .answers()
    .heavy();

/// Raised when the layout of the files we write changes, so that old ones are made again.
pub(crate) const LAYOUT: u32 = 1;

pub(crate) struct ParquetAndInfoJob;

#[async_trait]
impl Job for ParquetAndInfoJob {
    fn step(&self) -> &'static Step {
        &STEP
    }

    async fn run(&self, ctx: &mut JobContext) -> Result<Ready, JobError> {
        let resolved = ctx.config_with_contents().await?;
        let settings = ctx.settings().into_owned();
        let parquet = settings.parquet.clone();
        ctx.input("layout", &(LAYOUT, parquet.max_dataset_size_bytes, &parquet.target_revision, &parquet.url_template));
        ctx.input("hub", &settings.urls.converted);
        let joins = joins_schemas(ctx, &resolved)?;
        if joins {
            // The report tells names.
            ctx.input("schemas", &(Schemas::Union, resolved.paths().collect::<Vec<_>>()));
        }
        let is_parquet = resolved.reader == Reader::Parquet;
        if is_parquet && let Some(max) = parquet.max_row_group_bytes_for_copy {
            ctx.input("row groups", &(max, ctx.services.settings.compat));
        }
        if let Some(reused) = ctx.reuse().await? {
            crate::publish::parquet_again(ctx).await?;
            return Ok(reused);
        }
        // Errors tell names, whatever the format.
        let unstored = match ctx.reuse_error("paths", &resolved.paths().collect::<Vec<_>>()).await? {
            Ok(reused) => return Ok(reused),
            Err(unstored) => unstored,
        };
        compute(ctx, resolved, joins).await.map_err(|error| unstored.fail(ctx, error))
    }
}

/// Makes the view.
async fn compute(ctx: &mut JobContext, resolved: ResolvedConfig, joins: bool) -> Result<Ready, JobError> {
    let is_parquet = resolved.reader == Reader::Parquet;
    let hashed = ctx.are_hashed(resolved.paths()).await?;
    let surveyed = match joins && (is_parquet || hashed) {
        true => Some(survey(ctx, &resolved).await?),
        false => None,
    };
    // Parquet files that agree are published as they are.
    let agree = surveyed.as_ref().is_none_or(|surveyed| surveyed.report.alike == surveyed.report.files);
    let referenced = if is_parquet && agree { reference(ctx, &resolved).await? } else { None };
    let (resolved, schema_report) = match surveyed {
        Some(surveyed) => (resolved.joined(surveyed.features), Some(surveyed.report)),
        None => (resolved, None),
    };
    let made = match referenced {
        Some(made) => made,
        None if hashed => convert(ctx, &resolved).await?,
        // The revision with the final ids follows by itself; converting twice would keep every core busy twice.
        None => return Err(JobError::Postpone { seconds: 2.0, reason: "large files are still being hashed" }),
    };
    let url = |path: &ParquetPath| url_of(ctx, path);
    let item = |file: &FileBehind| {
        let path = ParquetPath::parse(&file.path).expect("made from a path");
        ParquetItem {
            dataset: ctx.key.dataset.clone(),
            config: path.config.clone(),
            split: path.split.clone(),
            url: url(&path),
            filename: path.filename(),
            size: file.size,
        }
    };
    let mut files = made.files;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    crate::publish::parquet(ctx, &files).await?;
    let content = ParquetAndInfo {
        parquet_files: files.iter().map(item).collect(),
        dataset_info: info(&ctx.key.dataset, ctx.config()?, &resolved, made.features, made.splits, made.download_size),
        estimated_dataset_info: made.estimate,
        partial: made.partial,
        schema_report,
    };
    Ok(View::ok(&content).with_internal(&files).into())
}

/// Whether one schema shall hold all files, whatever their columns: as the card says, else as the settings do. Declared columns
/// are that schema already.
pub(crate) fn joins_schemas(ctx: &JobContext, resolved: &ResolvedConfig) -> Result<bool, JobError> {
    let said = resolved.schemas().map_err(|message| JobError::fail(ErrorCode::DatasetGenerationError, message))?;
    let chosen = said.unwrap_or(ctx.settings().parquet.schemas);
    // The columns of folders of media follow from their names.
    let is_open = resolved.declared_features.is_none() && resolved.reader_features.is_none();
    Ok(chosen == Schemas::Union && is_open && resolved.reader.folder().is_none())
}

/// How the files differ.
async fn survey(ctx: &JobContext, resolved: &ResolvedConfig) -> Result<Surveyed, JobError> {
    let files = ctx.source_files(resolved.paths()).await?;
    match ctx.call(Call::Survey(Survey { config: resolved.clone(), files })).await {
        Ok(Reply::Survey(surveyed)) => Ok(*surveyed),
        Ok(_) => Err(JobError::fail(ErrorCode::UnexpectedError, "the reader answered another question")),
        Err(error) => Err(failure(ErrorCode::DatasetGenerationError, error)),
    }
}

/// What both ways come to.
struct Made {
    features: Features,
    splits: IndexMap<SplitName, SplitInfo>,
    files: Vec<FileBehind>,
    download_size: Option<u64>,
    estimate: Option<EstimatedInfo>,
    partial: bool,
}

/// The files as they are; `None` when their row groups are too large for that.
async fn reference(ctx: &JobContext, resolved: &ResolvedConfig) -> Result<Option<Made>, JobError> {
    if resolved.splits.is_empty() || resolved.splits.values().any(Vec::is_empty) {
        return Err(JobError::fail(ErrorCode::EmptyDatasetError, "a split of the config has no data file"));
    }
    let files = ctx.source_files(resolved.paths()).await?;
    let call = Call::Inspect(Inspect { config: resolved.clone(), files });
    let inspected = match ctx.call(call).await {
        Ok(Reply::Inspect(inspected)) => inspected,
        Ok(_) => return Err(JobError::fail(ErrorCode::UnexpectedError, "the reader answered another question")),
        Err(error) => return Err(failure(ErrorCode::FileSystemError, error)),
    };
    if has_too_large_row_groups(&inspected, &ctx.settings()) {
        return Ok(None);
    }
    let Inspected { features, splits, .. } = inspected;
    let manifest = ctx.manifest().await?;
    let mut made = Made {
        features,
        splits: IndexMap::new(),
        files: Vec::new(),
        download_size: Some(0),
        estimate: None,
        partial: false,
    };
    for split in splits {
        let paths = resolved.splits.get(&split.split).map_or(&[][..], Vec::as_slice);
        for (index, (path, num_rows)) in paths.iter().zip(&split.num_rows).enumerate() {
            let entry = manifest.get(path).ok_or(JobError::RevisionGone)?;
            let place = ParquetPath::of(ctx.config()?.clone(), split.split.clone(), false, index, paths.len());
            made.files.push(FileBehind {
                path: place.path(),
                size: entry.size,
                num_rows: *num_rows,
                place: Place::Source { path: path.clone(), content_id: entry.content_id.clone() },
            });
            made.download_size = made.download_size.map(|size| size + entry.size);
        }
        let info = SplitInfo {
            name: split.split.clone(),
            num_bytes: split.num_bytes,
            num_examples: split.num_examples,
            shard_lengths: None,
            dataset_name: None,
        };
        made.splits.insert(split.split, info);
    }
    Ok(Some(made))
}

/// The reference looked at a sample only.
fn has_too_large_row_groups(inspected: &Inspected, settings: &Settings) -> bool {
    let bytes = if settings.compat { inspected.sampled_row_group_bytes } else { inspected.largest_row_group_bytes };
    settings.parquet.max_row_group_bytes_for_copy.is_some_and(|max| bytes > max)
}

async fn convert(ctx: &JobContext, resolved: &ResolvedConfig) -> Result<Made, JobError> {
    let scratch = ctx.scratch_directory()?;
    let opened: Vec<&str> = resolved.opened_paths().collect();
    let files = ctx.source_files(opened).await?;
    let content_ids = segments::content_ids(ctx, resolved).await?;
    let call = Call::Convert(Convert {
        config: resolved.clone(),
        segments: segments::known(ctx, resolved, &content_ids).await?,
        content_ids: content_ids.clone(),
        files,
        output: scratch.path().to_owned(),
        // Also true of later revisions that this view is made for: the files behind its cells are among its inputs.
        repository: format!("hf://datasets/{}@{}", ctx.key.dataset, ctx.revision),
        max_split_bytes: ctx.settings().parquet.max_dataset_size_bytes,
    });
    let converted = match ctx.call(call).await {
        Ok(Reply::Convert(converted)) => converted,
        Ok(_) => return Err(JobError::fail(ErrorCode::UnexpectedError, "the reader answered another question")),
        Err(error) => return Err(failure(ErrorCode::DatasetGenerationError, error)),
    };
    let digest = ctx.digest();
    let mut files = Vec::new();
    let mut written = Vec::new();
    for split in &converted.splits {
        for (index, file) in split.files.iter().enumerate() {
            let place = ParquetPath::of(
                ctx.config()?.clone(),
                split.split.clone(),
                converted.partial,
                index,
                split.files.len(),
            );
            let key = blob_key(&digest, &place);
            written.push(Written { from: scratch.path().join(&file.path), key: key.clone() });
            files.push(FileBehind {
                path: place.path(),
                size: file.size,
                num_rows: file.num_rows,
                place: Place::Blob(key),
            });
        }
    }
    ctx.keep(&written).await?;
    segments::remember(ctx, resolved, &converted, &written, scratch.path()).await?;
    let name = snake_case(ctx.key.dataset.base());
    let estimate = estimate(&converted, &name);
    let split_info = |split: &belvedere_engine::call::ConvertedSplit| {
        let info = SplitInfo {
            name: split.split.clone(),
            num_bytes: split.num_bytes,
            num_examples: split.num_examples,
            shard_lengths: (split.shard_lengths.len() > 1).then(|| split.shard_lengths.clone()),
            dataset_name: Some(name.clone()),
        };
        (split.split.clone(), info)
    };
    Ok(Made {
        splits: converted.splits.iter().map(split_info).collect(),
        features: converted.features,
        files,
        download_size: None,
        estimate,
        partial: converted.partial,
    })
}

/// Sizes of the splits that were cut; `None` when none could be estimated.
fn estimate(converted: &Converted, dataset_name: &str) -> Option<EstimatedInfo> {
    let mut info = EstimatedInfo { download_size: 0, splits: IndexMap::new(), dataset_size: 0 };
    for split in &converted.splits {
        let Some(estimate) = split.estimate else { continue };
        info.download_size += estimate.download_size;
        info.dataset_size += estimate.num_bytes;
        let split_info = SplitInfo {
            name: split.split.clone(),
            num_bytes: estimate.num_bytes,
            num_examples: estimate.num_examples,
            shard_lengths: None,
            dataset_name: Some(dataset_name.to_owned()),
        };
        info.splits.insert(split.split.clone(), split_info);
    }
    (!info.splits.is_empty()).then_some(info)
}

fn info(
    dataset: &DatasetName,
    config: &ConfigName,
    resolved: &ResolvedConfig,
    features: Features,
    splits: IndexMap<SplitName, SplitInfo>,
    download_size: Option<u64>,
) -> DatasetInfo {
    let text = |name: &str| resolved.declared_texts.get(name).cloned().unwrap_or_default();
    DatasetInfo {
        description: text("description"),
        citation: text("citation"),
        homepage: text("homepage"),
        license: text("license"),
        features: Some(features.to_legacy_json()),
        builder_name: resolved.reader.as_str().to_owned(),
        dataset_name: Some(snake_case(dataset.base())),
        config_name: config.clone(),
        version: json!({"version_str": "0.0.0", "major": 0, "minor": 0, "patch": 0}),
        dataset_size: splits.values().map(|split| split.num_bytes).sum(),
        splits,
        download_size,
        other: Map::new(),
    }
}

/// The key of a converted file: under the digest of the view, so that a view's files come and go with it.
fn blob_key(digest: &Digest, place: &ParquetPath) -> String {
    // Split names may hold letters that keys cannot.
    format!("views/{}/{}/{}", digest.to_hex(), segment(&place.directory()), place.filename())
}

fn url_of(ctx: &JobContext, path: &ParquetPath) -> String {
    let settings = ctx.settings();
    let Parquet { url_template, target_revision, .. } = &settings.parquet;
    settings.urls.of_file(url_template, &ctx.key.dataset, target_revision, &path.path())
}

/// Which public code a failed call ends in. `unreadable` is the code for content that cannot be read.
fn failure(unreadable: ErrorCode, error: CallError) -> JobError {
    JobError::of_call(error, "the data could not be converted", |kind| match kind {
        ErrorKind::Unreadable | ErrorKind::Incompatible | ErrorKind::Parameter => Some(unreadable),
        ErrorKind::ColumnsMismatch => Some(ErrorCode::DatasetGenerationCastError),
        ErrorKind::Empty => Some(ErrorCode::DatasetGenerationError),
        ErrorKind::TooLongColumnName => Some(ErrorCode::TooLongColumnNameError),
        ErrorKind::Features => Some(ErrorCode::FeaturesError),
        _ => None,
    })
}

/// `MyData2Set` → `my_data2_set`: how the reference names datasets in infos.
fn snake_case(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut snake = String::with_capacity(name.len() + 4);
    for (index, &c) in chars.iter().enumerate() {
        if c.is_ascii_uppercase() && index > 0 {
            let before = chars[index - 1];
            let after_is_lower = chars.get(index + 1).is_some_and(char::is_ascii_lowercase);
            let word_starts = before.is_ascii_lowercase() || before.is_ascii_digit();
            if word_starts || (before.is_ascii_uppercase() && after_is_lower) {
                snake.push('_');
            }
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_judges_row_groups_by_a_sample() {
        let inspected = Inspected {
            features: Features::default(),
            splits: Vec::new(),
            largest_row_group_bytes: 200,
            sampled_row_group_bytes: 50,
        };
        for (compat, limit, too_large) in [
            (false, None, false),
            (false, Some(100), true),
            (false, Some(200), false),
            (true, Some(100), false),
            (true, Some(49), true),
        ] {
            let mut settings = Settings { compat, ..Settings::default() };
            settings.parquet.max_row_group_bytes_for_copy = limit;
            assert_eq!(has_too_large_row_groups(&inspected, &settings), too_large, "{compat} {limit:?}");
        }
    }

    #[test]
    fn dataset_names_become_snake_case() {
        for (name, snake) in [
            ("csv-quirks", "csv-quirks"),
            ("MyDataset", "my_dataset"),
            ("HTMLPages2Text", "html_pages2_text"),
            ("mnist", "mnist"),
        ] {
            assert_eq!(snake_case(name), snake);
        }
    }
}
