//! Why a repository or a config has no files to read, in words for its owner.

use std::fmt;
use std::io;

use belvedere_domain::error_code::ErrorCode;
use belvedere_domain::names::SplitName;

use super::splits::SplitsError;
use crate::card::{CardConfig, CardError};
use crate::reader::Choice;

/// A failure to resolve, with its public code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResolveError {
    /// The public code.
    pub code: ErrorCode,
    /// Lower-case fragment that names the file or key and the way out.
    pub message: String,
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ResolveError {}

impl From<CardError> for ResolveError {
    fn from(error: CardError) -> Self {
        Self::new(ErrorCode::ConfigNamesError, error.to_string())
    }
}

impl ResolveError {
    fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(super) fn script(path: &str) -> Self {
        let message = format!(
            "{path} is a loading script, and scripts are not run; convert the data to Parquet, CSV or JSON files and \
             remove the script"
        );
        Self::new(ErrorCode::DatasetWithScriptNotSupportedError, message)
    }

    pub(super) fn empty(folder: &str) -> Self {
        let message = match folder {
            "" => "the dataset has no data file".to_owned(),
            folder => format!("the folder {folder} has no data file"),
        };
        Self::new(ErrorCode::EmptyDatasetError, message)
    }

    pub(super) fn no_data_files() -> Self {
        let message = "no file has a supported format; supported are .csv, .tsv, .json, .jsonl, .parquet, .arrow, .txt, .xml \
                       and .tar, also compressed, .sqlite, .xlsx, images, sounds, videos and .pdf";
        Self::new(ErrorCode::DataFilesNotFoundError, message)
    }

    pub(super) fn format_not_supported(choice: Choice) -> Self {
        let message = format!(
            "most files have the format `{}`, which is not supported yet; supported are csv, json, parquet, arrow, text, \
             xml, webdataset, sqlite, xlsx, and folders of images, sounds, videos and documents",
            choice.name()
        );
        Self::new(ErrorCode::DataFilesNotFoundError, message)
    }

    pub(super) fn formats_differ(
        (first, first_choice): &(&SplitName, Option<Choice>),
        (other, other_choice): &(&SplitName, Option<Choice>),
    ) -> Self {
        let name = |choice: &Option<Choice>| match choice {
            Some(choice) => match choice.implied() {
                Some((parameter, value)) => format!("`{}` with {parameter} {value:?}", choice.name()),
                None => format!("`{}`", choice.name()),
            },
            None => "without a data file".to_owned(),
        };
        let message = format!(
            "all splits must have the same format, but `{first}` is {} and `{other}` is {}",
            name(first_choice),
            name(other_choice)
        );
        Self::new(ErrorCode::FileFormatMismatchBetweenSplitsError, message)
    }

    pub(super) fn archive(error: &io::Error) -> Self {
        Self::new(ErrorCode::ConfigNamesError, format!("an archive cannot be opened: {error}"))
    }

    pub(super) fn names(folder: &str, error: &SplitsError) -> Self {
        let message = match error {
            SplitsError::Folder(error) => format!("`data_dir: {folder}` {error}"),
            SplitsError::Name { path, reason } => format!("{path} tells no split: {reason}"),
        };
        Self::new(ErrorCode::ConfigNamesError, message)
    }

    pub(super) fn two_defaults(first: &CardConfig, second: &CardConfig) -> Self {
        let message = format!(
            "`configs` has two default configs, `{}` and `{}` (line {}); leave `default: true` at one of them, and \
             none if a config is named `default`",
            first.name, second.name, second.line
        );
        Self::new(ErrorCode::ConfigNamesError, message)
    }

    /// A pattern that cannot be followed, or a path that is no file.
    pub(super) fn pattern(config: &CardConfig, split: &SplitName, text: &str, reason: &str) -> Self {
        let below = match &config.data_dir {
            Some(folder) => format!(" below `{folder}`"),
            None => String::new(),
        };
        let message = format!(
            "`data_files` of config `{}` (line {}), split `{split}`: `{text}`{below} {reason}",
            config.name, config.line
        );
        Self::new(ErrorCode::ConfigNamesError, message)
    }

    pub(super) fn no_file_matches(config: &CardConfig) -> Self {
        let patterns: Vec<_> = config
            .data_files
            .iter()
            .flatten()
            .flat_map(|(_, patterns)| patterns)
            .map(|text| format!("`{text}`"))
            .collect();
        let message = format!(
            "no file matches `data_files` of config `{}` (line {}): {}",
            config.name,
            config.line,
            if patterns.is_empty() { "the list is empty".to_owned() } else { patterns.join(", ") }
        );
        Self::new(ErrorCode::DatasetGenerationError, message)
    }

    pub(super) fn of_config(self, config: &CardConfig) -> Self {
        Self { message: format!("config `{}` (line {}): {}", config.name, config.line, self.message), ..self }
    }
}
