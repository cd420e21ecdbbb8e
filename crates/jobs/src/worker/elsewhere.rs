//! Datasets whose files are elsewhere: a worker may be started with other folders than the API or than other workers.
//! It hands their jobs back and does not ask for them for a while; those who have the files do them meanwhile.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use belvedere_domain::DatasetName;

/// How long no job of such a dataset is asked for. Its folder may be mounted or filled later.
const REST: Duration = Duration::from_secs(60);
/// Datasets remembered; the oldest is forgotten for a new one, which costs one look at one job.
const MAX: usize = 1000;

/// What this worker has learned.
#[derive(Default)]
pub(super) struct Elsewhere {
    until: HashMap<DatasetName, Instant>,
}

impl Elsewhere {
    /// Remembers a dataset. `true` when it is news.
    pub(super) fn note(&mut self, dataset: &DatasetName, now: Instant) -> bool {
        if self.until.len() >= MAX && !self.until.contains_key(dataset) {
            let oldest = self.until.iter().min_by_key(|(_, until)| **until).map(|(name, _)| name.clone());
            oldest.map(|oldest| self.until.remove(&oldest));
        }
        self.until.insert(dataset.clone(), now + REST).is_none()
    }

    /// The datasets to ask nothing of, sorted.
    pub(super) fn datasets(&mut self, now: Instant) -> Vec<DatasetName> {
        self.until.retain(|_, until| *until > now);
        let mut datasets: Vec<_> = self.until.keys().cloned().collect();
        datasets.sort();
        datasets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dataset(name: &str) -> DatasetName {
        DatasetName::new(name).unwrap()
    }

    #[test]
    fn rests_end() {
        let (mut elsewhere, start) = (Elsewhere::default(), Instant::now());
        assert!(elsewhere.note(&dataset("lab/b"), start));
        assert!(!elsewhere.note(&dataset("lab/b"), start));
        assert!(elsewhere.note(&dataset("lab/a"), start + REST / 2));
        assert_eq!(elsewhere.datasets(start), [dataset("lab/a"), dataset("lab/b")]);
        assert_eq!(elsewhere.datasets(start + REST), [dataset("lab/a")]);
        assert_eq!(elsewhere.datasets(start + REST * 2), []);
        assert!(elsewhere.note(&dataset("lab/b"), start + REST));
    }

    #[test]
    fn the_oldest_gives_way() {
        let (mut elsewhere, start) = (Elsewhere::default(), Instant::now());
        for n in 0..=MAX {
            elsewhere.note(&dataset(&format!("lab/{n}")), start + Duration::from_millis(n as u64));
        }
        let datasets = elsewhere.datasets(start);
        assert_eq!(datasets.len(), MAX);
        assert!(!datasets.contains(&dataset("lab/0")));
    }
}
