//! News from a Hub.

use belvedere_api::WebhookSecret;
use belvedere_testing::{Answer, TestApp};
use serde_json::{Value as Json, json};

use super::BIRDS;

const SECRET: &str = "s3cret";

/// An app that takes webhooks, on each database.
async fn apps() -> Vec<TestApp> {
    TestApp::everywhere(|options| options.api.webhook_secret = WebhookSecret::new(SECRET)).await
}

fn event(event: &str, dataset: &str) -> Json {
    json!({"event": event, "scope": "repo.content", "repo": {"type": "dataset", "name": dataset}, "webhook": {"version": 3}})
}

async fn send(app: &TestApp, body: &Json) -> Answer {
    app.post("/webhook", &[("x-webhook-secret", SECRET)], body.to_string()).await
}

/// Status and body, which tells what is wrong.
fn said(answer: &Answer) -> (u16, Json) {
    assert_eq!((answer.header("cache-control"), answer.header("x-error-code")), (Some("no-store"), None));
    (answer.status, answer.json())
}

fn refused(error: &str) -> (u16, Json) {
    (400, json!({"status": "error", "error": error}))
}

#[tokio::test]
async fn an_added_dataset_is_looked_at_and_computed() {
    for app in apps().await {
        app.write("birds/birds.csv", BIRDS);
        // Nobody has looked through the folder.
        assert_eq!(said(&send(&app, &event("add", "local/birds")).await), (200, json!({"status": "ok"})));
        assert_eq!(app.queue().await, ["dataset-init"]);
        app.run_jobs().await;
        assert_eq!(app.get("/splits?dataset=local/birds").await.status, 200);
        app.close().await;
    }
}

#[tokio::test]
async fn a_changed_dataset_is_looked_at_unless_its_head_is_known() {
    for app in apps().await {
        app.write("birds/birds.csv", BIRDS);
        app.settle().await;
        let old = app.head("local/birds").await;
        app.write("birds/birds.csv", "name\nrobin\n");
        let mut update = event("update", "local/birds");
        update["repo"]["headSha"] = old.as_str().into();
        assert_eq!(send(&app, &update).await.status, 200);
        assert!(app.queue().await.is_empty(), "this head is what is served");
        assert_eq!(app.head("local/birds").await, old, "nobody looked");
        update["updatedConfig"] = json!({"private": true});
        assert_eq!(send(&app, &update).await.status, 200);
        assert_eq!(app.queue().await, ["dataset-init"]);
        assert_ne!(app.head("local/birds").await, old);
        app.run_jobs().await;
        let body = app.get("/size?dataset=local/birds").await.json();
        assert_eq!(body["size"]["dataset"]["num_rows"], 1);
        app.close().await;
    }
}

#[tokio::test]
async fn a_push_of_many_commits_is_one_change() {
    for app in apps().await {
        app.write("birds/birds.csv", BIRDS);
        app.settle().await;
        let old = app.head("local/birds").await;
        // An earlier commit of the push brings data, the last one touches only the text of the card.
        app.write("birds/more.csv", "name,weight\nowl,300\n");
        app.write("birds/README.md", "Birds.\n");
        let mut update = event("update", "local/birds");
        let newest = "b".repeat(40);
        update["repo"]["headSha"] = newest.clone().into();
        update["updatedRefs"] = json!([
            {"ref": "refs/convert/parquet", "oldSha": null, "newSha": 7},
            {"ref": "refs/heads/main", "oldSha": old.as_str(), "newSha": newest},
            "nonsense",
        ]);
        assert_eq!(send(&app, &update).await.status, 200);
        app.run_jobs().await;
        let body = app.get("/size?dataset=local/birds").await.json();
        assert_eq!(body["size"]["dataset"]["num_rows"], 4);
        app.close().await;
    }
}

#[tokio::test]
async fn only_what_is_gone_is_removed() {
    for app in apps().await {
        app.write("birds/birds.csv", BIRDS);
        app.write("data/birds.csv", BIRDS);
        app.settle().await;
        assert_eq!(send(&app, &event("remove", "local/birds")).await.status, 200);
        assert_eq!(app.get("/splits?dataset=local/birds").await.status, 200, "its folder is still there");
        app.remove("birds");
        for _ in 0..2 {
            assert_eq!(said(&send(&app, &event("remove", "local/birds")).await), (200, json!({"status": "ok"})));
            assert!(app.dataset("local/birds").await.is_none());
        }
        assert_eq!(app.get("/splits?dataset=local/data").await.status, 200);
        app.close().await;
    }
}

#[tokio::test]
async fn a_moved_dataset_is_forgotten_by_its_old_name_and_computed_by_its_new_one() {
    for app in apps().await {
        app.write("birds/birds.csv", BIRDS);
        app.settle().await;
        std::fs::rename(app.path("birds"), app.path("fowl")).unwrap();
        let mut moved = event("move", "local/birds");
        moved["movedTo"] = "local/fowl".into();
        assert_eq!(said(&send(&app, &moved).await), (200, json!({"status": "ok"})));
        assert!(app.dataset("local/birds").await.is_none());
        app.run_jobs().await;
        assert_eq!(app.get("/splits?dataset=local/fowl").await.status, 200);
        app.close().await;
    }
}

#[tokio::test]
async fn the_sender_learns_why_a_dataset_is_not_shown() {
    for app in apps().await {
        app.write("birds/birds.csv", BIRDS);
        app.settle().await;
        app.write("birds/README.md", "---\nviewer: false\n---\n");
        let (status, body) = said(&send(&app, &event("update", "local/birds")).await);
        assert_eq!(status, 400);
        let error = body["error"].as_str().unwrap();
        assert!(error.ends_with("(NotSupportedDisabledViewerError)"), "{error}");
        assert!(app.dataset("local/birds").await.is_none(), "nothing of it is kept");
        let (status, body) = said(&send(&app, &event("add", "local/nothing")).await);
        assert_eq!(status, 400);
        assert!(body["error"].as_str().unwrap().ends_with("(NotSupportedRepositoryNotFoundError)"), "{body}");
        app.close().await;
    }
}

#[tokio::test]
async fn nothing_is_done_for_senders_without_the_secret() {
    let app = &apps().await[0];
    app.write("birds/birds.csv", BIRDS);
    let body = event("add", "local/birds").to_string();
    let missing = app.post("/webhook", &[], body.clone()).await;
    assert_eq!(said(&missing), refused("The header X-Webhook-Secret is missing."));
    for wrong in ["", "s3cre", "s3cretx", "S3CRET", "null"] {
        let answer = app.post("/webhook", &[("x-webhook-secret", wrong)], body.clone()).await;
        assert_eq!(said(&answer), refused("The header X-Webhook-Secret is not the secret of this server."));
    }
    assert!(app.dataset("local/birds").await.is_none() && app.queue().await.is_empty());
}

#[tokio::test]
async fn without_a_secret_every_call_is_refused() {
    let app = TestApp::new().await;
    app.write("birds/birds.csv", BIRDS);
    for secret in ["", "guess"] {
        let headers = [("x-webhook-secret", secret)];
        let (status, body) = said(&app.post("/webhook", &headers, event("add", "local/birds").to_string()).await);
        assert_eq!(status, 400);
        assert!(body["error"].as_str().unwrap().ends_with("Set API_HF_WEBHOOK_SECRET."), "{body}");
    }
    assert!(app.queue().await.is_empty());
}

#[tokio::test]
async fn wrong_bodies_are_refused_before_anything_is_done() {
    let app = &apps().await[0];
    app.write("birds/birds.csv", BIRDS);
    let secret = [("x-webhook-secret", SECRET)];
    for (body, error) in [
        (&b""[..], "The body is not JSON: EOF while parsing a value at line 1 column 0."),
        (b"event=add", "The body is not JSON: expected value at line 1 column 1."),
        (b"[]", "The body must be an object, not a list."),
        (b"{\"repo\": 7}", "`repo` must be an object, not a number."),
        (b"{\"repo\": {}, \"event\": \"add\"}", "`scope` is missing."),
        (
            b"{\"repo\": {}, \"event\": \"added\", \"scope\": \"repo\"}",
            "`event` must be one of add, remove, update, move.",
        ),
    ] {
        assert_eq!(said(&app.post("/webhook", &secret, body).await), refused(error));
    }
    let (status, body) = said(&send(app, &event("add", "../../etc")).await);
    assert!(status == 400 && body["error"].as_str().unwrap().contains("is not a dataset name"), "{body}");
    assert_eq!(said(&send(app, &event("move", "local/birds")).await), refused("`movedTo` is missing."));
    let big = vec![b' '; 3 << 20];
    assert_eq!(app.post("/webhook", &secret, big).await.status, 413);
    assert_eq!(app.get("/webhook").await.status, 405);
    assert!(app.queue().await.is_empty());
}

#[tokio::test]
async fn discussions_and_other_repositories_are_passed_over() {
    let app = &apps().await[0];
    app.write("birds/birds.csv", BIRDS);
    for (kind, scope) in [("dataset", "discussion.comment"), ("model", "repo"), ("space", "repo.content")] {
        let mut body = event("add", "local/birds");
        (body["repo"]["type"], body["scope"]) = (kind.into(), scope.into());
        assert_eq!(said(&send(app, &body).await), (200, json!({"status": "ok"})));
    }
    assert!(app.queue().await.is_empty());
}
