//! Readers: files of one format become tables, file after file, in bounded memory.
//!
//! A reader types each batch on its own, as the reference library does; [`Fitter`] reconciles them.
//!
//! To add a format: write `read/<format>.rs` with a type that implements [`TableStream`], add the variant to
//! `Reader` in the domain crate, and one line to [`ConfigReader::open`].

mod archive;
mod arrow_ipc;
mod csv;
mod encoding;
mod folder;
mod input;
mod json;
mod loose;
mod parameters;
mod parquet;
mod records;
mod seekable;
mod sqlite;
mod tar;
#[cfg(test)]
pub(crate) mod testing;
mod text;
mod webdataset;
mod xlsx;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use arrow::record_batch::RecordBatch;
use belvedere_domain::Features;
use belvedere_domain::data_files::{Reader, ResolvedConfig};

use crate::decompress::{Compression, Place};
use crate::error::{EngineError, ErrorKind};
use crate::fit::Fitter;
use crate::source::SourceFile;
pub(crate) use folder::Input;
pub use json::trace_features;

/// The tables of one file, in order.
pub trait TableStream: Send {
    /// The next table, typed on its own; `None` at the end. Tables may be empty.
    ///
    /// A column of JSON text is a string column whose field has the extension name `arrow.json`.
    ///
    /// # Errors
    /// [`EngineError`] with file and line.
    fn next_table(&mut self) -> Result<Option<RecordBatch>, EngineError>;

    /// The line, from 1, that a row of the last table begins in; `None` where that is not known.
    fn line_of_row(&self, row: usize) -> Option<u64> {
        let _ = row;
        None
    }

    /// Bytes of the stored file consumed so far (compressed bytes for compressed files): what estimates extrapolate by.
    fn bytes_consumed(&self) -> u64;
}

/// Upper bound of the limits below, so that a batch and a record stay far below 2 GiB.
const MAX_BYTES: usize = 512 << 20;

/// What keeps memory and time of reading in bounds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReadLimits {
    /// Longest single record (a csv row, a JSON value, a paragraph), in bytes; at most 512 MiB.
    pub max_record_bytes: usize,
    /// A batch ends early when it holds this many bytes; at most 512 MiB.
    pub max_batch_bytes: usize,
    /// How much of a JSON array is looked at to type its columns. `None`, the whole array, never meets a surprise
    /// later and reads the file twice; a limit makes the first rows of a long file come at once.
    pub max_inference_bytes: Option<u64>,
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self { max_record_bytes: 128 << 20, max_batch_bytes: 256 << 20, max_inference_bytes: None }
    }
}

/// Reads the files of one config, and remembers between files what the first one decided.
#[derive(Clone, Debug)]
pub struct ConfigReader {
    config: Arc<ResolvedConfig>,
    limits: ReadLimits,
    agreement: Arc<Agreement>,
    /// Of folders of media.
    folder: Option<Arc<folder::Folder>>,
    /// What paths of files in cells begin with.
    repository: Arc<str>,
}

impl ConfigReader {
    /// A reader for all files of all splits of a config.
    pub fn new(config: ResolvedConfig, limits: ReadLimits) -> Self {
        let agreement = Agreement::default();
        // These readers cast what they read to the declared features themselves.
        if matches!(config.reader, Reader::Json | Reader::Arrow | Reader::Webdataset)
            && let Some(features) = config.reader_features.as_ref().or(config.declared_features.as_ref())
        {
            agreement.impose(features);
        }
        // Positions inside a batch are kept in 31 bits.
        let limits = ReadLimits {
            max_record_bytes: limits.max_record_bytes.min(MAX_BYTES),
            max_batch_bytes: limits.max_batch_bytes.min(MAX_BYTES),
            ..limits
        };
        Self {
            config: Arc::new(config),
            limits,
            agreement: Arc::new(agreement),
            folder: None,
            repository: Arc::from(""),
        }
    }

    /// As [`new`](Self::new), after a look at what decides the columns of all splits before the first row is read.
    /// `repository` is `hf://datasets/<dataset>@<revision>`; `files` are at least the
    /// [opened](ResolvedConfig::opened_paths) ones.
    ///
    /// # Errors
    /// [`Unreadable`](crate::ErrorKind::Unreadable) and [`Parameter`](crate::ErrorKind::Parameter) for folders of media
    /// that cannot be understood.
    pub(crate) fn prepared(
        config: ResolvedConfig,
        limits: ReadLimits,
        repository: &str,
        files: &HashMap<&str, &SourceFile>,
    ) -> Result<Self, EngineError> {
        let mut reader = Self::new(config, limits);
        reader.repository = Arc::from(repository);
        if let Some(kind) = reader.config.reader.folder() {
            let folder = folder::Folder::open(kind, &reader.config, repository, files, reader.limits)?;
            reader.folder = Some(Arc::new(folder));
        }
        Ok(reader)
    }

    /// The columns of every split, where they are known before the first row is read and none are declared.
    pub(crate) fn features(&self) -> Option<&Features> {
        self.folder.as_ref().map(|folder| folder.features())
    }

    /// Rows that a row group may have at most, where cells hold the bytes of media.
    pub(crate) fn row_group_rows(&self) -> Option<usize> {
        self.folder.as_ref().and_then(|folder| folder.row_group_rows())
    }

    /// What the rows of a split are read from, in order.
    ///
    /// # Errors
    /// [`Internal`](crate::ErrorKind::Internal) when a file is not among `files`.
    pub(crate) fn inputs<'a>(
        &self,
        paths: &'a [String],
        files: &HashMap<&str, &'a SourceFile>,
    ) -> Result<Vec<Input<'a>>, EngineError> {
        match &self.folder {
            Some(folder) => folder.inputs(paths, files),
            None => {
                let file = |path: &String| files.get(path.as_str()).copied().map(Input::File);
                paths.iter().map(|path| file(path).ok_or_else(|| crate::inspect::not_listed(path))).collect()
            }
        }
    }

    /// The tables of an input.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn open_input(&self, input: &Input<'_>) -> Result<Box<dyn TableStream>, EngineError> {
        match (input, &self.folder) {
            (Input::File(file), _) => self.open(file),
            (Input::Listing(paths), Some(folder)) => Ok(folder.rows_of_paths(paths)),
            (Input::Listing(_), None) => Err(not_prepared()),
        }
    }

    /// The tables of a file. Files are opened in the order of the config: the first one fixes types for the others.
    ///
    /// # Errors
    /// [`Parameter`](crate::ErrorKind::Parameter) for a bad reader parameter, and those of opening a file.
    pub fn open(&self, file: &SourceFile) -> Result<Box<dyn TableStream>, EngineError> {
        let stream = match self.config.reader {
            Reader::Arrow => arrow_ipc::open(file, &self.agreement),
            Reader::Parquet => parquet::open(&self.config, file),
            Reader::ImageFolder | Reader::AudioFolder | Reader::VideoFolder | Reader::PdfFolder => {
                self.folder.as_ref().ok_or_else(not_prepared)?.rows_of_file(file)
            }
            Reader::Sqlite => sqlite::open(&self.config, file, self.limits),
            Reader::Xlsx => xlsx::open(&self.config, file, self.limits),
            _ if Compression::of(&file.path) == Compression::Zip => archive::open(self, file),
            _ => self.open_place(&Place::file(file)),
        };
        stream.map_err(|error| error.in_file(&file.path))
    }

    /// The tables of a file, or of a member of an archive, that is read from front to back.
    fn open_place(&self, place: &Place) -> Result<Box<dyn TableStream>, EngineError> {
        match self.config.reader {
            Reader::Json => json::open(&self.config, place, self.limits, Arc::clone(&self.agreement)),
            Reader::Text => text::open(&self.config, place, self.limits),
            Reader::Xml => text::open_documents(&self.config, place, self.limits, "xml"),
            Reader::Webdataset => webdataset::open(place, self.limits, Arc::clone(&self.agreement), &self.repository),
            _ => csv::open(&self.config, place, self.limits),
        }
    }

    /// Casts the tables of all files to one schema.
    pub fn fitter(&self) -> Fitter {
        let mut fitter = Fitter::new(Arc::clone(&self.config), Arc::clone(&self.agreement));
        if let Some(features) = self.features() {
            fitter.assume(features);
        }
        fitter
    }
}

fn not_prepared() -> EngineError {
    EngineError::new(ErrorKind::Internal, "a folder of media was read before it was looked at")
}

/// The tables of a Parquet file with all columns as they are, in tables of at most so many rows.
///
/// # Errors
/// [`Unreadable`](crate::ErrorKind::Unreadable) when it is no Parquet file; those of opening.
pub(crate) fn parquet_file(file: &SourceFile, rows: u64) -> Result<Box<dyn TableStream>, EngineError> {
    let stream = parquet::open_with(file, rows, None).map_err(|error| error.in_file(&file.path))?;
    Ok(Box::new(stream))
}

/// True for columns of which one is the path of the file that the row comes from.
pub(crate) fn rows_name_files(features: &Features) -> bool {
    *features == trace_features()
}

/// What the files of a config agreed on so far: shared between its reader and its fitter.
#[derive(Debug, Default)]
pub(crate) struct Agreement {
    /// Features that the reader itself imposes on all tables: a table that does not fit them is unreadable.
    imposed: OnceLock<Features>,
    /// Features of the first table with rows.
    settled: OnceLock<Features>,
}

impl Agreement {
    pub(crate) fn impose(&self, features: &Features) {
        self.imposed.get_or_init(|| features.clone());
    }

    pub(crate) fn imposed(&self) -> Option<&Features> {
        self.imposed.get()
    }

    pub(crate) fn settle(&self, features: &Features) {
        self.settled.get_or_init(|| features.clone());
    }

    /// The features that later tables will be cast to, if they are known.
    pub(crate) fn known(&self) -> Option<&Features> {
        self.imposed.get().or_else(|| self.settled.get())
    }
}
