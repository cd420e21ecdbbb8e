//! Many blobs at once, by how their keys begin: deleting, listing, measuring.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use futures::TryStreamExt as _;
use object_store::ObjectMeta;
use object_store::path::Path as ObjectPath;

use super::failure::remote_failure;
use super::{Blobs, folder};
use crate::StoreError;

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

impl Blobs {
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
        let add = |sum: Usage, meta: ObjectMeta| async move {
            Ok(Usage { bytes: sum.bytes + meta.size, objects: sum.objects + 1 })
        };
        let usage = self.store.list(Some(&prefix)).try_fold(Usage::default(), add);
        usage.await.map_err(|error| remote_failure("measure", first, error))
    }

    fn forget_object(&self, location: &ObjectPath) {
        if let Some(rest) = location.prefix_match(&self.prefix) {
            let segments: Vec<_> = rest.map(|part| part.as_ref().to_owned()).collect();
            self.forget(&segments.join("/"));
        }
    }
}
