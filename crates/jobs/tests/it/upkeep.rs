//! What servers repeat by themselves, and datasets that operators block.

use std::sync::Arc;
use std::time::Duration;

use belvedere_domain::DatasetName;
use belvedere_hub::patterns::Pattern;
use belvedere_jobs::Refresher;
use belvedere_jobs::refresh::Swept;
use belvedere_jobs::upkeep::{Caretaker, Chore, Upkeep};
use belvedere_testing::{Failure, TestApp};
use tokio_util::sync::CancellationToken;

use super::{BIRDS, ROWS, code};

/// `local/data` with an error that may pass, and `local/wrong` with one that will not.
async fn with_errors() -> TestApp {
    let app = TestApp::new().await;
    app.write("data/birds.csv", BIRDS);
    app.children.fail("convert", Failure::Death, 1);
    app.settle().await;
    app.write("wrong/a.csv", "a,b\n1,2\n3,4,5\n");
    app.scan().await;
    app.refresher.ensure(&DatasetName::new("local/wrong").unwrap()).await.unwrap();
    app.run_jobs().await;
    app.children.take_calls();
    app
}

#[tokio::test]
async fn errors_that_may_have_passed_are_tried_again() {
    let app = with_errors().await;
    assert_eq!(code(&app.get(ROWS).await), (501, "JobManagerCrashedError"));
    let swept = app.refresher.repair_all(true).await.unwrap();
    assert_eq!(swept, Swept { analyzed: 1, unsupported: 0, failed: 0 });
    app.run_jobs().await;
    assert_eq!(app.get(ROWS).await.status, 200);
    // Nothing to hope for: the dataset with the wrong file was not looked at.
    assert!(!app.errors("local/wrong").await.is_empty());
    assert_eq!(app.refresher.repair_all(true).await.unwrap().analyzed, 0);
    assert!(app.queue().await.is_empty());
}

#[tokio::test]
async fn a_retry_moves_to_a_bigger_worker() {
    let app = with_errors().await;
    app.refresher.repair_all(false).await.unwrap();
    let jobs = app.services.store.queue.pending(None).await.unwrap();
    let step = app.services.graph.step(&jobs[0].key.step).unwrap();
    assert_eq!((step.name, u32::from(jobs[0].difficulty.get())), ("config-parquet-and-info", step.difficulty + 20));
}

fn caretaker(app: &TestApp, upkeep: Upkeep) -> Caretaker {
    let parts = (Arc::clone(&app.services), Arc::clone(&app.refresher));
    let later = || belvedere_domain::Timestamp(chrono::Utc::now().timestamp_micros() + 2 * 24 * 3600 * 1_000_000);
    Caretaker::new(parts, upkeep, "test", app.state_path("cached-assets"), later)
}

const HOURLY: Upkeep = Upkeep {
    retry_errors_every: Duration::from_secs(3600),
    backfill_every: Duration::from_secs(3600),
    clean_every: Duration::from_secs(3600),
};

#[tokio::test]
async fn chores_are_done_when_due_until_they_are_told_to_stop() {
    let app = with_errors().await;
    let stop = CancellationToken::new();
    let upkeep = Upkeep { retry_errors_every: Duration::from_millis(1), ..Upkeep::default() };
    let until_repaired = async {
        while app.queue().await.is_empty() {
            tokio::task::yield_now().await;
        }
        stop.cancel();
    };
    let care = caretaker(&app, upkeep);
    tokio::join!(care.run(stop.clone()), until_repaired);
    app.run_jobs().await;
    assert_eq!(app.get(ROWS).await.status, 200);
    assert!(app.services.store.housekeeping.duties().await.unwrap().iter().all(|duty| duty.owner.is_none()));
    // Zero stands for never: this returns at once.
    caretaker(&app, Upkeep::default()).run(CancellationToken::new()).await;
}

#[tokio::test]
async fn of_two_servers_one_does_each_chore() {
    for app in TestApp::everywhere(|_| {}).await {
        let (one, two) = (caretaker(&app, HOURLY), caretaker(&app, HOURLY));
        let (first, second) = tokio::join!(one.tick(), two.tick());
        let mut done: Vec<&str> = first.iter().chain(&second).map(|done| done.chore.name()).collect();
        done.sort_unstable();
        assert_eq!(done, ["backfill", "copies", "files", "retry-errors", "revisions"]);
        assert!(one.tick().await.is_empty() && two.tick().await.is_empty(), "nothing is due");
        let listed = app.services.store.housekeeping.duties().await.unwrap();
        let outcomes: Vec<_> = listed.iter().map(|duty| format!("{}: {}", duty.name, duty.outcome)).collect();
        assert_eq!(outcomes[2], "files: files of 0 results removed");
        app.close().await;
    }
}

#[tokio::test]
async fn a_chore_that_fails_is_not_tried_again_at_once() {
    let app = TestApp::with_file("data.csv", "n\n1\n").await;
    // A file where the directory of views should be.
    let views = app.state_path("blobs/views");
    std::fs::remove_dir_all(&views).unwrap();
    std::fs::create_dir_all(app.state_path("blobs")).unwrap();
    std::os::unix::fs::symlink(app.state_path("nowhere/loop"), &views).unwrap();
    std::fs::create_dir_all(app.state_path("nowhere")).unwrap();
    std::os::unix::fs::symlink(&views, app.state_path("nowhere/loop")).unwrap();
    let care = caretaker(&app, Upkeep { clean_every: Duration::from_secs(3600), ..Upkeep::default() });
    let done = care.tick().await;
    let failed: Vec<_> = done.iter().filter(|done| done.outcome.is_none()).map(|done| done.chore).collect();
    assert_eq!(failed, [Chore::Files]);
    assert!(care.tick().await.is_empty());
}

#[tokio::test]
async fn revisions_beyond_those_kept_go_when_the_setting_gets_smaller() {
    let app = TestApp::new().await;
    for rows in 1..6 {
        app.write("data/a.csv", format!("n\n{}", "1\n".repeat(rows)));
        app.settle().await;
    }
    let files = app.state_files().len();
    let fewer = Refresher::new(Arc::clone(&app.services), 0);
    let old = fewer.old_revisions().await.unwrap();
    assert_eq!(old.len(), 2, "four are kept: the served one, its predecessor, and two more");
    assert_eq!(fewer.retire_all().await.unwrap(), 2);
    assert!(fewer.old_revisions().await.unwrap().is_empty());
    assert!(app.state_files().len() < files, "their files are gone too");
    assert_eq!(app.get(ROWS).await.json()["num_rows_total"], 5);
    assert_eq!(app.refresher.retire_all().await.unwrap(), 0);
}

#[tokio::test]
async fn a_repair_forgets_datasets_that_are_gone() {
    let app = with_errors().await;
    app.remove("data");
    app.scan().await;
    let swept = app.refresher.repair_all(false).await.unwrap();
    assert_eq!(swept, Swept { analyzed: 2, unsupported: 1, failed: 0 });
    assert!(app.dataset("local/data").await.is_none());
}

#[tokio::test]
async fn blocked_datasets_are_neither_shown_nor_kept() {
    let block = |options: &mut belvedere_testing::Options| {
        options.settings.blocked_datasets =
            ["local/da*", "other"].iter().map(|pattern| Pattern::new("", pattern).unwrap()).collect();
    };
    let app = TestApp::with(block).await;
    app.write("data/birds.csv", BIRDS);
    app.write("birds/birds.csv", BIRDS);
    app.settle().await;
    assert_eq!(code(&app.get(ROWS).await), (501, "DatasetInBlockListError"));
    assert!(app.dataset("local/data").await.is_none());
    assert_eq!(app.get("/splits?dataset=local/birds").await.status, 200);
}

#[tokio::test]
async fn machine_time_counts_against_the_budget_of_each_dataset() {
    let limit = belvedere_store::RateLimit::default();
    let of = |name: &str| limit.of(&DatasetName::new(name).unwrap()).budget_seconds;
    assert_eq!((of("local/data"), of("HuggingFaceFW/fineweb-2")), (7200.0, 720_000.0));
}
