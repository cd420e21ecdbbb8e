//! Whole files on their way to a place for blobs and back. In folders they are moved and used where they lie; to and from
//! distant places they travel in parts, through the cache of this machine.

use std::io;
use std::path::{Path, PathBuf};

use futures::stream::{self, StreamExt as _};
use object_store::{GetOptions, GetRange, MultipartUpload, ObjectMeta, ObjectStoreExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;

use super::failure::{failure, remote_failure};
use super::{BlobCache, Blobs, PART, Pin, folder};
use crate::StoreError;

/// Parts on their way at the same time.
const PARTS_AT_A_TIME: usize = 3;

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

impl Blobs {
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

    async fn download(&self, key: &str, meta: &ObjectMeta, cache: &BlobCache) -> Result<(), StoreError> {
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
}
