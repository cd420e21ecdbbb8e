//! What can go wrong between us and a real Slurm over a real OpenSSH (rows 34 to 64).

use std::process::Command;

use belvedere_domain::task::State;
use belvedere_store::tasks::Cancelled;
use belvedere_tasks::MonitorSettings;

use crate::bed::Bed;
use crate::real::{Harm, Real, config, executions, meanwhile, processes, until};

/// Submits a task that counts its executions, and does something bad while `sbatch` is about to ask. When it has asked, the
/// task must have run once.
async fn harmed_while_sbatch_asks(harm: impl FnOnce(&Real, &str)) {
    let Some(real) = Real::new() else { return };
    let bed = real.bed(|text| text).await;
    let count = real.shared("count");
    let id = bed.submit(&config(""), &[("x.sh", &format!("echo EXECUTE >>{}", count.display()))]).await;
    let tag = bed.task(id).await.attempt.tag;
    let held = real.held();
    let asks = async {
        meanwhile("sbatch is about to ask", || !processes("timeout", &["sbatch", tag.as_str()]).is_empty()).await;
        harm(&real, tag.as_str());
    };
    tokio::join!(bed.tick("real"), asks);
    assert_eq!(bed.task(id).await.attempt.state, State::SubmitUnknown);
    drop(held);
    let task = bed.end(id).await;
    assert_eq!(task.attempt.state, State::Succeeded, "{:?} {}", task.attempt, bed.story(id).await);
    assert_eq!(executions(&count), 1, "{}", bed.story(id).await);
    let receipt = std::fs::read_to_string(real.place(&tag).join("receipt")).unwrap();
    assert_eq!((task.attempt.job, task.attempt.submissions), (Some(receipt), 1));
}

/// e034 | the connection is cut when `sbatch` has asked, and its answer is lost | the attempt is `submit_unknown`; the receipt or the queue tells of the job, which runs once
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e034_a_lost_answer_is_found() {
    harmed_while_sbatch_asks(|real, _| real.cut()).await;
}

/// e035 | the program `ssh` on this side is killed while `sbatch` asks | the other side goes on; its receipt is found, and the job runs once
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e035_a_killed_client_costs_no_job() {
    harmed_while_sbatch_asks(|_, tag| {
        let clients = processes("ssh", &["'submit'", tag]);
        assert!(!clients.is_empty());
        for pid in clients {
            assert!(Command::new("kill").args(["-KILL", &pid]).status().unwrap().success());
        }
    })
    .await;
}

/// e037 | the controller of Slurm is down when a task is to be submitted | the task waits, which is not counted as a failure of its own; when the controller is back it runs once
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e037_a_controller_that_is_down_delays() {
    let Some(real) = Real::new() else { return };
    let bed = real.bed(|text| text).await;
    let count = real.shared("count");
    let id = bed.submit(&config(""), &[("x.sh", &format!("echo EXECUTE >>{}", count.display()))]).await;
    let down = real.without("slurmctld");
    let task = bed.until(id, &[State::SubmitUnknown, State::Queued]).await;
    assert_eq!(task.attempt.failures, 0, "{:?}", task.attempt);
    bed.tick("real").await;
    assert!(!bed.task(id).await.attempt.state.is_final());
    drop(down);
    let task = bed.end(id).await;
    assert_eq!(task.attempt.state, State::Succeeded, "{:?} {}", task.attempt, bed.story(id).await);
    assert_eq!(executions(&count), 1);
}

/// e039 | munge is down on the login node, so that no command of Slurm works | states stay as they are, the cluster is `away`, and nothing is taken for the end of a job
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e039_without_munge_nothing_ends() {
    let Some(real) = Real::new() else { return };
    let bed = real.bed(|text| text.replace("command_seconds = 60", "command_seconds = 6")).await;
    let go = real.shared("go");
    let id =
        bed.submit(&config(""), &[("x.sh", &format!("while [ ! -s {} ]; do sleep 0.2; done", go.display()))]).await;
    bed.until(id, &[State::Running]).await;
    let down = real.without("munged");
    bed.tick("real").await;
    assert_eq!(bed.task(id).await.attempt.state, State::Running);
    let row = bed.store.tasks.clusters().await.unwrap().remove(0);
    assert!(row.health.unwrap().contains(r#""state":"away""#));
    drop(down);
    std::fs::write(&go, "go").unwrap();
    assert_eq!(bed.end(id).await.attempt.state, State::Succeeded);
}

/// e040 | the controller has as many jobs as it may have, and lets `sbatch` wait for ever | `sbatch` is ended after `command_seconds`, nothing of it is left over; the task is submitted when there is room, and runs once
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e040_a_full_controller_is_not_waited_for() {
    let Some(real) = Real::new() else { return };
    let count = real.shared("count");
    // A job that is there, so that one is too many.
    let before = real.bed(|text| text).await;
    let id = before.submit(&config(""), &[("x.sh", "true")]).await;
    before.end(id).await;
    let bed = real.bed(|text| text.replace("command_seconds = 60", "command_seconds = 6")).await;
    let full = real.with_line("MaxJobCount=1");
    let id = bed.submit(&config(""), &[("x.sh", &format!("echo EXECUTE >>{}", count.display()))]).await;
    let task = bed.until(id, &[State::SubmitUnknown]).await;
    assert!(task.attempt.reason.as_deref().unwrap().contains("temporarily unable to accept job"), "{:?}", task.attempt);
    until("no sbatch is left", || processes("sbatch", &[task.attempt.tag.as_str()]).is_empty());
    drop(full);
    let task = bed.end(id).await;
    assert_eq!(task.attempt.state, State::Succeeded, "{:?} {}", task.attempt, bed.story(id).await);
    assert_eq!(executions(&count), 1);
}

/// e044 | the cluster has no accounting | `clusters check` says so; results and the queue decide, and a job that ended by itself, was cancelled by others or failed is told as that
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e044_accounting_is_not_needed() {
    let Some(real) = Real::new() else { return };
    let bed = real.bed(|text| text).await;
    let member = bed.catalog.members().next().unwrap();
    let checks = member.cluster.check().await;
    let accounting = checks.iter().find(|check| check.name == "accounting").unwrap();
    assert!(accounting.ok && accounting.found.starts_with("off"), "{accounting:?}");
    let failed = bed.submit(&config(""), &[("x.sh", "exit 7")]).await;
    let cancelled = bed.submit(&config(""), &[("x.sh", "sleep 1000")]).await;
    let task = bed.end(failed).await;
    assert_eq!((task.attempt.state, task.attempt.exit_code), (State::Failed, Some(7)));
    let task = bed.until(cancelled, &[State::Running]).await;
    let conf = real.folder.join("slurm.conf");
    // At once, so that no note of its end is left.
    let words = ["--signal=KILL", "--full", &task.attempt.job.unwrap()];
    assert!(Command::new("scancel").args(words).env("SLURM_CONF", conf).status().unwrap().success());
    let task = bed.end(cancelled).await;
    assert!(matches!(task.attempt.state, State::Cancelled | State::Failed), "{:?}", task.attempt);
}

/// e055 | the database is restored from a backup, older than what runs on a cluster | tasks that were submitted since are found by their tags and not submitted again; jobs of tasks that are not known any more are named in the cluster's health, and let alone
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e055_an_older_database_starts_nothing_twice() {
    let Some(real) = Real::new() else { return };
    let bed = real.bed(|text| text).await;
    let (count, go) = (real.shared("count"), real.shared("go"));
    let known = bed.submit(&config(""), &[("x.sh", &format!("echo EXECUTE >>{}", count.display()))]).await;
    let backup = tempfile::tempdir().unwrap();
    // Nobody writes now, so a copy is whole.
    let status = Command::new("cp").arg("-rT").args([bed.folder(), backup.path()]).status().unwrap();
    assert!(status.success());
    assert_eq!(bed.end(known).await.attempt.state, State::Succeeded);
    let script = format!("echo EXECUTE >>{}; while [ ! -s {} ]; do sleep 0.2; done", count.display(), go.display());
    let forgotten = bed.submit(&config(""), &[("x.sh", &script)]).await;
    let tag = bed.until(forgotten, &[State::Running]).await.attempt.tag;
    until("both have run", || executions(&count) == 2);

    let restored = Bed::with(backup, real.catalog(|text| text), MonitorSettings::default()).await;
    assert_eq!(restored.task(known).await.attempt.state, State::Queued);
    let task = restored.end(known).await;
    assert_eq!(task.attempt.state, State::Succeeded, "{:?}", task.attempt);
    assert_eq!(executions(&count), 2, "nothing was started again");
    // Looked for while there is something to look after.
    let another = restored.submit(&config(""), &[("x.sh", "true")]).await;
    restored.end(another).await;
    let health = restored.store.tasks.clusters().await.unwrap().remove(0).health.unwrap();
    let told: serde_json::Value = serde_json::from_str(&health).unwrap();
    // Jobs of other tests may still run on the cluster.
    assert!(told["unknown_jobs"].as_array().unwrap().iter().any(|job| *job == *tag.as_str()), "{health}");
    std::fs::write(&go, "go").unwrap();
    assert_eq!(bed.end(forgotten).await.attempt.state, State::Succeeded, "it was let alone");
}

/// A small disk on the cluster, unmounted in the end.
fn small_disk(real: &Real) -> (std::path::PathBuf, Harm<'static>) {
    let path = real.folder.join("shared").join(format!("small-{}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=256k,mode=1777", "small"]).arg(&path).status();
    assert!(mounted.unwrap().success());
    let place = path.clone();
    let undo = move || {
        // A job may just be ending there.
        let _ = Command::new("umount").arg("-l").arg(&place).status();
    };
    (path, Harm::new(undo))
}

/// e059 | the disk of the cluster is full, or a quota of it used up, while files are brought | the task waits with that reason, what had come is removed, and it runs when there is room
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e059_a_full_disk_of_the_cluster_is_waited_for() {
    let Some(real) = Real::new() else { return };
    let (path, _mounted) = small_disk(&real);
    let root = format!("remote_root = \"{}/tasks\"", path.display());
    let bed = real
        .bed(|text| {
            text.lines()
                .map(|line| if line.starts_with("remote_root") { &root } else { line })
                .collect::<Vec<_>>()
                .join("\n")
        })
        .await;
    let id = bed.submit(&config(""), &[("x.sh", "echo ran"), ("big.txt", &"x".repeat(500_000))]).await;
    bed.tick("real").await;
    let task = bed.task(id).await;
    assert_eq!((task.attempt.state, task.attempt.submissions), (State::Queued, 0));
    assert!(task.attempt.reason.as_deref().unwrap().contains("No space left"), "{:?}", task.attempt);
    assert_eq!(std::fs::read_dir(path.join("tasks/.incoming")).unwrap().count(), 0);
    let more = Command::new("mount").args(["-o", "remount,size=8m"]).arg(&path).status();
    assert!(more.unwrap().success());
    let task = bed.end(id).await;
    assert_eq!(task.attempt.state, State::Succeeded, "{:?}", task.attempt);
}

/// e064 | a task is cancelled while its cluster cannot be reached | the wish is stored and visible at once, and fulfilled when the cluster is back
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e064_a_wish_to_cancel_outlasts_a_lost_cluster() {
    let Some(real) = Real::new() else { return };
    let bed = real.bed(|text| text).await;
    let id = bed.submit(&config(""), &[("x.sh", "sleep 1000")]).await;
    bed.until(id, &[State::Running]).await;
    let down = real.without("sshd");
    assert_eq!(bed.store.tasks.cancel(id, None, "ana").await.unwrap(), Cancelled::Requested);
    bed.tick("real").await;
    let task = bed.task(id).await;
    assert!(task.cancel_at.is_some() && task.attempt.state == State::Running, "{:?}", task.attempt);
    let row = bed.store.tasks.clusters().await.unwrap().remove(0);
    assert!(row.health.unwrap().contains(r#""state":"away""#));
    drop(down);
    assert_eq!(bed.end(id).await.attempt.state, State::Cancelled);
}
