//! `dataset-compatible-libraries`: which libraries load the dataset, with the code that does it.

mod glob;
mod snippet;

use async_trait::async_trait;
use belvedere_domain::{ConfigName, ErrorCode, Features, Level, Step, StepName, View};
use belvedere_engine::call::{Chunks, Footers};
use belvedere_engine::{Call, ErrorKind, Reply};
use belvedere_hub::data_files::Resolution;
use belvedere_store::Found;
use indexmap::IndexMap;
use serde_json::{Map, Value as JsonValue, json};

use super::croissant_crumbs::{MAX_CONFIGS, record_set_name};
use crate::call::CallError;
use crate::content::{CompatibleLibraries, DatasetInfo, DatasetInfos, Library, LoadingCode};
use crate::job::{Job, JobContext, JobError, Parent, Ready, WithProgressOf as _};
use snippet::{Frame, Source};

const STEP: Step =
    Step::dataset("dataset-compatible-libraries").triggered_by(&["dataset-info"]).version(7).difficulty(20);

/// Formats that are told; files of others are read by their own libraries only.
const FORMATS: [&str; 9] =
    ["json", "csv", "parquet", "imagefolder", "audiofolder", "webdataset", "text", "arrow", "lance"];

/// Added for Parquet files that are cut where their content says.
const OPTIMIZED_PARQUET: &str = "optimized-parquet";
/// Added for logs of coding agents.
const AGENT_TRACES: &str = "agent-traces";

pub(crate) struct CompatibleLibrariesJob;

/// A config whose files frames are loaded from.
struct Config<'a> {
    name: &'a ConfigName,
    source: Source,
    /// At least one split has several files.
    is_sharded: bool,
}

#[async_trait]
impl Job for CompatibleLibrariesJob {
    fn step(&self) -> &'static Step {
        &STEP
    }

    async fn run(&self, ctx: &mut JobContext) -> Result<Ready, JobError> {
        let infos = ctx.at(StepName::known("dataset-info"), Level::Dataset);
        let Parent { content: infos, found } = ctx.parent::<DatasetInfos>(&infos).await?;
        let resolution = ctx.resolution().await?;
        let manifest = ctx.manifest().await?;
        let paths: Vec<&str> = manifest.files.iter().map(|file| file.path.as_str()).collect();
        let settings = &ctx.services.settings;
        let (hub, compat) = (settings.urls.hub.clone(), settings.compat);
        ctx.input("settings", &(&hub, compat));
        ctx.input("paths", &paths);
        let card = ctx.services.files.card(&ctx.key.dataset, &ctx.revision).await?;
        let tags = card.as_ref().map(belvedere_hub::card::Card::tags).unwrap_or_default();
        let mut content = CompatibleLibraries { libraries: Vec::new(), formats: Vec::new() };
        let Some(first) = infos.dataset_info.values().next() else { return Ok(ready(&content, &found)) };
        let reader = first.builder_name.clone();
        let dataset = ctx.key.dataset.as_str().to_owned();
        let names: Vec<&ConfigName> = infos.dataset_info.keys().take(MAX_CONFIGS).collect();

        content.libraries.push(datasets(&dataset, &names));
        let mut is_optimized = false;
        if matches!(reader.as_str(), "csv" | "json" | "parquet" | "webdataset") {
            // These follow the card; the others follow the list of configs.
            let in_card = card.as_ref().and_then(|card| card.configs().ok()).unwrap_or_default();
            let place = |name: &ConfigName| in_card.iter().position(|config| config.name == *name);
            let mut names = names.clone();
            names.sort_by_key(|name| place(name));
            let mut configs = Vec::with_capacity(names.len());
            for name in &names {
                match config_of(ctx, &resolution, &paths, name, &reader).await {
                    Ok(config) => configs.push(config),
                    // Files that one line of code cannot name are no mistake: other libraries load them.
                    Err(error) if is_too_complex(&error) && !compat => {}
                    Err(error) => return Err(error),
                }
            }
            if reader == "json" {
                // Their first byte tells lines from arrays.
                ctx.input("content", &manifest.files);
            }
            if reader == "parquet" {
                let shown = configs.first().and_then(|config| config.source.splits.values().next());
                is_optimized = match shown.filter(|path| manifest.get(path).is_some()) {
                    Some(path) => is_cut_by_content(ctx, path, compat).await?,
                    None => false,
                };
            }
            if !configs.is_empty() && reader == "webdataset" {
                content.libraries.push(archives(&dataset, &configs));
            } else if !configs.is_empty() {
                content.libraries.extend(frames(&dataset, &reader, &configs, compat));
            }
        }
        content.libraries.push(mlcroissant(&dataset, &hub, &names, infos.partial));
        if tags.iter().any(|tag| tag.eq_ignore_ascii_case("lerobot")) {
            content.libraries.push(lerobot(&dataset, &names));
        }
        content.formats.extend(Some(reader).filter(|reader| FORMATS.contains(&reader.as_str())));
        content.formats.extend(is_optimized.then(|| OPTIMIZED_PARQUET.to_owned()));
        let has_traces = infos.dataset_info.values().filter_map(DatasetInfo::known_features).any(|it| are_traces(&it));
        content.formats.extend(has_traces.then(|| AGENT_TRACES.to_owned()));
        Ok(ready(&content, &found))
    }
}

/// As complete as what it was made from.
fn ready(content: &CompatibleLibraries, infos: &Found) -> Ready {
    View::ok(content).with_progress_of([Some(infos)]).into()
}

fn is_too_complex(error: &JobError) -> bool {
    matches!(error, JobError::Fail { code: ErrorCode::DatasetWithTooComplexDataFilesPatternsError, .. })
}

/// Where the files of each split of a config are, in the fewest words.
async fn config_of<'a>(
    ctx: &JobContext,
    resolution: &Resolution,
    paths: &[&str],
    name: &'a ConfigName,
    reader: &str,
) -> Result<Config<'a>, JobError> {
    let found = resolution.config(name.as_str());
    let files = ctx.services.files.good_config(&ctx.key.dataset, &ctx.revision, name).await?;
    let patterns = found.map(|config| &config.patterns);
    let mut splits = IndexMap::new();
    for (split, of_split) in &files.splits {
        let patterns = patterns.and_then(|patterns| patterns.get(split)).map_or(&[][..], Vec::as_slice);
        splits.insert(split.as_str().to_owned(), glob::simplest(patterns, of_split, paths)?);
    }
    let is_sharded = files.splits.values().any(|files| files.len() > 1);
    let first = files.splits.values().flatten().next();
    let (mut lines, mut tabs) = (false, false);
    if let Some(first) = first {
        tabs = reader == "csv" && first.contains(".tsv");
        lines = reader == "json" && (first.contains(".jsonl") || !starts_with_bracket(ctx, first).await?);
    }
    Ok(Config { name, source: Source { splits, lines, tabs }, is_sharded })
}

/// Whether a Parquet file was written so that a later version shares most of its bytes. `compat`: only one that says so, as
/// the recorded answers of the reference have it.
async fn is_cut_by_content(ctx: &mut JobContext, path: &str, compat: bool) -> Result<bool, JobError> {
    ctx.input_files([path]).await?;
    let files = ctx.source_files([path]).await?;
    match ctx.call(Call::Footers(Footers { files })).await {
        Ok(Reply::Footers(list)) => Ok(list.files.first().is_some_and(|facts| match facts.chunks {
            Chunks::Noted => true,
            Chunks::Likely => !compat,
            Chunks::None => false,
        })),
        Ok(_) => Err(JobError::fail(ErrorCode::UnexpectedError, "the reader answered another question")),
        // What is wrong with the file is told where it is converted; here, it only has no footer.
        Err(CallError::Engine(error)) if error.kind == ErrorKind::Unreadable => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// True for the columns of logs of coding agents, in any order.
fn are_traces(features: &Features) -> bool {
    let traces = belvedere_engine::read::trace_features();
    features.len() == traces.len() && traces.iter().all(|(name, feature)| features.get(name) == Some(feature))
}

/// A JSON file that is one array. Compressed files are taken for arrays: their name would tell lines.
async fn starts_with_bracket(ctx: &JobContext, path: &str) -> Result<bool, JobError> {
    if !path.ends_with(".json") {
        return Ok(true);
    }
    Ok(ctx.services.files.first_byte(&ctx.key.dataset, &ctx.revision, path).await? == Some(b'['))
}

fn library(library: &str, function: &str, loading_codes: Vec<LoadingCode>) -> Library {
    Library { language: "python".into(), library: library.into(), function: function.into(), loading_codes }
}

fn loading_code(config: &ConfigName, arguments: JsonValue, code: String) -> LoadingCode {
    let arguments = match arguments {
        JsonValue::Object(arguments) => arguments,
        _ => Map::new(),
    };
    LoadingCode { config_name: config.clone(), arguments, code }
}

fn datasets(dataset: &str, names: &[&ConfigName]) -> Library {
    let code = |name: &&ConfigName| {
        let import = "from datasets import load_dataset";
        let repository = snippet::python_string(dataset);
        match names.len() {
            1 => loading_code(name, json!({}), format!("{import}\n\nds = load_dataset({repository})")),
            _ => {
                let config = snippet::python_string(name.as_str());
                let code = format!("{import}\n\nds = load_dataset({repository}, {config})");
                loading_code(name, json!({"config_name": name}), code)
            }
        }
    };
    library("datasets", "load_dataset", names.iter().map(code).collect())
}

/// Data frames: pandas, or dask where a split has several files; then polars.
fn frames(dataset: &str, reader: &str, configs: &[Config<'_>], compat: bool) -> Vec<Library> {
    let is_sharded = configs.iter().any(|config| config.is_sharded);
    let lines = configs.first().is_some_and(|config| config.source.lines);
    let first = if is_sharded { Frame::dask(reader) } else { Frame::pandas(reader) };
    let frames = [first, Frame::polars(reader, lines, compat)];
    frames
        .iter()
        .map(|frame| {
            let code = |config: &Config<'_>| {
                let (arguments, code) = frame.write(dataset, &config.source);
                loading_code(config.name, arguments, code)
            };
            library(frame.library, &frame.function, configs.iter().map(code).collect())
        })
        .collect()
}

/// Tar archives, streamed by their own library.
fn archives(dataset: &str, configs: &[Config<'_>]) -> Library {
    let code = |config: &Config<'_>| {
        let (arguments, code) = snippet::webdataset(dataset, &config.source);
        loading_code(config.name, arguments, code)
    };
    library("webdataset", "wds.WebDataset", configs.iter().map(code).collect())
}

fn mlcroissant(dataset: &str, hub: &str, names: &[&ConfigName], partial: bool) -> Library {
    let comment = if partial { "# The Croissant metadata exposes the first 5GB of this dataset\n" } else { "" };
    let code = |name: &&ConfigName| {
        let record_set = record_set_name(dataset, name.as_str());
        let code = format!(
            "from mlcroissant import Dataset\n\n{comment}ds = Dataset(jsonld=\"{hub}/api/datasets/{dataset}/croissant\")\n\
             records = ds.records({})",
            snippet::python_string(&record_set)
        );
        loading_code(name, json!({"record_set": record_set, "partial": partial}), code)
    };
    library("mlcroissant", "Dataset", names.iter().map(code).collect())
}

fn lerobot(dataset: &str, names: &[&ConfigName]) -> Library {
    let repository = snippet::python_string(dataset);
    let code = format!(
        "from lerobot.datasets.lerobot_dataset import LeRobotDataset\n\ndataset = LeRobotDataset({repository})"
    );
    let codes = names.iter().take(1).map(|name| loading_code(name, json!({}), code.clone())).collect();
    library("lerobot", "LeRobotDataset", codes)
}
