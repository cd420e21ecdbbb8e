//! The Parquet files of configs and datasets, and where they really lie.

use belvedere_domain::{ConfigName, DatasetName, Features, SplitName};
use serde::{Deserialize, Serialize};
use serde_json::Value as JsonValue;

use super::{PreviousJob, known};

/// A Parquet file as clients see it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ParquetItem {
    /// The dataset.
    pub dataset: DatasetName,
    /// The config.
    pub config: ConfigName,
    /// The split, without prefix.
    pub split: SplitName,
    /// Where it can be fetched.
    pub url: String,
    /// Last segment of its path.
    pub filename: String,
    /// Size in bytes.
    pub size: u64,
}

/// `config-parquet`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConfigParquet {
    /// By split, then file name.
    pub parquet_files: Vec<ParquetItem>,
    /// Columns in the older spelling.
    pub features: Option<JsonValue>,
    /// At least one split was cut.
    pub partial: bool,
}

/// `dataset-parquet`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DatasetParquet {
    /// Config after config.
    pub parquet_files: Vec<ParquetItem>,
    /// Missing inputs.
    pub pending: Vec<PreviousJob>,
    /// Failed inputs.
    pub failed: Vec<PreviousJob>,
    /// At least one config was cut.
    pub partial: bool,
}

/// A Parquet file with its number of rows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ParquetMetadataItem {
    /// The dataset.
    pub dataset: DatasetName,
    /// The config.
    pub config: ConfigName,
    /// The split, without prefix.
    pub split: SplitName,
    /// Where it can be fetched.
    pub url: String,
    /// Last segment of its path.
    pub filename: String,
    /// Size in bytes.
    pub size: u64,
    /// Number of rows.
    pub num_rows: u64,
    /// Path of its footer below the directory of footers.
    pub parquet_metadata_subpath: String,
}

/// `config-parquet-metadata`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConfigParquetMetadata {
    /// By split, then file name.
    pub parquet_files_metadata: Vec<ParquetMetadataItem>,
    /// Columns in the older spelling.
    pub features: Option<JsonValue>,
    /// At least one split was cut.
    pub partial: bool,
}

impl ConfigParquetMetadata {
    /// The columns; `None` where none are stored that this program understands.
    pub fn known_features(&self) -> Option<Features> {
        known(self.features.as_ref())
    }
}

/// Where a converted file really lies. Private: the `internal` part of the views that list Parquet files.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FileBehind {
    /// Path on the conversion branch.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// Number of rows.
    pub num_rows: u64,
    /// Ours or the dataset's own.
    pub place: Place,
}

/// Ours or the dataset's own.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// A blob that we wrote: trusted, in our layout.
    Blob(String),
    /// A file of the dataset, read only by children.
    Source {
        /// Path in the dataset.
        path: String,
        /// Its content at the time.
        content_id: String,
    },
}

/// `config-parquet-layout`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ParquetLayout {
    /// The files whose layout makes pages of rows slow.
    pub files: Vec<LaidOutFile>,
}

/// A Parquet file of poor layout.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LaidOutFile {
    /// Path on the conversion branch.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// Size in bytes of its private copy, if it has one.
    pub copy: Option<u64>,
    /// Why it has none.
    pub left: Option<String>,
}

/// Where the private copy of a file lies. Private: the `internal` part of `config-parquet-layout`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LayoutCopy {
    /// Path of the original on the conversion branch.
    pub path: String,
    /// Content of the original.
    pub content_id: String,
    /// Key of the copy as a blob.
    pub key: String,
    /// Its size in bytes.
    pub size: u64,
}
