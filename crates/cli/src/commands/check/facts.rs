//! What users would see of a dataset: taken from the answers of the API, nothing else.

use std::path::PathBuf;

use belvedere_api::{Router, ask};
use belvedere_domain::features::{Feature, Features};
use belvedere_domain::{DatasetName, Revision};
use belvedere_engine::schema::type_name;
use belvedere_hub::local::RootReport;
use belvedere_jobs::content::{ConfigInfo, DatasetInfos, DatasetSize, DatasetSplitNames, SplitItem};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::warnings;
use crate::problems::{self, Problem};
use crate::progress::encoded;
use crate::runtime::Runtime;

/// The report of a check. Field order is that of the JSON.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(super) struct Report {
    /// No problem was found. Warnings do not count.
    pub(super) ok: bool,
    /// Number of problems.
    pub(super) problems: usize,
    /// Number of warnings.
    pub(super) warnings: usize,
    /// How long it took.
    pub(super) seconds: f64,
    /// The folders, and what each was taken for.
    pub(super) folders: Vec<FolderFacts>,
    /// The datasets by name.
    pub(super) datasets: Vec<DatasetFacts>,
}

/// A folder of the command line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(super) struct FolderFacts {
    pub(super) path: PathBuf,
    /// What it was taken for, and why.
    pub(super) taken_for: String,
    /// What was wrong with the folder as a whole.
    pub(super) problem: Option<String>,
    pub(super) warnings: Vec<String>,
}

/// A dataset.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(super) struct DatasetFacts {
    pub(super) dataset: DatasetName,
    pub(super) revision: Option<Revision>,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<String>,
    /// Rows of all splits whose rows can be read.
    pub(super) rows: u64,
    /// Bytes of the dataset's files.
    pub(super) files_bytes: u64,
    /// Bytes of the Parquet files that users can fetch.
    pub(super) parquet_bytes: u64,
    pub(super) configs: Vec<ConfigFacts>,
}

/// A config.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(super) struct ConfigFacts {
    pub(super) config: String,
    /// The reader; `None` when the files could not be read.
    pub(super) format: Option<String>,
    pub(super) columns: Vec<Column>,
    pub(super) splits: Vec<SplitFacts>,
}

/// A column.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(super) struct Column {
    pub(super) name: String,
    /// The short name of its type, as in the rest of the API.
    #[serde(rename = "type")]
    pub(super) kind: String,
}

/// A split.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(super) struct SplitFacts {
    pub(super) split: String,
    /// Rows that can be read; `None` when none can.
    pub(super) rows: Option<u64>,
    /// Extrapolated rows, when only a part was converted.
    pub(super) estimated_rows: Option<u64>,
    /// Only a part was converted.
    pub(super) partial: bool,
    /// Source files.
    pub(super) files: usize,
    /// Rows of the preview; `None` when there is none.
    pub(super) preview_rows: Option<usize>,
}

impl Report {
    /// Puts the datasets together with what was found out about their folders.
    pub(super) fn of(roots: &[RootReport], mut datasets: Vec<DatasetFacts>) -> Self {
        let folders: Vec<FolderFacts> = roots.iter().map(|root| folder(root, &mut datasets)).collect();
        let problems = datasets.iter().map(|dataset| dataset.problems.len()).sum::<usize>()
            + folders.iter().filter(|folder| folder.problem.is_some()).count();
        let warnings = datasets.iter().map(|dataset| dataset.warnings.len()).sum::<usize>()
            + folders.iter().map(|folder| folder.warnings.len()).sum::<usize>();
        Self { ok: problems == 0, problems, warnings, seconds: 0.0, folders, datasets }
    }
}

/// What was found out about a folder. Notes about single datasets go to these.
fn folder(root: &RootReport, datasets: &mut [DatasetFacts]) -> FolderFacts {
    let mut warnings = Vec::new();
    for note in &root.notes {
        let owner = note.split_once(": ").and_then(|(name, rest)| {
            let dataset = datasets.iter_mut().find(|dataset| dataset.dataset.as_str() == name)?;
            Some((dataset, rest))
        });
        match owner {
            Some((dataset, rest)) => dataset.warnings.push(format!("{rest}; it is not served")),
            None => warnings.push(format!("{note}; it is not served")),
        }
    }
    let problem = root.datasets.is_empty().then(|| {
        "no dataset was found: put data files (csv, json, Parquet, Arrow or text) into a folder in it".to_owned()
    });
    FolderFacts { path: root.path.clone(), taken_for: root.reason.clone(), problem, warnings }
}

/// A dataset without a file.
pub(super) fn empty(dataset: DatasetName) -> DatasetFacts {
    let mut facts = blank(dataset);
    facts.warnings.push("the folder holds no file".to_owned());
    facts
}

/// A dataset whose folder cannot be read.
pub(super) fn unreadable(dataset: DatasetName, problem: Problem) -> DatasetFacts {
    let mut facts = blank(dataset);
    facts.problems.push(problem);
    facts
}

fn blank(dataset: DatasetName) -> DatasetFacts {
    DatasetFacts {
        dataset,
        revision: None,
        problems: Vec::new(),
        warnings: Vec::new(),
        rows: 0,
        files_bytes: 0,
        parquet_bytes: 0,
        configs: Vec::new(),
    }
}

/// Asks for everything that users can ask.
pub(super) async fn of_dataset(
    runtime: &Runtime,
    router: &Router,
    dataset: DatasetName,
) -> anyhow::Result<DatasetFacts> {
    let services = &runtime.services;
    let Some(row) = services.store.datasets.get(&dataset).await? else { return Ok(empty(dataset)) };
    let revision = row.target;
    let mut facts = blank(dataset);
    facts.problems = problems::of_dataset(services, &facts.dataset, &revision).await?;

    let client = Client { router, dataset: encoded(facts.dataset.as_str()) };
    let splits: Option<DatasetSplitNames> = client.get("splits", "").await;
    let info: Option<DatasetInfos> = client.get("info", "").await;
    let size: Option<DatasetSize> = client.get("size", "").await;
    let resolution = services.files.resolution(&facts.dataset, &revision).await.ok();

    for item in splits.iter().flat_map(|splits| &splits.splits) {
        let preview = client.preview(item).await;
        let size = size.as_ref().and_then(|size| {
            size.size.splits.iter().find(|size| size.config == item.config && size.split == item.split)
        });
        let files = resolution.as_ref().and_then(|resolution| {
            let config = resolution.config(item.config.as_str())?.files.as_ref().ok()?;
            Some(config.splits.get(&item.split)?.len())
        });
        let split = SplitFacts {
            split: item.split.to_string(),
            rows: size.map(|size| size.num_rows),
            estimated_rows: size.and_then(|size| size.estimated_num_rows),
            partial: false,
            files: files.unwrap_or_default(),
            preview_rows: preview.as_ref().map(|preview| preview["rows"].as_array().map_or(0, Vec::len)),
        };
        let config = item.config.as_str();
        if facts.configs.last().is_none_or(|last| last.config != config) {
            let info = info.as_ref().and_then(|info| info.dataset_info.get(&item.config));
            let declared = info.and_then(|info| Features::from_json(info.features.as_ref()?).ok());
            let seen = || columns_of_preview(preview.as_ref()?);
            facts.configs.push(ConfigFacts {
                config: config.to_owned(),
                format: info.map(|info| info.builder_name.clone()),
                columns: declared.map(|features| columns(&features)).or_else(seen).unwrap_or_default(),
                splits: Vec::new(),
            });
        }
        facts.configs.last_mut().expect("one was pushed").splits.push(split);
    }
    if let Some(size) = &size {
        facts.rows = size.size.dataset.num_rows;
        facts.parquet_bytes = size.size.dataset.num_bytes_parquet_files;
    }
    for config in &mut facts.configs {
        client.mark_partial(config).await;
        let info: Option<ConfigInfo> = client.get("info", &format!("&config={}", encoded(&config.config))).await;
        if let Some(report) = info.and_then(|info| info.schema_report) {
            facts.warnings.extend(warnings::of_joined_files(&config.config, &report));
        }
    }
    let manifest = services.files.manifest(&facts.dataset, &revision).await.ok();
    facts.files_bytes = manifest.as_ref().map_or(0, |manifest| manifest.size());
    if let (Some(manifest), Some(resolution)) = (&manifest, &resolution) {
        facts.warnings.extend(warnings::of_files(manifest, resolution));
        facts.warnings.extend(warnings::of_declarations(runtime, &facts.dataset, &revision, resolution).await);
    }
    facts.warnings.extend(warnings::of_splits(&facts.configs));
    facts.revision = Some(revision);
    Ok(facts)
}

fn columns(features: &Features) -> Vec<Column> {
    features.iter().map(|(name, feature)| Column { name: name.clone(), kind: type_name(feature) }).collect()
}

/// The columns of `/first-rows`, for configs without info.
fn columns_of_preview(preview: &Json) -> Option<Vec<Column>> {
    let column = |feature: &Json| {
        let name = feature["name"].as_str()?.to_owned();
        let kind = Feature::from_json(&feature["type"]).ok()?;
        Some(Column { name, kind: type_name(&kind) })
    };
    preview["features"].as_array()?.iter().map(column).collect()
}

/// A client of the API that asks about one dataset.
struct Client<'a> {
    router: &'a Router,
    /// As part of a query.
    dataset: String,
}

impl Client<'_> {
    /// An answer; `None` when it is an error, which the problems tell.
    async fn get<T: DeserializeOwned>(&self, endpoint: &str, rest: &str) -> Option<T> {
        let path = format!("/{endpoint}?dataset={}{rest}", self.dataset);
        let answer = ask(self.router, "GET", &path, &[]).await;
        if answer.status == 200 { serde_json::from_slice(&answer.body).ok() } else { None }
    }

    async fn preview(&self, item: &SplitItem) -> Option<Json> {
        let place = format!("&config={}&split={}", encoded(item.config.as_str()), encoded(item.split.as_str()));
        self.get("first-rows", &place).await
    }

    /// Marks the splits of a config of which only a part was converted.
    async fn mark_partial(&self, config: &mut ConfigFacts) {
        let size: Option<Json> = self.get("size", &format!("&config={}", encoded(&config.config))).await;
        if size.is_some_and(|size| size["partial"] == true) {
            for split in &mut config.splits {
                // The cut splits are those with an estimate; without any estimate each may be.
                split.partial = split.estimated_rows.is_some();
            }
            if config.splits.iter().all(|split| !split.partial) {
                config.splits.iter_mut().for_each(|split| split.partial = true);
            }
        }
    }
}
