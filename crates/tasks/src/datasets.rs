//! Which dataset a task reads: the reference in its configuration, and what it was pinned to when the task was stored.

use std::path::PathBuf;

use async_trait::async_trait;
use belvedere_domain::task::InputFormat;
use belvedere_domain::{ConfigName, DatasetName, Revision, SplitName};
use serde::{Deserialize, Serialize};

/// Why a dataset cannot be given to a task.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// The reference cannot be read, or names nothing there is.
    #[error("{0}")]
    Unknown(String),
    /// It is there, but not ready; the same may work soon.
    #[error("{0}")]
    NotReady(String),
    /// What was pinned is not there any more.
    #[error("{0}")]
    Gone(String),
    /// Something of ours failed; the same may work later.
    #[error("the dataset cannot be read")]
    Passing(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What `dataset_name` says: `name`, `namespace/name`, with `/config/split` and with `@revision`; or the name of a file, as the
/// first task managers had it (`wine.csv`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reference {
    /// The dataset; without a namespace it is looked for in all.
    pub dataset: DatasetName,
    /// One split of it, as Parquet; else its own files.
    pub split: Option<(ConfigName, SplitName)>,
    /// At this revision; else the newest.
    pub revision: Option<Revision>,
    /// It was written with the suffix of a file, such as `csv`: these files alone are wanted.
    pub suffix: Option<String>,
    /// The form that is wanted; `None`: Parquet for a split, the files as they are for a dataset.
    pub format: Option<InputFormat>,
}

/// Suffixes that a reference may end with.
const SUFFIXES: [&str; 6] = ["csv", "tsv", "parquet", "json", "jsonl", "txt"];

impl Reference {
    /// Reads a reference.
    ///
    /// # Errors
    /// [`DatasetError::Unknown`] with the reason.
    pub fn parse(text: &str) -> Result<Self, DatasetError> {
        let unknown = |error: &dyn std::fmt::Display| DatasetError::Unknown(error.to_string());
        let (path, revision) = match text.split_once('@') {
            Some((path, revision)) => (path, Some(Revision::new(revision).map_err(|error| unknown(&error))?)),
            None => (text, None),
        };
        let parts: Vec<&str> = path.split('/').collect();
        let (name, split) = match parts[..] {
            [_] | [_, _] => (path.to_owned(), None),
            [namespace, name, config, split] => {
                let config = ConfigName::new(config).map_err(|error| unknown(&error))?;
                let split = SplitName::new(split).map_err(|error| unknown(&error))?;
                (format!("{namespace}/{name}"), Some((config, split)))
            }
            _ => {
                let text = format!(
                    "`{path}` is not a dataset: expected `name`, `namespace/name` or `namespace/name/config/split`"
                );
                return Err(DatasetError::Unknown(text));
            }
        };
        let (name, suffix) = match name.rsplit_once('.') {
            Some((stem, suffix)) if split.is_none() && SUFFIXES.contains(&suffix) => {
                (stem.to_owned(), Some(suffix.to_owned()))
            }
            _ => (name, None),
        };
        let dataset = DatasetName::new(name).map_err(|error| unknown(&error))?;
        Ok(Self { dataset, split, revision, suffix, format: None })
    }
}

/// What exactly a task reads. Stored with it, so that it reads the same whatever happens to the dataset.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Pin {
    /// The dataset.
    pub dataset: String,
    /// Its revision.
    pub revision: String,
    /// The config and the split, where one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<(String, String)>,
    /// The files are those that the split is made of, not its Parquet form.
    #[serde(default, skip_serializing_if = "is_false")]
    pub original: bool,
    /// The rows of the split that are read; `None`: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selection: Option<PinnedSelection>,
    /// The files, in order.
    pub files: Vec<PinnedFile>,
}

/// Chosen rows of a split.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PinnedSelection {
    /// The selection.
    pub id: String,
    /// How many rows.
    pub num_rows: u64,
    /// Hexadecimal SHA-256 of their numbers.
    pub sha256: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

/// A file of a dataset.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PinnedFile {
    /// Its path in the dataset, or the name of its converted form.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// Hexadecimal SHA-256 of its bytes.
    pub sha256: String,
}

/// Where datasets come from.
#[async_trait]
pub trait Datasets: Send + Sync {
    /// Finds what a reference means now.
    async fn pin(&self, reference: &Reference) -> Result<Pin, DatasetError>;

    /// Finds chosen rows, and writes them to a file.
    async fn pin_selection(&self, id: &str) -> Result<Pin, DatasetError>;

    /// Where the files of a pin lie on this machine, in its order, each still what it was.
    async fn locate(&self, pin: &Pin) -> Result<Vec<PathBuf>, DatasetError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_have_a_dataset_a_split_a_revision_or_a_suffix() {
        let parse = |text: &str| Reference::parse(text).unwrap();
        assert_eq!(parse("wine_classification").dataset.as_str(), "wine_classification");
        let legacy = parse("wine.csv");
        assert_eq!((legacy.dataset.as_str(), legacy.suffix.as_deref()), ("wine", Some("csv")));
        let split = parse("local/wine/default/train@0123abcd");
        assert_eq!(split.dataset.as_str(), "local/wine");
        assert_eq!(split.split.unwrap().1.as_str(), "train");
        assert_eq!(split.revision.unwrap().as_str(), "0123abcd");
        assert_eq!(parse("a/b.v2").dataset.as_str(), "a/b.v2");
        for wrong in ["", "../etc/passwd", "a/b/c", "a/b/c/d/e", "/etc/passwd", "a@", "a b", "a/b/../train"] {
            assert!(Reference::parse(wrong).is_err(), "{wrong}");
        }
    }
}
