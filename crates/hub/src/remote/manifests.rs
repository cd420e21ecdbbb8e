//! The lists of files that were needed last, so that a split of many files does not read its list again for each.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use belvedere_domain::{DatasetName, Manifest, Revision};

/// Lists that are kept.
const KEPT: usize = 4;

/// Lists of files by dataset and revision, the one used last in front.
#[derive(Default)]
pub(super) struct Manifests {
    kept: Mutex<VecDeque<(DatasetName, Revision, Arc<Manifest>)>>,
}

impl Manifests {
    pub(super) fn get(&self, dataset: &DatasetName, revision: &Revision) -> Option<Arc<Manifest>> {
        let mut kept = self.lock();
        let at = kept.iter().position(|(of, at, _)| of == dataset && at == revision)?;
        let found = kept.remove(at)?;
        let manifest = Arc::clone(&found.2);
        kept.push_front(found);
        Some(manifest)
    }

    pub(super) fn put(&self, dataset: &DatasetName, revision: &Revision, manifest: Arc<Manifest>) {
        let mut kept = self.lock();
        kept.retain(|(of, at, _)| of != dataset || at != revision);
        kept.push_front((dataset.clone(), revision.clone(), manifest));
        kept.truncate(KEPT);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(DatasetName, Revision, Arc<Manifest>)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_used_last_stay() {
        let dataset = |name: &str| DatasetName::new(name).unwrap();
        let revision = Revision::new("a".repeat(40)).unwrap();
        let manifests = Manifests::default();
        for name in ["a", "b", "c", "d"] {
            manifests.put(&dataset(name), &revision, Arc::default());
        }
        assert!(manifests.get(&dataset("a"), &revision).is_some());
        manifests.put(&dataset("e"), &revision, Arc::default());
        let is_there = ["a", "b", "c", "d", "e"].map(|name| manifests.get(&dataset(name), &revision).is_some());
        assert_eq!(is_there, [true, false, true, true, true]);
        assert!(manifests.get(&dataset("a"), &Revision::new("b".repeat(40)).unwrap()).is_none());
    }
}
