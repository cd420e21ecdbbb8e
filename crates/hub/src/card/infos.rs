//! What a card declares about the data: `dataset_info` of the front matter, or the legacy `dataset_infos.json`.

use belvedere_domain::features::Features;
use belvedere_domain::names::SplitName;
use indexmap::IndexMap;
use serde_json::Value as JsonValue;

use super::features::features;
use super::yaml::{Node, Yaml};
use super::{CardError, DATASET_INFOS_PATH};

/// The declarations about one config.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct DeclaredInfo {
    /// The final schema.
    pub features: Option<Features>,
    /// Split names in order.
    pub splits: Option<Vec<SplitName>>,
    /// `description`, `citation`, `homepage`, `license`, as far as given.
    pub texts: IndexMap<String, String>,
    /// Declared size of the tables in bytes. Never trusted.
    pub dataset_size: Option<u64>,
}

const TEXTS: [&str; 4] = ["description", "citation", "homepage", "license"];

/// Reads `dataset_info`: one mapping, or a list of them. The key is the config name, `default` when not given.
pub(super) fn from_yaml(node: &Node) -> Result<IndexMap<String, DeclaredInfo>, CardError> {
    match &node.value {
        Yaml::Map(_) => Ok(IndexMap::from([entry(node)?])),
        Yaml::List(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| entry(item).map_err(|error| error.at(item.line).under_item(index)))
            .collect(),
        // The reference ignores any other value as well.
        _ => Ok(IndexMap::new()),
    }
}

fn entry(node: &Node) -> Result<(String, DeclaredInfo), CardError> {
    if node.map().is_none() {
        return Err(CardError::new(format!("expected a mapping, found {}", node.kind())).at(node.line));
    }
    let config = match node.get("config_name") {
        None => "default".to_owned(),
        Some(name) => name.scalar_text().ok_or_else(|| {
            CardError::new(format!("expected text, found {}", name.kind())).at(name.line).under("config_name")
        })?,
    };
    let info = DeclaredInfo {
        features: node.get("features").map(features).transpose().map_err(|error| error.under("features"))?,
        splits: node.get("splits").map(splits).transpose().map_err(|error| error.under("splits"))?,
        texts: TEXTS.iter().filter_map(|key| Some(((*key).to_owned(), node.get(key)?.text()?.to_owned()))).collect(),
        dataset_size: match node.get("dataset_size").map(|size| &size.value) {
            Some(Yaml::Int(size)) => u64::try_from(*size).ok(),
            _ => None,
        },
    };
    Ok((config, info))
}

/// A list of `{name, …}`, or a mapping whose keys are the names.
fn splits(node: &Node) -> Result<Vec<SplitName>, CardError> {
    let split = |name: Option<&Node>, line: usize| {
        let name = name.ok_or_else(|| CardError::new("a split without `name`").at(line))?;
        let text = name
            .text()
            .ok_or_else(|| CardError::new(format!("a split name must be text, found {}", name.kind())).at(name.line))?;
        SplitName::new(text).map_err(|error| CardError::new(error.to_string()).at(name.line))
    };
    match &node.value {
        Yaml::List(items) => items.iter().map(|item| split(item.get("name"), item.line)).collect(),
        Yaml::Map(entries) => entries.iter().map(|(key, _)| split(Some(key), key.line)).collect(),
        _ => Err(CardError::new(format!("expected a list of splits, found {}", node.kind())).at(node.line)),
    }
}

/// Reads `dataset_infos.json`. A single entry, whatever its name, is about the config `default`.
pub(super) fn from_json(text: &str) -> Result<IndexMap<String, DeclaredInfo>, CardError> {
    let in_file = |message: String| CardError::new(message).in_file(DATASET_INFOS_PATH);
    let value: JsonValue =
        serde_json::from_str(text).map_err(|error| in_file(format!("not valid JSON: {error}")).at(error.line()))?;
    let Some(entries) = value.as_object() else {
        return Err(in_file("expected an object with one entry per config".to_owned()));
    };
    let single = entries.len() == 1;
    entries
        .iter()
        .map(|(config, info)| {
            let features = match info.get("features") {
                None | Some(JsonValue::Null) => None,
                Some(features) => Some(
                    Features::from_json(features)
                        .map_err(|error| in_file(error.to_string()).under("features").under(config))?,
                ),
            };
            let splits = match info.get("splits") {
                Some(JsonValue::Object(splits)) => Some(
                    splits
                        .keys()
                        .map(|name| {
                            SplitName::new(name)
                                .map_err(|error| in_file(error.to_string()).under("splits").under(config))
                        })
                        .collect::<Result<_, _>>()?,
                ),
                _ => None,
            };
            let text = |key: &&str| match info.get(*key).and_then(JsonValue::as_str) {
                Some(text) if !text.is_empty() => Some(((*key).to_owned(), text.to_owned())),
                _ => None,
            };
            let info = DeclaredInfo {
                features,
                splits,
                texts: TEXTS.iter().filter_map(text).collect(),
                dataset_size: info.get("dataset_size").and_then(JsonValue::as_u64),
            };
            Ok((if single { "default".to_owned() } else { config.clone() }, info))
        })
        .collect()
}
