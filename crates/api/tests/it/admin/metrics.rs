//! Numbers for dashboards and for scaling.

use belvedere_domain::{Difficulty, NewJob, Priority};
use belvedere_store::{ClaimRequest, Completion, RateLimit};
use belvedere_testing::TestApp;
use insta::assert_snapshot;

use super::{same, settled};

/// The lines of some metrics.
async fn lines(app: &TestApp, path: &str, names: &[&str]) -> String {
    let answer = app.operate("GET", path).await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, None));
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let is_wanted = |line: &&str| names.iter().any(|name| line.starts_with(&format!("{name}{{")));
    answer.text().lines().filter(is_wanted).map(|line| format!("{line}\n")).collect()
}

#[tokio::test]
async fn jobs_are_told_by_step_status_and_rest_and_by_the_worker_they_need() {
    let mut told = Vec::new();
    for app in TestApp::everywhere(|_| {}).await {
        app.write("birds/birds.csv", super::super::BIRDS);
        app.write("busy/birds.csv", super::super::BIRDS);
        app.refresh().await;
        let request = ClaimRequest { owner: "test".into(), lease_seconds: 300.0, ..ClaimRequest::default() };
        let job = app.services.store.queue.claim(&request).await.unwrap().unwrap();
        let child = |difficulty: u32| NewJob {
            key: belvedere_domain::ArtifactKey::dataset(
                belvedere_domain::StepName::known(if difficulty > 70 { "dataset-info" } else { "dataset-size" }),
                belvedere_domain::DatasetName::new("local/busy").unwrap(),
            ),
            revision: job.record.revision.clone(),
            priority: Priority::Low,
            difficulty: Difficulty::new(difficulty),
            forced: false,
            coalesce: false,
        };
        app.services.store.queue.enqueue(vec![child(40), child(71)]).await.unwrap();
        let names = ["queue_jobs_total", "worker_size_jobs_count"];
        let before = lines(&app, "/admin/metrics", &names).await;
        // Any time at all is more than this budget, so the dataset of the job rests.
        let limit = RateLimit { minimum_seconds: -1.0, budget_seconds: -1.0, ..RateLimit::default() };
        let revision = job.record.revision.clone();
        let again = NewJob { key: job.record.key.clone(), revision, ..child(50) };
        let completion = Completion { rate_limit: Some(limit), children: vec![again], ..Completion::default() };
        app.services.store.queue.finish(&job.lease, completion).await.unwrap();
        told.push((before, lines(&app, "/admin/metrics", &names).await));
        app.close().await;
    }
    let (before, after) = same(told);
    assert_snapshot!(before, @r#"
        queue_jobs_total{dataset_status="normal",queue="dataset-info",status="waiting"} 1
        queue_jobs_total{dataset_status="normal",queue="dataset-init",status="started"} 1
        queue_jobs_total{dataset_status="normal",queue="dataset-init",status="waiting"} 1
        queue_jobs_total{dataset_status="normal",queue="dataset-size",status="waiting"} 1
        worker_size_jobs_count{worker_size="heavy"} 1
        worker_size_jobs_count{worker_size="light"} 1
        worker_size_jobs_count{worker_size="medium"} 1
        "#);
    assert_snapshot!(after, @r#"
        queue_jobs_total{dataset_status="blocked",queue="dataset-init",status="waiting"} 1
        queue_jobs_total{dataset_status="normal",queue="dataset-info",status="waiting"} 1
        queue_jobs_total{dataset_status="normal",queue="dataset-init",status="waiting"} 1
        queue_jobs_total{dataset_status="normal",queue="dataset-size",status="waiting"} 1
        worker_size_jobs_count{worker_size="heavy"} 1
        worker_size_jobs_count{worker_size="light"} 1
        worker_size_jobs_count{worker_size="medium"} 1
        "#);
}

#[tokio::test]
async fn artifacts_are_told_by_their_outcome() {
    for app in settled().await {
        let found = lines(&app, "/admin/metrics", &["responses_in_cache_total"]).await;
        for line in [
            r#"responses_in_cache_total{error_code="None",http_status="200",kind="config-size"} 1"#,
            r#"responses_in_cache_total{error_code="DatasetGenerationError",http_status="500",kind="config-size"} 1"#,
            r#"responses_in_cache_total{error_code="None",http_status="200",kind="dataset-init"} 2"#,
        ] {
            assert!(found.lines().any(|found| found == line), "{found}");
        }
        app.close().await;
    }
}

#[tokio::test]
async fn requests_are_told_by_their_route_as_declared() {
    let app = TestApp::new().await;
    for path in
        ["/admin/cache-reports/config-size", "/cache-reports/splits", "/admin/jobs/17", "/admin/nothing", "/metrics"]
    {
        app.operate("GET", path).await;
    }
    let names =
        ["starlette_requests_total", "starlette_requests_in_progress", "method_steps_processing_time_seconds_count"];
    assert_snapshot!(lines(&app, "/admin/metrics", &names).await, @r#"
    method_steps_processing_time_seconds_count{method="cache_reports_endpoint",step="all"} 2
    method_steps_processing_time_seconds_count{method="jobs_endpoint",step="all"} 1
    method_steps_processing_time_seconds_count{method="metrics_endpoint",step="all"} 1
    starlette_requests_in_progress{method="GET",path_template="/admin/cache-reports/config-size"} 0
    starlette_requests_in_progress{method="GET",path_template="/admin/jobs/{id}"} 0
    starlette_requests_in_progress{method="GET",path_template="/admin/metrics"} 1
    starlette_requests_in_progress{method="GET",path_template="/cache-reports/splits"} 0
    starlette_requests_in_progress{method="GET",path_template="/metrics"} 0
    starlette_requests_total{method="GET",path_template="/admin/cache-reports/config-size"} 1
    starlette_requests_total{method="GET",path_template="/admin/jobs/{id}"} 1
    starlette_requests_total{method="GET",path_template="/admin/metrics"} 1
    starlette_requests_total{method="GET",path_template="/cache-reports/splits"} 1
    starlette_requests_total{method="GET",path_template="/metrics"} 1
    "#);
}

#[tokio::test]
async fn gauges_carry_the_process_where_processes_share_their_metrics() {
    let app = TestApp::with(|options| options.api.admin.gauges_with_pid = true).await;
    app.write("birds/birds.csv", super::super::BIRDS);
    app.refresh().await;
    let pid = format!("pid=\"{}\"", std::process::id());
    for name in ["queue_jobs_total", "worker_size_jobs_count", "starlette_requests_in_progress"] {
        let found = lines(&app, "/admin/metrics", &[name]).await;
        assert!(!found.is_empty() && found.lines().all(|line| line.contains(&pid)), "{found}");
    }
    let text = app.operate("GET", "/metrics").await.text();
    assert!(!text.contains("process_start_time_seconds"));
    assert!(!text.lines().any(|line| line.starts_with("starlette_requests_total{") && line.contains(&pid)));
}

#[tokio::test]
async fn the_disk_of_the_files_is_told() {
    let folder = std::env::temp_dir();
    let app = TestApp::with(|options| options.api.blobs = Some(folder)).await;
    let found = lines(&app, "/admin/metrics", &["parquet_metadata_disk_usage"]).await;
    for kind in ["total", "used", "free", "percent"] {
        let line = found.lines().find(|line| line.contains(&format!("type=\"{kind}\""))).expect("a value");
        let value: f64 = line.rsplit(' ').next().unwrap().parse().unwrap();
        assert!(value >= 0.0 && (kind != "percent" || value <= 100.0), "{line}");
    }
}
