//! The texts of some rows.

use belvedere_domain::Features;
use serde::{Deserialize, Serialize};

use super::ParquetFile;

/// See [`Call::Texts`](super::Call::Texts).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Texts {
    /// The Parquet files of a split in order, with their numbers of rows.
    pub files: Vec<ParquetFile>,
    /// The features of the split; `None`: those of the first file.
    pub features: Option<Features>,
    /// Names of the columns.
    pub columns: Vec<String>,
    /// First row, from 0 in the split.
    pub offset: u64,
    /// Rows wanted.
    pub length: u64,
    /// Longest text of a cell in characters; the rest of it is left out.
    pub max_characters: usize,
    /// The page ends with the table that reaches so many bytes.
    pub max_bytes: usize,
}

/// See [`Call::Texts`](super::Call::Texts).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TextPage {
    /// Rows × columns: the strings of a cell, at any depth, one below the other; empty where there is none. No rows: there
    /// are no more.
    pub rows: Vec<Vec<String>>,
}
