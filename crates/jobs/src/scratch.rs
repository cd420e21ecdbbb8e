//! Directories for what jobs write before it is kept, and the removal of those whose process was killed.
//!
//! Beside each directory `NAME` lies `NAME.scratch-lock`, locked by the process that uses it; the system unlocks it when the
//! process ends, however it ends. So several workers may share one parent, on one machine or, where the file system
//! knows locks, on several. The file `.scratch-lock` of the parent keeps those who make and those who look apart.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Ending of the lock beside a directory. Nobody else uses it, so that a parent may hold other things as well.
const LOCK: &str = "scratch-lock";
/// Lock of the parent: shared by those who make directories, exclusive for those who look.
const PARENT_LOCK: &str = ".scratch-lock";

/// A directory of a job's own, removed when it is dropped.
#[derive(Debug)]
pub struct ScratchDirectory {
    path: PathBuf,
    lock_path: PathBuf,
    _lock: File,
}

impl ScratchDirectory {
    /// Makes a directory in `parent`, which is made when missing. Its name begins with `prefix`.
    ///
    /// # Errors
    /// When the parent cannot be written to.
    pub fn make_in(parent: &Path, prefix: &str) -> io::Result<Self> {
        fs::create_dir_all(parent)?;
        let making = File::create(parent.join(PARENT_LOCK))?;
        making.lock_shared()?;
        let name =
            tempfile::Builder::new().prefix(&format!("{prefix}-")).suffix(&format!(".{LOCK}")).tempfile_in(parent)?;
        let (lock, lock_path) = name.keep().map_err(|error| error.error)?;
        lock.lock()?;
        let path = lock_path.with_extension("");
        fs::create_dir(&path).inspect_err(|_| drop(fs::remove_file(&lock_path)))?;
        Ok(Self { path, lock_path, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ScratchDirectory {
    fn drop(&mut self) {
        // What cannot be removed now is swept later.
        let _ = remove(&self.path, &self.lock_path);
    }
}

/// Removes the directories in `parent` whose process is gone, and returns their number. While somebody else looks,
/// nothing is done.
///
/// # Errors
/// When the parent cannot be read or something in it cannot be removed; the rest is removed all the same.
pub fn sweep(parent: &Path) -> io::Result<usize> {
    let looking = match File::options().write(true).open(parent.join(PARENT_LOCK)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        opened => opened?,
    };
    match looking.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(0),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let mut left = Vec::new();
    for entry in fs::read_dir(parent)? {
        let lock_path = entry?.path();
        let named = lock_path.extension().is_some_and(|extension| extension == LOCK);
        if named && let Some(lock) = abandoned(&lock_path)? {
            left.push((lock_path, lock));
        }
    }
    // With their locks in hand the rest may take its time.
    drop(looking);
    let mut result = Ok(left.len());
    for (lock_path, _lock) in &left {
        if let Err(error) = remove(&lock_path.with_extension(""), lock_path) {
            result = Err(error);
        }
    }
    result
}

/// The lock, if nobody holds it.
fn abandoned(lock_path: &Path) -> io::Result<Option<File>> {
    let lock = match File::options().write(true).open(lock_path) {
        // Its owner was faster.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The directory first: as long as the lock is there somebody will look at it again.
fn remove(path: &Path, lock_path: &Path) -> io::Result<()> {
    let missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    match fs::remove_dir_all(path) {
        Err(error) if !missing(&error) => return Err(error),
        _ => {}
    }
    match fs::remove_file(lock_path) {
        Err(error) if !missing(&error) => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(parent: &Path) -> Vec<String> {
        let entries = fs::read_dir(parent).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        entries.filter(|name| name != PARENT_LOCK).collect()
    }

    #[test]
    fn a_dropped_directory_leaves_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let directory = ScratchDirectory::make_in(parent.path(), "step").unwrap();
        fs::write(directory.path().join("half.parquet"), "PAR1").unwrap();
        assert_eq!(names(parent.path()).len(), 2);
        drop(directory);
        assert_eq!(names(parent.path()), Vec::<String>::new());
    }

    #[test]
    fn only_what_nobody_holds_is_swept() {
        let parent = tempfile::tempdir().unwrap();
        let held = ScratchDirectory::make_in(parent.path(), "held").unwrap();
        // As a process leaves them that was killed.
        fs::create_dir(parent.path().join("left-1")).unwrap();
        fs::write(parent.path().join("left-1/half.parquet"), "PAR1").unwrap();
        fs::write(parent.path().join("left-1.scratch-lock"), "").unwrap();
        fs::write(parent.path().join("left-2.scratch-lock"), "").unwrap();
        fs::write(parent.path().join("somebody-elses.lock"), "").unwrap();
        assert_eq!(sweep(parent.path()).unwrap(), 2);
        assert!(held.path().is_dir());
        assert_eq!(names(parent.path()).len(), 3);
        drop(held);
        assert_eq!(sweep(parent.path()).unwrap(), 0);
        assert_eq!(names(parent.path()), ["somebody-elses.lock"]);
    }

    #[test]
    fn a_parent_that_is_not_there_has_nothing_to_sweep() {
        let parent = tempfile::tempdir().unwrap();
        assert_eq!(sweep(&parent.path().join("missing")).unwrap(), 0);
    }
}
