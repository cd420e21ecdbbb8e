//! What servers repeat by themselves, and datasets that operators block.

use std::time::Duration;

use belvedere_domain::DatasetName;
use belvedere_hub::patterns::Pattern;
use belvedere_jobs::refresh::Swept;
use belvedere_jobs::upkeep::Upkeep;
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

#[tokio::test]
async fn upkeep_repairs_on_its_schedule_until_it_is_told_to_stop() {
    let app = with_errors().await;
    let stop = CancellationToken::new();
    let upkeep = Upkeep { retry_errors_every: Duration::from_millis(1), backfill_every: Duration::ZERO };
    let until_repaired = async {
        while app.queue().await.is_empty() {
            tokio::task::yield_now().await;
        }
        stop.cancel();
    };
    tokio::join!(upkeep.run(&app.refresher, stop.clone()), until_repaired);
    app.run_jobs().await;
    assert_eq!(app.get(ROWS).await.status, 200);
    // Zero stands for never: this returns at once.
    Upkeep::default().run(&app.refresher, CancellationToken::new()).await;
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
