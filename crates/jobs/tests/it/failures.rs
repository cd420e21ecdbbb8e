//! Failures of the environment, of readers and of workers: tried again, or stored with their cause.

use belvedere_domain::job::JobStatus;
use belvedere_testing::{Failure, TestApp};
use insta::assert_snapshot;

use super::{BIRDS, ROWS, code};

/// `local/data` with the birds; the conversion fails so many times.
async fn failing(failure: Failure, times: usize) -> TestApp {
    let app = TestApp::new().await;
    app.write("data/birds.csv", BIRDS);
    app.children.fail("convert", failure, times);
    app
}

fn conversions(app: &TestApp) -> usize {
    app.children.take_calls().iter().filter(|call| call.starts_with("convert")).count()
}

#[tokio::test]
async fn a_passing_failure_of_the_machine_is_never_seen() {
    let app = failing(Failure::Disk, 4).await;
    app.settle().await;
    assert_eq!(conversions(&app), 5);
    assert_eq!(app.errors("local/data").await, Vec::<String>::new());
    assert_eq!(app.get(ROWS).await.status, 200);
}

#[tokio::test]
async fn a_lasting_failure_of_the_machine_is_stored_after_five_attempts() {
    let app = failing(Failure::Disk, usize::MAX).await;
    app.settle().await;
    assert_eq!(conversions(&app), 5);
    assert_snapshot!(app.get("/parquet?dataset=local/data&config=default").await.text(), @r#"{"error":"no space left on device"}"#);
    assert_eq!(code(&app.get(ROWS).await), (500, "FileSystemError"));
}

#[tokio::test]
async fn attempts_are_spread_over_time() {
    let app = TestApp::with(|options| options.settings.worker.retry_seconds = 3600.0).await;
    app.write("data/birds.csv", BIRDS);
    app.children.fail("convert", Failure::Disk, usize::MAX);
    app.settle().await;
    assert_eq!(conversions(&app), 1);
    assert_eq!(app.queue().await, ["config-parquet-and-info default"]);
    let due = app.services.store.queue.next_due_seconds().await.unwrap().unwrap();
    assert!((2000.0..4600.0).contains(&due), "{due}");
    assert_eq!(code(&app.get(ROWS).await), (500, "ResponseNotReady"), "still hoping");
}

#[tokio::test]
async fn readers_that_die_are_given_three_chances_per_revision() {
    let app = failing(Failure::Death, usize::MAX).await;
    app.settle().await;
    assert_snapshot!(app.get("/parquet?dataset=local/data&config=default").await.text(), @r#"{"error":"the process that read the files was killed by the test"}"#);
    assert_eq!(code(&app.get(ROWS).await), (501, "JobManagerCrashedError"));
    for _ in 0..5 {
        // Looking again is what tries again.
        app.settle().await;
    }
    assert_eq!(conversions(&app), 3);
    // A new revision may work.
    app.write("data/birds.csv", "name\nowl\n");
    app.settle().await;
    assert_eq!(conversions(&app), 1);
}

#[tokio::test]
async fn a_reader_that_died_once_is_forgotten() {
    let app = failing(Failure::Death, 1).await;
    app.settle().await;
    assert_eq!(code(&app.get(ROWS).await), (501, "JobManagerCrashedError"));
    app.settle().await;
    assert_eq!(app.get(ROWS).await.status, 200);
    assert_eq!(app.errors("local/data").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_panic_in_a_step_is_a_stored_error() {
    let app = failing(Failure::Panic, usize::MAX).await;
    app.settle().await;
    let answer = app.get("/parquet?dataset=local/data&config=default").await;
    assert_eq!(code(&answer), (500, "UnexpectedError"));
    assert_snapshot!(answer.text(), @r#"{"error":"the step panicked: the reader is broken"}"#);
    app.settle().await;
    assert_eq!(conversions(&app), 1, "it would panic again");
}

#[tokio::test]
async fn what_takes_too_long_is_not_tried_again() {
    let app = failing(Failure::TooLong, usize::MAX).await;
    app.settle().await;
    assert_eq!(code(&app.get(ROWS).await), (501, "JobManagerExceededMaximumDurationError"));
    app.settle().await;
    assert_eq!(conversions(&app), 1);
}

#[tokio::test]
async fn a_job_whose_workers_vanish_is_given_up() {
    let app = TestApp::with(|options| options.settings.worker.heartbeat_interval_seconds = 1e-6).await;
    app.write("data/birds.csv", BIRDS);
    app.refresh().await;
    let request = belvedere_store::ClaimRequest { lease_seconds: 0.0, ..Default::default() };
    for crash in 1..=3 {
        let vanished = app.services.store.queue.claim(&request).await.unwrap().unwrap();
        assert_eq!(vanished.record.status, JobStatus::Started);
        assert_eq!(app.worker.collect().await.unwrap(), usize::from(crash < 3));
    }
    assert_eq!(app.views("local/data").await, ["dataset-init: 501 JobManagerCrashedError"]);
    let answer = app.get("/splits?dataset=local/data").await;
    assert_eq!(code(&answer).0, 500, "the names are another job: {}", answer.text());
}

/// e113 | the queue holds work of a step that only another version of the program knows | it is dropped; nothing is stored for it
#[tokio::test]
async fn e113_steps_of_other_versions_are_dropped() {
    let app = TestApp::with_file("birds.csv", BIRDS).await;
    app.force("split-duckdb-index", Some("default"), Some("train")).await;
    app.run_jobs().await;
    assert_eq!(app.queue().await, Vec::<String>::new());
    assert_eq!(app.errors("local/data").await, Vec::<String>::new());
}

#[tokio::test]
async fn jobs_of_configs_that_do_not_exist_store_nothing() {
    let app = TestApp::with_file("birds.csv", BIRDS).await;
    let before = app.views("local/data").await;
    app.force("config-size", Some("nope"), None).await;
    app.force("split-first-rows", Some("default"), Some("nope")).await;
    app.run_jobs().await;
    assert_eq!(app.views("local/data").await.len(), before.len());
}
