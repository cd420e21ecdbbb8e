//! DuckDB files, made of Parquet files that DuckDB wrote and opened by it again. Needs the feature `linked`.

#![cfg(feature = "linked")]
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::path::Path;

use belvedere_domain::Features;
use belvedere_duckdb::build;
use belvedere_engine::call::{DuckdbIndex, DuckdbIndexed, MediaRules, MediaTarget, ParquetFile};
use belvedere_engine::source::SourceFile;
use belvedere_engine::{ErrorKind, Task};
use duckdb::Connection;

/// A grey image, one pixel wide and two high.
const PNG: &str = "89504e470d0a1a0a0000000d4948445200000001000000020800000000bceae9fb0000000c49444154789c63606060000000040001f61738550000000049454e44ae426082";

struct Bed {
    folder: tempfile::TempDir,
}

impl Bed {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A Parquet file with the rows of a query.
    fn parquet(&self, name: &str, query: &str) -> ParquetFile {
        let local_path = self.folder.path().join(name);
        let connection = Connection::open_in_memory().unwrap();
        let file = local_path.to_string_lossy().replace('\'', "''");
        connection.execute_batch(&format!("COPY ({query}) TO '{file}' (FORMAT parquet)")).unwrap();
        let count = format!("SELECT count(*) FROM ({query})");
        let num_rows: u64 = connection.query_row(&count, [], |row| row.get(0)).unwrap();
        let size = std::fs::metadata(&local_path).unwrap().len();
        ParquetFile { file: SourceFile { path: name.to_owned(), local_path, size, identity: None }, num_rows }
    }

    fn call(&self, files: Vec<ParquetFile>, features: Option<&str>) -> DuckdbIndex {
        let output = self.folder.path().join("output");
        std::fs::create_dir(&output).unwrap();
        DuckdbIndex {
            files,
            features: features.map(|json| Features::from_json(&serde_json::from_str(json).unwrap()).unwrap()),
            max_bytes: None,
            stemmer: "porter".to_owned(),
            extensions: None,
            memory_bytes: 256 << 20,
            media: MediaTarget {
                directory: output.clone(),
                url_prefix: String::new(),
                resolve_prefix: String::new(),
                repository: "hf://datasets/local/data@main".to_owned(),
                linked_files: Some(Vec::new()),
                rules: MediaRules::default(),
            },
            output,
        }
    }
}

fn made(call: &DuckdbIndex) -> (DuckdbIndexed, Connection) {
    let made = build(call, &Task::new(2)).unwrap();
    let connection = Connection::open(call.output.join(&made.path)).unwrap();
    (made, connection)
}

/// The rows of a query, each as the text of a struct.
fn rows(connection: &Connection, query: &str) -> Vec<String> {
    let mut statement = connection.prepare(&format!("SELECT q::VARCHAR FROM ({query}) AS q")).unwrap();
    statement.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn rows_keep_their_order_over_files_and_get_computed_columns() {
    let bed = Bed::new();
    let files = vec![
        bed.parquet("a.parquet", "SELECT 'Zoë' AS note, ['x', 'y'] AS tags, 1 AS n"),
        bed.parquet("b.parquet", "SELECT NULL::VARCHAR AS note, []::VARCHAR[] AS tags, 2 AS n"),
    ];
    let (made, connection) = made(&bed.call(files, None));
    assert_eq!((made.files, made.num_rows, made.duckdb_version.as_str()), (2, 2, "v1.5.5"));
    assert_eq!(
        rows(&connection, "SELECT * FROM data"),
        [
            "{'note': Zoë, 'tags': [x, y], 'n': 1, 'note.length': 3, 'tags.length': 2, '__hf_index_id': 0}",
            "{'note': NULL, 'tags': [], 'n': 2, 'note.length': NULL, 'tags.length': 0, '__hf_index_id': 1}",
        ]
    );
}

#[test]
fn sizes_of_images_are_columns() {
    let bed = Bed::new();
    let rows_of = format!(
        "SELECT * FROM (VALUES ({{'bytes': from_hex('{PNG}'), 'path': 'a.png'}}), \
         ({{'bytes': 'no image'::BLOB, 'path': 'b.png'}}), (NULL)) AS t(picture)"
    );
    let file = bed.parquet("a.parquet", &rows_of);
    let (_, connection) = made(&bed.call(vec![file], Some(r#"{"picture": {"_type": "Image"}}"#)));
    assert_eq!(
        rows(&connection, "SELECT COLUMNS(c -> c <> 'picture') FROM data"),
        [
            "{'picture.width': 1, 'picture.height': 2, '__hf_index_id': 0}",
            "{'picture.width': NULL, 'picture.height': NULL, '__hf_index_id': 1}",
            "{'picture.width': NULL, 'picture.height': NULL, '__hf_index_id': 2}",
        ]
    );
}

#[test]
fn names_of_any_kind_stay_apart() {
    let bed = Bed::new();
    let file = bed.parquet(
        "it's [a] \"file\"*.parquet",
        r#"SELECT 'x' AS "a'); DROP TABLE data; --", 'y' AS "b""c", 3 AS "__hf_index_id", 'z' AS "note", 5 AS "note.length""#,
    );
    let (_, connection) = made(&bed.call(vec![file], None));
    assert_eq!(
        rows(&connection, "SELECT column_name FROM (DESCRIBE data)"),
        [
            "{'column_name': 'a\\'); DROP TABLE data; --'}",
            "{'column_name': 'b\"c'}",
            "{'column_name': __hf_index_id_1}",
            "{'column_name': note}",
            "{'column_name': note.length}",
            "{'column_name': 'a\\'); DROP TABLE data; --.length'}",
            "{'column_name': 'b\"c.length'}",
            "{'column_name': __hf_index_id}",
        ]
    );
    assert_eq!(rows(&connection, r#"SELECT note, "note.length" FROM data"#), ["{'note': z, 'note.length': 5}"]);
}

#[test]
fn files_are_taken_until_the_limit_is_passed() {
    let bed = Bed::new();
    let files = ["a", "b", "c"].map(|name| bed.parquet(name, "SELECT range AS n FROM range(100)")).into();
    let mut call = bed.call(files, None);
    // One file holds more than a byte; the one that passes the limit is in.
    call.max_bytes = Some(1);
    let (made, connection) = made(&call);
    assert_eq!((made.files, made.num_rows), (1, 100));
    assert_eq!(rows(&connection, "SELECT max(__hf_index_id) AS last FROM data"), ["{'last': 99}"]);
}

#[test]
fn a_split_without_rows_is_an_empty_table() {
    let bed = Bed::new();
    let file = bed.parquet("a.parquet", "SELECT 'x' AS note WHERE false");
    let (made, connection) = made(&bed.call(vec![file], None));
    assert_eq!((made.num_rows, rows(&connection, "SELECT * FROM data").len()), (0, 0));
}

#[test]
fn without_the_extension_there_is_no_full_text_index_and_the_reason_is_told() {
    let bed = Bed::new();
    let mut call = bed.call(vec![bed.parquet("a.parquet", "SELECT 'x' AS note")], None);
    call.extensions = Some(bed.folder.path().to_owned());
    let (made, _) = made(&call);
    assert_eq!(made.stemmer, None);
    let reason = made.without_text_because.unwrap();
    assert!(reason.starts_with("there is no `fts.duckdb_extension` of DuckDB v1.5.5 for linux_"), "{reason}");
}

#[test]
fn a_damaged_file_is_the_fault_of_the_file() {
    let bed = Bed::new();
    let mut file = bed.parquet("a.parquet", "SELECT range AS n, 'text ' || range AS t FROM range(1000)");
    let mut bytes = std::fs::read(&file.file.local_path).unwrap();
    bytes[4..400].fill(0xff);
    std::fs::write(&file.file.local_path, &bytes).unwrap();
    file.file.size = bytes.len() as u64;
    let error = build(&bed.call(vec![file], None), &Task::new(1)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreadable, "{error}");
}

#[test]
fn text_is_found_under_the_names_of_its_columns() {
    // The extension is published apart from the library; `ci/duckdb.sh` fetches both.
    let Some(extensions) = std::env::var_os("DUCKDB_INDEX_EXTENSIONS_DIRECTORY") else { return };
    let bed = Bed::new();
    let file = bed.parquet(
        "a.parquet",
        r#"SELECT * FROM (VALUES ('running dogs', [{'content': 'foxes'}], 1), ('a cat', [], 2)) AS t("it's "" text", chat, n)"#,
    );
    let mut call = bed.call(vec![file], None);
    call.extensions = Some(extensions.clone().into());
    let made = build(&call, &Task::new(2)).unwrap();
    assert_eq!(made.stemmer.as_deref(), Some("porter"));
    let connection = Connection::open(call.output.join(&made.path)).unwrap();
    let file = Path::new(&extensions).join("fts.duckdb_extension");
    connection.execute_batch(&format!("LOAD '{}'", file.display())).unwrap();
    let found = |arguments: &str| {
        let score = format!("fts_main_data.match_bm25(__hf_index_id, {arguments})");
        rows(&connection, &format!("SELECT __hf_index_id AS row FROM data WHERE {score} IS NOT NULL"))
    };
    assert_eq!((found("'dog'"), found("'fox'")), (vec!["{'row': 0}".to_owned()], vec!["{'row': 0}".to_owned()]));
    assert_eq!(found(r#"'dog', fields := 'it''s " text'"#), ["{'row': 0}"]);
    assert_eq!(found("'dog', fields := 'chat'"), Vec::<String>::new());
}
