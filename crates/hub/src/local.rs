//! Folders of this machine as datasets.
//!
//! A dataset is a folder; its revision follows from the content of its files. [`LocalHub::tick`] does what is due at a
//! given time and tells what happened; [`LocalHub::run`] calls it whenever the watch of the file system, a timer or a
//! finished hash says so. Files are never copied: an old revision lives as long as its files stay as they were.

mod hashing;
pub mod names;
mod roots;
mod scan;
mod walk;
mod watch;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use belvedere_domain::{DatasetName, FileEntry, Manifest, Revision};
use bytes::Bytes;
use tokio::sync::broadcast;

use crate::card::{Card, CardFiles, MAX_CARD_BYTES, OVERRIDES_PATH, README_PATH};
use crate::hub::{Head, Hub, HubError, HubEvent, LocatedFile, MAX_READ_BYTES};
use crate::memory::{Memory, RememberedHash};
use crate::snapshot::revision_of;
pub use roots::{DEFAULT_NAMESPACE, Layout, Root, RootError, RootReport};
use roots::{PlacedRoot, Shelf};
use scan::{KnownFiles, Look, LookRequest, Reading};
use walk::{FileIdentity, SeenFile};

/// Settings of a [`LocalHub`].
#[derive(Clone, Debug)]
pub struct LocalOptions {
    /// Where the program keeps its own files: never read, hashed or watched.
    pub state_folder: Option<PathBuf>,
    /// Of files not hashed yet, the smallest are hashed at once up to this many bytes in total. The rest is served
    /// under a provisional revision and hashed in the background. Default 100 MB.
    pub hash_at_once_bytes: u64,
    /// Threads that hash. Default: the machine's cores, at most 4.
    pub threads: usize,
    /// A file modified less than this ago is being written. Default 0.5 s.
    pub quiet: Duration,
    /// How long files that are being written can hold back news of the others. Default 5 s.
    pub patience: Duration,
    /// How long a burst of changes is collected. Default 150 ms, and at most 1 s in all.
    pub debounce: Duration,
    /// The clock of [`LocalHub::run`] and of the watch.
    pub clock: fn() -> SystemTime,
}

impl Default for LocalOptions {
    fn default() -> Self {
        Self {
            state_folder: None,
            hash_at_once_bytes: 100_000_000,
            threads: std::thread::available_parallelism().map_or(2, usize::from).min(4),
            quiet: Duration::from_millis(500),
            patience: Duration::from_secs(5),
            debounce: Duration::from_millis(150),
            clock: SystemTime::now,
        }
    }
}

/// Longest time that a burst of changes is collected.
const LONGEST_BURST: Duration = Duration::from_secs(1);
/// Pause before a failed scan is tried again.
const RETRY: Duration = Duration::from_secs(2);
/// News that a slow subscriber may be behind.
const EVENT_BACKLOG: usize = 4096;

/// Datasets in folders of this machine.
pub struct LocalHub {
    roots: Vec<PlacedRoot>,
    options: LocalOptions,
    memory: Arc<dyn Memory>,
    events: broadcast::Sender<HubEvent>,
    shelf: Mutex<ShelfState>,
    wake: tokio::sync::Notify,
    stop: Arc<AtomicBool>,
}

#[derive(Default)]
struct ShelfState {
    datasets: BTreeMap<DatasetName, Arc<Dataset>>,
    /// Notes of each root.
    notes: Vec<Vec<String>>,
    due: HashMap<Place, Due>,
}

/// What a change concerns.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Place {
    /// The list of folders in a root.
    Root(usize),
    Dataset(DatasetName),
}

/// When a changed place is looked at.
#[derive(Clone, Copy, Debug)]
struct Due {
    /// When the first change was seen.
    since: SystemTime,
    at: SystemTime,
}

impl Due {
    /// Before anything else.
    const FIRST: Self = Self { since: SystemTime::UNIX_EPOCH, at: SystemTime::UNIX_EPOCH };

    fn is_first(self) -> bool {
        self.since == SystemTime::UNIX_EPOCH
    }
}

struct Dataset {
    root: usize,
    path: PathBuf,
    /// Held during a scan: looks at one folder never overlap.
    scanning: tokio::sync::Mutex<Remembered>,
    state: Mutex<DatasetState>,
}

/// Whether the hashes of earlier runs have been fetched.
#[derive(Default)]
struct Remembered(bool);

#[derive(Default)]
struct DatasetState {
    head: Option<Snapshot>,
    known: KnownFiles,
    places: HashMap<String, SeenFile>,
    folders: Vec<PathBuf>,
    refused: Vec<String>,
    was_scanned: bool,
}

#[derive(Clone)]
struct Snapshot {
    head: Head,
    manifest: Arc<Manifest>,
}

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

impl LocalHub {
    /// Understands the roots and lists their datasets. Nothing is read but names; the first [`tick`](Self::tick)
    /// looks at the files.
    ///
    /// # Errors
    /// [`RootError`] for a root that does not exist or has no legal name, and for two datasets with one name.
    pub fn open(roots: &[Root], memory: Arc<dyn Memory>, mut options: LocalOptions) -> Result<Self, RootError> {
        if let Some(state) = &options.state_folder {
            options.state_folder = Some(fs::canonicalize(state).unwrap_or_else(|_| state.clone()));
        }
        let state_folder = options.state_folder.as_deref();
        let roots = roots.iter().map(|root| roots::place(root, state_folder)).collect::<Result<Vec<_>, _>>()?;
        let mut shelf = ShelfState { notes: vec![Vec::new(); roots.len()], ..ShelfState::default() };
        for (index, root) in roots.iter().enumerate() {
            let (datasets, notes) = roots::datasets_of(root, state_folder)
                .map_err(|source| RootError::Io { path: root.path.clone(), source })?;
            shelf.notes[index] = notes;
            for (name, path) in datasets {
                if let Some(taken) = shelf.datasets.get(&name) {
                    return Err(RootError::Twice { name, first: taken.path.clone(), second: path });
                }
                shelf.due.insert(Place::Dataset(name.clone()), Due::FIRST);
                shelf.datasets.insert(name, Arc::new(Dataset::new(index, path)));
            }
        }
        let (events, _) = broadcast::channel(EVENT_BACKLOG);
        Ok(Self {
            roots,
            options,
            memory,
            events,
            shelf: Mutex::new(shelf),
            wake: tokio::sync::Notify::new(),
            stop: Arc::new(AtomicBool::new(false)),
        })
    }

    /// What was decided about each root, and what is not served.
    pub fn report(&self) -> Vec<RootReport> {
        let shelf = self.shelf();
        self.roots
            .iter()
            .enumerate()
            .map(|(index, root)| {
                let own = || shelf.datasets.iter().filter(|(_, dataset)| dataset.root == index);
                let refused = own().flat_map(|(name, dataset)| {
                    let refused = dataset.state().refused.clone();
                    refused.into_iter().map(move |reason| format!("{name}: {reason}"))
                });
                RootReport {
                    path: root.path.clone(),
                    reason: root.reason.clone(),
                    datasets: own().map(|(name, dataset)| (name.clone(), dataset.path.clone())).collect(),
                    notes: shelf.notes[index].iter().cloned().chain(refused).collect(),
                }
            })
            .collect()
    }

    /// Makes everything due, and does it: for tests, `check`, and polling.
    pub async fn scan(&self, now: SystemTime) -> Tick {
        self.mark_everything(now);
        self.tick(now).await
    }

    /// Does what is due at the time `now`.
    pub async fn tick(&self, now: SystemTime) -> Tick {
        let mut tick = Tick::default();
        let due: Vec<(Place, Due)> = {
            let mut shelf = self.shelf();
            let due: Vec<_> =
                shelf.due.iter().filter(|(_, due)| due.at <= now).map(|(place, due)| (place.clone(), *due)).collect();
            for (place, _) in &due {
                shelf.due.remove(place);
            }
            due
        };
        let mut datasets: BTreeMap<DatasetName, Due> = BTreeMap::new();
        for (place, due) in due {
            match place {
                Place::Dataset(name) => {
                    datasets.insert(name, due);
                }
                Place::Root(index) => self.list_root(index, now, &mut datasets, &mut tick),
            }
        }
        for (name, due) in datasets {
            let Some(dataset) = self.dataset_of(&name) else { continue };
            let waited = now.duration_since(due.since).unwrap_or_default();
            let patience_lost = !due.is_first() && waited >= self.options.patience;
            match self.look_at(&name, &dataset, now, patience_lost).await {
                Ok(outcome) => {
                    tick.events.extend(outcome.event);
                    if outcome.unhashed {
                        tick.unhashed.push(name.clone());
                    }
                    if let Some(at) = outcome.again_at {
                        let since = if due.is_first() || patience_lost { now } else { due.since };
                        self.mark_at(Place::Dataset(name), Due { since, at });
                    }
                }
                Err(error) => {
                    tracing::warn!(dataset.name = %name, error = %chain(&error), "a dataset cannot be scanned, trying again");
                    self.mark_at(Place::Dataset(name.clone()), Due { since: due.since, at: now + RETRY });
                    tick.failures.push((name, error));
                }
            }
        }
        tick.next_at = self.shelf().due.values().map(|due| due.at).min();
        tick
    }

    /// Hashes the files of a dataset that have provisional ids only, and makes the dataset due again. Returns how many
    /// bytes were hashed.
    ///
    /// # Errors
    /// [`HubError::Memory`] when the hashes cannot be remembered; they still hold for this process.
    pub async fn hash_rest(&self, name: &DatasetName, now: SystemTime) -> Result<u64, HubError> {
        let Some(dataset) = self.dataset_of(name) else { return Ok(0) };
        let files: Vec<SeenFile> = {
            let state = dataset.state();
            let unhashed = |file: &&SeenFile| {
                state
                    .known
                    .get(&file.path)
                    .is_some_and(|known| known.identity == file.identity && known.sha256.is_none())
            };
            state.places.values().filter(unhashed).cloned().collect()
        };
        let mut bytes = 0;
        // In portions, so that a restart does not begin from nothing.
        for portion in portions(files) {
            let (threads, stop) = (self.options.threads, self.stop.clone());
            let progress = self.progress_of(name);
            let hashed =
                blocking(move || scan::hash_rest(&portion, Reading { threads, progress: &progress, stop: &stop }))
                    .await;
            let mut rows = Vec::with_capacity(hashed.len());
            {
                let mut state = dataset.state();
                for (file, sha256) in hashed {
                    bytes += file.identity.size;
                    rows.push(dataset.row(&file, &sha256));
                    if let Some(known) = state.known.get_mut(&file.path).filter(|known| known.identity == file.identity)
                    {
                        known.sha256 = Some(sha256);
                    }
                }
            }
            self.memory.remember_hashes(rows).await.map_err(HubError::Memory)?;
            if self.stop.load(Ordering::Relaxed) {
                return Ok(bytes);
            }
        }
        self.mark_at(Place::Dataset(name.clone()), Due { since: now, at: now });
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
        let gone: Vec<DatasetName> = shelf
            .datasets
            .iter()
            .filter(|(name, dataset)| dataset.root == index && !found.contains_key(*name))
            .map(|(name, _)| name.clone())
            .collect();
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
                    datasets.insert(name, Due { since: now, at: now });
                }
                Some(known) if known.root != index => {
                    notes.push(format!("{}: its name `{name}` is taken by {}", path.display(), known.path.display()));
                }
                Some(_) => {}
            }
        }
        shelf.notes[index] = notes;
    }

    /// Looks at one dataset, remembers what was learned, and makes its revision the head.
    async fn look_at(
        &self,
        name: &DatasetName,
        dataset: &Arc<Dataset>,
        now: SystemTime,
        patience_lost: bool,
    ) -> Result<Outcome, HubError> {
        let mut remembered_already = dataset.scanning.lock().await;
        if !remembered_already.0 {
            let rows = self.memory.hashes(&dataset.path.to_string_lossy()).await.map_err(HubError::Memory)?;
            dataset.recall(rows);
            remembered_already.0 = true;
        }
        if !dataset.state().was_scanned {
            self.announce(HubEvent::Scanning { dataset: name.clone() });
        }
        let (look, card) = {
            let (folder, options, stop) = (dataset.clone(), self.options.clone(), self.stop.clone());
            let progress = self.progress_of(name);
            blocking(move || {
                let (known, previous) = {
                    let state = folder.state();
                    (state.known.clone(), state.head.as_ref().map(|snapshot| snapshot.manifest.clone()))
                };
                let previous = previous.as_deref();
                let request = LookRequest { root: &folder.path, known, previous, now, patience_lost };
                let reading = Reading { threads: options.threads, progress: &progress, stop: &stop };
                let look = scan::look(request, &options, reading)?;
                let card = read_card(&look);
                Ok((look, card))
            })
            .await
            .map_err(|source| HubError::Io { path: dataset.path.display().to_string(), source })?
        };
        let rows: Vec<RememberedHash> = look
            .hashed
            .iter()
            .filter_map(|path| {
                let sha256 = look.known.get(path)?.sha256.as_ref()?;
                Some(dataset.row(look.places.get(path)?, sha256))
            })
            .collect();
        let (again_at, manifest) = (look.again_at, look.manifest.clone());
        let last_modified_ns = look.last_modified_ns;
        dataset.learn(look);
        if !rows.is_empty() {
            self.memory.remember_hashes(rows).await.map_err(HubError::Memory)?;
        }
        let Some(manifest) = manifest else { return Ok(Outcome { again_at, ..Outcome::default() }) };
        if manifest.files.is_empty() {
            let had_files = dataset.state().head.take().is_some();
            let event = had_files.then(|| self.announce(HubEvent::Removed { dataset: name.clone() }));
            return Ok(Outcome { event, again_at, unhashed: false });
        }
        let unhashed = manifest.files.iter().any(|file| !file.is_hashed());
        let revision = revision_of(&manifest);
        if dataset.state().head.as_ref().is_some_and(|snapshot| snapshot.head.revision == revision) {
            return Ok(Outcome { event: None, again_at, unhashed });
        }
        self.memory.put_manifest(name, &revision, &manifest).await.map_err(HubError::Memory)?;
        let head = Head {
            revision: revision.clone(),
            is_provisional: unhashed,
            last_modified_ns,
            private: false,
            gated: false,
            disabled: false,
            viewer: card.viewer(),
            tags: card.tags(),
        };
        dataset.state().head = Some(Snapshot { head, manifest: Arc::new(manifest) });
        let event = HubEvent::Updated { dataset: name.clone(), revision, is_provisional: unhashed };
        Ok(Outcome { event: Some(self.announce(event)), again_at, unhashed })
    }

    fn announce(&self, event: HubEvent) -> HubEvent {
        // Without a subscriber there is nobody to tell.
        let _ = self.events.send(event.clone());
        event
    }

    fn progress_of(&self, name: &DatasetName) -> impl Fn(u64, u64) + Send + Sync + use<> {
        let (events, dataset) = (self.events.clone(), name.clone());
        move |done_bytes, total_bytes| {
            let _ = events.send(HubEvent::Hashing { dataset: dataset.clone(), done_bytes, total_bytes });
        }
    }

    fn mark_everything(&self, now: SystemTime) {
        let mut shelf = self.shelf();
        let places: Vec<Place> =
            (0..self.roots.len()).map(Place::Root).chain(shelf.datasets.keys().cloned().map(Place::Dataset)).collect();
        for place in places {
            shelf.mark(place, Due { since: now, at: now });
        }
    }

    /// Notes that a path has changed. Returns whether that concerns a dataset.
    fn mark_path(&self, path: &Path, now: SystemTime) -> bool {
        let mut shelf = self.shelf();
        let mut places = Vec::new();
        for (index, root) in self.roots.iter().enumerate() {
            let Ok(below) = path.strip_prefix(&root.path) else { continue };
            match &root.shelf {
                Shelf::One(name) => places.push(Place::Dataset(name.clone())),
                Shelf::Children(_) => {
                    let Some(child) = below.components().next() else {
                        places.push(Place::Root(index));
                        continue;
                    };
                    let folder = root.path.join(child);
                    let dataset = shelf.datasets.iter().find(|(_, dataset)| dataset.path == folder);
                    match dataset {
                        Some((name, _)) if folder != path => places.push(Place::Dataset(name.clone())),
                        // The folder itself came, went or was renamed.
                        Some((name, _)) => places.extend([Place::Root(index), Place::Dataset(name.clone())]),
                        None => places.push(Place::Root(index)),
                    }
                }
            }
        }
        let concerned = !places.is_empty();
        for place in places {
            shelf.touch(place, now, self.options.debounce);
        }
        concerned
    }

    fn mark_at(&self, place: Place, due: Due) {
        self.shelf().mark(place, due);
    }

    fn shelf(&self) -> MutexGuard<'_, ShelfState> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn dataset_of(&self, name: &DatasetName) -> Option<Arc<Dataset>> {
        self.shelf().datasets.get(name).cloned()
    }

    /// The dataset, looked at now if it never was.
    async fn seen_dataset(&self, name: &DatasetName) -> Result<Option<Arc<Dataset>>, HubError> {
        let Some(dataset) = self.dataset_of(name) else { return Ok(None) };
        if dataset.state().head.is_none() && !dataset.state().was_scanned {
            let outcome = self.look_at(name, &dataset, (self.options.clock)(), false).await?;
            if dataset.state().head.is_none() && outcome.again_at.is_some() {
                return Err(HubError::Busy(name.clone()));
            }
            if outcome.unhashed {
                self.wake.notify_one();
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
        let head = dataset.state().head.clone();
        if let Some(snapshot) = head.filter(|snapshot| snapshot.head.revision == *revision) {
            return Ok(snapshot.manifest);
        }
        let kept = self.memory.manifest(name, revision).await.map_err(HubError::Memory)?;
        kept.map(Arc::new).ok_or_else(|| gone(name, revision, None))
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

/// What a look led to.
#[derive(Default)]
struct Outcome {
    event: Option<HubEvent>,
    again_at: Option<SystemTime>,
    unhashed: bool,
}

impl ShelfState {
    /// Makes a place due, at the earlier of two times.
    fn mark(&mut self, place: Place, due: Due) {
        let known = self.due.entry(place).or_insert(due);
        *known = Due { since: known.since.min(due.since), at: known.at.min(due.at) };
    }

    /// Makes a place due when the burst of changes is over.
    fn touch(&mut self, place: Place, now: SystemTime, debounce: Duration) {
        let due = self.due.entry(place).or_insert(Due { since: now, at: now + debounce });
        due.at = due.at.max((now + debounce).min(due.since + LONGEST_BURST));
    }
}

impl Dataset {
    fn new(root: usize, path: PathBuf) -> Self {
        Self { root, path, scanning: tokio::sync::Mutex::default(), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, DatasetState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over the hashes of earlier runs.
    fn recall(&self, rows: Vec<RememberedHash>) {
        let known = rows.into_iter().filter_map(|row| {
            let path = Path::new(&row.path);
            let below = path.strip_prefix(&self.path).ok()?;
            let name = if below.as_os_str().is_empty() { Path::new(path.file_name()?) } else { below };
            let (size, mtime_ns, ctime_ns, inode) = (row.size, row.mtime_ns, row.ctime_ns, row.inode);
            let identity = FileIdentity { size, mtime_ns, ctime_ns, inode };
            Some((name.to_str()?.to_owned(), scan::Known { identity, sha256: Some(row.sha256), provisional: None }))
        });
        self.state().known.extend(known);
    }

    /// A hash to remember, under the path in the dataset: for links that is not where the file lies.
    fn row(&self, file: &SeenFile, sha256: &str) -> RememberedHash {
        let FileIdentity { size, mtime_ns, ctime_ns, inode } = file.identity;
        let path = if file.local_path == self.path { self.path.clone() } else { self.path.join(&file.path) };
        let path = path.to_string_lossy().into_owned();
        RememberedHash { path, size, mtime_ns, ctime_ns, inode, sha256: sha256.to_owned() }
    }

    fn learn(&self, look: Look) {
        let mut state = self.state();
        state.folders = look.folders;
        for reason in look.refused.iter().filter(|reason| !state.refused.contains(reason)) {
            tracing::warn!(folder = %self.path.display(), "not served: {reason}");
        }
        state.refused = look.refused;
        if look.manifest.is_some() {
            state.was_scanned = true;
            state.known = look.known;
            state.places = look.places;
        } else {
            state.known.extend(look.known);
        }
    }

    /// The file of an entry, if what lies there now has the entry's content.
    fn unchanged(&self, entry: &FileEntry) -> Option<SeenFile> {
        let (place, known) = {
            let state = self.state();
            (state.places.get(&entry.path).cloned()?, state.known.get(&entry.path).cloned()?)
        };
        let metadata = fs::metadata(&place.local_path).ok()?;
        let identity = FileIdentity::of(&metadata);
        let file = SeenFile { identity, ..place };
        let same_content = |id: &Option<String>| id.as_ref() == Some(&entry.content_id);
        if known.identity == identity && (same_content(&known.sha256) || same_content(&known.provisional)) {
            return Some(file);
        }
        // A provisional id of an earlier run is cheap to make again.
        let is_provisional = !entry.is_hashed() && identity.size == entry.size;
        (is_provisional && hashing::provisional(&file).ok().flatten().as_ref() == Some(&entry.content_id))
            .then_some(file)
    }
}

#[async_trait]
impl Hub for LocalHub {
    async fn look_again(&self, dataset: &DatasetName) {
        let now = (self.options.clock)();
        self.mark_at(Place::Dataset(dataset.clone()), Due { since: now, at: now });
        self.wake.notify_one();
    }

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
        let bytes = blocking(move || read_unchanged(&file, range.start, size)).await;
        match bytes {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Err(gone(dataset, revision, Some(path))),
            Err(source) => Err(HubError::Io { path: path.to_owned(), source }),
        }
    }

    fn subscribe(&self) -> broadcast::Receiver<HubEvent> {
        self.events.subscribe()
    }
}

/// Bytes of a file, if it is the same before and after.
fn read_unchanged(file: &SeenFile, start: u64, size: u64) -> io::Result<Option<Bytes>> {
    use std::io::{Read, Seek, SeekFrom};
    let Some(mut open) = hashing::open_unchanged(&file.local_path, file.identity)? else { return Ok(None) };
    open.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    (&mut open).take(size).read_to_end(&mut bytes)?;
    let unchanged = bytes.len() as u64 == size && FileIdentity::of(&open.metadata()?) == file.identity;
    Ok(unchanged.then(|| bytes.into()))
}

/// The card for the head. A mistake in it is told by the steps that need it.
fn read_card(look: &Look) -> Card {
    let read = |path: &str| {
        let file = look.places.get(path)?;
        read_unchanged(file, 0, file.identity.size.min(MAX_CARD_BYTES)).ok().flatten().map(|bytes| bytes.to_vec())
    };
    let files = CardFiles { readme: read(README_PATH), overrides: read(OVERRIDES_PATH), dataset_infos: None };
    Card::parse(files).unwrap_or_default()
}

/// Splits files into portions of a few gigabytes.
fn portions(mut files: Vec<SeenFile>) -> Vec<Vec<SeenFile>> {
    const PORTION_BYTES: u64 = 4 << 30;
    files.sort_by_key(|file| file.identity.size);
    let mut portions: Vec<Vec<SeenFile>> = Vec::new();
    let mut bytes = 0;
    for file in files {
        if portions.is_empty() || bytes >= PORTION_BYTES {
            portions.push(Vec::new());
            bytes = 0;
        }
        bytes += file.identity.size;
        portions.last_mut().expect("one was pushed").push(file);
    }
    portions
}

fn gone(dataset: &DatasetName, revision: &Revision, path: Option<&str>) -> HubError {
    HubError::RevisionGone { dataset: dataset.clone(), revision: revision.clone(), path: path.map(str::to_owned) }
}

/// Runs work that blocks where it may.
async fn blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down, and with it whoever waits here.
            Err(_) => std::future::pending().await,
        },
    }
}

/// An error with its sources, for the log.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests;
