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

/// e115 | clients send paths, methods and headers of their own making, datasets and files have odd names | the labels of
/// `/metrics` stay routes as declared, names of steps, codes and fixed words
#[tokio::test]
async fn e115_hostile_names_make_no_new_labels() {
    let app = TestApp::new().await;
    app.write("birds/birds.csv", super::super::BIRDS);
    app.settle().await;
    let series = |text: &str| -> std::collections::BTreeSet<String> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned())).collect()
    };
    let ask = async |name: &str| {
        for path in [
            format!("/{name}"),
            format!("/admin/{name}"),
            format!("/admin/jobs/{name}"),
            format!("/admin/cache-reports/{name}"),
            format!("/admin/force-refresh{name}"),
            format!("/datasets/{name}/resolve/main/{name}"),
            format!("/assets/{name}"),
            format!("/splits?dataset={name}"),
            format!("/rows?dataset=local/birds&config={name}&split={name}"),
            format!("/sse/{name}"),
        ] {
            let request_id = ("x-request-id", name);
            app.ask_as("GET", &path, &[("host", "localhost"), request_id, ("user-agent", name)]).await;
            // A method of the client's own making, on routes that exist and on others.
            app.ask_as(&format!("M{}", name.len()), &path, &[("host", "localhost")]).await;
            app.ask_as(&format!("X-{}", name.replace('%', "-")), "/splits", &[]).await;
        }
    };
    ask("first").await;
    app.operate("GET", "/metrics").await;
    let before = series(&app.operate("GET", "/metrics").await.text());
    for number in 0..50 {
        ask(&format!("hostile%22%0A%7D{number}")).await;
        // Names that come from folders and files.
        app.write(&format!("hostile-{number}/a{number}\"}}.csv"), "a,b\n1\n1,2,3\n");
    }
    app.settle().await;
    let text = app.operate("GET", "/metrics").await.text();
    assert!(!text.to_lowercase().contains("hostile"), "{text}");
    let new: Vec<String> = series(&text).difference(&before).cloned().collect();
    // Outcomes of steps and statuses of routes that had not occurred before, at most; not one per name.
    let steps = app.services.graph.steps().len();
    assert!(new.len() < 3 * steps, "{} new: {new:#?}", new.len());
    let methods = new.iter().filter(|series| series.contains("method=\"M") || series.contains("method=\"X"));
    assert_eq!(methods.count(), 0);
}

#[tokio::test]
async fn the_worker_tells_how_long_jobs_take_and_how_they_end() {
    let app = TestApp::new().await;
    app.write("birds/birds.csv", super::super::BIRDS);
    app.write("broken/a.csv", "a,b\n1,2\n3,4,5\n");
    app.settle().await;
    let names = ["belvedere_jobs_ended_total", "belvedere_job_duration_seconds_count"];
    let found = lines(&app, "/admin/metrics", &names).await;
    let of_step: String =
        found.lines().filter(|line| line.contains("step=\"config-size\"")).map(|line| format!("{line}\n")).collect();
    assert_snapshot!(of_step, @r#"
    belvedere_job_duration_seconds_count{step="config-size"} 2
    belvedere_jobs_ended_total{ending="stored",step="config-size"} 2
    "#);
    let loops = lines(
        &app,
        "/admin/metrics",
        &["method_long_steps_processing_time_seconds_count", "method_steps_processing_time_seconds_count"],
    )
    .await;
    let runs: u64 = found
        .lines()
        .filter(|line| line.starts_with("belvedere_jobs_ended_total"))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum();
    for part in [
        format!(r#"method_long_steps_processing_time_seconds_count{{method="loop",step="run_job"}} {runs}"#),
        format!(r#"method_steps_processing_time_seconds_count{{method="loop",step="start_job"}} {runs}"#),
        format!(r#"method_steps_processing_time_seconds_count{{method="loop",step="finish_job"}} {runs}"#),
    ] {
        assert!(loops.lines().any(|line| line == part), "{part} in\n{loops}");
    }
}

#[tokio::test]
async fn caches_tell_hits_and_misses() {
    let app = super::super::birds().await;
    for _ in 0..3 {
        assert_eq!(app.get("/rows?dataset=local/data&config=default&split=train").await.status, 200);
    }
    let found = lines(&app, "/admin/metrics", &["belvedere_cache_lookups_total"]).await;
    for line in [
        r#"belvedere_cache_lookups_total{cache="split_files",result="hit"} 2"#,
        r#"belvedere_cache_lookups_total{cache="split_files",result="miss"} 1"#,
    ] {
        assert!(found.lines().any(|found| found == line), "{found}");
    }
}

#[tokio::test]
async fn what_is_stored_is_measured_in_the_background() {
    for app in settled().await {
        // The first scrape begins the measure; others tell its result.
        let mut found = String::new();
        for _ in 0..1000 {
            found = lines(&app, "/admin/metrics", &["belvedere_storage_bytes", "belvedere_storage_objects"]).await;
            if found.contains("cached-assets") {
                break;
            }
            tokio::task::yield_now().await;
        }
        for kind in ["views", "layouts", "cached-assets"] {
            assert!(found.contains(&format!("belvedere_storage_bytes{{kind=\"{kind}\"}}")), "{found}");
        }
        let objects = found.lines().find(|line| line.starts_with("belvedere_storage_objects{kind=\"views\"}"));
        assert!(objects.is_some_and(|line| !line.ends_with(" 0")), "{found}");
        assert!(app.services.store.reports.database_bytes().await.unwrap() > 10_000);
        app.close().await;
    }
}
