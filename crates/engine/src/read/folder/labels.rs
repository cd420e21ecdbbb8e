//! Labels of media: the names of the folders they lie in, where these say more than which split a file is of.

use std::collections::{BTreeSet, HashSet};

/// What all media of all splits tell.
#[derive(Debug, Default)]
pub(super) struct Labels {
    names: BTreeSet<String>,
    /// Depths of the files.
    depths: HashSet<usize>,
    /// Folders, each with the number of the split that has files in it.
    folders: HashSet<(usize, String)>,
}

/// Name of the folder that a file lies in; empty at the root.
pub(super) fn parent_name(path: &str) -> &str {
    let folder = parent(path);
    folder.rsplit_once('/').map_or(folder, |(_, name)| name)
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

impl Labels {
    /// Adds a file of a split.
    pub(super) fn add(&mut self, split: usize, path: &str) {
        self.names.insert(parent_name(path).to_owned());
        self.depths.insert(path.matches('/').count());
        // Few folders have many files.
        let folder = (split, parent(path).to_owned());
        if !self.folders.contains(&folder) {
            self.folders.insert(folder);
        }
    }

    /// The labels in order, if there are any: on demand (`dropped` is false), or where all files lie equally deep in
    /// folders of several names that are not just those of the splits.
    pub(super) fn names(&self, dropped: Option<bool>) -> Option<Vec<String>> {
        let wanted = match dropped {
            Some(dropped) => !dropped,
            None => self.names.len() > 1 && self.depths.len() == 1 && !self.are_splits(),
        };
        wanted.then(|| self.names.iter().cloned().collect())
    }

    /// True if each split has one folder and these folders lie side by side: `train/1.png`, `test/1.png`.
    fn are_splits(&self) -> bool {
        let splits: HashSet<usize> = self.folders.iter().map(|(split, _)| *split).collect();
        let above: HashSet<&str> = self.folders.iter().map(|(_, folder)| parent(folder)).collect();
        splits.len() > 1 && splits.len() == self.folders.len() && above.len() == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(splits: &[&[&str]], dropped: Option<bool>) -> Option<String> {
        let mut labels = Labels::default();
        for (number, paths) in splits.iter().enumerate() {
            paths.iter().for_each(|path| labels.add(number, path));
        }
        labels.names(dropped).map(|names| names.join(" "))
    }

    #[test]
    fn folders_of_one_depth_are_labels() {
        let both = Some("cat dog".to_owned());
        assert_eq!(labels(&[&["dog/1.png", "cat/1.png", "cat/2.png"]], None), both);
        assert_eq!(labels(&[&["train/cat/1.png"], &["test/dog/1.png"]], None), both, "decided over all splits");
        assert_eq!(labels(&[&["cat/1.png", "cat/2.png"]], None), None, "one name");
        assert_eq!(labels(&[&["cat/1.png", "a/dog/1.png"]], None), None, "two depths");
        assert_eq!(labels(&[&["cat/1.png", "1.png"]], None), None, "two depths");
    }

    #[test]
    fn the_folders_of_splits_are_none() {
        assert_eq!(labels(&[&["train/1.png", "train/2.png"], &["test/1.png"]], None), None);
        assert_eq!(labels(&[&["data/train/1.png"], &["data/test/1.png"]], None), None);
    }

    #[test]
    fn labels_are_forced_or_dropped() {
        assert_eq!(labels(&[&["cat/1.png", "cat/2.png"]], Some(false)), Some("cat".to_owned()));
        assert_eq!(labels(&[&["cat/1.png", "dog/2.png"]], Some(true)), None);
        assert_eq!(labels(&[&["train/1.png"], &["test/1.png"]], Some(false)), Some("test train".to_owned()));
    }
}
