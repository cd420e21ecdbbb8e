//! Manifests, hashes and segments.

use belvedere_domain::{FileEntry, Manifest};
use belvedere_store::HashRow;

use crate::bed::{Bed, dataset_name, revision_of};

pub(crate) async fn manifests_come_back(bed: &Bed) {
    let snapshots = &bed.store.snapshots;
    let (dataset, revision) = (dataset_name("a/one"), revision_of("r1"));
    assert_eq!(snapshots.manifest(&dataset, &revision).await.unwrap(), None);
    let file =
        |n: u32| FileEntry { path: format!("données/part-{n:05}.csv"), size: u64::from(n), content_id: n.to_string() };
    let manifest = Manifest::new((0..10_000).map(file).collect());
    snapshots.put_manifest(&dataset, &revision, &manifest).await.unwrap();
    snapshots.put_manifest(&dataset, &revision, &Manifest::default()).await.unwrap();
    assert_eq!(snapshots.manifest(&dataset, &revision).await.unwrap(), Some(manifest));
    bed.store.datasets.delete(&dataset).await.unwrap();
    assert_eq!(snapshots.manifest(&dataset, &revision).await.unwrap(), None);
}

pub(crate) async fn hashes_are_found_by_folder(bed: &Bed) {
    let row = |path: &str, mtime_ns: i64| HashRow {
        path: path.to_owned(),
        size: u64::MAX - 1,
        mtime_ns,
        ctime_ns: -1,
        inode: u64::MAX,
        sha256: "ab".repeat(32),
    };
    let snapshots = &bed.store.snapshots;
    let rows = ["/data/a/x", "/data/a/sub/ÿ", "/data/a.b/x", "/data/ab/x", "/data/a"].map(|path| row(path, 1));
    snapshots.remember_hashes(rows.to_vec()).await.unwrap();
    snapshots.remember_hashes(vec![row("/data/a/x", 2)]).await.unwrap();
    for folder in ["/data/a", "/data/a/"] {
        let found = snapshots.hashes(folder).await.unwrap();
        let mut paths: Vec<_> = found.keys().map(String::as_str).collect();
        paths.sort_unstable();
        assert_eq!(paths, ["/data/a/sub/ÿ", "/data/a/x"]);
        assert_eq!(found["/data/a/x"], row("/data/a/x", 2));
    }
    assert_eq!(snapshots.hashes("/").await.unwrap().len(), 5);
}

pub(crate) async fn segments_are_found_by_key(bed: &Bed) {
    let snapshots = &bed.store.snapshots;
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    snapshots.put_segments(vec![pair("k1", "{}"), pair("k2", "[1]")]).await.unwrap();
    snapshots.put_segments(vec![pair("k2", "[2]")]).await.unwrap();
    let keys = ["k1", "k2", "k3"].map(str::to_owned);
    let found = snapshots.segments(&keys).await.unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!((found["k1"].as_str(), found["k2"].as_str()), ("{}", "[2]"));
    assert!(snapshots.segments(&[]).await.unwrap().is_empty());
}
