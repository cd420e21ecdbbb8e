//! What is known about configs: texts of the card, columns, splits.

use belvedere_domain::{ConfigName, Features, SplitName};
use belvedere_engine::call::SchemaReport;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as JsonValue};

use super::{ParquetItem, PreviousJob, known};

/// `config-parquet-and-info`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ParquetAndInfo {
    /// The files of the config, by path.
    pub parquet_files: Vec<ParquetItem>,
    /// What is known about the config.
    pub dataset_info: DatasetInfo,
    /// Extrapolated sizes of splits that were cut, or null.
    pub estimated_dataset_info: Option<EstimatedInfo>,
    /// At least one split was cut.
    pub partial: bool,
    /// How the files differ, where one schema holds them all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_report: Option<SchemaReport>,
}

/// The info of a config.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DatasetInfo {
    /// Text of the card, or empty.
    pub description: String,
    /// Text of the card, or empty.
    pub citation: String,
    /// Text of the card, or empty.
    pub homepage: String,
    /// Text of the card, or empty.
    pub license: String,
    /// Columns in the older spelling; absent when unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub features: Option<JsonValue>,
    /// The reader.
    pub builder_name: String,
    /// The dataset's name in snake case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dataset_name: Option<String>,
    /// The config.
    pub config_name: ConfigName,
    /// Always 0.0.0 unless the card says otherwise.
    pub version: JsonValue,
    /// The splits in order.
    pub splits: IndexMap<SplitName, SplitInfo>,
    /// Bytes of the source files; only for files that were Parquet already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub download_size: Option<u64>,
    /// Bytes of all tables in memory.
    pub dataset_size: u64,
    /// Fields of other versions.
    #[serde(flatten)]
    pub other: Map<String, JsonValue>,
}

impl DatasetInfo {
    /// The columns; `None` where none are stored that this program understands.
    pub fn known_features(&self) -> Option<Features> {
        known(self.features.as_ref())
    }
}

/// The info of a split.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SplitInfo {
    /// Its name.
    pub name: SplitName,
    /// Bytes of its tables in memory.
    pub num_bytes: u64,
    /// Number of rows.
    pub num_examples: u64,
    /// Rows per Parquet file, when there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard_lengths: Option<Vec<u64>>,
    /// The dataset's name in snake case; null for files that were Parquet already.
    pub dataset_name: Option<String>,
}

/// Extrapolated sizes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct EstimatedInfo {
    /// Bytes of the source files.
    pub download_size: u64,
    /// The splits that were cut.
    pub splits: IndexMap<SplitName, SplitInfo>,
    /// Bytes of their tables in memory.
    pub dataset_size: u64,
}

/// `config-info`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConfigInfo {
    /// The info.
    pub dataset_info: DatasetInfo,
    /// At least one split was cut.
    pub partial: bool,
    /// How the files differ, where one schema holds them all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_report: Option<SchemaReport>,
}

/// `dataset-info`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DatasetInfos {
    /// Info by config.
    pub dataset_info: IndexMap<ConfigName, DatasetInfo>,
    /// Missing inputs.
    pub pending: Vec<PreviousJob>,
    /// Failed inputs.
    pub failed: Vec<PreviousJob>,
    /// At least one config was cut.
    pub partial: bool,
}
