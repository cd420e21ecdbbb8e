//! Numbers of jobs and artifacts for the metrics, counted no more often than they are cheap.
//!
//! While counting takes little, every scrape counts. Where it takes longer, because the database holds a million of
//! either, it is done in the background at most a tenth of the time, and a scrape gets the last result at once. Nothing
//! is added to the writes of the queue for the sake of these numbers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use belvedere_store::{ArtifactCount, JobCount, Store, StoreError};
use tokio::sync::Mutex;

/// Counting that takes no longer is done for every scrape.
const CHEAP: Duration = Duration::from_millis(20);
/// Rest between two counts, in multiples of what the last one took.
const REST: u32 = 10;
/// Without a scrape for so long, counting stops, and the next scrape waits for a new count.
const INTEREST: Duration = Duration::from_secs(300);

/// The numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) jobs: Vec<JobCount>,
    pub(crate) artifacts: Vec<ArtifactCount>,
}

/// The last numbers, and whether somebody keeps them fresh.
#[derive(Clone, Default)]
pub(crate) struct Tally(Arc<Mutex<Last>>);

#[derive(Default)]
struct Last {
    counts: Arc<Counts>,
    /// A task counts again and again as long as this moves on.
    asked: Option<Instant>,
}

impl Tally {
    /// The numbers now, or of a moment ago where counting them takes long.
    pub(crate) async fn counts(&self, store: &Store) -> Result<Arc<Counts>, StoreError> {
        // Held while counting, so that scrapes at the same time count once.
        let mut last = self.0.lock().await;
        if let Some(asked) = &mut last.asked {
            *asked = Instant::now();
            return Ok(Arc::clone(&last.counts));
        }
        let (counts, took) = count(store).await?;
        let counts = Arc::new(counts);
        if took > CHEAP {
            last.counts = Arc::clone(&counts);
            last.asked = Some(Instant::now());
            tokio::spawn(self.clone().keep_fresh(store.clone(), took));
        }
        Ok(counts)
    }

    /// Counts again and again, until nobody asks any more, or counting is cheap again, or the store fails.
    async fn keep_fresh(self, store: Store, mut took: Duration) {
        loop {
            tokio::time::sleep((took * REST).max(Duration::from_secs(1))).await;
            let counted = count(&store).await;
            let mut last = self.0.lock().await;
            let is_asked = last.asked.is_some_and(|asked| asked.elapsed() < INTEREST);
            match counted {
                Ok((counts, duration)) if is_asked && duration > CHEAP => {
                    last.counts = Arc::new(counts);
                    took = duration;
                }
                _ => {
                    // The next scrape counts by itself, and tells what is wrong with the store.
                    *last = Last::default();
                    return;
                }
            }
        }
    }
}

async fn count(store: &Store) -> Result<(Counts, Duration), StoreError> {
    let started = Instant::now();
    let (jobs, artifacts) = tokio::try_join!(store.reports.job_counts(), store.reports.artifact_counts())?;
    Ok((Counts { jobs, artifacts }, started.elapsed()))
}
