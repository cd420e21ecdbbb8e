//! Slurm: a real one, over a real OpenSSH, where `BELVEDERE_TEST_SLURM` names the folder that `ci/slurm.sh` made for it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use belvedere_domain::task::State;
use belvedere_store::tasks::Cancelled;
use belvedere_tasks::profile::ClustersFile;
use belvedere_tasks::{Catalog, MonitorSettings};

use crate::bed::{Bed, PATIENCE};

/// A real cluster.
struct Real {
    folder: PathBuf,
    /// Nobody else freezes its controller meanwhile.
    _turn: std::fs::File,
}

impl Real {
    fn new() -> Option<Self> {
        let folder = PathBuf::from(std::env::var_os("BELVEDERE_TEST_SLURM")?);
        let turn = std::fs::File::create(folder.join("turn")).unwrap();
        turn.lock().unwrap();
        Some(Self { folder, _turn: turn })
    }

    /// A monitor of it, after a change of its description.
    async fn bed(&self, change: impl FnOnce(String) -> String) -> Bed {
        let text = std::fs::read_to_string(self.folder.join("clusters.toml")).unwrap();
        let file = ClustersFile::parse(&change(text)).unwrap();
        let mut catalog = Catalog::default();
        for (name, profile) in file.clusters {
            catalog = catalog.with_profile(name, profile).unwrap();
        }
        Bed::with(tempfile::tempdir().unwrap(), catalog, MonitorSettings::default()).await
    }

    /// Sends a signal to the controller.
    fn controller(&self, signal: &str) {
        let pid = std::fs::read_to_string(self.folder.join("slurmctld.pid")).unwrap();
        let status = Command::new("kill").arg(format!("-{signal}")).arg(pid.trim()).status().unwrap();
        assert!(status.success());
    }

    /// A file that all nodes and this test see.
    fn shared(&self, name: &str) -> PathBuf {
        let path = self.folder.join("shared").join(format!("{name}-{}", std::process::id()));
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
        path
    }
}

/// Thaws the controller however a test ends.
struct Frozen<'a>(&'a Real);

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        self.0.controller("CONT");
    }
}

const SCRIPT: &str = "#!/bin/sh\necho \"$(cat \"$TASK_INPUT\" | wc -l) lines for $MLFLOW_EXPERIMENT_NAME\"\n\
                      echo model >\"$TASK_OUTPUT/model.txt\"\nexit ${1:-0}\n";

fn config(more: &str) -> String {
    format!(r#"{{"runner_location": "real", "args_style": "none", "experiment_name": "it's $(id)"{more}}}"#)
}

fn executions(path: &Path) -> usize {
    std::fs::read_to_string(path).unwrap().lines().count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_runs_on_slurm_over_ssh() {
    let Some(real) = Real::new() else { return };
    let bed = real.bed(|text| text).await;
    let id = bed.submit(&config(r#", "dataset_name": "wine""#), &[("x.sh", SCRIPT)]).await;
    let task = bed.end(id).await;
    assert_eq!(task.attempt.state, State::Succeeded, "{:?} {}", task.attempt, bed.log(id, "err").await);
    assert_eq!(bed.log(id, "out").await, "3 lines for it's $(id)\n");
    assert!(task.attempt.job.is_some() && task.attempt.host.is_some());
    let artifacts = bed.store.tasks.artifacts(id, 1).await.unwrap();
    assert_eq!(artifacts[0].path, "model.txt");
    let member = bed.catalog.members().next().unwrap();
    let checks = member.cluster.check().await;
    assert!(checks.iter().filter(|check| check.name != "images").all(|check| check.ok), "{checks:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_runs_in_a_real_image() {
    let Some(real) = Real::new() else { return };
    if !real.folder.join("shared/busybox.sif").exists() {
        // Not a macro of the test harness, which would keep it to itself.
        std::io::Write::write_all(&mut std::io::stderr(), b"skipped: there is no image; ci/slurm.sh says why\n")
            .unwrap();
        return;
    }
    let bed = real.bed(|text| text).await;
    let image = r#", "dataset_name": "wine", "clusters": {"real": {"infra_config": {"image_name": "busybox"}}}"#;
    let script = format!("{SCRIPT}ls / >&2\n").replace("exit ${1:-0}\n", "");
    let id = bed.submit(&config(image), &[("x.sh", &script)]).await;
    let task = bed.end(id).await;
    let err = bed.log(id, "err").await;
    assert_eq!(task.attempt.state, State::Succeeded, "{:?} {err}", task.attempt);
    assert_eq!(bed.log(id, "out").await.trim(), "3 lines for it's $(id)");
    assert!(!err.lines().any(|line| line == "boot"), "{err}");
}

/// e042 | Slurm refuses an account or a partition | the task ends with Slurm's words and is not tried again
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e042_what_slurm_refuses_is_not_tried_again() {
    let Some(real) = Real::new() else { return };
    let bed = real.bed(|text| text).await;
    let block = r#", "clusters": {"real": {"infra_config": {"instance_type": "nowhere"}}}"#;
    let id = bed.submit(&config(block), &[("x.sh", "true")]).await;
    let task = bed.end(id).await;
    assert_eq!(task.attempt.state, State::SubmitFailed);
    assert!(task.attempt.reason.unwrap().contains("invalid partition"));
}

/// e036 | the controller of Slurm stands still while a job is submitted, and takes it when it comes back | the attempt is `submit_unknown` meanwhile, is found again by its tag, and runs exactly once
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e036_a_frozen_controller_submits_once() {
    let Some(real) = Real::new() else { return };
    let bed = real.bed(|text| text).await;
    let count = real.shared("count");
    let id = bed.submit(&config(""), &[("x.sh", &format!("echo EXECUTE >>{}", count.display()))]).await;
    real.controller("STOP");
    let frozen = Frozen(&real);
    let end = Instant::now() + PATIENCE;
    while bed.task(id).await.attempt.state != State::SubmitUnknown {
        assert!(Instant::now() < end, "{:?}", bed.task(id).await.attempt);
        bed.tick("real").await;
    }
    drop(frozen);
    let task = bed.end(id).await;
    assert_eq!(task.attempt.state, State::Succeeded, "{:?} {}", task.attempt, bed.story(id).await);
    assert_eq!(executions(&count), 1);
}

/// e038 | the controller of Slurm does not answer while a job runs | its state stays as it is, and nothing is taken for its end
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e038_silence_is_no_end() {
    let Some(real) = Real::new() else { return };
    let bed = real.bed(|text| text.replace("command_seconds = 60", "command_seconds = 3")).await;
    let go = real.shared("go");
    let script = format!("while [ ! -s {} ]; do sleep 0.2; done", go.display());
    let id = bed.submit(&config(""), &[("x.sh", &script)]).await;
    bed.until(id, &[State::Running]).await;
    real.controller("STOP");
    let frozen = Frozen(&real);
    bed.tick("real").await;
    assert_eq!(bed.task(id).await.attempt.state, State::Running);
    let row = bed.store.tasks.clusters().await.unwrap().remove(0);
    assert!(row.health.unwrap().contains("away"));
    drop(frozen);
    std::fs::write(&go, "go").unwrap();
    assert_eq!(bed.end(id).await.attempt.state, State::Succeeded);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_cancelled() {
    let Some(real) = Real::new() else { return };
    let bed = real.bed(|text| text).await;
    let id = bed.submit(&config(""), &[("x.sh", "sleep 1000")]).await;
    bed.until(id, &[State::Running]).await;
    assert_eq!(bed.store.tasks.cancel(id, None, "ana").await.unwrap(), Cancelled::Requested);
    assert_eq!(bed.end(id).await.attempt.state, State::Cancelled);
}

/// e031 | nothing listens where the cluster should be | the task stays queued, the cluster is asked less and less, and its state says so
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e031_a_cluster_that_is_away_keeps_tasks_waiting() {
    let Some(real) = Real::new() else { return };
    let bed = real.bed(|text| text.replace("host = \"127.0.0.1\"", "host = \"127.0.0.2\"")).await;
    let id = bed.submit(&config(""), &[("x.sh", "true")]).await;
    for _ in 0..5 {
        bed.tick("real").await;
    }
    let task = bed.task(id).await;
    assert_eq!((task.attempt.state, task.attempt.submissions, task.attempt.failures), (State::Queued, 0, 0));
    let row = bed.store.tasks.clusters().await.unwrap().remove(0);
    let health = row.health.unwrap();
    assert!(health.contains(r#""state":"away""#) && health.contains(r#""failures":1"#), "{health}");
}

/// e033 | the host has another key than the one that is pinned | nothing is sent to it, and the cluster's state says why
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e033_another_host_key_stops_everything() {
    let Some(real) = Real::new() else { return };
    let bed = real.bed(|text| text.replace("/known_hosts\"", "/known_hosts.wrong\"")).await;
    let id = bed.submit(&config(""), &[("x.sh", "true")]).await;
    bed.tick("real").await;
    let task = bed.task(id).await;
    assert_eq!(task.attempt.state, State::Queued);
    assert!(task.attempt.reason.unwrap().contains("known_hosts"));
    let row = bed.store.tasks.clusters().await.unwrap().remove(0);
    assert!(row.health.unwrap().contains("wrong_host"));
}
