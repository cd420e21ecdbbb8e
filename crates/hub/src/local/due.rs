//! What has changed and when it will be looked at. Decides nothing about files.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use belvedere_domain::DatasetName;

use super::LocalHub;
use super::dataset::Dataset;
use super::names;
use super::roots::Shelf;

/// Longest time that a burst of changes is collected.
const LONGEST_BURST: Duration = Duration::from_secs(1);

/// The datasets there are, and what is due.
#[derive(Default)]
pub(super) struct ShelfState {
    pub(super) datasets: BTreeMap<DatasetName, Arc<Dataset>>,
    /// Of each root, what is not served and why.
    pub(super) notes: Vec<Vec<String>>,
    due: HashMap<Place, Due>,
}

/// What a change concerns.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Place {
    /// The list of folders in a root.
    Root(usize),
    /// The files of a dataset.
    Dataset(DatasetName),
}

/// When a changed place is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Due {
    /// When the first change was seen.
    pub(super) since: SystemTime,
    pub(super) at: SystemTime,
}

impl Due {
    /// Before anything else: a dataset that was never looked at.
    pub(super) const FIRST: Self = Self { since: SystemTime::UNIX_EPOCH, at: SystemTime::UNIX_EPOCH };

    pub(super) fn now(now: SystemTime) -> Self {
        Self { since: now, at: now }
    }

    pub(super) fn is_first(self) -> bool {
        self.since == SystemTime::UNIX_EPOCH
    }
}

impl ShelfState {
    /// Makes a place due, at the earlier of two times.
    pub(super) fn mark(&mut self, place: Place, due: Due) {
        let known = self.due.entry(place).or_insert(due);
        *known = Due { since: known.since.min(due.since), at: known.at.min(due.at) };
    }

    /// Makes a place due when the burst of changes is over. A later time that was set for a reason stays.
    fn touch(&mut self, place: Place, now: SystemTime, debounce: Duration) {
        let due = self.due.entry(place).or_insert(Due { since: now, at: now + debounce });
        due.at = due.at.max((now + debounce).min(due.since + LONGEST_BURST));
    }

    /// Takes out what is due.
    pub(super) fn take_due(&mut self, now: SystemTime) -> Vec<(Place, Due)> {
        let (due, later) = std::mem::take(&mut self.due).into_iter().partition(|(_, due)| due.at <= now);
        self.due = later;
        HashMap::into_iter(due).collect()
    }

    /// When something is due next.
    pub(super) fn next_at(&self) -> Option<SystemTime> {
        self.due.values().map(|due| due.at).min()
    }
}

impl LocalHub {
    /// Makes a place due, at the earlier of two times.
    pub(super) fn mark_at(&self, place: Place, due: Due) {
        self.shelf().mark(place, due);
    }

    /// Makes the roots and datasets due that `which` chooses by the index of their root.
    pub(super) fn mark_roots(&self, now: SystemTime, which: impl Fn(usize) -> bool) {
        let mut shelf = self.shelf();
        let datasets = shelf.datasets.iter().filter(|(_, dataset)| which(dataset.root));
        let places: Vec<Place> = datasets
            .map(|(name, _)| Place::Dataset(name.clone()))
            .chain((0..self.roots.len()).filter(|root| which(*root)).map(Place::Root))
            .collect();
        for place in places {
            shelf.mark(place, Due::now(now));
        }
    }

    /// Notes that something at a path has changed. Returns whether that concerns a dataset.
    pub(super) fn mark_path(&self, path: &Path, now: SystemTime) -> bool {
        let mut shelf = self.shelf();
        let mut places = Vec::new();
        for (index, root) in self.roots.iter().enumerate() {
            let Ok(below) = path.strip_prefix(&root.path) else { continue };
            let namespace = match &root.shelf {
                Shelf::One(name) => {
                    places.push(Place::Dataset(name.clone()));
                    continue;
                }
                Shelf::Children(namespace) => namespace,
            };
            let mut segments = below.components();
            let dataset =
                segments.next().and_then(|child| names::dataset_name(namespace, child.as_os_str().as_bytes()));
            let dataset = dataset.filter(|name| shelf.datasets.contains_key(name));
            if dataset.is_none() || segments.next().is_none() {
                // A folder came, went or was renamed.
                places.push(Place::Root(index));
            }
            places.extend(dataset.map(Place::Dataset));
        }
        let concerned = !places.is_empty();
        for place in places {
            shelf.touch(place, now, self.options.debounce);
        }
        concerned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1000) + Duration::from_millis(milliseconds)
    }

    const DEBOUNCE: Duration = Duration::from_millis(150);

    #[test]
    fn a_burst_is_collected_until_it_pauses_but_not_longer_than_a_second() {
        let mut shelf = ShelfState::default();
        shelf.touch(Place::Root(0), at(0), DEBOUNCE);
        shelf.touch(Place::Root(0), at(100), DEBOUNCE);
        assert_eq!(shelf.next_at(), Some(at(250)));
        assert_eq!(shelf.take_due(at(249)), []);
        for step in 1..50 {
            shelf.touch(Place::Root(0), at(100 * step), DEBOUNCE);
        }
        assert_eq!(shelf.next_at(), Some(at(1000)));
        assert_eq!(shelf.take_due(at(1000)), [(Place::Root(0), Due { since: at(0), at: at(1000) })]);
        assert_eq!(shelf.next_at(), None);
    }

    #[test]
    fn a_mark_takes_the_earlier_time_and_a_touch_keeps_a_later_one() {
        let mut shelf = ShelfState::default();
        shelf.mark(Place::Root(0), Due { since: at(0), at: at(500) });
        shelf.touch(Place::Root(0), at(10), DEBOUNCE);
        assert_eq!(shelf.next_at(), Some(at(500)));
        shelf.mark(Place::Root(0), Due::now(at(20)));
        assert_eq!(shelf.take_due(at(20)), [(Place::Root(0), Due { since: at(0), at: at(20) })]);
    }
}
