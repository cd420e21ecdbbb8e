//! Footers of Parquet files, parsed once and kept as long as a memory bound allows.

pub(crate) mod chunks;
mod walk;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use belvedere_domain::{Features, Recent};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};

use crate::call::ParquetFile;
use crate::error::{EngineError, ErrorKind};
use crate::features_arrow;
use crate::ranges::{Ranges, unreadable};
use crate::source::{Elsewhere, FileIdentity, LocalFile, SourceFile};

/// A parsed footer with the page index, if the file has one.
#[derive(Debug)]
pub struct Footer {
    /// For the Arrow reader: metadata and Arrow schema.
    pub(crate) arrow: ArrowReaderMetadata,
    features: Result<Features, EngineError>,
    told: Option<Features>,
}

impl Footer {
    /// Reads the footer of a file. A page index that cannot be read is done without.
    ///
    /// # Errors
    /// [`Unreadable`](ErrorKind::Unreadable) when it is no Parquet file; those of reading.
    pub(crate) fn read(file: &Ranges, path: &str) -> Result<Self, EngineError> {
        let parse = |policy| ParquetMetaDataReader::new().with_page_index_policy(policy).parse_and_finish(file);
        let arrow = parse(PageIndexPolicy::Optional)
            .or_else(|_| parse(PageIndexPolicy::Skip))
            .and_then(|metadata| ArrowReaderMetadata::try_new(Arc::new(metadata), ArrowReaderOptions::new()))
            .map_err(|error| unreadable(error).in_file(path))?;
        // Parquet has one type for dates, whatever the Arrow schema beside it says.
        let schema = features_arrow::with_short_dates(arrow.schema());
        let features = features_arrow::features_of(&schema).map_err(|error| error.in_file(path));
        let told = features_arrow::told_features(&schema).ok().flatten();
        Ok(Self { arrow, features, told })
    }

    /// With a page index that is found by looking, where the file has none and needs one.
    fn with_pages_of(self, file: &Ranges) -> Self {
        let Some(index) = walk::offset_index(file, self.metadata()) else { return self };
        let metadata = ParquetMetaData::clone(self.metadata()).into_builder().set_offset_index(Some(index)).build();
        match ArrowReaderMetadata::try_new(Arc::new(metadata), ArrowReaderOptions::new()) {
            Ok(arrow) => Self { arrow, ..self },
            Err(_) => self,
        }
    }

    /// Number of rows.
    pub fn num_rows(&self) -> u64 {
        self.metadata().file_metadata().num_rows().unsigned_abs()
    }

    /// Bytes of the row groups before compression.
    pub fn uncompressed_bytes(&self) -> u64 {
        self.row_group_bytes().sum()
    }

    /// Bytes of each row group before compression.
    pub(crate) fn row_group_bytes(&self) -> impl Iterator<Item = u64> {
        self.metadata().row_groups().iter().map(|group| group.total_byte_size().unsigned_abs())
    }

    /// The features of the file: those in its metadata where they fit the types, else what the types tell.
    ///
    /// # Errors
    /// [`Features`](ErrorKind::Features) naming the column whose type has none.
    pub fn features(&self) -> Result<&Features, EngineError> {
        self.features.as_ref().map_err(Clone::clone)
    }

    /// The features in the metadata of the file, whether they fit the types or not.
    pub(crate) fn told_features(&self) -> Option<&Features> {
        self.told.as_ref()
    }

    pub(crate) fn metadata(&self) -> &ParquetMetaData {
        self.arrow.metadata()
    }

    /// Bytes it takes in memory, about.
    pub(crate) fn memory_size(&self) -> usize {
        // The Arrow schema and the features are small change next to the page index.
        self.metadata().memory_size() + 512 * self.arrow.schema().fields().len()
    }
}

/// Recently used footers, bounded by the memory they take. Shared by threads.
pub struct FooterCache {
    kept: Mutex<Recent<Key, Arc<Footer>>>,
    elsewhere: Option<Arc<dyn Elsewhere>>,
}

/// A file as it is now: a changed file has another key.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Key {
    local_path: PathBuf,
    identity: FileIdentity,
}

impl FooterCache {
    /// A cache of at most `max_bytes`; larger footers are read each time.
    pub fn new(max_bytes: usize) -> Self {
        Self { kept: Mutex::new(Recent::new(usize::MAX, max_bytes as u64)), elsewhere: None }
    }

    /// A cache that also opens files which are not on this machine.
    #[must_use]
    pub fn with_elsewhere(mut self, elsewhere: Arc<dyn Elsewhere>) -> Self {
        self.elsewhere = Some(elsewhere);
        self
    }

    /// The footer of a file, read now or before, and the file, opened.
    ///
    /// # Errors
    /// [`Unreadable`](ErrorKind::Unreadable) when it is no Parquet file; those of opening and reading.
    pub(crate) fn open(&self, file: &SourceFile) -> Result<(Ranges, Arc<Footer>), EngineError> {
        let mut is_here = false;
        let (ranges, identity) = match self.elsewhere.as_ref().and_then(|elsewhere| elsewhere.open(file)) {
            Some(opened) => opened.map(|(file, identity)| (Ranges::of(file), identity))?,
            None => {
                let opened = LocalFile::open(file)?;
                let identity = opened.identity();
                is_here = true;
                (Ranges::new(opened), identity)
            }
        };
        let key = Key { local_path: file.local_path.clone(), identity };
        if let Some(footer) = self.lock().get(&key) {
            return Ok((ranges, Arc::clone(footer)));
        }
        // Two threads may read the same footer at the same time; the later one wins, and both are right.
        let footer = Footer::read(&ranges, &file.path)?;
        // Looking for pages far away would fetch most of the file.
        let footer = Arc::new(if is_here { footer.with_pages_of(&ranges) } else { footer });
        self.lock().keep(key, Arc::clone(&footer), footer.memory_size() as u64);
        Ok((ranges, footer))
    }

    /// What the rows of a split are shown as: the features given, or those of its first file.
    ///
    /// # Errors
    /// [`Empty`](ErrorKind::Empty) when there are neither; those of [`open`](Self::open).
    pub(crate) fn features(&self, given: Option<&Features>, files: &[ParquetFile]) -> Result<Features, EngineError> {
        match (given, files.first()) {
            (Some(features), _) => Ok(features.clone()),
            (None, Some(first)) => Ok(self.open(&first.file)?.1.features()?.clone()),
            (None, None) => Err(EngineError::new(ErrorKind::Empty, "the split has no files")),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Recent<Key, Arc<Footer>>> {
        // A panic between two statements of this module leaves nothing half-done that matters: it is a cache.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for FooterCache {
    /// 64 MiB: some hundred files of our own layout with a million rows each.
    fn default() -> Self {
        Self::new(64 << 20)
    }
}

/// Fails when a file does not hold the rows that it held when it was listed.
pub(crate) fn check_num_rows(footer: &Footer, expected: u64, path: &str) -> Result<(), EngineError> {
    if footer.num_rows() == expected {
        return Ok(());
    }
    let message = format!("the file has {} rows, not the {expected} it had when it was listed", footer.num_rows());
    Err(EngineError::new(ErrorKind::Changed, message).in_file(path))
}
