//! The loop that keeps a [`LocalHub`] up to date: notifications of the file system where there are any, polling where
//! there are none, as on network file systems or when the system's limit of watches is reached.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use belvedere_domain::DatasetName;
use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{Config, Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::roots::Shelf;
use super::walk::is_ignored;
use super::{LocalHub, blocking};

/// Watched folders are looked at now and then as well: writes through memory maps notify nobody.
const SAFETY_POLL: Duration = Duration::from_secs(60);

/// File systems that do not notify of changes made elsewhere, by the `f_type` of
/// [statfs(2)](https://man7.org/linux/man-pages/man2/statfs.2.html).
const NETWORK_FILE_SYSTEMS: [u32; 14] = [
    0x6969,      // NFS
    0x517B,      // SMB
    0xFE53_4D42, // SMB2
    0xFF53_4D42, // CIFS
    0x6573_5546, // FUSE: sshfs, s3fs, and others
    0x0102_1997, // 9P: folders of virtual machines
    0x5346_414F, // AFS
    0x6B41_4653, // AFS
    0x00C3_6400, // Ceph
    0x0BD0_0BD0, // Lustre
    0x4750_4653, // GPFS
    0x7375_7245, // Coda
    0x0161_1970, // GFS2
    0x1983_0326, // BeeGFS
];

impl LocalHub {
    /// Keeps the datasets up to date until `cancel` is cancelled.
    pub async fn run(self: Arc<Self>, cancel: CancellationToken) {
        self.followed.store(true, Ordering::Relaxed);
        let mut watch = Watch::new(&self);
        let mut hashing: JoinSet<DatasetName> = JoinSet::new();
        let mut to_hash: BTreeSet<DatasetName> = BTreeSet::new();
        let clock = self.options.clock;
        let poll = self.options.poll_every;
        let (mut next_poll, mut next_safety_poll) = (clock() + poll, clock() + SAFETY_POLL);
        while !cancel.is_cancelled() {
            let started = clock();
            if started >= next_poll {
                self.mark_roots(started, |root| watch.polled[root]);
            }
            if started >= next_safety_poll {
                self.mark_roots(started, |_| true);
            }
            let tick = tokio::select! {
                tick = self.tick(started) => tick,
                () = cancel.cancelled() => break,
            };
            let ended = clock();
            let took = ended.duration_since(started).unwrap_or_default();
            if started >= next_poll {
                next_poll = ended + poll.max(took * 10);
            }
            if started >= next_safety_poll {
                next_safety_poll = ended + SAFETY_POLL.max(took * 100);
            }
            let hub = self.clone();
            let news;
            (watch, news) = blocking(move || {
                let news = watch.follow(&hub);
                (watch, news)
            })
            .await;
            for folder in news {
                // Whatever came before the watch was set has notified nobody.
                self.mark_path(&folder, ended);
            }

            to_hash.extend(tick.unhashed);
            if hashing.is_empty()
                && let Some(dataset) = to_hash.pop_first()
            {
                let hub = self.clone();
                hashing.spawn(async move {
                    if let Err(error) = hub.hash_rest(&dataset, clock()).await {
                        tracing::warn!(dataset.name = %dataset, %error, "hashes are not remembered");
                    }
                    dataset
                });
            }
            let next = self.shelf().next_at().map_or(next_safety_poll, |at| at.min(next_safety_poll));
            let next = if watch.polled.contains(&true) { next.min(next_poll) } else { next };
            let pause = next.duration_since(clock()).unwrap_or_default();
            tokio::select! {
                () = cancel.cancelled() => break,
                () = self.wake.notified() => {}
                Some(_) = hashing.join_next() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        self.stop.store(true, Ordering::Relaxed);
        hashing.abort_all();
    }

    /// Every folder that has to be watched, with the index of its root.
    fn folders(&self) -> Vec<(usize, PathBuf)> {
        let mut folders: Vec<(usize, PathBuf)> = Vec::new();
        for (index, root) in self.roots.iter().enumerate() {
            match &root.shelf {
                Shelf::Children(_) => folders.push((index, root.path.clone())),
                // A single file, or a folder that may be replaced as a whole: its parent tells.
                Shelf::One(_) => folders.extend(root.path.parent().map(|parent| (index, parent.to_owned()))),
            }
        }
        for dataset in self.shelf().datasets.values() {
            folders.extend(dataset.state().folders.iter().map(|folder| (dataset.root, folder.clone())));
        }
        folders
    }

    /// Takes in a notification.
    fn notice(&self, event: notify::Result<Event>) -> Vec<PathBuf> {
        let now = (self.options.clock)();
        let mut moved = Vec::new();
        let concerned = match event {
            Ok(event) if event.need_rescan() => {
                self.mark_roots(now, |_| true);
                true
            }
            Ok(event) if is_change(event.kind) => {
                let mut concerned = false;
                for path in event.paths.into_iter().filter(|path| !self.is_foreign(path)) {
                    concerned |= self.mark_path(&path, now);
                    if matches!(event.kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_))) {
                        moved.push(path);
                    }
                }
                concerned
            }
            Ok(_) => false,
            Err(error) => {
                tracing::warn!(%error, "the watch of the file system had a problem, looking at everything");
                self.mark_roots(now, |_| true);
                true
            }
        };
        if concerned {
            self.wake.notify_one();
        }
        moved
    }

    /// True for paths that no dataset reads.
    fn is_foreign(&self, path: &Path) -> bool {
        let in_state = self.options.state_folder.as_ref().is_some_and(|state| path.starts_with(state));
        let below = self.roots.iter().find_map(|root| path.strip_prefix(&root.path).ok());
        let segments = below.into_iter().flat_map(Path::components).filter_map(|segment| segment.as_os_str().to_str());
        let segments: Vec<&str> = segments.collect();
        let last = segments.len().saturating_sub(1);
        in_state || segments.iter().enumerate().any(|(at, name)| is_ignored(name, at < last))
    }
}

/// False for mere reading.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        _ => true,
    }
}

/// What is watched. Each folder has a watch of its own, so that the state folder and `.git` have none.
struct Watch {
    watcher: Option<RecommendedWatcher>,
    watched: HashSet<PathBuf>,
    /// Paths that were moved or removed: their watches are no longer true.
    moved: Arc<Mutex<Vec<PathBuf>>>,
    /// For each root, whether it is polled.
    polled: Vec<bool>,
}

impl Watch {
    fn new(hub: &Arc<LocalHub>) -> Self {
        let weak: Weak<LocalHub> = Arc::downgrade(hub);
        let moved: Arc<Mutex<Vec<PathBuf>>> = Arc::default();
        let on_event = {
            let moved = moved.clone();
            move |event| {
                if let Some(hub) = weak.upgrade() {
                    let paths = hub.notice(event);
                    moved.lock().unwrap_or_else(PoisonError::into_inner).extend(paths);
                }
            }
        };
        let watcher = if hub.options.poll {
            None
        } else {
            RecommendedWatcher::new(on_event, Config::default().with_follow_symlinks(false))
                .inspect_err(|error| {
                    tracing::warn!(%error, "the file system cannot be watched, looking for changes every few seconds");
                })
                .ok()
        };
        let is_polled = |path: &Path| {
            let on_network = is_network(path);
            if on_network && watcher.is_some() {
                tracing::info!(path = %path.display(), "a network file system, looking for changes every few seconds");
            }
            on_network || watcher.is_none()
        };
        let polled = hub.roots.iter().map(|root| is_polled(&root.path)).collect();
        Self { watcher, watched: HashSet::new(), moved, polled }
    }

    /// Watches the folders there are now and no others. Returns those that are new.
    fn follow(&mut self, hub: &LocalHub) -> Vec<PathBuf> {
        let Some(watcher) = &mut self.watcher else { return Vec::new() };
        let moved = std::mem::take(&mut *self.moved.lock().unwrap_or_else(PoisonError::into_inner));
        let moved: HashSet<PathBuf> = moved.into_iter().collect();
        let wanted: HashSet<PathBuf> =
            hub.folders().into_iter().filter(|(root, _)| !self.polled[*root]).map(|(_, folder)| folder).collect();
        let is_stale =
            |folder: &PathBuf| !wanted.contains(folder) || moved.iter().any(|moved| folder.starts_with(moved));
        let stale: Vec<PathBuf> = self.watched.iter().filter(|&folder| is_stale(folder)).cloned().collect();
        for folder in stale {
            // The watch of a removed folder is gone already.
            let _ = watcher.unwatch(&folder);
            self.watched.remove(&folder);
        }
        let mut news = Vec::new();
        for folder in wanted {
            if self.watched.contains(&folder) {
                continue;
            }
            match watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.watched.insert(folder.clone());
                    news.push(folder);
                }
                Err(error) if is_exhausted(&error) => {
                    tracing::warn!(
                        "the limit of watched folders is reached, looking for changes every few seconds; raise \
                         fs.inotify.max_user_watches to be notified again"
                    );
                    self.polled.fill(true);
                    self.watcher = None;
                    return Vec::new();
                }
                // Gone since it was seen, or not ours to read: the next scan tells.
                Err(error) => tracing::debug!(path = %folder.display(), %error, "a folder cannot be watched"),
            }
        }
        news
    }
}

fn is_exhausted(error: &notify::Error) -> bool {
    match &error.kind {
        notify::ErrorKind::MaxFilesWatch => true,
        notify::ErrorKind::Io(error) => error.raw_os_error() == Some(rustix::io::Errno::NOSPC.raw_os_error()),
        _ => false,
    }
}

fn is_network(path: &Path) -> bool {
    rustix::fs::statfs(path).is_ok_and(|facts| NETWORK_FILE_SYSTEMS.contains(&(facts.f_type as u32)))
}
