//! One cell, whole or a part of it, and what comes of it.

use std::ops::Range;

use belvedere_domain::Features;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{MediaTarget, ParquetFile};

/// See [`Call::Cell`](super::Call::Cell).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cell {
    /// The Parquet files of a split in order, with their numbers of rows.
    pub files: Vec<ParquetFile>,
    /// The features of the split; `None`: those of the first file.
    pub features: Option<Features>,
    /// The row, from 0 in the split.
    pub row: u64,
    /// The name of a column.
    pub column: String,
    /// The bytes wanted; `None`: all of them.
    pub extent: Option<Extent>,
    /// Largest number of bytes fetched by one read.
    pub max_read_bytes: u64,
    /// Where media inside of lists and structs go, and what links to files of the repository look like.
    pub media: MediaTarget,
}

/// A part of something whose size may not be known yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    /// From a byte, counted from 0, up to another one (exclusive) or the end.
    From {
        /// The first byte.
        start: u64,
        /// The byte after the last one; `None`: the end.
        end: Option<u64>,
    },
    /// So many of the last bytes.
    Last(u64),
}

impl Extent {
    /// The part of a value of `size` bytes; `None` where there is no such byte.
    pub fn within(self, size: u64) -> Option<Range<u64>> {
        let range = match self {
            Self::From { start, end } => start..end.unwrap_or(size).min(size),
            Self::Last(length) => size - length.min(size)..size,
        };
        (range.start < range.end).then_some(range)
    }
}

/// See [`Call::Cell`](super::Call::Cell).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CellValue {
    /// There is none.
    Null,
    /// The value itself.
    Content {
        /// What it is, as in `Content-Type`.
        media_type: String,
        /// Bytes of the whole value.
        size: u64,
        /// The bytes wanted; none where [`Extent::within`] is `None`.
        #[serde(with = "super::base64_bytes")]
        bytes: Bytes,
        /// It may have links whose addresses are filled in later, which changes its length: it has no parts, and all of it is
        /// here.
        has_links: bool,
    },
    /// It is a file of the repository.
    Link {
        /// Where that is.
        url: String,
    },
}
