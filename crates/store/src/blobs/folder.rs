//! Blobs as files of a folder: durable before they are visible, never half there.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

pub(super) fn move_in(source: &Path, target: &Path) -> io::Result<()> {
    let folder = make_folder(target)?;
    File::open(source)?.sync_all()?;
    match fs::rename(source, target) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            let staged = staging_name(target);
            let copied = fs::copy(source, &staged).and_then(|_| File::open(&staged)?.sync_all());
            copied.and_then(|()| fs::rename(&staged, target)).inspect_err(|_| drop(fs::remove_file(&staged)))?;
            fs::remove_file(source)?;
        }
        Err(error) => return Err(error),
    }
    File::open(folder)?.sync_all()
}

pub(super) fn write_in(bytes: &[u8], target: &Path) -> io::Result<()> {
    let folder = make_folder(target)?;
    let staged = staging_name(target);
    let write = || {
        let mut file = File::create_new(&staged)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&staged, target)
    };
    write().inspect_err(|_| drop(fs::remove_file(&staged)))?;
    File::open(folder)?.sync_all()
}

/// A second name for a file; where the file system knows none, or no more of them, a copy. `false`: there is no file.
pub(super) fn link(source: &Path, target: &Path) -> io::Result<bool> {
    let folder = make_folder(target)?;
    let staged = staging_name(target);
    let linked = fs::hard_link(source, &staged).or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Err(error),
        _ => fs::copy(source, &staged).and_then(|_| File::open(&staged)?.sync_all()),
    });
    match linked.and_then(|()| fs::rename(&staged, target)) {
        // Where both names lead to the same file already, renaming does nothing, and the staged one stays.
        Ok(()) => drop(fs::remove_file(&staged)),
        Err(error) => {
            let _ = fs::remove_file(&staged);
            return if error.kind() == io::ErrorKind::NotFound { Ok(false) } else { Err(error) };
        }
    }
    File::open(folder)?.sync_all()?;
    Ok(true)
}

/// Bytes of all files below, each counted once whatever the number of its names.
pub(super) fn usage(path: &Path) -> io::Result<super::Usage> {
    let (mut total, mut seen) = (super::Usage::default(), HashSet::new());
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            // Deleted meanwhile, or never made.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let meta = match entry.metadata() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                meta => meta?,
            };
            if meta.is_dir() {
                folders.push(entry.path());
            } else if meta.nlink() < 2 || seen.insert((meta.dev(), meta.ino())) {
                total.bytes += meta.len();
                total.objects += 1;
            }
        }
    }
    Ok(total)
}

fn make_folder(target: &Path) -> io::Result<&Path> {
    let folder = target.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(folder)?;
    Ok(folder)
}

/// A name beside the target that no key can have. The moment of the start tells processes of one number apart: a
/// container's first process always has the same, and one that was killed leaves its file behind.
fn staging_name(target: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    static START: LazyLock<u128> =
        LazyLock::new(|| SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos()));
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    target.with_file_name(format!(".staged-{}-{:x}-{count}", std::process::id(), *START))
}

/// Removes the files below that have not changed since `before`, in microseconds since 1970, and what folders are empty
/// then.
pub(super) fn remove_older(path: &Path, before: i64) -> io::Result<()> {
    let gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let entries = match fs::read_dir(path) {
        Err(error) if gone(&error) => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let meta = match entry.metadata() {
            Err(error) if gone(&error) => continue,
            meta => meta?,
        };
        if meta.is_dir() {
            remove_older(&entry.path(), before)?;
        } else if meta.mtime() * 1_000_000 + meta.mtime_nsec() / 1000 < before {
            match fs::remove_file(entry.path()) {
                Err(error) if !gone(&error) => return Err(error),
                _ => {}
            }
        }
    }
    match fs::remove_dir(path) {
        Err(error) if !gone(&error) && error.kind() != io::ErrorKind::DirectoryNotEmpty => Err(error),
        _ => Ok(()),
    }
}

pub(super) fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
