//! Datasets and revisions that go take their files with them.

use belvedere_domain::Timestamp;
use belvedere_jobs::maintenance::{forget_media, sweep};
use belvedere_testing::TestApp;

use super::{BIRDS, FIRST_ROWS, ROWS, SIZE, code};

fn blobs(app: &TestApp) -> Vec<String> {
    app.state_files().into_iter().filter(|path| path.starts_with("blobs/")).collect()
}

#[tokio::test]
async fn a_deleted_dataset_is_unknown_and_leaves_nothing() {
    let app = TestApp::with_file("birds.csv", BIRDS).await;
    app.write("other/birds.csv", BIRDS);
    app.settle().await;
    // The Parquet file and the search index of each.
    assert_eq!(blobs(&app).len(), 4);
    app.remove("data");
    app.settle().await;
    for path in [SIZE, FIRST_ROWS, ROWS, "/datasets/local/data/resolve/main/birds.csv"] {
        assert_eq!(code(&app.get(path).await), (401, "ExternalUnauthenticatedError"), "{path}");
    }
    assert_eq!(app.views("local/data").await, Vec::<String>::new());
    assert!(app.dataset("local/data").await.is_none());
    assert_eq!(blobs(&app).len(), 2, "those of the other dataset");
    assert_eq!(app.get("/rows?dataset=local/other&config=default&split=train").await.status, 200);
}

#[tokio::test]
async fn a_dataset_that_comes_back_is_new() {
    let app = TestApp::with_file("birds.csv", BIRDS).await;
    app.remove("data");
    app.settle().await;
    app.write("data/birds.csv", BIRDS);
    app.settle().await;
    assert_eq!(app.get(ROWS).await.json()["num_rows_total"], 3);
}

#[tokio::test]
async fn jobs_of_a_dataset_that_went_end_without_a_trace() {
    let app = TestApp::new().await;
    app.write("data/birds.csv", BIRDS);
    app.refresh().await;
    let request = belvedere_store::ClaimRequest { lease_seconds: 60.0, ..Default::default() };
    let started = app.services.store.queue.claim(&request).await.unwrap().unwrap();
    app.remove("data");
    app.refresh().await;
    app.worker.work(started).await;
    app.run_jobs().await;
    assert_eq!(app.views("local/data").await, Vec::<String>::new());
    assert_eq!(app.queue().await, Vec::<String>::new());
}

#[tokio::test]
async fn files_of_revisions_that_are_not_kept_go() {
    let app = TestApp::with(|options| options.keep_revisions = 1).await;
    for rows in 1..=6 {
        app.write("data/a.csv", format!("n\n{}", "1\n".repeat(rows)));
        app.settle().await;
        let (kept, rows) = (blobs(&app).len(), app.get(ROWS).await.json()["num_rows_total"].as_u64());
        // The served one, its predecessor that the next change replaces, and one more.
        assert!(kept <= 3, "{kept} files after {rows:?} revisions");
    }
}

#[tokio::test]
async fn a_card_may_turn_the_viewer_off_and_on_again() {
    let app = TestApp::with_file("birds.csv", BIRDS).await;
    app.write("data/README.md", "---\nviewer: false\n---\n");
    app.settle().await;
    for path in [SIZE, FIRST_ROWS, ROWS] {
        assert_eq!(code(&app.get(path).await), (501, "NotSupportedDisabledViewerError"), "{path}");
    }
    assert_eq!((app.views("local/data").await.len(), blobs(&app).len()), (0, 0));
    assert_eq!(app.queue().await, Vec::<String>::new());
    app.remove("data/README.md");
    app.settle().await;
    assert_eq!(app.get(ROWS).await.json()["num_rows_total"], 3);
}

#[tokio::test]
async fn tags_are_judged_only_as_the_reference_does() {
    for (compat, outcome) in [(false, (200, "none")), (true, (501, "NotSupportedTagNFAAError"))] {
        let app = TestApp::with(|options| options.settings.compat = compat).await;
        app.write("data/README.md", "---\ntags:\n- nsfw\n---\n");
        app.write("data/birds.csv", BIRDS);
        app.settle().await;
        assert_eq!(code(&app.get(SIZE).await), outcome);
    }
}

#[tokio::test]
async fn files_of_views_that_were_never_stored_are_swept() {
    let app = TestApp::with_file("data.csv", "a\n1\n").await;
    let kept = blobs(&app);
    let stray = format!("views/{}/train/0000.parquet", "0".repeat(64));
    app.services.blobs.put(&stray, "half a job's work".into()).await.unwrap();
    let (past, future) = (Timestamp(0), Timestamp(i64::MAX));
    assert_eq!(sweep(&app.services, past).await.unwrap(), 0, "it may still be needed");
    assert_eq!(sweep(&app.services, future).await.unwrap(), 1);
    assert_eq!(blobs(&app), kept);
    assert_eq!(app.get(ROWS).await.status, 200);
}

#[tokio::test]
async fn media_made_by_answers_go_with_their_revision_and_not_before() {
    let app = TestApp::with(|options| options.keep_revisions = 0).await;
    app.copy_set("parquet-image-column", "data");
    let mut media = Vec::new();
    for note in ["one", "two", "three"] {
        app.write("data/notes.md", note);
        app.settle().await;
        let rows = app.get(&format!("{ROWS}&length=2")).await.json();
        for row in rows["rows"].as_array().unwrap() {
            let src = row["row"]["image"]["src"].as_str().unwrap();
            media.push(src.strip_prefix("http://viewer.test/").unwrap().to_owned());
        }
    }
    assert_eq!(media.len(), 6);
    let root = app.services.settings.worker.scratch.with_file_name("cached-assets");
    std::fs::create_dir_all(root.join("lost+found/--")).unwrap();
    // Two of a revision that is gone, one at a time; those of the served one and its predecessor stay.
    for removed in [1, 1, 0] {
        assert_eq!(forget_media(&app.services, &root, 1).await.unwrap(), removed);
    }
    let files = app.state_files();
    let kept: Vec<_> = media.iter().filter(|path| files.contains(path)).collect();
    assert_eq!(kept, media[2..].iter().collect::<Vec<_>>());
    for path in &media[2..] {
        assert_eq!(app.get(&format!("/{path}")).await.status, 200, "{path}");
    }
    app.remove("data");
    app.settle().await;
    assert_eq!(forget_media(&app.services, &root, 100).await.unwrap(), 4);
    assert!(!app.state_files().iter().any(|path| path.starts_with("cached-assets/local")));
}
