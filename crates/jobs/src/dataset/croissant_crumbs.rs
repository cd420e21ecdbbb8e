//! `dataset-croissant-crumbs`: the parts of a [Croissant 1.1](http://mlcommons.org/croissant/1.1) description that
//! follow from the data: where the files are and what their columns mean.

mod field;

use std::collections::HashSet;

use async_trait::async_trait;
use belvedere_domain::{Level, Step, StepName, View};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value as JsonValue, json};

use crate::content::{DatasetInfo, DatasetInfos};
use crate::job::{Job, JobContext, JobError, Parent, Ready, WithProgressOf as _};
use field::FieldWriter;

const STEP: Step = Step::dataset("dataset-croissant-crumbs").triggered_by(&["dataset-info"]).version(3).difficulty(20);

/// Configs described.
pub(super) const MAX_CONFIGS: usize = 100;
/// Terms that stand for themselves in the vocabulary of Croissant.
const TERMS: [&str; 29] = [
    "arrayShape",
    "citeAs",
    "column",
    "containedIn",
    "dataBiases",
    "dataCollection",
    "extract",
    "field",
    "fileProperty",
    "fileObject",
    "fileSet",
    "format",
    "includes",
    "isArray",
    "isLiveDataset",
    "jsonPath",
    "key",
    "md5",
    "parentField",
    "path",
    "personalSensitiveInformation",
    "recordSet",
    "references",
    "regex",
    "repeated",
    "replace",
    "separator",
    "source",
    "subField",
];

pub(crate) struct CroissantCrumbsJob;

#[async_trait]
impl Job for CroissantCrumbsJob {
    fn step(&self) -> &'static Step {
        &STEP
    }

    async fn run(&self, ctx: &mut JobContext) -> Result<Ready, JobError> {
        let infos = ctx.at(StepName::known("dataset-info"), Level::Dataset);
        let Parent { content: infos, found } = ctx.parent::<DatasetInfos>(&infos).await?;
        let settings = &ctx.services.settings;
        let branch = utf8_percent_encode(&settings.parquet.target_revision, NON_ALPHANUMERIC);
        let dataset = ctx.key.dataset.as_str();
        let repository = format!("{}/datasets/{dataset}/tree/{branch}", settings.urls.hub);
        ctx.input("repository", &repository);
        Ok(View::ok(&crumbs(ctx.key.dataset.as_str(), &repository, &infos)).with_progress_of([Some(&found)]).into())
    }
}

fn context() -> JsonValue {
    let mut context = json!({
        "@language": "en",
        "@vocab": "https://schema.org/",
        "conformsTo": "dct:conformsTo",
        "cr": "http://mlcommons.org/croissant/",
        "data": {"@id": "cr:data", "@type": "@json"},
        "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
        "dct": "http://purl.org/dc/terms/",
        "sc": "https://schema.org/",
        "transform": "cr:transform",
    });
    for term in TERMS {
        context[term] = format!("cr:{term}").into();
    }
    context
}

/// The document. `repository` is the address of the branch of Parquet files.
fn crumbs(dataset: &str, repository: &str, infos: &DatasetInfos) -> JsonValue {
    let mut ids = Ids::new("repo");
    let mut distribution = vec![json!({
        "@type": "cr:FileObject",
        "@id": "repo",
        "name": "repo",
        "description": "The Hugging Face git repository.",
        "contentUrl": repository,
        "encodingFormat": "git+https",
        // A repository has no hash; this is what validators are told to expect.
        "sha256": "https://github.com/mlcommons/croissant/issues/80",
    })];
    let mut record_sets = Vec::new();
    let configs = infos.dataset_info.len();
    for (config, info) in infos.dataset_info.iter().take(MAX_CONFIGS) {
        let config = config.as_str();
        let file_set = ids.take(&escape(&format!("parquet-files-for-config-{config}")));
        distribution.push(json!({
            "@type": "cr:FileSet",
            "@id": file_set,
            "containedIn": {"@id": "repo"},
            "encodingFormat": "application/x-parquet",
            "includes": format!("{config}/*/*.parquet"),
        }));
        let record_set = ids.take(&escape(&record_set_name(dataset, config)));
        let splits_set = ids.take(&format!("{record_set}_splits"));
        record_sets.push(splits_of(&splits_set, &record_set, info));
        let (fields, skipped) = FieldWriter::new(&file_set, &mut ids).write(&record_set, &splits_set, config, info);
        record_sets.push(json!({
            "@type": "cr:RecordSet",
            "@id": record_set,
            "description": description(dataset, config, infos.partial, info, &skipped, configs),
            "field": fields,
        }));
    }
    json!({
        "@context": context(),
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "distribution": distribution,
        "recordSet": record_sets,
    })
}

/// The record set of a config: its name, unless the dataset itself is called so.
pub(super) fn record_set_name(dataset: &str, config: &str) -> String {
    if config == dataset { format!("record_set_{config}") } else { config.to_owned() }
}

fn splits_of(id: &str, record_set: &str, info: &DatasetInfo) -> JsonValue {
    let key = format!("{id}/split_name");
    let data: Vec<_> = info.splits.keys().map(|split| json!({&key: split})).collect();
    json!({
        "@type": "cr:RecordSet",
        "dataType": "cr:Split",
        "key": {"@id": key},
        "@id": id,
        "name": id,
        "description": format!("Splits for the {record_set} config."),
        "field": [{"@type": "cr:Field", "@id": key, "dataType": "sc:Text"}],
        "data": data,
    })
}

fn description(
    dataset: &str,
    config: &str,
    partial: bool,
    info: &DatasetInfo,
    skipped: &[String],
    configs: usize,
) -> String {
    let mut text = format!("{dataset} - '{config}' subset");
    if partial {
        text.push_str(" (first 5GB)");
    }
    if configs > MAX_CONFIGS {
        text.push_str(&format!(" (only the first {MAX_CONFIGS} of {configs} subsets are described)"));
    }
    let splits: Vec<&str> = info.splits.keys().map(belvedere_domain::SplitName::as_str).collect();
    let mut notes = Vec::new();
    if splits.len() > 1 {
        notes.push(format!("- {} splits: {}", splits.len(), splits.join(", ")));
    }
    if !skipped.is_empty() {
        let plural = if skipped.len() == 1 { "" } else { "s" };
        notes.push(format!("- {} skipped column{plural}: {}", skipped.len(), skipped.join(", ")));
    }
    if !notes.is_empty() {
        text.push_str(&format!("\n\nAdditional information:\n{}", notes.join("\n")));
    }
    text
}

/// Identifiers in use.
struct Ids(HashSet<String>);

impl Ids {
    fn new(first: &str) -> Self {
        Self(HashSet::from([first.to_owned()]))
    }

    /// An identifier like `text` that is not in use, which it is from now on.
    fn take(&mut self, text: &str) -> String {
        let mut id = text.to_owned();
        let mut number = 0;
        while !self.0.insert(id.clone()) {
            id = format!("{text}_{number}");
            number += 1;
        }
        id
    }
}

/// Characters outside of ASCII letters, digits, `-`, `_`, `.` become `_`.
fn escape(text: &str) -> String {
    let keep = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    text.chars().map(|c| if keep(c) { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_plain_and_unique() {
        let mut ids = Ids::new("repo");
        let taken = ["naïve col", "na/ve col", "repo"].map(|text| ids.take(&escape(text)));
        assert_eq!(taken, ["na_ve_col", "na_ve_col_0", "repo_0"]);
    }
}
