//! What holds where blobs are not files: ranges, the cache, links.

#![expect(clippy::single_range_in_vec_init, reason = "lists of ranges are meant, some of one")]

use belvedere_store::ReadError;
use bytes::Bytes;
use tokio::runtime::Handle;

use crate::bed::{Bed, CACHE_BYTES, pattern};

/// Reads ranges of a blob as the engine does, on a thread that may block.
async fn read(
    blobs: &belvedere_store::Blobs,
    key: &str,
    size: usize,
    ranges: Vec<std::ops::Range<u64>>,
) -> Result<Vec<Bytes>, ReadError> {
    let (blobs, key, runtime) = (blobs.clone(), key.to_owned(), Handle::current());
    let work = move || blobs.reader(&key, size as u64, &runtime)?.read_ranges(&ranges);
    tokio::task::spawn_blocking(work).await.unwrap()
}

pub(crate) async fn ranges_are_read_as_they_were_written(bed: &Bed) {
    if bed.blobs.is_folder() {
        return;
    }
    for size in [0, 1, 1000, 1 << 20, (1 << 20) + 1, (6 << 20) - 3] {
        let bytes = pattern(size);
        bed.blobs.put("a/ranges", bytes.clone().into()).await.unwrap();
        let end = size as u64;
        let mut ranges = vec![0..end, end..end, 0..end.min(1)];
        if end > 3000 {
            ranges.extend([
                end - 3000..end,
                5..7,
                (end / 2)..(end / 2 + 1000),
                (1 << 20) - 10..end.min((1 << 20) + 10),
            ]);
        }
        // The second time from the cache, and both as another process sees it.
        let other = bed.another_process();
        for blobs in [&bed.blobs, &bed.blobs, &other] {
            if size == 0 {
                continue;
            }
            let found = read(blobs, "a/ranges", size, ranges.clone()).await.unwrap();
            for (range, found) in ranges.iter().zip(found) {
                assert!(found == bytes[range.start as usize..range.end as usize], "{range:?} of {size}");
            }
        }
    }
}

pub(crate) async fn a_blob_that_was_replaced_is_noticed(bed: &Bed) {
    if bed.blobs.is_folder() {
        return;
    }
    let (old, new) = (pattern(4 << 20), vec![7; 4 << 20]);
    bed.blobs.put("a/b", old.into()).await.unwrap();
    let other = bed.another_process();
    read(&other, "a/b", 4 << 20, vec![0..10]).await.unwrap();
    bed.blobs.put("a/b", new.into()).await.unwrap();
    // The other process holds the beginning and the end of the old one. What it fetches now does not belong to them.
    let error = read(&other, "a/b", 4 << 20, vec![0..10, (1 << 20) + 5..(1 << 20) + 10]).await.unwrap_err();
    assert!(matches!(error, ReadError::Changed), "{error}");
    let found = read(&other, "a/b", 4 << 20, vec![0..3]).await.unwrap();
    assert_eq!(found, [Bytes::from_static(&[7, 7, 7])], "and then it sees the new one");
    let error = read(&other, "a/b", 4 << 19, vec![0..3]).await.unwrap_err();
    assert!(matches!(error, ReadError::Changed), "a size that was not promised: {error}");
}

pub(crate) async fn a_gone_blob_is_noticed(bed: &Bed) {
    if bed.blobs.is_folder() {
        return;
    }
    bed.blobs.put("a/b", pattern(100).into()).await.unwrap();
    bed.blobs.delete("a/b").await.unwrap();
    let error = read(&bed.blobs, "a/b", 100, vec![0..10]).await.unwrap_err();
    assert!(matches!(error, ReadError::Changed), "{error}");
}

pub(crate) async fn the_cache_stays_within_its_bound(bed: &Bed) {
    let Some(cache) = &bed.cache else { return };
    for n in 0..5 {
        let key = format!("a/{n}");
        bed.blobs.put(&key, pattern(8 << 20).into()).await.unwrap();
        read(&bed.blobs, &key, 8 << 20, vec![0..8 << 20]).await.unwrap();
        assert!(cache.bytes() <= CACHE_BYTES, "{}", cache.bytes());
        drop(bed.blobs.fetch(&key, None).await.unwrap().unwrap());
        assert!(cache.bytes() <= CACHE_BYTES, "{}", cache.bytes());
    }
    let mut on_disk = 0;
    let mut folders = vec![bed.folder.path().join("cache")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let meta = entry.metadata().unwrap();
            if meta.is_dir() { folders.push(entry.path()) } else { on_disk += meta.len() }
        }
    }
    assert_eq!(on_disk, cache.bytes());
    bed.blobs.delete_prefix("a").await.unwrap();
    assert_eq!(cache.bytes(), 0, "what is deleted is not kept either");
}

pub(crate) async fn what_was_stored_here_is_read_here(bed: &Bed) {
    let Some(cache) = &bed.cache else { return };
    let bytes = pattern(100_000);
    let file = bed.file(&bytes);
    bed.blobs.put_file("a/b", &file).await.unwrap();
    assert_eq!(cache.bytes(), 100_000, "it was moved into the cache");
    assert_eq!(std::fs::read(bed.blobs.local_path("a/b").unwrap()).unwrap(), bytes);
    let found = read(&bed.blobs, "a/b", 100_000, vec![10..20]).await.unwrap();
    assert_eq!(found[0], bytes[10..20]);
    assert_eq!(cache.bytes(), 100_000);
}

pub(crate) async fn what_does_not_fit_is_refused(bed: &Bed) {
    if bed.cache.is_none() {
        return;
    }
    let bytes = pattern(CACHE_BYTES as usize + 1);
    let file = bed.file(&bytes);
    bed.blobs.put_file("a/b", &file).await.unwrap();
    assert!(!file.exists(), "it is stored all the same");
    let error = bed.blobs.fetch("a/b", None).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("blobs.cache_bytes"), "{cause}");
    // By ranges it can be read.
    let found = read(&bed.blobs, "a/b", bytes.len(), vec![0..bytes.len() as u64]).await.unwrap();
    assert!(found[0] == bytes);
}

pub(crate) async fn links_are_good_for_a_while(bed: &Bed) {
    bed.blobs.put("a/b c".replace(' ', "_").as_str(), Bytes::from_static(b"linked")).await.unwrap();
    let link = bed.blobs.link_to("a/b_c", std::time::Duration::from_secs(60)).await.unwrap();
    let Some(link) = link else {
        assert!(bed.blobs.is_folder() || bed.cache.is_some());
        return;
    };
    assert!(link.contains("/a/b_c?") && link.contains("X-Amz-Expires=60"), "{link}");
    let secret = std::env::var("BELVEDERE_TEST_S3_SECRET").unwrap();
    assert!(!link.contains(&secret));
}
