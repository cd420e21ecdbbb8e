//! What nobody needs any more.

use std::time::{Duration, SystemTime};

use belvedere_domain::task::{ClusterName, State};
use belvedere_tasks::Member;

use crate::bed::{Bed, PATIENCE};

const LOCAL: &str = r#"{"runner_location": "local", "args_style": "none"}"#;

fn here(bed: &Bed) -> Member {
    bed.catalog.member(&ClusterName::new("local").unwrap()).unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn folders_go_when_they_were_kept_long_enough_and_tasks_when_the_operator_says_so() {
    let mut bed = Bed::local(|_| {}).await;
    let id = bed.submit(LOCAL, &[("x.sh", "echo kept >$TASK_OUTPUT/a")]).await;
    let task = bed.end(id).await;
    let work = bed.folder().join("work").join(task.attempt.tag.as_str());
    assert!(work.is_dir());
    assert_eq!(bed.monitor.tidy(&here(&bed)).await.unwrap(), Default::default());
    bed.settings.keep_folders = Duration::ZERO;
    bed.restart("two");
    let tidied = bed.monitor.tidy(&here(&bed)).await.unwrap();
    assert_eq!(tidied.folders, std::slice::from_ref(&task.attempt.tag));
    assert!(!work.exists());
    // What it left and printed stays with the task.
    let artifacts = bed.inbox.artifacts(id, 1);
    assert_eq!(std::fs::read_dir(&artifacts).unwrap().count(), 1);
    assert_eq!(bed.monitor.tidy(&here(&bed)).await.unwrap(), Default::default());
    bed.settings.keep_tasks = Some(Duration::ZERO);
    bed.restart("three");
    assert_eq!(bed.monitor.tidy(&here(&bed)).await.unwrap().tasks, [id]);
    assert_eq!(bed.store.tasks.task(id, None).await.unwrap(), None);
    assert!(!artifacts.exists() && !bed.inbox.folder(id).exists());
}

/// e055 | the database is restored from an older copy, and jobs run of which it knows nothing | they are told of, and ended only when an operator says so
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e055_what_no_task_has_is_found() {
    let bed = Bed::local(|_| {}).await;
    let id = bed.submit(LOCAL, &[("x.sh", "echo $$; exec sleep 1000")]).await;
    let running = bed.until(id, &[State::Running]).await;
    let tag = running.attempt.tag.clone();
    // The store forgets it, as a restored one does.
    let url = format!("sqlite:{}", bed.folder().join("older.sqlite").display());
    let older = belvedere_store::Store::connect(&url).await.unwrap();
    let monitor = belvedere_tasks::Monitor::new(
        std::sync::Arc::clone(&older.tasks),
        std::sync::Arc::clone(&bed.catalog),
        bed.inbox.clone(),
        bed.datasets(),
        bed.settings.clone(),
        "older".into(),
    );
    let member = here(&bed);
    assert_eq!(monitor.orphans(&member, false).await.unwrap().unwrap(), std::slice::from_ref(&tag));
    assert_eq!(bed.monitor.orphans(&member, true).await.unwrap().unwrap(), []);
    let work = bed.folder().join("work").join(tag.as_str());
    assert!(work.is_dir());
    // Its files are young; when they are not, they go.
    assert_eq!(monitor.tidy(&member).await.unwrap().files, []);
    let files = std::fs::File::open(bed.inbox.folder(id)).unwrap();
    files.set_modified(SystemTime::now() - Duration::from_secs(7200)).unwrap();
    assert_eq!(monitor.tidy(&member).await.unwrap().files, [id]);
    assert!(!bed.inbox.folder(id).exists());
    assert_eq!(monitor.orphans(&member, true).await.unwrap().unwrap(), [tag]);
    assert!(!work.exists());
    // The process that ran there has ended.
    let end = std::time::Instant::now() + PATIENCE;
    while std::path::Path::new(&format!("/proc/{}", running.attempt.job.as_deref().unwrap())).exists() {
        assert!(std::time::Instant::now() < end);
        tokio::task::yield_now().await;
    }
}
