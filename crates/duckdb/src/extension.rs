//! The extension for full-text search. It comes as a file of its own, made for one version and platform of DuckDB.

use std::path::{Path, PathBuf};

use belvedere_engine::{EngineError, ErrorKind};
use duckdb::Connection;

use crate::table::literal;

const FILE: &str = "fts.duckdb_extension";

/// What became of the extension.
#[derive(Debug)]
pub(crate) enum Extension {
    /// It is there.
    Loaded,
    /// It is not; the reason, for operators.
    Missing(String),
}

/// Loads the extension from a directory: directly in it, or in `<version>/<platform>`, as DuckDB itself lays them out.
///
/// # Errors
/// [`Internal`](ErrorKind::Internal) when the file is there and DuckDB refuses it: made for another version, or damaged.
pub(crate) fn load(connection: &Connection, directory: Option<&Path>, version: &str) -> Result<Extension, EngineError> {
    let Some(directory) = directory else {
        return Ok(Extension::Missing("`DUCKDB_INDEX_EXTENSIONS_DIRECTORY` is not set".to_owned()));
    };
    let platform: String = connection.query_row("PRAGMA platform", [], |row| row.get(0)).map_err(refused)?;
    let Some(path) = places(directory, version, &platform).into_iter().find(|path| path.is_file()) else {
        let reason = format!("there is no `{FILE}` of DuckDB {version} for {platform} in the directory of extensions");
        return Ok(Extension::Missing(reason));
    };
    connection.execute_batch(&format!("LOAD {}", literal(&path.to_string_lossy()))).map_err(refused)?;
    Ok(Extension::Loaded)
}

fn places(directory: &Path, version: &str, platform: &str) -> [PathBuf; 2] {
    [directory.join(version).join(platform).join(FILE), directory.join(FILE)]
}

fn refused(error: duckdb::Error) -> EngineError {
    let message = error.to_string();
    let line = message.lines().next().unwrap_or_default();
    EngineError::new(ErrorKind::Internal, format!("DuckDB does not take its extension `{FILE}`: {line}"))
}
