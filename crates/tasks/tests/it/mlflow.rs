//! A real MLflow tracking server and its real client, where `BELVEDERE_TEST_MLFLOW` names the server and
//! `BELVEDERE_TEST_MLFLOW_PYTHON` a Python with the client, as `ci/mlflow.sh` sets them.

use belvedere_domain::task::State;
use belvedere_store::tasks::TaskRow;
use belvedere_tasks::{MonitorSettings, mlflow::ensure_run};
use serde_json::{Value, json};

use crate::bed::Bed;

/// A server, and a monitor that may ask it.
struct Real {
    server: String,
    bed: Bed,
}

impl Real {
    async fn new() -> Option<Self> {
        let (Ok(server), Ok(python)) =
            (std::env::var("BELVEDERE_TEST_MLFLOW"), std::env::var("BELVEDERE_TEST_MLFLOW_PYTHON"))
        else {
            return None;
        };
        let host = server.trim_start_matches("http://").to_owned();
        let settings =
            MonitorSettings { tracking_hosts: vec![host, "127.0.0.1:1".to_owned()], ..MonitorSettings::default() };
        let adjust = |local: &mut belvedere_tasks::LocalSettings| {
            local.python = python;
            // Its libraries ask for much more than they use.
            local.memory_bytes = 16 << 30;
            local.processes = 512;
            local.network = true;
        };
        Some(Self { server, bed: Bed::local_with(adjust, settings).await })
    }

    async fn run(&self, uri: &str, experiment: &str, script: &str) -> TaskRow {
        let config = json!({
            "runner_location": "local", "args_style": "none", "model_tracking": true, "tracking_uri": uri,
            "experiment_name": experiment,
        });
        let id = self.bed.submit(&config.to_string(), &[("train.py", script)]).await;
        self.bed.end(id).await
    }

    /// What the server knows about a run.
    fn told(&self, run: &str) -> Value {
        let url = format!("{}/api/2.0/mlflow/runs/get?run_id={run}", self.server);
        let mut response = ureq::get(&url).call().unwrap();
        let told: Value = serde_json::from_slice(&response.body_mut().read_to_vec().unwrap()).unwrap();
        told["run"].clone()
    }
}

/// A name that no other test run has.
fn experiment(name: &str) -> String {
    format!("{name} it's $(id) {}", belvedere_tasks::new_task_id(1))
}

const TRAINS: &str = "import mlflow, os\nwith mlflow.start_run() as run:\n    mlflow.log_param('n', 2)\n    \
                      mlflow.log_metric('score', 0.75)\n    print(run.info.run_id)\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mlflow_has_the_run_of_a_task() {
    let Some(real) = Real::new().await else { return };
    let name = experiment("run");
    let task = real.run(&real.server, &name, TRAINS).await;
    let err = real.bed.log(task.id, "err").await;
    assert_eq!(task.attempt.state, State::Succeeded, "{:?} {err}", task.attempt);
    let run = task.attempt.run_id.clone().unwrap();
    // The program took up the run that was made for it.
    assert_eq!(real.bed.log(task.id, "out").await.lines().next(), Some(run.as_str()));
    assert!(task.attempt.run_url.unwrap().starts_with(&real.server));
    let told = real.told(&run);
    assert_eq!(told["info"]["status"], "FINISHED");
    assert_eq!(told["data"]["metrics"][0]["value"], 0.75);
    assert_eq!(told["data"]["params"][0], json!({"key": "n", "value": "2"}));
    // A server that was killed before it had noted the run finds it again, and makes no other.
    let again = ensure_run(&real.server, &name, &task.attempt.tag, 0).unwrap();
    assert_eq!(again.id, run);
    // Another task of the same experiment has a run of its own there.
    let other = real.run(&real.server, &name, TRAINS).await.attempt.run_id.unwrap();
    assert_ne!(other, run);
    assert_eq!(real.told(&other)["info"]["experiment_id"], told["info"]["experiment_id"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mlflow_learns_how_a_program_ended_that_never_asked_it() {
    let Some(real) = Real::new().await else { return };
    for (script, status) in [("print('no tracking')", "FINISHED"), ("raise SystemExit(3)", "FAILED")] {
        let task = real.run(&real.server, &experiment("silent"), script).await;
        let told = real.told(&task.attempt.run_id.unwrap());
        assert_eq!(told["info"]["status"], status);
        assert!(told["info"]["end_time"].is_u64());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mlflow_records_in_files_where_a_bare_name_is_given() {
    let Some(real) = Real::new().await else { return };
    // Its own file store cannot look for names with quotes.
    let task = real.run("experiments", "files", TRAINS).await;
    let err = real.bed.log(task.id, "err").await;
    assert_eq!(task.attempt.state, State::Succeeded, "{:?} {err}", task.attempt);
    let run = task.attempt.run_id.unwrap();
    assert_eq!(real.bed.log(task.id, "out").await.trim(), run);
    let artifacts = real.bed.store.tasks.artifacts(task.id, 1).await.unwrap();
    let metric = format!("{run}/metrics/score");
    assert!(
        artifacts.iter().any(|artifact| artifact.path.starts_with("experiments/") && artifact.path.ends_with(&metric))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mlflow_may_be_away() {
    let Some(real) = Real::new().await else { return };
    // Nothing listens there.
    let task = real.run("http://127.0.0.1:1", &experiment("away"), "print('ran')").await;
    assert_eq!((task.attempt.state, task.attempt.run_id.clone()), (State::Succeeded, None));
    assert_eq!(real.bed.log(task.id, "out").await, "ran\n");
    let events = real.bed.store.tasks.events(task.id, 0, 100).await.unwrap();
    assert!(
        events.iter().any(|event| event.detail.as_deref().is_some_and(|detail| detail.contains("127.0.0.1 is away")))
    );
    assert!(task.attempt.reason.unwrap().contains("ran without one of its own"));
}
