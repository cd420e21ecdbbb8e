//! What the files of a config have in common and where they differ, and the schema that holds them all.

use belvedere_domain::Features;
use belvedere_domain::data_files::ResolvedConfig;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::source::SourceFile;

/// See [`Call::Survey`](super::Call::Survey).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Survey {
    /// What to read and how.
    pub config: ResolvedConfig,
    /// The files behind `config.splits`, by path.
    pub files: Vec<SourceFile>,
}

/// See [`Call::Survey`](super::Call::Survey).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Surveyed {
    /// The schema of all files together.
    pub features: Features,
    /// How they differ.
    pub report: SchemaReport,
}

/// Which file has which columns. "Expected" is what the first table with rows tells: what a strict conversion would ask of
/// all others.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct SchemaReport {
    /// Files with rows.
    pub files: usize,
    /// Those among them that have the expected columns and types.
    pub alike: usize,
    /// The columns of all files together, in the order of the schema.
    pub columns: Vec<ColumnReport>,
    /// Files that differ, in order, up to a limit.
    pub differing: Vec<FileReport>,
    /// Files that differ and are not listed.
    pub left_off: usize,
    /// What to do about it, a sentence for each column that is not the same everywhere, up to a limit.
    pub advice: Vec<String>,
}

/// A column over all files.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ColumnReport {
    /// Its name.
    pub name: String,
    /// What it is served as.
    #[serde(rename = "type")]
    pub kind: String,
    /// The types that it has, each with the number of files.
    pub types: IndexMap<String, usize>,
    /// Files with rows that lack it: there it is null.
    pub missing: usize,
}

/// A file that differs.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct FileReport {
    /// Its path.
    pub file: String,
    /// Its columns with their types, up to a limit.
    pub columns: IndexMap<String, String>,
    /// Where it differs, up to a limit.
    pub differences: Vec<Difference>,
}

/// A column that is not as expected in some file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Difference {
    /// The column.
    pub column: String,
    /// Its type there; `None`: it is missing.
    pub found: Option<String>,
    /// The type expected; `None`: it is not expected at all.
    pub expected: Option<String>,
    /// The first line, from 1, whose value does not fit; `None` where lines are not known.
    pub line: Option<u64>,
}
