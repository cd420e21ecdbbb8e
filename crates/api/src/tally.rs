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
/// The rest is never shorter.
const SHORTEST_REST: Duration = Duration::from_secs(1);
/// Without a scrape for so long, counting stops, and the next scrape waits for a new count.
const INTEREST: Duration = Duration::from_secs(300);

/// The numbers.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) jobs: Vec<JobCount>,
    pub(crate) artifacts: Vec<ArtifactCount>,
}

impl Counts {
    /// Counts now.
    async fn of(store: &Store) -> Result<Self, StoreError> {
        let (jobs, artifacts) = tokio::try_join!(store.reports.job_counts(), store.reports.artifact_counts())?;
        Ok(Self { jobs, artifacts })
    }
}

/// The last numbers, and whether somebody keeps them fresh.
#[derive(Clone, Default)]
pub(crate) struct Tally(Arc<Mutex<Last>>);

impl Tally {
    /// The numbers now, or of a moment ago where counting them takes long.
    pub(crate) async fn counts(&self, store: &Store) -> Result<Arc<Counts>, StoreError> {
        // Held while counting, so that scrapes at the same time count once.
        let mut last = self.0.lock().await;
        if let Some(kept) = last.kept(Instant::now()) {
            return Ok(kept);
        }
        let started = Instant::now();
        let counts = Arc::new(Counts::of(store).await?);
        if let Some(rest) = last.counted_for_a_scrape(started, Instant::now(), &counts) {
            tokio::spawn(self.clone().keep_fresh(store.clone(), rest));
        }
        Ok(counts)
    }

    /// Counts again and again, until nobody asks any more, or counting is cheap again, or it fails.
    async fn keep_fresh(self, store: Store, mut rest: Duration) {
        loop {
            tokio::time::sleep(rest).await;
            let started = Instant::now();
            let counts = Counts::of(&store).await.ok();
            let Some(next) = self.0.lock().await.counted_ahead(started, Instant::now(), counts) else { return };
            rest = next;
        }
    }
}

/// What is known between two scrapes.
#[derive(Default)]
struct Last {
    counts: Arc<Counts>,
    /// The last scrape, while a task counts ahead.
    asked: Option<Instant>,
}

impl Last {
    /// The numbers for a scrape, if a task keeps them fresh.
    fn kept(&mut self, now: Instant) -> Option<Arc<Counts>> {
        let asked = self.asked.as_mut()?;
        *asked = now;
        Some(Arc::clone(&self.counts))
    }

    /// Notes what was counted while a scrape waited. The time of rest, if a task is to count ahead from now on.
    fn counted_for_a_scrape(&mut self, started: Instant, now: Instant, counts: &Arc<Counts>) -> Option<Duration> {
        let took = now.duration_since(started);
        if took <= CHEAP {
            return None;
        }
        *self = Self { counts: Arc::clone(counts), asked: Some(now) };
        Some(rest_after(took))
    }

    /// Notes what a task has counted; `None`: counting failed. The time of rest, or the end of the task.
    fn counted_ahead(&mut self, started: Instant, now: Instant, counts: Option<Counts>) -> Option<Duration> {
        let took = now.duration_since(started);
        let is_wanted = self.asked.is_some_and(|asked| now.duration_since(asked) < INTEREST);
        match counts.filter(|_| is_wanted && took > CHEAP) {
            Some(counts) => {
                self.counts = Arc::new(counts);
                Some(rest_after(took))
            }
            None => {
                // The next scrape counts by itself, and tells what is wrong with the store.
                *self = Self::default();
                None
            }
        }
    }
}

fn rest_after(took: Duration) -> Duration {
    (took * REST).max(SHORTEST_REST)
}

#[cfg(test)]
mod tests {
    use belvedere_domain::StepName;

    use super::*;

    fn counts(count: u64) -> Counts {
        let step = StepName::known("step");
        Counts { jobs: Vec::new(), artifacts: vec![ArtifactCount { step, http_status: 200, error_code: None, count }] }
    }

    fn at(start: Instant, milliseconds: u64) -> Instant {
        start + Duration::from_millis(milliseconds)
    }

    #[test]
    fn what_is_cheap_is_counted_every_time() {
        let (mut last, start) = (Last::default(), Instant::now());
        for second in 0..3 {
            let now = at(start, second * 1000);
            assert_eq!(last.kept(now), None);
            assert_eq!(last.counted_for_a_scrape(now, now + CHEAP, &Arc::new(counts(1))), None);
        }
    }

    #[test]
    fn what_takes_long_is_counted_ahead_of_the_scrapes() {
        let (mut last, start) = (Last::default(), Instant::now());
        assert_eq!(last.kept(start), None);
        let first = Arc::new(counts(1));
        assert_eq!(last.counted_for_a_scrape(start, at(start, 500), &first), Some(Duration::from_secs(5)));
        assert_eq!(last.kept(at(start, 501)).as_deref(), Some(&counts(1)));
        assert_eq!(
            last.counted_ahead(at(start, 5500), at(start, 5530), Some(counts(2))),
            Some(SHORTEST_REST),
            "a short count is followed by a short rest"
        );
        assert_eq!(last.kept(at(start, 5531)).as_deref(), Some(&counts(2)));
        assert_eq!(last.counted_ahead(at(start, 7000), at(start, 7001), Some(counts(3))), None, "it is cheap again");
        assert_eq!(last.kept(at(start, 7002)), None);
    }

    #[test]
    fn nobody_counts_for_nobody_and_no_failure_is_hidden() {
        let start = Instant::now();
        let busy = || {
            let mut last = Last::default();
            last.counted_for_a_scrape(start, at(start, 500), &Arc::new(counts(1)));
            last
        };
        let much_later = at(start, 500) + INTEREST;
        let mut last = busy();
        assert_eq!(last.counted_ahead(much_later - Duration::from_secs(1), much_later, Some(counts(2))), None);
        assert_eq!(last.kept(much_later), None);
        let mut last = busy();
        assert_eq!(last.counted_ahead(at(start, 5500), at(start, 6000), None), None);
        assert_eq!(last.kept(at(start, 6001)), None);
    }
}
