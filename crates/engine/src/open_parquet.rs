//! Parquet files for readers other than ours: footers at hand, bytes for as long as a file stays the one that was listed.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use belvedere_domain::Features;
use bytes::Bytes;
use parquet::file::metadata::ParquetMetaData;

use crate::call::ParquetFile;
use crate::error::EngineError;
use crate::footers::{Footer, FooterCache, check_num_rows};
use crate::ranges::Ranges;
use crate::source::ReadRanges;

/// A Parquet file, opened.
#[derive(Clone)]
pub struct OpenParquet {
    ranges: Ranges,
    footer: Arc<Footer>,
}

impl OpenParquet {
    /// Opens a file that was listed.
    ///
    /// # Errors
    /// [`Changed`](crate::ErrorKind::Changed) when it is not the file that was listed; those of opening and reading.
    pub fn open(file: &ParquetFile, cache: &FooterCache) -> Result<Self, EngineError> {
        let (ranges, footer) = cache.open(&file.file)?;
        check_num_rows(&footer, file.num_rows, &file.file.path)?;
        Ok(Self { ranges, footer })
    }

    /// Its footer with the page index, if it has one.
    pub fn metadata(&self) -> &Arc<ParquetMetaData> {
        self.footer.arrow.metadata()
    }

    /// As [`Footer::features`].
    ///
    /// # Errors
    /// As [`Footer::features`].
    pub fn features(&self) -> Result<&Features, EngineError> {
        self.footer.features()
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.ranges.size()
    }

    /// The bytes of each range.
    ///
    /// # Errors
    /// [`Changed`](crate::ErrorKind::Changed) when it is no longer the file that was opened; those of reading.
    pub fn read(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, EngineError> {
        self.ranges.read_ranges(ranges)
    }
}

impl fmt::Debug for OpenParquet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenParquet").field("size", &self.size()).finish_non_exhaustive()
    }
}
