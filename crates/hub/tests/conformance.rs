//! Revisions, configs and splits of recorded datasets against the answers of the reference.
//!
//! Runs over the folder `conformance` of the workspace; without it there is nothing to compare.

use std::fs;
use std::path::{Path, PathBuf};

use belvedere_domain::{ErrorCode, FileEntry, Manifest};
use belvedere_hub::card::{Card, CardFiles};
use belvedere_hub::data_files::{Resolution, ResolveError, resolve};
use belvedere_hub::reader::RevisionFiles;
use belvedere_hub::snapshot::revision_of;
use serde_json::Value;
use sha2::{Digest, Sha256};

fn datasets() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance");
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut datasets: Vec<_> =
        entries.map(|entry| entry.expect("readable").path()).filter(|path| path.join("repo").is_dir()).collect();
    datasets.sort();
    datasets
}

fn json(path: &Path) -> Option<Value> {
    Some(serde_json::from_slice(&fs::read(path).ok()?).expect("recorded answers are JSON"))
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<FileEntry>) {
    for entry in fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            let content = fs::read(&path).expect("readable");
            files.push(FileEntry {
                path: path.strip_prefix(root).expect("below the root").to_str().expect("UTF-8").to_owned(),
                size: content.len() as u64,
                content_id: hex::encode(Sha256::digest(&content)),
            });
        }
    }
}

fn manifest(repo: &Path) -> Manifest {
    let mut files = Vec::new();
    collect(repo, repo, &mut files);
    Manifest::new(files)
}

fn resolution(dataset: &Path) -> Result<Resolution, ResolveError> {
    let repo = dataset.join("repo");
    let name = dataset.file_name().and_then(|name| name.to_str()).expect("UTF-8");
    let card = Card::parse(CardFiles {
        readme: fs::read(repo.join("README.md")).ok(),
        overrides: fs::read(repo.join(".huggingface.yaml")).ok(),
        dataset_infos: fs::read(repo.join("dataset_infos.json")).ok(),
    })?;
    let manifest = manifest(&repo);
    let read = |path: &str, range: std::ops::Range<u64>| {
        let content = fs::read(repo.join(path))?;
        let position = |at: u64| usize::try_from(at).expect("fits");
        Ok(content[position(range.start)..position(range.end)].to_vec())
    };
    resolve(RevisionFiles { manifest: &manifest, read: &read }, &card, name)
}

#[test]
fn revisions_are_those_recorded() {
    for dataset in datasets() {
        let Some(meta) = json(&dataset.join("expected/meta.json")) else { continue };
        let revision = revision_of(&manifest(&dataset.join("repo")));
        assert_eq!(Some(revision.as_str()), meta["revision"].as_str(), "{}", dataset.display());
    }
}

#[test]
fn configs_and_splits_are_those_recorded() {
    let mut wrong = Vec::new();
    for dataset in datasets() {
        let name = dataset.file_name().and_then(|name| name.to_str()).expect("UTF-8").to_owned();
        let Some(names) = json(&dataset.join("expected/jobs/dataset-config-names.json")) else { continue };
        let expected_code = names["error_code"].as_str().and_then(ErrorCode::parse);
        let resolution = match resolution(&dataset) {
            Ok(resolution) => resolution,
            // Formats that are recognised, but not read yet.
            Err(error) if error.message.contains("is not supported yet") => continue,
            // The reference means this code, but a change of its library made it answer another.
            Err(error) if error.code == ErrorCode::DatasetWithScriptNotSupportedError => {
                assert_eq!(expected_code, Some(ErrorCode::ConfigNamesError), "{name}");
                continue;
            }
            Err(error) => {
                if Some(error.code) != expected_code {
                    wrong.push(format!("{name}: {}: {error}, expected {expected_code:?}", error.code));
                }
                continue;
            }
        };
        let texts = |list: &Value, key: &str| -> Vec<String> {
            list.as_array().into_iter().flatten().filter_map(|item| Some(item[key].as_str()?.to_owned())).collect()
        };
        let expected = texts(&names["content"]["config_names"], "config");
        let found: Vec<_> = resolution.configs.iter().map(|config| config.name.to_string()).collect();
        if found != expected || expected_code.is_some() {
            wrong.push(format!("{name}: configs {found:?}, expected {expected:?} {expected_code:?}"));
        }
        let Some(splits) = json(&dataset.join("expected/splits.json")) else { continue };
        if splits["body"]["failed"].as_array().is_none_or(|failed| !failed.is_empty()) {
            // The reference reads the files before it lists their splits, and could not.
            continue;
        }
        let body = &splits["body"]["splits"];
        let expected: Vec<_> = texts(body, "config").into_iter().zip(texts(body, "split")).collect();
        let found: Vec<_> = resolution
            .configs
            .iter()
            .flat_map(|config| config.split_names.iter().map(|split| (config.name.to_string(), split.to_string())))
            .collect();
        if found != expected {
            wrong.push(format!("{name}: splits {found:?}, expected {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
