//! Server-sent events about what the Hub shows of each dataset.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use belvedere_api::{ApiSettings, ApiState, Router};
use belvedere_domain::plan::Plan;
use belvedere_domain::view::DigestBuilder;
use belvedere_domain::{ArtifactKey, DatasetName, Difficulty, NewJob, Priority, Revision, StepName, View};
use belvedere_store::{ClaimRequest, Completion, NewView, TargetChange, ViewContent};
use belvedere_testing::TestApp;
use http_body_util::BodyExt;
use serde_json::{Value as Json, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::BIRDS;

/// A client that reads events one by one.
struct Client {
    body: Body,
    buffer: String,
}

impl Client {
    async fn connect(router: &Router, path: &str) -> Self {
        Self::connect_as(router, path, "").await
    }

    async fn connect_as(router: &Router, path: &str, authorization: &str) -> Self {
        let request = Request::builder().uri(path).header("accept-encoding", "gzip");
        let request = request.header("authorization", authorization).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        for (name, value) in [
            ("content-type", "text/event-stream; charset=utf-8"),
            ("cache-control", "no-store"),
            ("connection", "keep-alive"),
            ("x-accel-buffering", "no"),
        ] {
            assert_eq!(response.headers()[name], value);
        }
        assert!(!response.headers().contains_key("content-encoding"));
        Self { body: response.into_body(), buffer: String::new() }
    }

    /// The next block of lines, without comments; `None` at the end.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.buffer.split_once("\r\n\r\n") {
                let block = block.to_owned();
                self.buffer = rest.to_owned();
                if block.starts_with(':') {
                    continue;
                }
                return Some(block);
            }
            let frame =
                tokio::time::timeout(Duration::from_secs(60), self.body.frame()).await.expect("something comes");
            self.buffer.push_str(std::str::from_utf8(frame?.unwrap().data_ref().unwrap()).unwrap());
        }
    }

    /// The data of the next event.
    async fn event(&mut self) -> Json {
        let block = self.block().await.expect("the stream goes on");
        let data = block.strip_prefix("event: message\r\ndata: ").unwrap_or_else(|| panic!("{block}"));
        serde_json::from_str(data).unwrap()
    }
}

#[tokio::test]
async fn everything_comes_first_and_then_what_changes() {
    for app in TestApp::everywhere(|_| {}).await {
        app.write("birds/birds.csv", BIRDS);
        app.settle().await;
        let mut client = Client::connect(app.router(), "/sse/hub-cache?all=TRUE").await;
        let first = client.event().await;
        assert_eq!(first["dataset"], "local/birds");
        let shown = &first["hub_cache"];
        assert_eq!((&shown["viewer"], &shown["num_rows"], &shown["partial"]), (&json!(true), &json!(3), &json!(false)));
        assert!(shown["libraries"].is_array() && shown["formats"].is_array() && shown["modalities"].is_array());
        app.write("birds/birds.csv", "name\nrobin\n");
        app.settle().await;
        let mut last = client.event().await;
        while last["hub_cache"]["num_rows"] != 1 {
            last = client.event().await;
        }
        app.close().await;
    }
}

#[tokio::test]
async fn rewriting_the_same_is_no_change_and_removal_is_one() {
    for app in TestApp::everywhere(|_| {}).await {
        app.write("birds/birds.csv", BIRDS);
        app.write("data/birds.csv", BIRDS);
        app.settle().await;
        let mut client = Client::connect(app.router(), "/sse/hub-cache?all=yes").await;
        for _ in 0..3 {
            app.force("dataset-hub-cache", None, None).await;
            app.run_jobs().await;
        }
        app.remove("birds");
        app.refresh().await;
        assert_eq!(client.event().await, json!({"dataset": "local/birds", "hub_cache": null}), "nothing came before");
        app.close().await;
    }
}

/// Stores an artifact of `dataset-hub-cache`.
async fn store(app: &TestApp, dataset: &str, view: View) {
    let key = ArtifactKey::dataset(StepName::known("dataset-hub-cache"), DatasetName::new(dataset).unwrap());
    let revision = Revision::new("a".repeat(40)).unwrap();
    let job = NewJob {
        key: key.clone(),
        revision: revision.clone(),
        priority: Priority::High,
        difficulty: Difficulty::new(1),
        forced: false,
        coalesce: false,
    };
    let queue = &app.services.store.queue;
    let plan = Plan { create: vec![job], ..Plan::default() };
    queue.set_target(TargetChange { dataset: key.dataset.clone(), revision, plan }).await.unwrap();
    let asker = ClaimRequest { owner: "test".into(), lease_seconds: 300.0, ..ClaimRequest::default() };
    let job = queue.claim(&asker).await.unwrap().unwrap();
    let digest = DigestBuilder::new("test", 1).part("dataset", dataset).part("view", view.content.as_str()).finish();
    let view = NewView { key, digest, runner_version: 1, content: ViewContent::Computed(view) };
    let completion = Completion { views: vec![view], ..Completion::default() };
    queue.finish(&job.lease, completion).await.unwrap();
}

#[tokio::test]
async fn errors_are_null() {
    let app = TestApp::new().await;
    store(&app, "a/bad", View::error(belvedere_domain::ErrorCode::UnexpectedError, "no", None)).await;
    store(&app, "a/good", View::ok(&json!({"num_rows": 7}))).await;
    let mut client = Client::connect(app.router(), "/sse/hub-cache?all=true").await;
    assert_eq!(client.event().await, json!({"dataset": "a/bad", "hub_cache": null}));
    assert_eq!(client.event().await, json!({"dataset": "a/good", "hub_cache": {"num_rows": 7}}));
    store(&app, "a/bad", View::ok(&json!({"num_rows": 8}))).await;
    assert_eq!(client.event().await, json!({"dataset": "a/bad", "hub_cache": {"num_rows": 8}}));
}

/// Two pages of what is stored, and then more changes than a client may be behind.
#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off() {
    const DATASETS: usize = 1_100;
    let app = TestApp::new().await;
    let mut slow = Client::connect(app.router(), "/sse/hub-cache").await;
    let mut quick = Client::connect(app.router(), "/sse/hub-cache").await;
    let writing = async {
        for number in 0..DATASETS {
            store(&app, &format!("a/d{number:04}"), View::ok(&json!({"num_rows": number}))).await;
        }
    };
    let reading = async {
        for _ in 0..DATASETS {
            quick.event().await;
        }
    };
    tokio::join!(writing, reading);
    assert_eq!(slow.block().await.as_deref(), Some("event: error\r\ndata: the client is too slow"));
    assert_eq!(slow.block().await, None);
    let mut all = Client::connect(app.router(), "/sse/hub-cache?all=true").await;
    for number in 0..DATASETS {
        assert_eq!(all.event().await["hub_cache"]["num_rows"], number);
    }
}

#[tokio::test]
async fn streams_end_with_the_server() {
    let app = TestApp::new().await;
    let stop = CancellationToken::new();
    let state = ApiState::new(Arc::clone(&app.services), Arc::clone(&app.refresher), ApiSettings::default());
    let router = belvedere_api::router(state.until(stop.clone()));
    let mut client = Client::connect(&router, "/sse/hub-cache").await;
    stop.cancel();
    assert_eq!(client.block().await.as_deref(), Some("event: error\r\ndata: the server stops"));
    assert_eq!(client.block().await, None);
}

#[tokio::test]
async fn the_service_has_health_and_metrics_of_its_own() {
    let app = TestApp::new().await;
    assert_eq!(app.get("/sse/healthcheck").await.text(), "ok");
    assert!(app.get("/sse/metrics").await.text().contains("starlette_requests_total"));
}

#[tokio::test]
async fn there_is_room_for_a_bounded_number_of_clients() {
    let app = TestApp::new().await;
    let mut clients = Vec::new();
    for _ in 0..1000 {
        clients.push(Client::connect(app.router(), "/sse/hub-cache").await);
    }
    let answer = app.get("/sse/hub-cache").await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    clients.pop();
    Client::connect(app.router(), "/sse/hub-cache").await;
}

#[tokio::test]
async fn strangers_hear_nothing_of_datasets_that_are_not_for_them() {
    let app = super::reading::guarded().await;
    let bearer = format!("Bearer {}", super::accounts::session(&app, "ana").await);
    let path = "/sse/hub-cache?all=true";
    let mut stranger = Client::connect(app.router(), path).await;
    let mut reader = Client::connect_as(app.router(), path, &bearer).await;
    assert_eq!(stranger.event().await["dataset"], "local/data");
    let mut read = [reader.event().await["dataset"].to_string(), reader.event().await["dataset"].to_string()];
    read.sort_unstable();
    assert_eq!(read, ["\"local/data\"", "\"local/secret\""]);
    app.write("secret/birds.csv", format!("{BIRDS}owl,600\n"));
    app.settle().await;
    assert_eq!(reader.event().await["dataset"], "local/secret");
    app.remove("secret");
    app.settle().await;
    // It may have been told more than once how far it was.
    loop {
        let event = reader.event().await;
        assert_eq!(event["dataset"], "local/secret");
        if event["hub_cache"].is_null() {
            break;
        }
    }
    app.write("data/birds.csv", format!("{BIRDS}owl,600\n"));
    app.settle().await;
    assert_eq!(stranger.event().await["dataset"], "local/data", "nothing came before");
}
