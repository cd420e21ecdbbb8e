//! What the files of a dataset resolve to: configs, their splits, the files of each split and how to read them.
//!
//! The hub crate produces these values from patterns and the card; the engine reads by them. Neither sees the other.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value as JsonValue;

use crate::features::Features;
use crate::names::{ConfigName, SplitName};

/// How files are read. The name is the `builder_name` of dataset infos.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the variants are the names of the formats")]
pub enum Reader {
    Csv,
    Json,
    Parquet,
    Arrow,
    Text,
}

impl Reader {
    /// `csv`, `json`, ….
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Parquet => "parquet",
            Self::Arrow => "arrow",
            Self::Text => "text",
        }
    }
}

/// One config, resolved.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ResolvedConfig {
    /// Its name.
    pub name: ConfigName,
    /// How its files are read; the same for every config of a dataset.
    pub reader: Reader,
    /// Parameters of the reader as given in the card or implied by the files (`sep` for `.tsv`), by their names there.
    pub parameters: IndexMap<String, JsonValue>,
    /// Features given as a reader parameter: they type the columns while reading.
    pub reader_features: Option<Features>,
    /// Features declared in `dataset_info`: the final schema, to which the data are cast.
    pub declared_features: Option<Features>,
    /// Splits declared in `dataset_info`, in order, if any.
    pub declared_splits: Option<Vec<SplitName>>,
    /// Descriptive fields of `dataset_info` (`description`, `citation`, `homepage`, `license`), if declared.
    pub declared_texts: IndexMap<String, String>,
    /// Splits in order, each with the paths of its files in reading order.
    pub splits: IndexMap<SplitName, Vec<String>>,
}

impl ResolvedConfig {
    /// All paths, split after split.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.splits.values().flatten().map(String::as_str)
    }
}
