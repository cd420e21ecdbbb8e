//! The beginnings of many files of a remote Hub, fetched several at a time. Whoever measures media asks for one file after the
//! other, and would wait for each.

use std::path::PathBuf;
use std::sync::Arc;

use belvedere_hub::{PARTS_SUFFIX, Reading};
use futures::{StreamExt, TryStreamExt, stream};

use super::Files;

/// Files that are asked for at the same time.
const AT_ONCE: usize = 8;

impl Files {
    /// Brings the beginnings of files that are not on this machine. A failure ends it: who reads the file is told, then.
    pub(crate) async fn bring_heads(&self, mut files: Vec<PathBuf>) {
        // A file of a folder of this machine may have such a name; nobody knows it, which is a failure like others.
        files.retain(|path| path.extension().is_some_and(|suffix| suffix == PARTS_SUFFIX));
        let bring = |path: PathBuf| {
            let hub = Arc::clone(self.hub());
            async move { hub.bring(&path, 0..1, Reading::Spots).await }
        };
        let brought = stream::iter(files).map(bring).buffer_unordered(AT_ONCE).try_collect::<()>().await;
        if let Err(error) = brought {
            let error = &error as &dyn std::error::Error;
            tracing::debug!(error, "the beginnings of files are left to those who read them");
        }
    }
}
