//! What every source of datasets offers: names, revisions, files, and news of changes.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

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

    /// Returns when these bytes of a file that [`locate`](Self::locate) has told can be read: of one whose name ends in
    /// [`PARTS_SUFFIX`], parts may be missing. `reading` decides how much comes with them.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    async fn bring(&self, _local_path: &Path, _range: Range<u64>, _reading: Reading) -> Result<(), HubError> {
        Ok(())
    }

    /// The whole file behind a path that [`locate`](Self::locate) has told; `None` when it is that.
    ///
    /// # Errors
    /// As [`locate`](Self::locate).
    async fn complete(&self, _local_path: &Path) -> Result<Option<LocatedFile>, HubError> {
        Ok(None)
    }

    /// Where a dataset of this name would come from.
    fn origin(&self, _dataset: &DatasetName) -> Origin {
        Origin::Folders
    }

    /// What is known of the newest revision without asking anybody outside of this machine.
    ///
    /// # Errors
    /// As [`head`](Self::head).
    async fn known_head(&self, dataset: &DatasetName) -> Result<Option<Head>, HubError> {
        self.head(dataset).await
    }

    /// News from now on. A receiver that falls behind misses the oldest and should look at every dataset again.
    fn subscribe(&self) -> broadcast::Receiver<HubEvent>;
}

/// How a file is going to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reading {
    /// All of it, or large parts.
    Through,
    /// A few spots, mostly its head.
    Spots,
}

/// Suffix of the local paths of files of which parts may be missing. Such a file has no times.
pub const PARTS_SUFFIX: &str = "parts";

/// Most bytes of one [`Hub::read`].
pub const MAX_READ_BYTES: u64 = 64 << 20;

/// Where a dataset comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A folder of this machine. [`Hub::datasets`] names it.
    Folders,
    /// A Hub elsewhere, which has too many datasets to name them: it is asked about those that somebody tells of.
    Remote,
}

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
    /// Private, and of an owner for whom the Hub shows no private datasets.
    pub unpaid: bool,
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
    /// The Hub does not let us read.
    #[error("the Hub refuses `{dataset}`: {reason}")]
    Refused {
        /// The dataset.
        dataset: DatasetName,
        /// Why, and what to do.
        reason: String,
    },
    /// The Hub has turned the dataset off.
    #[error("the Hub has disabled `{0}`")]
    Disabled(DatasetName),
    /// A call of the Hub came to nothing.
    #[error("the Hub cannot be read{}", path.as_ref().map(|path| format!(" ({path})")).unwrap_or_default())]
    Remote {
        /// The file it was about.
        path: Option<String>,
        /// Why.
        #[source]
        source: crate::remote::HttpError,
    },
    /// Downloaded files take all the room there is for them.
    #[error("{path} cannot be downloaded: {reason}")]
    NoRoom {
        /// The file.
        path: String,
        /// What is full, and the way out.
        reason: String,
        /// There is room again when files are no longer in use.
        passing: bool,
    },
    /// What has to be remembered could not be stored or found.
    #[error("revisions and hashes cannot be remembered")]
    Memory(#[source] crate::memory::MemoryError),
}

impl HubError {
    /// True when the same call may succeed later.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Busy(_) | Self::Io { .. } | Self::Memory(_) => true,
            Self::Remote { source, .. } => source.is_passing(),
            Self::NoRoom { passing, .. } => *passing,
            _ => false,
        }
    }
}
