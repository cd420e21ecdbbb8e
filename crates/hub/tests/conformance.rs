//! Revisions, configs and splits of recorded datasets against the answers of the reference.
//!
//! Runs over the folder `conformance/sets` of the workspace; without it there is nothing to compare.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use belvedere_domain::{DatasetName, ErrorCode};
use belvedere_hub::local::{Layout, Root};
use belvedere_hub::revision::resolve_revision;
use belvedere_hub::{Head, Hub, LocalHub, LocalOptions, ProcessMemory};
use serde_json::Value;

fn recorded() -> Vec<(String, PathBuf)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/sets");
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut recorded: Vec<_> = entries
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.join("repo").is_dir())
        .map(|path| (path.file_name().expect("has a name").to_str().expect("UTF-8").to_owned(), path))
        .collect();
    recorded.sort();
    recorded
}

fn json(path: &Path) -> Option<Value> {
    Some(serde_json::from_slice(&fs::read(path).ok()?).expect("recorded answers are JSON"))
}

fn dataset(name: &str) -> DatasetName {
    DatasetName::new(format!("conformance/{name}")).expect("a legal name")
}

/// Every recorded repository as a dataset of its own, scanned.
async fn hub() -> Arc<LocalHub> {
    let root = |(name, path): (String, PathBuf)| Root {
        name: Some(dataset(&name).to_string()),
        path: path.join("repo"),
        layout: Layout::Single,
    };
    let roots: Vec<Root> = recorded().into_iter().map(root).collect();
    let options = LocalOptions { hash_at_once_bytes: u64::MAX, ..LocalOptions::default() };
    let hub = LocalHub::open(&roots, Arc::new(ProcessMemory::default()), options).expect("can be served");
    let tick = hub.scan(UNIX_EPOCH + Duration::from_secs(4_000_000_000)).await;
    assert!(tick.failures.is_empty(), "{:?}", tick.failures);
    Arc::new(hub)
}

async fn head(hub: &LocalHub, name: &str) -> Head {
    hub.head(&dataset(name)).await.expect("readable").expect("exists")
}

#[tokio::test]
async fn revisions_are_those_recorded() {
    let hub = hub().await;
    for (name, path) in recorded() {
        let Some(meta) = json(&path.join("expected/meta.json")) else { continue };
        assert_eq!(Some(head(&hub, &name).await.revision.as_str()), meta["revision"].as_str(), "{name}");
    }
}

#[tokio::test]
async fn configs_and_splits_are_those_recorded() {
    let hub = hub().await;
    let mut wrong = Vec::new();
    for (name, path) in recorded() {
        let Some(names) = json(&path.join("expected/jobs/dataset-config-names.json")) else { continue };
        let expected_code = names["error_code"].as_str().and_then(ErrorCode::parse);
        let revision = head(&hub, &name).await.revision;
        let resolution = match resolve_revision(hub.clone(), &dataset(&name), &revision).await.expect("readable") {
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
        let Some(splits) = json(&path.join("expected/splits.json")) else { continue };
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
