//! A new revision: readers stay on the served one until the answers of the next are there, and never see both.

use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use belvedere_testing::TestApp;

use super::{BIRDS, FIRST_ROWS, ROWS, SIZE, code};

const PATHS: [&str; 6] =
    ["/splits?dataset=local/data", FIRST_ROWS, "/parquet?dataset=local/data", "/info?dataset=local/data", SIZE, ROWS];

/// The revisions that the endpoints answer with now; all must be successes.
async fn answered(app: &TestApp) -> Vec<String> {
    let mut revisions = Vec::new();
    for path in PATHS {
        let answer = app.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        revisions.push(answer.header("x-revision").unwrap().to_owned());
    }
    let (rows, size) = (app.get(ROWS).await.json(), app.get(SIZE).await.json());
    assert_eq!(rows["num_rows_total"], size["size"]["dataset"]["num_rows"], "two endpoints, one revision");
    revisions.dedup();
    revisions
}

#[tokio::test]
async fn readers_move_to_a_new_revision_all_at_once() {
    let app = TestApp::with_file("a.csv", "n\n1\n").await;
    let first = app.dataset("local/data").await.unwrap().target.to_string();
    app.write("data/a.csv", "n\n1\n2\n");
    app.refresh().await;
    let second = app.dataset("local/data").await.unwrap().target.to_string();
    assert_ne!(first, second);
    let mut story = Vec::new();
    loop {
        story.push(answered(&app).await);
        if !app.tick().await {
            break;
        }
    }
    story.dedup();
    assert_eq!(story, [[first], [second]]);
}

#[tokio::test]
async fn when_patience_ends_answers_come_one_by_one() {
    let app = TestApp::with(|options| options.api.patience_seconds = -1.0).await;
    app.write("data/a.csv", "n\n1\n");
    app.settle().await;
    app.write("data/a.csv", "n\n1\n2\n");
    app.refresh().await;
    app.run_jobs_except(&["config-parquet-and-info"]).await;
    let target = app.dataset("local/data").await.unwrap().target.to_string();
    // First rows are new already; the sizes are still the old ones.
    assert_eq!(app.get(FIRST_ROWS).await.header("x-revision"), Some(target.as_str()));
    assert_eq!(app.get(FIRST_ROWS).await.json()["rows"].as_array().unwrap().len(), 2);
    assert_ne!(app.get("/size?dataset=local/data&config=default").await.header("x-revision"), Some(target.as_str()));
    app.run_jobs().await;
    assert_eq!(app.get("/size?dataset=local/data&config=default").await.header("x-revision"), Some(target.as_str()));
}

#[tokio::test]
async fn work_for_a_superseded_revision_is_dropped() {
    let app = TestApp::with_file("a.csv", "n\n1\n").await;
    app.write("data/a.csv", "n\n1\n2\n");
    app.refresh().await;
    app.tick().await;
    let request = belvedere_store::ClaimRequest { lease_seconds: 60.0, ..Default::default() };
    let started = app.services.store.queue.claim(&request).await.unwrap().unwrap();
    let superseded = started.record.revision.clone();
    app.write("data/a.csv", "n\n1\n2\n3\n");
    app.refresh().await;
    app.worker.work(started).await;
    app.run_jobs().await;
    assert_eq!(app.get(ROWS).await.json()["num_rows_total"], 3);
    let target = app.dataset("local/data").await.unwrap().target;
    assert_eq!(answered(&app).await, [target.to_string()]);
    let of_it = app.get(&format!("{SIZE}&revision={superseded}")).await;
    assert_eq!(code(&of_it).0, 404, "{}", of_it.text());
}

#[tokio::test]
async fn a_settled_dataset_needs_no_plan() {
    let app = super::two_configs().await;
    app.refresh().await;
    assert_eq!(app.queue().await, Vec::<String>::new());
    assert_eq!(app.errors("local/data").await, Vec::<String>::new());
}

/// e102 | a file changes before or while a job reads it | the job stores nothing, and the new revision is planned
#[tokio::test]
async fn e102_a_file_that_changes_under_a_job_ends_in_a_new_plan() {
    let app = TestApp::with(|options| options.settings.worker.retry_seconds = 3600.0).await;
    app.write("data/birds.csv", BIRDS);
    app.refresh().await;
    app.tick().await;
    app.write("data/birds.csv", "name\nowl\n");
    // Nobody looked through the folder since: the jobs find out, and store nothing.
    app.run_jobs().await;
    assert_eq!(app.errors("local/data").await, Vec::<String>::new());
    assert_eq!(code(&app.get(ROWS).await), (500, "ResponseNotReady"));
    app.settle().await;
    assert_eq!(app.get(ROWS).await.json()["num_rows_total"], 1);
    assert_eq!(app.queue().await, Vec::<String>::new(), "the jobs of the old revision are gone");
}

#[tokio::test]
async fn what_a_new_revision_lacks_is_not_found() {
    let app = super::two_configs().await;
    app.write("data/README.md", "---\nconfigs:\n- config_name: c\n  data_files: a.csv\n---\n");
    app.settle().await;
    assert_eq!(code(&app.get("/size?dataset=local/data&config=a").await), (404, "ResponseNotFound"));
    assert_eq!(app.get("/size?dataset=local/data&config=c").await.json()["size"]["config"]["num_rows"], 1);
    let splits = app.get("/splits?dataset=local/data").await.json();
    assert_eq!(splits["splits"].as_array().unwrap().len(), 1);
    assert_eq!(app.errors("local/data").await, Vec::<String>::new());
}

/// `local/data` of one Parquet file, and other Parquet bytes.
async fn parquet() -> (TestApp, Vec<u8>) {
    let bytes = async |content: &str| {
        let app = TestApp::with_file("birds.csv", content).await;
        let path = "/datasets/local/data/resolve/refs%2Fconvert%2Fparquet/default/train/0000.parquet";
        app.get(path).await.body.to_vec()
    };
    let app = TestApp::new().await;
    app.write("data/0000.parquet", bytes(BIRDS).await);
    app.settle().await;
    (app, bytes("name\nowl\n").await)
}

/// e102 | a file changes between two pages of its rows | no page mixes two revisions: an error until the new one is there
#[tokio::test]
async fn e102_rows_of_files_that_changed_are_gone_and_then_new() {
    let (app, other) = parquet().await;
    assert_eq!(app.get(ROWS).await.json()["num_rows_total"], 3);
    app.write("data/0000.parquet", &other);
    let gone = app.get(ROWS).await;
    assert_eq!(code(&gone), (404, "RevisionGone"));
    // The new revision is known, so there is no use in serving the old one until all of the new one is done.
    app.refresh().await;
    assert_eq!(code(&app.get(ROWS).await), (404, "RevisionGone"));
    assert_eq!(code(&app.get(ROWS).await), (500, "ResponseNotReady"));
    app.run_jobs().await;
    assert_eq!(app.get(ROWS).await.json()["num_rows_total"], 1);
}

#[tokio::test]
async fn a_file_that_was_only_touched_is_still_the_same() {
    let (app, _) = parquet().await;
    assert_eq!(app.get(ROWS).await.status, 200);
    let path = app.path("data/0000.parquet");
    let inode = std::fs::metadata(&path).unwrap().ino();
    std::fs::File::options()
        .append(true)
        .open(&path)
        .unwrap()
        .set_modified(SystemTime::now() - Duration::from_secs(99))
        .unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().ino(), inode);
    app.refresh().await;
    assert_eq!(app.queue().await, Vec::<String>::new());
    assert_eq!(app.get(ROWS).await.status, 200, "the list of files that was kept in memory is made anew");
}

/// Runs jobs as one of several workers, until nobody has any left.
async fn work(app: &TestApp) {
    while app.tick().await || !app.queue().await.is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_workers_and_readers_see_one_revision_at_a_time() {
    let app = TestApp::new().await;
    app.write("data/README.md", super::TWO_CONFIGS);
    let write = |rows: usize| {
        for config in ["a", "b"] {
            app.write(&format!("data/{config}.csv"), format!("n\n{}", "1\n".repeat(rows)));
        }
    };
    write(1);
    app.settle().await;
    for rows in 2..6 {
        write(rows);
        app.refresh().await;
        let read = async {
            while !app.queue().await.is_empty() {
                let (size, page) =
                    tokio::join!(app.get(SIZE), app.get("/rows?dataset=local/data&config=b&split=train"));
                assert_eq!((size.status, page.status), (200, 200), "{}{}", size.text(), page.text());
                let size = size.json();
                // Both configs have the same number of rows in every revision, and aggregates are whole.
                let of_configs: Vec<_> = size["size"]["configs"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|item| item["num_rows"].as_u64().unwrap())
                    .collect();
                assert!(of_configs == [rows as u64; 2] || of_configs == [rows as u64 - 1; 2], "{of_configs:?}");
                let total = page.json()["num_rows_total"].as_u64().unwrap();
                assert!(total == rows as u64 || total == rows as u64 - 1, "{total}");
            }
        };
        tokio::join!(work(&app), work(&app), work(&app), read);
        assert_eq!(app.errors("local/data").await, Vec::<String>::new());
        assert_eq!(app.get(SIZE).await.json()["size"]["dataset"]["num_rows"], 2 * rows);
        assert_eq!(app.get(SIZE).await.json()["pending"], serde_json::json!([]));
    }
    // Nothing is left to do, and nobody missed the last part of an aggregate.
    app.refresh().await;
    assert_eq!(app.queue().await, Vec::<String>::new());
}

const CARD: &str = "---\nlicense: mit\n---\n# Birds\n";

/// `local/data` with a card, all jobs done; on each database.
async fn with_card() -> Vec<TestApp> {
    let apps = TestApp::everywhere(|_| {}).await;
    for app in &apps {
        app.write("data/README.md", CARD);
        app.write("data/.gitattributes", "*.csv text\n");
        app.write("data/a.csv", "n\n1\n");
        app.settle().await;
    }
    apps
}

#[tokio::test]
async fn a_text_that_changes_no_answer_costs_no_job() {
    for app in with_card().await {
        let (before, views) = (answered(&app).await, app.views("local/data").await);
        app.write("data/README.md", "---\nlicense: mit\n---\n# Birds\n\nOf the garden.\n");
        app.write("data/.gitattributes", "*.csv binary\n");
        app.refresh().await;
        assert!(app.queue().await.is_empty());
        let after = answered(&app).await;
        assert!(after.len() == 1 && after != before, "all answers are of the new revision at once");
        assert_eq!(app.views("local/data").await, views);
        // A backfill finds nothing to do either.
        app.settle().await;
        assert_eq!(answered(&app).await, after);
        app.close().await;
    }
}

#[tokio::test]
async fn what_may_change_an_answer_is_computed() {
    for (path, content) in [
        ("data/README.md", "---\nlicense: apache-2.0\n---\n# Birds\n"),
        ("data/README.md", "# Birds\n"),
        ("data/README.md", "---\nlicense: mit\n# Birds\n"),
        ("data/LICENSE", "none\n"),
        ("data/.huggingface.yaml", "license: mit\n"),
        ("data/a.csv", "n\n2\n"),
    ] {
        let app = &with_card().await[0];
        app.write(path, content);
        app.refresh().await;
        assert_eq!(app.queue().await, ["dataset-init"], "{path} {content}");
    }
    let app = &with_card().await[0];
    app.remove("data/.gitattributes");
    app.refresh().await;
    assert_eq!(app.queue().await, ["dataset-init"], "the list of file types is an answer, too");
}

#[tokio::test]
async fn a_new_text_waits_for_work_that_is_under_way() {
    let app = &with_card().await[0];
    app.force("dataset-size", None, None).await;
    app.write("data/README.md", "---\nlicense: mit\n---\n# Birds of prey\n");
    app.refresh().await;
    assert_eq!(app.queue().await, ["dataset-init"], "the forced job went with its revision");
    app.run_jobs().await;
    assert_eq!(answered(app).await, [app.head("local/data").await.to_string()]);
}
