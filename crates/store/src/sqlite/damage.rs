//! Whether a file is what SQLite wrote. What is not is refused: SQLite itself would take an emptied file for a new one,
//! and drop the log beside it.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use super::lock::beside;
use crate::StoreError;

/// What every SQLite file begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Looks at the head and the size of a file before SQLite does. A file that is not there is not damaged.
pub(super) fn look_for(path: &Path) -> Result<(), StoreError> {
    let damaged = |how: String| Err(StoreError::Damaged { path: path.display().to_string(), how });
    let has_log = fs::metadata(beside(path, "-wal")).is_ok_and(|log| log.len() > 0);
    let (length, head) = match head_of(path) {
        Err(error) if error.kind() == ErrorKind::NotFound && has_log => {
            return damaged("it is missing, but its log is there".to_owned());
        }
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(StoreError::database("read the file", error)),
        Ok(known) => known,
    };
    if length == 0 && !has_log {
        // Whoever made it was cut off before writing anything.
        return Ok(());
    }
    if length == 0 {
        return damaged("it is empty, but its log is not".to_owned());
    }
    if head.len() < 100 || !head.starts_with(MAGIC) {
        return damaged("it does not begin like a database of SQLite".to_owned());
    }
    // <https://sqlite.org/fileformat2.html#the_database_header>: while there is a log, the size may be told there.
    let page_bytes = match u16::from_be_bytes([head[16], head[17]]) {
        1 => 65_536,
        bytes => u64::from(bytes),
    };
    let told = page_bytes * u64::from(u32::from_be_bytes([head[28], head[29], head[30], head[31]]));
    if !has_log && length < told {
        return damaged(format!("it has {length} bytes of {told}"));
    }
    Ok(())
}

/// The length of the file and its first bytes.
fn head_of(path: &Path) -> std::io::Result<(u64, Vec<u8>)> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut head = Vec::new();
    file.take(100).read_to_end(&mut head)?;
    Ok((length, head))
}

/// An error of opening, told as damage where SQLite says so.
pub(super) fn told(path: &Path, error: StoreError) -> StoreError {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    let StoreError::Database { source, .. } = &error else { return error };
    let Some(sqlite) = source.downcast_ref::<rusqlite::Error>() else { return error };
    match sqlite.sqlite_error_code() {
        Some(DatabaseCorrupt | NotADatabase) => {
            StoreError::Damaged { path: path.display().to_string(), how: sqlite.to_string() }
        }
        _ => error,
    }
}
