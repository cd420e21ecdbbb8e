//! Splits side by side.

use std::time::Duration;

use belvedere_testing::{Answer, Failure, TestApp, show};
use insta::assert_snapshot;
use serde_json::{Value as JsonValue, json};

use super::outcomes;

const TRAIN: &str = "/compare?dataset=local/data&config=default&split=train";

/// `local/data` with a train and a test split that share a row and a retouched text.
async fn splits(change: impl FnOnce(&mut belvedere_testing::Options)) -> TestApp {
    let app = TestApp::with(change).await;
    app.write("data/train.csv", "id,text,kind\n1,What is Rust?,a\n2,same,b\n3,only here,a\n4,changed,a\n");
    app.write("data/test.csv", "id,text,kind\n2,same,b\n4,what is rust,b\n5,new,b\n");
    app.settle().await;
    app
}

async fn train_and_test() -> TestApp {
    splits(|_| {}).await
}

fn part(answer: &Answer, pointer: &str) -> JsonValue {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json().pointer(pointer).unwrap_or_else(|| panic!("no {pointer} in {}", answer.text())).clone()
}

#[tokio::test]
async fn splits_are_compared_by_rows_and_by_text() {
    let app = train_and_test().await;
    let answer = app.get(&format!("{TRAIN}&with_split=test")).await;
    assert_eq!(answer.header("cache-control"), Some("max-age=120"));
    let revision = answer.header("x-revision").unwrap();
    let side = |split: &str, rows: u64| json!({"dataset": "local/data", "config": "default", "split": split, "revision": revision, "num_rows": rows, "partial": false});
    assert_eq!(part(&answer, "/left"), side("test", 3));
    assert_eq!(part(&answer, "/right"), side("train", 4));
    assert_eq!(
        part(&answer, "/schema"),
        json!({"added": [], "removed": [], "changed": [], "same": 3, "reordered": false})
    );
    assert_eq!(
        part(&answer, "/rows"),
        json!({
            "key": [], "columns": ["id", "text", "kind"],
            "same": 1, "changed": 0, "added": 3, "removed": 2, "repeated": [0, 0],
            "examples": {"changed": [], "added": [0, 2, 3], "removed": [1, 2]},
        })
    );
    let shared = |examples: JsonValue| json!({"left_rows": 1, "right_rows": 1, "distinct": 1, "examples": examples});
    assert_eq!(part(&answer, "/leakage/exact"), shared(json!([[0, 1]])));
    // `kind` differs where the text is the same.
    assert_eq!(part(&answer, "/leakage/normalized"), shared(json!([[0, 1]])));
    let texts = app.get(&format!("{TRAIN}&with_split=test&columns=text")).await;
    assert_eq!(part(&texts, "/leakage/text_columns"), json!(["text"]));
    assert_eq!(part(&texts, "/leakage/normalized/examples"), json!([[0, 1], [1, 0]]));
}

#[tokio::test]
async fn rows_of_one_key_may_be_changed() {
    let app = train_and_test().await;
    let rows = part(&app.get(&format!("{TRAIN}&with_split=test&key=id")).await, "/rows");
    let counts = ["same", "changed", "added", "removed"].map(|name| rows[name].as_u64().unwrap());
    assert_eq!(counts, [1, 1, 2, 1]);
    assert_eq!(rows["examples"]["changed"], json!([[1, 3]]));
}

#[tokio::test]
async fn columns_come_with_scores_most_different_first() {
    let app = train_and_test().await;
    let columns = part(&app.get(&format!("{TRAIN}&with_split=test&columns=kind")).await, "/columns");
    let kind = columns.as_array().unwrap().iter().find(|column| column["column"] == "kind").unwrap();
    assert_eq!((&kind["method"], &kind["level"]), (&json!("jensen_shannon"), &json!("large")));
    assert_eq!(kind["values"], json!([{"value": "a", "left": 0, "right": 3}, {"value": "b", "left": 3, "right": 1}]));
    let levels: Vec<_> = columns.as_array().unwrap().iter().map(|column| column["level"].as_str().unwrap()).collect();
    let order = |level: &&str| ["large", "moderate", "small"].iter().position(|known| known == level);
    assert!(levels.is_sorted_by_key(order), "{levels:?}");
}

#[tokio::test]
async fn a_revision_is_compared_with_an_earlier_one() {
    let app = TestApp::with_file("a.csv", "id,n\n1,10\n2,20\n").await;
    let old = app.dataset("local/data").await.unwrap().target;
    app.write("data/a.csv", "id,n,m\n1,10,x\n2,21,y\n3,30,z\n");
    app.settle().await;
    let answer = app.get(&format!("{TRAIN}&key=id&with_revision={old}")).await;
    assert_eq!(part(&answer, "/schema/added/0/name"), "m");
    let rows = part(&answer, "/rows");
    assert_eq!(["same", "changed", "added", "removed"].map(|name| rows[name].as_u64().unwrap()), [1, 1, 1, 0]);
    assert_eq!(part(&answer, "/left/revision"), old.as_str());
}

#[tokio::test]
async fn datasets_are_compared_across_each_other() {
    let app = train_and_test().await;
    app.write("other/train.csv", "text\nsame\n");
    app.settle().await;
    let answer = app.get(&format!("{TRAIN}&with_dataset=local/other")).await;
    assert_eq!(part(&answer, "/rows/columns"), json!(["text"]));
    assert_eq!(part(&answer, "/leakage/exact/right_rows"), 1);
}

#[tokio::test]
async fn a_split_equals_itself() {
    let app = train_and_test().await;
    let answer = app.get(TRAIN).await;
    assert_eq!(part(&answer, "/rows/same"), 4);
    let columns = part(&answer, "/columns");
    assert!(columns.as_array().unwrap().iter().all(|column| column["drift"] == 0.0), "{columns}");
}

#[tokio::test]
async fn what_cannot_be_compared_is_refused() {
    let app = train_and_test().await;
    let paths = [
        "/compare?dataset=local/data&config=default".to_owned(),
        format!("{TRAIN}&with_split=nope"),
        format!("{TRAIN}&with_dataset=local/none"),
        format!("{TRAIN}&with_split=test&with_revision=.."),
        format!("{TRAIN}&with_split=test&key=nope"),
        format!("{TRAIN}&with_split=test&columns=text,nope"),
    ];
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    assert_snapshot!(outcomes(&app, &paths).await.replace(TRAIN, ""), @r"
    /compare?dataset=local/data&config=default → 422 MissingRequiredParameter: Parameter 'split' is required
    &with_split=nope → 404 ResponseNotFound: Not found.
    &with_dataset=local/none → 401 ExternalUnauthenticatedError: The dataset does not exist, or is not accessible without authentication (private or gated).
    &with_split=test&with_revision=.. → 422 InvalidParameter: Parameter 'with_revision': `..` is not a revision
    &with_split=test&key=nope → 422 InvalidParameter: Parameter 'key': there is no column `nope`; there are `id`, `text`, `kind`
    &with_split=test&columns=text,nope → 422 InvalidParameter: Parameter 'columns': there is no column `nope`; there are `id`, `text`, `kind`
    ");
}

#[tokio::test]
async fn what_takes_its_time_goes_on_in_the_background() {
    let app = splits(|options| options.api.compare.wait = Duration::ZERO).await;
    let path = format!("{TRAIN}&with_split=test");
    app.children.take_calls();
    let held = app.children.hold("compare");
    let mut first = app.get(&path).await;
    while first.json()["status"] == "waiting" {
        tokio::task::yield_now().await;
        first = app.get(&path).await;
    }
    assert_snapshot!(show(&first).replace(first.header("x-revision").unwrap(), "…"), @r#"
    202
    cache-control: no-store
    content-type: application/json
    retry-after: 1
    x-revision: …

    {
      "status": "running",
      "progress": null
    }
    "#);
    drop(held);
    let mut answer = app.get(&path).await;
    while answer.status == 202 {
        tokio::task::yield_now().await;
        answer = app.get(&path).await;
    }
    assert_eq!(part(&answer, "/rows/same"), 1);
    assert_eq!(app.children.take_calls(), ["compare 4 rows with 3"], "worked on once");
    // What the client holds is not sent again, and nothing is computed for it.
    let known = app.ask("GET", &path, &[("if-none-match", answer.header("etag").unwrap())]).await;
    assert_eq!((known.status, app.children.take_calls()), (304, Vec::new()));
}

#[tokio::test]
async fn what_takes_too_long_says_so_and_may_be_tried_again() {
    let app = train_and_test().await;
    let path = format!("{TRAIN}&with_split=test");
    app.children.fail("compare", Failure::TooLong, 1);
    assert_snapshot!(outcomes(&app, &[&path]).await.replace(&path, ""), @" → 422 QueryBudgetExceeded: Comparing takes longer than the 600 seconds allowed. Compare smaller splits, or ask the operator.");
    assert_eq!(app.get(&path).await.status, 200);
}
