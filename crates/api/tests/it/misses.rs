//! What is said when an answer is not stored: come back, never, or jobs are planned first.

use belvedere_testing::TestApp;
use insta::assert_snapshot;

use super::{BIRDS, birds, outcomes};

const PATHS: [&str; 7] = [
    "/splits?dataset=local/data",
    "/first-rows?dataset=local/data&config=default&split=train",
    "/parquet?dataset=local/data",
    "/info?dataset=local/data",
    "/size?dataset=local/data",
    "/is-valid?dataset=local/data",
    "/rows?dataset=local/data&config=default&split=train",
];

#[tokio::test]
async fn the_first_request_for_a_dataset_plans_its_jobs() {
    let app = TestApp::new().await;
    app.write("data/birds.csv", BIRDS);
    app.scan().await;
    assert_eq!(app.queue().await, Vec::<String>::new());
    let answer = app.get(PATHS[0]).await;
    assert_eq!((answer.status, answer.header("x-error-code")), (500, Some("ResponseNotReady")));
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(app.queue().await, ["dataset-init"]);
    // Asking again plans nothing more.
    app.get(PATHS[1]).await;
    assert_eq!(app.queue().await, ["dataset-init"]);
    app.run_jobs().await;
    for path in PATHS {
        assert_eq!(app.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn everything_is_not_ready_while_its_ancestors_wait() {
    let app = TestApp::new().await;
    app.write("data/birds.csv", BIRDS);
    app.refresh().await;
    let lines = outcomes(&app, &PATHS).await;
    assert!(lines.lines().all(|line| line.contains("→ 500 ResponseNotReady")), "{lines}");
    // Even what will turn out not to exist.
    let answer = app.get("/splits?dataset=local/data&config=nope").await;
    assert_eq!(answer.header("x-error-code"), Some("ResponseNotReady"));
}

#[tokio::test]
async fn a_known_dataset_has_no_other_configs_and_splits() {
    let app = birds().await;
    let paths = [
        "/splits?dataset=local/data&config=nope",
        "/splits?dataset=local/data&config=a%2Fb",
        "/first-rows?dataset=local/data&config=default&split=nope",
        "/first-rows?dataset=local/data&config=default&split=a-b",
        "/parquet?dataset=local/data&config=nope",
        "/info?dataset=local/data&config=nope",
        "/size?dataset=local/data&config=nope",
        "/is-valid?dataset=local/data&config=nope",
        "/is-valid?dataset=local/data&config=default&split=nope",
        "/rows?dataset=local/data&config=nope&split=train",
        "/rows?dataset=local/data&config=default&split=nope",
        "/rows?dataset=local/data&config=default&split=a-b",
    ];
    let lines = outcomes(&app, &paths).await;
    assert!(lines.lines().all(|line| line.ends_with("→ 404 ResponseNotFound: Not found.")), "{lines}");
    assert_eq!(app.queue().await, Vec::<String>::new(), "a miss of a known dataset plans nothing");
}

#[tokio::test]
async fn an_unknown_split_is_a_surprise_where_the_reference_has_one() {
    let app = TestApp::with(|options| options.api.compat = true).await;
    app.write("data/birds.csv", BIRDS);
    app.settle().await;
    let answer = app.get("/rows?dataset=local/data&config=default&split=nope").await;
    assert_eq!((answer.status, answer.header("x-error-code")), (500, Some("UnexpectedApiError")));
}

#[tokio::test]
async fn answers_come_step_by_step_while_a_dataset_is_new() {
    let app = TestApp::new().await;
    app.write("data/birds.csv", BIRDS);
    app.refresh().await;
    let mut story = Vec::new();
    loop {
        let mut ready = Vec::new();
        for path in PATHS {
            if app.get(path).await.status == 200 {
                ready.push(path.split(['/', '?']).nth(1).unwrap());
            }
        }
        if story.last() != Some(&ready) {
            story.push(ready);
        }
        if !app.tick().await {
            break;
        }
    }
    assert_eq!(story.remove(0), Vec::<&str>::new());
    let story: Vec<_> = story.iter().map(|ready| ready.join(" ")).collect();
    assert_snapshot!(story.join("\n"), @r"
    splits
    splits first-rows
    splits first-rows rows
    splits first-rows parquet rows
    splits first-rows parquet info rows
    splits first-rows parquet info size rows
    splits first-rows parquet info size is-valid rows
    ");
}

#[tokio::test]
async fn incomplete_aggregates_are_served_when_patience_ends() {
    let app = TestApp::with(|options| options.api.patience_seconds = -1.0).await;
    app.write(
        "data/README.md",
        "---\nconfigs:\n- config_name: a\n  data_files: a.csv\n- config_name: b\n  data_files: b.csv\n---\n",
    );
    app.write("data/a.csv", "x\n1\n");
    app.write("data/b.csv", "y\n1\n2\n");
    app.refresh().await;
    while app.get("/size?dataset=local/data").await.status != 200 {
        assert!(app.tick().await, "the sizes never came");
    }
    let partial = app.get("/size?dataset=local/data").await.json();
    let pending = |config: &str| serde_json::json!({"kind": "config-size", "dataset": "local/data", "config": config, "split": null});
    assert_eq!(partial["pending"], serde_json::json!([pending("a"), pending("b")]));
    assert_eq!(partial["size"]["dataset"]["num_rows"], 0);
    app.run_jobs().await;
    let whole = app.get("/size?dataset=local/data").await.json();
    assert_eq!((&whole["pending"], &whole["size"]["dataset"]["num_rows"]), (&serde_json::json!([]), &3.into()));
}
