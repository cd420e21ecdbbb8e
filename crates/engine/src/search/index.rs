//! A built index, opened, and the few of them that a process keeps open.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use tantivy::directory::OwnedBytes;
use tantivy::index::SegmentReader;
use tantivy::{Index as TantivyIndex, InvertedIndexReader};

use super::build::{FIELD, failed};
use super::pack::{Contents, Pack, SegmentContents};
use crate::error::{EngineError, ErrorKind};
use crate::source::{FileIdentity, LocalFile, SourceFile};

/// Indexes that stay open.
const KEPT: usize = 64;

/// Indexes of this process, used last at the end. A file that changed is another one.
static OPEN: LazyLock<Mutex<Vec<Entry>>> = LazyLock::new(Mutex::default);

struct Entry {
    path: PathBuf,
    identity: FileIdentity,
    index: Arc<Index>,
}

/// An index.
pub(super) struct Index {
    /// What it was made of.
    pub(super) contents: Contents,
    /// Its parts.
    pub(super) segments: Vec<Segment>,
}

/// A part of an index: some rows with their own dictionary.
pub(super) struct Segment {
    /// Dictionary and postings.
    pub(super) inverted: Arc<InvertedIndexReader>,
    lengths: OwnedBytes,
    length_width: usize,
    /// First document and first row of each run of rows.
    runs: Vec<(u32, u64)>,
    /// Documents, which are rows.
    pub(super) num_docs: u32,
}

impl Index {
    /// Opens an index file, or takes it from those that are open.
    ///
    /// # Errors
    /// [`Unreadable`](ErrorKind::Unreadable) when it is damaged or of another version, [`Changed`](ErrorKind::Changed)
    /// when it is gone.
    pub(super) fn open(file: &SourceFile) -> Result<Arc<Self>, EngineError> {
        let identity = LocalFile::open(file)?.identity();
        let lock = || OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |entry: &Entry| entry.path == file.local_path && entry.identity == identity;
        {
            let mut open = lock();
            if let Some(at) = open.iter().position(is_it) {
                open[at..].rotate_left(1);
                return Ok(Arc::clone(&open[open.len() - 1].index));
            }
        }
        let pack = Pack::open(&file.local_path).map_err(|error| error.in_file(&file.path))?;
        let segment = |contents: &SegmentContents| Segment::open(&pack, contents);
        let segments = pack.contents.segments.iter().map(segment).collect::<Result<_, EngineError>>()?;
        let index = Arc::new(Self { contents: pack.contents, segments });
        let mut open = lock();
        open.retain(|entry| entry.path != file.local_path);
        if open.len() >= KEPT {
            open.remove(0);
        }
        open.push(Entry { path: file.local_path.clone(), identity, index: Arc::clone(&index) });
        Ok(index)
    }
}

impl Segment {
    fn open(pack: &Pack, contents: &SegmentContents) -> Result<Self, EngineError> {
        let damaged = || EngineError::new(ErrorKind::Unreadable, "the search index is damaged");
        let index = TantivyIndex::open(pack.directory(contents)).map_err(failed)?;
        let segments = index.searchable_segments().map_err(failed)?;
        let [segment] = &segments[..] else { return Err(damaged()) };
        let reader = SegmentReader::open(segment).map_err(failed)?;
        let field = index.schema().get_field(FIELD).map_err(failed)?;
        let mut runs = Vec::with_capacity(contents.runs.len());
        let mut docs: u32 = 0;
        for (row, rows) in &contents.runs {
            runs.push((docs, *row));
            docs = docs.checked_add(*rows).ok_or_else(damaged)?;
        }
        let lengths = pack.bytes(contents.lengths)?;
        if docs != reader.max_doc() || lengths.len() != docs as usize * contents.length_width {
            return Err(damaged());
        }
        let inverted = reader.inverted_index(field).map_err(failed)?;
        Ok(Self { inverted, lengths, length_width: contents.length_width, runs, num_docs: docs })
    }

    /// The row of a document.
    pub(super) fn row(&self, doc: u32) -> u64 {
        let run = self.runs.partition_point(|(first, _)| *first <= doc);
        let (first, row) = self.runs[run - 1];
        row + u64::from(doc - first)
    }

    /// The number of words of a document.
    pub(super) fn length(&self, doc: u32) -> u32 {
        let at = doc as usize * self.length_width;
        let mut bytes = [0; 4];
        bytes[..self.length_width].copy_from_slice(&self.lengths[at..at + self.length_width]);
        u32::from_le_bytes(bytes)
    }
}
