//! From sources to a [`Config`].

use serde_json::Value as Json;

use super::reader::Reader;
use super::table::SectionValues;
use super::{Config, ConfigError, Origin, Role, Secrets, Setting, Sources};

/// A setting with the value that holds.
#[derive(Clone, Debug)]
pub struct Effective {
    /// The row of the table.
    pub setting: &'static Setting,
    /// The value for people; secrets are masked.
    pub shown: String,
    /// The value for programs; secrets are masked.
    pub json: Json,
    /// Where it came from.
    pub origin: Origin,
}

/// A configuration with everything there is to tell about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The values.
    pub config: Config,
    /// The values as text, with their origins, in the order of the table.
    pub values: Vec<Effective>,
    /// Warnings for the log: older names, variables without effect, probable slips.
    pub notes: Vec<String>,
}

impl Config {
    /// Chooses, parses and checks every value.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with everything that is wrong.
    pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
        let mut reader = Reader::new(sources);
        let config = Self::read(&mut reader);
        if let Some(config) = &config {
            config.validate(&mut reader);
        }
        let Reader { values, notes, problems, .. } = reader;
        match config {
            Some(config) if problems.is_empty() => Ok(Loaded { config, values, notes }),
            _ => Err(ConfigError::settings(problems)),
        }
    }

    /// The values that a start without any source would have.
    pub fn defaults(role: Role) -> Self {
        Self::load(&Sources { role, ..Sources::default() }).expect("the defaults of the table are legal").config
    }
}

impl Secrets {
    /// The section alone, for the one reader that comes before the secrets are read.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when one of its settings is wrong.
    pub(super) fn load(sources: &Sources) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(sources);
        reader.problems.clear();
        let section = <Self as SectionValues>::read(&mut reader);
        match section {
            Some(section) if reader.problems.is_empty() => Ok(section),
            _ => Err(ConfigError::settings(reader.problems)),
        }
    }
}
