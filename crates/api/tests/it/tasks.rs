//! Tasks, as programs that submit them see them. Nothing runs here: that is the monitor's, which has tests of its own.

mod choosing;
mod fetching;
mod following;
mod sweeping;

use std::sync::Arc;

use belvedere_api::{Answer, ApiSettings, ApiState, HubDatasets, InputLinks, Router, TaskService, ask_with};
use belvedere_domain::Role;
use belvedere_domain::task::{State, TaskId};
use belvedere_store::tasks::{Advance, Artifact, Facts, LogKey, LogPiece};
use belvedere_tasks::monitor::collect::copy_name;
use belvedere_tasks::profile::ClustersFile;
use belvedere_tasks::{Catalog, Datasets, Inbox, UploadLimits};
use belvedere_testing::TestApp;
use serde_json::{Value as Json, json};

use crate::accounts::{add_user, quick, send, session, token};

/// The request of the first description of the interface, to the letter.
const SEED: &str = r#"{
  "dataset_name": "wine_classification",
  "model_params": {
    "n_estimators": 2,
    "random_state": 42
  },
  "runner_location": "atena02",
  "model_tracking": true,
  "tracking_uri": "experiments",
  "experiment_name": "atena_test",
  "script_path": "path/to/script.py",
  "clusters": {
    "atena02": {
      "infra_config": {
        "instance_type": "cpu",
        "image_name": "sklearn_sample_latest",
        "account": "twinscie"
      }
    }
  }
}"#;

const CLUSTERS: &str = r#"
[clusters.atena02]
driver = "slurm"
transport = { kind = "direct" }
remote_root = "/nonexistent/tasks"
max_active_per_user = 3
container = { runtime = "singularity", image_dir = "/nonexistent/images" }
[clusters.atena02.instance_types]
cpu = { partition = "cpu" }
[clusters.atena02.accounts]
twinscie = ["ana", "bob"]
"#;

/// An app with tasks, its users `ana` (a user), `bob` (a user) and `root` (an admin), and their sessions.
struct Tasks {
    app: TestApp,
    router: Router,
    inbox: Inbox,
    ana: String,
    bob: String,
    root: String,
    _folder: tempfile::TempDir,
}

impl Tasks {
    async fn new() -> Self {
        let app = TestApp::with(quick).await;
        app.write("wine_classification/wine.csv", "alcohol,class\n13.2,1\n");
        app.write("other/a.csv", "a\n1\n");
        app.write("secret/a.csv", "a\n1\n");
        app.settle().await;
        for (name, role) in [("ana", Role::User), ("bob", Role::User), ("root", Role::Admin)] {
            add_user(&app, name, role).await;
        }
        let folder = tempfile::tempdir().unwrap();
        let mut catalog = Catalog::default();
        for (name, profile) in ClustersFile::parse(CLUSTERS).unwrap().clusters {
            catalog = catalog.with_profile(name, profile).unwrap();
        }
        let inbox = Inbox::new(folder.path().to_owned());
        let datasets: Arc<dyn Datasets> = Arc::new(HubDatasets::new(Arc::clone(&app.services), &inbox));
        let limits = UploadLimits { files: 4, file_bytes: 10_000, total_bytes: 20_000 };
        let links = InputLinks::shared(&app.services).await.unwrap();
        let service = TaskService::new(Arc::new(catalog), inbox.clone(), datasets, limits, None).with_links(links);
        let mut options = ApiSettings::default();
        options.auth.passwords = belvedere_api::Passwords::with_costs(8, 1);
        options.reading.private = vec!["local/secret".to_owned()];
        let state = ApiState::new(Arc::clone(&app.services), Arc::clone(&app.refresher), options);
        let router = belvedere_api::router(state.with_tasks(Arc::new(service)));
        let (ana, bob, root) = (session(&app, "ana").await, session(&app, "bob").await, session(&app, "root").await);
        Self { app, router, inbox, ana, bob, root, _folder: folder }
    }

    async fn ask(&self, method: &str, path: &str, token: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        let authorization = format!("Bearer {token}");
        let mut all = vec![("host", "viewer.test"), ("authorization", authorization.as_str())];
        all.extend(headers);
        ask_with(&self.router, method, path, &all, body).await
    }

    async fn get(&self, path: &str, token: &str) -> Answer {
        self.ask("GET", path, token, &[], Vec::new()).await
    }

    async fn post(&self, path: &str, token: &str, key: Option<&str>, parts: &[(&str, &str, &str)]) -> Answer {
        let mut headers = vec![("content-type", "multipart/form-data; boundary=--x")];
        headers.extend(key.map(|key| ("idempotency-key", key)));
        self.ask("POST", path, token, &headers, form(parts)).await
    }

    async fn post_json(&self, path: &str, token: &str, body: &Json) -> Answer {
        let headers = [("content-type", "application/json")];
        self.ask("POST", path, token, &headers, body.to_string().into_bytes()).await
    }

    async fn submit(&self, token: &str) -> TaskId {
        let answer = self.post("/v1/tasks", token, None, &seed()).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        TaskId::parse(answer.json()["id"].as_str().unwrap()).unwrap()
    }

    /// Moves a task through states.
    async fn go(&self, id: TaskId, states: &[State], facts: Facts) {
        let tasks = &self.app.services.store.tasks;
        for to in states {
            let attempt = tasks.task(id, None).await.unwrap().unwrap().attempt;
            let step = attempt.state.to(*to);
            assert!(step.is_some());
            let (number, version) = (attempt.number, attempt.version);
            let actor = "monitor".to_owned();
            let advance = Advance { task: id, number, version, step, actor, facts: facts.clone() };
            assert!(tasks.advance(advance).await.unwrap());
        }
    }
}

/// Parts: name, file name, content.
fn form(parts: &[(&str, &str, &str)]) -> Vec<u8> {
    let part = |(name, file, content): &(&str, &str, &str)| {
        format!("----x\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{file}\"\r\n\r\n{content}\r\n")
    };
    (parts.iter().map(part).collect::<String>() + "----x--\r\n").into_bytes()
}

fn seed() -> [(&'static str, &'static str, &'static str); 2] {
    [("files", "submiter_confs.json", SEED), ("files", "train.py", "print('trained')\n")]
}

const ON_CLUSTER: &[State] = &[State::Staging, State::Submitting, State::Submitted, State::Running];

#[tokio::test]
async fn the_first_request_of_all_works_as_it_was_written() {
    let tasks = Tasks::new().await;
    for path in ["/new_task", "/new_task/"] {
        let answer = tasks.post(path, &tasks.ana, None, &seed()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let body = answer.json();
        assert_eq!(body.as_array().unwrap().len(), 1, "a list of one task");
        let task = &body[0];
        for (key, value) in [
            ("dataset_name", "wine_classification"),
            ("runner_location", "atena02"),
            ("experiment_name", "atena_test"),
            ("script_path", "script.py"),
            ("instance_type", "cpu"),
            ("image_name", "sklearn_sample_latest"),
            ("account", "twinscie"),
            ("state", "queued"),
            ("owner", "ana"),
        ] {
            assert_eq!(task[key], value, "{key}");
        }
        assert_eq!(task["job_id"], Json::Null);
        assert_eq!(task["dataset"]["files"][0]["path"], "wine.csv");
        assert_eq!(task["dataset"]["revision"].as_str().unwrap().len(), 40);
    }
    let list = tasks.get("/tasks", &tasks.ana).await.json();
    assert_eq!(list.as_array().unwrap().len(), 2);
    assert_eq!(tasks.get("/tasks/", &tasks.bob).await.json(), json!([]));
    let id = list[0]["id"].as_str().unwrap();
    for path in [format!("/task/{id}"), format!("/task/{id}/")] {
        assert_eq!(tasks.get(&path, &tasks.ana).await.json()[0]["id"], id);
    }
    let id = TaskId::parse(id).unwrap();
    tasks.go(id, ON_CLUSTER, Facts { job: Some("4711".into()), run_id: Some("run".into()), ..Facts::default() }).await;
    let status = tasks.get("/job_status/4711", &tasks.ana).await.json();
    assert_eq!(status["job_status"], "RUNNING: The job is allocated to a node and is running.");
    assert_eq!((&status["run_id"], &status["stale"]), (&json!("run"), &json!(true)));
    assert_eq!(status["task_id"], id.to_string());
    assert_eq!(tasks.get(&format!("/task/{id}"), &tasks.ana).await.json()[0]["job_id"], 4711);
}

/// e075 | a configuration holds fields that nobody knows, deep ones too | they are stored and returned as they came
#[tokio::test]
async fn e075_unknown_fields_come_back() {
    let tasks = Tasks::new().await;
    let config = SEED.replace(
        "\"model_tracking\": true",
        r#""more": {"deep": [1, {"é": 12345678901234567890123}]}, "model_tracking": true"#,
    );
    let parts = [("files", "submiter_confs.json", &*config), ("files", "train.py", "")];
    let answer = tasks.post("/v1/tasks", &tasks.ana, None, &parts).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(answer.header("location").unwrap(), format!("/v1/tasks/{}", answer.json()["id"].as_str().unwrap()));
    assert!(answer.text().contains(r#""more": {"deep": [1, {"é": 12345678901234567890123}]}"#), "{}", answer.text());
}

#[tokio::test]
async fn mistakes_are_told_with_their_place() {
    let tasks = Tasks::new().await;
    let refused = async |parts: &[(&str, &str, &str)]| -> String {
        let answer = tasks.post("/v1/tasks", &tasks.ana, None, parts).await;
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{}", answer.text());
        let body = answer.json();
        let pointer = body["errors"][0]["pointer"].as_str().unwrap_or("-");
        format!("{} {} {pointer}: {}", answer.status, body["code"].as_str().unwrap(), body["detail"].as_str().unwrap())
    };
    let script = ("files", "train.py", "x");
    let with = async |from: &str, to: &str| refused(&[("files", "c.json", &*SEED.replace(from, to)), script]).await;
    let unknown = with("\"atena02\"", "\"aws\"").await;
    assert!(
        unknown.starts_with("422 TaskInvalid /runner_location: there is no cluster `aws` here; known are: atena02")
    );
    assert!(
        with("wine_classification", "nothing")
            .await
            .contains("422 TaskInvalid /dataset_name: there is no dataset `nothing`")
    );
    assert!(with("wine_classification", "../../etc").await.contains("/dataset_name"));
    assert!(with("\"cpu\"", "\"gpu\"").await.contains("/clusters/atena02/infra_config/instance_type"));
    assert!(with("twinscie", "else").await.starts_with("403 NotPermitted /clusters/atena02/infra_config/account"));
    assert!(refused(&[script]).await.contains("no configuration"));
    assert!(refused(&[("files", "c.json", SEED)]).await.contains("no script"));
    assert!(refused(&[("fils", "c.json", SEED), script]).await.contains("there is no part `fils`"));
    let two = [("files", "a.json", SEED), ("files", "b.json", SEED), script];
    assert!(refused(&two).await.contains("which file is the configuration: a.json, b.json"));
    assert!(refused(&[("files", "c.json", "{"), script]).await.contains("EOF"));
    let large = "x".repeat(10_001);
    assert!(refused(&[("files", "c.json", SEED), ("files", "train.py", &large)]).await.starts_with("413 TaskTooLarge"));
    let many = [("files", "c.json", SEED), script, script, script, script];
    assert!(refused(&many).await.starts_with("413 TaskTooLarge"));
    // Nothing of all that is left.
    assert_eq!(tasks.get("/tasks", &tasks.root).await.json(), json!([]));
    for folder in ["files", "incoming"] {
        let left = std::fs::read_dir(tasks._folder.path().join(folder)).map_or(0, Iterator::count);
        assert_eq!(left, 0, "{folder}");
    }
}

/// e088 | a form has no end, the wrong boundary, or is none | refused at once, and nothing is stored
#[tokio::test]
async fn e088_broken_forms_are_refused() {
    let tasks = Tasks::new().await;
    let whole = form(&seed());
    let kind = "multipart/form-data; boundary=--x";
    for (kind, body) in [
        (kind, whole[..whole.len() - 10].to_vec()),
        ("multipart/form-data; boundary=y", whole.clone()),
        ("multipart/form-data", whole.clone()),
        ("application/json", whole.clone()),
        (kind, Vec::new()),
    ] {
        let answer = tasks.ask("POST", "/new_task", &tasks.ana, &[("content-type", kind)], body).await;
        assert_eq!(answer.status, 422, "{kind}: {}", answer.text());
    }
    assert_eq!(tasks.get("/tasks", &tasks.root).await.json(), json!([]));
}

/// e089 | the body of a request is packed, and would unpack to a thousand times its size | it is never unpacked: 415, and nothing is stored
#[tokio::test]
async fn e089_packed_requests_are_not_unpacked() {
    let tasks = Tasks::new().await;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, &form(&seed())).unwrap();
    std::io::Write::write_all(&mut encoder, &vec![0; 50 << 20]).unwrap();
    let packed = encoder.finish().unwrap();
    for (encoding, path) in [("gzip", "/v1/tasks"), ("GZIP", "/new_task"), ("br", "/auth/login"), ("zstd", "/webhook")]
    {
        let headers = [("content-type", "multipart/form-data; boundary=--x"), ("content-encoding", encoding)];
        let answer = tasks.ask("POST", path, &tasks.ana, &headers, packed.clone()).await;
        assert_eq!(answer.status, 415, "{path}: {}", answer.text());
    }
    let plain = [("content-type", "multipart/form-data; boundary=--x"), ("content-encoding", "identity")];
    let answer = tasks.ask("POST", "/v1/tasks", &tasks.ana, &plain, form(&seed())).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(tasks.get("/tasks", &tasks.root).await.json().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_request_may_be_repeated_under_its_key() {
    let tasks = Tasks::new().await;
    let first = tasks.post("/v1/tasks", &tasks.ana, Some("k1"), &seed()).await;
    assert_eq!((first.status, first.header("idempotent-replayed")), (201, None));
    let again = tasks.post("/v1/tasks", &tasks.ana, Some("k1"), &seed()).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (201, Some("true")));
    assert_eq!(first.json()["id"], again.json()["id"]);
    let mut other = seed();
    other[1].2 = "print('another')\n";
    let other = tasks.post("/v1/tasks", &tasks.ana, Some("k1"), &other).await;
    assert_eq!((other.status, other.header("x-error-code")), (422, Some("TaskKeyTaken")));
    assert_eq!(tasks.get("/tasks", &tasks.ana).await.json().as_array().unwrap().len(), 1);
    for _ in 0..2 {
        tasks.submit(&tasks.ana).await;
    }
    let full = tasks.post("/v1/tasks", &tasks.ana, None, &seed()).await;
    assert_eq!((full.status, full.header("retry-after")), (429, Some("30")));
}

/// Every route that names a task, as method and path.
fn routes(id: TaskId) -> Vec<(&'static str, String)> {
    let rest = ["", "/attempts", "/events", "/logs", "/logs?follow=sse", "/artifacts", "/artifacts/model.bin"];
    let mut all: Vec<_> = rest.iter().map(|rest| ("GET", format!("/v1/tasks/{id}{rest}"))).collect();
    all.extend([("GET", format!("/task/{id}")), ("GET", format!("/job_status/{id}"))]);
    all.extend(["cancel", "retry"].map(|verb| ("POST", format!("/v1/tasks/{id}/{verb}"))));
    all
}

#[tokio::test]
async fn foreign_tasks_are_not_there_and_nobody_is_nobody() {
    let tasks = Tasks::new().await;
    let id = tasks.submit(&tasks.ana).await;
    for (method, path) in routes(id) {
        let answer = tasks.ask(method, &path, &tasks.bob, &[], Vec::new()).await;
        assert_eq!((answer.status, answer.header("x-error-code")), (404, Some("TaskNotFound")), "{method} {path}");
        let answer = ask_with(&tasks.router, method, &path, &[("host", "viewer.test")], Vec::new()).await;
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Bearer")), "{method} {path}");
    }
    assert_eq!(tasks.get(&format!("/task/{id}"), &tasks.root).await.status, 200);
    // A token for reading is not good for tasks.
    let read = token(&tasks.app, &tasks.ana, &["read"]).await["token"].as_str().unwrap().to_owned();
    assert_eq!(tasks.get("/tasks", &read).await.status, 403);
    let good = token(&tasks.app, &tasks.ana, &["tasks"]).await["token"].as_str().unwrap().to_owned();
    assert_eq!(tasks.get("/tasks", &good).await.status, 200);
    // A token of an admin for tasks reaches the admin's own tasks.
    let narrow = token(&tasks.app, &tasks.root, &["tasks"]).await["token"].as_str().unwrap().to_owned();
    assert_eq!(tasks.get(&format!("/task/{id}"), &narrow).await.status, 404);
    let users = tasks.get("/users", &tasks.ana).await;
    assert_eq!(users.json().as_array().unwrap().len(), 1);
    assert!(!users.text().contains("argon2") && !users.text().contains("hash"));
    assert_eq!(tasks.get("/users/", &tasks.root).await.json().as_array().unwrap().len(), 3);
    assert_eq!(tasks.get("/users/bob", &tasks.ana).await.status, 404);
    assert_eq!(send(&tasks.app, "GET", "/auth/me", &tasks.ana, &Json::Null).await.status, 200);
}

#[tokio::test]
async fn a_task_is_cancelled_and_tried_again() {
    let tasks = Tasks::new().await;
    let id = tasks.submit(&tasks.ana).await;
    let path = |verb: &str| format!("/v1/tasks/{id}/{verb}");
    let post = async |verb: &str| tasks.ask("POST", &path(verb), &tasks.ana, &[], Vec::new()).await;
    assert_eq!(post("retry").await.status, 409);
    let cancelled = post("cancel").await;
    assert_eq!((cancelled.status, &cancelled.json()["state"]), (202, &json!("cancelled")));
    assert_eq!(post("cancel").await.status, 409);
    let again = post("retry").await;
    assert_eq!((again.status, &again.json()["attempt"]["number"]), (202, &json!(2)));
    let attempts = tasks.get(&path("attempts"), &tasks.ana).await.json();
    assert_eq!(attempts["attempts"].as_array().unwrap().len(), 2);
    let events = tasks.get(&path("events"), &tasks.ana).await.json();
    let kinds: Vec<_> = events["events"].as_array().unwrap().iter().map(|event| event["kind"].clone()).collect();
    assert_eq!(kinds, ["submitted_by", "cancel_requested", "cancelled", "retried"]);
}

#[tokio::test]
async fn a_plan_shows_what_would_be_submitted_and_stores_nothing() {
    let tasks = Tasks::new().await;
    let answer = tasks.post("/v1/tasks/plan", &tasks.ana, None, &seed()).await;
    let plan = answer.json();
    assert_eq!(answer.status, 200, "{plan}");
    assert_eq!(plan["starts"], json!({"kind": "script", "file": "train.py", "arguments": "flags"}));
    assert_eq!(plan["needs"]["image"], "/nonexistent/images/sklearn_sample_latest.sif");
    assert_eq!((&plan["needs"]["partition"], &plan["needs"]["account"]), (&json!("cpu"), &json!("twinscie")));
    assert_eq!(plan["dataset"]["dataset"], "local/wine_classification");
    assert_eq!(tasks.get("/tasks", &tasks.root).await.json(), json!([]));
}

#[tokio::test]
async fn logs_and_artifacts_are_read_from_any_place() {
    let tasks = Tasks::new().await;
    let id = tasks.submit(&tasks.ana).await;
    let store = &tasks.app.services.store.tasks;
    let key = LogKey { task: id, attempt: 1, stream: "out" };
    let piece = |start, bytes: &[u8]| LogPiece { generation: 0, start, bytes: bytes.to_vec() };
    // A character is cut between two pieces.
    for piece in [piece(0, b"one \xc3"), piece(5, b"\xa9\n")] {
        store.append_log(&key, piece).await.unwrap();
    }
    let path = |rest: &str| format!("/v1/tasks/{id}/{rest}");
    let log = tasks.get(&path("logs?offset=2"), &tasks.ana).await;
    assert_eq!(log.text(), "e é\n");
    assert_eq!((log.header("x-log-next-offset"), log.header("x-content-type-options")), (Some("7"), Some("nosniff")));
    assert_eq!(tasks.get(&path("logs?stream=else"), &tasks.ana).await.status, 422);
    tasks.go(id, ON_CLUSTER, Facts::default()).await;
    tasks.go(id, &[State::Collecting, State::Succeeded], Facts::default()).await;
    let followed = tasks.get(&path("logs?follow=sse"), &tasks.ana).await.text();
    assert!(followed.contains("id: 0:7\n") && followed.contains(r#""text":"one é\n""#), "{followed}");
    assert!(followed.contains("event: end\ndata: {\"state\":\"succeeded\",\"reason\":null}"), "{followed}");

    let artifact = |path: &str, sha256: Option<&str>| Artifact {
        path: path.into(),
        size_bytes: 5,
        sha256: sha256.map(str::to_owned),
        note: None,
    };
    let folder = tasks.inbox.artifacts(id, 1);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(copy_name("deep/<b>.html")), "model").unwrap();
    let list = vec![artifact("deep/<b>.html", Some("ab")), artifact("link", None)];
    store.put_artifacts(id, 1, list).await.unwrap();
    let shown = tasks.get(&path("artifacts"), &tasks.ana).await.json();
    assert_eq!(shown["artifacts"][0]["path"], "deep/<b>.html");
    let whole = tasks.get(&path("artifacts/deep/%3Cb%3E.html"), &tasks.ana).await;
    assert_eq!((whole.status, whole.text().as_str()), (200, "model"));
    assert_eq!(whole.header("content-type"), Some("application/octet-stream"));
    assert!(whole.header("content-disposition").unwrap().starts_with("attachment; filename=\"_b_.html\""));
    let range = [("range", "bytes=1-2")];
    let part = tasks.ask("GET", &path("artifacts/deep/%3Cb%3E.html"), &tasks.ana, &range, Vec::new()).await;
    assert_eq!((part.status, part.text().as_str()), (206, "od"));
    for missing in ["link", "deep", "../../x", "%2e%2e/x"] {
        assert_eq!(tasks.get(&path(&format!("artifacts/{missing}")), &tasks.ana).await.status, 404, "{missing}");
    }
}

/// e080 | the files of a dataset change between the submission and the run of a task | the task keeps the revision of its submission
#[tokio::test]
async fn e080_a_task_keeps_its_revision() {
    let tasks = Tasks::new().await;
    let id = tasks.submit(&tasks.ana).await;
    let before = tasks.get(&format!("/v1/tasks/{id}"), &tasks.ana).await.json()["dataset"].clone();
    tasks.app.write("wine_classification/wine.csv", "alcohol,class\n99.9,9\n");
    tasks.app.settle().await;
    let after = tasks.get(&format!("/v1/tasks/{id}"), &tasks.ana).await.json()["dataset"].clone();
    assert_eq!(before, after);
    let newer = tasks.submit(&tasks.ana).await;
    let newer = tasks.get(&format!("/v1/tasks/{newer}"), &tasks.ana).await.json()["dataset"].clone();
    assert_ne!(before["revision"], newer["revision"]);
    // The old bytes are gone, so they are not given out as the new ones.
    let datasets = HubDatasets::new(Arc::clone(&tasks.app.services), &tasks.inbox);
    let pin = serde_json::from_value(before).unwrap();
    assert!(matches!(datasets.locate(&pin).await, Err(belvedere_tasks::DatasetError::Gone(_))));
    assert!(datasets.locate(&serde_json::from_value(newer).unwrap()).await.is_ok());
}

#[tokio::test]
async fn a_split_is_pinned_as_parquet() {
    let tasks = Tasks::new().await;
    let config = SEED.replace("wine_classification", "local/wine_classification/default/train");
    let parts = [("files", "c.json", &*config), ("files", "train.py", "")];
    let plan = tasks.post("/v1/tasks/plan", &tasks.ana, None, &parts).await.json();
    let path = plan["dataset"]["files"][0]["path"].as_str().unwrap();
    assert!(path.ends_with(".parquet"), "{plan}");
    let legacy = SEED.replace("\"wine_classification\"", "\"wine_classification.csv\"");
    let parts = [("files", "c.json", &*legacy), ("files", "train.py", "")];
    let plan = tasks.post("/v1/tasks/plan", &tasks.ana, None, &parts).await.json();
    assert_eq!(plan["dataset"]["files"][0]["path"], "wine.csv", "{plan}");
}
