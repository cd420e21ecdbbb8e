//! What every source of datasets offers: names, revisions, files, and news of changes.

use std::io;
use std::ops::Range;
use std::path::PathBuf;

use async_trait::async_trait;
use belvedere_domain::{DatasetName, Manifest, Revision};
use bytes::Bytes;
use tokio::sync::broadcast;

/// A source of datasets.
#[async_trait]
pub trait Hub: Send + Sync {
    /// The datasets there are now, sorted by name.
    async fn datasets(&self) -> Result<Vec<DatasetName>, HubError>;

    /// The newest revision of a dataset and what is known about it; `None` when there is no such dataset.
    async fn head(&self, dataset: &DatasetName) -> Result<Option<Head>, HubError>;

    /// The files of a revision.
    ///
    /// # Errors
    /// [`HubError::DatasetNotFound`]; [`HubError::RevisionGone`] when the revision is not kept.
    async fn manifest(&self, dataset: &DatasetName, revision: &Revision) -> Result<Manifest, HubError>;

    /// Where a file of a revision lies on this machine, with what tells that it is still that file.
    ///
    /// # Errors
    /// As [`manifest`](Self::manifest); [`HubError::FileNotFound`]; [`HubError::RevisionGone`] when the file has
    /// changed since.
    async fn locate(&self, dataset: &DatasetName, revision: &Revision, path: &str) -> Result<LocatedFile, HubError>;

    /// Bytes of a file of a revision: `range` is start inclusive, end exclusive, and is cut at the end of the file.
    ///
    /// # Errors
    /// As [`locate`](Self::locate); [`HubError::TooBig`] for more than [`MAX_READ_BYTES`].
    async fn read(
        &self,
        dataset: &DatasetName,
        revision: &Revision,
        path: &str,
        range: Range<u64>,
    ) -> Result<Bytes, HubError>;

    /// Looks at a dataset now: one of its files turned out to be another one.
    async fn look_again(&self, dataset: &DatasetName);

    /// Looks at a dataset and returns when that is done, so that [`head`](Self::head) tells what is there now.
    ///
    /// # Errors
    /// As [`head`](Self::head).
    async fn look(&self, dataset: &DatasetName) -> Result<(), HubError>;

    /// News from now on. A receiver that falls behind misses the oldest and should look at every dataset again.
    fn subscribe(&self) -> broadcast::Receiver<HubEvent>;
}

/// Most bytes of one [`Hub::read`].
pub const MAX_READ_BYTES: u64 = 64 << 20;

/// The newest revision of a dataset.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Head {
    /// The revision.
    pub revision: Revision,
    /// True while large files are still being hashed. Another revision follows without any change of the files, so
    /// this one must not be pinned.
    pub is_provisional: bool,
    /// When a file was last modified, nanoseconds since 1970.
    pub last_modified_ns: i64,
    /// Readable only with access to the dataset.
    pub private: bool,
    /// Readable only after its terms were accepted.
    pub gated: bool,
    /// Turned off by the Hub.
    pub disabled: bool,
    /// False when the card says `viewer: false`.
    pub viewer: bool,
    /// The `tags` of the card.
    pub tags: Vec<String>,
}

/// A file on this machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LocatedFile {
    /// Path inside the dataset.
    pub path: String,
    /// Where it lies.
    pub local_path: PathBuf,
    /// Size in bytes.
    pub size: u64,
    /// Last modification, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Last change of the inode, nanoseconds since 1970.
    pub ctime_ns: i64,
    /// Inode number.
    pub inode: u64,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HubEvent {
    /// A dataset has a new head revision; its manifest is kept already.
    Updated {
        /// The dataset.
        dataset: DatasetName,
        /// The new head.
        revision: Revision,
        /// Whether large files are still being hashed.
        is_provisional: bool,
    },
    /// A dataset is gone.
    Removed {
        /// The dataset.
        dataset: DatasetName,
    },
    /// Files are being looked through.
    Scanning {
        /// The dataset.
        dataset: DatasetName,
    },
    /// Content is being hashed.
    Hashing {
        /// The dataset.
        dataset: DatasetName,
        /// Bytes hashed so far.
        done_bytes: u64,
        /// Bytes to hash.
        total_bytes: u64,
    },
}

/// Why a hub cannot answer.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// There is no such dataset.
    #[error("there is no dataset `{0}`")]
    DatasetNotFound(DatasetName),
    /// The revision has no such file.
    #[error("`{dataset}` has no file `{path}` at this revision")]
    FileNotFound {
        /// The dataset.
        dataset: DatasetName,
        /// The path asked for.
        path: String,
    },
    /// The revision is not kept, or its files have changed.
    #[error("revision {revision} of `{dataset}` is gone{}", path.as_ref().map(|path| format!(": {path} has changed since")).unwrap_or_default())]
    RevisionGone {
        /// The dataset.
        dataset: DatasetName,
        /// The revision asked for.
        revision: Revision,
        /// The file that has changed, if that is the reason.
        path: Option<String>,
    },
    /// The files are being written; the same call succeeds soon.
    #[error("the files of `{0}` are still being written; try again in a second")]
    Busy(DatasetName),
    /// More bytes than one read may have.
    #[error("{path}: {size} bytes exceed the limit of {limit} bytes for one read")]
    TooBig {
        /// The file.
        path: String,
        /// Bytes asked for.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// The operating system refused.
    #[error("{path} cannot be read")]
    Io {
        /// The file or folder.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What has to be remembered could not be stored or found.
    #[error("revisions and hashes cannot be remembered")]
    Memory(#[source] crate::memory::MemoryError),
}

impl HubError {
    /// True when the same call may succeed later.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Busy(_) | Self::Io { .. } | Self::Memory(_))
    }
}
