//! What does not exist and what may not be read look the same.

use insta::assert_snapshot;

use super::{birds, outcome, outcomes};

#[tokio::test]
async fn unknown_datasets_ask_for_credentials_on_every_route() {
    let app = birds().await;
    let rest = "dataset=local/none&config=default&split=train";
    let mut paths: Vec<String> = ["splits", "first-rows", "parquet", "info", "size", "is-valid", "rows"]
        .map(|path| format!("/{path}?{rest}"))
        .into();
    paths.push("/datasets/local/none/resolve/main/birds.csv".into());
    paths.push("/datasets/local/none/resolve/refs%2Fconvert%2Fparquet/default/train/0000.parquet".into());
    for path in &paths {
        let anonymous = app.get(path).await;
        assert_eq!(
            (anonymous.status, anonymous.header("x-error-code")),
            (401, Some("ExternalUnauthenticatedError")),
            "{path}"
        );
        let known = app.ask("GET", path, &[("authorization", "Bearer hf_x")]).await;
        assert_eq!((known.status, known.header("x-error-code")), (404, Some("ExternalAuthenticatedError")), "{path}");
        assert_eq!(known.header("x-revision"), None, "{path}");
    }
    assert_snapshot!(outcome(&app.get(&paths[0]).await), @"401 ExternalUnauthenticatedError: The dataset does not exist, or is not accessible without authentication (private or gated).");
    assert_snapshot!(outcome(&app.ask("GET", &paths[0], &[("authorization", "Bearer hf_x")]).await), @"404 ExternalAuthenticatedError: The dataset does not exist, or is not accessible with the current credentials (private or gated).");
}

#[tokio::test]
async fn names_that_cannot_exist_are_unknown_too() {
    let app = birds().await;
    let paths = [
        "/splits?dataset=local",
        "/splits?dataset=local/data/more",
        "/splits?dataset=../data",
        "/splits?dataset=local%2F..%2Fdata",
        "/splits?dataset=LOCAL/data",
        "/splits?dataset=local/%F0%9F%90%A6",
        "/splits?dataset=%FF",
    ];
    let lines = outcomes(&app, &paths).await;
    assert!(lines.lines().all(|line| line.contains("→ 401 ExternalUnauthenticatedError")), "{lines}");
}
