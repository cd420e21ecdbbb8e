//! Sweeps, and deleting what has ended.

use super::*;

fn with_sweep(sweep: &str) -> String {
    SEED.replace("\"model_tracking\": true", &format!(r#""sweep": {sweep}, "model_tracking": true"#))
}

async fn post(tasks: &Tasks, token: &str, key: Option<&str>, sweep: &str) -> Answer {
    let config = with_sweep(sweep);
    let parts = [("files", "c.json", &*config), ("files", "train.py", "print()")];
    tasks.post("/v1/sweeps", token, key, &parts).await
}

const GRID: &str = r#"{"grid": {"lr": [0.1, 0.2], "n_estimators": [3, 4]}, "max_parallel": 2}"#;

#[tokio::test]
async fn a_sweep_is_many_tasks_with_their_own_parameters() {
    let tasks = Tasks::new().await;
    let answer = post(&tasks, &tasks.ana, Some("k"), GRID).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let sweep = answer.json();
    let id = sweep["id"].as_str().unwrap().to_owned();
    assert_eq!(answer.header("location").unwrap(), format!("/v1/sweeps/{id}"));
    assert_eq!(
        (&sweep["size"], &sweep["states"], &sweep["state"]),
        (&json!(4), &json!({"queued": 4}), &json!("queued"))
    );
    let again = post(&tasks, &tasks.ana, Some("k"), GRID).await;
    assert_eq!((again.header("idempotent-replayed"), &again.json()["id"]), (Some("true"), &sweep["id"]));
    let list = tasks.get(sweep["tasks_url"].as_str().unwrap(), &tasks.ana).await.json();
    let mut points: Vec<_> = list["tasks"].as_array().unwrap().clone();
    points.sort_by_key(|task| task["sweep_index"].as_u64());
    let parameters: Vec<_> = points.iter().map(|task| task["parameters"].to_string()).collect();
    assert_eq!(
        parameters,
        [
            r#"{"n_estimators":3,"random_state":42,"lr":0.1}"#,
            r#"{"n_estimators":4,"random_state":42,"lr":0.1}"#,
            r#"{"n_estimators":3,"random_state":42,"lr":0.2}"#,
            r#"{"n_estimators":4,"random_state":42,"lr":0.2}"#,
        ]
    );
    assert_eq!((&points[0]["sweep"], &points[0]["dataset"]["dataset"]), (&sweep["id"], &sweep["dataset"]["dataset"]));
    // Two run; one of them ends, another has its turn.
    let first = TaskId::parse(points[0]["id"].as_str().unwrap()).unwrap();
    tasks.go(first, ON_CLUSTER, Facts::default()).await;
    tasks.go(first, &[State::Collecting, State::Failed], Facts::default()).await;
    let shown = tasks.get(&format!("/v1/sweeps/{id}"), &tasks.ana).await.json();
    assert_eq!((&shown["state"], &shown["ended"]), (&json!("running"), &json!(1)));
    let path = |verb: &str| format!("/v1/sweeps/{id}/{verb}");
    let retried = tasks.ask("POST", &path("retry"), &tasks.ana, &[], Vec::new()).await;
    assert_eq!((retried.status, &retried.json()["retried"]), (202, &json!(1)));
    let cancelled = tasks.ask("POST", &path("cancel"), &tasks.ana, &[], Vec::new()).await.json();
    assert_eq!((&cancelled["state"], &cancelled["cancelled"]["at_once"]), (&json!("cancelled"), &json!(4)));
    assert_eq!(tasks.get("/v1/sweeps", &tasks.ana).await.json()["sweeps"][0]["id"], sweep["id"]);
}

#[tokio::test]
async fn sweeps_of_others_are_not_there() {
    let tasks = Tasks::new().await;
    let id = post(&tasks, &tasks.ana, None, GRID).await.json()["id"].as_str().unwrap().to_owned();
    for (method, rest) in [("GET", ""), ("POST", "/cancel"), ("POST", "/retry")] {
        let path = format!("/v1/sweeps/{id}{rest}");
        assert_eq!(tasks.ask(method, &path, &tasks.bob, &[], Vec::new()).await.status, 404, "{method} {path}");
        let nobody = ask_with(&tasks.router, method, &path, &[("host", "viewer.test")], Vec::new()).await;
        assert_eq!(nobody.status, 401, "{method} {path}");
    }
    assert_eq!(tasks.get("/v1/sweeps", &tasks.bob).await.json()["sweeps"], json!([]));
    assert_eq!(tasks.get(&format!("/v1/tasks?sweep={id}"), &tasks.bob).await.json()["tasks"], json!([]));
    assert_eq!(tasks.get(&format!("/v1/sweeps/{id}"), &tasks.root).await.status, 200);
}

#[tokio::test]
async fn what_is_no_sweep_or_too_much_is_refused() {
    let tasks = Tasks::new().await;
    let config = with_sweep(GRID);
    let parts = [("files", "c.json", &*config), ("files", "train.py", "")];
    for path in ["/v1/tasks", "/new_task"] {
        let answer = tasks.post(path, &tasks.ana, None, &parts).await;
        assert_eq!((answer.status, &answer.json()["errors"][0]["pointer"]), (422, &json!("/sweep")), "{path}");
    }
    let none = tasks.post("/v1/sweeps", &tasks.ana, None, &seed()).await;
    assert_eq!((none.status, &none.json()["errors"][0]["pointer"]), (422, &json!("/sweep")));
    // The cluster lets a user have three active tasks.
    let four = post(&tasks, &tasks.ana, None, &GRID.replace("\"max_parallel\": 2", "\"max_parallel\": 4")).await;
    assert_eq!(four.status, 429, "{}", four.text());
    let by_itself = post(&tasks, &tasks.ana, None, &GRID.replace(", \"max_parallel\": 2", "")).await.json();
    assert_eq!(by_itself["max_parallel"], 3);
}

#[tokio::test]
async fn a_task_that_has_ended_is_deleted_with_all_that_it_left() {
    let tasks = Tasks::new().await;
    let id = tasks.submit(&tasks.ana).await;
    let path = format!("/v1/tasks/{id}");
    let delete = async |token: &str| tasks.ask("DELETE", &path, token, &[], Vec::new()).await;
    assert_eq!(delete(&tasks.bob).await.status, 404);
    let refused = delete(&tasks.ana).await;
    assert_eq!((refused.status, refused.header("x-error-code")), (409, Some("TaskStateConflict")));
    tasks.ask("POST", &format!("{path}/cancel"), &tasks.ana, &[], Vec::new()).await;
    let artifacts = tasks.inbox.artifacts(id, 1);
    std::fs::create_dir_all(&artifacts).unwrap();
    assert_eq!(delete(&tasks.ana).await.status, 204);
    assert_eq!(tasks.get(&path, &tasks.ana).await.status, 404);
    assert!(!tasks.inbox.folder(id).exists() && !artifacts.exists());
}
