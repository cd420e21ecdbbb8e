//! The card of a dataset: what its owner declares in the front matter of `README.md`, in `.huggingface.yaml`
//! (whose keys replace those of the README) and in the legacy `dataset_infos.json`.
//!
//! [`Card::parse`] reads the YAML once; each question is answered on its own, so that a mistake in `configs` does
//! not hide `viewer: false`. Knows nothing of the files that exist.

mod configs;
mod features;
mod infos;
mod scalar;
pub mod yaml;

use std::fmt;

use indexmap::IndexMap;
use serde_json::{Map, Value as JsonValue};

pub use configs::CardConfig;
pub use infos::DeclaredInfo;
use yaml::{Node, Yaml};

/// The file that holds the front matter.
pub const README_PATH: &str = "README.md";
/// The file whose keys replace those of the front matter.
pub const OVERRIDES_PATH: &str = ".huggingface.yaml";
/// The legacy file of infos.
pub const DATASET_INFOS_PATH: &str = "dataset_infos.json";

/// Most bytes of a card file that are read. A front matter that does not end within them is an error.
pub const MAX_CARD_BYTES: u64 = 10 << 20;

const DATA_FILES_HINT: &str =
    "expected a pattern, a list of patterns, or a list of entries with exactly `split` and `path`";

/// What is wrong with a card, and where.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CardError {
    /// Path of the file.
    pub file: Option<String>,
    /// Line in the file, from 1.
    pub line: Option<usize>,
    /// The key, such as `configs[1].data_files`.
    pub key: String,
    /// Lower-case fragment without final dot.
    pub message: String,
}

impl CardError {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }

    fn at(mut self, line: usize) -> Self {
        self.line.get_or_insert(line);
        self
    }

    fn in_file(mut self, file: &str) -> Self {
        self.file.get_or_insert_with(|| file.to_owned());
        self
    }

    fn under(mut self, key: &str) -> Self {
        self.key = match self.key.as_str() {
            "" => key.to_owned(),
            inner if inner.starts_with('[') => format!("{key}{inner}"),
            inner => format!("{key}.{inner}"),
        };
        self
    }

    fn under_item(self, index: usize) -> Self {
        self.under(&format!("[{index}]"))
    }
}

impl fmt::Display for CardError {
    /// ``README.md, line 4, key `configs[0].config_name`: expected text, found a number``.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut place = Vec::new();
        place.extend(self.file.clone());
        place.extend(self.line.map(|line| format!("line {line}")));
        place.extend((!self.key.is_empty()).then(|| format!("key `{}`", self.key)));
        write!(f, "{}{}{}", place.join(", "), if place.is_empty() { "" } else { ": " }, self.message)
    }
}

impl std::error::Error for CardError {}

/// The texts a card is made of, as far as the files exist.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CardFiles {
    /// `README.md`, or its first [`MAX_CARD_BYTES`].
    pub readme: Option<Vec<u8>>,
    /// `.huggingface.yaml`.
    pub overrides: Option<Vec<u8>>,
    /// `dataset_infos.json`.
    pub dataset_infos: Option<Vec<u8>>,
}

/// A value and the file it comes from.
type Located = (&'static str, Node);

/// What the owner declares.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Card {
    /// Top-level keys, each with the file it comes from.
    entries: IndexMap<String, Located>,
    dataset_infos: Option<Vec<u8>>,
}

impl Card {
    /// Reads the files. Without any, the card is empty.
    ///
    /// # Errors
    /// [`CardError`] when a file is not valid YAML, not a mapping, or exceeds a budget.
    pub fn parse(files: CardFiles) -> Result<Self, CardError> {
        let mut entries = IndexMap::new();
        if let Some(readme) = &files.readme
            && let Some((yaml, first_line)) = front_matter(readme).map_err(|error| error.in_file(README_PATH))?
        {
            entries.extend(top_level(yaml, first_line, README_PATH)?);
        }
        if let Some(overrides) = &files.overrides {
            let text = utf8(overrides).map_err(|error| error.in_file(OVERRIDES_PATH))?;
            entries.extend(top_level(text, 1, OVERRIDES_PATH)?);
        }
        Ok(Self { entries, dataset_infos: files.dataset_infos })
    }

    /// The `configs`, in the order of the card; empty without that key.
    ///
    /// # Errors
    /// [`CardError`] with line and key.
    pub fn configs(&self) -> Result<Vec<CardConfig>, CardError> {
        match self.entries.get("configs") {
            Some((file, node)) if node.is_truthy() => {
                configs::configs(node).map_err(|error| error.under("configs").in_file(file))
            }
            _ => Ok(Vec::new()),
        }
    }

    /// What is declared about each config, by config name: the legacy file, overridden by `dataset_info`.
    ///
    /// # Errors
    /// [`CardError`] with line and key.
    pub fn infos(&self) -> Result<IndexMap<String, DeclaredInfo>, CardError> {
        let mut infos = match &self.dataset_infos {
            Some(bytes) => infos::from_json(utf8(bytes).map_err(|error| error.in_file(DATASET_INFOS_PATH))?)?,
            None => IndexMap::new(),
        };
        if let Some((file, node)) = self.entries.get("dataset_info") {
            infos.extend(infos::from_yaml(node).map_err(|error| error.under("dataset_info").in_file(file))?);
        }
        Ok(infos)
    }

    /// False when the owner turned the viewer off with `viewer: false`.
    pub fn viewer(&self) -> bool {
        !matches!(self.entries.get("viewer"), Some((_, Node { value: Yaml::Bool(false), .. })))
    }

    /// True when the card says `private: true`. Anything but a plain no counts: what somebody wanted to keep back is not
    /// shown for a slip of the pen.
    pub fn private(&self) -> bool {
        self.is_on("private")
    }

    /// True when the card says `gated: true`, `auto` or `manual`.
    pub fn gated(&self) -> bool {
        self.is_on("gated")
    }

    fn is_on(&self, key: &str) -> bool {
        match self.entries.get(key).map(|(_, node)| &node.value) {
            None | Some(Yaml::Null | Yaml::Bool(false)) => false,
            Some(_) => true,
        }
    }

    /// The `language` codes.
    pub fn languages(&self) -> Vec<String> {
        self.texts("language")
    }

    /// The `tags`.
    pub fn tags(&self) -> Vec<String> {
        self.texts("tags")
    }

    /// Every top-level key as JSON.
    pub fn to_json(&self) -> Map<String, JsonValue> {
        self.entries.iter().map(|(key, (_, node))| (key.clone(), node.to_json())).collect()
    }

    /// One text or a list of texts.
    fn texts(&self, key: &str) -> Vec<String> {
        match self.entries.get(key).map(|(_, node)| node) {
            Some(Node { value: Yaml::List(items), .. }) => items.iter().filter_map(Node::scalar_text).collect(),
            Some(node) => node.scalar_text().into_iter().collect(),
            None => Vec::new(),
        }
    }
}

fn top_level(text: &str, first_line: usize, file: &'static str) -> Result<Vec<(String, Located)>, CardError> {
    let node = yaml::parse(text, first_line).map_err(|error| error.in_file(file))?;
    match node.value {
        Yaml::Null => Ok(Vec::new()),
        Yaml::Map(entries) => {
            Ok(entries.into_iter().filter_map(|(key, value)| Some((key.scalar_text()?, (file, value)))).collect())
        }
        _ => {
            Err(CardError::new(format!("expected keys and values, found {}", node.kind())).at(node.line).in_file(file))
        }
    }
}

/// The YAML between the first line `---` and the next, and the line where it begins. `None` without such a block.
pub(crate) fn front_matter(readme: &[u8]) -> Result<Option<(&str, usize)>, CardError> {
    let bytes = readme.strip_prefix(b"\xef\xbb\xbf").unwrap_or(readme);
    let begins_with_fence = bytes.trim_ascii_start().starts_with(b"---");
    if !begins_with_fence {
        return Ok(None);
    }
    let blank_lines =
        bytes[..bytes.len() - bytes.trim_ascii_start().len()].iter().filter(|byte| **byte == b'\n').count();
    let bytes = bytes.trim_ascii_start();
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let fence = lines.next().unwrap_or_default();
    if fence.trim_ascii_end() != b"---" {
        return Ok(None);
    }
    let mut end = fence.len();
    for line in lines {
        if line.starts_with(b"---") && line[3..].trim_ascii().is_empty() {
            let text = utf8(&bytes[fence.len()..end]).map_err(|mut error| {
                error.line = error.line.map(|line| line + 1 + blank_lines);
                error
            })?;
            return Ok(Some((text, 2 + blank_lines)));
        }
        end += line.len();
    }
    if readme.len() as u64 >= MAX_CARD_BYTES {
        let message = format!("the front matter does not end within the first {} MB", MAX_CARD_BYTES >> 20);
        return Err(CardError::new(message));
    }
    Ok(None)
}

fn utf8(bytes: &[u8]) -> Result<&str, CardError> {
    std::str::from_utf8(bytes).map_err(|error| {
        let line = 1 + bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        CardError::new("not valid UTF-8").at(line)
    })
}

#[cfg(test)]
mod tests;
