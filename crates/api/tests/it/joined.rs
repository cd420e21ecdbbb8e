//! Files that disagree: an error by default, one schema with a report where the card or the settings say so.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use belvedere_domain::data_files::Schemas;
use belvedere_testing::TestApp;
use insta::assert_snapshot;
use serde_json::{Value as Json, json};

const ROWS: &str = "/rows?dataset=local/data&config=default&split=train";
const INFO: &str = "/info?dataset=local/data&config=default";

/// Two files of the default config that differ in a column and in a type.
async fn disagreeing(card: &str, schemas: Schemas) -> TestApp {
    let app = TestApp::with(|options| options.settings.parquet.schemas = schemas).await;
    app.write("data/a.csv", "id,n\n007,1\n8,2\n");
    app.write("data/b.csv", "id,n,late\nx9,2.5,yes\n");
    if !card.is_empty() {
        app.write(
            "data/README.md",
            format!("---\nconfigs:\n- config_name: default\n  data_files: '*.csv'\n{card}---\n"),
        );
    }
    app.settle().await;
    app
}

fn rows(answer: &Json) -> String {
    let rows = answer["rows"].as_array().unwrap().iter().map(|row| row["row"].to_string());
    rows.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn by_default_they_are_an_error() {
    for (card, schemas) in [("", Schemas::Strict), ("  schema: strict\n", Schemas::Union)] {
        let app = disagreeing(card, schemas).await;
        let answer = app.get(INFO).await;
        assert_eq!((answer.status, answer.header("x-error-code")), (500, Some("DatasetGenerationCastError")), "{card}");
    }
}

#[tokio::test]
async fn the_card_or_the_settings_join_them() {
    for (card, schemas) in [("  schema: union\n", Schemas::Strict), ("", Schemas::Union)] {
        let app = disagreeing(card, schemas).await;
        let page = rows(&app.get(ROWS).await.json());
        let first = app.get("/first-rows?dataset=local/data&config=default&split=train").await.json();
        assert_eq!(rows(&first), page);
        let report = &app.get(INFO).await.json()["schema_report"];
        assert_eq!((&report["files"], &report["alike"], &report["left_off"]), (&json!(2), &json!(1), &json!(0)));
        let differences: Vec<String> =
            report["differing"][0]["differences"].as_array().unwrap().iter().map(Json::to_string).collect();
        insta::allow_duplicates! {
            assert_snapshot!(page, @r#"
            {"id":"007","n":1.0,"late":null}
            {"id":"8","n":2.0,"late":null}
            {"id":"x9","n":2.5,"late":"yes"}
            "#);
            assert_snapshot!(differences.join("\n"), @r#"
            {"column":"id","found":"string","expected":"int64","line":2}
            {"column":"n","found":"float64","expected":"int64","line":2}
            {"column":"late","found":"string","expected":null,"line":2}
            "#);
        }
        assert_eq!(
            report["columns"][1],
            json!({"name": "n", "type": "float64", "types": {"int64": 1, "float64": 1}, "missing": 0})
        );
        assert_eq!(app.errors("local/data").await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn files_that_agree_are_as_they_would_be_without() {
    let card = |schema: &str| format!("---\nconfigs:\n- config_name: default\n  data_files: '*.csv'\n{schema}---\n");
    let mut infos = Vec::new();
    for schema in ["", "  schema: union\n"] {
        let app = TestApp::new().await;
        app.write("data/a.csv", "id,n\n1,\n2,3\n");
        app.write("data/b.csv", "id,n\n3,4\n");
        app.write("data/README.md", card(schema));
        app.settle().await;
        let mut info = app.get(INFO).await.json();
        let report = info.as_object_mut().unwrap().remove("schema_report");
        assert_eq!(report.is_some(), !schema.is_empty());
        infos.push((info, rows(&app.get(ROWS).await.json())));
    }
    assert_eq!(infos[0], infos[1]);
}

#[tokio::test]
async fn a_word_that_is_no_choice_is_told() {
    let app = disagreeing("  schema: loose\n", Schemas::Strict).await;
    let answer = app.get(INFO).await;
    assert_eq!(answer.status, 500);
    assert_snapshot!(answer.json()["error"].as_str().unwrap(), @r#"`schema` of the config must be `strict` or `union`, not "loose""#);
}

fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let table = RecordBatch::try_from_iter(columns).unwrap();
    let mut file = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut file, table.schema(), None).unwrap();
    writer.write(&table).unwrap();
    writer.close().unwrap();
    file
}

#[tokio::test]
async fn parquet_files_are_converted_only_if_they_differ() {
    let whole = |n: i64| -> (&'static str, ArrayRef) { ("n", Arc::new(Int64Array::from(vec![n]))) };
    let half: (&str, ArrayRef) = ("n", Arc::new(Float64Array::from(vec![0.5])));
    for (second, converted) in [(whole(2), false), (half, true)] {
        let app = TestApp::with(|options| options.settings.parquet.schemas = Schemas::Union).await;
        app.write("data/a.parquet", parquet(vec![whole(1)]));
        app.write("data/b.parquet", parquet(vec![second]));
        app.settle().await;
        let page = app.get(ROWS).await.json();
        let expected = if converted { "{\"n\":1.0}\n{\"n\":0.5}" } else { "{\"n\":1}\n{\"n\":2}" };
        assert_eq!(rows(&page), expected);
        let files = app.get("/parquet?dataset=local/data").await.json()["parquet_files"].as_array().map(Vec::len);
        assert_eq!(files, Some(if converted { 1 } else { 2 }));
    }
}

#[tokio::test]
async fn a_file_that_is_added_can_change_the_schema() {
    let app = TestApp::with(|options| options.settings.parquet.schemas = Schemas::Union).await;
    app.write("data/a.csv", "n\n1\n");
    app.settle().await;
    assert_eq!(rows(&app.get(ROWS).await.json()), r#"{"n":1}"#);
    app.write("data/b.csv", "n,m\nx,1\n");
    app.settle().await;
    assert_eq!(rows(&app.get(ROWS).await.json()), "{\"n\":\"1\",\"m\":null}\n{\"n\":\"x\",\"m\":1}");
}
