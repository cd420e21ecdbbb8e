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

    /// Total size in bytes.
    pub fn size(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }
}
