//! `/cell`: whole values, parts of them, and what they are said to be.

use belvedere_testing::TestApp;
use insta::assert_snapshot;

use super::outcomes;

const CELL: &str = "/cell?dataset=local/data&config=default&split=train";

/// A row with a text of 1,500,000 bytes, a list, an object and a null; then a short one.
async fn app() -> TestApp {
    let long = "ü".repeat(750_000);
    let lines = [
        serde_json::json!({"t": long, "list": [1, 2], "who": {"name": "ana"}, "n": 7, "none": null}),
        serde_json::json!({"t": "<script>", "list": [], "who": {"name": "ben"}, "n": 8, "none": "x"}),
    ];
    TestApp::with_file("a.jsonl", lines.map(|line| line.to_string()).join("\n")).await
}

#[tokio::test]
async fn a_cell_that_a_page_cuts_is_given_whole() {
    let app = app().await;
    let first = app.get("/first-rows?dataset=local/data&config=default&split=train").await.json();
    assert_eq!(first["rows"][0]["truncated_cells"][0], "t");
    let whole = app.get(&format!("{CELL}&row=0&column=t")).await;
    assert_eq!(whole.text(), "ü".repeat(750_000));
    for (name, value) in [
        ("content-type", "text/plain; charset=utf-8"),
        ("accept-ranges", "bytes"),
        ("cache-control", "max-age=120"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; sandbox"),
    ] {
        assert_eq!(whole.header(name), Some(value), "{name}");
    }
    let revision = app.dataset("local/data").await.unwrap().target;
    assert_eq!(whole.header("x-revision"), Some(revision.as_str()));
    let etag = whole.header("etag").unwrap();
    let again = app.ask("GET", &format!("{CELL}&row=0&column=t"), &[("if-none-match", etag)]).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
}

#[tokio::test]
async fn values_are_given_as_what_they_are() {
    let app = app().await;
    let mut lines = Vec::new();
    for (row, column) in [(0, "list"), (0, "who"), (0, "n"), (0, "none"), (1, "none"), (1, "t")] {
        let answer = app.get(&format!("{CELL}&row={row}&column={column}")).await;
        let kind = answer.header("content-type").unwrap_or("nothing").to_owned();
        lines.push(format!("{row} {column}: {} {kind} {}", answer.status, answer.text()));
    }
    assert_snapshot!(lines.join("\n"), @r#"
    0 list: 200 application/json [1,2]
    0 who: 200 application/json {"name":"ana"}
    0 n: 200 application/json 7
    0 none: 204 nothing 
    1 none: 200 text/plain; charset=utf-8 x
    1 t: 200 text/plain; charset=utf-8 <script>
    "#);
}

#[tokio::test]
async fn parts_are_given_by_bytes() {
    let app = app().await;
    let path = format!("{CELL}&row=0&column=t");
    let mut lines = Vec::new();
    for range in ["bytes=0-3", "bytes=1499996-", "bytes=-2", "bytes=1500000-", "bytes=0-1,4-5", "lines=0-3"] {
        let answer = app.ask("GET", &path, &[("range", range)]).await;
        lines.push(format!(
            "{range}: {} {} {}",
            answer.status,
            answer.header("content-range").unwrap_or("whole"),
            answer.body.len()
        ));
    }
    // An entity tag that says "about the same" is not strong enough to go on with.
    let tag = app.get(&path).await.header("etag").unwrap().to_owned();
    let stale = app.ask("GET", &path, &[("range", "bytes=0-3"), ("if-range", &tag)]).await;
    lines.push(format!("if-range: {} {}", stale.status, stale.body.len()));
    assert_snapshot!(lines.join("\n"), @"
    bytes=0-3: 206 bytes 0-3/1500000 4
    bytes=1499996-: 206 bytes 1499996-1499999/1500000 4
    bytes=-2: 206 bytes 1499998-1499999/1500000 2
    bytes=1500000-: 416 bytes */1500000 0
    bytes=0-1,4-5: 200 whole 1500000
    lines=0-3: 200 whole 1500000
    if-range: 200 1500000
    ");
}

#[tokio::test]
async fn what_is_not_there_is_told_with_what_is() {
    let app = app().await;
    let queries = ["", "&row=0", "&row=x&column=t", "&row=-1&column=t", "&row=2&column=t", "&row=0&column=u"];
    let paths: Vec<String> = queries.iter().map(|query| format!("{CELL}{query}")).collect();
    let mut paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    paths.push("/cell?dataset=local/data&config=default&split=nope&row=0&column=t");
    paths.push("/cell?dataset=local/none&config=default&split=train&row=0&column=t");
    assert_snapshot!(outcomes(&app, &paths).await.replace(CELL, "…"), @"
    … → 422 MissingRequiredParameter: Parameter 'row' is required
    …&row=0 → 422 MissingRequiredParameter: Parameter 'column' is required
    …&row=x&column=t → 422 InvalidParameter: Parameter 'row' must be integer
    …&row=-1&column=t → 422 InvalidParameter: Parameter 'row' must be positive
    …&row=2&column=t → 422 InvalidParameter: Parameter 'row': the split has rows from 0 to 1, not 2
    …&row=0&column=u → 422 InvalidParameter: Parameter 'column': there is no column `u`; there are `t`, `list`, `who`, `n`, `none`
    /cell?dataset=local/data&config=default&split=nope&row=0&column=t → 404 ResponseNotFound: Not found.
    /cell?dataset=local/none&config=default&split=train&row=0&column=t → 401 ExternalUnauthenticatedError: The dataset does not exist, or is not accessible without authentication (private or gated).
    ");
}

#[tokio::test]
async fn media_are_given_as_they_are_stored() {
    let app = TestApp::new().await;
    app.write("data/README.md", "---\ndataset_info:\n  features:\n  - name: photo\n    dtype: image\n---\n");
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0";
    app.write("data/a.parquet", photos(&[Some(png), None]));
    app.settle().await;
    let cell = app.get(&format!("{CELL}&row=0&column=photo")).await;
    assert_eq!((cell.status, cell.header("content-type")), (200, Some("image/png")));
    assert_eq!(&cell.body[..], png);
    assert_eq!(app.get(&format!("{CELL}&row=1&column=photo")).await.status, 204);
}

/// A Parquet file with a column of images.
fn photos(images: &[Option<&[u8]>]) -> Vec<u8> {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, BinaryArray, RecordBatch, StringArray, StructArray};
    use arrow::datatypes::{DataType, Field, Schema};

    let bytes: ArrayRef = Arc::new(BinaryArray::from(images.to_vec()));
    let paths: ArrayRef = Arc::new(StringArray::new_null(images.len()));
    let photo = StructArray::from(vec![
        (Arc::new(Field::new("bytes", DataType::Binary, true)), bytes),
        (Arc::new(Field::new("path", DataType::Utf8, true)), paths),
    ]);
    let field = Field::new("photo", arrow::array::Array::data_type(&photo).clone(), true);
    let table = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![Arc::new(photo)]).unwrap();
    let mut file = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut file, table.schema(), None).unwrap();
    writer.write(&table).unwrap();
    writer.close().unwrap();
    file
}

#[tokio::test]
async fn a_kept_revision_has_its_cells() {
    let app = TestApp::with_file("a.csv", "t\nold\n").await;
    let first = app.dataset("local/data").await.unwrap().target;
    app.write("data/a.csv", "t\nnew\n");
    app.settle().await;
    let path = format!("{CELL}&row=0&column=t");
    assert_eq!(app.get(&path).await.text(), "new");
    assert_eq!(app.get(&format!("{path}&revision={first}")).await.text(), "old");
    let gone = app.get(&format!("{path}&revision={}", "0".repeat(40))).await;
    assert_eq!((gone.status, gone.header("x-error-code")), (404, Some("RevisionGone")));
}
