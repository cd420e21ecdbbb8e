//! The payloads of views, as they are stored and served. Field order is the order on the wire.

mod scans;

use std::path::PathBuf;

use belvedere_domain::view::ErrorBody;
use belvedere_domain::{ArtifactKey, ConfigName, DatasetName, Features, SplitName, StepName};
use belvedere_engine::call::SchemaReport;
use belvedere_engine::statistics::ColumnStatistics;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as JsonValue};

pub use scans::{OptInOutUrlsCount, OptInOutUrlsScan, PresidioEntitiesCount, PresidioScan, ScannedEntity, ScannedUrl};

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

/// An input of an aggregate that is missing or failed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PreviousJob {
    /// The step.
    pub kind: StepName,
    /// The dataset.
    pub dataset: DatasetName,
    /// The config.
    pub config: Option<ConfigName>,
    /// The split.
    pub split: Option<SplitName>,
}

impl From<&ArtifactKey> for PreviousJob {
    fn from(key: &ArtifactKey) -> Self {
        Self {
            kind: key.step.clone(),
            dataset: key.dataset.clone(),
            config: key.config.clone(),
            split: key.split.clone(),
        }
    }
}

/// `dataset-init`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Init {
    /// Steps answered along the way.
    pub successes: Vec<PreviousJob>,
    /// Always empty: a failure is the whole answer.
    pub failed: Vec<PreviousJob>,
}

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

fn known(features: Option<&JsonValue>) -> Option<Features> {
    Features::from_json(features?).ok()
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

/// `split-descriptive-statistics`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DescriptiveStatistics {
    /// Rows that were read.
    pub num_examples: u64,
    /// The columns that the reference describes too, by name.
    pub statistics: Vec<ColumnStatistics>,
    /// The split was cut, or not all of its files were read.
    pub partial: bool,
    /// Columns of other types and values inside of columns, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more_statistics: Vec<ColumnStatistics>,
}

/// `*-is-valid`: which answers there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct IsValid {
    /// First rows.
    pub preview: bool,
    /// Any rows.
    pub viewer: bool,
    /// Full-text search.
    pub search: bool,
    /// Filters.
    pub filter: bool,
    /// Statistics.
    pub statistics: bool,
}

impl IsValid {
    /// What at least one of two has.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            preview: self.preview || other.preview,
            viewer: self.viewer || other.viewer,
            search: self.search || other.search,
            filter: self.filter || other.filter,
            statistics: self.statistics || other.statistics,
        }
    }
}

/// `split-image-url-columns`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ImageUrlColumns {
    /// Names of columns.
    pub columns: Vec<String>,
}

/// `dataset-filetypes`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Filetypes {
    /// In order of first appearance.
    pub filetypes: Vec<Filetype>,
}

/// Files of one suffix.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Filetype {
    /// With its dot, in lower case; empty for files without.
    pub extension: String,
    /// Number of files.
    pub count: u64,
    /// The suffix of the archives that they lie in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archived_in: Option<String>,
    /// The suffix of the compression around them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compressed_in: Option<String>,
}

/// `dataset-modalities`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Modalities {
    /// `3d`, `audio`, `document`, `geospatial`, `image`, `tabular`, `text`, `timeseries`, `video`; sorted.
    pub modalities: Vec<String>,
}

/// `dataset-compatible-libraries`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CompatibleLibraries {
    /// The libraries, the most general one first.
    pub libraries: Vec<Library>,
    /// The format of the files.
    pub formats: Vec<String>,
}

/// How a library loads the dataset.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Library {
    /// Its language.
    pub language: String,
    /// Its name.
    pub library: String,
    /// The function that loads.
    pub function: String,
    /// One piece of code for each config.
    pub loading_codes: Vec<LoadingCode>,
}

/// Code that loads one config.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LoadingCode {
    /// The config.
    pub config_name: ConfigName,
    /// What varies in it.
    pub arguments: Map<String, JsonValue>,
    /// The code.
    pub code: String,
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

/// Error content of a view, for `failed` lists.
pub fn error_of(content: &belvedere_domain::Json) -> JsonValue {
    content.parse().unwrap_or_else(|_| {
        serde_json::to_value(ErrorBody { error: "the stored error cannot be read".into(), cause: None })
            .expect("an error body has a JSON form")
    })
}

/// A file written by a call, to be moved into the store.
#[derive(Clone, Debug)]
pub struct Written {
    /// Where it is now.
    pub from: PathBuf,
    /// Its key as a blob.
    pub key: String,
}
