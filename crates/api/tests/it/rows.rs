//! Pages of rows.

use belvedere_testing::TestApp;
use insta::assert_snapshot;

use super::birds;

const PAGE: &str = "/rows?dataset=local/data&config=default&split=train";

#[tokio::test]
async fn a_page_has_features_rows_and_totals() {
    let app = birds().await;
    assert_snapshot!(app.get(&format!("{PAGE}&offset=1&length=1")).await.text(), @r#"{"features":[{"feature_idx":0,"name":"name","type":{"dtype":"string","_type":"Value"}},{"feature_idx":1,"name":"weight","type":{"dtype":"float64","_type":"Value"}}],"rows":[{"row_idx":1,"row":{"name":"wren","weight":9.0},"truncated_cells":[]}],"num_rows_total":3,"num_rows_per_page":100,"partial":false}"#);
}

#[tokio::test]
async fn no_rows_wanted_still_gives_features() {
    let app = birds().await;
    let body = app.get(&format!("{PAGE}&length=0")).await.json();
    assert_eq!(body["rows"], serde_json::json!([]));
    assert_eq!(body["features"].as_array().unwrap().len(), 2);
    assert_eq!(body["num_rows_total"], 3);
}

#[tokio::test]
async fn beyond_the_end_there_is_nothing() {
    let app = birds().await;
    for offset in ["3", "1000000000", "9223372036854775807"] {
        let answer = app.get(&format!("{PAGE}&offset={offset}")).await;
        assert_eq!((answer.status, &answer.json()["rows"]), (200, &serde_json::json!([])), "{offset}");
        assert_eq!(answer.json()["num_rows_total"], 3, "{offset}");
    }
}

#[tokio::test]
async fn pages_join_seamlessly_over_files() {
    let app = TestApp::new().await;
    for file in 0..3 {
        let rows: String = (0..50).map(|row| format!("{}\n", file * 50 + row)).collect();
        app.write(&format!("data/train-{file}.csv"), format!("n\n{rows}"));
    }
    app.settle().await;
    for offset in [0, 1, 49, 50, 51, 99, 120, 149] {
        let body = app.get(&format!("{PAGE}&offset={offset}&length=60")).await.json();
        let rows = body["rows"].as_array().unwrap();
        assert_eq!(rows.len(), 60.min(150 - offset), "{offset}");
        for (at, row) in rows.iter().enumerate() {
            assert_eq!((&row["row_idx"], &row["row"]["n"]), (&(offset + at).into(), &(offset + at).into()));
            assert_eq!(row["truncated_cells"], serde_json::json!([]));
        }
    }
}

#[tokio::test]
async fn cells_are_never_cut() {
    let long = "x".repeat(2_000_000);
    let app = TestApp::with_file("a.csv", format!("t\n{long}\n")).await;
    let first = app.get("/first-rows?dataset=local/data&config=default&split=train").await.json();
    assert_eq!(first["rows"][0]["truncated_cells"], serde_json::json!(["t"]));
    let body = app.get(PAGE).await.json();
    assert_eq!(body["rows"][0]["row"]["t"].as_str().unwrap().len(), long.len());
}

#[tokio::test]
async fn the_list_of_files_is_read_once_and_the_rows_each_time() {
    let app = birds().await;
    app.children.take_calls();
    app.get(PAGE).await;
    app.get(PAGE).await;
    assert_eq!(app.children.take_calls(), ["rows 0+100", "rows 0+100"]);
    // What the client holds costs no read.
    app.ask("GET", PAGE, &[("if-none-match", "*")]).await;
    assert_eq!(app.children.take_calls(), Vec::<String>::new());
}

#[tokio::test]
async fn names_need_not_be_plain_letters() {
    let app = TestApp::new().await;
    app.write(
        "data/README.md",
        "---\nconfigs:\n- config_name: \"été & {x}\"\n  data_files:\n  - split: élève.1\n    path: a.csv\n---\n",
    );
    app.write("data/a.csv", "n\n1\n");
    app.settle().await;
    let query = "dataset=local%2Fdata&config=%C3%A9t%C3%A9+%26+%7Bx%7D&split=%C3%A9l%C3%A8ve.1";
    for path in ["rows", "first-rows", "is-valid"] {
        let answer = app.get(&format!("/{path}?{query}")).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
    let url =
        app.get("/parquet?dataset=local/data").await.json()["parquet_files"][0]["url"].as_str().unwrap().to_owned();
    assert_snapshot!(url, @"http://viewer.test/datasets/local/data/resolve/refs%2Fconvert%2Fparquet/été & {x}/élève.1/0000.parquet");
}
