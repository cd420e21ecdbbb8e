//! Limits: what is over them is an error that names the number and the limit.

use belvedere_testing::{Options, TestApp};
use insta::assert_snapshot;

use super::{FIRST_ROWS, ROWS, SIZE, TWO_CONFIGS, code};

/// Status, code and text of one answer about `local/data` with some files under some settings.
async fn told(files: &[(&str, &str)], path: &str, change: impl FnOnce(&mut Options)) -> String {
    let app = TestApp::with(change).await;
    for (name, content) in files {
        app.write(&format!("data/{name}"), content);
    }
    app.settle().await;
    let answer = app.get(path).await;
    format!("{} {}: {}", answer.status, code(&answer).1, answer.json()["error"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn too_many_configs() {
    let files = [("README.md", TWO_CONFIGS), ("a.csv", "x\n1\n"), ("b.csv", "x\n1\n")];
    let one = |options: &mut Options| {
        options.settings.names.configs_max = 1;
        options.settings.names.configs_max_for_init = 1;
    };
    assert_snapshot!(told(&files, SIZE, one).await, @"501 DatasetWithTooManyConfigsError: the dataset has 2 configs, more than the limit of 1");
    assert_snapshot!(told(&files, "/splits?dataset=local/data", one).await, @"501 DatasetWithTooManyConfigsError: the dataset has 2 configs, more than the limit of 1");
}

#[tokio::test]
async fn more_configs_than_the_first_job_lists_are_listed_by_the_next() {
    let app = TestApp::with(|options| options.settings.names.configs_max_for_init = 1).await;
    app.write("data/README.md", TWO_CONFIGS);
    app.write("data/a.csv", "x\n1\n");
    app.write("data/b.csv", "x\n1\n");
    app.settle().await;
    assert_eq!(app.errors("local/data").await, ["dataset-init: 501 DatasetWithTooManyConfigsError"]);
    assert_eq!(app.get(SIZE).await.json()["size"]["dataset"]["num_rows"], 2);
}

#[tokio::test]
async fn too_many_splits() {
    let files = [("train.csv", "x\n1\n"), ("test.csv", "x\n1\n")];
    let one = |options: &mut Options| options.settings.names.splits_max = 1;
    assert_snapshot!(told(&files, "/splits?dataset=local/data&config=default", one).await, @"501 DatasetWithTooManySplitsError: the config has 2 splits, more than the limit of 1");
}

#[tokio::test]
async fn too_many_columns() {
    let files = [("a.csv", "x,y\n1,2\n")];
    let one = |options: &mut Options| options.settings.first_rows.columns_max_number = 1;
    assert_snapshot!(told(&files, FIRST_ROWS, one).await, @"500 TooManyColumnsError: the first rows could not be read: there are 2 columns, more than the 1 that can be shown");
    // Only first rows are limited.
    assert_snapshot!(told(&files, ROWS, one).await, @"200 none:");
}

#[tokio::test]
async fn too_long_column_names() {
    let content = format!("{},y\n1,2\n", "x".repeat(501));
    let files = [("a.csv", content.as_str())];
    for path in [FIRST_ROWS, ROWS] {
        let told = told(&files, path, |_| {}).await;
        assert!(told.starts_with("500 TooLongColumnNameError: "), "{told}");
    }
    let content = format!("{},y\n1,2\n", "x".repeat(500));
    assert_eq!(told(&[("a.csv", content.as_str())], ROWS, |_| {}).await, "200 none: ");
}

#[tokio::test]
async fn too_big_answers() {
    let files = [("a.csv", "some_column\n1\n")];
    let small = |options: &mut Options| options.settings.worker.content_max_bytes = 300;
    assert_snapshot!(told(&files, "/info?dataset=local/data&config=default", small).await, @"501 TooBigContentError: the answer has 644 bytes, more than the limit of 300");
    let small = |options: &mut Options| options.settings.first_rows.max_bytes = 100;
    assert_snapshot!(told(&files, FIRST_ROWS, small).await, @"501 TooBigContentError: the first rows could not be read: the answer takes 180 bytes before its first row, more than the 100 allowed: too many columns");
}

#[tokio::test]
async fn datasets_without_data() {
    assert_snapshot!(told(&[("README.md", "# Nothing\n")], SIZE, |_| {}).await, @"500 EmptyDatasetError: the dataset has no data file");
    assert_snapshot!(told(&[("a.xyz", "?")], SIZE, |_| {}).await, @"500 DataFilesNotFoundError: no file has a supported format; supported are .csv, .tsv, .json, .jsonl, .parquet, .arrow, .txt, .xml and .tar, also compressed, .sqlite, .xlsx, images, sounds, videos and .pdf");
    assert_snapshot!(told(&[("README.md", "---\nconfigs: [\n---\n"), ("a.csv", "x\n1\n")], SIZE, |_| {}).await, @"500 ConfigNamesError: README.md, line 3: not valid YAML: while parsing a node, did not find expected node content");
}
