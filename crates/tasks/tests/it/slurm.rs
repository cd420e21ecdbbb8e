//! Slurm: a real one, over a real OpenSSH, where `BELVEDERE_TEST_SLURM` names the folder that `ci/slurm.sh` made for it.

use std::time::Instant;

use belvedere_domain::task::State;
use belvedere_store::tasks::Cancelled;

use crate::bed::PATIENCE;
use crate::real::{Real, config, executions, frozen};

const SCRIPT: &str = "#!/bin/sh\necho \"$(cat \"$TASK_INPUT\" | wc -l) lines for $MLFLOW_EXPERIMENT_NAME\"\n\
                      echo model >\"$TASK_OUTPUT/model.txt\"\nexit ${1:-0}\n";

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
        std::io::Write::write_all(&mut std::io::stderr(), b"skipped: there is no image; ci/apptainer.sh says why\n")
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
    let frozen = frozen(&real);
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
    let frozen = frozen(&real);
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
