//! Questions about datasets and their files: the [`Hub`] side of a [`LocalHub`].

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use belvedere_domain::{DatasetName, Manifest, Revision};
use bytes::Bytes;
use tokio::sync::broadcast;

use super::dataset::Dataset;
use super::due::{Due, Place};
use super::hashing;
use super::scan::Look;
use super::walk::{FileIdentity, SeenFile};
use super::{LocalHub, blocking};
use crate::card::{Card, CardFiles, MAX_CARD_BYTES, OVERRIDES_PATH, README_PATH};
use crate::hub::{Head, Hub, HubError, HubEvent, LocatedFile, MAX_READ_BYTES};

#[async_trait]
impl Hub for LocalHub {
    async fn datasets(&self) -> Result<Vec<DatasetName>, HubError> {
        let shelf = self.shelf();
        let exists = |dataset: &Dataset| {
            let state = dataset.state();
            state.head.is_some() || !state.was_scanned
        };
        Ok(shelf.datasets.iter().filter(|(_, dataset)| exists(dataset)).map(|(name, _)| name.clone()).collect())
    }

    async fn head(&self, dataset: &DatasetName) -> Result<Option<Head>, HubError> {
        let dataset = self.seen_dataset(dataset).await?;
        Ok(dataset.and_then(|dataset| dataset.state().head.as_ref().map(|snapshot| snapshot.head.clone())))
    }

    async fn manifest(&self, dataset: &DatasetName, revision: &Revision) -> Result<Manifest, HubError> {
        let seen = self.seen_dataset(dataset).await?.ok_or_else(|| HubError::DatasetNotFound(dataset.clone()))?;
        let manifest = self.manifest_of(dataset, &seen, revision).await?;
        Ok(Arc::unwrap_or_clone(manifest))
    }

    async fn locate(&self, dataset: &DatasetName, revision: &Revision, path: &str) -> Result<LocatedFile, HubError> {
        let SeenFile { path, local_path, identity } = self.place_of(dataset, revision, path).await?;
        let FileIdentity { size, mtime_ns, ctime_ns, inode } = identity;
        Ok(LocatedFile { path, local_path, size, mtime_ns, ctime_ns, inode })
    }

    async fn read(
        &self,
        dataset: &DatasetName,
        revision: &Revision,
        path: &str,
        range: Range<u64>,
    ) -> Result<Bytes, HubError> {
        let file = self.place_of(dataset, revision, path).await?;
        let range = range.start.min(file.identity.size)..range.end.min(file.identity.size);
        let size = range.end.saturating_sub(range.start);
        if size > MAX_READ_BYTES {
            return Err(HubError::TooBig { path: path.to_owned(), size, limit: MAX_READ_BYTES });
        }
        match blocking(move || read_unchanged(&file, range.start, size)).await {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Err(gone(dataset, revision, Some(path))),
            Err(source) => Err(HubError::Io { path: path.to_owned(), source }),
        }
    }

    async fn look_again(&self, dataset: &DatasetName) {
        if self.followed.load(Ordering::Relaxed) {
            self.mark_at(Place::Dataset(dataset.clone()), Due::now((self.options.clock)()));
            self.wake.notify_one();
        } else if let Err(error) = self.look_now(dataset).await {
            tracing::warn!(dataset.name = %dataset, error = %super::tick::chain(&error), "a dataset cannot be scanned");
        }
    }

    async fn look(&self, dataset: &DatasetName) -> Result<(), HubError> {
        self.look_now(dataset).await
    }

    fn subscribe(&self) -> broadcast::Receiver<HubEvent> {
        self.events.subscribe()
    }
}

impl LocalHub {
    /// The dataset, looked at now if it never was.
    async fn seen_dataset(&self, name: &DatasetName) -> Result<Option<Arc<Dataset>>, HubError> {
        let Some(dataset) = self.dataset_of(name) else { return Ok(None) };
        let was_scanned = dataset.state().was_scanned;
        if !was_scanned {
            let outcome = self.look_at(name, &dataset, (self.options.clock)(), false).await?;
            let has_head = dataset.state().head.is_some();
            if !has_head && outcome.again_at.is_some() {
                return Err(HubError::Busy(name.clone()));
            }
        }
        Ok(Some(dataset))
    }

    async fn manifest_of(
        &self,
        name: &DatasetName,
        dataset: &Dataset,
        revision: &Revision,
    ) -> Result<Arc<Manifest>, HubError> {
        {
            let state = dataset.state();
            if let Some(snapshot) = state.head.as_ref().filter(|snapshot| snapshot.head.revision == *revision) {
                return Ok(snapshot.manifest.clone());
            }
            if let Some((_, manifest)) = state.older.as_ref().filter(|(older, _)| older == revision) {
                return Ok(manifest.clone());
            }
        }
        let kept = self.memory.manifest(name, revision).await.map_err(HubError::Memory)?;
        let manifest = Arc::new(kept.ok_or_else(|| gone(name, revision, None))?);
        dataset.state().older = Some((revision.clone(), manifest.clone()));
        Ok(manifest)
    }

    /// The place of a file, if its content is still that of the revision.
    async fn place_of(&self, name: &DatasetName, revision: &Revision, path: &str) -> Result<SeenFile, HubError> {
        let dataset = self.seen_dataset(name).await?.ok_or_else(|| HubError::DatasetNotFound(name.clone()))?;
        let manifest = self.manifest_of(name, &dataset, revision).await?;
        let entry = manifest
            .get(path)
            .ok_or_else(|| HubError::FileNotFound { dataset: name.clone(), path: path.to_owned() })?;
        dataset.unchanged(entry).ok_or_else(|| gone(name, revision, Some(path)))
    }
}

/// Bytes of a file, if it is the same before and after.
fn read_unchanged(file: &SeenFile, start: u64, size: u64) -> io::Result<Option<Bytes>> {
    let Some(mut open) = hashing::open_unchanged(&file.local_path, file.identity)? else { return Ok(None) };
    open.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    (&mut open).take(size).read_to_end(&mut bytes)?;
    let unchanged = bytes.len() as u64 == size && FileIdentity::of(&open.metadata()?) == file.identity;
    Ok(unchanged.then(|| bytes.into()))
}

/// The card for the head. A mistake in it is told by the steps that need it.
pub(super) fn read_card(look: &Look) -> Card {
    let read = |path: &str| {
        let file = look.places.get(path)?;
        read_unchanged(file, 0, file.identity.size.min(MAX_CARD_BYTES)).ok().flatten().map(|bytes| bytes.to_vec())
    };
    let files = CardFiles { readme: read(README_PATH), overrides: read(OVERRIDES_PATH), dataset_infos: None };
    Card::parse(files).unwrap_or_default()
}

fn gone(dataset: &DatasetName, revision: &Revision, path: Option<&str>) -> HubError {
    HubError::RevisionGone { dataset: dataset.clone(), revision: revision.clone(), path: path.map(str::to_owned) }
}
