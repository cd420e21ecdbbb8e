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
                "404 ResponseNotFound: There is no such job: it has ended, or never was. Its result is stored.",
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
