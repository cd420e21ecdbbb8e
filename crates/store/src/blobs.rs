//! Large immutable bytes beside the database: converted Parquet files, assets, indexes.
//!
//! Keys are segments joined by `/`; [`segment`] makes one of any text. In a folder, writes are made durable before
//! they become visible and files are moved in without copying where the file system allows. Other places are what
//! `object_store` knows by URL.

mod folder;

use std::collections::HashMap;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use belvedere_domain::view::DigestBuilder;
use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::local::LocalFileSystem;
use object_store::{ObjectStore, ObjectStoreExt as _, path::Path as ObjectPath};
use tokio::io::AsyncReadExt as _;
use url::Url;

use crate::StoreError;

/// Longest segment that [`segment`] makes, in bytes; file systems take 255 and our temporary names add some.
const MAX_SEGMENT: usize = 200;
/// Part size of uploads; object stores want at least 5 MiB.
const UPLOAD_PART: usize = 8 << 20;

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

/// A place for blobs.
#[derive(Clone, Debug)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
    /// Before every key, in places that are not folders.
    prefix: ObjectPath,
    /// The folder, if it is one.
    root: Option<PathBuf>,
}

impl Blobs {
    /// Opens a folder (a path or a `file:` URL; made when missing) or any other URL that this build supports.
    /// `options` are what such a place needs besides its URL, by the names that `object_store` gives them; folders need
    /// none.
    ///
    /// # Errors
    /// [`StoreError::Blob`] when the folder cannot be made, or the URL or an option is not supported.
    pub fn open(place: &str, options: &[(String, String)]) -> Result<Self, StoreError> {
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| failure("open", place, error);
        let url = place.contains("://").then(|| Url::parse(place)).transpose().map_err(|e| failed(e.into()))?;
        match url {
            Some(url) if url.scheme() != "file" => {
                let options = options.iter().map(|(name, value)| (name, value.as_str()));
                let (store, prefix) = object_store::parse_url_opts(&url, options).map_err(|e| failed(e.into()))?;
                Ok(Self { store: Arc::from(store), prefix, root: None })
            }
            url => {
                let path = match url {
                    Some(url) => url.to_file_path().map_err(|()| failed("this is not a path".into()))?,
                    None => PathBuf::from(place),
                };
                let path = fs::create_dir_all(&path).and_then(|()| fs::canonicalize(&path));
                let path = path.map_err(|e| failed(e.into()))?;
                let store = LocalFileSystem::new_with_prefix(&path).map_err(|e| failed(e.into()))?;
                Ok(Self { store: Arc::new(store), prefix: ObjectPath::default(), root: Some(path) })
            }
        }
    }

    /// Where a blob lies as a file; `None` when blobs are not files here. The file need not exist.
    pub fn local_path(&self, key: &str) -> Option<PathBuf> {
        let root = self.root.as_ref()?;
        is_legal(key).then(|| root.join(key))
    }

    /// Takes a file: it is moved where possible, else copied and deleted. An existing blob is replaced.
    ///
    /// # Errors
    /// [`StoreError::Blob`] when the key is not legal, the file cannot be read or the place refuses.
    pub async fn put_file(&self, key: &str, file: &Path) -> Result<(), StoreError> {
        if let Some(target) = self.checked_path(key)? {
            let file = file.to_owned();
            return self.blocking("store", key, move || folder::move_in(&file, &target)).await;
        }
        let read = |error: io::Error| failure("read the file for", key, error);
        let mut source = tokio::fs::File::open(file).await.map_err(read)?;
        let upload = self.store.put_multipart(&self.object(key)?).await.map_err(|e| failure("store", key, e))?;
        let mut upload = object_store::WriteMultipart::new_with_chunk_size(upload, UPLOAD_PART);
        let mut buffer = vec![0; 1 << 20];
        loop {
            let length = source.read(&mut buffer).await.map_err(read)?;
            if length == 0 {
                break;
            }
            upload.wait_for_capacity(2).await.map_err(|e| failure("store", key, e))?;
            upload.write(&buffer[..length]);
        }
        upload.finish().await.map_err(|e| failure("store", key, e))?;
        tokio::fs::remove_file(file).await.map_err(read)
    }

    /// Stores bytes, replacing an existing blob.
    ///
    /// # Errors
    /// [`StoreError::Blob`] when the key is not legal or the place refuses.
    pub async fn put(&self, key: &str, bytes: Bytes) -> Result<(), StoreError> {
        match self.checked_path(key)? {
            Some(target) => self.blocking("store", key, move || folder::write_in(&bytes, &target)).await,
            None => {
                let put = self.store.put(&self.object(key)?, bytes.into()).await;
                put.map(drop).map_err(|error| failure("store", key, error))
            }
        }
    }

    /// The whole blob; `None` when there is none.
    ///
    /// # Errors
    /// [`StoreError::Blob`] when the key is not legal or the place refuses.
    pub async fn get(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        let path = self.object(key)?;
        let read = async { self.store.get(&path).await?.bytes().await };
        found("read", key, read.await)
    }

    /// Some bytes of a blob, offsets from 0 and end exclusive; `None` when there is no such blob.
    ///
    /// # Errors
    /// [`StoreError::Blob`] when the key is not legal, the range begins beyond the end or the place refuses.
    pub async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Option<Bytes>, StoreError> {
        found("read", key, self.store.get_range(&self.object(key)?, range).await)
    }

    /// What is known of a blob; `None` when there is none.
    ///
    /// # Errors
    /// [`StoreError::Blob`] when the key is not legal or the place refuses.
    pub async fn head(&self, key: &str) -> Result<Option<BlobHead>, StoreError> {
        let meta = found("look at", key, self.store.head(&self.object(key)?).await)?;
        Ok(meta.map(|meta| BlobHead { size: meta.size }))
    }

    /// Deletes a blob if it exists.
    ///
    /// # Errors
    /// [`StoreError::Blob`] when the key is not legal or the place refuses.
    pub async fn delete(&self, key: &str) -> Result<(), StoreError> {
        found("delete", key, self.store.delete(&self.object(key)?).await).map(drop)
    }

    /// Deletes every blob whose key begins with these segments, and the one of exactly this key.
    ///
    /// # Errors
    /// [`StoreError::Blob`] when the key is not legal or the place refuses.
    pub async fn delete_prefix(&self, key: &str) -> Result<(), StoreError> {
        if let Some(path) = self.checked_path(key)? {
            return self.blocking("delete", key, move || folder::remove(&path)).await;
        }
        self.delete(key).await?;
        let prefix = self.object(key)?;
        let keys = Box::pin(self.store.list(Some(&prefix)).map_ok(|meta| meta.location));
        let deleted = self.store.delete_stream(keys).try_for_each(|_| async { Ok(()) });
        deleted.await.map_err(|error| failure("delete", key, error))
    }

    /// The second segments of all keys that begin with `first`, each with the newest change among its blobs, in
    /// microseconds since 1970.
    ///
    /// # Errors
    /// [`StoreError::Blob`] when the key is not legal or the place refuses.
    pub async fn groups(&self, first: &str) -> Result<HashMap<String, i64>, StoreError> {
        let prefix = self.object(first)?;
        let mut groups: HashMap<String, i64> = HashMap::new();
        let mut blobs = self.store.list(Some(&prefix));
        while let Some(blob) = blobs.try_next().await.map_err(|error| failure("list", first, error))? {
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
    /// [`StoreError::Blob`] when the key is not legal or the place refuses.
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
        usage.await.map_err(|error| failure("measure", first, error))
    }

    /// Gives a blob a second key, without taking more room where the place can do that. `false`: there is no such blob.
    /// An existing blob is replaced.
    ///
    /// # Errors
    /// [`StoreError::Blob`] when a key is not legal or the place refuses.
    pub async fn link(&self, from: &str, to: &str) -> Result<bool, StoreError> {
        if let (Some(source), Some(target)) = (self.checked_path(from)?, self.checked_path(to)?) {
            return self.blocking("link", to, move || folder::link(&source, &target)).await;
        }
        Ok(found("link", to, self.store.copy(&self.object(from)?, &self.object(to)?).await)?.is_some())
    }

    fn checked_path(&self, key: &str) -> Result<Option<PathBuf>, StoreError> {
        if is_legal(key) { Ok(self.local_path(key)) } else { Err(failure("accept", key, "the key is not legal")) }
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

fn found<T>(what: &'static str, key: &str, result: object_store::Result<T>) -> Result<Option<T>, StoreError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(failure(what, key, error)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn place() -> (tempfile::TempDir, Blobs) {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path().join("blobs").to_str().unwrap(), &[]).unwrap();
        (folder, blobs)
    }

    #[test]
    fn segments_are_legal_keys_and_tell_texts_apart() {
        let long = "é".repeat(127);
        let texts = ["", "a", ".", "..", "a/b", "a!2fb", "été", "a b", "%41", "A", &long, &format!("{long}x")];
        let segments: HashSet<String> = texts.iter().map(|text| segment(text)).collect();
        assert_eq!(segments.len(), texts.len());
        assert!(segments.iter().all(|segment| is_legal(segment)), "{segments:?}");
    }

    #[tokio::test]
    async fn puts_reads_ranges_and_deletes() {
        let (_folder, blobs) = place();
        blobs.put("a/b/c", Bytes::from_static(b"0123456789")).await.unwrap();
        assert_eq!(blobs.get("a/b/c").await.unwrap().unwrap(), "0123456789");
        assert_eq!(blobs.get_range("a/b/c", 2..5).await.unwrap().unwrap(), "234");
        assert_eq!(blobs.head("a/b/c").await.unwrap(), Some(BlobHead { size: 10 }));
        assert_eq!(fs::read(blobs.local_path("a/b/c").unwrap()).unwrap(), b"0123456789");
        blobs.put("a/b/c", Bytes::from_static(b"new")).await.unwrap();
        assert_eq!(blobs.get("a/b/c").await.unwrap().unwrap(), "new");
        blobs.delete("a/b/c").await.unwrap();
        blobs.delete("a/b/c").await.unwrap();
        assert_eq!(blobs.get("a/b/c").await.unwrap(), None);
        assert_eq!(blobs.get_range("a/b/c", 0..1).await.unwrap(), None);
        assert_eq!(blobs.head("a/b/c").await.unwrap(), None);
    }

    #[tokio::test]
    async fn takes_files_and_leaves_nothing_behind() {
        let (folder, blobs) = place();
        let file = folder.path().join("made");
        fs::write(&file, "parquet").unwrap();
        blobs.put_file("x/data.parquet", &file).await.unwrap();
        assert!(!file.exists());
        assert_eq!(blobs.get("x/data.parquet").await.unwrap().unwrap(), "parquet");
        let names: Vec<_> =
            fs::read_dir(folder.path().join("blobs/x")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["data.parquet"]);
    }

    #[tokio::test]
    async fn linked_blobs_share_their_room_and_live_on_their_own() {
        let (_folder, blobs) = place();
        blobs.put("a/x", Bytes::from_static(b"0123456789")).await.unwrap();
        assert!(blobs.link("a/x", "b/c/y").await.unwrap());
        assert!(blobs.link("a/x", "b/c/y").await.unwrap(), "it may be done twice");
        assert!(!blobs.link("a/missing", "b/z").await.unwrap());
        assert!(blobs.link("a/x", "a/twin").await.unwrap());
        assert_eq!((blobs.usage("a").await.unwrap(), blobs.usage("b").await.unwrap()), (10, 10));
        assert_eq!(blobs.usage("nothing").await.unwrap(), 0);
        blobs.delete_prefix("a").await.unwrap();
        assert_eq!(blobs.get("b/c/y").await.unwrap().unwrap(), "0123456789");
        let names: Vec<_> =
            fs::read_dir(blobs.local_path("b/c").unwrap()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["y"]);
    }

    #[tokio::test]
    async fn groups_are_second_segments() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(&folder.path().to_string_lossy(), &[]).unwrap();
        for key in ["views/a/train/0000.parquet", "views/a/test/0000.parquet", "views/b/x", "other/c/x"] {
            blobs.put(key, Bytes::from_static(b"x")).await.unwrap();
        }
        let groups = blobs.groups("views").await.unwrap();
        let mut names: Vec<_> = groups.keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["a", "b"]);
        assert!(groups.values().all(|changed| *changed > 0));
        assert!(blobs.groups("nothing").await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn other_places_are_named_by_url() {
        let blobs = Blobs::open("memory:///viewer/blobs", &[]).unwrap();
        blobs.put("a/b", Bytes::from_static(b"0123")).await.unwrap();
        assert_eq!(blobs.get_range("a/b", 1..3).await.unwrap().unwrap(), "12");
        assert_eq!(blobs.local_path("a/b"), None);
        blobs.delete_prefix("a").await.unwrap();
        assert_eq!(blobs.get("a/b").await.unwrap(), None);
        let error = Blobs::open("nowhere://viewer", &[]).unwrap_err();
        assert!(error.to_string().contains("nowhere://viewer"), "{error}");
    }

    #[tokio::test]
    async fn prefixes_end_at_segments() {
        let (_folder, blobs) = place();
        for key in ["a/1", "a/2/3", "ab/1"] {
            blobs.put(key, Bytes::from_static(b"x")).await.unwrap();
        }
        blobs.delete_prefix("a").await.unwrap();
        blobs.delete_prefix("missing").await.unwrap();
        assert_eq!(blobs.get("a/2/3").await.unwrap(), None);
        assert!(blobs.get("ab/1").await.unwrap().is_some());
    }

    #[tokio::test]
    async fn keys_cannot_leave_the_folder() {
        let (_folder, blobs) = place();
        for key in ["", "/etc/passwd", "../x", "a//b", "a/../b", "a\\b", "a/.staged-1-1"] {
            assert!(blobs.put(key, Bytes::new()).await.is_err(), "{key}");
            assert!(blobs.get(key).await.is_err(), "{key}");
            assert!(blobs.local_path(key).is_none(), "{key}");
        }
    }
}
