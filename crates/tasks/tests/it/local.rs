//! This machine as a cluster.

use belvedere_domain::task::State;
use belvedere_store::tasks::Cancelled;
use belvedere_tasks::local::SandboxRule;
use belvedere_tasks::monitor::collect::copy_name;

use crate::bed::{Bed, PATIENCE};

/// Not a test: the process that runs an attempt, started by the cluster with the folder as its last argument.
#[test]
fn wrapper() {
    let folder = std::env::args().next_back().unwrap_or_default();
    let folder = std::path::Path::new(&folder);
    if folder.join("wrapper.json").exists() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let code = runtime.block_on(belvedere_tasks::local::wrapper::run(folder)).unwrap();
        std::process::exit(i32::try_from(code).unwrap());
    }
}

const LOCAL: &str = r#"{"runner_location": "local", "args_style": "none"}"#;

/// Waits until a file is there.
fn appears(path: &std::path::Path) {
    let end = std::time::Instant::now() + PATIENCE;
    while !path.exists() {
        assert!(std::time::Instant::now() < end, "{}", path.display());
        std::thread::yield_now();
    }
}

async fn trains(sandbox: SandboxRule) {
    let bed = Bed::local(|settings| settings.sandbox = sandbox).await;
    let script = r#"
import json, os, sys
arguments = dict(argument[2:].split("=") for argument in sys.argv[1:])
rows = open(arguments["input_path"]).read().splitlines()
params = json.load(open(os.environ["TASK_PARAMS"]))
os.makedirs(os.environ["TASK_OUTPUT"] + "/deep")
with open(arguments["output_path"] + "/deep/model.txt", "w") as model:
    model.write(f"{len(rows)} rows, {params['n_estimators']} trees")
print("trained", os.environ["MLFLOW_EXPERIMENT_NAME"])
print("warned", file=sys.stderr)
"#;
    let config = r#"{"runner_location": "local", "dataset_name": "wine.csv", "model_params": {"n_estimators": 2},
                     "experiment_name": "it's $(id)", "unknown": {"kept": [1]}}"#;
    let id = bed.submit(config, &[("train.py", script)]).await;
    let task = bed.end(id).await;
    assert_eq!(task.attempt.state, State::Succeeded, "{:?} {}", task.attempt, bed.log(id, "err").await);
    assert_eq!(task.attempt.exit_code, Some(0));
    assert_eq!(
        (bed.log(id, "out").await, bed.log(id, "err").await),
        ("trained it's $(id)\n".into(), "warned\n".into())
    );
    let artifacts = bed.store.tasks.artifacts(id, 1).await.unwrap();
    assert_eq!(artifacts.len(), 1);
    assert_eq!((artifacts[0].path.as_str(), artifacts[0].size_bytes), ("deep/model.txt", 15));
    let copy = bed.inbox.artifacts(id, 1).join(copy_name("deep/model.txt"));
    assert_eq!(std::fs::read_to_string(copy).unwrap(), "3 rows, 2 trees");
    let story = bed.story(id).await;
    assert!(story.starts_with("submitted_by staging submitting submitted "), "{story}");
    assert!(story.ends_with("collecting succeeded"), "{story}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_trains_on_its_dataset_and_leaves_a_model() {
    trains(SandboxRule::Off).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_trains_in_a_sandbox_where_there_is_one() {
    trains(SandboxRule::Auto).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sandbox_hides_the_machine() {
    let bed = Bed::local(|settings| settings.sandbox = SandboxRule::Auto).await;
    let secret = bed.folder().join("secret");
    std::fs::write(&secret, "secret").unwrap();
    let script = format!(
        "cat {} 2>&1; cat /etc/shadow 2>&1; echo x >$TASK_DIR/result.json; ls /proc | grep -c '^[0-9]'\n",
        secret.display()
    );
    let id = bed.submit(LOCAL, &[("look.sh", &script)]).await;
    let task = bed.end(id).await;
    let member = bed.catalog.members().next().unwrap();
    let has_sandbox = member.cluster.check().await.iter().any(|check| check.found == "bubblewrap");
    let out = bed.log(id, "out").await;
    assert!(!out.contains("root:"), "{out}");
    if has_sandbox {
        assert!(!out.lines().any(|line| line == "secret"), "{out}");
        assert!(out.lines().last().unwrap().parse::<u32>().unwrap() < 10, "{out}");
        assert_eq!(task.attempt.state, State::Succeeded);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_says_how() {
    let bed = Bed::local(|_| {}).await;
    let fails = bed.submit(LOCAL, &[("x.py", "import sys; sys.exit(7)")]).await;
    let killed = bed.submit(LOCAL, &[("x.sh", "kill -SEGV $$")]).await;
    let task = bed.end(fails).await;
    assert_eq!((task.attempt.state, task.attempt.exit_code), (State::Failed, Some(7)));
    assert_eq!(task.attempt.reason.as_deref(), Some("the program ended with exit code 7"));
    let task = bed.end(killed).await;
    assert_eq!((task.attempt.state, task.attempt.signal), (State::Failed, Some(11)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_is_unpacked_where_its_command_runs() {
    let bed = Bed::local(|_| {}).await;
    let config = r#"{"runner_location": "local", "args_style": "none", "command": "cat inner/told.txt && echo \"$TASK_INPUT\""}"#;
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("inner")).unwrap();
    std::fs::write(folder.path().join("inner/told.txt"), "unpacked\n").unwrap();
    let tar = folder.path().join("project.tar");
    let made =
        std::process::Command::new("tar").arg("-cf").arg(&tar).arg("-C").arg(folder.path()).arg("inner").status();
    assert!(made.unwrap().success());
    let text = std::fs::read_to_string(&tar).unwrap();
    let id = bed.submit(config, &[("project.tar", &text)]).await;
    let task = bed.end(id).await;
    let out = bed.log(id, "out").await;
    assert_eq!(task.attempt.state, State::Succeeded, "{out} {}", bed.log(id, "err").await);
    assert!(out.starts_with("unpacked\n") && out.ends_with("/data\n"), "{out}");
}

/// e083 | the server is killed while a task runs on its machine | the task goes on; the next server finds it by its start time and sees its end
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e083_a_task_outlives_its_server() {
    let mut bed = Bed::local(|_| {}).await;
    let script = "while [ ! -e go ]; do sleep 0.05; done; echo went";
    let id = bed.submit(LOCAL, &[("wait.sh", script)]).await;
    let before = bed.until(id, &[State::Running]).await;
    // The watch of the one before ends with its process.
    bed.restart("one");
    let member = bed.catalog.members().next().unwrap();
    let seen = member.cluster.list(std::slice::from_ref(&before.attempt.tag)).await.unwrap();
    assert_eq!(Some(seen[&before.attempt.tag][0].job.clone()), before.attempt.job);
    let folder = bed.folder().join("work").join(before.attempt.tag.as_str());
    std::fs::write(folder.join("files/go"), "").unwrap();
    let task = bed.end(id).await;
    assert_eq!((task.attempt.state, task.attempt.submissions), (State::Succeeded, 1));
    assert_eq!(bed.log(id, "out").await, "went\n");
}

/// e053 | the server dies after it has stored a task and before anything else | the next one goes on with it
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e053_a_stored_task_is_taken_up() {
    let mut bed = Bed::local(|_| {}).await;
    let id = bed.submit(LOCAL, &[("x.sh", "true")]).await;
    bed.restart("one");
    assert_eq!(bed.end(id).await.attempt.state, State::Succeeded);
}

/// e054 | the server dies between asking the cluster and noting its answer | the next one finds the job by its tag and does not submit again
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e054_an_answer_that_was_not_noted_is_found() {
    use belvedere_store::tasks::{Advance, Facts};
    use belvedere_tasks::cluster::{Answer, Needs, Submission};
    use belvedere_tasks::stage::{Variables, deliveries};
    let bed = Bed::local(|_| {}).await;
    let count = bed.folder().join("count");
    std::fs::write(&count, "").unwrap();
    std::fs::set_permissions(&count, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    let id = bed.submit(LOCAL, &[("x.sh", &format!("echo EXECUTE >>{}", count.display()))]).await;
    // As the server before did, up to the moment of its death.
    for (version, from, to) in [(0, State::Queued, State::Staging), (1, State::Staging, State::Submitting)] {
        let (step, actor) = (from.to(to), "monitor".to_owned());
        let advance = Advance { task: id, number: 1, version, step, actor, facts: Facts::default() };
        assert!(bed.store.tasks.advance(advance).await.unwrap());
    }
    let attempt = bed.task(id).await.attempt;
    let member = bed.catalog.members().next().unwrap();
    let config = belvedere_domain::task::TaskConfig::parse(LOCAL.as_bytes()).unwrap();
    let files = bed.store.tasks.files(id).await.unwrap();
    bed.inbox.unpack(id, bed.store.tasks.contents(id).await.unwrap()).await.unwrap();
    let deliveries = deliveries(&config, &files, &bed.inbox.folder(id), None, &Variables::default());
    member.cluster.stage(&attempt.tag, &deliveries).await.unwrap();
    let submission = Submission {
        tag: attempt.tag.clone(),
        created_at: attempt.created_at,
        kind: "script",
        file: "x.sh".into(),
        style: "none",
        needs: Needs::default(),
    };
    let Answer::Taken(job) = member.cluster.submit(&submission).await.unwrap() else { panic!("not taken") };
    let task = bed.end(id).await;
    assert_eq!(task.attempt.state, State::Succeeded, "{}", bed.log(id, "err").await);
    assert_eq!((task.attempt.job, task.attempt.submissions), (Some(job.clone()), 1));
    // Asked once more, the cluster says the same and starts nothing.
    assert_eq!(member.cluster.submit(&submission).await.unwrap(), Answer::Taken(job));
    assert_eq!(std::fs::read_to_string(&count).unwrap(), "EXECUTE\n");
    let story = bed.story(id).await;
    assert!(story.contains("submitting submit_unknown submitted"), "{story}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_task_is_cancelled_with_all_that_it_started() {
    let bed = Bed::local(|_| {}).await;
    let script = "setsid sh -c 'echo $$ >orphan.tmp; mv orphan.tmp orphan; exec sleep 1000' & sleep 1000";
    let id = bed.submit(LOCAL, &[("x.sh", script)]).await;
    let task = bed.until(id, &[State::Running]).await;
    let folder = bed.folder().join("work").join(task.attempt.tag.as_str());
    appears(&folder.join("files/orphan"));
    let orphan = std::fs::read_to_string(folder.join("files/orphan")).unwrap();
    assert_eq!(bed.store.tasks.cancel(id, Some("ana"), "ana").await.unwrap(), Cancelled::Requested);
    let task = bed.end(id).await;
    assert_eq!(task.attempt.state, State::Cancelled);
    assert!(!std::path::Path::new(&format!("/proc/{}", orphan.trim())).exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_is_limited() {
    let bed = Bed::local(|settings| settings.time_seconds = 1).await;
    let id = bed.submit(LOCAL, &[("x.sh", "sleep 1000")]).await;
    assert_eq!(bed.end(id).await.attempt.state, State::Timeout);
}

/// e085 | a program on this machine asks for ever more memory, starts ever more processes, writes an endless file | its limits end it; the server and other tasks go on
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e085_greedy_programs_are_limited() {
    let bed = Bed::local(|settings| {
        settings.memory_bytes = 512 << 20;
        settings.processes = 20;
        settings.file_bytes = 1 << 20;
    })
    .await;
    let memory = bed.submit(LOCAL, &[("x.py", "x = bytearray(1 << 31)")]).await;
    let bomb = "import os\nfor i in range(100):\n    pid = os.fork()\n    if pid == 0:\n        import time; time.sleep(100)\n";
    let processes = bed.submit(LOCAL, &[("x.py", bomb)]).await;
    let file = bed.submit(LOCAL, &[("x.sh", "exec head -c 100000000 /dev/zero >big")]).await;
    let task = bed.end(memory).await;
    assert_eq!(task.attempt.state, State::Failed);
    assert!(bed.log(memory, "err").await.contains("MemoryError"));
    let task = bed.end(file).await;
    assert_eq!((task.attempt.state, task.attempt.signal), (State::Failed, Some(25)));
    // The superuser's processes are not counted, so programs of a server of his run as somebody else.
    let task = bed.end(processes).await;
    assert_eq!(task.attempt.state, State::Failed, "{}", bed.log(processes, "err").await);
    assert!(bed.log(processes, "err").await.contains("BlockingIOError"));
}

/// e081 | the dataset of a task is gone before its files could be brought | the task ends with `dataset_unavailable` and never runs
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e081_a_task_without_its_dataset_does_not_run() {
    let bed = Bed::local(|_| {}).await;
    let config = r#"{"runner_location": "local", "dataset_name": "wine"}"#;
    let id = bed.submit(config, &[("x.sh", "true")]).await;
    std::fs::remove_file(bed.folder().join("wine.csv")).unwrap();
    let task = bed.end(id).await;
    assert_eq!(task.attempt.state, State::SubmitFailed);
    assert!(task.attempt.reason.unwrap().starts_with("dataset_unavailable: "));
    assert!(!bed.folder().join("work").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_run_of_a_file_store_is_found() {
    let bed = Bed::local(|_| {}).await;
    let run = "0123456789abcdef0123456789abcdef";
    let script = format!(
        "folder=$MLFLOW_TRACKING_URI/1/{run}; mkdir -p \"$folder\"; echo run >\"$folder/meta.yaml\"; echo $MLFLOW_TRACKING_URI"
    );
    let config = r#"{"runner_location": "local", "model_tracking": true, "tracking_uri": "experiments"}"#;
    let id = bed.submit(config, &[("x.sh", &script)]).await;
    let task = bed.end(id).await;
    assert_eq!(task.attempt.state, State::Succeeded, "{}", bed.log(id, "err").await);
    assert_eq!(task.attempt.run_id.as_deref(), Some(run));
    assert!(bed.log(id, "out").await.ends_with("/output/experiments\n"));
}
