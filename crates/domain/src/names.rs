//! Names of datasets, configs, splits, revisions and steps, each validated once, when it is made.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Why a text is not a legal name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not `namespace/name` or a bare `name` of the allowed characters.
    #[error(
        "`{0}` is not a dataset name: expected `namespace/name`, letters, digits, `-`, `_` and `.` only, \
         at most 96 characters each, without `..` or `--`, not starting or ending with `-` or `.`"
    )]
    Dataset(String),
    /// Empty, or with a character that cannot be part of a path.
    #[error("`{0}` is not a config name: it must not be empty nor contain any of < > : / \\ | ? *")]
    Config(String),
    /// Not words joined by dots.
    #[error("`{0}` is not a split name: expected words of letters, digits and `_`, joined by `.`, and not `all`")]
    Split(String),
    /// Not a commit id or a git reference.
    #[error("`{0}` is not a revision")]
    Revision(String),
}

macro_rules! text_name {
    ($(#[$doc:meta])* $name:ident, $check:path, $error:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the text and makes the name.
            ///
            /// # Errors
            /// [`NameError`] when the text is not a legal name.
            pub fn new(text: impl AsRef<str>) -> Result<Self, NameError> {
                let text = text.as_ref();
                if $check(text) { Ok(Self(text.into())) } else { Err($error(text.to_owned())) }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().to_owned()
            }
        }
    };
}

text_name! {
    /// A dataset: `namespace/name`, or a bare `name` as old public datasets have.
    DatasetName, is_dataset, NameError::Dataset
}
text_name! {
    /// A config (a "subset") of a dataset. At most 255 bytes.
    ConfigName, is_config, NameError::Config
}
text_name! {
    /// A split of a config: words joined by dots, such as `train`. At most 255 bytes.
    SplitName, is_split, NameError::Split
}
text_name! {
    /// One immutable state of a dataset: a commit id, 40 hexadecimal digits for all our Hubs.
    Revision, is_revision, NameError::Revision
}

impl DatasetName {
    /// The part before the `/`, or the whole name when there is none: what queue fairness counts by.
    pub fn namespace(&self) -> &str {
        self.0.split_once('/').map_or(&self.0, |(namespace, _)| namespace)
    }

    /// The part after the `/`, or the whole name.
    pub fn base(&self) -> &str {
        self.0.split_once('/').map_or(&self.0, |(_, base)| base)
    }
}

fn is_dataset(text: &str) -> bool {
    let mut parts = text.split('/');
    let legal = |part: &str| {
        !part.is_empty()
            && part.len() <= 96
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
            && !part.contains("..")
            && !part.contains("--")
            && !part.starts_with(['-', '.'])
            && !part.ends_with(['-', '.'])
    };
    match (parts.next(), parts.next(), parts.next()) {
        (Some(name), None, None) => legal(name),
        (Some(namespace), Some(name), None) => legal(namespace) && legal(name),
        _ => false,
    }
}

fn is_config(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 255
        && text != "."
        && text != ".."
        && !text.contains(['<', '>', ':', '/', '\\', '|', '?', '*', '\0'])
}

fn is_split(text: &str) -> bool {
    let word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || c == '_');
    text.len() <= 255 && text != "all" && text.split('.').all(word)
}

fn is_revision(text: &str) -> bool {
    (1..=255).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/'))
        && !text.contains("..")
}

/// The name of a step of the graph: at the same time job type, view kind and path segment of the admin API.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepName(Cow<'static, str>);

impl StepName {
    /// A name known when the program is built.
    pub const fn known(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// A name read from storage; the graph decides whether it exists.
    pub fn read(name: String) -> Self {
        Self(Cow::Owned(name))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StepName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StepName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialEq<str> for StepName {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for StepName {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

/// What one view describes: a step applied to a dataset, a config or a split. The revision is kept apart.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct ArtifactKey {
    /// The step.
    pub step: StepName,
    /// The dataset.
    pub dataset: DatasetName,
    /// The config; `None` for dataset-level steps.
    pub config: Option<ConfigName>,
    /// The split; `None` above split level.
    pub split: Option<SplitName>,
}

impl ArtifactKey {
    /// A dataset-level artifact.
    pub fn dataset(step: StepName, dataset: DatasetName) -> Self {
        Self { step, dataset, config: None, split: None }
    }

    /// A config-level artifact.
    pub fn config(step: StepName, dataset: DatasetName, config: ConfigName) -> Self {
        Self { step, dataset, config: Some(config), split: None }
    }

    /// A split-level artifact.
    pub fn split(step: StepName, dataset: DatasetName, config: ConfigName, split: SplitName) -> Self {
        Self { step, dataset, config: Some(config), split: Some(split) }
    }

    /// The same place in the dataset, seen by another step of the same or a higher level.
    pub fn at(&self, step: StepName, level: crate::Level) -> Self {
        use crate::Level;
        Self {
            step,
            dataset: self.dataset.clone(),
            config: (level != Level::Dataset).then(|| self.config.clone()).flatten(),
            split: (level == Level::Split).then(|| self.split.clone()).flatten(),
        }
    }

    /// `step,dataset,revision[,config[,split]]`: equal for jobs that would do the same work.
    pub fn unicity_id(&self, revision: &Revision) -> String {
        let mut id = format!("{},{},{}", self.step, self.dataset, revision);
        for part in [self.config.as_ref().map(ConfigName::as_str), self.split.as_ref().map(SplitName::as_str)] {
            let Some(part) = part else { break };
            id.push(',');
            id.push_str(part);
        }
        id
    }
}

impl fmt::Display for ArtifactKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.step, self.dataset)?;
        if let Some(config) = &self.config {
            write!(f, ", config {config}")?;
        }
        if let Some(split) = &self.split {
            write!(f, ", split {split}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dataset_names_follow_the_rules_of_the_hub() {
        for legal in ["wine", "local/wine", "a-b/c_d.e", "conformance/csv-mcu-films"] {
            assert!(DatasetName::new(legal).is_ok(), "{legal}");
        }
        let long = "x".repeat(97);
        for illegal in ["", "/", "a/", "/a", "a/b/c", "a b", "a/..", "../etc", "é/x", "-a", "a.", "a--b", &long] {
            assert!(DatasetName::new(illegal).is_err(), "{illegal}");
        }
    }

    #[test]
    fn split_names_are_words_joined_by_dots() {
        for legal in ["train", "train.v2", "été", "a_1"] {
            assert!(SplitName::new(legal).is_ok(), "{legal}");
        }
        for illegal in ["", "all", "a-b", "a..b", ".a", "a b"] {
            assert!(SplitName::new(illegal).is_err(), "{illegal}");
        }
    }

    #[test]
    fn config_names_cannot_escape_a_folder() {
        assert!(ConfigName::new("en-US (2020)").is_ok());
        for illegal in ["", ".", "..", "a/b", "a\\b", "a:b", "*", "a\0b"] {
            assert!(ConfigName::new(illegal).is_err(), "{illegal}");
        }
    }

    #[test]
    fn unicity_id_has_no_spaces_and_no_empty_parts() {
        let dataset = DatasetName::new("acme/birds").expect("legal");
        let revision = Revision::new("abc").expect("legal");
        let step = StepName::known("config-size");
        let key = ArtifactKey::config(step, dataset, ConfigName::new("default").expect("legal"));
        assert_eq!(key.unicity_id(&revision), "config-size,acme/birds,abc,default");
    }
}
