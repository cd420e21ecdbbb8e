//! Content ids of local files: the SHA-256 of all bytes, or a provisional id made of a few of them.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use sha2::{Digest, Sha256};

use super::walk::{FileIdentity, SeenFile};

/// Bytes read at once, and the step of progress.
const CHUNK_BYTES: usize = 1 << 20;
/// A provisional id reads this many blocks, evenly spread from the first to the last.
const SAMPLED_BLOCKS: u64 = 16;
const BLOCK_BYTES: u64 = 4 << 10;

/// Calls `work` for every item on up to `threads` threads; results keep the order of the items.
pub(super) fn in_parallel<T: Sync, R: Send>(items: &[T], threads: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let results: Mutex<Vec<(usize, R)>> = Mutex::new(Vec::with_capacity(items.len()));
    let next = AtomicUsize::new(0);
    let run = || {
        while let Some((at, item)) = {
            let at = next.fetch_add(1, Ordering::Relaxed);
            items.get(at).map(|item| (at, item))
        } {
            let result = work(item);
            results.lock().unwrap_or_else(PoisonError::into_inner).push((at, result));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(items.len()) {
            scope.spawn(run);
        }
        run();
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

/// The hexadecimal SHA-256 of a file. `None` when it is not the file that was seen, before or after reading, or when
/// `stop` is set. `progress` gets the bytes of each step.
pub(super) fn sha256(file: &SeenFile, stop: &AtomicBool, progress: &dyn Fn(u64)) -> io::Result<Option<String>> {
    let Some(mut open) = open_unchanged(&file.local_path, file.identity)? else { return Ok(None) };
    let mut digest = Sha256::new();
    let size = file.identity.size;
    let mut buffer = vec![0; CHUNK_BYTES.min(usize::try_from(size).unwrap_or(CHUNK_BYTES))];
    let mut done = 0;
    // What a file has beyond its size is not asked for: then it is another file, as it tells below.
    while done < size {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        match open.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                digest.update(&buffer[..count]);
                done += count as u64;
                progress(count as u64);
                // A file that changes while it is read need not be read to its end.
                if done < size && FileIdentity::of(&open.metadata()?) != file.identity {
                    return Ok(None);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let unchanged = FileIdentity::of(&open.metadata()?) == file.identity;
    Ok(unchanged.then(|| hex::encode(digest.finalize())))
}

/// `provisional:` and a digest of size, times, inode and sampled blocks. `None` when it is not the file that was seen.
pub(super) fn provisional(file: &SeenFile) -> io::Result<Option<String>> {
    let identity = file.identity;
    let Some(mut open) = open_unchanged(&file.local_path, identity)? else { return Ok(None) };
    let mut digest = Sha256::new();
    for number in [identity.size, identity.mtime_ns as u64, identity.ctime_ns as u64, identity.inode] {
        digest.update(number.to_le_bytes());
    }
    let last = identity.size.saturating_sub(BLOCK_BYTES);
    let mut block = Vec::new();
    for step in 0..SAMPLED_BLOCKS {
        open.seek(SeekFrom::Start(
            u64::try_from(u128::from(last) * u128::from(step) / u128::from(SAMPLED_BLOCKS - 1)).unwrap_or(last),
        ))?;
        block.clear();
        (&mut open).take(BLOCK_BYTES).read_to_end(&mut block)?;
        digest.update(&block);
    }
    let unchanged = FileIdentity::of(&open.metadata()?) == identity;
    Ok(unchanged.then(|| format!("provisional:{}", hex::encode(digest.finalize()))))
}

/// Opens a file if it is still the one that was seen. A pipe that took its place is not waited for.
pub(super) fn open_unchanged(path: &Path, identity: FileIdentity) -> io::Result<Option<File>> {
    use rustix::fs::{Mode, OFlags};
    let file = match rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty()) {
        Ok(descriptor) => File::from(descriptor),
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let metadata = file.metadata()?;
    Ok((metadata.is_file() && FileIdentity::of(&metadata) == identity).then_some(file))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::walk::walk;
    use super::*;

    fn seen(content: &[u8]) -> (tempfile::TempDir, SeenFile) {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("a"), content).expect("written");
        let file = walk(folder.path(), None).expect("readable").files.remove(0);
        (folder, file)
    }

    #[test]
    fn hashes_the_whole_content() {
        let (_folder, file) = seen(b"abc");
        let never = AtomicBool::new(false);
        let hash = sha256(&file, &never, &|_| {}).expect("readable").expect("unchanged");
        assert_eq!(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let (_folder, empty) = seen(b"");
        assert!(sha256(&empty, &never, &|_| {}).expect("readable").expect("unchanged").starts_with("e3b0c442"));
    }

    #[test]
    fn a_changed_or_missing_file_has_no_hash() {
        let (_folder, file) = seen(b"abc");
        let never = AtomicBool::new(false);
        fs::write(&file.local_path, "abcd").expect("written");
        assert_eq!(sha256(&file, &never, &|_| {}).expect("readable"), None);
        assert_eq!(provisional(&file).expect("readable"), None);
        fs::remove_file(&file.local_path).expect("removed");
        assert_eq!(sha256(&file, &never, &|_| {}).expect("readable"), None);
    }

    #[test]
    fn provisional_ids_are_stable_and_see_the_last_block() {
        let (_folder, file) = seen(&vec![1; 300_000]);
        let id = provisional(&file).expect("readable").expect("unchanged");
        assert!(id.starts_with("provisional:"));
        assert_eq!(provisional(&file).expect("readable"), Some(id));
        let (_folder, tiny) = seen(b"");
        assert!(provisional(&tiny).expect("readable").is_some());
    }

    #[test]
    fn parallel_results_keep_their_order() {
        let items: Vec<usize> = (0..1000).collect();
        assert_eq!(in_parallel(&items, 8, |item| item * 2), items.iter().map(|item| item * 2).collect::<Vec<_>>());
        assert_eq!(in_parallel(&[] as &[usize], 8, |item| *item), Vec::<usize>::new());
    }
}
