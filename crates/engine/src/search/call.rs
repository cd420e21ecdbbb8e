//! What can be asked of search, as plain data.

use std::path::PathBuf;

use belvedere_domain::Features;
use serde::{Deserialize, Serialize};

use super::{Mode, Rules, Step};
use crate::call::{MediaTarget, PageOfRows, ParquetFile};
use crate::source::SourceFile;

/// See [`Call::Search`](crate::Call::Search).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Search {
    /// The Parquet files of a split in order, with their numbers of rows.
    pub files: Vec<ParquetFile>,
    /// The features that the rows are shown as; `None`: those of the first file.
    pub features: Option<Features>,
    /// What to look for.
    pub query: String,
    /// What a row must hold to match.
    pub mode: Mode,
    /// Where no row matches a query for any or all words, look for its characters inside of words.
    pub or_substring: bool,
    /// What a word is. An index of other rules is not used.
    pub rules: Rules,
    /// The index of the split, if there is one. The answer is the same without.
    pub index: Option<SourceFile>,
    /// Longest time in seconds for reading texts, where that is necessary.
    pub max_seconds: f64,
    /// First match, from 0 in the order of the answer.
    pub offset: u64,
    /// Matches wanted.
    pub length: usize,
    /// Give the rows themselves; else only their numbers.
    pub with_rows: bool,
    /// Tell which texts matched and where.
    pub with_matches: bool,
    /// Where media cells go.
    pub media: MediaTarget,
}

/// Matches, best first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SearchPage {
    /// The rows, if wanted. `num_rows_total` is the number of all rows that match.
    pub page: PageOfRows,
    /// About each of the rows.
    pub matches: Vec<RowMatch>,
    /// What rows had to hold: [`Mode::Substring`] also where that was the way out.
    pub mode: Mode,
    /// Answered by the index alone.
    pub from_index: bool,
}

/// Why a row is among the matches.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RowMatch {
    /// Row of the split, from 0.
    pub row: u64,
    /// BM25; of substrings their number.
    pub score: f64,
    /// The texts that matched.
    pub texts: Vec<TextMatch>,
}

/// Where a text matched.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TextMatch {
    /// The column.
    pub column: String,
    /// The way from the column to the text; empty when the cell is the text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<Step>,
    /// Start and end of what matched, in characters (Unicode code points) from 0, end exclusive, ascending.
    pub spans: Vec<(usize, usize)>,
}

/// See [`Call::BuildSearchIndex`](crate::Call::BuildSearchIndex).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BuildSearchIndex {
    /// The Parquet files of a split in order, with their numbers of rows.
    pub files: Vec<ParquetFile>,
    /// The features of the split; `None`: those of the first file.
    pub features: Option<Features>,
    /// What a word is.
    pub rules: Rules,
    /// The file to write.
    pub output: PathBuf,
    /// Bytes of postings held in memory, about, by all threads together.
    pub memory_bytes: usize,
}

/// What an index holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SearchIndexBuilt {
    /// Bytes of the file.
    pub size: u64,
    /// Rows of the split.
    pub num_rows: u64,
    /// Words of all rows.
    pub num_words: u64,
    /// Bytes of all texts.
    pub num_text_bytes: u64,
    /// The columns that hold text.
    pub columns: Vec<String>,
}
