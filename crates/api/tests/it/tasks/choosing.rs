//! Selections, and what tasks get of a dataset.

use sha2::{Digest as _, Sha256};

use super::*;

fn numbers() -> String {
    let word = |n: u32| if n.is_multiple_of(3) { "fizz" } else { "plain" };
    (0..100).fold("n,word\n".to_owned(), |text, n| format!("{text}{n},{}\n", word(n)))
}

async fn with_numbers() -> Tasks {
    let tasks = Tasks::new().await;
    tasks.app.write("numbers/n.csv", numbers());
    tasks.app.settle().await;
    tasks
}

fn question(more: Json) -> Json {
    let mut body = json!({"dataset": "local/numbers", "config": "default", "split": "train"});
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

/// A request for a task whose configuration has these fields.
async fn plan(tasks: &Tasks, token: &str, fields: &str) -> Answer {
    let config = SEED.replace("\"dataset_name\": \"wine_classification\"", fields);
    let parts = [("files", "c.json", &*config), ("files", "train.py", "")];
    tasks.post("/v1/tasks/plan", token, None, &parts).await
}

/// The numbers in a Parquet file, as the server shows them.
async fn read(tasks: &Tasks, parquet: &std::path::Path) -> Vec<u64> {
    tasks.app.write("chosen/data.parquet", std::fs::read(parquet).unwrap());
    tasks.app.settle().await;
    let rows = tasks.app.get("/rows?dataset=local%2Fchosen&config=default&split=train").await.json();
    rows["rows"].as_array().unwrap().iter().map(|row| row["row"]["n"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn a_task_reads_exactly_the_rows_that_were_chosen() {
    let tasks = with_numbers().await;
    let body = question(json!({"where": "\"n\" >= 50", "orderby": "\"n\" DESC", "sample": {"rows": 5, "seed": 3}}));
    let answer = tasks.post_json("/selections", &tasks.ana, &body).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let selection = answer.json();
    let id = selection["id"].as_str().unwrap();
    assert_eq!(answer.header("location").unwrap(), format!("/selections/{id}"));
    assert_eq!((&selection["num_rows"], &selection["where"]), (&json!(5), &json!("\"n\" >= 50")));
    assert_eq!(selection["revision"], tasks.app.head("local/numbers").await.as_str());
    // The same question has the same answer, whoever asks.
    let again = tasks.post_json("/selections", &tasks.bob, &body).await.json();
    assert_eq!((&again["id"], &again["created_by"]), (&selection["id"], &json!("ana")));
    let other = question(json!({"where": "\"n\" >= 50", "orderby": "\"n\" DESC", "sample": {"rows": 5, "seed": 4}}));
    assert_ne!(tasks.post_json("/selections", &tasks.ana, &other).await.json()["id"], selection["id"]);
    assert_eq!(tasks.get(&format!("/selections/{id}"), &tasks.bob).await.json(), again);

    let answer = plan(&tasks, &tasks.ana, &format!(r#""selection": "{id}""#)).await;
    let pin = answer.json()["dataset"].clone();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!((&pin["dataset"], &pin["split"]), (&json!("local/numbers"), &json!(["default", "train"])));
    assert_eq!((&pin["selection"]["id"], &pin["selection"]["num_rows"]), (&selection["id"], &json!(5)));
    let datasets = HubDatasets::new(Arc::clone(&tasks.app.services), &tasks.inbox);
    let pin: belvedere_tasks::Pin = serde_json::from_value(pin).unwrap();
    let files = datasets.locate(&pin).await.unwrap();
    let bytes = std::fs::read(&files[0]).unwrap();
    assert_eq!(pin.files[0].sha256, hex::encode(Sha256::digest(&bytes)));
    let rows = read(&tasks, &files[0]).await;
    assert!(rows.len() == 5 && rows.is_sorted_by(|a, b| a > b) && rows.iter().all(|n| *n >= 50), "{rows:?}");
    let lines: String = rows.iter().map(|n| format!("{n}\n")).collect();
    assert_eq!(selection["sha256"], hex::encode(Sha256::digest(lines)));
    // A file that is lost is written again, the same.
    std::fs::remove_file(&files[0]).unwrap();
    assert_eq!(std::fs::read(&datasets.locate(&pin).await.unwrap()[0]).unwrap(), bytes);
    // Of a selection that is forgotten nothing is given.
    tasks.app.services.store.tasks.drop_selections(-1.0).await.unwrap();
    assert!(matches!(datasets.locate(&pin).await, Err(belvedere_tasks::DatasetError::Gone(_))));
}

#[tokio::test]
async fn rows_are_chosen_by_text_by_condition_and_all_of_them() {
    let tasks = with_numbers().await;
    let count = async |more: Json| -> Json {
        let answer = tasks.post_json("/selections", &tasks.ana, &question(more)).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()["num_rows"].clone()
    };
    assert_eq!(count(json!({})).await, 100);
    assert_eq!(count(json!({"query": "fizz"})).await, 34);
    assert_eq!(count(json!({"query": "fizz", "where": "\"n\" < 10"})).await, 4);
    assert_eq!(count(json!({"where": "\"n\" < 0"})).await, 0);
    assert_eq!(count(json!({"sample": {"fraction": 0.25}})).await, 25);
}

#[tokio::test]
async fn a_selection_that_cannot_be_is_refused_with_its_place() {
    let tasks = with_numbers().await;
    let refused = async |body: Json| -> String {
        let answer = tasks.post_json("/selections", &tasks.ana, &body).await;
        let body = answer.json();
        let pointer = body["errors"][0]["pointer"].as_str().unwrap_or("-");
        format!("{} {} {pointer}: {}", answer.status, body["code"].as_str().unwrap(), body["detail"].as_str().unwrap())
    };
    assert!(refused(question(json!({"wher": "x"}))).await.starts_with("422 TaskInvalid /wher:"));
    assert!(refused(question(json!({"where": "\"m\" = 1"}))).await.starts_with("422"));
    assert!(refused(question(json!({"sample": {}}))).await.contains(" /sample: expected either"));
    assert!(refused(question(json!({"sample": {"fraction": 2}}))).await.contains(" /sample/fraction:"));
    assert!(refused(question(json!({"mode": "x", "query": "a"}))).await.contains(" /mode:"));
    assert!(refused(json!({"dataset": "local/numbers"})).await.contains("missing field"));
    let nothing = refused(json!({"dataset": "local/nothing", "config": "default", "split": "train"})).await;
    assert_eq!(nothing, "422 TaskInvalid /dataset: there is no dataset `local/nothing` (at `/dataset`)");
    assert_eq!(tasks.get("/selections/00", &tasks.ana).await.status, 404);
    let answer = plan(&tasks, &tasks.ana, r#""selection": "00""#).await;
    assert_eq!(answer.json()["errors"][0]["pointer"], "/selection");
    let both = plan(&tasks, &tasks.ana, r#""selection": "00", "dataset_name": "numbers""#).await;
    assert_eq!(both.status, 422);
}

/// e093 | somebody runs a task on, or chooses rows of, a dataset that they may not read | it looks as if there were none
#[tokio::test]
async fn e093_datasets_that_may_not_be_read_are_not_given_to_tasks() {
    let tasks = with_numbers().await;
    let narrow = token(&tasks.app, &tasks.ana, &["tasks"]).await["token"].as_str().unwrap().to_owned();
    let secret = json!({"dataset": "local/secret", "config": "default", "split": "train"});
    let refused = tasks.post_json("/selections", &narrow, &secret).await;
    assert_eq!((refused.status, &refused.json()["errors"][0]["pointer"]), (422, &json!("/dataset")));
    let refused = plan(&tasks, &narrow, r#""dataset_name": "local/secret""#).await;
    let missing = plan(&tasks, &narrow, r#""dataset_name": "local/missing""#).await;
    assert_eq!(refused.text().replace("secret", "missing"), missing.text());
    assert_eq!(plan(&tasks, &narrow, r#""dataset_name": "local/numbers""#).await.status, 200);
    // A session may read it, and choose rows, which the narrow token does not reach.
    assert_eq!(plan(&tasks, &tasks.ana, r#""dataset_name": "local/secret""#).await.status, 200);
    let chosen = tasks.post_json("/selections", &tasks.ana, &secret).await.json();
    let id = chosen["id"].as_str().unwrap();
    assert_eq!(tasks.get(&format!("/selections/{id}"), &narrow).await.status, 404);
    assert_eq!(plan(&tasks, &narrow, &format!(r#""selection": "{id}""#)).await.status, 422);
}

#[tokio::test]
async fn a_split_comes_as_parquet_or_as_the_files_it_is_made_of() {
    let tasks = with_numbers().await;
    tasks.app.write("numbers/test/n.csv", "n,word\n1,a\n");
    tasks.app.settle().await;
    let files = async |fields: &str| -> Vec<String> {
        let answer = plan(&tasks, &tasks.ana, fields).await;
        let files = answer.json()["dataset"]["files"].clone();
        let name = |file: &Json| file["path"].as_str().unwrap().to_owned();
        files.as_array().map(|files| files.iter().map(name).collect()).unwrap_or_default()
    };
    let split = r#""dataset_name": "local/wine_classification/default/train""#;
    assert!(files(split).await[0].ends_with(".parquet"));
    assert_eq!(files(&format!(r#"{split}, "dataset_format": "original""#)).await, ["wine.csv"]);
    let whole = r#""dataset_name": "local/wine_classification", "dataset_format": "parquet""#;
    let answer = plan(&tasks, &tasks.ana, whole).await;
    assert_eq!(answer.json()["errors"][0]["pointer"], "/dataset_name", "{}", answer.text());
    let odd = plan(&tasks, &tasks.ana, &format!(r#"{split}, "dataset_format": "csv""#)).await;
    assert_eq!(odd.json()["errors"][0]["pointer"], "/dataset_format");
}

#[tokio::test]
async fn tasks_and_their_datasets_lead_to_each_other() {
    let tasks = Tasks::new().await;
    let id = tasks.submit(&tasks.ana).await;
    let task = tasks.get(&format!("/v1/tasks/{id}"), &tasks.ana).await.json();
    let url = task["dataset_url"].as_str().unwrap();
    assert_eq!(tasks.app.get(url).await.status, 200, "{url}");
    let index = ask_with(&tasks.router, "GET", "/", &[("accept", "application/json")], Vec::new()).await.json();
    let of = |name: &str| index["datasets"].as_array().unwrap().iter().find(|item| item["dataset"] == name).cloned();
    let url = of("local/wine_classification").unwrap()["tasks_url"].as_str().unwrap().to_owned();
    let ids = async |url: &str, token: &str| -> Vec<String> {
        let list = tasks.get(url, token).await.json();
        list["tasks"].as_array().unwrap().iter().map(|task| task["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&url, &tasks.ana).await, [id.to_string()]);
    assert!(ids(&url, &tasks.bob).await.is_empty());
    assert_eq!(ids(&url, &tasks.root).await, [id.to_string()]);
    assert!(ids("/v1/tasks?dataset=local/other", &tasks.ana).await.is_empty());
    assert_eq!(tasks.get("/v1/tasks?dataset=a/b/c", &tasks.ana).await.status, 422);
    let page = ask_with(&tasks.router, "GET", "/", &[("accept", "text/html")], Vec::new()).await.text();
    assert!(page.contains(&format!("<a href=\"{url}\">tasks</a>")), "{page}");
}
