//! What is no error but may surprise: files that nobody reads, splits without rows, columns that are left out.

use std::collections::HashSet;
use std::time::Duration;

use belvedere_domain::data_files::ResolvedConfig;
use belvedere_domain::{ConfigName, DatasetName, Manifest, Revision, SplitName};
use belvedere_engine::call::{Head, MediaTarget, SchemaReport};
use belvedere_engine::{Call, Reply};
use belvedere_hub::card::{DATASET_INFOS_PATH, OVERRIDES_PATH, README_PATH};
use belvedere_hub::data_files::Resolution;
use belvedere_hub::reader::is_data_file;

use super::facts::ConfigFacts;
use crate::output::{grouped, plural};
use crate::runtime::Runtime;

/// Names in a list before it is cut.
const SHOWN: usize = 5;
/// Longest look at the columns of one file.
const LOOK: Duration = Duration::from_secs(30);

/// Files that are part of a repository but hold no rows.
const ABOUT: &[&str] = &[README_PATH, OVERRIDES_PATH, DATASET_INFOS_PATH, "LICENSE", "LICENSE.md", "LICENSE.txt"];

/// Files that no split reads.
pub(super) fn of_files(manifest: &Manifest, resolution: &Resolution) -> Vec<String> {
    let configs = resolution.configs.iter().filter_map(|config| config.files.as_ref().ok());
    let read: HashSet<&str> = configs.flat_map(ResolvedConfig::paths).collect();
    let hidden = |path: &str| path.split('/').any(|name| name.starts_with('.') || name.starts_with("__"));
    let unread = manifest.files.iter().map(|file| file.path.as_str());
    let unread = unread.filter(|path| !read.contains(path) && !ABOUT.contains(path) && !hidden(path));
    let (data, other): (Vec<&str>, Vec<&str>) = unread.partition(|path| is_data_file(path));
    let mut warnings = Vec::new();
    if !data.is_empty() {
        let reader =
            resolution.configs.iter().find_map(|config| config.files.as_ref().ok()).map(|config| config.reader);
        let format = reader.map_or("none", |reader| reader.as_str());
        warnings.push(format!(
            "no split reads {}: all files of a dataset have one format, here {format}, and splits follow from the \
             names of files or from `configs` in README.md",
            list(&data)
        ));
    }
    if !other.is_empty() {
        warnings.push(format!("not read, since the name tells no format of data: {}", list(&other)));
    }
    warnings
}

/// Splits without rows, splits that are cut, and columns without a type.
pub(super) fn of_splits(configs: &[ConfigFacts]) -> Vec<String> {
    let mut warnings = Vec::new();
    for config in configs {
        for split in &config.splits {
            let place = format!("{}/{}", config.config, split.split);
            match (split.rows, split.partial, split.estimated_rows) {
                (Some(rows), true, Some(estimate)) => warnings.push(format!(
                    "{place}: only the first {} of about {} rows are served; raise `parquet_and_info.max_dataset_size_bytes`",
                    grouped(rows),
                    grouped(estimate)
                )),
                (Some(rows), true, None) => warnings.push(format!(
                    "{place}: only the first {} are served; raise `parquet_and_info.max_dataset_size_bytes`",
                    plural(rows as usize, "row")
                )),
                (Some(0), ..) => warnings.push(format!("{place} has no rows")),
                _ => {}
            }
        }
        let untyped: Vec<&str> =
            config.columns.iter().filter(|column| column.kind == "null").map(|column| column.name.as_str()).collect();
        if !untyped.is_empty() {
            warnings.push(format!("config {}: no row has a value in {}", config.config, list(&untyped)));
        }
    }
    warnings
}

/// Files with other columns and types than the first, which one schema holds all the same.
pub(super) fn of_joined_files(config: &str, report: &SchemaReport) -> Vec<String> {
    let differing = report.files - report.alike;
    if differing == 0 {
        return Vec::new();
    }
    let mut warnings = vec![format!(
        "config {config}: {} with other columns or types than the first {} joined with the others",
        plural(differing, "file"),
        if differing == 1 { "is" } else { "are" }
    )];
    warnings.extend(report.advice.iter().take(SHOWN).map(|advice| format!("config {config}: {advice}")));
    let more = report.advice.len().saturating_sub(SHOWN);
    if more > 0 {
        warnings.push(format!("config {config}: {more} more such columns; `/info` of the config tells all"));
    }
    warnings
}

/// Where the card and the files differ: declared splits without files, and columns that are not declared.
pub(super) async fn of_declarations(
    runtime: &Runtime,
    dataset: &DatasetName,
    revision: &Revision,
    resolution: &Resolution,
) -> Vec<String> {
    let mut warnings = Vec::new();
    for config in resolution.configs.iter().filter_map(|config| config.files.as_ref().ok()) {
        for split in config.declared_splits.iter().flatten() {
            if config.splits.get(split).is_none_or(Vec::is_empty) {
                warnings
                    .push(format!("config {}: README.md declares the split {split}, which has no file", config.name));
            }
        }
        let Some(declared) = &config.declared_features else { continue };
        let Some((split, found)) = columns_of_files(runtime, dataset, revision, config).await else { continue };
        let undeclared: Vec<&str> =
            found.iter().map(String::as_str).filter(|name| declared.get(name).is_none()).collect();
        if !undeclared.is_empty() {
            warnings.push(format!(
                "config {}: the files of {split} have columns that `dataset_info` in README.md does not declare, and \
                 they are not served: {}",
                config.name,
                list(&undeclared)
            ));
        }
    }
    warnings
}

/// The columns that the first file of a config has, whatever is declared. `None` when that cannot be told: then a
/// step has failed, and the problems tell why.
async fn columns_of_files(
    runtime: &Runtime,
    dataset: &DatasetName,
    revision: &Revision,
    config: &ResolvedConfig,
) -> Option<(SplitName, Vec<String>)> {
    // One file of media says nothing of the tables that describe it.
    if config.reader.folder().is_some() {
        return None;
    }
    let (split, paths) = config.splits.iter().find(|(_, paths)| !paths.is_empty())?;
    let first = paths[0].clone();
    let files = runtime.services.files.sources(dataset, revision, [first.as_str()]).await.ok()?;
    let scratch = tempfile::tempdir().ok()?;
    let undeclared = ResolvedConfig {
        declared_features: None,
        declared_splits: None,
        splits: [(split.clone(), vec![first])].into_iter().collect(),
        ..config.clone()
    };
    let call = Call::Head(Head {
        config: undeclared,
        split: split.clone(),
        files,
        schema_files: Vec::new(),
        max_rows: 1,
        max_columns: usize::MAX,
        repository: String::new(),
        media: media(dataset, &config.name, split, scratch.path()),
    });
    match runtime.services.children.call(call, LOOK).await {
        Ok(Reply::Head(page)) => Some((split.clone(), page.features.iter().map(|(name, _)| name.clone()).collect())),
        _ => None,
    }
}

/// Media of this look go to a directory that is removed at once.
fn media(dataset: &DatasetName, config: &ConfigName, split: &SplitName, scratch: &std::path::Path) -> MediaTarget {
    belvedere_jobs::files::media_target("", "", dataset, "", Some(config), Some(split), scratch)
}

fn list(names: &[&str]) -> String {
    let shown: Vec<&str> = names.iter().take(SHOWN).copied().collect();
    let more = names.len().saturating_sub(SHOWN);
    if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
}
