//! What the files of a dataset resolve to: configs, their splits, the files of each split and how to read them.
//!
//! The hub crate produces these values from patterns and the card; the engine reads by them. Neither sees the other.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value as JsonValue;

use crate::features::Features;
use crate::names::{ConfigName, SplitName};

mod folder;

pub use folder::{FolderKind, FolderRole, METADATA_FILENAMES};

/// How files are read. The name is the `builder_name` of dataset infos.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the variants are the names of the formats")]
pub enum Reader {
    Csv,
    Json,
    Parquet,
    Arrow,
    Text,
    ImageFolder,
    AudioFolder,
    VideoFolder,
    PdfFolder,
    Webdataset,
    Xml,
    Sqlite,
    Xlsx,
}

impl Reader {
    /// `csv`, `json`, ….
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Parquet => "parquet",
            Self::Arrow => "arrow",
            Self::Text => "text",
            Self::ImageFolder => "imagefolder",
            Self::AudioFolder => "audiofolder",
            Self::VideoFolder => "videofolder",
            Self::PdfFolder => "pdffolder",
            Self::Webdataset => "webdataset",
            Self::Xml => "xml",
            Self::Sqlite => "sqlite",
            Self::Xlsx => "xlsx",
        }
    }

    /// What a folder holds, for the readers of which every file is a row.
    pub fn folder(self) -> Option<FolderKind> {
        match self {
            Self::ImageFolder => Some(FolderKind::Image),
            Self::AudioFolder => Some(FolderKind::Audio),
            Self::VideoFolder => Some(FolderKind::Video),
            Self::PdfFolder => Some(FolderKind::Pdf),
            _ => None,
        }
    }

    /// True when cells hold the paths of the files that they come from, so that a file of another name has other rows.
    pub fn names_files(self) -> bool {
        matches!(self, Self::Webdataset)
    }
}

/// One config, resolved.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ResolvedConfig {
    /// Its name.
    pub name: ConfigName,
    /// How its files are read; the same for every config of a dataset.
    pub reader: Reader,
    /// Parameters of the reader as given in the card or implied by the files (`sep` for `.tsv`), by their names there.
    pub parameters: IndexMap<String, JsonValue>,
    /// Features given as a reader parameter: they type the columns while reading.
    pub reader_features: Option<Features>,
    /// Features declared in `dataset_info`: the final schema, to which the data are cast.
    pub declared_features: Option<Features>,
    /// Splits declared in `dataset_info`, in order, if any.
    pub declared_splits: Option<Vec<SplitName>>,
    /// Descriptive fields of `dataset_info` (`description`, `citation`, `homepage`, `license`), if declared.
    pub declared_texts: IndexMap<String, String>,
    /// Splits in order, each with the paths of its files in reading order.
    pub splits: IndexMap<SplitName, Vec<String>>,
}

/// What becomes of the files of a config whose columns or types differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schemas {
    /// The first file with rows decides, and one that differs is an error.
    #[default]
    Strict,
    /// One schema holds them all: columns that a file lacks are null, values take the narrowest type that holds all.
    Union,
}

impl Schemas {
    /// The parameter of a config that chooses.
    pub const PARAMETER: &str = "schema";
}

impl ResolvedConfig {
    /// What the card says about files that differ; `None` when it says nothing.
    ///
    /// # Errors
    /// A sentence for a value that is no choice.
    pub fn schemas(&self) -> Result<Option<Schemas>, String> {
        match self.parameters.get(Schemas::PARAMETER) {
            None | Some(JsonValue::Null) => Ok(None),
            Some(JsonValue::String(text)) if text == "strict" => Ok(Some(Schemas::Strict)),
            Some(JsonValue::String(text)) if text == "union" => Ok(Some(Schemas::Union)),
            Some(other) => {
                Err(format!("`{}` of the config must be `strict` or `union`, not {other}", Schemas::PARAMETER))
            }
        }
    }

    /// The same config, with a schema that holds all its files.
    #[must_use]
    pub fn joined(mut self, features: Features) -> Self {
        self.declared_features = Some(features);
        self.parameters.insert(Schemas::PARAMETER.to_owned(), "union".into());
        self
    }
    /// All paths, split after split.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.splits.values().flatten().map(String::as_str)
    }

    /// Paths that the reader opens, split after split: all of them, unless the files are media. Those become cells by
    /// their names; only what describes them and what holds them is read.
    pub fn opened_paths(&self) -> impl Iterator<Item = &str> {
        self.opened(self.paths())
    }

    /// Those of some paths that the reader opens.
    pub fn opened<'p>(&self, paths: impl Iterator<Item = &'p str>) -> impl Iterator<Item = &'p str> {
        let folder = self.reader.folder();
        let metadata = self.metadata_filenames();
        paths.filter(move |path| match folder {
            None => true,
            Some(kind) => matches!(kind.role(path, &metadata), FolderRole::Metadata | FolderRole::Archive),
        })
    }

    /// The files that the first rows of a split are, `count` at most, if it can be told by their names alone: of a folder of
    /// media that nothing describes, and without archives.
    pub fn first_media(&self, split: &SplitName, count: usize) -> Option<Vec<&str>> {
        let kind = self.reader.folder()?;
        if self.opened_paths().next().is_some() {
            return None;
        }
        let metadata = self.metadata_filenames();
        let paths = self.splits.get(split)?.iter().map(String::as_str);
        Some(paths.filter(|path| kind.role(path, &metadata) == FolderRole::Media).take(count).collect())
    }

    /// Names of the files that describe media: those of the parameter `metadata_filenames`, else the usual ones.
    pub fn metadata_filenames(&self) -> Vec<String> {
        let given = self.parameters.get("metadata_filenames").and_then(JsonValue::as_array);
        match given {
            Some(names) => names.iter().filter_map(JsonValue::as_str).map(str::to_owned).collect(),
            None => METADATA_FILENAMES.map(str::to_owned).to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_media_are_told_by_names_unless_something_describes_or_holds_them() {
        let first = |reader: Reader, paths: &[&str]| {
            let split = SplitName::new("train").unwrap();
            let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
            let config = ResolvedConfig {
                name: ConfigName::new("default").unwrap(),
                reader,
                parameters: Default::default(),
                reader_features: None,
                declared_features: None,
                declared_splits: None,
                declared_texts: Default::default(),
                splits: [(split.clone(), paths)].into_iter().collect(),
            };
            let owned = |paths: Vec<&str>| paths.into_iter().map(str::to_owned).collect::<Vec<_>>();
            config.first_media(&split, 2).map(owned)
        };
        let listed = |paths: [&str; 2]| Some(paths.map(str::to_owned).to_vec());
        assert_eq!(first(Reader::ImageFolder, &["b.png", "a.txt", "a.JPG", "c.png"]), listed(["b.png", "a.JPG"]));
        assert_eq!(first(Reader::ImageFolder, &["a.png", "metadata.csv"]), None);
        assert_eq!(first(Reader::ImageFolder, &["a.png", "more.zip"]), None);
        assert_eq!(first(Reader::Csv, &["a.csv"]), None);
    }
}
