//! What did not change is not computed again.

use belvedere_testing::TestApp;

use super::{BIRDS, FIRST_ROWS, ROWS, SIZE, two_configs};

#[tokio::test]
async fn unchanged_configs_cost_nothing() {
    let app = two_configs().await;
    app.write("data/b.csv", "y\n1\n2\n3\n");
    app.settle().await;
    assert_eq!(app.children.take_calls(), ["convert b", "head b/train", "rows 0+100", "statistics"]);
    assert_eq!(app.get(SIZE).await.json()["size"]["dataset"]["num_rows"], 4);
    let target = app.dataset("local/data").await.unwrap().target;
    let unchanged = app.get("/rows?dataset=local/data&config=a&split=train").await;
    assert_eq!((unchanged.status, unchanged.header("x-revision")), (200, Some(target.as_str())));
}

#[tokio::test]
async fn a_file_without_data_changes_no_config() {
    let app = two_configs().await;
    let before = app.dataset("local/data").await.unwrap().target;
    app.write("data/README.md", format!("{}Two configs.\n", super::TWO_CONFIGS));
    app.settle().await;
    assert_ne!(app.dataset("local/data").await.unwrap().served, Some(before));
    assert_eq!(app.children.take_calls(), Vec::<String>::new());
}

#[tokio::test]
async fn reused_first_rows_still_find_their_media() {
    let app = TestApp::new().await;
    app.copy_set("parquet-image-column", "data");
    app.settle().await;
    app.write("data/notes.md", "nothing");
    app.settle().await;
    let first = app.get(FIRST_ROWS).await.json();
    let src = first["rows"][0]["row"]["image"]["src"].as_str().unwrap().to_owned();
    let target = app.dataset("local/data").await.unwrap().target;
    assert!(src.contains(target.as_str()), "{src}");
    assert_eq!(app.get(src.strip_prefix("http://viewer.test").unwrap()).await.status, 200);
}

#[tokio::test]
async fn going_back_computes_nothing() {
    let app = TestApp::with_file("birds.csv", BIRDS).await;
    let first = app.dataset("local/data").await.unwrap().target;
    app.write("data/birds.csv", "name\nowl\n");
    app.settle().await;
    app.children.take_calls();
    app.write("data/birds.csv", BIRDS);
    app.settle().await;
    assert_eq!(app.children.take_calls(), Vec::<String>::new());
    assert_eq!(app.dataset("local/data").await.unwrap().served, Some(first));
    assert_eq!(app.get(ROWS).await.json()["num_rows_total"], 3);
}

#[tokio::test]
async fn an_added_file_reuses_what_was_written_of_the_others() {
    let app = TestApp::new().await;
    app.write("data/train-0.csv", "n\n0\n1\n");
    app.write("data/train-1.csv", "n\n2\n3\n");
    app.settle().await;
    app.children.take_calls();
    app.write("data/train-2.csv", "n\n4\n5\n");
    app.settle().await;
    assert_eq!(app.children.take_calls()[0], "convert default, 2 of 3 files known");
    let rows = app.get(ROWS).await.json();
    let numbers: Vec<_> = rows["rows"].as_array().unwrap().iter().map(|row| row["row"]["n"].clone()).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn a_forced_job_computes_anew() {
    let app = TestApp::with_file("birds.csv", BIRDS).await;
    app.children.take_calls();
    app.force("config-parquet-and-info", Some("default"), None).await;
    app.run_jobs().await;
    // Its view is another one, and so are those that depend on it.
    assert_eq!(
        app.children.take_calls(),
        ["convert default, 1 of 1 files known", "rows 0+100", "statistics", "search index of 1 files"]
    );
    assert_eq!(app.get(ROWS).await.json()["num_rows_total"], 3);
    app.force("split-first-rows", Some("default"), Some("train")).await;
    app.run_jobs().await;
    assert_eq!(app.children.take_calls(), ["rows 0+100", "rows 0+100"]);
}

#[tokio::test]
async fn renamed_files_in_the_same_order_are_nothing_new() {
    let app = TestApp::new().await;
    app.write("data/train-0.csv", "n\n0\n1\n");
    app.write("data/train-1.csv", "n\n2\n3\n");
    app.settle().await;
    let before = app.get(ROWS).await.text();
    app.children.take_calls();
    for (old, new) in [("train-0.csv", "train-a.csv"), ("train-1.csv", "train-b.csv")] {
        let content = std::fs::read(app.path(&format!("data/{old}"))).unwrap();
        app.remove(&format!("data/{old}"));
        app.write(&format!("data/{new}"), content);
    }
    app.settle().await;
    assert_eq!(app.children.take_calls(), Vec::<String>::new());
    let target = app.dataset("local/data").await.unwrap().target;
    let after = app.get(ROWS).await;
    assert_eq!((after.header("x-revision"), after.text()), (Some(target.as_str()), before));
    // In another order they are another table, of which every part is there.
    app.remove("data/train-b.csv");
    app.write("data/train-0.csv", "n\n2\n3\n");
    app.children.take_calls();
    app.settle().await;
    assert_eq!(app.children.take_calls()[0], "convert default, 2 of 2 files known");
    assert_eq!(app.get(ROWS).await.json()["rows"][0]["row"]["n"], 2);
}

#[tokio::test]
async fn a_file_that_grew_is_converted_again_and_the_others_are_not() {
    let app = TestApp::new().await;
    app.write("data/train-0.csv", "n\n0\n1\n");
    app.write("data/train-1.csv", "n\n2\n3\n");
    app.settle().await;
    app.children.take_calls();
    app.write("data/train-1.csv", "n\n2\n3\n4\n");
    app.settle().await;
    assert_eq!(app.children.take_calls()[0], "convert default, 1 of 2 files known");
    let rows = app.get(ROWS).await.json();
    let numbers: Vec<_> = rows["rows"].as_array().unwrap().iter().map(|row| row["row"]["n"].clone()).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4]);
}

#[tokio::test]
async fn an_error_names_its_file_under_its_new_name() {
    let app = TestApp::with_file("old.csv", "a,b\n1,2\n3,4,5\n").await;
    let info = "/info?dataset=local/data&config=default";
    assert!(app.get(info).await.text().contains("old.csv"));
    // Nothing changed in this config: the error is known.
    app.write("data/notes.md", "nothing");
    app.settle().await;
    app.children.take_calls();
    app.write("data/notes.md", "nothing new");
    app.settle().await;
    let calls = app.children.take_calls();
    assert!(!calls.iter().any(|call| call.starts_with("convert")), "{calls:?}");
    let content = std::fs::read(app.path("data/old.csv")).unwrap();
    app.remove("data/old.csv");
    app.write("data/new.csv", content);
    app.settle().await;
    let told = app.get(info).await.text();
    assert!(told.contains("new.csv") && !told.contains("old.csv"), "{told}");
}
