//! What can go wrong in the store.

use std::fmt;
use std::sync::Arc;

/// A failure of the database or of its content. Not found is never an error here: methods return `Option`.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached or is shutting down; the same call may succeed later.
    #[error("the database is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The disk of the database is full; the same call may succeed when there is space again.
    #[error("the disk of the database is full")]
    Full(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The database refused a statement: a bug, a lack of rights.
    #[error("the database refused {what}")]
    Database {
        /// The intention, such as `claim a job`.
        what: &'static str,
        /// The driver's error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The SQLite file is not what it was when it was written. Nothing was changed.
    #[error("{path} is damaged: {how}")]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong with it.
        how: String,
    },
    /// The URL names no database we know.
    #[error("`{0}` is not a store URL: expected sqlite:PATH or postgres://USER@HOST/DATABASE")]
    Url(String),
    /// Another process owns the SQLite file.
    #[error("{path} is in use by another process{holder}; one process owns a SQLite store, several need PostgreSQL")]
    InUse {
        /// The file.
        path: String,
        /// ` (pid N)` when known, else empty.
        holder: String,
    },
    /// The schema was made by a newer version.
    #[error("the store has schema version {found}, this program knows versions up to {known}; use a newer program")]
    NewerSchema {
        /// Version in the database.
        found: i64,
        /// Newest version this build knows.
        known: i64,
    },
    /// A view that was to be pointed at again was dropped meanwhile: compute it.
    #[error("the view {0} was dropped meanwhile; compute it again")]
    ViewGone(String),
    /// The blob store refused.
    #[error("the blob store refused to {what} `{key}`")]
    Blob {
        /// The intention, such as `read`.
        what: &'static str,
        /// The key.
        key: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The place of the blobs cannot be reached, or is in trouble; the same call may succeed later.
    #[error("the storage of files is away: it could not {what} `{key}`")]
    BlobsAway {
        /// The intention, such as `read`.
        what: &'static str,
        /// The key.
        key: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A stored value that cannot be read back.
    #[error("the store holds a value that cannot be read: {0}")]
    Corrupt(String),
}

impl StoreError {
    /// True when the same call may succeed later.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Full(_) | Self::ViewGone(_) | Self::BlobsAway { .. })
    }

    /// True when a disk has no space left for what was to be written.
    pub fn is_full(&self) -> bool {
        let lacks_space = |error: &std::io::Error| {
            matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
        };
        let causes = std::iter::successors(std::error::Error::source(self), |error| error.source());
        matches!(self, Self::Full(_))
            || causes.into_iter().any(|error| error.downcast_ref::<std::io::Error>().is_some_and(lacks_space))
    }

    /// The same failure for each of several callers.
    pub(crate) fn copies(self) -> impl Iterator<Item = Self> {
        let failure: Arc<Self> = Arc::new(self);
        std::iter::repeat_with(move || {
            let source = Box::new(Shared(Arc::clone(&failure)));
            match &*failure {
                Self::Database { what, .. } => Self::Database { what, source },
                Self::Full(_) => Self::Full(source),
                failure if failure.is_passing() => Self::Unavailable(source),
                failure => Self::Corrupt(failure.to_string()),
            }
        })
    }

    pub(crate) fn unavailable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unavailable(source.into())
    }

    pub(crate) fn full(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Full(source.into())
    }

    pub(crate) fn database(what: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Database { what, source: source.into() }
    }

    pub(crate) fn corrupt(error: impl fmt::Display) -> Self {
        Self::Corrupt(error.to_string())
    }
}

/// What lies behind a failure that several callers learn of.
#[derive(Debug)]
struct Shared(Arc<StoreError>);

impl fmt::Display for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match std::error::Error::source(&*self.0) {
            Some(source) => write!(formatter, "{source}"),
            None => write!(formatter, "{}", self.0),
        }
    }
}

impl std::error::Error for Shared {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&*self.0).and_then(std::error::Error::source)
    }
}
