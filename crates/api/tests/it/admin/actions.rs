//! What operators do.

use belvedere_store::ClaimRequest;
use belvedere_testing::{TestApp, show};
use insta::assert_snapshot;
use serde_json::json;

use super::{outcome, same, settled};

#[tokio::test]
async fn a_forced_refresh_computes_what_is_up_to_date() {
    let mut told = Vec::new();
    for app in settled().await {
        let before = app.operate("GET", "/admin/cache-reports/config-size").await.json();
        let path = "/admin/force-refresh/config-size?dataset=local/birds&config=default&priority=high";
        told.push(show(&app.operate("POST", path).await));
        let jobs = app.services.store.queue.pending(None).await.unwrap();
        let told: Vec<_> = jobs.iter().map(|job| (job.key.step.as_str(), job.priority.as_str(), job.forced)).collect();
        assert_eq!(told, [("config-size", "high", true)]);
        app.run_jobs().await;
        let after = app.operate("GET", "/admin/cache-reports/config-size").await.json();
        assert_ne!(before["cache_reports"][0]["updated_at"], after["cache_reports"][0]["updated_at"]);
        app.close().await;
    }
    assert_snapshot!(same(told), @r#"
    200
    cache-control: no-store
    content-type: application/json

    {
      "status": "ok"
    }
    "#);
}

#[tokio::test]
async fn every_spelling_of_a_refresh_queues_the_same_job_once() {
    for app in settled().await {
        for (paths, step) in [
            (
                ["/force-refresh/splits", "/admin/force-refreshdataset-split-names", "/admin/force-refresh/splits"],
                "dataset-split-names",
            ),
            (["/force-refresh/parquet", "/force-refreshdataset-parquet", "/force-refreshparquet"], "dataset-parquet"),
            (
                [
                    "/force-refresh/first-rows",
                    "/admin/force-refreshsplit-first-rows",
                    "/force-refresh/split-first-rows",
                ],
                "split-first-rows default train",
            ),
        ] {
            for path in paths {
                let path = format!("{path}?dataset=local/birds&config=default&split=train");
                assert_eq!(app.operate("POST", &path).await.status, 200, "{path}");
            }
            assert_eq!(app.queue().await, [step]);
            app.run_jobs().await;
        }
        app.close().await;
    }
}

#[tokio::test]
async fn a_refresh_of_what_the_program_was_built_without_says_so() {
    for app in settled().await {
        for path in ["/admin/force-refresh/split-duckdb-index", "/force-refreshsplit-duckdb-index"] {
            let answer = app.operate("POST", path).await;
            let told = "501 FeatureNotAvailableError: The step split-duckdb-index needs a program built with the cargo \
                        feature `duckdb`; this one was not.";
            assert_eq!(outcome(&answer), told, "{path}");
        }
        app.close().await;
    }
}

#[tokio::test]
async fn bad_parameters_of_a_refresh_are_refused_before_anything_happens() {
    for app in settled().await {
        for (path, told) in [
            ("config-size", "422 MissingRequiredParameter: Parameters 'dataset' and 'config' are required"),
            (
                "config-size?dataset=local/birds",
                "422 MissingRequiredParameter: Parameters 'dataset' and 'config' are required",
            ),
            (
                "split-first-rows?dataset=local/birds&config=default&split=+",
                "422 MissingRequiredParameter: Parameters 'dataset', 'config' and 'split' are required",
            ),
            (
                "dataset-info?dataset=local/birds&priority=urgent",
                "422 InvalidParameter: Parameter 'priority': `urgent` is not a priority: expected low, normal or high",
            ),
            (
                "dataset-info?dataset=local/birds&difficulty=101",
                "422 InvalidParameter: Parameter 'difficulty' must be an integer from 0 to 100",
            ),
            (
                "dataset-info?dataset=local/birds&difficulty=-1",
                "422 InvalidParameter: Parameter 'difficulty' must be an integer from 0 to 100",
            ),
            (
                "dataset-info?dataset=local/birds&difficulty=5.0",
                "422 InvalidParameter: Parameter 'difficulty' must be an integer from 0 to 100",
            ),
            (
                "dataset-info?dataset=local/none",
                "501 NotSupportedRepositoryNotFoundError: The repository does not exist.",
            ),
        ] {
            let answer = app.operate("POST", &format!("/admin/force-refresh/{path}")).await;
            assert_eq!((outcome(&answer).as_str(), answer.header("cache-control")), (told, Some("no-store")), "{path}");
        }
        for path in [
            "config-size?dataset=local/birds&config=a/b",
            "dataset-info?dataset=a/b/c",
            "split-first-rows?dataset=local/birds&config=default&split=a-b",
        ] {
            let answer = app.operate("POST", &format!("/admin/force-refresh/{path}")).await;
            assert_eq!((answer.status, answer.header("x-error-code")), (422, Some("InvalidParameter")), "{path}");
        }
        assert!(app.queue().await.is_empty());
        app.close().await;
    }
}

#[tokio::test]
async fn the_difficulty_of_a_refresh_can_be_given() {
    for app in settled().await {
        for (given, expected) in [("", 20), ("&difficulty=0", 0), ("&difficulty=100", 100)] {
            app.operate("POST", &format!("/admin/force-refresh/dataset-info?dataset=local/birds{given}")).await;
            let jobs = app.services.store.queue.pending(None).await.unwrap();
            assert_eq!(jobs[0].difficulty.get(), expected, "{given}");
            app.run_jobs().await;
        }
        app.close().await;
    }
}

#[tokio::test]
async fn a_config_that_does_not_exist_leaves_nothing_behind() {
    for app in settled().await {
        let path = "/admin/force-refresh/config-info?dataset=local/birds&config=nope";
        assert_eq!(app.operate("POST", path).await.status, 200);
        app.run_jobs().await;
        assert!(app.queue().await.is_empty());
        assert!(!app.views("local/birds").await.iter().any(|line| line.contains("nope")));
        app.close().await;
    }
}

#[tokio::test]
async fn recreating_deletes_everything_and_starts_again() {
    let mut told = Vec::new();
    for app in settled().await {
        let before = app.views("local/birds").await;
        let path = "/admin/recreate-dataset?dataset=local/birds&priority=normal";
        told.push(show(&app.operate("POST", path).await));
        assert!(app.views("local/birds").await.is_empty());
        assert_eq!(app.queue().await, ["dataset-init"]);
        app.run_jobs().await;
        let mut after = app.views("local/birds").await;
        let mut before = before;
        before.sort();
        after.sort();
        assert_eq!(after, before);
        let answer = app.operate("POST", "/recreate-dataset?dataset=local/none").await;
        assert_eq!(outcome(&answer), "501 NotSupportedRepositoryNotFoundError: The repository does not exist.");
        app.close().await;
    }
    assert_snapshot!(same(told), @r#"
        200
        cache-control: no-store
        content-type: application/json

        {
          "status": "ok",
          "dataset": "local/birds"
        }
        "#);
}

#[tokio::test]
async fn what_may_not_be_shown_stays_deleted() {
    for app in settled().await {
        app.write("birds/README.md", "---\nviewer: false\n---\n");
        app.scan().await;
        let answer = app.operate("POST", "/admin/recreate-dataset?dataset=local/birds").await;
        assert_eq!((answer.status, answer.header("x-error-code")), (501, Some("NotSupportedDisabledViewerError")));
        let answer = app.operate("POST", "/admin/force-refresh/dataset-info?dataset=local/birds").await;
        assert_eq!((answer.status, answer.header("x-error-code")), (501, Some("NotSupportedDisabledViewerError")));
        assert!(app.dataset("local/birds").await.is_none() && app.queue().await.is_empty());
        app.close().await;
    }
}

#[tokio::test]
async fn cancelled_jobs_wait_again() {
    for app in TestApp::everywhere(|_| {}).await {
        app.write("birds/birds.csv", super::super::BIRDS);
        app.refresh().await;
        let request = ClaimRequest { owner: "gone".into(), lease_seconds: 300.0, ..ClaimRequest::default() };
        let job = app.services.store.queue.claim(&request).await.unwrap().unwrap();
        let started = || async { app.services.store.queue.pending(None).await.unwrap()[0].started_at.is_some() };
        let preview = app.operate("POST", "/admin/cancel-jobs/dataset-init?dry_run=true").await.json();
        assert_eq!((preview["jobs"][0]["dataset"].as_str(), started().await), (Some("local/birds"), true));
        let other = app.operate("POST", "/cancel-jobsconfig-size").await.json();
        assert_eq!((&other["jobs"], started().await), (&json!([]), true));
        let answer = app.operate("POST", "/cancel-jobs/dataset-init").await.json();
        assert_eq!((answer["status"].as_str(), &answer["jobs"][0]["status"]), (Some("ok"), &json!("started")));
        assert!(!started().await);
        // What the worker still brings is refused.
        let late = app.services.store.queue.finish(&job.lease, belvedere_store::Completion::default()).await.unwrap();
        assert_eq!(late, belvedere_store::Finished::LeaseLost);
        app.run_jobs().await;
        assert_eq!(app.get("/splits?dataset=local/birds").await.status, 200);
        let answer = app.operate("POST", "/cancel-jobs/dataset-init?dry_run=perhaps").await;
        assert_eq!(outcome(&answer), "422 InvalidParameter: Parameter 'dry_run' must be true or false");
        app.close().await;
    }
}

#[tokio::test]
async fn a_backfill_is_shown_before_it_is_done() {
    for app in settled().await {
        let plan = |answer: belvedere_testing::Answer| answer.json();
        let path = "/admin/dataset-backfill-plan?dataset=local/birds";
        let nothing = plan(app.operate("GET", path).await);
        assert_eq!((&nothing["create_jobs"], &nothing["delete_waiting_jobs"]), (&json!([]), &json!([])));
        // An artifact that a parent is younger than is stale.
        app.force_in("local/birds", "config-parquet-and-info", Some("default"), None).await;
        app.run_jobs_except(&["config-info"]).await;
        let pending = app.services.store.queue.pending(None).await.unwrap();
        assert!(!pending.is_empty());
        let preview = plan(app.operate("GET", path).await);
        assert_eq!(preview["revision"], json!(app.dataset("local/birds").await.unwrap().target));
        assert_eq!(app.services.store.queue.pending(None).await.unwrap(), pending, "a preview changes nothing");
        let answer = app.operate("POST", "/admin/dataset-backfill?dataset=local/birds").await;
        assert_eq!(answer.json(), json!({"status": "ok", "message": "What was missing or stale is queued."}));
        app.run_jobs().await;
        assert!(app.queue().await.is_empty());
        let none = app.operate("GET", "/dataset-backfill-plan?dataset=local/none").await;
        assert_eq!(none.json(), json!({"dataset": "local/none", "supported": false}));
        app.close().await;
    }
}

#[tokio::test]
async fn a_backfill_keeps_what_was_asked_for_by_force() {
    for app in settled().await {
        app.operate("POST", "/admin/force-refresh/dataset-info?dataset=local/birds").await;
        app.operate("POST", "/admin/dataset-backfill?dataset=local/birds").await;
        assert_eq!(app.queue().await, ["dataset-info"]);
        app.close().await;
    }
}

/// e113 | work and results of steps are stored that this version does not know | answers are not touched by them; `/admin/clean` counts and removes them
#[tokio::test]
async fn e113_leftovers_of_other_versions_are_counted_and_removed() {
    for app in settled().await {
        app.force_in("local/birds", "retired-step", None, None).await;
        for (path, jobs) in [("?dry_run=true", 1), ("", 1), ("", 0)] {
            let answer = app.operate("POST", &format!("/admin/clean{path}")).await.json();
            assert_eq!((&answer["status"], &answer["jobs_of_unknown_steps"]), (&json!("ok"), &json!(jobs)), "{path}");
            assert_eq!(answer["views_never_stored"], 0, "what is stored is not touched");
        }
        assert!(app.queue().await.is_empty());
        app.close().await;
    }
}

#[tokio::test]
async fn files_of_views_that_were_never_stored_are_counted_and_removed() {
    // Two days from now, so that what is written now is old enough.
    let later = || belvedere_domain::Timestamp(chrono::Utc::now().timestamp_micros() + 2 * 24 * 3600 * 1_000_000);
    for app in TestApp::everywhere(|options| options.api.clock = later).await {
        app.write("birds/birds.csv", super::super::BIRDS);
        app.settle().await;
        let digest = "ab".repeat(32);
        app.services.blobs.put(&format!("views/{digest}/x"), bytes::Bytes::from_static(b"x")).await.unwrap();
        let files = app.state_files();
        for (path, views) in [("?dry_run=1", 1), ("?dry_run=true", 1), ("?dry_run=0", 1), ("", 0)] {
            let answer = app.operate("POST", &format!("/admin/clean{path}")).await.json();
            assert_eq!(answer["views_never_stored"], views, "{path}");
            let is_there = app.state_files().iter().any(|file| file.contains(&digest));
            assert_eq!(is_there, path.contains("dry_run") && !path.ends_with('0'), "{path}");
        }
        assert_eq!(app.state_files().len() + 1, files.len());
        assert_eq!(app.get("/rows?dataset=local/birds&config=default&split=train").await.status, 200);
        app.close().await;
    }
}
