//! The call that makes a DuckDB file of a split. Carried out by programs that come with DuckDB.

use std::path::PathBuf;

use belvedere_domain::Features;
use serde::{Deserialize, Serialize};

use super::{MediaTarget, ParquetFile};

/// See [`Call::DuckdbIndex`](super::Call::DuckdbIndex).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DuckdbIndex {
    /// The Parquet files of the split in order.
    pub files: Vec<ParquetFile>,
    /// The columns of the split; `None`: those of the first file.
    pub features: Option<Features>,
    /// Files are taken in order until their row groups hold more than this many bytes before compression; at least one
    /// is taken. `None`: all.
    pub max_bytes: Option<u64>,
    /// Directory that the database is written into. Holds nothing else that matters.
    pub output: PathBuf,
    /// Stemmer of the full-text index, by its name in DuckDB.
    pub stemmer: String,
    /// Directory of the extensions of DuckDB; without `fts` in it there is no full-text index.
    pub extensions: Option<PathBuf>,
    /// Bytes of memory that DuckDB may hold; the rest goes to disk, into `output`.
    pub memory_bytes: u64,
    /// Where images that lie beside the data are found: their sizes are columns of the index.
    pub media: MediaTarget,
}

/// See [`Call::DuckdbIndex`](super::Call::DuckdbIndex).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DuckdbIndexed {
    /// The database, relative to the output.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// How many of the files it holds, from the first on.
    pub files: usize,
    /// Number of rows.
    pub num_rows: u64,
    /// Bytes of the row groups before compression.
    pub num_bytes: u64,
    /// The stemmer of the full-text index; `None` without one.
    pub stemmer: Option<String>,
    /// Why there is no full-text index, for operators.
    pub without_text_because: Option<String>,
    /// The version of DuckDB, such as `v1.5.5`.
    pub duckdb_version: String,
}
