//! The payloads of views, as they are stored and served. Field order is the order on the wire.

mod facts;
mod indexes;
mod info;
mod names;
mod parquet;
mod scans;
mod size;

use std::path::PathBuf;

use belvedere_domain::view::ErrorBody;
use belvedere_domain::{ArtifactKey, ConfigName, DatasetName, Features, SplitName, StepName};
use serde::{Deserialize, Serialize};
use serde_json::Value as JsonValue;

pub use facts::{
    CompatibleLibraries, DescriptiveStatistics, Filetype, Filetypes, ImageUrlColumns, IsValid, Library, LoadingCode,
    Modalities,
};
pub use indexes::{
    ConfigIndexSize, ConfigIndexSizeItem, ConfigIndexSizes, DatasetIndexSize, DatasetIndexSizeItem, DatasetIndexSizes,
    DuckdbIndex, SearchIndex, SplitIndexSize,
};
pub use info::{ConfigInfo, DatasetInfo, DatasetInfos, EstimatedInfo, ParquetAndInfo, SplitInfo};
pub use names::{ConfigItem, ConfigNames, DatasetSplitNames, FailedConfig, SplitItem, SplitNames};
pub use parquet::{
    ConfigParquet, ConfigParquetMetadata, DatasetParquet, FileBehind, LaidOutFile, LayoutCopy, ParquetItem,
    ParquetLayout, ParquetMetadataItem, Place,
};
pub use scans::{OptInOutUrlsCount, OptInOutUrlsScan, PresidioEntitiesCount, PresidioScan, ScannedEntity, ScannedUrl};
pub use size::{ConfigSize, ConfigSizeItem, ConfigSizes, DatasetSize, DatasetSizeItem, DatasetSizes, SplitSize};

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

/// Stored columns; `None` where none are stored that this program understands.
fn known(features: Option<&JsonValue>) -> Option<Features> {
    Features::from_json(features?).ok()
}
