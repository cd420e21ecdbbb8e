//! Questions about datasets and their files: the [`Hub`] side of a [`RemoteHub`].

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use belvedere_domain::{DatasetName, FileEntry, Manifest, Revision};
use bytes::Bytes;
use sha2::Digest as _;
use tokio::sync::broadcast;

use super::address::{path as quoted, segment};
use super::cache::NoRoom;
use super::heads::Said;
use super::http::HttpError;
use super::info::{self, Asked, Info};
use super::parts::Missing;
use super::{RemoteHub, download};
use crate::card::{Card, CardFiles, MAX_CARD_BYTES, OVERRIDES_PATH, README_PATH};
use crate::hub::{Head, Hub, HubError, HubEvent, LocatedFile, MAX_READ_BYTES, Origin, Reading};

/// Files up to this size come as a whole, whatever is asked of them.
const SMALL_BYTES: u64 = 4 << 20;
/// Attempts of a question that somebody waits for.
const ATTEMPTS: usize = 2;

#[async_trait]
impl Hub for RemoteHub {
    /// None: a Hub has too many. It is asked about those that somebody tells of.
    async fn datasets(&self) -> Result<Vec<DatasetName>, HubError> {
        Ok(Vec::new())
    }

    async fn head(&self, dataset: &DatasetName) -> Result<Option<Head>, HubError> {
        match self.heads.fresh(dataset) {
            Some(said) => told(said, dataset),
            None => {
                let _turn = self.heads.turn(dataset).await;
                match self.heads.fresh(dataset) {
                    Some(said) => told(said, dataset),
                    None => told(self.ask(dataset).await?, dataset),
                }
            }
        }
    }

    async fn manifest(&self, dataset: &DatasetName, revision: &Revision) -> Result<Manifest, HubError> {
        self.files(dataset, revision).await.map(|manifest| manifest.as_ref().clone())
    }

    async fn locate(&self, dataset: &DatasetName, revision: &Revision, path: &str) -> Result<LocatedFile, HubError> {
        let entry = self.entry(dataset, revision, path).await?;
        let key = key(dataset, &entry);
        if let Some(whole) = self.cache.find(&key, entry.size) {
            return located(path, whole);
        }
        let how = (self.url(dataset, revision, path), key.as_str(), entry.size <= self.options.whole_bytes);
        let local_path = self.parts.open(&self.cache, (dataset, revision), &entry, how);
        let found = local_path.and_then(|local_path| Ok((fs::metadata(&local_path)?.ino(), local_path)));
        let (inode, local_path) = found.map_err(|source| HubError::Io { path: path.to_owned(), source })?;
        Ok(LocatedFile { path: path.to_owned(), local_path, size: entry.size, mtime_ns: 0, ctime_ns: 0, inode })
    }

    async fn read(
        &self,
        dataset: &DatasetName,
        revision: &Revision,
        path: &str,
        range: Range<u64>,
    ) -> Result<Bytes, HubError> {
        let entry = self.entry(dataset, revision, path).await?;
        let range = range.start.min(entry.size)..range.end.min(entry.size);
        let size = range.end.saturating_sub(range.start);
        if size > MAX_READ_BYTES {
            return Err(HubError::TooBig { path: path.to_owned(), size, limit: MAX_READ_BYTES });
        }
        let here = match self.cache.find(&key(dataset, &entry), entry.size) {
            None if entry.size <= SMALL_BYTES => Some(self.whole(dataset, revision, &entry).await?),
            here => here,
        };
        let Some(here) = here else {
            let url = self.url(dataset, revision, path);
            let read = download::read_range(&self.client, &url, range).await;
            return read.map(|(_, bytes)| bytes).map_err(|error| failure(error, dataset, revision, Some(path)));
        };
        let read = move || {
            let mut bytes = vec![0; usize::try_from(size).unwrap_or(usize::MAX)];
            File::open(here)?.read_exact_at(&mut bytes, range.start)?;
            Ok(Bytes::from(bytes))
        };
        let read = tokio::task::spawn_blocking(read).await.map_err(io::Error::other).flatten();
        read.map_err(|source| HubError::Io { path: path.to_owned(), source })
    }

    async fn look_again(&self, dataset: &DatasetName) {
        if let Err(error) = self.look(dataset).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(dataset.name = %dataset, error, "the Hub cannot be asked about a dataset");
        }
    }

    async fn look(&self, dataset: &DatasetName) -> Result<(), HubError> {
        let _turn = self.heads.turn(dataset).await;
        self.ask(dataset).await.map(drop)
    }

    async fn bring(&self, local_path: &Path, range: Range<u64>, reading: Reading) -> Result<(), HubError> {
        let Some(part) = self.parts.find(local_path) else {
            let path = local_path.display().to_string();
            return Err(HubError::Io { path, source: io::Error::from(io::ErrorKind::NotFound) });
        };
        let (dataset, revision, path) = (&part.dataset, &part.revision, part.entry.path.as_str());
        part.bring(&self.client, &self.cache, range, reading).await.map_err(|missing| match missing {
            Missing::Call(error) => failure(error, dataset, revision, Some(path)),
            Missing::NoRoom(error) => no_room(&part.entry, error),
            Missing::Disk(source) => HubError::Io { path: path.to_owned(), source },
            Missing::Changed => {
                let path = Some(path.to_owned());
                HubError::RevisionGone { dataset: dataset.clone(), revision: revision.clone(), path }
            }
        })
    }

    async fn complete(&self, local_path: &Path) -> Result<Option<LocatedFile>, HubError> {
        let Some(part) = self.parts.find(local_path) else { return Ok(None) };
        let whole = self.whole(&part.dataset, &part.revision, &part.entry).await?;
        located(&part.entry.path, whole).map(Some)
    }

    fn origin(&self, _dataset: &DatasetName) -> Origin {
        Origin::Remote
    }

    async fn known_head(&self, dataset: &DatasetName) -> Result<Option<Head>, HubError> {
        Ok(match self.heads.last(dataset) {
            Some(Said::Found(head)) => Some(head.as_ref().clone()),
            _ => None,
        })
    }

    fn subscribe(&self) -> broadcast::Receiver<HubEvent> {
        self.events.subscribe()
    }
}

impl RemoteHub {
    /// Asks the Hub about a dataset, and remembers and announces the answer. To be called in one's turn.
    async fn ask(&self, dataset: &DatasetName) -> Result<Said, HubError> {
        let asked = info::ask(&self.client, dataset, &self.options.branch, ATTEMPTS).await;
        let said = match asked.map_err(|error| question_failed(error, dataset))? {
            Asked::Found(info) => Said::Found(Arc::new(self.head_of(dataset, info).await?)),
            Asked::Missing => Said::Missing,
            Asked::Disabled => Said::Disabled,
        };
        let before = self.heads.put(dataset, said.clone());
        // Without a subscriber there is nobody to tell.
        let _ = match (&before, &said) {
            (Some(Said::Found(before)), Said::Found(now)) if before.revision != now.revision => {
                let (dataset, revision) = (dataset.clone(), now.revision.clone());
                self.events.send(HubEvent::Updated { dataset, revision, is_provisional: false })
            }
            (Some(Said::Found(_)), Said::Missing | Said::Disabled) => {
                self.events.send(HubEvent::Removed { dataset: dataset.clone() })
            }
            _ => Ok(0),
        };
        Ok(said)
    }

    async fn head_of(&self, dataset: &DatasetName, info: Info) -> Result<Head, HubError> {
        let Info { revision, private, gated, disabled, tags, author } = info;
        let unpaid = private && self.options.asks_for_plans && {
            let owner = author.as_deref().unwrap_or(dataset.namespace());
            let is_paying = info::is_paying(&self.client, owner, ATTEMPTS).await;
            !is_paying.map_err(|error| question_failed(error, dataset))?
        };
        let card = if disabled || unpaid { Card::default() } else { self.card(dataset, &revision).await? };
        let tags = tags.unwrap_or_else(|| card.tags());
        let viewer = card.viewer();
        Ok(Head {
            revision,
            is_provisional: false,
            last_modified_ns: 0,
            private,
            gated,
            disabled,
            unpaid,
            viewer,
            tags,
        })
    }

    /// The card for the head. A mistake in it is told by the steps that need it, as is that we may not read it.
    async fn card(&self, dataset: &DatasetName, revision: &Revision) -> Result<Card, HubError> {
        let manifest = self.manifest(dataset, revision).await?;
        let mut files = CardFiles::default();
        for (path, content) in [(README_PATH, &mut files.readme), (OVERRIDES_PATH, &mut files.overrides)] {
            let Some(file) = manifest.get(path) else { continue };
            match self.read(dataset, revision, path, 0..file.size.min(MAX_CARD_BYTES)).await {
                Ok(bytes) => *content = Some(bytes.to_vec()),
                Err(HubError::Refused { .. }) => return Ok(Card::default()),
                Err(error) => return Err(error),
            }
        }
        Ok(Card::parse(files).unwrap_or_default())
    }

    /// The list of files.
    async fn files(&self, dataset: &DatasetName, revision: &Revision) -> Result<Arc<Manifest>, HubError> {
        let manifests = || self.manifests.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (dataset.clone(), revision.clone());
        if let Some(manifest) = manifests().get(&key) {
            return Ok(Arc::clone(manifest));
        }
        let manifest = match self.memory.manifest(dataset, revision).await.map_err(HubError::Memory)? {
            Some(manifest) => manifest,
            None => {
                let listed = info::files(&self.client, dataset, revision.as_str()).await;
                let manifest = listed.map_err(|error| failure(error, dataset, revision, None))?;
                self.memory.put_manifest(dataset, revision, &manifest).await.map_err(HubError::Memory)?;
                manifest
            }
        };
        let manifest = Arc::new(manifest);
        let entry_bytes = |entry: &FileEntry| size_of::<FileEntry>() + entry.path.len() + entry.content_id.len();
        let bytes = manifest.files.iter().map(entry_bytes).sum::<usize>();
        manifests().keep(key, Arc::clone(&manifest), bytes as u64);
        Ok(manifest)
    }

    async fn entry(&self, dataset: &DatasetName, revision: &Revision, path: &str) -> Result<FileEntry, HubError> {
        let manifest = self.files(dataset, revision).await?;
        let missing = || HubError::FileNotFound { dataset: dataset.clone(), path: path.to_owned() };
        manifest.get(path).cloned().ok_or_else(missing)
    }

    /// A file as a whole, in the cache.
    async fn whole(&self, dataset: &DatasetName, revision: &Revision, entry: &FileEntry) -> Result<PathBuf, HubError> {
        let key = key(dataset, entry);
        let _turn = self.cache.turn(&key).await;
        if let Some(path) = self.cache.find(&key, entry.size) {
            return Ok(path);
        }
        self.cache.reserve(&key, entry.size).map_err(|error| no_room(entry, error))?;
        let (url, part) = (self.url(dataset, revision, &entry.path), self.cache.part(&key));
        if let Err(error) = download::download(&self.client, &url, entry, &part).await {
            if !error.is_passing() {
                self.cache.give_up(&key);
            }
            return Err(failure(error, dataset, revision, Some(&entry.path)));
        }
        let path = self.cache.path(&key);
        fs::rename(part, &path).map_err(|source| HubError::Io { path: entry.path.clone(), source })?;
        tracing::debug!(dataset.name = %dataset, path = entry.path, bytes = entry.size, "a file was downloaded");
        Ok(path)
    }

    fn url(&self, dataset: &DatasetName, revision: &Revision, path: &str) -> String {
        let path = format!("/datasets/{dataset}/resolve/{}/{}", segment(revision.as_str()), quoted(path));
        self.client.endpoint().at(&path)
    }
}

fn located(path: &str, local_path: PathBuf) -> Result<LocatedFile, HubError> {
    let metadata = fs::metadata(&local_path).map_err(|source| HubError::Io { path: path.to_owned(), source })?;
    Ok(LocatedFile {
        path: path.to_owned(),
        local_path,
        size: metadata.len(),
        mtime_ns: metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec(),
        ctime_ns: metadata.ctime() * 1_000_000_000 + metadata.ctime_nsec(),
        inode: metadata.ino(),
    })
}

fn no_room(entry: &FileEntry, error: NoRoom) -> HubError {
    let (path, passing) = (entry.path.clone(), matches!(error, NoRoom::Now { .. }));
    HubError::NoRoom { path, passing, reason: error.to_string() }
}

/// The name of a content in the cache. Each dataset has its own: to name a content is not to have the right to read it, and
/// the Hub is to be asked for each.
fn key(dataset: &DatasetName, entry: &FileEntry) -> String {
    let dataset = sha2::Sha256::digest(dataset.as_str());
    format!("{}-{}", hex::encode(&dataset[..8]), entry.content_id.replace(':', "-"))
}

fn told(said: Said, dataset: &DatasetName) -> Result<Option<Head>, HubError> {
    match said {
        Said::Found(head) => Ok(Some(Arc::unwrap_or_clone(head))),
        Said::Missing => Ok(None),
        Said::Disabled => Err(HubError::Disabled(dataset.clone())),
    }
}

/// What the failure of a question about a dataset means.
fn question_failed(error: HttpError, dataset: &DatasetName) -> HubError {
    match error.status() {
        Some(401 | 403) => refused(&error, dataset),
        _ => HubError::Remote { path: None, source: error },
    }
}

/// What the failure of a call about a revision means.
fn failure(error: HttpError, dataset: &DatasetName, revision: &Revision, path: Option<&str>) -> HubError {
    let gone = || HubError::RevisionGone { dataset: dataset.clone(), revision: revision.clone(), path: None };
    match (error.status(), error.code(), path) {
        (Some(401 | 403 | 404), _, _) if is_disabled(&error) => HubError::Disabled(dataset.clone()),
        (Some(401 | 403), Some("GatedRepo"), _) => refused(&error, dataset),
        (Some(401 | 404), Some("RepoNotFound"), _) => HubError::DatasetNotFound(dataset.clone()),
        (Some(404), Some("RevisionNotFound"), _) => gone(),
        (Some(404), _, Some(path)) => HubError::FileNotFound { dataset: dataset.clone(), path: path.to_owned() },
        (Some(404), _, None) => gone(),
        (Some(401 | 403), _, _) => refused(&error, dataset),
        (_, _, path) => HubError::Remote { path: path.map(str::to_owned), source: error },
    }
}

fn is_disabled(error: &HttpError) -> bool {
    matches!(error, HttpError::Status { message, .. } if info::is_disabled(message))
}

fn refused(error: &HttpError, dataset: &DatasetName) -> HubError {
    let reason = match (error.code(), error.status()) {
        (Some("GatedRepo"), _) => "it is gated; accept its terms with the account of `common.hf_token`",
        (_, Some(401)) => "it wants other credentials; set `common.hf_token`",
        _ => "the account of `common.hf_token` may not read it",
    };
    HubError::Refused { dataset: dataset.clone(), reason: reason.to_owned() }
}
