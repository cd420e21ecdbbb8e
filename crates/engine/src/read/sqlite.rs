//! SQLite files: the rows of one table.
//!
//! The file is opened read-only and as one that nobody writes, so that SQLite takes no lock and makes no file beside it.
//! Parameter: `table`, which a file of several tables needs.

use std::ops::ControlFlow;

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::os::unix::ffi::OsStrExt;

use belvedere_domain::data_files::ResolvedConfig;

use super::loose::Value;
use super::parameters::Parameters;
use super::records::{self, Record, Records};
use super::{ReadLimits, TableStream};
use crate::decompress::Compression;
use crate::error::{EngineError, ErrorKind};
use crate::source::{LocalFile, SourceFile};

/// Opens a table of a file.
pub(super) fn open(
    config: &ResolvedConfig,
    file: &SourceFile,
    limits: ReadLimits,
) -> Result<Box<dyn TableStream>, EngineError> {
    if Compression::of(&file.path) != Compression::None {
        let message = "SQLite files are read as they are, not compressed; store this one without compression";
        return Err(EngineError::new(ErrorKind::Unreadable, message));
    }
    let wanted = Parameters(&config.parameters).text("table")?;
    let source = Source { file: file.clone(), max_record_bytes: limits.max_record_bytes };
    let table = source.choose(wanted)?;
    records::open(Rows { source, table }, file.size, &file.path, limits)
}

/// A file of tables.
struct Source {
    file: SourceFile,
    max_record_bytes: usize,
}

impl Source {
    /// Opens the file, which must be the one that was promised.
    fn connect(&self) -> Result<Connection, EngineError> {
        self.check()?;
        let path = percent_encode(self.file.local_path.as_os_str().as_bytes(), NON_ALPHANUMERIC);
        let uri = format!("file:{path}?mode=ro&immutable=1");
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(uri, flags).map_err(|error| unreadable(&error))?;
        // What the file says may be read, but does nothing by itself.
        for (setting, value) in [
            (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
            (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
        ] {
            connection.set_db_config(setting, value).map_err(|error| unreadable(&error))?;
        }
        Ok(connection)
    }

    fn check(&self) -> Result<(), EngineError> {
        LocalFile::open(&self.file)?.bring_whole()
    }

    /// The table to read: the one that is named, or the only one.
    fn choose(&self, wanted: Option<&str>) -> Result<String, EngineError> {
        let connection = self.connect()?;
        let names = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
                     AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY rowid";
        let mut statement = connection.prepare(names).map_err(|error| unreadable(&error))?;
        let tables = statement.query_map([], |row| row.get(0)).and_then(Iterator::collect::<Result<Vec<String>, _>>);
        let mut tables = tables.map_err(|error| unreadable(&error))?;
        let list = tables.iter().map(|table| format!("`{table}`")).collect::<Vec<_>>().join(", ");
        match wanted {
            Some(wanted) if tables.iter().any(|table| table == wanted) => Ok(wanted.to_owned()),
            Some(wanted) => {
                let message = format!("parameter `table`: there is no table `{wanted}`; the file has {list}");
                Err(EngineError::new(ErrorKind::Parameter, message))
            }
            None if tables.is_empty() => Err(EngineError::new(ErrorKind::Empty, "the file has no table")),
            None if tables.len() == 1 => Ok(tables.remove(0)),
            None => {
                let message = format!("the file has several tables: {list}; name one with the parameter `table`");
                Err(EngineError::new(ErrorKind::Unreadable, message))
            }
        }
    }
}

fn unreadable(error: &rusqlite::Error) -> EngineError {
    let message = match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => "no SQLite file, or an encrypted one; export its tables as csv".to_owned(),
        Some(ErrorCode::DatabaseCorrupt) => {
            format!("damaged SQLite file: {error}; `sqlite3 FILE .recover` may save its rows")
        }
        _ => format!("unreadable SQLite file: {error}"),
    };
    EngineError::new(ErrorKind::Unreadable, message)
}

/// The rows of a table.
struct Rows {
    source: Source,
    table: String,
}

impl Rows {
    /// All columns of the table. Its name is one that the file has.
    fn query(&self) -> String {
        format!("SELECT * FROM \"{}\"", self.table.replace('"', "\"\""))
    }
}

impl Records for Rows {
    fn for_each(
        &self,
        visit: &mut dyn FnMut(Record) -> Result<ControlFlow<()>, EngineError>,
    ) -> Result<(), EngineError> {
        let connection = self.source.connect()?;
        let mut statement = connection.prepare(&self.query()).map_err(|error| unreadable(&error))?;
        let columns = statement.column_count();
        let mut rows = statement.query([]).map_err(|error| unreadable(&error))?;
        while let Some(row) = rows.next().map_err(|error| unreadable(&error))? {
            let mut values = Vec::with_capacity(columns);
            for place in 0..columns {
                let value = row.get_ref(place).map_err(|error| unreadable(&error))?;
                values.push(self.value(value)?);
            }
            if visit(Record { line: None, values })?.is_break() {
                break;
            }
        }
        self.source.check()
    }

    fn names(&self, _width: usize) -> Result<Vec<String>, EngineError> {
        let connection = self.source.connect()?;
        let statement = connection.prepare(&self.query()).map_err(|error| unreadable(&error))?;
        Ok(statement.column_names().map(str::to_owned).collect())
    }
}

impl Rows {
    fn value(&self, value: ValueRef<'_>) -> Result<Value, EngineError> {
        if let ValueRef::Text(bytes) | ValueRef::Blob(bytes) = value
            && bytes.len() > self.source.max_record_bytes
        {
            let message = format!("a single value is longer than {} bytes", self.source.max_record_bytes);
            return Err(EngineError::new(ErrorKind::Unreadable, message));
        }
        Ok(match value {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(integer) => Value::Int(integer),
            ValueRef::Real(number) => Value::Float(number),
            // SQLite does not check that texts are UTF-8.
            ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => Value::Text(text.to_owned()),
                Err(_) => Value::Bytes(bytes.to_vec()),
            },
            ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
        })
    }
}

#[cfg(test)]
mod tests {
    use belvedere_domain::data_files::Reader;
    use serde_json::json;

    use crate::read::testing::read;

    /// The bytes of a database after some statements.
    fn database(statements: &str) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sqlite");
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection.execute_batch(statements).unwrap();
        connection.close().unwrap();
        std::fs::read(path).unwrap()
    }

    fn shown(parameters: &serde_json::Value, statements: &str) -> String {
        read(Reader::Sqlite, parameters, "a.sqlite", database(statements))
    }

    #[test]
    fn a_column_has_the_type_of_its_values() {
        let statements = "CREATE TABLE birds (id INTEGER PRIMARY KEY, name TEXT, weight, note, data BLOB, mixed, absent);
            INSERT INTO birds VALUES (1, 'wren', 9, NULL, x'00ff', 'x', NULL), (3, 'zw\u{f6}', 18.5, 'b', x'01', x'02', NULL),
                (7, 'e', NULL, 5, NULL, 1, NULL);";
        insta::assert_snapshot!(shown(&json!({}), statements), @r#"
        id: int64, name: string, weight: float64, note: string, data: binary, mixed: Json, absent: null
        1 | wren | 9.0 | null | 00ff | "x" | null
        3 | zwö | 18.5 | b | 01 | "Ag==" | null
        7 | e | null | 5 | null | 1 | null
        "#);
    }

    #[test]
    fn one_of_several_tables_has_to_be_named() {
        let statements = "CREATE TABLE a (x); CREATE TABLE \"b \"\"; DROP\" (y INTEGER PRIMARY KEY) WITHOUT ROWID;
            INSERT INTO \"b \"\"; DROP\" VALUES (5); CREATE VIEW v AS SELECT 1; CREATE INDEX i ON a (x);";
        let answers = [
            shown(&json!({}), statements),
            shown(&json!({"table": "b \"; DROP"}), statements),
            shown(&json!({"table": "v"}), statements),
            shown(&json!({"table": "a"}), statements),
            shown(&json!({}), "CREATE VIEW v AS SELECT 1"),
        ];
        insta::assert_snapshot!(answers.join("\n"), @r#"
        Unreadable: a.sqlite: the file has several tables: `a`, `b "; DROP`; name one with the parameter `table`
        y: int64
        5

        Parameter: a.sqlite: parameter `table`: there is no table `v`; the file has `a`, `b "; DROP`
        x: null

        Empty: a.sqlite: the file has no table
        "#);
    }

    #[test]
    fn damage_is_an_error() {
        let good = database(
            "CREATE TABLE a (x); INSERT INTO a SELECT zeroblob(500) FROM (VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9));",
        );
        let mut broken = good.clone();
        broken[4096..].fill(0x55);
        let shown = |name: &str, content: &[u8]| read(Reader::Sqlite, &json!({}), name, content);
        let errors = [
            shown("a.sqlite", b"name,weight\nwren,9\n"),
            shown("a.sqlite", b""),
            shown("a.sqlite", &broken),
            shown("a.sqlite", &good[..4096]),
            shown("a.sqlite.gz", &good),
        ];
        insta::assert_snapshot!(errors.join("\n"), @r"
        Unreadable: a.sqlite: no SQLite file, or an encrypted one; export its tables as csv
        Empty: a.sqlite: the file has no table
        Unreadable: a.sqlite: damaged SQLite file: database disk image is malformed; `sqlite3 FILE .recover` may save its rows
        Unreadable: a.sqlite: damaged SQLite file: database disk image is malformed; `sqlite3 FILE .recover` may save its rows
        Unreadable: a.sqlite.gz: SQLite files are read as they are, not compressed; store this one without compression
        ");
    }
}
