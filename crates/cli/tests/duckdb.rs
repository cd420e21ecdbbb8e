//! DuckDB files of splits as users get them: from the running program, opened with another DuckDB.
//!
//! Needs the feature `duckdb`, the extension for full-text search in `DUCKDB_INDEX_EXTENSIONS_DIRECTORY`, and in
//! `BELVEDERE_TEST_PYTHON` a Python with the package `duckdb`; `ci/duckdb.sh` brings all three.

#![cfg(feature = "duckdb")]

mod common;

use std::path::Path;
use std::process::Command;

use common::{Server, folder, program};
use rustix::process::Signal;
use serde_json::{Value as Json, json};

const BIRDS: &[u8] =
    b"name,note,weight\nrobin,\"sings at dawn, in 2 gardens\",18.5\nwren,singing all day,9\nheron,,1500\n";

const QUERIES: &str = r#"
import duckdb, json, sys
connection = duckdb.connect(sys.argv[1], read_only=True)
def ask(query):
    return [list(row) for row in connection.execute(query).fetchall()]
answers = {
    "columns": [row[0] for row in ask("DESCRIBE data")],
    "rows": ask('SELECT __hf_index_id, name, weight, "note.length" FROM data ORDER BY __hf_index_id'),
}
if len(sys.argv) > 2:
    connection.execute(f"LOAD '{sys.argv[2]}'")
    score = "fts_main_data.match_bm25(__hf_index_id, 'sing')"
    answers["found"] = ask(f"SELECT name FROM data WHERE {score} IS NOT NULL ORDER BY name")
print(json.dumps(answers))
"#;

/// A file of the server, as soon as it is there.
fn fetch(server: &Server, path: &str) -> Vec<u8> {
    let url = format!("http://{}{path}", server.address);
    loop {
        match ureq::get(&url).call() {
            Ok(mut answer) => return answer.body_mut().read_to_vec().expect("a whole answer"),
            Err(ureq::Error::StatusCode(500 | 404)) => std::thread::yield_now(),
            Err(error) => panic!("{url}: {error}"),
        }
    }
}

/// The view of a step, as soon as it is made of so many rows: an aggregate begins with those parts that are there.
fn report(server: &Server, step: &str, num_rows: &str, expected: u64) -> Json {
    let url = format!("http://{}/admin/cache-reports-with-content/{step}", server.address);
    loop {
        let text = ureq::get(&url).call().expect("an answer").body_mut().read_to_string().expect("a whole answer");
        let page: Json = serde_json::from_str(&text).expect("JSON");
        let reports = page["cache_reports_with_content"].as_array().expect("a list");
        let contents = reports.iter().filter(|report| report["http_status"] == 200).map(|report| &report["content"]);
        let mut complete = contents.filter(|content| content.pointer(num_rows) == Some(&json!(expected)));
        if let Some(content) = complete.next() {
            return content.clone();
        }
    }
}

fn ask(database: &Path, extension: Option<&Path>) -> Json {
    let python = std::env::var_os("BELVEDERE_TEST_PYTHON").expect("a Python with duckdb; run ci/duckdb.sh");
    let output = Command::new(python).args(["-c", QUERIES]).arg(database).args(extension).output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn another_duckdb_opens_the_file_and_finds_text() {
    let extensions = std::env::var("DUCKDB_INDEX_EXTENSIONS_DIRECTORY").expect("the extension; run ci/duckdb.sh");
    let data = folder(&[("data/birds/train.csv", BIRDS), ("data/birds/test.csv", b"name\ncrow\n")]);
    let variables = [("DUCKDB_INDEX_EXTENSIONS_DIRECTORY", extensions.as_str())];
    let server = Server::start(program(data.path(), &variables, &["serve", "data", "--port", "0"]), "listening on ");
    let path = "/datasets/local/birds/resolve/refs%2Fconvert%2Fparquet/default/train/index.duckdb";
    let database = data.path().join("fetched.duckdb");
    std::fs::write(&database, fetch(&server, path)).expect("written");
    let sizes = report(&server, "dataset-duckdb-index-size", "/size/dataset/num_rows", 4);
    assert_eq!(
        sizes["size"]["dataset"],
        json!({"dataset": "local/birds", "has_fts": true, "num_rows": 4, "num_bytes": sizes["size"]["dataset"]["num_bytes"]})
    );
    assert_eq!((sizes["size"]["splits"].as_array().map(Vec::len), &sizes["partial"]), (Some(2), &json!(false)));
    let answers = ask(&database, Some(&Path::new(&extensions).join("fts.duckdb_extension")));
    insta::assert_json_snapshot!(answers, @r#"
    {
      "columns": [
        "name",
        "note",
        "weight",
        "name.length",
        "note.length",
        "__hf_index_id"
      ],
      "rows": [
        [
          0,
          "robin",
          18.5,
          27
        ],
        [
          1,
          "wren",
          9.0,
          15
        ],
        [
          2,
          "heron",
          1500.0,
          null
        ]
      ],
      "found": [
        [
          "robin"
        ],
        [
          "wren"
        ]
      ]
    }
    "#);
    assert_eq!(server.stop(Signal::TERM), Some(0));
}

#[test]
fn foreign_parquet_files_and_a_limit_give_a_partial_index_without_text() {
    // Made by the program itself, then put in as somebody's own files.
    let data = folder(&[("data/birds/train.csv", BIRDS)]);
    let server = Server::start(program(data.path(), &[], &["serve", "data", "--port", "0"]), "listening on ");
    let parquet = fetch(&server, "/datasets/local/birds/resolve/refs%2Fconvert%2Fparquet/default/train/0000.parquet");
    assert_eq!(server.stop(Signal::TERM), Some(0));

    let data = folder(&[("data/birds/train/a.parquet", &parquet), ("data/birds/train/b.parquet", &parquet)]);
    let variables =
        [("DUCKDB_INDEX_MAX_DATASET_SIZE_BYTES", "1"), ("DUCKDB_INDEX_TARGET_REVISION", "refs/convert/duckdb")];
    let server = Server::start(program(data.path(), &variables, &["serve", "data", "--port", "0"]), "listening on ");
    let database = data.path().join("fetched.duckdb");
    let path = "/datasets/local/birds/resolve/refs%2Fconvert%2Fduckdb/default/train/partial-index.duckdb";
    std::fs::write(&database, fetch(&server, path)).expect("written");
    let view = report(&server, "split-duckdb-index", "/num_rows", 3);
    let facts =
        ["filename", "has_fts", "partial", "num_rows", "stemmer", "duckdb_version"].map(|name| view[name].clone());
    let expected = [json!("partial-index.duckdb"), json!(false), json!(true), json!(3), Json::Null, json!("v1.5.5")];
    assert_eq!(facts, expected);
    assert_eq!(view["features"]["__hf_index_id"], json!({"dtype": "int64", "_type": "Value"}));
    assert!(view["url"].as_str().is_some_and(|url| url.ends_with(path)), "{view}");
    let answers = ask(&database, None);
    assert_eq!(answers["rows"].as_array().map(Vec::len), Some(3), "the first file only");
    assert_eq!(server.stop(Signal::TERM), Some(0));
}
