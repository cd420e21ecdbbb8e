//! Rows in other formats than JSON, some columns of them, and many at a time.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{Float64Type, Int64Type};
use arrow::ipc::reader::StreamReader;
use axum::body::Body;
use axum::http::Request;
use belvedere_testing::{Answer, Failure, TestApp, show};
use http_body_util::BodyExt;
use insta::assert_snapshot;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tower::ServiceExt;

use super::{birds, outcomes};

const PAGE: &str = "/rows?dataset=local/data&config=default&split=train";
const MANY: i64 = 30_000;

/// `local/data` with columns `n` and `t`, given in small pieces.
async fn many() -> TestApp {
    let app = TestApp::with(|options| options.api.piece_bytes = 10_000).await;
    let rows: String = (0..MANY).map(|n| format!("{n},text of row {n} \n")).collect();
    app.write("data/many.csv", format!("n,t\n{rows}"));
    app.settle().await;
    app
}

fn arrow(answer: &Answer) -> RecordBatch {
    let reader = StreamReader::try_new(&answer.body[..], None).unwrap();
    let schema = reader.schema();
    concat_batches(&schema, &reader.map(Result::unwrap).collect::<Vec<_>>()).unwrap()
}

fn parquet(answer: &Answer) -> RecordBatch {
    let builder = ParquetRecordBatchReaderBuilder::try_new(answer.body.clone()).unwrap();
    let schema = Arc::clone(builder.schema());
    concat_batches(&schema, &builder.build().unwrap().map(Result::unwrap).collect::<Vec<_>>()).unwrap()
}

fn numbers(table: &RecordBatch) -> Vec<i64> {
    table["n"].as_primitive::<Int64Type>().values().to_vec()
}

#[tokio::test]
async fn csv_is_a_file_to_save() {
    let app = birds().await;
    assert_snapshot!(show(&app.get(&format!("{PAGE}&format=csv&offset=1")).await).replace('\r', "␍"), @r#"
    200
    cache-control: max-age=120
    content-disposition: attachment; filename="data-default-train.csv"
    content-type: text/csv; charset=utf-8; header=present
    etag: W/"…"
    vary: Accept
    x-revision: 2f8601eb1d1a3dbe504d9613772c2164bf19f26c

    name,weight␍
    wren,9.0␍
    heron,1500.0␍
    "#);
}

#[tokio::test]
async fn lines_of_json_are_the_rows_of_the_page() {
    let app = birds().await;
    let answer = app.ask("GET", &format!("{PAGE}&length=2"), &[("accept", "application/x-ndjson")]).await;
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    assert_snapshot!(answer.text(), @r#"
    {"name":"robin","weight":18.5}
    {"name":"wren","weight":9.0}
    "#);
}

#[tokio::test]
async fn arrow_and_parquet_keep_types_and_features() {
    let app = birds().await;
    let arrow = arrow(&app.get(&format!("{PAGE}&format=arrow")).await);
    let parquet = parquet(&app.get(&format!("{PAGE}&format=parquet")).await);
    for table in [arrow, parquet] {
        assert_eq!(table["name"].as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["robin", "wren", "heron"]);
        assert_eq!(table["weight"].as_primitive::<Float64Type>().values().to_vec(), [18.5, 9.0, 1500.0]);
        let features = r#"{"info":{"features":{"name":{"dtype":"string","_type":"Value"},"weight":{"dtype":"float64","_type":"Value"}}}}"#;
        assert_eq!(table.schema().metadata()["huggingface"], features);
    }
}

#[tokio::test]
async fn an_answer_in_pieces_has_the_bytes_of_one_made_at_once() {
    let app = birds().await;
    let whole = app.get(PAGE).await;
    for query in ["columns=name,weight", "columns=name&columns=weight", "length=101"] {
        assert_eq!(app.get(&format!("{PAGE}&{query}")).await.text(), whole.text(), "{query}");
    }
}

#[tokio::test]
async fn columns_are_chosen_and_ordered() {
    let app = birds().await;
    let body = app.get(&format!("{PAGE}&columns=weight&length=1")).await.text();
    assert_snapshot!(body, @r#"{"features":[{"feature_idx":0,"name":"weight","type":{"dtype":"float64","_type":"Value"}}],"rows":[{"row_idx":0,"row":{"weight":18.5},"truncated_cells":[]}],"num_rows_total":3,"num_rows_per_page":100,"partial":false}"#);
    let body = app.get(&format!("{PAGE}&columns=weight,name&format=csv&length=1")).await.text();
    assert_eq!(body, "weight,name\r\n18.5,robin\r\n");
}

#[tokio::test]
async fn what_cannot_be_given_is_refused() {
    let app = TestApp::with(|options| options.api.max_export_rows = Some(2)).await;
    app.write("data/birds.csv", super::BIRDS);
    app.settle().await;
    let queries =
        ["format=xml", "format=csv&columns=name,wings", "columns=wings", "format=csv&length=-1", "length=all"];
    let queries =
        queries.iter().chain(&["format=csv", "format=arrow&length=3", "format=csv&length=2", "format=csv&offset=1"]);
    let paths: Vec<String> = queries.map(|query| format!("{PAGE}&{query}")).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    assert_snapshot!(outcomes(&app, &paths).await.replace(&format!("{PAGE}&"), ""), @r"
    format=xml → 422 InvalidParameter: Parameter 'format' must be one of json, ndjson, csv, arrow, parquet
    format=csv&columns=name,wings → 422 InvalidParameter: These are 3 rows, more than the 2 of one answer. Ask for parts with 'offset' and 'length'.
    columns=wings → 422 InvalidParameter: Parameter 'columns': there is no column `wings`; there are `name`, `weight`
    format=csv&length=-1 → 422 InvalidParameter: Parameter 'length' must be positive
    length=all → 422 InvalidParameter: Parameter 'length' must be integer
    format=csv → 422 InvalidParameter: These are 3 rows, more than the 2 of one answer. Ask for parts with 'offset' and 'length'.
    format=arrow&length=3 → 422 InvalidParameter: These are 3 rows, more than the 2 of one answer. Ask for parts with 'offset' and 'length'.
    format=csv&length=2 → 200
    format=csv&offset=1 → 200
    ");
}

#[tokio::test]
async fn the_reference_knows_json_only() {
    let app = TestApp::with(|options| options.api.compat = true).await;
    app.write("data/birds.csv", super::BIRDS);
    app.settle().await;
    let answer = app.ask("GET", &format!("{PAGE}&format=csv&columns=name"), &[("accept", "text/csv")]).await;
    assert_eq!(answer.json()["features"].as_array().map(Vec::len), Some(2));
    assert_eq!(answer.header("vary"), None);
}

#[tokio::test]
async fn a_whole_split_comes_in_pieces() {
    let app = many().await;
    app.children.take_calls();
    let expected: Vec<i64> = (0..MANY).collect();
    let csv = app.get(&format!("{PAGE}&format=csv&columns=n")).await;
    assert!(csv.text().lines().skip(1).map(|line| line.parse::<i64>().unwrap()).eq(expected.iter().copied()));
    let lines = app.get(&format!("{PAGE}&format=ndjson&length=all")).await;
    assert_eq!(lines.text().lines().count() as i64, MANY);
    assert_eq!(numbers(&arrow(&app.get(&format!("{PAGE}&format=arrow")).await)), expected);
    assert_eq!(numbers(&parquet(&app.get(&format!("{PAGE}&format=parquet")).await)), expected);
    let calls = app.children.take_calls();
    for format in ["Csv", "Ndjson", "Arrow", "Parquet"] {
        let pieces = calls.iter().filter(|call| call.starts_with(&format!("export {format}"))).count();
        assert!(pieces > 1, "{format}: {calls:?}");
    }
}

#[tokio::test]
async fn a_page_may_have_ten_thousand_rows() {
    let app = many().await;
    let body = app.get(&format!("{PAGE}&offset=15000&length=10000")).await.json();
    let rows = body["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 10_000);
    for (at, row) in rows.iter().enumerate() {
        assert_eq!((&row["row_idx"], &row["row"]["n"]), (&(15_000 + at).into(), &(15_000 + at).into()));
    }
    assert_eq!((&body["num_rows_total"], &body["num_rows_per_page"]), (&MANY.into(), &100.into()));
}

#[tokio::test]
async fn what_fails_before_the_first_byte_is_an_error_like_any_other() {
    let app = birds().await;
    app.children.fail("export Csv", Failure::Death, 1);
    assert_snapshot!(show(&app.get(&format!("{PAGE}&format=csv")).await), @r#"
    500
    cache-control: max-age=10
    content-type: application/json
    x-error-code: UnexpectedApiError
    x-revision: 2f8601eb1d1a3dbe504d9613772c2164bf19f26c

    {
      "error": "Unexpected error."
    }
    "#);
}

#[tokio::test]
async fn what_fails_later_breaks_the_answer_off() {
    let app = many().await;
    let path = format!("{PAGE}&format=ndjson");
    app.children.take_calls();
    let whole = app.get(&path).await;
    assert!(whole.is_whole);
    let second = app.children.take_calls()[1].clone();
    app.children.fail(&second, Failure::Disk, 1);
    let broken = app.get(&path).await;
    assert_eq!((broken.status, broken.is_whole), (200, false));
    assert!(broken.body.len() < whole.body.len() && whole.body.starts_with(&broken.body));
}

/// e102 | a file changes in the middle of a long answer | the answer is broken off, never completed with other rows
#[tokio::test]
async fn e102_files_that_change_meanwhile_break_the_answer_off() {
    // A private copy would outlive its original.
    let app = TestApp::with(|options| options.settings.parquet.copies_max_bytes = 0).await;
    let table = app_table(400_000);
    app.write("data/a.parquet", &table);
    app.settle().await;
    let request = Request::get(format!("{PAGE}&format=csv")).body(Body::empty()).unwrap();
    let mut body = app.router().clone().oneshot(request).await.unwrap().into_body();
    assert!(body.frame().await.unwrap().is_ok());
    app.write("data/a.parquet", app_table(7));
    let mut frames = Vec::new();
    while let Some(frame) = body.frame().await {
        frames.push(frame.is_ok());
    }
    assert_eq!(frames.last(), Some(&false), "{frames:?}");
}

/// A Parquet file with so many rows of one column.
fn app_table(rows: i64) -> Vec<u8> {
    let column: arrow::array::ArrayRef =
        Arc::new(arrow::array::StringArray::from_iter_values((0..rows).map(|n| format!("the text of row {n:09}"))));
    let table = RecordBatch::try_from_iter([("t", column)]).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(Vec::new(), table.schema(), None).unwrap();
    writer.write(&table).unwrap();
    writer.into_inner().unwrap()
}

/// e114 | a client leaves in the middle of a long answer | what is in work ends, and nothing more is read
#[tokio::test]
async fn e114_nothing_is_read_for_a_client_that_left() {
    let app = many().await;
    app.children.take_calls();
    let all = app.get(&format!("{PAGE}&format=ndjson")).await;
    let pieces = app.children.take_calls().len();
    assert!(pieces > 10 && all.is_whole, "{pieces}");
    let request = Request::get(format!("{PAGE}&format=ndjson")).body(Body::empty()).unwrap();
    let mut body = app.router().clone().oneshot(request).await.unwrap().into_body();
    assert!(body.frame().await.unwrap().is_ok());
    drop(body);
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    // The first piece, one that waits to be sent, and the one in work when the client left.
    assert!(app.children.take_calls().len() <= 3);
}

#[tokio::test]
async fn formats_have_tags_of_their_own() {
    let app = birds().await;
    let mut tags = Vec::new();
    for query in
        ["", "&length=101", "&format=csv", "&format=ndjson", "&format=csv&columns=name", "&format=csv&length=2"]
    {
        let path = format!("{PAGE}{query}");
        let tag = app.get(&path).await.header("etag").unwrap().to_owned();
        app.children.take_calls();
        let known = app.ask("GET", &path, &[("if-none-match", &tag)]).await;
        assert_eq!((known.status, known.body.len()), (304, 0), "{path}");
        assert_eq!(app.children.take_calls(), Vec::<String>::new());
        tags.push(tag);
    }
    tags.sort_unstable();
    tags.dedup();
    assert_eq!(tags.len(), 6);
}

#[tokio::test]
async fn names_that_headers_cannot_hold_are_encoded() {
    let app = TestApp::new().await;
    app.write(
        "data/README.md",
        "---\nconfigs:\n- config_name: \"été\"\n  data_files:\n  - split: train\n    path: a.csv\n---\n",
    );
    app.write("data/a.csv", "n\n1\n");
    app.settle().await;
    let answer = app.get("/rows?dataset=local/data&config=%C3%A9t%C3%A9&split=train&format=parquet").await;
    let expected =
        "attachment; filename=\"data-_t_-train.parquet\"; filename*=UTF-8''data%2D%C3%A9t%C3%A9%2Dtrain%2Eparquet";
    assert_eq!(answer.header("content-disposition"), Some(expected));
}

#[tokio::test]
async fn media_are_links_in_text_and_bytes_in_parquet_and_only_so_many_links_are_made() {
    let app = TestApp::with(|options| options.api.max_page_rows = 2).await;
    app.copy_set("parquet-image-column", "data");
    app.settle().await;
    let line = app.get(&format!("{PAGE}&format=ndjson&length=1")).await.text();
    let page = app.get(&format!("{PAGE}&length=1")).await.json();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap(), page["rows"][0]["row"]);
    let src = page["rows"][0]["row"]["image"]["src"].as_str().unwrap();
    let csv = app.get(&format!("{PAGE}&format=csv&length=1")).await.text();
    assert!(csv.contains(&format!("\"\"src\"\":\"\"{src}\"\"")), "{csv}");
    let many = app.get(&format!("{PAGE}&format=csv")).await;
    assert_eq!((many.status, many.header("x-error-code")), (422, Some("InvalidParameter")));
    assert!(many.text().contains("rows with media, more than the 2 whose files are made"), "{}", many.text());
    assert_eq!(app.get(&format!("{PAGE}&format=csv&columns=y")).await.status, 200);
    let images = parquet(&app.get(&format!("{PAGE}&format=parquet")).await);
    let bytes = images["image"].as_struct().column_by_name("bytes").unwrap().as_binary::<i32>();
    assert!(!bytes.value(0).is_empty() && images.num_rows() > 2);
}
