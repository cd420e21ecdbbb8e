//! Doing what is due: listing roots, looking at datasets, announcing revisions, hashing what is left.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use belvedere_domain::{DatasetName, Manifest};
use futures::StreamExt;

use super::dataset::{Dataset, Recall, Snapshot};
use super::due::{Due, Place};
use super::files::read_card;
use super::scan::{self, LookRequest, Reading};
use super::walk::{SeenFile, walk};
use super::{LocalHub, blocking, roots};
use crate::card::Card;
use crate::hub::{Head, HubError, HubEvent};
use crate::snapshot::revision_of;

/// Datasets looked at side by side: while one waits for the memory, another reads.
const LOOKS_AT_ONCE: usize = 4;
/// Pause before a failed scan is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// What a tick did.
#[derive(Debug, Default)]
pub struct Tick {
    /// News, as sent to subscribers, in order; without progress.
    pub events: Vec<HubEvent>,
    /// When the next tick has something to do; `None` until something changes.
    pub next_at: Option<SystemTime>,
    /// Datasets with files that have only provisional ids: see [`LocalHub::hash_rest`].
    pub unhashed: Vec<DatasetName>,
    /// What went wrong, by dataset. It is tried again.
    pub failures: Vec<(DatasetName, HubError)>,
}

/// What a look at one dataset led to.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) event: Option<HubEvent>,
    /// When to look again, because files are being written.
    pub(super) again_at: Option<SystemTime>,
}

impl LocalHub {
    /// Makes everything due, and does it: for tests, for a single look, and for polling.
    pub async fn scan(&self, now: SystemTime) -> Tick {
        self.mark_roots(now, |_| true);
        self.tick(now).await
    }

    /// Does what is due at the time `now`.
    pub async fn tick(&self, now: SystemTime) -> Tick {
        let mut tick = Tick::default();
        let mut datasets: BTreeMap<DatasetName, Due> = BTreeMap::new();
        let mut listed = Vec::new();
        let due = self.shelf().take_due(now);
        for (place, due) in due {
            match place {
                Place::Dataset(name) => {
                    datasets.insert(name, due);
                }
                Place::Root(index) => listed.push(index),
            }
        }
        for index in listed {
            self.list_root(index, now, &mut datasets, &mut tick);
        }
        let looks = futures::stream::iter(datasets).map(|(name, due)| async move {
            let dataset = self.dataset_of(&name)?;
            let waited = now.duration_since(due.since).unwrap_or_default();
            let patience_lost = !due.is_first() && waited >= self.options.patience;
            let outcome = self.look_at(&name, &dataset, now, patience_lost).await;
            let since = if due.is_first() || patience_lost { now } else { due.since };
            Some((name, dataset, since, outcome))
        });
        let mut looks = looks.buffered(LOOKS_AT_ONCE);
        while let Some(look) = looks.next().await {
            let Some((name, dataset, since, outcome)) = look else { continue };
            match outcome {
                Ok(outcome) => {
                    tick.events.extend(outcome.event);
                    if !dataset.unhashed().is_empty() {
                        tick.unhashed.push(name.clone());
                    }
                    if let Some(at) = outcome.again_at {
                        self.mark_at(Place::Dataset(name), Due { since, at });
                    }
                }
                Err(error) => {
                    tracing::warn!(dataset.name = %name, error = %chain(&error), "a dataset cannot be scanned, trying again");
                    self.mark_at(Place::Dataset(name.clone()), Due { since, at: now + RETRY });
                    tick.failures.push((name, error));
                }
            }
        }
        tick.next_at = self.shelf().next_at();
        tick
    }

    /// Hashes the files of a dataset that have provisional ids only, and makes the dataset due at `now`. Returns how
    /// many bytes were hashed. A file that cannot be read keeps its provisional id until it changes.
    ///
    /// # Errors
    /// [`HubError::Memory`] when the hashes cannot be remembered; they still hold for this process.
    pub async fn hash_rest(&self, name: &DatasetName, now: SystemTime) -> Result<u64, HubError> {
        let Some(dataset) = self.dataset_of(name) else { return Ok(0) };
        let mut bytes = 0;
        // In portions, so that a restart does not begin from nothing.
        for portion in portions(dataset.unhashed()) {
            let (threads, stop) = (self.options.threads, self.stop.clone());
            let progress = self.progress_of(name);
            let hashed = blocking(move || {
                let reading = Reading { threads, progress: &progress, stop: &stop };
                scan::hash_rest(portion, reading)
            })
            .await;
            if self.stop.load(Ordering::Relaxed) {
                return Ok(bytes);
            }
            let mut rows = Vec::with_capacity(hashed.len());
            {
                let mut state = dataset.state();
                for (file, hash) in hashed {
                    if let Ok(Some(sha256)) = &hash {
                        bytes += file.identity.size;
                        rows.push(dataset.row(&file, sha256));
                    }
                    let Some(known) = state.known.get_mut(&file.path).filter(|known| known.identity == file.identity)
                    else {
                        continue;
                    };
                    match hash {
                        Ok(Some(sha256)) => known.sha256 = Some(sha256),
                        // Changed meanwhile: the next look sees another identity.
                        Ok(None) => {}
                        Err(error) => {
                            tracing::warn!(dataset.name = %name, path = file.path, %error, "a file cannot be hashed");
                            known.given_up = true;
                        }
                    }
                }
            }
            self.memory.remember_hashes(rows).await.map_err(HubError::Memory)?;
        }
        self.mark_at(Place::Dataset(name.clone()), Due::now(now));
        self.wake.notify_one();
        Ok(bytes)
    }

    /// Lists the folders of a root anew: new ones are looked at now, vanished ones are removed.
    fn list_root(&self, index: usize, now: SystemTime, datasets: &mut BTreeMap<DatasetName, Due>, tick: &mut Tick) {
        let root = &self.roots[index];
        let (found, mut notes) = match roots::datasets_of(root, self.options.state_folder.as_deref()) {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(path = %root.path.display(), %error, "a folder cannot be listed, trying again");
                self.mark_at(Place::Root(index), Due { since: now, at: now + RETRY });
                return;
            }
        };
        let mut shelf = self.shelf();
        let own = shelf.datasets.iter().filter(|(_, dataset)| dataset.root == index);
        let gone: Vec<DatasetName> =
            own.filter(|(name, _)| !found.contains_key(*name)).map(|(name, _)| name.clone()).collect();
        for name in gone {
            datasets.remove(&name);
            if let Some(dataset) = shelf.datasets.remove(&name)
                && dataset.state().head.is_some()
            {
                tick.events.push(self.announce(HubEvent::Removed { dataset: name }));
            }
        }
        for (name, path) in found {
            match shelf.datasets.get(&name) {
                None => {
                    shelf.datasets.insert(name.clone(), Arc::new(Dataset::new(index, path)));
                    datasets.insert(name, Due::now(now));
                }
                Some(known) if known.root != index => {
                    notes.push(format!("{}: its name `{name}` is taken by {}", path.display(), known.path.display()));
                }
                Some(_) => {}
            }
        }
        shelf.notes[index] = notes;
    }

    /// Looks at one dataset at once, for a process in which nobody follows the folders. What was hashed meanwhile by
    /// those that do need not be hashed again.
    pub(super) async fn look_now(&self, name: &DatasetName) -> Result<(), HubError> {
        let now = (self.options.clock)();
        if self.dataset_of(name).is_none() {
            for index in 0..self.roots.len() {
                self.list_root(index, now, &mut BTreeMap::new(), &mut Tick::default());
            }
        }
        let Some(dataset) = self.dataset_of(name) else { return Ok(()) };
        *dataset.scanning.lock().await = Recall::Missing;
        self.look_at(name, &dataset, now, false).await.map(drop)
    }

    /// Looks at one dataset, remembers what was learned, and makes its revision the head.
    pub(super) async fn look_at(
        &self,
        name: &DatasetName,
        dataset: &Arc<Dataset>,
        now: SystemTime,
        patience_lost: bool,
    ) -> Result<Outcome, HubError> {
        let mut recall = dataset.scanning.lock().await;
        if *recall == Recall::Missing {
            let rows = self.memory.hashes(&dataset.path.to_string_lossy()).await.map_err(HubError::Memory)?;
            dataset.recall(rows);
            *recall = Recall::Done;
        }
        let was_scanned = dataset.state().was_scanned;
        if !was_scanned {
            self.announce(HubEvent::Scanning { dataset: name.clone() });
        }
        let looked = {
            let (folder, options, stop) = (dataset.clone(), self.options.clone(), self.stop.clone());
            let progress = self.progress_of(name);
            let look = move || {
                let seen = walk(&folder.path, options.state_folder.as_deref())?;
                if folder.is_unchanged(&seen) {
                    return Ok(None);
                }
                let (known, previous) = {
                    let state = folder.state();
                    (state.known.clone(), state.head.as_ref().map(|snapshot| snapshot.manifest.clone()))
                };
                let previous = previous.as_deref();
                let request = LookRequest { seen, known, previous, now, patience_lost };
                let reading = Reading { threads: options.threads, progress: &progress, stop: &stop };
                let look = scan::look(request, &options, reading);
                let card = read_card(&look);
                Ok(Some((look, card)))
            };
            let in_folder = |source| HubError::Io { path: dataset.path.display().to_string(), source };
            blocking(look).await.map_err(in_folder)?
        };
        let Some((look, card)) = looked else { return Ok(Outcome::default()) };
        let row = |path: &String| {
            let sha256 = look.known.get(path)?.sha256.as_ref()?;
            Some(dataset.row(look.places.get(path)?, sha256))
        };
        let rows: Vec<_> = look.hashed.iter().filter_map(row).collect();
        let (again_at, manifest, last_modified_ns) = (look.again_at, look.manifest.clone(), look.last_modified_ns);
        dataset.learn(look);
        if !rows.is_empty() {
            self.memory.remember_hashes(rows).await.map_err(HubError::Memory)?;
        }
        let event = match manifest {
            Some(manifest) => self.change_head(name, dataset, manifest, &card, last_modified_ns).await?,
            None => None,
        };
        Ok(Outcome { event, again_at })
    }

    /// Makes the revision of a manifest the head, if it is another one. Without files there is no head.
    async fn change_head(
        &self,
        name: &DatasetName,
        dataset: &Dataset,
        manifest: Manifest,
        card: &Card,
        last_modified_ns: i64,
    ) -> Result<Option<HubEvent>, HubError> {
        if manifest.files.is_empty() {
            let had_files = dataset.state().head.take().is_some();
            return Ok(had_files.then(|| self.announce(HubEvent::Removed { dataset: name.clone() })));
        }
        let revision = revision_of(&manifest);
        let is_head = dataset.state().head.as_ref().is_some_and(|snapshot| snapshot.head.revision == revision);
        if is_head {
            return Ok(None);
        }
        self.memory.put_manifest(name, &revision, &manifest).await.map_err(HubError::Memory)?;
        let is_provisional = manifest.files.iter().any(|file| !file.is_hashed());
        let head = Head {
            revision: revision.clone(),
            is_provisional,
            last_modified_ns,
            private: card.private(),
            gated: card.gated(),
            disabled: false,
            unpaid: false,
            viewer: card.viewer(),
            tags: card.tags(),
        };
        dataset.state().head = Some(Snapshot { head, manifest: Arc::new(manifest) });
        Ok(Some(self.announce(HubEvent::Updated { dataset: name.clone(), revision, is_provisional })))
    }

    fn progress_of(&self, name: &DatasetName) -> impl Fn(u64, u64) + Send + Sync + use<> {
        let (events, dataset) = (self.events.clone(), name.clone());
        move |done_bytes, total_bytes| {
            // Without a subscriber there is nobody to tell.
            let _ = events.send(HubEvent::Hashing { dataset: dataset.clone(), done_bytes, total_bytes });
        }
    }
}

/// Splits files into portions of a few gigabytes, small files first.
fn portions(mut files: Vec<SeenFile>) -> Vec<Vec<SeenFile>> {
    const PORTION_BYTES: u64 = 4 << 30;
    files.sort_by_key(|file| file.identity.size);
    let mut portions: Vec<Vec<SeenFile>> = Vec::new();
    let mut bytes = PORTION_BYTES;
    for file in files {
        if bytes >= PORTION_BYTES {
            portions.push(Vec::new());
            bytes = 0;
        }
        bytes += file.identity.size;
        portions.last_mut().expect("one was pushed").push(file);
    }
    portions
}

/// An error with its sources, for the log.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
