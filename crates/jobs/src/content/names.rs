//! Which configs and splits there are.

use belvedere_domain::{ConfigName, DatasetName, SplitName};
use serde::{Deserialize, Serialize};
use serde_json::Value as JsonValue;

/// `dataset-config-names`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConfigNames {
    /// The default config first, then by name.
    pub config_names: Vec<ConfigItem>,
}

/// A config of a dataset.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ConfigItem {
    /// The dataset.
    pub dataset: DatasetName,
    /// The config.
    pub config: ConfigName,
}

/// `config-split-names`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SplitNames {
    /// In the order of the config.
    pub splits: Vec<SplitItem>,
}

/// A split of a config.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SplitItem {
    /// The dataset.
    pub dataset: DatasetName,
    /// The config.
    pub config: ConfigName,
    /// The split.
    pub split: SplitName,
}

/// `dataset-split-names`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DatasetSplitNames {
    /// Config after config.
    pub splits: Vec<SplitItem>,
    /// Configs whose splits are not known yet.
    pub pending: Vec<ConfigItem>,
    /// Configs whose splits could not be listed.
    pub failed: Vec<FailedConfig>,
}

/// A config that failed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FailedConfig {
    /// The dataset.
    pub dataset: DatasetName,
    /// The config.
    pub config: ConfigName,
    /// The stored error.
    pub error: JsonValue,
}
