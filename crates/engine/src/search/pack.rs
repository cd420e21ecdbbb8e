//! An index as one file: the files of its segments one after the other, then what they are, then how long that is.
//!
//! One file is moved, fetched and deleted as a whole, and is read where it lies through a memory map.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    DirectoryLock, FileHandle, FileSlice, Lock, MmapDirectory, OwnedBytes, WatchCallback, WatchHandle, WritePtr,
};
use tantivy::{Directory, HasLen};

use super::analyze::Rules;
use crate::error::{EngineError, ErrorKind};

/// The last bytes of the file; the digit is the version of the layout.
const MAGIC: &[u8; 8] = b"BVSEEK01";
/// What a footer may take in memory.
const MAX_CONTENTS: usize = 256 << 20;

/// What an index was made of and where its parts stand in the file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Contents {
    /// What a word is.
    pub(super) rules: Rules,
    /// The columns that were read.
    pub(super) columns: Vec<String>,
    /// Rows of the split.
    pub(super) num_rows: u64,
    /// Words of all rows.
    pub(super) num_words: u64,
    /// The segments; each holds some runs of rows.
    pub(super) segments: Vec<SegmentContents>,
}

/// A segment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct SegmentContents {
    /// First row of the split and number of rows, in the order of the documents.
    pub(super) runs: Vec<(u64, u32)>,
    /// Bytes per length in `lengths`, 1 to 4.
    pub(super) length_width: usize,
    /// Words of each document, little-endian: start and number of bytes.
    pub(super) lengths: (usize, usize),
    /// Name, start and number of bytes of each file.
    pub(super) files: Vec<(String, usize, usize)>,
}

impl SegmentContents {
    /// Documents, which are rows.
    pub(super) fn num_documents(&self) -> u64 {
        self.runs.iter().map(|(_, rows)| u64::from(*rows)).sum()
    }
}

/// Writes an index file.
pub(super) struct PackWriter<W> {
    out: W,
    position: usize,
}

impl<W: Write> PackWriter<W> {
    /// Begins at the start of `out`.
    pub(super) fn new(out: W) -> Self {
        Self { out, position: 0 }
    }

    /// Appends bytes and tells where they are.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<(usize, usize)> {
        let start = self.position;
        self.out.write_all(bytes)?;
        self.position += bytes.len();
        Ok((start, bytes.len()))
    }

    /// Appends all that a reader gives and tells where it is.
    pub(super) fn append_all(&mut self, reader: &mut impl io::Read) -> io::Result<(usize, usize)> {
        let start = self.position;
        let length = usize::try_from(io::copy(reader, &mut self.out)?).map_err(io::Error::other)?;
        self.position += length;
        Ok((start, length))
    }

    /// Writes what the parts are and returns the size of the file.
    pub(super) fn finish(mut self, contents: &Contents) -> io::Result<u64> {
        let (_, length) = self.append(&serde_json::to_vec(contents)?)?;
        self.append(&(length as u64).to_le_bytes())?;
        self.append(MAGIC)?;
        self.out.flush()?;
        Ok(self.position as u64)
    }
}

/// An index file, opened.
pub(super) struct Pack {
    file: FileSlice,
    pub(super) contents: Contents,
}

impl Pack {
    /// Maps a file into memory and reads what it holds.
    ///
    /// # Errors
    /// [`Unreadable`](ErrorKind::Unreadable) when it is no index of this version.
    pub(super) fn open(path: &Path) -> Result<Self, EngineError> {
        let damaged = |what: &str| EngineError::new(ErrorKind::Unreadable, format!("the search index {what}"));
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(damaged("has no name"));
        };
        let opened = MmapDirectory::open(folder).map_err(|error| damaged(&format!("cannot be opened: {error}")))?;
        let file = opened.open_read(Path::new(name)).map_err(|error| damaged(&format!("cannot be opened: {error}")))?;
        let tail = MAGIC.len() + 8;
        let Some(body) = file.len().checked_sub(tail) else { return Err(damaged("is too short")) };
        let end = file.slice_from(body).read_bytes()?;
        let (length, magic) = end.as_slice().split_at(8);
        if magic != MAGIC {
            return Err(damaged("is of another version"));
        }
        let length = length.try_into().map(u64::from_le_bytes).ok().and_then(|length| usize::try_from(length).ok());
        let start = length.filter(|length| *length <= MAX_CONTENTS).and_then(|length| body.checked_sub(length));
        let Some(start) = start else { return Err(damaged("is damaged")) };
        let contents = file.slice(start..body).read_bytes()?;
        let contents: Contents = serde_json::from_slice(&contents).map_err(|_| damaged("is damaged"))?;
        let pack = Self { file: file.slice_to(start), contents };
        let fits = |&(from, bytes): &(usize, usize)| from.checked_add(bytes).is_some_and(|end| end <= start);
        let parts = |segment: &SegmentContents| {
            let mut files = segment.files.iter().map(|(_, from, bytes)| (*from, *bytes));
            fits(&segment.lengths) && files.all(|place| fits(&place)) && (1..=4).contains(&segment.length_width)
        };
        match pack.contents.segments.iter().all(parts) {
            true => Ok(pack),
            false => Err(damaged("is damaged")),
        }
    }

    /// Some bytes of the file, where they lie.
    pub(super) fn bytes(&self, (start, length): (usize, usize)) -> io::Result<OwnedBytes> {
        self.file.slice(start..start + length).read_bytes()
    }

    /// The files of a segment as a directory of their own.
    pub(super) fn directory(&self, segment: &SegmentContents) -> PackedFiles {
        let place = |(name, start, length): &(String, usize, usize)| {
            (PathBuf::from(name), self.file.slice(*start..start + length))
        };
        PackedFiles { files: Arc::new(segment.files.iter().map(place).collect()) }
    }
}

/// The files of a segment, to be read only.
#[derive(Clone, Debug)]
pub(super) struct PackedFiles {
    files: Arc<HashMap<PathBuf, FileSlice>>,
}

impl PackedFiles {
    fn file(&self, path: &Path) -> Result<&FileSlice, OpenReadError> {
        self.files.get(path).ok_or_else(|| OpenReadError::FileDoesNotExist(path.to_owned()))
    }
}

fn read_only() -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, "a finished index is never changed")
}

impl Directory for PackedFiles {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        Ok(Arc::new(self.file(path)?.clone()))
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        Ok(self.files.contains_key(path))
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        let bytes = self.file(path)?.read_bytes();
        bytes.map(|bytes| bytes.to_vec()).map_err(|error| OpenReadError::wrap_io_error(error, path.to_owned()))
    }

    fn acquire_lock(&self, _lock: &Lock) -> Result<DirectoryLock, LockError> {
        // Nobody writes, so nobody needs to be kept out.
        Ok(DirectoryLock::from(Box::new(())))
    }

    fn watch(&self, _callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        Ok(WatchHandle::empty())
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        Err(DeleteError::IoError { io_error: Arc::new(read_only()), filepath: path.to_owned() })
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        Err(OpenWriteError::IoError { io_error: Arc::new(read_only()), filepath: path.to_owned() })
    }

    fn atomic_write(&self, _path: &Path, _data: &[u8]) -> io::Result<()> {
        Err(read_only())
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::analyze::Alphabet;
    use super::*;

    fn contents() -> Contents {
        let rules = Rules { alphabet: Alphabet::Unicode, stemmer: None };
        let files = vec![("a".to_owned(), 0, 3), ("b".to_owned(), 3, 2)];
        let segment = SegmentContents { runs: vec![(0, 2)], length_width: 1, lengths: (5, 2), files };
        Contents { rules, columns: vec!["t".into()], num_rows: 2, num_words: 3, segments: vec![segment] }
    }

    fn write(path: &Path, contents: &Contents) {
        let mut pack = PackWriter::new(std::fs::File::create(path).unwrap());
        assert_eq!(pack.append(b"onetwo!").unwrap(), (0, 7));
        assert_eq!(pack.finish(contents).unwrap(), std::fs::metadata(path).unwrap().len());
    }

    #[test]
    fn files_come_out_as_they_went_in() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index");
        write(&path, &contents());
        let pack = Pack::open(&path).unwrap();
        assert_eq!(pack.contents, contents());
        let files = pack.directory(&pack.contents.segments[0]);
        assert_eq!(files.atomic_read(Path::new("a")).unwrap(), b"one");
        assert_eq!(files.open_read(Path::new("b")).unwrap().read_bytes().unwrap().as_slice(), b"tw");
        assert!(!files.exists(Path::new("c")).unwrap() && files.open_write(Path::new("c")).is_err());
        assert_eq!(pack.bytes((5, 2)).unwrap().as_slice(), b"o!");
    }

    #[test]
    fn damaged_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index");
        let mut beyond = contents();
        beyond.segments[0].files[1].2 = usize::MAX;
        write(&path, &beyond);
        assert_eq!(Pack::open(&path).err().unwrap().kind, ErrorKind::Unreadable);
        write(&path, &contents());
        let whole = std::fs::read(&path).unwrap();
        for damaged in [&whole[..whole.len() - 1], b"", b"BVSEEK01", &[whole.as_slice(), b"x"].concat()] {
            std::fs::write(&path, damaged).unwrap();
            assert_eq!(Pack::open(&path).err().unwrap().kind, ErrorKind::Unreadable);
        }
    }
}
