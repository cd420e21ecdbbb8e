//! What describes the API: OpenAPI, the page of endpoints, metrics, health.

use std::path::Path;

use belvedere_hub::services::{OptOut, Pacing};
use belvedere_jobs::scans::ScannedDatasets;
use belvedere_testing::{TestApp, show};
use insta::assert_snapshot;

use super::{BIRDS, birds};

#[tokio::test]
async fn the_document_of_the_api_is_up_to_date() {
    let app = TestApp::new().await;
    let answer = app.get("/openapi.json").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    let mut expected = serde_json::to_string_pretty(&answer.json()).unwrap();
    expected.push('\n');
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "docs/openapi.json is out of date: run `UPDATE_DOCS=1 cargo test -p belvedere-api`");
}

#[tokio::test]
async fn every_documented_path_answers() {
    // What is off until an operator turns it on is on. Nobody is asked about birds.
    let app = TestApp::with(|options| {
        let scans = &mut options.settings.scans;
        scans.presidio_entities.datasets = ScannedDatasets::All;
        scans.opt_in_out_urls.service = Some(OptOut::new("http://127.0.0.1:9", "token", 1, Pacing::default()));
    })
    .await;
    app.write("data/birds.csv", BIRDS);
    app.settle().await;
    let document = app.get("/openapi.json").await.json();
    let paths = document["paths"].as_object().unwrap();
    // What answers to other methods, without end, or after a login, has tests of its own.
    let is_plain = |operations: &serde_json::Value| {
        operations["get"].is_object()
            && operations["get"]["security"].is_null()
            && operations["get"]["responses"]["200"]["content"]["text/event-stream"].is_null()
    };
    for (path, operations) in paths.iter().filter(|(_, operations)| is_plain(operations)) {
        let parameters = operations["get"]["parameters"].as_array().cloned().unwrap_or_default();
        let query: Vec<_> = parameters
            .iter()
            .filter(|parameter| parameter["required"] == true)
            .map(|parameter| match parameter["name"].as_str().unwrap() {
                "dataset" => "dataset=local/data",
                "config" => "config=default",
                "split" => "split=train",
                "query" => "query=robin",
                "row" => "row=0",
                "column" => "column=name",
                other => panic!("what to give as {other}?"),
            })
            .collect();
        let answer = app.get(&format!("{path}?{}", query.join("&"))).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
}

#[tokio::test]
async fn the_page_of_endpoints_links_to_answers_about_a_dataset_at_hand() {
    let app = birds().await;
    let page = app.get("/docs").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let text = page.text();
    let links: Vec<_> = text.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(links.len() > 10, "{links:?}");
    assert_eq!(text.matches("has not turned it on").count(), 2);
    for link in links {
        assert_eq!(app.get(&link.replace("&amp;", "&")).await.status, 200, "{link}");
    }
}

#[tokio::test]
async fn health_needs_no_database() {
    let app = TestApp::new().await;
    assert_snapshot!(show(&app.get("/healthcheck").await), @r"
    200
    cache-control: no-store
    content-type: text/plain; charset=utf-8

    ok
    ");
}

#[tokio::test]
async fn metrics_count_requests_jobs_and_views() {
    let app = TestApp::new().await;
    app.write("data/a.csv", "a,b\n1,2\n1,2,3\n");
    app.refresh().await;
    app.get("/splits?dataset=local/data").await;
    app.get("/splits").await;
    app.get("/nope").await;
    app.get("/datasets/local/data/resolve/main/secret-name.csv").await;
    let answer = app.get("/metrics").await;
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let waiting = answer.text();
    app.run_jobs().await;
    let settled = app.get("/metrics").await.text();
    let lines = |text: &str, start: &str| -> String {
        text.lines().filter(|line| line.starts_with(start)).map(|line| format!("{line}\n")).collect()
    };
    assert_snapshot!(lines(&waiting, "starlette_requests_total"), @r#"
    starlette_requests_total{method="GET",path_template="/datasets/{*path}"} 1
    starlette_requests_total{method="GET",path_template="/metrics"} 1
    starlette_requests_total{method="GET",path_template="/splits"} 2
    "#);
    assert_snapshot!(lines(&waiting, "starlette_responses_total"), @r#"
    starlette_responses_total{method="GET",path_template="/datasets/{*path}",status_code="404"} 1
    starlette_responses_total{method="GET",path_template="/splits",status_code="422"} 1
    starlette_responses_total{method="GET",path_template="/splits",status_code="500"} 1
    "#);
    assert_snapshot!(lines(&waiting, "queue_jobs_total"), @r#"queue_jobs_total{dataset_status="normal",queue="dataset-init",status="waiting"} 1"#);
    assert_eq!(lines(&settled, "queue_jobs_total"), "");
    // Those of one level are enough, so that this list does not grow with the steps.
    let views = lines(&settled, "responses_in_cache_total");
    let of_configs: String =
        views.lines().filter(|line| line.contains("kind=\"config-")).map(|line| format!("{line}\n")).collect();
    assert_snapshot!(of_configs, @r#"
    responses_in_cache_total{error_code="DatasetGenerationError",http_status="500",kind="config-info"} 1
    responses_in_cache_total{error_code="DatasetGenerationError",http_status="500",kind="config-parquet"} 1
    responses_in_cache_total{error_code="DatasetGenerationError",http_status="500",kind="config-parquet-and-info"} 1
    responses_in_cache_total{error_code="DatasetGenerationError",http_status="500",kind="config-parquet-layout"} 1
    responses_in_cache_total{error_code="DatasetGenerationError",http_status="500",kind="config-parquet-metadata"} 1
    responses_in_cache_total{error_code="DatasetGenerationError",http_status="500",kind="config-size"} 1
    responses_in_cache_total{error_code="None",http_status="200",kind="config-is-valid"} 1
    responses_in_cache_total{error_code="None",http_status="200",kind="config-split-names"} 1
    "#);
    assert!(!waiting.contains("secret-name") && !waiting.contains("nope"), "paths make no labels");
}

#[tokio::test]
async fn the_document_of_the_admin_service_is_up_to_date_and_true() {
    let app = birds().await;
    let answer = app.operate("GET", "/admin/openapi.json").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    let mut expected = serde_json::to_string_pretty(&answer.json()).unwrap();
    expected.push('\n');
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi-admin.json");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "docs/openapi-admin.json is out of date: run `UPDATE_DOCS=1 cargo test -p belvedere-api`"
    );
    let job = app.operate("GET", "/admin/jobs").await.json()["runs"][0]["id"].to_string();
    for (path, operations) in answer.json()["paths"].as_object().unwrap() {
        let method = operations.as_object().unwrap().keys().next().unwrap();
        let path = path.replace("{step}", "dataset-size").replace("{id}", &job);
        let query = "?dataset=local/data&dry_run=true";
        let answer = app.operate(&method.to_uppercase(), &format!("{path}{query}")).await;
        assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text());
    }
}
