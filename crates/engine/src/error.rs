//! What can go wrong with a file, in words for its owner, and able to cross a process boundary.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What kind of failure it is; a job chooses the public code by it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum ErrorKind {
    /// The content cannot be read: bad syntax, bad encoding, a damaged file.
    Unreadable,
    /// Types or values do not fit the schema of the split.
    Incompatible,
    /// The columns of a file differ from those of the split.
    ColumnsMismatch,
    /// The features cannot be determined.
    Features,
    /// Nothing to read.
    Empty,
    /// A column name is longer than 500 characters.
    TooLongColumnName,
    /// More columns than the limit.
    TooManyColumns,
    /// An answer or a read exceeds its byte limit.
    TooBig,
    /// A cell cannot be shown.
    Cell,
    /// Cells refer to files of the repository that the call did not bring along: those in [`EngineError::wanted`].
    FilesWanted,
    /// The files of a split do not have the columns that its features tell.
    SchemaMismatch,
    /// The file is not the one that was asked for: changed or gone since it was listed.
    Changed,
    /// The operating system refused: no permission, an I/O error.
    Io,
    /// The place that keeps the file cannot be reached; the same may work later.
    Away,
    /// The disk is full.
    NoSpace,
    /// A parameter of the reader is unknown or has a bad value.
    Parameter,
    /// Nobody waits for the answer any more.
    Cancelled,
    /// The work would take longer than allowed.
    TimedOut,
    /// Work for an optional part that this program was built without.
    NotBuilt,
    /// The work would take more memory or look at more rows than allowed.
    OverBudget,
    /// A filter or an order is malformed, names what is not there, or meets values that it cannot take.
    Query,
    /// A bug on our side.
    Internal,
}

impl ErrorKind {
    /// What an error of the operating system is.
    pub fn of_io(error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::NoSpace,
            _ => Self::Io,
        }
    }
}

/// A failure, with the place it happened.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct EngineError {
    /// The kind.
    pub kind: ErrorKind,
    /// Lower-case fragment without the place and without final dot.
    pub message: String,
    /// Path of the file inside the dataset.
    pub file: Option<String>,
    /// Line in the (decompressed) file, from 1.
    pub line: Option<u64>,
    /// Column name, with fields joined by dots.
    pub column: Option<String>,
    /// Files of the repository without which the call cannot be carried out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wanted: Vec<WantedFile>,
}

/// A file of the repository that a call needs to know.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WantedFile {
    /// Its path.
    pub path: String,
    /// How much of it.
    pub needed: Needed,
}

/// How much of a file a call needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Needed {
    /// It only has to be there.
    Existence,
    /// Mostly its beginning is read.
    Head,
    /// It is read.
    Whole,
}

impl EngineError {
    /// An error without a place.
    pub fn new(kind: ErrorKind, message: impl fmt::Display) -> Self {
        Self { kind, message: message.to_string(), file: None, line: None, column: None, wanted: Vec::new() }
    }

    /// The call has to be made again with these files of the repository.
    pub(crate) fn wanting(wanted: Vec<WantedFile>) -> Self {
        let message = format!("{} files that cells refer to are needed", wanted.len());
        Self { wanted, ..Self::new(ErrorKind::FilesWanted, message) }
    }

    /// Adds the file, unless one is known already.
    #[must_use]
    pub fn in_file(mut self, file: &str) -> Self {
        self.file.get_or_insert_with(|| file.to_owned());
        self
    }

    /// Adds the line, from 1, unless one is known already.
    #[must_use]
    pub fn at_line(mut self, line: u64) -> Self {
        self.line.get_or_insert(line);
        self
    }

    /// Adds the column, unless one is known already.
    #[must_use]
    pub fn in_column(mut self, column: &str) -> Self {
        self.column.get_or_insert_with(|| column.to_owned());
        self
    }

    /// Adds what the owner of the file can do, where the message ends without: advice stands after a semicolon.
    #[must_use]
    pub(crate) fn with_way_out(mut self) -> Self {
        let way_out = match self.kind {
            ErrorKind::Unreadable => "write or upload the file again, or leave it out with `data_files` in README.md",
            ErrorKind::Incompatible => {
                "correct the values, or declare the type of the column under `dataset_info` in README.md"
            }
            ErrorKind::ColumnsMismatch => {
                "give all files the same columns, or make them configs of their own in README.md"
            }
            ErrorKind::Empty => "put rows into them, or leave them out with `data_files` in README.md",
            _ => return self,
        };
        let is_about_files = self.file.is_some() || self.kind == ErrorKind::Empty;
        if is_about_files && !self.message.contains("; ") {
            self.message = format!("{}; {way_out}", self.message);
        }
        self
    }
}

impl fmt::Display for EngineError {
    /// `data/a.csv, line 3, column "x": expected an integer`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        if let Some(file) = &self.file {
            write!(f, "{file}")?;
            separator = ", ";
        }
        if let Some(line) = self.line {
            write!(f, "{separator}line {line}")?;
            separator = ", ";
        }
        if let Some(column) = &self.column {
            write!(f, "{separator}column \"{column}\"")?;
            separator = ", ";
        }
        write!(f, "{}{}", if separator.is_empty() { "" } else { ": " }, self.message)
    }
}

impl std::error::Error for EngineError {}

impl From<std::io::Error> for EngineError {
    /// An `EngineError` that travelled through a `std::io::Read` comes out as it was.
    fn from(error: std::io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Self>()) {
            Some(own) => own.clone(),
            None => Self::new(ErrorKind::of_io(&error), error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_about_a_file_ends_with_a_way_out() {
        let shown = |message: &str, file: Option<&str>| {
            let error = EngineError::new(ErrorKind::Unreadable, message);
            file.map_or(error.clone(), |file| error.in_file(file)).with_way_out().to_string()
        };
        assert!(shown("damaged", Some("a.csv")).starts_with("a.csv: damaged; write or upload the file again"));
        assert_eq!(shown("a quote is open; close it", Some("a.csv")), "a.csv: a quote is open; close it");
        assert_eq!(shown("damaged", None), "damaged");
    }
}
