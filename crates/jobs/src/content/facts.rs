//! What is told about the data itself: figures, kinds of files, modalities, code that loads it.

use belvedere_domain::ConfigName;
use belvedere_engine::statistics::ColumnStatistics;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as JsonValue};

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
