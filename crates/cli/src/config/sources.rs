//! What settings can come from, and how messages name it.

use std::collections::BTreeMap;
use std::fmt;

use super::Setting;

/// Everything that settings can come from. Not `Debug`, since it holds secrets as they are.
#[derive(Clone, Default)]
pub struct Sources {
    /// What the process is going to be: some defaults depend on it.
    pub role: Role,
    /// The configuration file.
    pub file: Option<ConfigFile>,
    /// Variables of the environment.
    pub environment: BTreeMap<String, String>,
    /// Files of the secrets directory: trimmed content by name.
    pub secrets: BTreeMap<String, String>,
    /// Flags of the command line in order; of two for one setting the last one holds.
    pub flags: Vec<Flag>,
}

/// What a process is going to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Role {
    /// One process that does everything on one machine: `serve`, `check`.
    #[default]
    Serve,
    /// One of many processes: `api`, `worker`.
    Part,
}

/// The text of a configuration file.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    /// Its path as messages show it.
    pub name: String,
    /// Its content.
    pub text: String,
}

/// A setting on the command line.
#[derive(Clone, Debug)]
pub struct Flag {
    /// The flag as messages show it: `--port`.
    pub name: String,
    /// The setting: `section.key`.
    pub path: String,
    /// Its value.
    pub raw: Raw,
}

/// A value as it is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Raw {
    /// Text, to be parsed.
    Text(String),
    /// A list of texts.
    List(Vec<String>),
}

/// Where a value came from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// The default, that of the role where it has its own.
    Default,
    /// The default under `COMPAT=reference`, which is another one.
    Reference,
    /// A line of the configuration file.
    File {
        /// Path of the file.
        name: String,
        /// Line, from 1.
        line: usize,
    },
    /// A variable, maybe by an older name.
    Environment(String),
    /// A file of the secrets directory.
    SecretFile(String),
    /// A flag.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Reference => f.write_str("COMPAT=reference"),
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Environment(variable) => write!(f, "environment {variable}"),
            Self::SecretFile(name) => write!(f, "secret file {name}"),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

impl Origin {
    /// The setting as messages name it: by what the user wrote.
    pub(super) fn label(&self, setting: &Setting) -> String {
        match self {
            Self::Default | Self::Reference => format!("the default of `{}`", setting.path()),
            Self::File { name, line } => format!("{name}:{line}: `{}`", setting.path()),
            Self::Environment(variable) => format!("environment variable {variable}"),
            Self::SecretFile(name) => format!("secret file {name}"),
            Self::Flag(name) => name.clone(),
        }
    }
}
