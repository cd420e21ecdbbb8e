//! The data sets on disk: `NAME/repo` with the files of a dataset, `NAME/expected` with the recorded answers.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Map, Value};

/// One data set with its recorded answers.
#[derive(Clone, Debug)]
pub struct Set {
    /// Name of the folder; the dataset is called `conformance/NAME`.
    pub name: String,
    folder: PathBuf,
    meta: Meta,
}

/// What `expected/meta.json` tells about a recording; the rest of that file is for people.
#[derive(Clone, Debug, Deserialize)]
struct Meta {
    /// Settings of the server that differed from the defaults.
    #[serde(default)]
    settings: Map<String, Value>,
    /// Outcome per processing step: `ok` or an error code.
    results: BTreeMap<String, String>,
}

/// One recorded request with its answer.
#[derive(Clone, Debug)]
pub struct Case {
    /// Where it is recorded: a file name, or `requests.N` for the N-th of the file with further requests.
    pub file: String,
    /// First part of the file name: `splits`, `rows`, …; `requests` for the further requests.
    pub endpoint: String,
    /// What was asked and answered.
    pub recorded: Recorded,
}

/// The content of a recording.
#[derive(Clone, Debug, Deserialize)]
pub struct Recorded {
    /// What was asked.
    pub request: Request,
    /// HTTP status of the answer.
    pub status_code: u16,
    /// Header `X-Error-Code`.
    pub error_code: Option<String>,
    /// Header `X-Revision`.
    pub revision: Option<String>,
    /// JSON body. An object with the key `_raw` stands for a body that was not JSON.
    pub body: Value,
}

/// A GET request.
#[derive(Clone, Debug, Deserialize)]
pub struct Request {
    /// Path with its leading slash.
    pub path: String,
    /// Query parameters: texts and numbers.
    pub params: Map<String, Value>,
}

impl Request {
    /// A query parameter as it is written in a URL; empty if absent.
    pub fn param(&self, name: &str) -> String {
        self.params.get(name).map(text_of).unwrap_or_default()
    }
}

/// A parameter without the quotes of JSON.
pub(crate) fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// All data sets below a folder, by name.
///
/// # Errors
/// The folder cannot be read, holds no data set, or a `meta.json` is damaged.
pub fn read(folder: &Path) -> Result<Vec<Set>> {
    let entries = fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    let mut sets = Vec::new();
    for entry in entries {
        let folder = entry?.path();
        let file = folder.join("expected/meta.json");
        if file.is_file() {
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // With its fault repaired, the reference may still fail, or not.
            let repaired = folder.join("expected-patched/meta.json");
            let meta = read_json(if repaired.is_file() { &repaired } else { &file })?;
            sets.push(Set { name, meta, folder });
        }
    }
    if sets.is_empty() {
        bail!("{} holds no data set (a folder with expected/meta.json)", folder.display());
    }
    sets.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(sets)
}

impl Set {
    /// Settings of the server under which the answers were recorded, where they differ from the defaults.
    pub fn settings(&self) -> &Map<String, Value> {
        &self.meta.settings
    }

    /// The files of the dataset.
    pub fn repository(&self) -> PathBuf {
        self.folder.join("repo")
    }

    /// True if the dataset is made to fail, so that answering well would be wrong.
    pub fn is_meant_to_fail(&self) -> bool {
        self.name.starts_with("fail-")
    }

    /// True for a sound dataset that the reference could not convert, not even with its fault repaired: its own defect.
    pub fn defeats_the_reference(&self) -> bool {
        let failed = |(step, outcome): (&String, &String)| {
            step.starts_with("config-parquet-and-info")
                && matches!(outcome.as_str(), "DatasetGenerationError" | "FileSystemError")
        };
        !self.is_meant_to_fail() && self.meta.results.iter().any(failed)
    }

    /// True if statistics of the dataset failed as a whole and were recorded column by column instead.
    pub fn has_statistics_per_column(&self) -> Result<bool> {
        Ok(self.files()?.iter().any(|file| file.starts_with("statistics-per-column.")))
    }

    /// The statistics recorded column by column beside `file` (`statistics.CONFIG.SPLIT.json`): `{"ok": …}` or
    /// `{"error": …}` per column. `None` where the statistics were recorded as a whole.
    pub fn statistics_per_column(&self, file: &str) -> Result<Option<Map<String, Value>>> {
        let name = file.replacen("statistics.", "statistics-per-column.", 1);
        let path = self.folder.join("expected").join(name);
        if path.is_file() { read_json(&path).map(Some) } else { Ok(None) }
    }

    /// The recorded rows of the split that a request names, by number.
    ///
    /// # Errors
    /// A recording that cannot be read, with its path.
    pub fn rows(&self, request: &Request) -> Result<HashMap<u64, Value>> {
        let mut rows = HashMap::new();
        for case in self.cases()?.into_iter().filter(|case| case.endpoint == "rows" && case.recorded.status_code == 200)
        {
            let other = &case.recorded.request;
            if ["config", "split"].iter().any(|name| other.param(name) != request.param(name)) {
                continue;
            }
            for row in case.recorded.body["rows"].as_array().into_iter().flatten() {
                rows.extend(row["row_idx"].as_u64().map(|number| (number, row["row"].clone())));
            }
        }
        Ok(rows)
    }

    /// All recorded requests in the order of their file names. Recordings of the reference with one fault repaired
    /// (`expected-patched`) take the place of the plain ones.
    ///
    /// # Errors
    /// A recording that cannot be read, with its path.
    pub fn cases(&self) -> Result<Vec<Case>> {
        let mut cases = Vec::new();
        for file in self.files()? {
            let patched = self.folder.join("expected-patched").join(&file);
            let path = if patched.is_file() { patched } else { self.folder.join("expected").join(&file) };
            if file == "requests.json" {
                let further: Vec<Recorded> = read_json(&path)?;
                cases.extend(further.into_iter().enumerate().map(|(number, recorded)| Case {
                    file: format!("requests.{number}"),
                    endpoint: "requests".to_owned(),
                    recorded,
                }));
            } else if file != "meta.json" && !file.starts_with("statistics-per-column.") {
                let endpoint = file.split('.').next().unwrap_or_default().to_owned();
                cases.push(Case { endpoint, recorded: read_json(&path)?, file });
            }
        }
        Ok(cases)
    }

    /// Names of the JSON files directly below `expected`, sorted.
    fn files(&self) -> Result<Vec<String>> {
        let folder = self.folder.join("expected");
        let mut files = Vec::new();
        for entry in fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.ends_with(".json") {
                files.push(name);
            }
        }
        files.sort();
        Ok(files)
    }
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("{} is not as expected", path.display()))
}
