//! The indexes of splits: for search, and as DuckDB files with their sizes.

use belvedere_domain::{ConfigName, DatasetName, SplitName};
use serde::{Deserialize, Serialize};
use serde_json::Value as JsonValue;

use super::PreviousJob;

/// `split-search-index`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SearchIndex {
    /// The dataset.
    pub dataset: DatasetName,
    /// The config.
    pub config: ConfigName,
    /// The split.
    pub split: SplitName,
    /// The columns that hold text; without any there is nothing to search and no index.
    pub columns: Vec<String>,
    /// The stemmer, or null when words count as they are written.
    pub stemmer: Option<String>,
    /// Size of the index in bytes; 0 without one.
    pub size: u64,
    /// Number of rows.
    pub num_rows: u64,
    /// Words of all rows.
    pub num_words: u64,
    /// Bytes of all texts.
    pub num_text_bytes: u64,
    /// Why there is no index although there is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub without_index_because: Option<String>,
}

/// `split-duckdb-index`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DuckdbIndex {
    /// The dataset.
    pub dataset: DatasetName,
    /// The config.
    pub config: ConfigName,
    /// The split.
    pub split: SplitName,
    /// Where it can be fetched.
    pub url: String,
    /// `index.duckdb`, or `partial-index.duckdb` when Parquet files were left out.
    pub filename: String,
    /// Size in bytes.
    pub size: u64,
    /// Columns in the older spelling, with `__hf_index_id`, without the computed ones.
    pub features: JsonValue,
    /// It has a full-text index.
    pub has_fts: bool,
    /// Rows of the split are missing.
    pub partial: bool,
    /// Number of rows.
    pub num_rows: u64,
    /// Bytes of the Parquet files behind it before compression.
    pub num_bytes: u64,
    /// The version of DuckDB that wrote it.
    pub duckdb_version: String,
    /// The stemmer of the full-text index, or null without one.
    pub stemmer: Option<String>,
}

/// Rows and bytes in the DuckDB file of a split.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SplitIndexSize {
    /// The dataset.
    pub dataset: DatasetName,
    /// The config.
    pub config: ConfigName,
    /// The split.
    pub split: SplitName,
    /// It has a full-text index.
    pub has_fts: bool,
    /// Number of rows.
    pub num_rows: u64,
    /// Bytes of the Parquet files behind it before compression.
    pub num_bytes: u64,
}

/// Rows and bytes in the DuckDB files of a config.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ConfigIndexSizeItem {
    /// The dataset.
    pub dataset: DatasetName,
    /// The config.
    pub config: ConfigName,
    /// At least one has a full-text index.
    pub has_fts: bool,
    /// Number of rows.
    pub num_rows: u64,
    /// Bytes of the Parquet files behind them before compression.
    pub num_bytes: u64,
}

/// Rows and bytes in the DuckDB files of a dataset.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DatasetIndexSizeItem {
    /// The dataset.
    pub dataset: DatasetName,
    /// At least one has a full-text index.
    pub has_fts: bool,
    /// Number of rows.
    pub num_rows: u64,
    /// Bytes of the Parquet files behind them before compression.
    pub num_bytes: u64,
}

/// `config-duckdb-index-size`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConfigIndexSize {
    /// Config and splits.
    pub size: ConfigIndexSizes,
    /// Rows of at least one split are missing, or a split has no file.
    pub partial: bool,
}

/// The sizes inside [`ConfigIndexSize`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConfigIndexSizes {
    /// Sums.
    pub config: ConfigIndexSizeItem,
    /// In order.
    pub splits: Vec<SplitIndexSize>,
}

/// `dataset-duckdb-index-size`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DatasetIndexSize {
    /// Dataset, configs and splits.
    pub size: DatasetIndexSizes,
    /// Missing inputs.
    pub pending: Vec<PreviousJob>,
    /// Failed inputs.
    pub failed: Vec<PreviousJob>,
    /// At least one config is partial.
    pub partial: bool,
}

/// The sizes inside [`DatasetIndexSize`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DatasetIndexSizes {
    /// Sums.
    pub dataset: DatasetIndexSizeItem,
    /// In order.
    pub configs: Vec<ConfigIndexSizeItem>,
    /// Config after config.
    pub splits: Vec<SplitIndexSize>,
}
