//! The one place that looks at the process: its environment, the configuration file, the secrets directory.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::{fs, io};

use super::{ConfigError, ConfigFile, Flag, Role, Secrets, Sources, secrets};

/// The file that is read when none is named, if it is there.
const DEFAULT_FILE: &str = "belvedere.toml";

/// Collects all sources: the file named, else `belvedere.toml` in the current directory if there is one; the given
/// variables; the secrets directory that these name.
///
/// # Errors
///
/// [`ConfigError`] when the file or the secrets directory cannot be read.
pub fn gather(
    role: Role,
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    flags: Vec<Flag>,
) -> Result<Sources, ConfigError> {
    let mut sources = Sources {
        role,
        file: read_file(file)?,
        // What is not Unicode cannot be meant for us, as all our names are ASCII; a value is replaced, never dropped,
        // so that a setting does not silently fall back to its default.
        environment: environment
            .into_iter()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
            .collect(),
        secrets: BTreeMap::new(),
        flags,
    };
    sources.secrets = secrets::read(&Secrets::load(&sources)?)?;
    Ok(sources)
}

fn read_file(named: Option<&Path>) -> Result<Option<ConfigFile>, ConfigError> {
    let path = named.unwrap_or(Path::new(DEFAULT_FILE));
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(ConfigFile { name: path.display().to_string(), text })),
        Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_none() => Ok(None),
        Err(error) => Err(ConfigError::source(
            format!("{} cannot be read: {error}", path.display()),
            "name a TOML file with `--config`, or leave it out",
        )),
    }
}
