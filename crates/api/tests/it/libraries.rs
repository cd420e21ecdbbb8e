//! `/compatible-libraries`: the formats that a dataset is told to have.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use belvedere_testing::TestApp;
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use serde_json::{Value as Json, json};

/// The formats of `local/data`, which `/hub-cache` tells, too.
async fn formats(app: &TestApp) -> Json {
    app.settle().await;
    let libraries = app.get("/compatible-libraries?dataset=local/data").await;
    assert_eq!(libraries.status, 200, "{}", libraries.text());
    let cached = app.get("/hub-cache?dataset=local/data").await.json();
    assert_eq!(cached["formats"], libraries.json()["formats"], "{cached}");
    libraries.json()["formats"].clone()
}

async fn with_rules_of(compat: bool) -> TestApp {
    TestApp::with(|options| {
        options.settings.compat = compat;
        options.api.compat = compat;
    })
    .await
}

/// A Parquet file of ten numbers with these notes in its metadata.
fn numbers(notes: &[&str]) -> Vec<u8> {
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10));
    let table = RecordBatch::try_from_iter([("n", column)]).unwrap();
    let notes = notes.iter().map(|key| KeyValue::new((*key).to_owned(), "{}".to_owned())).collect();
    let properties = WriterProperties::builder().set_key_value_metadata(Some(notes)).build();
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, table.schema(), Some(properties)).unwrap();
    writer.write(&table).unwrap();
    writer.close().unwrap();
    file
}

#[tokio::test]
async fn parquet_cut_by_content_is_told_by_its_pages_and_for_the_reference_by_its_word_alone() {
    for (compat, expected) in [(false, json!(["parquet", "optimized-parquet"])), (true, json!(["parquet"]))] {
        let app = with_rules_of(compat).await;
        // Written by pyarrow with content-defined chunking and a page index.
        app.copy_set("parquet-optimized", "data");
        assert_eq!(formats(&app).await, expected, "compat: {compat}");
        app.remove("data");
        app.write("data/train.parquet", numbers(&["use_content_defined_chunking"]));
        assert_eq!(formats(&app).await, json!(["parquet", "optimized-parquet"]), "compat: {compat}");
        app.write("data/train.parquet", numbers(&["content_defined_chunking"]));
        assert_eq!(formats(&app).await, json!(["parquet"]), "compat: {compat}");
    }
}

#[tokio::test]
async fn only_a_single_file_is_looked_at() {
    let app = TestApp::new().await;
    for part in 0..2 {
        let path = format!("data/train-0000{part}-of-00002.parquet");
        app.write(&path, numbers(&["use_content_defined_chunking"]));
    }
    app.children.take_calls();
    assert_eq!(formats(&app).await, json!(["parquet"]));
    app.write("data/test.parquet", numbers(&[]));
    app.remove("data/train-00000-of-00002.parquet");
    assert_eq!(formats(&app).await, json!(["parquet", "optimized-parquet"]));
}

#[tokio::test]
async fn logs_of_agents_are_a_format_of_their_own() {
    let app = TestApp::new().await;
    let log = concat!(
        r#"{"type":"user","sessionId":"s","message":{"role":"user","content":"hello"},"timestamp":"2026-01-01T00:00:00Z"}"#,
        "\n",
        r#"{"type":"assistant","sessionId":"s","message":{"role":"assistant","content":[{"type":"text","text":"hi"}],"id":1},"timestamp":"2026-01-01T00:00:01Z"}"#,
        "\n"
    );
    app.write("data/a.jsonl", log);
    assert_eq!(formats(&app).await, json!(["json", "agent-traces"]));
    app.write("data/a.jsonl", "{\"type\":\"user\",\"n\":1}\n");
    assert_eq!(formats(&app).await, json!(["json"]));
}
