//! What is to be done.

use belvedere_domain::DatasetName;
use belvedere_store::{ClaimRequest, Completion, RateLimit};
use belvedere_testing::TestApp;
use insta::assert_json_snapshot;
use serde_json::{Value as Json, json};

use super::{outcome, report, same};

fn asker() -> ClaimRequest {
    ClaimRequest { owner: "worker 7".into(), lease_seconds: 300.0, ..ClaimRequest::default() }
}

#[tokio::test]
async fn pending_jobs_are_told_by_step_and_status() {
    let mut told = Vec::new();
    for app in TestApp::everywhere(|_| {}).await {
        app.write("birds/birds.csv", super::super::BIRDS);
        app.write("more/birds.csv", super::super::BIRDS);
        app.refresh().await;
        app.services.store.queue.claim(&asker()).await.unwrap().unwrap();
        let body = report(&app, "/admin/pending-jobs").await;
        assert_eq!(report(&app, "/pending-jobs").await, body);
        let steps: Vec<&String> = body.as_object().unwrap().keys().collect();
        assert!(steps.is_sorted() && steps.len() == app.services.graph.steps().len());
        assert_eq!(body["config-size"], json!({"waiting": [], "started": []}));
        assert_eq!(body["dataset-init"]["waiting"].as_array().unwrap().len(), 1);
        told.push(body["dataset-init"]["started"][0].clone());
        app.close().await;
    }
    assert_json_snapshot!(same(told), @r#"
        {
          "type": "dataset-init",
          "dataset": "local/birds",
          "revision": "2f8601eb1d1a3dbe504d9613772c2164bf19f26c",
          "config": null,
          "split": null,
          "unicity_id": "dataset-init,local/birds,2f8601eb1d1a3dbe504d9613772c2164bf19f26c",
          "namespace": "local",
          "priority": "normal",
          "status": "started",
          "difficulty": 50,
          "created_at": "[time]",
          "started_at": "[time]",
          "last_heartbeat": null
        }
        "#);
}

#[tokio::test]
async fn a_long_queue_is_cut_and_says_so() {
    for app in TestApp::everywhere(|options| options.api.admin.pending_jobs_num_results = 2).await {
        for name in ["a", "b", "c"] {
            app.write(&format!("{name}/birds.csv"), super::super::BIRDS);
        }
        app.refresh().await;
        let jobs = |body: &Json| {
            let waiting = body["dataset-init"]["waiting"].as_array().unwrap().len();
            (waiting, body["dataset-init"].get("partial").cloned())
        };
        assert_eq!(jobs(&report(&app, "/admin/pending-jobs").await), (2, Some(true.into())));
        assert!(app.tick().await);
        assert_eq!(jobs(&report(&app, "/admin/pending-jobs").await), (2, None));
        app.close().await;
    }
}

#[tokio::test]
async fn a_job_is_told_until_it_ends() {
    for app in TestApp::everywhere(|_| {}).await {
        app.write("birds/birds.csv", super::super::BIRDS);
        app.refresh().await;
        let job = app.services.store.queue.claim(&asker()).await.unwrap().unwrap();
        let id = job.record.id.0;
        let body = report(&app, &format!("/admin/jobs/{id}")).await;
        let told = ["id", "type", "attempt", "crashes", "forced", "worker", "not_before"].map(|key| body[key].clone());
        let expected =
            [json!(id), json!("dataset-init"), json!(1), json!(0), json!(false), json!("worker 7"), json!(null)];
        assert_eq!(told, expected);
        assert_eq!(body["lease_ends_at"], "[time]");
        app.services.store.queue.finish(&job.lease, Completion::default()).await.unwrap();
        for (id, told) in [
            (
                id.to_string(),
                "404 ResponseNotFound: There is no such job: it has ended long ago, or never was. Its result is stored.",
            ),
            ("x".into(), "422 InvalidParameter: `x` is not the number of a job"),
            ("99999999999999999999".into(), "422 InvalidParameter: `99999999999999999999` is not the number of a job"),
        ] {
            assert_eq!(outcome(&app.operate("GET", &format!("/admin/jobs/{id}")).await), told);
        }
        app.close().await;
    }
}

#[tokio::test]
async fn resting_datasets_are_listed_and_can_be_woken() {
    for app in TestApp::everywhere(|_| {}).await {
        app.write("birds/birds.csv", super::super::BIRDS);
        app.refresh().await;
        assert_eq!(report(&app, "/admin/blocked-datasets").await, json!({"blocked_datasets": []}));
        let job = app.services.store.queue.claim(&asker()).await.unwrap().unwrap();
        // Any time at all is more than this budget.
        let limit = RateLimit { minimum_seconds: -1.0, budget_seconds: -1.0, ..RateLimit::default() };
        let completion = Completion { rate_limit: Some(limit), ..Completion::default() };
        app.services.store.queue.finish(&job.lease, completion).await.unwrap();
        assert_eq!(report(&app, "/admin/blocked-datasets").await, json!({"blocked_datasets": ["local/birds"]}));
        let dataset = DatasetName::new("local/birds").unwrap();
        let answer = app.operate("POST", "/admin/unblock-dataset?dataset=local/birds").await;
        assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")));
        assert!(!app.services.store.queue.blocked_datasets().await.unwrap().contains(&dataset));
        assert_eq!(report(&app, "/blocked-datasets").await, json!({"blocked_datasets": []}));
        app.close().await;
    }
}

/// The run of a step among those listed.
fn of_step<'a>(body: &'a Json, step: &str) -> &'a Json {
    let runs = body["runs"].as_array().unwrap();
    runs.iter().find(|run| run["type"] == step).unwrap_or_else(|| panic!("{step} in {body}"))
}

#[tokio::test]
async fn jobs_that_ended_are_told_with_cause_and_input() {
    for app in TestApp::everywhere(|options| options.api.admin.folders = vec!["my data".into()]).await {
        app.write("bad/a.csv", "a,b\n1,2\n1,2,3\n");
        app.write("birds/birds.csv", super::super::BIRDS);
        app.settle().await;
        let body = report(&app, "/admin/jobs?dataset=local/bad").await;
        assert!(body["runs"].as_array().unwrap().iter().all(|run| run["dataset"] == "local/bad"));
        let failed = of_step(&body, "config-parquet-and-info");
        let told = ["http_status", "error_code", "input_file", "input_files", "ending", "worker", "status", "attempt"];
        let expected = [
            json!(500),
            json!("DatasetGenerationError"),
            json!("a.csv"),
            json!(1),
            json!("stored"),
            json!("test"),
            json!("ended"),
            json!(1),
        ];
        assert_eq!(told.map(|key| failed[key].clone()), expected);
        assert!(failed["details"]["cause_message"].as_str().unwrap().contains("a.csv"), "{failed}");
        assert!(failed["duration_seconds"].as_f64().unwrap() > 0.0);
        let revision = app.head("local/bad").await;
        let command = format!(
            "belvedere run-step config-parquet-and-info 'my data' --dataset=local/bad --config-name=default \
             --revision={revision}"
        );
        assert_eq!(failed["reproduce"], command);
        let alone = report(&app, &format!("/admin/jobs/{}", failed["id"])).await;
        assert_eq!((&alone["id"], &alone["unicity_id"]), (&failed["id"], &failed["unicity_id"]));
        assert_eq!(alone["runs"][0]["details"], failed["details"]);
        let fine = report(&app, "/admin/jobs?dataset=local/birds").await;
        let fine = of_step(&fine, "config-parquet-and-info");
        assert_eq!((&fine["http_status"], &fine["error_code"]), (&json!(200), &Json::Null));
        assert_eq!(fine["details"], Json::Null);
        app.close().await;
    }
}

#[tokio::test]
async fn the_list_of_runs_is_bounded_and_wants_a_legal_name() {
    let app = TestApp::with(|options| options.api.admin.pending_jobs_num_results = 3).await;
    app.write("birds/birds.csv", super::super::BIRDS);
    app.settle().await;
    let body = report(&app, "/admin/jobs").await;
    assert_eq!(body["runs"].as_array().unwrap().len(), 3);
    let answer = app.operate("GET", "/admin/jobs?dataset=../x").await;
    assert!(outcome(&answer).starts_with("422 InvalidParameter: "), "{}", outcome(&answer));
}

#[tokio::test]
async fn a_job_that_is_tried_again_tells_why() {
    let app = TestApp::with(|options| options.settings.worker.retry_seconds = 1e6).await;
    app.write("birds/birds.csv", super::super::BIRDS);
    app.children.fail("convert", belvedere_testing::Failure::Disk, 1);
    app.settle().await;
    let body = report(&app, "/admin/jobs?dataset=local/birds").await;
    let run = of_step(&body, "config-parquet-and-info");
    assert_eq!((&run["ending"], &run["http_status"]), (&json!("retried"), &Json::Null));
    assert_eq!(run["details"], json!({"error": "no space left on device"}));
    let job = report(&app, &format!("/admin/jobs/{}", run["id"])).await;
    assert_eq!((&job["status"], &job["runs"][0]["ending"]), (&json!("waiting"), &json!("retried")));
    assert!(job["reproduce"].as_str().unwrap().starts_with("belvedere run-step config-parquet-and-info "));
}

#[tokio::test]
async fn nothing_is_remembered_where_that_is_switched_off() {
    let app = TestApp::with(|options| options.settings.worker.kept_runs = 0).await;
    app.write("birds/birds.csv", super::super::BIRDS);
    app.settle().await;
    assert_eq!(report(&app, "/admin/jobs").await, json!({"runs": []}));
}
