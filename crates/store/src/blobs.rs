//! Large immutable bytes beside the database: converted Parquet files, assets, indexes.
//!
//! Keys are segments joined by `/`; [`segment`] makes one of any text. In a folder, writes are made durable before
//! they become visible and files are moved in without copying where the file system allows. In S3 they are uploaded in
//! parts, and read by ranges or as whole files through a bounded cache on this machine.

mod cache;
mod folder;
mod reader;
mod s3;

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use belvedere_domain::view::DigestBuilder;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::signer::Signer;
use object_store::{GetOptions, GetRange, MultipartUpload, ObjectStore, ObjectStoreExt as _, path::Path as ObjectPath};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::StoreError;

pub use cache::{BlobCache, Pin};
pub use reader::{BlobReader, ReadError};
pub use s3::{S3, S3Identity};

/// Longest segment that [`segment`] makes, in bytes; file systems take 255 and our temporary names add some.
const MAX_SEGMENT: usize = 200;
/// Part size of uploads and downloads; object stores want at least 5 MiB.
const PART: usize = 8 << 20;
/// Parts on their way at the same time.
const PARTS_AT_A_TIME: usize = 3;

/// What is known of a blob without reading it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlobHead {
    /// Size in bytes.
    pub size: u64,
}

/// What blobs take.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// Their size in bytes.
    pub bytes: u64,
    /// Their number.
    pub objects: u64,
}

/// What the files of any folder take, those below included; nothing where there is no folder. Files of several names
/// count once.
///
/// # Errors
/// When it cannot be listed.
pub fn usage_of_folder(path: &Path) -> io::Result<Usage> {
    folder::usage(path)
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

/// A blob as a file of this machine, which stays there as long as this lives.
#[derive(Debug)]
pub struct Fetched {
    path: PathBuf,
    _pin: Option<Pin>,
}

impl Fetched {
    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }
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

    /// Takes a file: it is moved where possible, else copied and deleted. An existing blob is replaced.
    ///
    /// # Errors
    /// [`StoreError::Blob`] when the key is not legal, the file cannot be read or the place refuses,
    /// [`StoreError::BlobsAway`] when it cannot be reached.
    pub async fn put_file(&self, key: &str, file: &Path) -> Result<(), StoreError> {
        if let Some(target) = self.checked_path(key)? {
            let file = file.to_owned();
            return self.blocking("store", key, move || folder::move_in(&file, &target)).await;
        }
        let read = |error: io::Error| failure("read the file for", key, error);
        let size = tokio::fs::metadata(file).await.map_err(read)?.len();
        if size <= PART as u64 {
            let bytes = tokio::fs::read(file).await.map_err(read)?;
            self.put(key, bytes.into()).await?;
        } else {
            let object = self.object(key)?;
            let started = self.store.put_multipart(&object).await;
            let mut upload = started.map_err(|error| remote_failure("store", key, error))?;
            if let Err(error) = self.upload(key, file, upload.as_mut()).await {
                // Else its parts stay, unseen and paid for.
                let _ = upload.abort().await;
                return Err(error);
            }
        }
        match &self.cache {
            Some(cache) => {
                let (cache, key_, file) = (cache.clone(), key.to_owned(), file.to_owned());
                self.blocking("keep a copy of", key, move || cache.adopt(&key_, &file, size)).await
            }
            None => tokio::fs::remove_file(file).await.map_err(read),
        }
    }

    async fn upload(&self, key: &str, file: &Path, upload: &mut dyn MultipartUpload) -> Result<(), StoreError> {
        let read = |error: io::Error| failure("read the file for", key, error);
        let refused = |error| remote_failure("store", key, error);
        let mut source = tokio::fs::File::open(file).await.map_err(read)?;
        let mut parts: JoinSet<object_store::Result<()>> = JoinSet::new();
        loop {
            let mut part = Vec::with_capacity(PART);
            (&mut source).take(PART as u64).read_to_end(&mut part).await.map_err(read)?;
            if part.is_empty() {
                break;
            }
            if parts.len() >= PARTS_AT_A_TIME
                && let Some(done) = parts.join_next().await
            {
                done.map_err(StoreError::unavailable)?.map_err(refused)?;
            }
            parts.spawn(upload.put_part(part.into()));
        }
        while let Some(done) = parts.join_next().await {
            done.map_err(StoreError::unavailable)?.map_err(refused)?;
        }
        upload.complete().await.map(drop).map_err(refused)
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

    /// The blob as a file of this machine, downloaded if it is not there yet; `None` when there is none. `size` is what
    /// it must have, if that is known: another one on this machine is fetched anew.
    ///
    /// # Errors
    /// As [`get`](Self::get); also when the cache has no room for it, or there is no cache.
    pub async fn fetch(&self, key: &str, size: Option<u64>) -> Result<Option<Fetched>, StoreError> {
        if let Some(path) = self.checked_path(key)? {
            return Ok(path.is_file().then_some(Fetched { path, _pin: None }));
        }
        let Some(cache) = &self.cache else { return Err(failure("fetch", key, "there is no cache for distant blobs")) };
        let kept = || cache.pin(key, size).map(|pin| Fetched { path: pin.path(), _pin: Some(pin) });
        if let Some(kept) = kept() {
            return Ok(Some(kept));
        }
        let _turn = cache.turn(key).await;
        if let Some(kept) = kept() {
            return Ok(Some(kept));
        }
        let meta = self.found("fetch", key, self.store.head(&self.object(key)?).await)?;
        let Some(meta) = meta else { return Ok(None) };
        let pin = cache.reserve(key, meta.size).map_err(|error| failure("fetch", key, error))?;
        match self.download(key, &meta, cache).await {
            Ok(()) => {
                pin.ready();
                Ok(Some(Fetched { path: pin.path(), _pin: Some(pin) }))
            }
            Err(error) => {
                pin.give_up();
                Err(error)
            }
        }
    }

    async fn download(&self, key: &str, meta: &object_store::ObjectMeta, cache: &BlobCache) -> Result<(), StoreError> {
        let (temporary, target) = (cache.temporary(), cache.path_of(key));
        let write = |error: io::Error| failure("keep a copy of", key, error);
        let fetched = async {
            let mut file = tokio::fs::File::create(&temporary).await.map_err(write)?;
            let fetch = |start: u64| {
                let range = start..meta.size.min(start + PART as u64);
                let options = GetOptions {
                    range: Some(GetRange::Bounded(range)),
                    if_match: meta.e_tag.clone(),
                    ..GetOptions::default()
                };
                async move { self.store.get_opts(&meta.location, options).await?.bytes().await }
            };
            let mut parts = stream::iter((0..meta.size).step_by(PART)).map(fetch).buffered(PARTS_AT_A_TIME);
            while let Some(part) = parts.next().await {
                let part = part.map_err(|error| remote_failure("fetch", key, error))?;
                file.write_all(&part).await.map_err(write)?;
            }
            file.flush().await.map_err(write)?;
            if let Some(folder) = target.parent() {
                tokio::fs::create_dir_all(folder).await.map_err(write)?;
            }
            tokio::fs::rename(&temporary, &target).await.map_err(write)
        };
        let fetched = fetched.await;
        if fetched.is_err() {
            let _ = tokio::fs::remove_file(&temporary).await;
        }
        fetched
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

    /// Deletes every blob whose key begins with these segments, and the one of exactly this key.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn delete_prefix(&self, key: &str) -> Result<(), StoreError> {
        if let Some(path) = self.checked_path(key)? {
            return self.blocking("delete", key, move || folder::remove(&path)).await;
        }
        self.delete(key).await?;
        let prefix = self.object(key)?;
        let keys = Box::pin(self.store.list(Some(&prefix)).map_ok(|meta| meta.location));
        let mut deleted = self.store.delete_stream(keys);
        while let Some(location) = deleted.try_next().await.map_err(|error| remote_failure("delete", key, error))? {
            self.forget_object(&location);
        }
        Ok(())
    }

    /// Deletes the blobs whose key begins with these segments and that have not changed since `before`, in microseconds
    /// since 1970. What somebody writes there meanwhile stays.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn delete_older(&self, key: &str, before: i64) -> Result<(), StoreError> {
        if let Some(path) = self.checked_path(key)? {
            return self.blocking("delete", key, move || folder::remove_older(&path, before)).await;
        }
        let prefix = self.object(key)?;
        let old = self.store.list(Some(&prefix)).try_filter_map(move |meta| {
            let is_old = meta.last_modified.timestamp_micros() < before;
            futures::future::ok(is_old.then_some(meta.location))
        });
        let mut deleted = self.store.delete_stream(Box::pin(old));
        while let Some(location) = deleted.try_next().await.map_err(|error| remote_failure("delete", key, error))? {
            self.forget_object(&location);
        }
        Ok(())
    }

    /// The second segments of all keys that begin with `first`, each with the newest change among its blobs, in
    /// microseconds since 1970.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn groups(&self, first: &str) -> Result<HashMap<String, i64>, StoreError> {
        let prefix = self.object(first)?;
        let mut groups: HashMap<String, i64> = HashMap::new();
        let mut blobs = self.store.list(Some(&prefix));
        while let Some(blob) = blobs.try_next().await.map_err(|error| self.refused("list", first, error))? {
            let Some(group) = blob.location.prefix_match(&prefix).and_then(|mut rest| rest.next()) else { continue };
            let newest = groups.entry(group.as_ref().to_owned()).or_default();
            *newest = (*newest).max(blob.last_modified.timestamp_micros());
        }
        Ok(groups)
    }

    /// Bytes that all blobs take whose keys begin with the segment `first`; what [`link`](Self::link) lets several keys
    /// share counts once.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn usage(&self, first: &str) -> Result<u64, StoreError> {
        Ok(self.measure(first).await?.bytes)
    }

    /// Bytes and number of all blobs whose keys begin with `first/`. Blobs that share their room count once in a folder.
    ///
    /// # Errors
    /// [`StoreError::Blob`] when they cannot be listed.
    pub async fn measure(&self, first: &str) -> Result<Usage, StoreError> {
        if let Some(path) = self.checked_path(first)? {
            return self.blocking("measure", first, move || folder::usage(&path)).await;
        }
        let prefix = self.object(first)?;
        let add = |sum: Usage, meta: object_store::ObjectMeta| async move {
            Ok(Usage { bytes: sum.bytes + meta.size, objects: sum.objects + 1 })
        };
        let usage = self.store.list(Some(&prefix)).try_fold(Usage::default(), add);
        usage.await.map_err(|error| remote_failure("measure", first, error))
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

    fn forget_object(&self, location: &ObjectPath) {
        if let Some(rest) = location.prefix_match(&self.prefix) {
            let segments: Vec<_> = rest.map(|part| part.as_ref().to_owned()).collect();
            self.forget(&segments.join("/"));
        }
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

/// One segment of a key for any text, different for different texts: letters, digits, `-`, `_`, `.` and `=` stay, all else is
/// escaped as `!` and two hexadecimal digits, and what would be too long is cut and ends with its digest.
pub fn segment(text: &str) -> String {
    let mut segment = String::with_capacity(text.len());
    for (at, byte) in text.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'=') || (byte == b'.' && at > 0);
        if plain {
            segment.push(char::from(byte));
        } else {
            segment.push_str(&format!("!{byte:02x}"));
        }
    }
    if segment.is_empty() {
        return "!".to_owned();
    }
    if segment.len() > MAX_SEGMENT {
        let digest = DigestBuilder::new("blob-key", 1).part("text", text).finish().to_hex();
        segment.truncate(MAX_SEGMENT - digest.len() - 2);
        // No escape yields `!!`, so a cut segment never equals a whole one.
        segment.push_str("!!");
        segment.push_str(&digest);
    }
    segment
}

/// The text that a [`segment`] was made of; `None` for one that was cut, and for what is none.
pub fn text_of(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut parts = segment.split('!');
    bytes.extend_from_slice(parts.next()?.as_bytes());
    for part in parts {
        let digits = part.get(..2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).ok().filter(|text| !text.is_empty())
}

fn is_legal(key: &str) -> bool {
    let legal = |segment: &str| {
        !segment.is_empty()
            && segment.len() <= 255
            && !segment.starts_with('.')
            && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.!=".contains(&byte))
    };
    key.split('/').all(legal) && Path::new(key).components().all(|part| matches!(part, Component::Normal(_)))
}

fn failure(what: &'static str, key: &str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::Blob { what, key: key.to_owned(), source: source.into() }
}

/// What a distant place says. All that has no kind of its own is the network, or the server in trouble, after retries;
/// unless the server answered that the request is at fault.
fn remote_failure(what: &'static str, key: &str, error: object_store::Error) -> StoreError {
    let passes = match status_of(&error) {
        Some(status) => matches!(status, 408 | 425 | 429 | 500..),
        None => matches!(error, object_store::Error::Generic { .. } | object_store::Error::JoinError { .. }),
    };
    if passes {
        StoreError::BlobsAway { what, key: key.to_owned(), source: Box::new(error) }
    } else {
        failure(what, key, error)
    }
}

/// The status of the answer behind an error. The client tells it in words only.
fn status_of(error: &object_store::Error) -> Option<u16> {
    let text = error.to_string();
    let (_, rest) = text.split_once("status code: ")?;
    rest.get(..3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn segments_are_legal_keys_and_tell_texts_apart() {
        let long = "é".repeat(127);
        let texts = ["", "a", ".", "..", "a/b", "a!2fb", "été", "a b", "%41", "A", &long, &format!("{long}x")];
        let segments: HashSet<String> = texts.iter().map(|text| segment(text)).collect();
        assert_eq!(segments.len(), texts.len());
        assert!(segments.iter().all(|segment| is_legal(segment)), "{segments:?}");
        for text in texts.iter().filter(|text| text.len() < 50 && !text.is_empty()) {
            assert_eq!(text_of(&segment(text)).as_deref(), Some(*text));
        }
        assert_eq!(text_of(&segment(&long.repeat(2))), None, "a cut one tells nothing");
    }
}
