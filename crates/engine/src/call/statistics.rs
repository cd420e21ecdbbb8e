//! What figures of a split are made of, and what comes of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use belvedere_domain::Features;
use serde::{Deserialize, Serialize};

use super::{Budget, ParquetFile, QueryText};
use crate::source::SourceFile;
use crate::statistics::{ColumnStatistics, Frame, Rules};

/// See [`Call::Statistics`](super::Call::Statistics).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Statistics {
    /// The Parquet files of a split in order, with their numbers of rows.
    pub files: Vec<ParquetFile>,
    /// The features of the split; `None`: those of the first file.
    pub features: Option<Features>,
    /// Whose rules the figures follow.
    pub rules: Rules,
    /// Bins of a histogram, at least 1.
    pub histogram_bins: u32,
    /// Distinct texts (null counts as one) up to which a column is one of labels, by our rules.
    pub max_string_labels: usize,
    /// Uncompressed bytes after which no further file is read; `None`: all are.
    pub max_split_bytes: Option<u64>,
    /// Bytes of gathered values in memory; what is beyond them is spilled.
    pub memory_bytes: usize,
    /// Directory for spilled values. Made when it is needed; the files in it have no names.
    pub scratch: PathBuf,
    /// The `hf://datasets/<dataset>@<revision>` of this dataset: media cells with other paths are refused.
    pub repository: String,
    /// Files of the repository that media cells may refer to.
    #[serde(default)]
    pub linked_files: Vec<SourceFile>,
    /// The rows to describe; `None`: all of them.
    #[serde(default)]
    pub selected: Option<SelectedRows>,
}

/// Rows that match a condition, described in the bins of all rows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SelectedRows {
    /// The condition. Its order says nothing.
    pub query: QueryText,
    /// What finding and describing them may cost.
    pub budget: Budget,
    /// The bins of all rows, by column.
    pub frames: BTreeMap<String, Frame>,
}

/// See [`Call::Statistics`](super::Call::Statistics).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SplitStatistics {
    /// Rows of the files that were read, or those of them that were selected.
    pub num_examples: u64,
    /// The columns that the reference describes too, by name in code point order.
    pub statistics: Vec<ColumnStatistics>,
    /// Columns of other types and values inside of columns, by name; none with the rules of the reference.
    pub more_statistics: Vec<ColumnStatistics>,
    /// Files were left out.
    pub partial: bool,
    /// What describes the bins of each column, by name: for [figures of some rows](Frame) beside those of all.
    pub frames: BTreeMap<String, Frame>,
}
