//! First rows come from the source before the conversion, and from its files after.

use belvedere_testing::TestApp;

use super::{BIRDS, FIRST_ROWS, ROWS, code};

#[tokio::test]
async fn first_rows_do_not_wait_for_the_conversion() {
    let app = TestApp::new().await;
    app.write("data/birds.csv", BIRDS);
    app.refresh().await;
    app.run_jobs_except(&["config-parquet-and-info"]).await;
    assert_eq!(app.children.take_calls(), ["head default/train"]);
    let early = app.get(FIRST_ROWS).await;
    assert_eq!((early.status, early.json()["rows"].as_array().unwrap().len()), (200, 3));
    assert_eq!(code(&app.get(ROWS).await), (500, "ResponseNotReady"));

    app.run_jobs().await;
    assert_eq!(app.children.take_calls(), ["convert default", "rows 0+100", "statistics", "search index of 1 files"]);
    let late = app.get(FIRST_ROWS).await;
    assert_eq!(late.text(), early.text());
    assert_ne!(late.header("etag"), early.header("etag"), "another view, made from the converted files");
}

#[tokio::test]
async fn a_failed_conversion_leaves_the_first_rows_of_the_source() {
    let good: String = (0..150).map(|row| format!("{row},x\n")).collect();
    let app = TestApp::new().await;
    app.write("data/train-0.csv", format!("n,t\n{good}"));
    app.write("data/train-1.csv", "n,t\n1,2\n1,2,3,4\n");
    app.settle().await;
    assert_eq!(code(&app.get(ROWS).await), (500, "DatasetGenerationError"));
    let first = app.get(FIRST_ROWS).await;
    assert_eq!((first.status, first.json()["rows"].as_array().unwrap().len()), (200, 100));
    let valid = app.get("/is-valid?dataset=local/data").await.json();
    assert_eq!((&valid["preview"], &valid["viewer"]), (&true.into(), &false.into()));
}

#[tokio::test]
async fn more_rows_than_shown_are_told() {
    let rows: String = (0..101).map(|row| format!("{row}\n")).collect();
    let app = TestApp::with_file("a.csv", format!("n\n{rows}")).await;
    let body = app.get(FIRST_ROWS).await.json();
    assert_eq!((body["rows"].as_array().unwrap().len(), &body["truncated"]), (100, &true.into()));
}
