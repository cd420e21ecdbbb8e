//! What a Hub has said about datasets a moment ago, so that it is not asked at every request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use belvedere_domain::DatasetName;

use crate::hub::Head;

/// Most datasets that are remembered, those that are missing included.
const MAX_KEPT: usize = 10_000;

/// Answers about datasets, each for a while.
pub(super) struct Heads {
    fresh: Duration,
    clock: fn() -> SystemTime,
    kept: Mutex<HashMap<DatasetName, Kept>>,
}

#[derive(Default)]
struct Kept {
    /// What was said, and when.
    said: Option<(Said, SystemTime)>,
    /// Held by whoever asks.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// What the Hub said about a dataset.
#[derive(Clone, Debug)]
pub(super) enum Said {
    Found(Arc<Head>),
    Missing,
    Disabled,
}

impl Heads {
    pub(super) fn new(fresh: Duration, clock: fn() -> SystemTime) -> Self {
        Self { fresh, clock, kept: Mutex::default() }
    }

    /// What was said last, however long ago.
    pub(super) fn last(&self, dataset: &DatasetName) -> Option<Said> {
        self.lock().get(dataset).and_then(|kept| kept.said.as_ref()).map(|(said, _)| said.clone())
    }

    /// What was said a moment ago.
    pub(super) fn fresh(&self, dataset: &DatasetName) -> Option<Said> {
        let now = (self.clock)();
        let kept = self.lock();
        let (said, at) = kept.get(dataset)?.said.as_ref()?;
        // A clock that was set back makes nothing fresh for ever.
        now.duration_since(*at).is_ok_and(|age| age < self.fresh).then(|| said.clone())
    }

    /// Waits for one's turn to ask about a dataset.
    pub(super) async fn turn(&self, dataset: &DatasetName) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = Arc::clone(&self.lock().entry(dataset.clone()).or_default().turn);
        turn.lock_owned().await
    }

    /// Remembers what was said; what was said before.
    pub(super) fn put(&self, dataset: &DatasetName, said: Said) -> Option<Said> {
        let now = (self.clock)();
        let mut kept = self.lock();
        let before = kept.entry(dataset.clone()).or_default().said.replace((said, now));
        if kept.len() > MAX_KEPT {
            // Half of them at once, so that this is rare. The oldest first; whoever waits for a turn keeps it.
            let mut ages: Vec<SystemTime> = kept.values().filter_map(|kept| Some(kept.said.as_ref()?.1)).collect();
            ages.sort_unstable();
            let middle = ages.get(ages.len() / 2).copied().unwrap_or(now);
            kept.retain(|_, kept| {
                Arc::strong_count(&kept.turn) > 1 || kept.said.as_ref().is_some_and(|(_, at)| *at > middle)
            });
        }
        before.map(|(said, _)| said)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DatasetName, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
