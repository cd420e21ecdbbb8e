//! What changes in the artifacts of one step, found by comparing: one task per process looks while somebody listens.
//!
//! Comparing finds deletions and changes of the revision shown like any other change, needs nothing from the queue's
//! transactions, and never misses what a dataset came to in the end. Two changes within one look are told as one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use belvedere_domain::view::{DigestBuilder, REVISION_PLACEHOLDER};
use belvedere_domain::{DatasetName, Digest, Revision, StepName, Timestamp};
use belvedere_store::{Report, Store, StoreError};
use bytes::Bytes;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, broadcast};

use crate::state::ApiState;

const STEP: &str = "dataset-hub-cache";
/// Changes that a subscriber may be behind.
const BACKLOG: usize = 1024;
/// Changes that are sent at once, and the pause after them.
const BURST: usize = BACKLOG / 4;
const PACE: Duration = Duration::from_millis(20);
/// Streams of one process at the same time.
const MAX_STREAMS: usize = 1000;
/// Artifacts that are read at a time.
const PAGE: u32 = 1000;
/// Looks are made when the queue tells of changes, and at least so often: other processes need not tell.
const LONGEST_REST: Duration = Duration::from_secs(2);
/// Rest after a look, in multiples of what it took, so that large installations are not busy with looking.
const REST: u32 = 10;
const SHORTEST_REST: Duration = Duration::from_millis(50);
/// Pause when the database is away.
const PAUSE: Duration = Duration::from_secs(2);

/// A change of a dataset.
#[derive(Clone)]
pub(super) struct Change {
    pub(super) dataset: DatasetName,
    /// The event, as it is sent.
    pub(super) frame: Bytes,
}

/// The changes, for whoever subscribes.
pub(crate) struct Feed {
    changes: broadcast::Sender<Change>,
    streams: Arc<Semaphore>,
    /// True while a task looks.
    is_followed: Arc<Mutex<bool>>,
}

impl Default for Feed {
    fn default() -> Self {
        Self {
            changes: broadcast::Sender::new(BACKLOG),
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            is_followed: Arc::default(),
        }
    }
}

impl Feed {
    /// A place among the streams, and the changes from now on; `None` when all places are taken.
    ///
    /// # Errors
    /// When what is stored now cannot be read.
    pub(super) async fn subscribe(
        &self,
        state: &ApiState,
    ) -> Result<Option<(OwnedSemaphorePermit, broadcast::Receiver<Change>)>, StoreError> {
        let Ok(place) = Arc::clone(&self.streams).try_acquire_owned() else { return Ok(None) };
        let mut is_followed = self.is_followed.lock().await;
        let changes = self.changes.subscribe();
        if !*is_followed {
            // What is there now is no change, so it must be known before the client is told that it listens.
            let mut known = Known::default();
            known.compare(&state.services.store, &mut Vec::new()).await?;
            *is_followed = true;
            let task = Follow {
                store: state.services.store.clone(),
                changes: self.changes.clone(),
                is_followed: Arc::clone(&self.is_followed),
                known,
            };
            tokio::spawn(task.run());
        }
        Ok(Some((place, changes)))
    }
}

/// The task that looks.
struct Follow {
    store: Store,
    changes: broadcast::Sender<Change>,
    is_followed: Arc<Mutex<bool>>,
    known: Known,
}

impl Follow {
    /// Looks until nobody listens any more.
    async fn run(mut self) {
        let mut wakeups = self.store.queue.wakeups();
        let mut rest = SHORTEST_REST;
        loop {
            tokio::time::sleep(rest).await;
            // A closed channel would never let it rest.
            let _ = tokio::time::timeout(LONGEST_REST, wakeups.changed()).await;
            wakeups.mark_unchanged();
            {
                let mut is_followed = self.is_followed.lock().await;
                if self.changes.receiver_count() == 0 {
                    *is_followed = false;
                    return;
                }
            }
            let started = Instant::now();
            let mut changes = Vec::new();
            rest = match self.known.compare(&self.store, &mut changes).await {
                Ok(()) => (started.elapsed() * REST).max(SHORTEST_REST),
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "changes cannot be followed for now");
                    PAUSE
                }
            };
            for burst in changes.chunks(BURST) {
                for change in burst {
                    // When nobody listens any more, the next round ends the task.
                    let _ = self.changes.send(change.clone());
                }
                if changes.len() > BURST {
                    // Whoever reads at all can keep up.
                    tokio::time::sleep(PACE).await;
                }
            }
        }
    }
}

/// What was there at the last look.
#[derive(Default)]
struct Known {
    datasets: HashMap<DatasetName, Seen>,
    looks: u64,
}

struct Seen {
    written: (Timestamp, Revision),
    told: Digest,
    /// The look that saw it last.
    look: u64,
}

impl Known {
    /// Compares with what is stored now, and adds the changes. Those found before a failure are not found again.
    async fn compare(&mut self, store: &Store, changes: &mut Vec<Change>) -> Result<(), StoreError> {
        self.looks += 1;
        let look = self.looks;
        let (mut after, mut is_last) = (0, false);
        while !is_last {
            let reports = store.reports.artifacts(&StepName::known(STEP), after, PAGE, false).await?;
            is_last = reports.len() < PAGE as usize;
            after = reports.last().map_or(after, |report| report.id);
            for report in reports {
                let written = (report.updated_at, report.revision.clone());
                if let Some(seen) = self.datasets.get_mut(&report.key.dataset)
                    && seen.written == written
                {
                    seen.look = look;
                    continue;
                }
                // Small, so that reading those that changed one by one is no matter.
                let Some(report) = page(store, report.id - 1, 1).await?.pop().filter(|found| found.id == report.id)
                else {
                    continue;
                };
                let told = digest_of(&report);
                let written = (report.updated_at, report.revision.clone());
                let dataset = report.key.dataset.clone();
                let before = self.datasets.insert(dataset.clone(), Seen { written, told, look });
                if before.is_none_or(|before| before.told != told) {
                    changes.push(change_of(&dataset, &report));
                }
            }
        }
        self.datasets.retain(|dataset, seen| {
            if seen.look != look {
                changes.push(frame(dataset, "null"));
            }
            seen.look == look
        });
        Ok(())
    }
}

/// Artifacts of the step with their content, after an id.
pub(super) async fn page(store: &Store, after: i64, limit: u32) -> Result<Vec<Report>, StoreError> {
    store.reports.artifacts(&StepName::known(STEP), after, limit, true).await
}

fn digest_of(report: &Report) -> Digest {
    let content = report.content.as_ref().map_or("", |content| content.as_str());
    DigestBuilder::new(STEP, 1).part("status", report.http_status.to_string()).part("content", content).finish()
}

/// The event for an artifact as it is now.
pub(super) fn change_of(dataset: &DatasetName, report: &Report) -> Change {
    match &report.content {
        Some(content) if report.http_status == 200 => {
            frame(dataset, &content.as_str().replace(REVISION_PLACEHOLDER, report.revision.as_str()))
        }
        _ => frame(dataset, "null"),
    }
}

/// `hub_cache` is compact JSON, which has no line ends.
fn frame(dataset: &DatasetName, hub_cache: &str) -> Change {
    let name = serde_json::Value::from(dataset.as_str());
    let frame = format!("event: message\r\ndata: {{\"dataset\": {name}, \"hub_cache\": {hub_cache}}}\r\n\r\n");
    Change { dataset: dataset.clone(), frame: Bytes::from(frame) }
}
