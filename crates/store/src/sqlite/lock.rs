//! One process owns the file: connections of several starve each other for seconds.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use crate::StoreError;

/// Held as long as the file is open; the system frees it when the process ends, however it ends.
pub(super) struct FileLock {
    _file: File,
}

/// Locks `<path>.lock` and writes our process id into it.
pub(super) fn acquire(path: &Path) -> Result<FileLock, StoreError> {
    let lock_path = beside(path, ".lock");
    let failed = |error: std::io::Error| StoreError::database("lock the file", error);
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&lock_path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Best effort: the holder may be about to write its id.
            let _ = file.read_to_string(&mut holder);
            let holder = holder.trim();
            let holder = if holder.is_empty() { String::new() } else { format!(" (pid {holder})") };
            return Err(StoreError::InUse { path: path.display().to_string(), holder });
        }
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    file.set_len(0).map_err(failed)?;
    file.rewind().map_err(failed)?;
    write!(file, "{}", std::process::id()).map_err(failed)?;
    Ok(FileLock { _file: file })
}

/// The file's path with something behind its name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
