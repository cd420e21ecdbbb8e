use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use belvedere_domain::Features;
use belvedere_engine::call::{Format, ParquetFile, Piece, SqlName, SqlTable};
use belvedere_engine::source::{FileIdentity, SourceFile};
use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::file::properties::WriterProperties;
use serde_json::{Value as Json, json};

use super::*;

fn features(columns: Json) -> Features {
    Features::from_json(&columns).unwrap()
}

/// `n` from `start` on, and `Text` of it: in row groups of 100 rows.
fn file(folder: &Path, name: &str, start: i64, rows: i64) -> ParquetFile {
    let local_path = folder.join(name);
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(start..start + rows));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((start..start + rows).map(|n| format!("text {n}"))));
    let schema = Schema::new(vec![
        datafusion::arrow::datatypes::Field::new("n", DataType::Int64, true),
        datafusion::arrow::datatypes::Field::new("Text", DataType::Utf8, true),
    ]);
    let table = RecordBatch::try_new(Arc::new(schema), vec![numbers, texts]).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(100)).build();
    let mut writer =
        ArrowWriter::try_new(File::create(&local_path).unwrap(), table.schema(), Some(properties)).unwrap();
    writer.write(&table).unwrap();
    writer.close().unwrap();
    let metadata = std::fs::metadata(&local_path).unwrap();
    let identity = Some(FileIdentity::of(&metadata));
    let file = SourceFile { path: name.to_owned(), local_path, size: metadata.len(), identity };
    ParquetFile { file, num_rows: rows as u64 }
}

fn table(name: &[&str], files: Vec<ParquetFile>) -> SqlTable {
    SqlTable { name: SqlName(name.iter().map(|part| (*part).to_owned()).collect()), files, features: None }
}

fn call(sql: &str, tables: Vec<SqlTable>) -> Sql {
    Sql {
        sql: sql.to_owned(),
        tables,
        max_rows: 1000,
        max_bytes: 1_000_000,
        memory_bytes: 64 << 20,
        format: Format::Json,
        plan: false,
    }
}

fn result(call: &Sql) -> Result<SqlResult, String> {
    run(call, &Task::new(2)).map_err(|error| format!("{:?}: {error}", error.kind))
}

fn rows(result: &SqlResult) -> Vec<Json> {
    let Piece::Rows(rows) = &result.piece else { panic!("rows were asked for") };
    rows.iter().map(|row| serde_json::from_str(row.get()).unwrap()).collect()
}

/// A split of two files, 1,000 rows each.
fn two_files(folder: &Path) -> Vec<ParquetFile> {
    vec![file(folder, "a.parquet", 0, 1000), file(folder, "b.parquet", 1000, 1000)]
}

#[test]
fn the_number_of_a_row_is_that_in_the_split() {
    let folder = tempfile::tempdir().unwrap();
    let split = table(&["local/a", "default", "train"], two_files(folder.path()));
    let sql = r#"SELECT __row_idx, n, "Text" FROM "local/a"."default"."train" WHERE n % 700 = 3 ORDER BY n DESC"#;
    assert_eq!(
        rows(&result(&call(sql, vec![split.clone()])).unwrap()),
        [
            json!({"__row_idx": 1403, "n": 1403, "Text": "text 1403"}),
            json!({"__row_idx": 703, "n": 703, "Text": "text 703"}),
            json!({"__row_idx": 3, "n": 3, "Text": "text 3"}),
        ]
    );
    let sql = r#"SELECT count(*) AS different FROM "local/a"."default".train WHERE __row_idx <> n"#;
    assert_eq!(rows(&result(&call(sql, vec![split])).unwrap()), [json!({"different": 0})]);
}

#[test]
fn tables_of_several_datasets_are_joined_under_names_of_one_to_three_parts() {
    let folder = tempfile::tempdir().unwrap();
    let files = two_files(folder.path());
    let tables = vec![
        table(&["local/a", "default", "train"], files.clone()),
        table(&["local/a", "test"], files[1..].to_vec()),
        table(&["data"], files[..1].to_vec()),
    ];
    let sql = r#"
        SELECT count(*) AS n FROM "local/a"."default"."train" AS a
        JOIN "local/a"."test" AS b USING (n) WHERE a.n NOT IN (SELECT n + 1000 FROM data WHERE n < 10)"#;
    assert_eq!(rows(&result(&call(sql, tables)).unwrap()), [json!({"n": 990})]);
}

#[test]
fn columns_that_are_passed_on_stay_what_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let mut split = table(&["data"], vec![file(folder.path(), "a.parquet", 0, 2)]);
    let label = json!({"names": ["cat", "dog"], "_type": "ClassLabel"});
    split.features = Some(features(json!({"n": label, "Text": {"dtype": "string", "_type": "Value"}})));
    let sql = "SELECT n, n + 1 AS next, max(n) OVER () AS most, CAST(n AS VARCHAR) AS text, n AS renamed FROM data";
    let features = result(&call(sql, vec![split])).unwrap().features;
    assert_eq!(
        features.to_json(),
        json!({
            "n": {"names": ["cat", "dog"], "_type": "ClassLabel"},
            "next": {"dtype": "int64", "_type": "Value"},
            "most": {"dtype": "int64", "_type": "Value"},
            "text": {"dtype": "string", "_type": "Value"},
            "renamed": {"names": ["cat", "dog"], "_type": "ClassLabel"},
        })
    );
}

#[test]
fn a_column_that_a_file_lacks_is_null() {
    let folder = tempfile::tempdir().unwrap();
    let mut split = table(&["data"], vec![file(folder.path(), "a.parquet", 0, 1)]);
    let value = |dtype: &str| json!({"dtype": dtype, "_type": "Value"});
    split.features =
        Some(features(json!({"n": value("int32"), "more": value("string"), "__row_idx": value("string")})));
    assert_eq!(
        rows(&result(&call("SELECT * FROM data", vec![split])).unwrap()),
        [json!({"n": 0, "more": null, "__row_idx": null})]
    );
}

#[test]
fn row_groups_that_cannot_match_are_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let mut call = call("SELECT n FROM data WHERE n = 1234", vec![table(&["data"], two_files(folder.path()))]);
    call.plan = true;
    let result = result(&call).unwrap();
    assert_eq!(rows(&result), [json!({"n": 1234})]);
    let plan = result.plan.unwrap();
    assert!(plan.logical.contains("n = Int64(1234)"), "{}", plan.logical);
    assert!(plan.physical.contains("pruning_predicate="), "{}", plan.physical);
}

#[test]
fn more_rows_than_asked_for_are_left_out_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut call = call("SELECT n FROM data ORDER BY n", vec![table(&["data"], two_files(folder.path()))]);
    for (max_rows, given, truncated) in [(1999, 1999, true), (2000, 2000, false), (0, 0, true)] {
        call.max_rows = max_rows;
        let result = result(&call).unwrap();
        assert_eq!((result.num_rows, result.truncated), (given, truncated), "{max_rows}");
        assert_eq!(rows(&result).len(), given);
    }
    (call.max_rows, call.max_bytes) = (100_000, 5_000);
    let result = result(&call).unwrap();
    assert!(result.truncated && (1..2000).contains(&result.num_rows), "{}", result.num_rows);
}

#[test]
fn results_come_in_other_formats() {
    let folder = tempfile::tempdir().unwrap();
    let mut call = call("SELECT n, \"Text\" FROM data WHERE n < 2 ORDER BY n", vec![]);
    call.tables = vec![table(&["data"], vec![file(folder.path(), "a.parquet", 0, 5)])];
    let mut text = |format| {
        call.format = format;
        match result(&call).unwrap().piece {
            Piece::Text(text) => text,
            other => panic!("a text was asked for: {other:?}"),
        }
    };
    assert_eq!(text(Format::Csv), "n,Text\r\n0,text 0\r\n1,text 1\r\n");
    assert_eq!(text(Format::Ndjson), "{\"n\":0,\"Text\":\"text 0\"}\n{\"n\":1,\"Text\":\"text 1\"}\n");
    for format in [Format::Arrow, Format::Parquet] {
        call.format = format;
        let Piece::Bytes(bytes) = result(&call).unwrap().piece else { panic!("bytes were asked for") };
        assert!(bytes.len() > 100, "{format:?}");
    }
}

#[test]
fn mistakes_are_told_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let split = table(&["data"], vec![file(folder.path(), "a.parquet", 0, 5)]);
    let told = |sql: &str| result(&call(sql, vec![split.clone()])).map(|result| result.num_rows).unwrap_err();
    let unknown = told("SELECT\n  missing FROM data");
    assert!(unknown.starts_with("Query: line 2, column 3: "), "{unknown}");
    assert!(unknown.contains("missing"), "{unknown}");
    for (sql, fragment) in [
        ("SELECT nosuch(n) FROM data", "nosuch"),
        ("SELECT n / 0 FROM data", "ivide by zero"),
        ("SELECT n, n FROM data", "unique expression names"),
        ("SELECT a.n, b.n FROM data a JOIN data b ON a.n = b.n", "two columns of the result are called `n`"),
        ("SELECT n FROM elsewhere", "elsewhere"),
        ("SELECT MAP {'a': n} FROM data", "cannot be shown"),
        ("SELECT CAST(\"Text\" AS BIGINT) FROM data", "text 0"),
    ] {
        let error = told(sql);
        assert!(error.starts_with("Query: ") && error.contains(fragment), "{sql}: {error}");
    }
}

#[test]
fn nothing_outside_of_the_tables_can_be_reached() {
    let folder = tempfile::tempdir().unwrap();
    let split = table(&["data"], vec![file(folder.path(), "a.parquet", 0, 5)]);
    for sql in [
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM \"file:///etc/passwd\"",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_parquet('a.parquet')",
        "SELECT * FROM generate_series(1, 1000000000)",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM information_schema.df_settings",
        "WITH x AS (INSERT INTO data VALUES (1, 'x') RETURNING n) SELECT * FROM x",
        "SELECT getenv('HOME')",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT * INTO other FROM data",
        "SELECT 1; DROP TABLE data",
    ] {
        let error = result(&call(sql, vec![split.clone()])).map(|result| result.num_rows).unwrap_err();
        assert!(error.starts_with("Query: "), "{sql}: {error}");
    }
}

#[test]
fn a_query_that_needs_too_much_memory_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut call = call(
        "SELECT a.\"Text\" || b.\"Text\" AS t, count(*) FROM data a CROSS JOIN data b GROUP BY t",
        vec![table(&["data"], two_files(folder.path()))],
    );
    call.memory_bytes = 1 << 20;
    let error = result(&call).map(|result| result.num_rows).unwrap_err();
    assert!(error.starts_with("OverBudget: the query needs more memory"), "{error}");
}

#[test]
fn a_long_chain_of_terms_is_no_danger() {
    let folder = tempfile::tempdir().unwrap();
    let split = table(&["data"], vec![file(folder.path(), "a.parquet", 0, 1)]);
    let sql = format!("SELECT n{} AS n FROM data", " + 1".repeat(200));
    assert_eq!(rows(&result(&call(&sql, vec![split])).unwrap()), [json!({"n": 200})]);
    let tables = statement::tables(&belvedere_engine::call::SqlTables {
        sql: format!("SELECT n{} FROM data", "+1".repeat(49_000)),
    });
    assert_eq!(tables.unwrap().tables, [SqlName(vec!["data".to_owned()])]);
}

#[test]
fn a_file_that_changed_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let listed = file(folder.path(), "a.parquet", 0, 5);
    file(folder.path(), "a.parquet", 7, 5);
    let error = result(&call("SELECT * FROM data", vec![table(&["data"], vec![listed])])).map(|_| ()).unwrap_err();
    assert!(error.starts_with("Changed: "), "{error}");
}
