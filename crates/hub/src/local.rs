//! Folders of this machine as datasets.
//!
//! A dataset is a folder; its revision follows from the content of its files. [`LocalHub::tick`] does what is due at a
//! given time and tells what happened; [`LocalHub::run`] calls it whenever the watch of the file system, a timer or a
//! finished hash says so. Files are never copied: an old revision lives as long as its files stay as they were.

mod dataset;
mod due;
mod files;
mod hashing;
pub mod names;
mod roots;
mod scan;
mod tick;
mod walk;
mod watch;

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use belvedere_domain::DatasetName;
use tokio::sync::broadcast;

use crate::hub::HubEvent;
use crate::memory::Memory;
use dataset::Dataset;
use due::{Due, Place, ShelfState};
pub use roots::{DEFAULT_NAMESPACE, Layout, Root, RootError, RootReport};
use roots::{PlacedRoot, Shelf};
pub use tick::Tick;

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
    /// A burst of changes is over when nothing changed for this long, and after 1 s at the latest. Default 150 ms.
    pub debounce: Duration,
    /// Look for changes every few seconds even where the file system could be watched: for folders that another
    /// machine or a container writes to unnoticed. Default false.
    pub poll: bool,
    /// Pause between two looks where that is so, or where the system reports no changes; ten times as long as a look
    /// takes, if that is longer. Default 2 s.
    pub poll_every: Duration,
    /// The clock of [`LocalHub::run`], of the watch, and of questions about datasets that no tick has looked at.
    pub clock: fn() -> SystemTime,
}

/// The time of day when it was first asked for, and what has passed since. What is due must not wait for an hour because
/// somebody sets the machine's clock back.
fn steady_time() -> SystemTime {
    static START: LazyLock<(SystemTime, Instant)> = LazyLock::new(|| (SystemTime::now(), Instant::now()));
    START.0 + START.1.elapsed()
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
            poll: false,
            poll_every: Duration::from_secs(2),
            clock: steady_time,
        }
    }
}

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
    /// Set while [`run`](Self::run) follows the folders. In a process where nobody does, looks are made when asked for.
    followed: AtomicBool,
    /// Set when the program ends: whoever hashes stops.
    stop: Arc<AtomicBool>,
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
        let mut shelf = ShelfState::default();
        shelf.notes.resize(roots.len(), Vec::new());
        for (index, root) in roots.iter().enumerate() {
            let (datasets, notes) = roots::datasets_of(root, state_folder)
                .map_err(|source| RootError::Io { path: root.path.clone(), source })?;
            shelf.notes[index] = notes;
            for (name, path) in datasets {
                if let Some(taken) = shelf.datasets.get(&name) {
                    return Err(RootError::Twice { name, first: taken.path.clone(), second: path });
                }
                shelf.mark(Place::Dataset(name.clone()), Due::FIRST);
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
            followed: AtomicBool::new(false),
            stop: Arc::new(AtomicBool::new(false)),
        })
    }

    /// What was decided about each root, and what is not served.
    pub fn report(&self) -> Vec<RootReport> {
        let shelf = self.shelf();
        let report = |(index, root): (usize, &PlacedRoot)| {
            let own = || shelf.datasets.iter().filter(move |(_, dataset)| dataset.root == index);
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
        };
        self.roots.iter().enumerate().map(report).collect()
    }

    /// Whether a name belongs to a folder, one that is there or one that may come: names of its namespace do.
    pub fn owns(&self, dataset: &DatasetName) -> bool {
        dataset.namespace() == DEFAULT_NAMESPACE
            || self.roots.iter().any(|root| match &root.shelf {
                Shelf::Children(namespace) => dataset.namespace() == namespace,
                Shelf::One(name) => dataset.namespace() == name.namespace(),
            })
    }

    /// Where news are sent.
    pub(crate) fn events(&self) -> &broadcast::Sender<HubEvent> {
        &self.events
    }

    fn shelf(&self) -> MutexGuard<'_, ShelfState> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn dataset_of(&self, name: &DatasetName) -> Option<Arc<Dataset>> {
        self.shelf().datasets.get(name).cloned()
    }

    fn announce(&self, event: HubEvent) -> HubEvent {
        // Without a subscriber there is nobody to tell.
        let _ = self.events.send(event.clone());
        event
    }
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

#[cfg(test)]
mod tests;
