//! The `configs` key: named sets of files, each with its parameters.

use belvedere_domain::features::Features;
use belvedere_domain::names::{ConfigName, SplitName};
use indexmap::IndexMap;
use serde_json::Value as JsonValue;

use super::features::features;
use super::yaml::{Node, Yaml};
use super::{CardError, DATA_FILES_HINT};

/// One entry of `configs`.
#[derive(Clone, PartialEq, Debug)]
pub struct CardConfig {
    /// `config_name`.
    pub name: ConfigName,
    /// `default: true`.
    pub is_default: bool,
    /// `data_files`: patterns of each split, in order. `None`: found by the names of the files.
    pub data_files: Option<IndexMap<SplitName, Vec<String>>>,
    /// `data_dir`: the folder that patterns are relative to.
    pub data_dir: Option<String>,
    /// `features`: types of the columns while reading.
    pub features: Option<Features>,
    /// Everything else: parameters of the reader.
    pub parameters: IndexMap<String, JsonValue>,
    /// Line of the entry, from 1.
    pub line: usize,
}

/// Keys that are not parameters of the reader.
const OWN_KEYS: [&str; 7] = ["config_name", "default", "data_files", "data_dir", "features", "version", "description"];

/// Reads the value of `configs`. Of two entries with one name, the last wins.
pub(super) fn configs(node: &Node) -> Result<Vec<CardConfig>, CardError> {
    let Some(entries) = node.list() else {
        return Err(CardError::new(format!("expected a list of configs, found {}", node.kind())).at(node.line));
    };
    let mut configs: IndexMap<ConfigName, CardConfig> = IndexMap::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        let config = config(entry).map_err(|error| error.at(entry.line).under_item(index))?;
        configs.insert(config.name.clone(), config);
    }
    Ok(configs.into_values().collect())
}

fn config(entry: &Node) -> Result<CardConfig, CardError> {
    let Some(fields) = entry.map() else {
        return Err(CardError::new(format!("expected a mapping with `config_name`, found {}", entry.kind())));
    };
    let field = |key: &str| entry.get(key);
    let name = field("config_name").ok_or_else(|| CardError::new("`config_name` is missing"))?;
    let name = name
        .text()
        .ok_or_else(|| CardError::new(format!("expected text, found {}", name.kind())).at(name.line))
        .and_then(|text| ConfigName::new(text).map_err(|error| CardError::new(error.to_string()).at(name.line)))
        .map_err(|error| error.under("config_name"))?;
    let data_dir = match field("data_dir") {
        None => None,
        Some(node) => match node.text() {
            Some(text) => Some(text.to_owned()).filter(|text| !text.is_empty()),
            None => {
                let message = format!("expected the path of a folder, found {}", node.kind());
                return Err(CardError::new(message).at(node.line).under("data_dir"));
            }
        },
    };
    Ok(CardConfig {
        name,
        is_default: field("default").is_some_and(Node::is_truthy),
        data_files: field("data_files").map(data_files).transpose().map_err(|error| error.under("data_files"))?,
        data_dir,
        features: field("features").map(features).transpose().map_err(|error| error.under("features"))?,
        parameters: fields
            .iter()
            .filter_map(|(key, value)| Some((key.text()?.to_owned(), value)))
            .filter(|(key, _)| !OWN_KEYS.contains(&key.as_str()))
            .map(|(key, value)| (key, value.to_json()))
            .collect(),
        line: entry.line,
    })
}

fn data_files(node: &Node) -> Result<IndexMap<SplitName, Vec<String>>, CardError> {
    let train = || SplitName::new("train").expect("`train` is a legal split name");
    let malformed = |node: &Node| CardError::new(format!("found {}; {DATA_FILES_HINT}", node.kind())).at(node.line);
    match &node.value {
        Yaml::Text(pattern) => Ok(IndexMap::from([(train(), vec![pattern.clone()])])),
        Yaml::List(items) if !items.iter().any(|item| item.map().is_some()) => {
            Ok(IndexMap::from([(train(), patterns(node)?)]))
        }
        Yaml::List(items) => {
            let mut splits = IndexMap::with_capacity(items.len());
            for item in items {
                let (Some(fields), Some(split), Some(path)) = (item.map(), item.get("split"), item.get("path")) else {
                    return Err(malformed(item));
                };
                if fields.len() != 2 {
                    return Err(CardError::new(format!("found other keys; {DATA_FILES_HINT}")).at(item.line));
                }
                let name = split.text().ok_or_else(|| {
                    CardError::new(format!("a split name must be text, found {}", split.kind())).at(split.line)
                })?;
                let name = SplitName::new(name).map_err(|error| CardError::new(error.to_string()).at(split.line))?;
                if splits.contains_key(&name) {
                    return Err(CardError::new(format!("the split `{name}` is listed twice")).at(split.line));
                }
                splits.insert(name, patterns(path)?);
            }
            Ok(splits)
        }
        _ => Err(malformed(node)),
    }
}

/// One pattern, or a list of them.
fn patterns(node: &Node) -> Result<Vec<String>, CardError> {
    let text = |node: &Node| {
        let message = || CardError::new(format!("expected a path or pattern, found {}", node.kind())).at(node.line);
        node.text().map(str::to_owned).ok_or_else(message)
    };
    match node.list() {
        Some(items) => items.iter().map(text).collect(),
        None => Ok(vec![text(node)?]),
    }
}
