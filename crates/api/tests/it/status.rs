//! `/status`: how far a dataset is, once and as events.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use belvedere_testing::{Answer, TestApp};
use http_body_util::BodyExt;
use insta::assert_snapshot;
use serde_json::Value as Json;
use tower::ServiceExt;

use super::BIRDS;

const STATUS: &str = "/status?dataset=local/data";

async fn status(app: &TestApp) -> Json {
    let answer: Answer = app.get(STATUS).await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")), "{}", answer.text());
    answer.json()
}

/// What does not differ from run to run, in short.
fn told(status: &Json) -> String {
    let steps: Vec<String> = status["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| {
            let parts = ["done", "failed", "waiting", "running"].map(|part| step[part].to_string());
            format!("{} {}", step["step"].as_str().unwrap(), parts.join("/"))
        })
        .collect();
    format!("{} {}\n{}", status["state"].as_str().unwrap(), status["progress"], steps.join("\n"))
}

#[tokio::test]
async fn a_dataset_is_followed_from_its_first_job_to_its_last() {
    for app in TestApp::everywhere(|_| {}).await {
        app.write("other/birds.csv", BIRDS);
        app.refresh().await;
        app.write("data/birds.csv", BIRDS);
        app.refresh().await;
        let before = status(&app).await;
        assert_eq!(told(&before), "preparing 0.0\ndataset-init 0/0/1/0");
        assert_eq!((&before["waiting_jobs"], &before["running_jobs"]), (&1.into(), &0.into()));
        // One job of the other dataset is older. No job has run yet, so that nobody knows how long they take.
        assert_eq!(before["queue"]["position"], 2);
        assert_eq!(before["queue"]["expected_wait_seconds"], Json::Null);
        let job = &before["jobs"][0];
        assert_eq!(
            (&job["step"], &job["status"], &job["started_at"]),
            (&"dataset-init".into(), &"waiting".into(), &Json::Null)
        );
        assert_eq!(before["served_revision"], Json::Null);
        app.settle().await;
        let after = status(&app).await;
        assert_eq!((&after["state"], &after["progress"]), (&"ready".into(), &1.0.into()));
        assert_eq!(
            (&after["queue"], &after["jobs"], &after["errors"]),
            (&Json::Null, &Json::Array(vec![]), &Json::Array(vec![]))
        );
        assert_eq!(after["served_revision"], after["target_revision"]);
        let steps = after["steps"].as_array().unwrap();
        assert!(steps.iter().any(|step| step["step"] == "config-parquet-and-info" && step["done"] == 1), "{after}");
        app.close().await;
    }
}

#[tokio::test]
async fn the_wait_is_reckoned_from_the_last_jobs() {
    let app = TestApp::with_file("birds.csv", BIRDS).await;
    app.worker.store_history().await;
    app.write("data/birds.csv", "name\nwren\n");
    app.refresh().await;
    let queue = status(&app).await["queue"].clone();
    assert_eq!((&queue["position"], &queue["expected_wait_seconds"]), (&1.into(), &0.0.into()));
    assert!(queue["expected_seconds"].is_number(), "{queue}");
}

#[tokio::test]
async fn errors_are_told_where_they_arose() {
    let app = TestApp::new().await;
    app.write("data/a.csv", "a,b\n1,2\n3,4,5\n");
    app.settle().await;
    let found = status(&app).await;
    assert_eq!(found["state"], "with errors");
    let errors: Vec<String> = found["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| {
            assert!(error["affected"].as_u64().unwrap() > 0 || error["step"] != "config-parquet-and-info", "{error}");
            format!("{} {} {}: {}", error["step"], error["config"], error["code"], error["cause"])
        })
        .collect();
    assert_snapshot!(errors.join("\n"), @r#"
    "config-parquet-and-info" "default" "DatasetGenerationError": "a.csv, line 3: expected 2 fields, found 3; quote fields that hold the separator, or skip such lines with `on_bad_lines: skip`"
    "split-first-rows" "default" "FeaturesError": "a.csv, line 3: expected 2 fields, found 3; quote fields that hold the separator, or skip such lines with `on_bad_lines: skip`"
    "#);
}

#[tokio::test]
async fn files_that_nobody_has_looked_at_are_a_new_dataset() {
    let app = TestApp::new().await;
    app.write("data/birds.csv", BIRDS);
    app.scan().await;
    let found = status(&app).await;
    assert_eq!((&found["state"], &found["target_revision"]), (&"new".into(), &Json::Null));
    assert_eq!(app.get("/status?dataset=local/none").await.status, 401);
    assert_eq!(app.get("/status").await.status, 422);
}

/// A client that reads events one by one.
struct Client {
    body: Body,
    buffer: String,
}

impl Client {
    async fn connect(app: &TestApp, path: &str) -> Self {
        let request = Request::builder().uri(path).header("accept", "text/event-stream").body(Body::empty()).unwrap();
        let response = app.router().clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        Self { body: response.into_body(), buffer: String::new() }
    }

    async fn status(&mut self) -> Json {
        loop {
            if let Some((block, rest)) = self.buffer.split_once("\n\n") {
                let data = block.strip_prefix("event: status\ndata: ").unwrap_or_else(|| panic!("{block}"));
                let status = serde_json::from_str(data).unwrap();
                self.buffer = rest.to_owned();
                return status;
            }
            let frame =
                tokio::time::timeout(Duration::from_secs(60), self.body.frame()).await.expect("something comes");
            self.buffer.push_str(std::str::from_utf8(frame.unwrap().unwrap().data_ref().unwrap()).unwrap());
        }
    }
}

#[tokio::test]
async fn changes_are_told_as_events() {
    let app = TestApp::new().await;
    app.write("data/birds.csv", BIRDS);
    app.refresh().await;
    let mut client = Client::connect(&app, STATUS).await;
    let mut last = client.status().await;
    assert_eq!(told(&last), "preparing 0.0\ndataset-init 0/0/1/0");
    app.settle().await;
    while last["state"] != "ready" {
        let next = client.status().await;
        assert_ne!(next, last, "only changes are told");
        last = next;
    }
    assert_eq!(last, status(&app).await);
}
