//! One file from its first byte to its last: open, restrict, fill, index, close.

use std::path::{Path, PathBuf};

use belvedere_engine::call::{DuckdbIndex, DuckdbIndexed};
use belvedere_engine::index_source::{check_unchanged, choose, write_image_sizes};
use belvedere_engine::{EngineError, ErrorKind, FooterCache, Task};
use duckdb::{Config, Connection, params};

use crate::extension::{self, Extension};
use crate::table::{Table, literal, quote};

/// Name of the database file in the output.
const FILE: &str = "index.duckdb";
/// Where DuckDB puts what does not fit into memory.
const SPILL: &str = "spill";

/// Makes the DuckDB file of a split: table `data` with the columns of the split, computed columns (`<text>.length`,
/// `<list>.length`, `<image>.width`, `<image>.height`) and, last, `__hf_index_id`, the number of the row from 0; and a
/// full-text index over all columns that hold text at any depth, if there are any and the extension is there.
///
/// # Errors
/// Those of [`choose`]; [`Unreadable`](ErrorKind::Unreadable) when DuckDB cannot read a Parquet file,
/// [`Io`](ErrorKind::Io) when it cannot write, [`Internal`](ErrorKind::Internal) when the extension is damaged.
pub fn build(call: &DuckdbIndex, task: &Task) -> Result<DuckdbIndexed, EngineError> {
    task.check()?;
    let footers = FooterCache::default();
    let source = choose(&call.files, call.features.as_ref(), call.max_bytes, &footers)?;
    let files = &call.files[..source.files];
    let sizes = write_image_sizes(files, &source.features, &call.media, &call.output, task, &footers)?;
    let path = call.output.join(FILE);
    let connection = open(&path, call, task)?;
    let version: String =
        connection.query_row("SELECT library_version FROM pragma_version()", [], |row| row.get(0)).map_err(internal)?;
    let extension = extension::load(&connection, call.extensions.as_deref(), &version)?;
    let local: Vec<&Path> = files.iter().map(|file| file.file.local_path.as_path()).collect();
    restrict(
        &connection,
        local.iter().copied().chain(sizes.iter().flat_map(|sizes| sizes.paths.iter().map(PathBuf::as_path))),
    )?;

    let table = Table::plan(&connection, &source, &local, sizes.as_ref()).map_err(unreadable)?;
    let filled = connection.execute_batch(&table.create(true));
    // As the reference does: what cannot be computed for one cell is left out for all.
    filled.or_else(|_| connection.execute_batch(&table.create(false))).map_err(unreadable)?;
    check_unchanged(files)?;
    task.check()?;

    let texts = table.texts();
    let (stemmer, without_text_because) = match extension {
        _ if texts.is_empty() => (None, None),
        Extension::Missing(reason) => (None, Some(reason)),
        Extension::Loaded => {
            index_texts(&connection, &texts, &call.stemmer)?;
            (Some(call.stemmer.clone()), None)
        }
    };
    for text in &texts {
        let rename = format!("ALTER TABLE data RENAME COLUMN {} TO {}", quote(&text.temporary), quote(&text.name));
        connection.execute_batch(&rename).map_err(internal)?;
        if stemmer.is_some() {
            let rename = "UPDATE fts_main_data.fields SET field = ? WHERE field = ?";
            connection.execute(rename, params![text.name, text.temporary]).map_err(internal)?;
        }
    }
    connection.execute_batch("CHECKPOINT").map_err(unwritable)?;
    connection.close().map_err(|(_, error)| unwritable(error))?;
    let size = std::fs::metadata(&path)?.len();
    Ok(DuckdbIndexed {
        path: FILE.into(),
        size,
        files: source.files,
        num_rows: source.num_rows,
        num_bytes: source.num_bytes,
        stemmer,
        without_text_because,
        duckdb_version: version,
    })
}

fn open(path: &Path, call: &DuckdbIndex, task: &Task) -> Result<Connection, EngineError> {
    let config = Config::default()
        .enable_autoload_extension(false)
        .and_then(|config| config.with("autoinstall_known_extensions", "false"))
        .and_then(|config| config.threads(i64::try_from(task.threads).unwrap_or(1)))
        .and_then(|config| config.max_memory(&format!("{}MiB", (call.memory_bytes >> 20).max(64))))
        .and_then(|config| config.with("temp_directory", call.output.join(SPILL).to_string_lossy()))
        .map_err(internal)?;
    Connection::open_with_flags(path, config).map_err(unwritable)
}

/// Nothing but these files is opened from now on, whatever a statement says.
fn restrict<'p>(connection: &Connection, files: impl Iterator<Item = &'p Path>) -> Result<(), EngineError> {
    let files: Vec<String> = files.map(|path| literal(&path.to_string_lossy())).collect();
    let statements = format!(
        "SET allowed_paths = [{}]; SET enable_external_access = false; SET lock_configuration = true",
        files.join(", ")
    );
    connection.execute_batch(&statements).map_err(internal)
}

/// The index stands under the temporary names: the extension pastes names into its statements as they are.
fn index_texts(connection: &Connection, texts: &[crate::table::Text], stemmer: &str) -> Result<(), EngineError> {
    let columns: Vec<String> = texts.iter().map(|text| literal(&text.temporary)).collect();
    let statement = format!(
        "PRAGMA create_fts_index('data', '__hf_index_id', {}, stemmer = {})",
        columns.join(", "),
        literal(stemmer)
    );
    connection.execute_batch(&statement).map_err(internal)
}

fn unreadable(error: duckdb::Error) -> EngineError {
    let message = error.to_string();
    let kind = if message.contains("Out of Memory") { ErrorKind::TooBig } else { ErrorKind::Unreadable };
    EngineError::new(kind, format!("DuckDB: {}", first_line(&message)))
}

fn unwritable(error: duckdb::Error) -> EngineError {
    EngineError::new(ErrorKind::Io, format!("DuckDB: {}", first_line(&error.to_string())))
}

fn internal(error: duckdb::Error) -> EngineError {
    let message = error.to_string();
    let kind = if message.contains("Out of Memory") { ErrorKind::TooBig } else { ErrorKind::Internal };
    EngineError::new(kind, format!("DuckDB: {}", first_line(&message)))
}

/// What follows the first line repeats the statement.
fn first_line(message: &str) -> &str {
    message.lines().next().unwrap_or_default()
}
