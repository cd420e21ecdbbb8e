//! What holds in folders and in distant places alike.

use std::fs;

use belvedere_store::BlobHead;
use bytes::Bytes;
use futures::TryStreamExt as _;

use crate::bed::{Bed, pattern};

pub(crate) async fn puts_reads_ranges_and_deletes(bed: &Bed) {
    let blobs = &bed.blobs;
    blobs.check().await.unwrap();
    blobs.put("a/b/c", Bytes::from_static(b"0123456789")).await.unwrap();
    assert_eq!(blobs.get("a/b/c").await.unwrap().unwrap(), "0123456789");
    assert_eq!(blobs.get_range("a/b/c", 2..5).await.unwrap().unwrap(), "234");
    assert_eq!(blobs.head("a/b/c").await.unwrap(), Some(BlobHead { size: 10 }));
    blobs.put("a/b/c", Bytes::from_static(b"new")).await.unwrap();
    assert_eq!(blobs.get("a/b/c").await.unwrap().unwrap(), "new");
    blobs.delete("a/b/c").await.unwrap();
    blobs.delete("a/b/c").await.unwrap();
    assert_eq!(blobs.get("a/b/c").await.unwrap(), None);
    assert_eq!(blobs.get_range("a/b/c", 0..1).await.unwrap(), None);
    assert_eq!(blobs.head("a/b/c").await.unwrap(), None);
    assert!(blobs.fetch("a/b/c", None).await.unwrap().is_none());
}

pub(crate) async fn takes_files_and_leaves_nothing_behind(bed: &Bed) {
    let file = bed.file(b"parquet");
    bed.blobs.put_file("a/x/data.parquet", &file).await.unwrap();
    assert!(!file.exists());
    assert_eq!(bed.blobs.get("a/x/data.parquet").await.unwrap().unwrap(), "parquet");
    if bed.blobs.is_folder() {
        let path = bed.blobs.local_path("a/x/data.parquet").unwrap();
        let names: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["data.parquet"]);
    }
}

pub(crate) async fn a_large_file_arrives_whole(bed: &Bed) {
    // Three parts and a bit.
    let bytes = pattern((25 << 20) + 12_345);
    let file = bed.file(&bytes);
    bed.blobs.put_file("a/large", &file).await.unwrap();
    assert!(!file.exists());
    assert_eq!(bed.blobs.head("a/large").await.unwrap().unwrap().size, bytes.len() as u64);
    assert!(bed.blobs.get("a/large").await.unwrap().unwrap() == bytes);
}

pub(crate) async fn linked_blobs_live_on_their_own(bed: &Bed) {
    let blobs = &bed.blobs;
    blobs.put("a/x", Bytes::from_static(b"0123456789")).await.unwrap();
    assert!(blobs.link("a/x", "b/c/y").await.unwrap());
    assert!(blobs.link("a/x", "b/c/y").await.unwrap(), "it may be done twice");
    assert!(!blobs.link("a/missing", "b/z").await.unwrap());
    assert!(blobs.link("a/x", "a/twin").await.unwrap());
    let shared = if blobs.is_folder() { 10 } else { 20 };
    assert_eq!((blobs.usage("a").await.unwrap(), blobs.usage("b").await.unwrap()), (shared, 10));
    assert_eq!(blobs.usage("nothing").await.unwrap(), 0);
    blobs.delete_prefix("a").await.unwrap();
    assert_eq!(blobs.get("b/c/y").await.unwrap().unwrap(), "0123456789");
    if let Some(path) = blobs.local_path("b/c").filter(|_| blobs.is_folder()) {
        let names: Vec<_> = fs::read_dir(path).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["y"]);
    }
}

pub(crate) async fn groups_are_second_segments(bed: &Bed) {
    for key in ["views/a/train/0000.parquet", "views/a/test/0000.parquet", "views/b/x", "other/c/x"] {
        bed.blobs.put(key, Bytes::from_static(b"x")).await.unwrap();
    }
    let groups = bed.blobs.groups("views").await.unwrap();
    let mut names: Vec<_> = groups.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["a", "b"]);
    assert!(groups.values().all(|changed| *changed > 0));
    assert!(bed.blobs.groups("nothing").await.unwrap().is_empty());
}

pub(crate) async fn prefixes_end_at_segments(bed: &Bed) {
    for key in ["a/1", "a/2/3", "ab/1"] {
        bed.blobs.put(key, Bytes::from_static(b"x")).await.unwrap();
    }
    bed.blobs.delete_prefix("a").await.unwrap();
    bed.blobs.delete_prefix("missing").await.unwrap();
    assert_eq!(bed.blobs.get("a/2/3").await.unwrap(), None);
    assert!(bed.blobs.get("ab/1").await.unwrap().is_some());
}

pub(crate) async fn keys_cannot_leave_the_place(bed: &Bed) {
    for key in ["", "/etc/passwd", "../x", "a//b", "a/../b", "a\\b", "a/.staged-1-1"] {
        assert!(bed.blobs.put(key, Bytes::new()).await.is_err(), "{key}");
        assert!(bed.blobs.get(key).await.is_err(), "{key}");
        assert!(bed.blobs.fetch(key, None).await.is_err(), "{key}");
        assert!(bed.blobs.local_path(key).is_none(), "{key}");
    }
}

pub(crate) async fn a_fetched_blob_is_a_file(bed: &Bed) {
    let bytes = pattern((9 << 20) + 5);
    bed.blobs.put("a/b/data.bin", bytes.clone().into()).await.unwrap();
    let fetched = bed.blobs.fetch("a/b/data.bin", Some(bytes.len() as u64)).await.unwrap().unwrap();
    assert!(fs::read(fetched.path()).unwrap() == bytes);
    assert_eq!(bed.blobs.local_path("a/b/data.bin").unwrap(), fetched.path());
    // Many ask at once and get the same file.
    let asks = (0..8).map(|_| bed.blobs.fetch("a/b/data.bin", None));
    for again in futures::future::join_all(asks).await {
        assert_eq!(again.unwrap().unwrap().path(), fetched.path());
    }
    bed.blobs.put("a/b/data.bin", Bytes::from_static(b"other")).await.unwrap();
    if !bed.blobs.is_folder() {
        let distant = bed.blobs.distant_key(fetched.path());
        assert_eq!(distant.as_deref(), Some("a/b/data.bin"));
    }
    drop(fetched);
    let fetched = bed.blobs.fetch("a/b/data.bin", Some(5)).await.unwrap().unwrap();
    assert_eq!(fs::read(fetched.path()).unwrap(), b"other");
}

pub(crate) async fn many_writers_of_one_blob_leave_one_of_theirs(bed: &Bed) {
    let writers = (0..8_u8).map(|n| bed.blobs.put("a/contended", Bytes::from(vec![n; 10_000])));
    for written in futures::future::join_all(writers).await {
        written.unwrap();
    }
    let found = bed.blobs.get("a/contended").await.unwrap().unwrap();
    assert!(found.len() == 10_000 && found.iter().all(|byte| *byte == found[0]));
}

pub(crate) async fn streams_are_cut_as_asked(bed: &Bed) {
    let bytes = pattern((9 << 20) + 5);
    bed.blobs.put("a/b", bytes.clone().into()).await.unwrap();
    for range in [0..0, 0..1, 5..bytes.len(), (4 << 20) - 1..(4 << 20) + 1] {
        let wanted = range.start as u64..range.end as u64;
        let pieces: Vec<Bytes> = bed.blobs.stream("a/b", wanted).try_collect().await.unwrap();
        assert!(pieces.concat() == bytes[range.clone()], "{range:?}");
    }
}

pub(crate) async fn what_is_written_meanwhile_is_not_deleted(bed: &Bed) {
    bed.blobs.put("a/view/old", Bytes::from_static(b"x")).await.unwrap();
    bed.blobs.put("a/view/b/old", Bytes::from_static(b"x")).await.unwrap();
    bed.blobs.delete_older("a/view", 0).await.unwrap();
    let listed = bed.blobs.groups("a").await.unwrap()["view"];
    assert!(bed.blobs.get("a/view/old").await.unwrap().is_some(), "nothing is that old");
    // Places tell times by the second.
    while bed.blobs.groups("a").await.unwrap()["view"] / 1_000_000 == listed / 1_000_000 {
        bed.blobs.put("a/view/b/new", Bytes::from_static(b"x")).await.unwrap();
    }
    bed.blobs.delete_older("a/view", listed + 999_999 - listed % 1_000_000).await.unwrap();
    assert!(bed.blobs.get("a/view/old").await.unwrap().is_none());
    assert!(bed.blobs.get("a/view/b/old").await.unwrap().is_none());
    assert!(bed.blobs.get("a/view/b/new").await.unwrap().is_some());
    bed.blobs.delete_older("a/missing", i64::MAX).await.unwrap();
}
