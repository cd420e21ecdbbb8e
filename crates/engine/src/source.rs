//! Where bytes come from: files that can be read at any range, with proof that they are still the same files.

use std::ops::Range;
use std::path::PathBuf;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::error::EngineError;

/// A sized, immutable sequence of bytes.
pub trait ReadRanges: Send + Sync {
    /// Size in bytes.
    fn size(&self) -> u64;

    /// The bytes of each range (start inclusive, end exclusive), in the order asked. One call may be served by
    /// one request to the storage behind.
    ///
    /// # Errors
    /// [`Changed`](crate::ErrorKind::Changed) when the file is no longer the one that was opened,
    /// [`Io`](crate::ErrorKind::Io) when it cannot be read.
    fn read_ranges(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, EngineError>;
}

/// What tells that a local file is unchanged without reading it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct FileIdentity {
    /// Size in bytes.
    pub size: u64,
    /// Last modification, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Last change of the inode, nanoseconds since 1970.
    pub ctime_ns: i64,
    /// Inode number.
    pub inode: u64,
}

/// A file that a call reads.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SourceFile {
    /// Path inside the dataset or on the conversion branch: for messages, compression suffixes and `hf://` paths.
    pub path: String,
    /// Where it lies on this machine.
    pub local_path: PathBuf,
    /// Size in bytes.
    pub size: u64,
    /// Checked before and after every read; `None` for files that only we write and never change.
    pub identity: Option<FileIdentity>,
}
