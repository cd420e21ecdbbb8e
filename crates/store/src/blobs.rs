//! Large immutable bytes beside the database: converted Parquet files, assets, indexes.
//!
//! Keys are segments joined by `/`; [`segment`] makes one of any text. In a folder, writes are made durable before
//! they become visible and files are moved in without copying where the file system allows. In S3 they are uploaded in
//! parts, and read by ranges or as whole files through a bounded cache on this machine.

mod cache;
mod failure;
mod folder;
mod groups;
mod key;
mod reader;
mod s3;
mod transfer;

use std::fmt;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::signer::Signer;
use object_store::{ObjectStore, ObjectStoreExt as _, path::Path as ObjectPath};
use tokio::runtime::Handle;

use crate::StoreError;

pub use cache::{BlobCache, Pin};
use failure::{failure, remote_failure};
pub use groups::{Usage, usage_of_folder};
use key::is_legal;
pub use key::{segment, text_of};
pub use reader::{BlobReader, ReadError};
pub use s3::{S3, S3Identity};
pub use transfer::Fetched;

/// Part size of uploads and downloads; object stores want at least 5 MiB.
const PART: usize = 8 << 20;

/// What is known of a blob without reading it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlobHead {
    /// Size in bytes.
    pub size: u64,
}

/// A place for blobs. Cheap to clone.
#[derive(Clone)]
pub struct Blobs {
    /// For messages.
    name: Arc<str>,
    store: Arc<dyn ObjectStore>,
    /// Before every key, in places that are not folders.
    prefix: ObjectPath,
    /// The folder, if it is one.
    root: Option<PathBuf>,
    /// What this machine keeps of a place that is not.
    cache: Option<BlobCache>,
    /// Makes links, where the place knows such.
    signer: Option<Arc<dyn Signer>>,
}

impl fmt::Debug for Blobs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Clients hold keys; their own words are not trusted to leave them out.
        write!(formatter, "Blobs({})", self.name)
    }
}

impl Blobs {
    /// Opens a folder, which is made when missing.
    ///
    /// # Errors
    /// [`StoreError::Blob`] when the folder cannot be made.
    pub fn folder(path: &Path) -> Result<Self, StoreError> {
        let name = path.display().to_string();
        let made = fs::create_dir_all(path).and_then(|()| fs::canonicalize(path));
        let path = made.map_err(|error| failure("open", &name, error))?;
        let store = LocalFileSystem::new_with_prefix(&path).map_err(|error| failure("open", &name, error))?;
        let prefix = ObjectPath::default();
        Ok(Self { name: name.into(), store: Arc::new(store), prefix, root: Some(path), cache: None, signer: None })
    }

    /// Opens a bucket. Nothing is asked of it yet; [`check`](Self::check) does that.
    ///
    /// # Errors
    /// [`StoreError::Blob`] when the settings make no sense.
    pub fn s3(settings: &S3) -> Result<Self, StoreError> {
        let client = Arc::new(settings.client()?);
        let prefix =
            ObjectPath::parse(&settings.prefix).map_err(|error| failure("open", &settings.to_string(), error))?;
        let (store, signer) = (Arc::clone(&client) as _, Some(client as _));
        Ok(Self { name: settings.to_string().into(), store, prefix, root: None, cache: None, signer })
    }

    /// A place in memory that is no folder, for tests of what distant places share.
    pub fn memory() -> Self {
        let prefix = ObjectPath::from("viewer/blobs");
        Self { name: "memory".into(), store: Arc::new(InMemory::new()), prefix, root: None, cache: None, signer: None }
    }

    /// Keeps what is read of a distant place in a cache. Folders need none.
    #[must_use]
    pub fn with_cache(mut self, cache: BlobCache) -> Self {
        self.cache = self.root.is_none().then_some(cache);
        self
    }

    /// The path or the URL, for messages and to tell places apart.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// True for a folder: its blobs are files.
    pub fn is_folder(&self) -> bool {
        self.root.is_some()
    }

    /// Asks the place for the names of blobs that are not there, to learn whether we may.
    ///
    /// # Errors
    /// [`StoreError::BlobsAway`] when it cannot be reached, [`StoreError::Blob`] when there is no such bucket, or we
    /// may not use it.
    pub async fn check(&self) -> Result<(), StoreError> {
        if self.is_folder() {
            return Ok(());
        }
        let prefix: ObjectPath = self.prefix.parts().chain(std::iter::once("check".into())).collect();
        let mut listed = self.store.list(Some(&prefix));
        listed.try_next().await.map(drop).map_err(|error| remote_failure("list", &self.name, error))
    }

    /// Where a blob lies as a file; in a distant place, where it lies while this machine keeps all of it
    /// ([`fetch`](Self::fetch)). The file need not exist. `None` without a cache.
    pub fn local_path(&self, key: &str) -> Option<PathBuf> {
        if !is_legal(key) {
            return None;
        }
        match (&self.root, &self.cache) {
            (Some(root), _) => Some(root.join(key)),
            (None, cache) => cache.as_ref().map(|cache| cache.path_of(key)),
        }
    }

    /// The key of the path of a distant blob, as [`local_path`](Self::local_path) gave it.
    pub fn distant_key(&self, path: &Path) -> Option<String> {
        self.cache.as_ref()?.key_of(path)
    }

    /// Stores bytes, replacing an existing blob.
    ///
    /// # Errors
    /// As [`put_file`](Self::put_file).
    pub async fn put(&self, key: &str, bytes: Bytes) -> Result<(), StoreError> {
        match self.checked_path(key)? {
            Some(target) => self.blocking("store", key, move || folder::write_in(&bytes, &target)).await,
            None => {
                let put = self.store.put(&self.object(key)?, bytes.into()).await;
                self.forget(key);
                put.map(drop).map_err(|error| remote_failure("store", key, error))
            }
        }
    }

    /// The whole blob; `None` when there is none.
    ///
    /// # Errors
    /// [`StoreError::Blob`] when the key is not legal or the place refuses, [`StoreError::BlobsAway`] when it cannot be
    /// reached.
    pub async fn get(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        let path = self.object(key)?;
        let read = async { self.store.get(&path).await?.bytes().await };
        self.found("read", key, read.await)
    }

    /// Some bytes of a blob, offsets from 0 and end exclusive; `None` when there is no such blob.
    ///
    /// # Errors
    /// As [`get`](Self::get); also when the range begins beyond the end.
    pub async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Option<Bytes>, StoreError> {
        self.found("read", key, self.store.get_range(&self.object(key)?, range).await)
    }

    /// The bytes of a range of a blob of a distant place, piece by piece, as they are asked for.
    pub fn stream(&self, key: &str, range: Range<u64>) -> BoxStream<'static, Result<Bytes, StoreError>> {
        let pieces: Vec<Range<u64>> = (range.start..range.end)
            .step_by(PART / 2)
            .map(|start| start..range.end.min(start + PART as u64 / 2))
            .collect();
        let (blobs, key) = (self.clone(), key.to_owned());
        let fetch = move |piece| {
            let (blobs, key) = (blobs.clone(), key.clone());
            async move {
                let bytes = blobs.get_range(&key, piece).await?;
                bytes.ok_or_else(|| failure("read", &key, "it is gone"))
            }
        };
        stream::iter(pieces).map(fetch).buffered(2).boxed()
    }

    /// What is known of a blob; `None` when there is none.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn head(&self, key: &str) -> Result<Option<BlobHead>, StoreError> {
        let meta = self.found("look at", key, self.store.head(&self.object(key)?).await)?;
        Ok(meta.map(|meta| BlobHead { size: meta.size }))
    }

    /// Opens a distant blob to be read by ranges, from threads that may block. `runtime` carries the requests.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn reader(&self, key: &str, size: u64, runtime: &Handle) -> Result<BlobReader, ReadError> {
        BlobReader::open(self, key, size, runtime)
    }

    /// A link by which anybody may read a blob for that long; `None` where the place knows no such links.
    ///
    /// # Errors
    /// [`StoreError::Blob`] when the key is not legal, or no credentials are to be had.
    pub async fn link_to(&self, key: &str, good_for: Duration) -> Result<Option<String>, StoreError> {
        let Some(signer) = &self.signer else { return Ok(None) };
        let url = signer.signed_url(http::Method::GET, &self.object(key)?, good_for).await;
        url.map(|url| Some(url.into())).map_err(|error| remote_failure("sign a link to", key, error))
    }

    /// Deletes a blob if it exists.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.forget(key);
        self.found("delete", key, self.store.delete(&self.object(key)?).await).map(drop)
    }

    /// Gives a blob a second key, without taking more room where the place can do that. `false`: there is no such blob.
    /// An existing blob is replaced.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn link(&self, from: &str, to: &str) -> Result<bool, StoreError> {
        if let (Some(source), Some(target)) = (self.checked_path(from)?, self.checked_path(to)?) {
            return self.blocking("link", to, move || folder::link(&source, &target)).await;
        }
        let copied = self.found("link", to, self.store.copy(&self.object(from)?, &self.object(to)?).await)?;
        self.forget(to);
        Ok(copied.is_some())
    }

    fn forget(&self, key: &str) {
        if let Some(cache) = &self.cache {
            cache.forget(key);
        }
    }

    /// The path of a blob in a folder.
    fn checked_path(&self, key: &str) -> Result<Option<PathBuf>, StoreError> {
        if !is_legal(key) {
            return Err(failure("accept", key, "the key is not legal"));
        }
        Ok(self.root.as_ref().map(|root| root.join(key)))
    }

    fn object(&self, key: &str) -> Result<ObjectPath, StoreError> {
        self.checked_path(key)?;
        let segments = key.split('/').map(Into::into);
        Ok(self.prefix.parts().chain(segments).collect())
    }

    async fn blocking<T: Send + 'static>(
        &self,
        what: &'static str,
        key: &str,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let result = tokio::task::spawn_blocking(work).await.map_err(StoreError::unavailable)?;
        result.map_err(|error| failure(what, key, error))
    }

    fn found<T>(
        &self,
        what: &'static str,
        key: &str,
        result: object_store::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.refused(what, key, error)),
        }
    }

    fn refused(&self, what: &'static str, key: &str, error: object_store::Error) -> StoreError {
        if self.is_folder() { failure(what, key, error) } else { remote_failure(what, key, error) }
    }
}
