//! Rows and bytes of splits, configs and datasets.

use belvedere_domain::{ConfigName, DatasetName, SplitName};
use serde::{Deserialize, Serialize};

use super::PreviousJob;

/// Sizes of a split.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SplitSize {
    /// The dataset.
    pub dataset: DatasetName,
    /// The config.
    pub config: ConfigName,
    /// The split.
    pub split: SplitName,
    /// Bytes of its Parquet files.
    pub num_bytes_parquet_files: u64,
    /// Bytes of its tables in memory.
    pub num_bytes_memory: u64,
    /// Number of rows.
    pub num_rows: u64,
    /// Number of columns.
    pub num_columns: u64,
    /// Extrapolated rows when the split was cut.
    pub estimated_num_rows: Option<u64>,
}

/// Sizes of a config.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ConfigSizeItem {
    /// The dataset.
    pub dataset: DatasetName,
    /// The config.
    pub config: ConfigName,
    /// Bytes of the source files, if known.
    pub num_bytes_original_files: Option<u64>,
    /// Bytes of its Parquet files.
    pub num_bytes_parquet_files: u64,
    /// Bytes of its tables in memory.
    pub num_bytes_memory: u64,
    /// Number of rows.
    pub num_rows: u64,
    /// Number of columns.
    pub num_columns: u64,
    /// Extrapolated rows when a split was cut.
    pub estimated_num_rows: Option<u64>,
}

/// Sizes of a dataset.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DatasetSizeItem {
    /// The dataset.
    pub dataset: DatasetName,
    /// Bytes of the source files, if known for every config.
    pub num_bytes_original_files: Option<u64>,
    /// Bytes of its Parquet files.
    pub num_bytes_parquet_files: u64,
    /// Bytes of its tables in memory.
    pub num_bytes_memory: u64,
    /// Number of rows.
    pub num_rows: u64,
    /// Extrapolated rows when a split was cut.
    pub estimated_num_rows: Option<u64>,
}

/// `config-size`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConfigSize {
    /// Config and splits.
    pub size: ConfigSizes,
    /// At least one split was cut.
    pub partial: bool,
}

/// The sizes inside [`ConfigSize`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConfigSizes {
    /// Sums.
    pub config: ConfigSizeItem,
    /// In order.
    pub splits: Vec<SplitSize>,
}

/// `dataset-size`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DatasetSize {
    /// Dataset, configs and splits.
    pub size: DatasetSizes,
    /// Missing inputs.
    pub pending: Vec<PreviousJob>,
    /// Failed inputs.
    pub failed: Vec<PreviousJob>,
    /// At least one config was cut.
    pub partial: bool,
}

/// The sizes inside [`DatasetSize`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DatasetSizes {
    /// Sums.
    pub dataset: DatasetSizeItem,
    /// In order.
    pub configs: Vec<ConfigSizeItem>,
    /// Config after config.
    pub splits: Vec<SplitSize>,
}
