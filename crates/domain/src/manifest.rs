//! What a revision of a dataset consists of: paths, sizes and content hashes.

use serde::{Deserialize, Serialize};

/// One file of a revision.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FileEntry {
    /// Path inside the dataset, `/` between segments, no leading `/`.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// What identifies the content: 64 hexadecimal digits of its SHA-256; of a small file of a remote Hub, `git:` and the 40
    /// of its git object; or, while a large file is still being hashed, `provisional:` and a digest of size, times, inode and sampled blocks.
    pub content_id: String,
}

impl FileEntry {
    /// True once the whole content was hashed.
    pub fn is_hashed(&self) -> bool {
        !self.content_id.starts_with("provisional:")
    }
}

/// All files of a revision, sorted by path in code-point order.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Manifest {
    /// The files.
    pub files: Vec<FileEntry>,
}

impl Manifest {
    /// Makes a manifest; sorts the files.
    pub fn new(mut files: Vec<FileEntry>) -> Self {
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Self { files }
    }

    /// The file at a path.
    pub fn get(&self, path: &str) -> Option<&FileEntry> {
        self.files.binary_search_by(|file| file.path.as_str().cmp(path)).ok().map(|at| &self.files[at])
    }

    /// The files at some paths, in their order. Paths that come as the files do, one after the other, are not searched for.
    pub fn each<'m, 'p>(
        &'m self,
        paths: impl IntoIterator<Item = &'p str>,
    ) -> impl Iterator<Item = (&'p str, Option<&'m FileEntry>)> {
        let mut next = 0;
        paths.into_iter().map(move |path| {
            let here = self.files.get(next).filter(|file| file.path == path);
            let at = match here {
                Some(_) => Some(next),
                None => self.files.binary_search_by(|file| file.path.as_str().cmp(path)).ok(),
            };
            next = at.map_or(next, |at| at + 1);
            (path, at.map(|at| &self.files[at]))
        })
    }

    /// Total size in bytes.
    pub fn size(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_in_any_order_of_paths() {
        let entry = |path: &str| FileEntry { path: path.to_owned(), size: 1, content_id: format!("id of {path}") };
        let manifest = Manifest::new(["c", "a", "d", "b"].map(entry).into());
        for paths in
            [vec!["a", "b", "c", "d"], vec!["d", "a", "b"], vec!["b", "b", "x", "c"], vec!["a", "c", "0", "d"], vec![]]
        {
            let each: Vec<_> = manifest.each(paths.iter().copied()).collect();
            let one_by_one: Vec<_> = paths.iter().map(|path| (*path, manifest.get(path))).collect();
            assert_eq!(each, one_by_one);
        }
        assert!(Manifest::default().each(["a"]).all(|(_, entry)| entry.is_none()));
    }
}
