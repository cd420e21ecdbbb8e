//! A place of its own for each test.

use std::sync::atomic::{AtomicU32, Ordering};

use belvedere_store::{BlobCache, Blobs, S3, S3Identity};

/// Bytes of the cache of distant places in tests.
pub(crate) const CACHE_BYTES: u64 = 24 << 20;

/// An empty place.
pub(crate) struct Bed {
    pub(crate) blobs: Blobs,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) cache: Option<BlobCache>,
    /// How to open the same place once more, as another process would.
    again: Option<S3>,
}

impl Bed {
    pub(crate) fn folder() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::folder(&folder.path().join("blobs")).unwrap();
        Some(Self { blobs, folder, cache: None, again: None })
    }

    pub(crate) fn memory() -> Option<Self> {
        Some(Self::distant(Blobs::memory(), None))
    }

    /// `None` when no server is named.
    pub(crate) fn s3() -> Option<Self> {
        let settings = settings()?;
        Some(Self::distant(Blobs::s3(&settings).unwrap(), Some(settings)))
    }

    fn distant(blobs: Blobs, again: Option<S3>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cache = BlobCache::open(&folder.path().join("cache"), CACHE_BYTES).unwrap();
        Self { blobs: blobs.with_cache(cache.clone()), folder, cache: Some(cache), again }
    }

    /// The same place, with an empty cache of its own.
    pub(crate) fn another_process(&self) -> Blobs {
        let cache = BlobCache::open(&self.folder.path().join("cache"), CACHE_BYTES).unwrap();
        let blobs = self.again.as_ref().map_or_else(|| self.blobs.clone(), |settings| Blobs::s3(settings).unwrap());
        blobs.with_cache(cache)
    }

    /// A file with these bytes.
    pub(crate) fn file(&self, bytes: &[u8]) -> std::path::PathBuf {
        let file = self.folder.path().join("made");
        std::fs::write(&file, bytes).unwrap();
        file
    }

    /// Removes what a test that went well has left.
    pub(crate) async fn close(self) {
        for first in ["a", "ab", "b", "views", "other"] {
            self.blobs.delete_prefix(first).await.unwrap();
        }
    }
}

/// The server for tests, under a prefix of this test's own.
pub(crate) fn settings() -> Option<S3> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let var = |name: &str| std::env::var(format!("BELVEDERE_TEST_S3_{name}")).ok();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    Some(S3 {
        endpoint: Some(var("ENDPOINT")?),
        bucket: var("BUCKET").unwrap(),
        prefix: format!("tests/{}-{count}", std::process::id()),
        region: var("REGION").unwrap(),
        path_style: true,
        identity: S3Identity::Keys { id: var("KEY_ID").unwrap(), secret: var("SECRET").unwrap() },
    })
}

/// Bytes in which every position can be told from its neighbours.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8).collect()
}
