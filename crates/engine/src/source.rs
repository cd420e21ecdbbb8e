//! Where bytes come from: files that can be read at any range, with proof that they are still the same files.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};

use crate::error::{EngineError, ErrorKind};

/// A sized, immutable sequence of bytes.
pub trait ReadRanges: Send + Sync {
    /// Size in bytes.
    fn size(&self) -> u64;

    /// The bytes of each range (start inclusive, end exclusive), in the order asked. One call may be served by
    /// one request to the storage behind.
    ///
    /// # Errors
    /// [`Changed`](crate::ErrorKind::Changed) when the file is no longer the one that was opened,
    /// [`Io`](crate::ErrorKind::Io) when it cannot be read.
    fn read_ranges(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, EngineError>;
}

/// What [`Elsewhere::open`] gives: the bytes, and what identifies their content.
pub type OpenedElsewhere = Result<(Arc<dyn ReadRanges>, FileIdentity), EngineError>;

/// Reads files that are named like files of this machine but are kept elsewhere.
pub trait Elsewhere: Send + Sync {
    /// Opens a file; `None` for one of this machine.
    fn open(&self, file: &SourceFile) -> Option<OpenedElsewhere>;
}

/// What tells that a local file is unchanged without reading it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct FileIdentity {
    /// Size in bytes.
    pub size: u64,
    /// Last modification, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Last change of the inode, nanoseconds since 1970.
    pub ctime_ns: i64,
    /// Inode number.
    pub inode: u64,
}

/// How a file is going to be read, which tells how much of it to bring at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reading {
    /// All of it, or large parts.
    Through,
    /// A few spots: the head of an image, the end of a sound.
    Spots,
}

/// Brings parts of files that are not all on this machine.
pub trait Supply: Send + Sync {
    /// Returns when these bytes of a file can be read from it.
    ///
    /// # Errors
    /// [`Changed`](ErrorKind::Changed) when the file is another one meanwhile, [`Away`](ErrorKind::Away) when the bytes do
    /// not come.
    fn bring(&self, local_path: &Path, range: Range<u64>, reading: Reading) -> Result<(), EngineError>;
}

/// Suffix of the local paths of files of which parts may be missing. Their times change with every part that comes.
pub const PARTS_SUFFIX: &str = "parts";

/// Who brings them in this process.
static SUPPLY: OnceLock<Arc<dyn Supply>> = OnceLock::new();

/// Says who brings the missing parts of files in this process, once.
pub fn supply_with(supply: Arc<dyn Supply>) {
    // A second one would be that of the same parent.
    let _ = SUPPLY.set(supply);
}

/// A file that a call reads.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SourceFile {
    /// Path inside the dataset or on the conversion branch: for messages, compression suffixes and `hf://` paths.
    pub path: String,
    /// Where it lies on this machine.
    pub local_path: PathBuf,
    /// Size in bytes.
    pub size: u64,
    /// Checked before and after every read; `None` for files that only we write and never change.
    pub identity: Option<FileIdentity>,
}

impl FileIdentity {
    /// The identity behind a `stat`.
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            size: metadata.len(),
            mtime_ns: metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec(),
            ctime_ns: metadata.ctime() * 1_000_000_000 + metadata.ctime_nsec(),
            inode: metadata.ino(),
        }
    }
}

/// A regular file of this machine, opened once. Without a promised identity, it must stay as it was when opened.
#[derive(Debug)]
pub struct LocalFile {
    file: File,
    path: String,
    identity: FileIdentity,
    /// Its local path, if parts of it may be missing.
    in_parts: Option<PathBuf>,
    reading: Reading,
}

impl LocalFile {
    /// Opens a file without ever waiting for a writer: a named pipe or a device is refused, not read.
    ///
    /// # Errors
    /// [`Changed`](ErrorKind::Changed) when the file is gone or has another identity or size than promised,
    /// [`Io`](ErrorKind::Io) when it cannot be opened or is no regular file.
    pub fn open(source: &SourceFile) -> Result<Self, EngineError> {
        let fail = |kind, message: String| EngineError::new(kind, message).in_file(&source.path);
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let descriptor = rustix::fs::open(&source.local_path, flags, Mode::empty()).map_err(|error| match error {
            rustix::io::Errno::NOENT => fail(ErrorKind::Changed, "the file is gone".to_owned()),
            _ => fail(ErrorKind::Io, format!("cannot open: {}", io::Error::from(error))),
        })?;
        let file = File::from(descriptor);
        let metadata = file.metadata().map_err(|error| fail(ErrorKind::Io, error.to_string()))?;
        if !metadata.is_file() {
            return Err(fail(ErrorKind::Io, "not a regular file".to_owned()));
        }
        let in_parts = is_in_parts(source);
        let identity = identity_of(&metadata, in_parts);
        if source.identity.is_some_and(|promised| promised != identity) || identity.size != source.size {
            return Err(changed().in_file(&source.path));
        }
        let in_parts = in_parts.then(|| source.local_path.clone());
        Ok(Self { file, path: source.path.clone(), identity, in_parts, reading: Reading::Through })
    }

    /// The same file, of which little will be read: of one that is not all on this machine, little will come.
    #[must_use]
    pub(crate) fn in_spots(self) -> Self {
        Self { reading: Reading::Spots, ..self }
    }

    /// What the file was when it was opened.
    pub(crate) fn identity(&self) -> FileIdentity {
        self.identity
    }

    /// Fails if the file is no longer the one that was opened.
    fn check(&self) -> Result<(), EngineError> {
        let metadata = self.file.metadata().map_err(|error| EngineError::from(error).in_file(&self.path))?;
        let now = identity_of(&metadata, self.in_parts.is_some());
        if now == self.identity { Ok(()) } else { Err(changed().in_file(&self.path)) }
    }

    /// Waits until all of the file is on this machine, for libraries that open it by its path.
    pub(crate) fn bring_whole(&self) -> Result<(), EngineError> {
        self.bring(&(0..self.identity.size))
    }

    /// Waits for the missing parts of some bytes.
    fn bring(&self, range: &Range<u64>) -> Result<(), EngineError> {
        let Some(local_path) = self.in_parts.as_ref().filter(|_| range.start < range.end) else { return Ok(()) };
        let Some(supply) = SUPPLY.get() else {
            let message = "parts of the file are missing, and nobody here can bring them";
            return Err(EngineError::new(ErrorKind::Io, message).in_file(&self.path));
        };
        supply.bring(local_path, range.clone(), self.reading).map_err(|error| error.in_file(&self.path))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, EngineError> {
        let result = loop {
            match self.file.read_at(buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        let length = result.map_err(|error| EngineError::from(error).in_file(&self.path))?;
        self.check()?;
        Ok(length)
    }
}

/// Whether parts of a file may be missing. A file of a user may have any name, but it has times.
fn is_in_parts(source: &SourceFile) -> bool {
    let has_no_times = |identity: FileIdentity| identity.mtime_ns == 0 && identity.ctime_ns == 0;
    source.local_path.extension().is_some_and(|extension| extension == PARTS_SUFFIX)
        && source.identity.is_some_and(has_no_times)
}

/// The identity of a file; without times if its parts come one after the other.
fn identity_of(metadata: &Metadata, in_parts: bool) -> FileIdentity {
    let identity = FileIdentity::of(metadata);
    if in_parts { FileIdentity { mtime_ns: 0, ctime_ns: 0, ..identity } } else { identity }
}

fn changed() -> EngineError {
    EngineError::new(ErrorKind::Changed, "the file changed since it was listed")
}

impl ReadRanges for LocalFile {
    fn size(&self) -> u64 {
        self.identity.size
    }

    fn read_ranges(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, EngineError> {
        let read = |range: &Range<u64>| {
            let length = range.end.saturating_sub(range.start);
            if range.end > self.size() {
                let message = format!("bytes {}..{} lie beyond the end of the file", range.start, range.end);
                return Err(EngineError::new(ErrorKind::Unreadable, message).in_file(&self.path));
            }
            self.bring(range)?;
            let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
            let mut filled = 0;
            while filled < bytes.len() {
                match self.read_at(&mut bytes[filled..], range.start + filled as u64)? {
                    0 => return Err(changed().in_file(&self.path)),
                    length => filled += length,
                }
            }
            Ok(Bytes::from(bytes))
        };
        ranges.iter().map(read).collect()
    }
}

/// Bytes taken from the stored file so far, readable while a stream over it is being consumed.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<AtomicU64>);

impl Progress {
    /// The number of bytes.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Notes that all bytes up to `position` were taken.
    pub(crate) fn reach(&self, position: u64) {
        self.0.store(position, Ordering::Relaxed);
    }
}

/// Anything that reads by ranges, read from front to back. Failures travel as [`EngineError`] inside `io::Error`.
pub struct Sequential<R> {
    source: R,
    position: u64,
    progress: Progress,
}

impl<R: ReadRanges> Sequential<R> {
    /// Starts at the first byte.
    pub fn new(source: R) -> Self {
        Self { source, position: 0, progress: Progress::default() }
    }

    /// A counter of the bytes read.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

impl<R: ReadRanges> Read for Sequential<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let end = self.source.size().min(self.position + buffer.len() as u64);
        if end <= self.position {
            return Ok(0);
        }
        let bytes = self.source.read_ranges(std::slice::from_ref(&(self.position..end))).map_err(io::Error::other)?;
        let length = bytes.first().map_or(0, Bytes::len);
        buffer[..length].copy_from_slice(&bytes[0]);
        self.position += length as u64;
        self.progress.reach(self.position);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn listed(path: &Path) -> SourceFile {
        let metadata = std::fs::metadata(path).unwrap();
        SourceFile {
            path: "data.bin".into(),
            local_path: path.to_owned(),
            size: metadata.len(),
            identity: Some(FileIdentity::of(&metadata)),
        }
    }

    #[test]
    fn ranges_come_in_the_order_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.bin");
        std::fs::write(&path, b"0123456789").unwrap();
        let file = LocalFile::open(&listed(&path)).unwrap();
        let parts = file.read_ranges(&[8..10, 0..3, 5..5]).unwrap();
        assert_eq!(parts, [&b"89"[..], b"012", b""]);
        assert_eq!(file.read_ranges(std::slice::from_ref(&(5..11))).unwrap_err().kind, ErrorKind::Unreadable);
    }

    /// e102 | a file grows or vanishes while it is read | reading ends with an error that says so, and nothing of it is kept
    #[test]
    fn e102_a_file_that_grows_is_reported_as_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.bin");
        std::fs::write(&path, b"0123456789").unwrap();
        let source = listed(&path);
        let file = LocalFile::open(&source).unwrap();
        File::options().append(true).open(&path).unwrap().write_all(b"more").unwrap();
        assert_eq!(file.read_ranges(std::slice::from_ref(&(0..3))).unwrap_err().kind, ErrorKind::Changed);
        assert_eq!(LocalFile::open(&source).unwrap_err().kind, ErrorKind::Changed);
        std::fs::remove_file(&path).unwrap();
        let gone = LocalFile::open(&source).unwrap_err();
        assert_eq!((gone.kind, gone.to_string().as_str()), (ErrorKind::Changed, "data.bin: the file is gone"));
    }

    /// Writes what is asked for, and remembers what that was.
    #[derive(Default)]
    struct Filling(std::sync::Mutex<Vec<(Range<u64>, Reading)>>);

    impl Supply for Filling {
        fn bring(&self, local_path: &Path, range: Range<u64>, reading: Reading) -> Result<(), EngineError> {
            let file = File::options().write(true).open(local_path).unwrap();
            let bytes: Vec<u8> = range.clone().map(|at| b'a' + u8::try_from(at % 26).unwrap()).collect();
            file.write_all_at(&bytes, range.start).unwrap();
            self.0.lock().unwrap().push((range, reading));
            Ok(())
        }
    }

    #[test]
    fn missing_parts_are_brought_before_they_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let local_path = folder.path().join("content.parts");
        File::create(&local_path).unwrap().set_len(100).unwrap();
        let identity = identity_of(&std::fs::metadata(&local_path).unwrap(), true);
        let source = SourceFile { path: "data.bin".into(), local_path, size: 100, identity: Some(identity) };
        let filling = Arc::new(Filling::default());
        supply_with(Arc::clone(&filling) as _);
        let file = LocalFile::open(&source).unwrap();
        let parts = file.read_ranges(&[50..53, 0..2, 7..7]).unwrap();
        assert_eq!(parts, [&b"yza"[..], b"ab", b""]);
        assert_eq!(*filling.0.lock().unwrap(), [(50..53, Reading::Through), (0..2, Reading::Through)]);
        LocalFile::open(&source).unwrap().in_spots().read_ranges(std::slice::from_ref(&(9..10))).unwrap();
        assert_eq!(filling.0.lock().unwrap().last(), Some(&(9..10, Reading::Spots)));
        // A user's own file of such a name is a file like others.
        let own = SourceFile { identity: None, ..source };
        assert_eq!(LocalFile::open(&own).unwrap().read_ranges(&[90..92, 0..0]).unwrap(), [&b"\0\0"[..], b""]);
    }

    /// e101 | a file becomes a named pipe between listing and reading | the reader refuses it without waiting for a writer
    #[test]
    fn e101_a_named_pipe_is_refused_without_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
        let source = SourceFile { path: "pipe".into(), local_path: path, size: 0, identity: None };
        assert_eq!(LocalFile::open(&source).unwrap_err().to_string(), "pipe: not a regular file");
    }

    #[test]
    fn sequential_reading_counts_bytes_and_keeps_the_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.bin");
        std::fs::write(&path, b"0123456789").unwrap();
        let mut reader = Sequential::new(LocalFile::open(&listed(&path)).unwrap());
        let progress = reader.progress();
        let mut buffer = [0; 4];
        assert_eq!((reader.read(&mut buffer).unwrap(), progress.bytes()), (4, 4));
        File::options().append(true).open(&path).unwrap().write_all(b"more").unwrap();
        assert_eq!(EngineError::from(reader.read(&mut buffer).unwrap_err()).kind, ErrorKind::Changed);
    }
}
