//! Private copies of Parquet files whose own layout makes pages of rows slow.

use belvedere_jobs::maintenance::shrink_copies;
use belvedere_testing::{Failure, TestApp};

use super::{BIRDS, ROWS};

/// Made by `poor_layout.py`: one row group, no page index, columns of many types.
const POOR: &[u8] = include_bytes!("../fixtures/poor_layout.parquet");
const STEP: &str = "config-parquet-layout";
const PARQUET: &str = "/parquet?dataset=local/data";
const FILE: &str = "/datasets/local/data/resolve/refs%2Fconvert%2Fparquet/default/train/0000.parquet";

/// Pages from all over the file, across the borders of our own pages, and beyond the end.
fn pages() -> Vec<String> {
    [(0, 100), (950, 100), (5_000, 1), (11_950, 100), (12_000, 10)]
        .map(|(offset, length)| format!("{ROWS}&offset={offset}&length={length}"))
        .into()
}

async fn bodies(app: &TestApp, paths: &[String]) -> Vec<String> {
    let mut bodies = Vec::new();
    for path in paths {
        let answer = app.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        bodies.push(String::from_utf8(answer.body.to_vec()).unwrap());
    }
    bodies
}

fn copies(app: &TestApp) -> Vec<String> {
    app.state_files().into_iter().filter(|path| path.starts_with("blobs/layouts/")).collect()
}

/// `local/data` with the poor file, all jobs done.
async fn with_copy() -> TestApp {
    let app = TestApp::with_file("train.parquet", POOR).await;
    assert_eq!(copies(&app).len(), 1);
    app.children.take_calls();
    app
}

#[tokio::test]
async fn a_copy_stands_in_for_its_original_and_answers_the_same() {
    let app = TestApp::new().await;
    app.write("data/train.parquet", POOR);
    app.refresh().await;
    app.run_jobs_except(&[STEP]).await;
    let row = app.dataset("local/data").await.unwrap();
    assert_eq!(row.served, Some(row.target), "no answer waits for copies");
    let others = [PARQUET, FILE, "/size?dataset=local/data", "/info?dataset=local/data"].map(str::to_owned);
    let (before, told) = (bodies(&app, &pages()).await, app.get(PARQUET).await.json());
    assert_eq!(app.get(FILE).await.body, POOR);
    app.children.take_calls();

    app.run_jobs().await;
    assert_eq!(app.children.take_calls(), ["footers of 1 files", "relayout train.parquet"]);
    assert_eq!(bodies(&app, &pages()).await, before);
    let answer = app.get(&pages()[0]).await.json();
    let image = answer["rows"][0]["row"]["image"]["src"].as_str().unwrap();
    assert_eq!(app.get(image.strip_prefix("http://viewer.test").unwrap()).await.status, 200);
    // What is listed and sent is the original.
    assert_eq!(app.get(PARQUET).await.json(), told);
    assert_eq!(app.get(FILE).await.body, POOR);
    for path in &others {
        assert_eq!(app.get(path).await.status, 200, "{path}");
    }
    // Rows do come from the copy: they are there when the original is not.
    app.remove("data/train.parquet");
    assert_eq!(bodies(&app, &pages()).await, before);
}

#[tokio::test]
async fn good_layouts_and_converted_files_get_no_copy() {
    let converted = TestApp::with_file("birds.csv", BIRDS).await;
    assert!(!converted.children.take_calls().iter().any(|call| call.starts_with("footers")));
    let bytes = converted.get(FILE).await.body;
    let app = TestApp::with_file("birds.parquet", &bytes).await;
    assert!(app.children.take_calls().contains(&"footers of 1 files".to_owned()));
    for app in [&converted, &app] {
        assert_eq!(copies(app), Vec::<String>::new());
        assert!(app.views("local/data").await.contains(&format!("{STEP} default: 200")));
    }
}

#[tokio::test]
async fn unchanged_files_are_not_copied_again() {
    let app = TestApp::with(|options| options.keep_revisions = 0).await;
    app.write("data/train/a.parquet", POOR);
    app.settle().await;
    app.write("data/train/b.parquet", POOR);
    app.write("other/train.parquet", POOR);
    app.settle().await;
    let calls = app.children.take_calls();
    assert_eq!(calls.iter().filter(|call| call.starts_with("relayout")).count(), 1, "{calls:?}");
    // Revisions go, and with them their names for the copy; it stays.
    for text in ["one", "two"] {
        app.write("data/README.md", text);
        app.settle().await;
    }
    assert_eq!(copies(&app).len(), 2, "one for each dataset");
    assert_eq!(app.get(ROWS).await.json()["num_rows_total"], 24_000);
    app.remove("data/train/a.parquet");
    app.remove("data/train/b.parquet");
    assert_eq!(app.get(&format!("{ROWS}&offset=11950")).await.status, 200);
}

#[tokio::test]
async fn copies_go_with_their_dataset() {
    let app = with_copy().await;
    app.remove("data");
    app.settle().await;
    assert_eq!(copies(&app), Vec::<String>::new());
}

#[tokio::test]
async fn without_room_originals_are_read_and_a_later_look_tries_again() {
    for (max_bytes, calls) in [(1_000, vec!["footers of 1 files"]), (0, vec![])] {
        let app = TestApp::with(|options| options.settings.parquet.copies_max_bytes = max_bytes).await;
        app.write("data/train.parquet", POOR);
        app.refresh().await;
        app.run_jobs_except(&[STEP]).await;
        app.children.take_calls();
        app.run_jobs().await;
        assert_eq!(app.children.take_calls(), calls);
        assert_eq!(copies(&app), Vec::<String>::new());
        assert_eq!(app.get(ROWS).await.json()["num_rows_total"], 12_000);
        app.refresh().await;
        assert_eq!(app.queue().await, [format!("{STEP} default")]);
        app.run_jobs().await;
    }
}

#[tokio::test]
async fn a_copy_that_turns_out_too_large_is_given_up() {
    // The original takes less, since it is compressed harder.
    let app = TestApp::with(|options| options.settings.parquet.copies_max_bytes = POOR.len() as u64 + 1).await;
    app.write("data/train.parquet", POOR);
    app.settle().await;
    assert!(app.children.take_calls().contains(&"relayout train.parquet".to_owned()));
    assert_eq!(copies(&app), Vec::<String>::new());
    assert_eq!(app.errors("local/data").await, Vec::<String>::new());
    assert_eq!(app.get(ROWS).await.json()["num_rows_total"], 12_000);
}

#[tokio::test]
async fn a_smaller_bound_removes_copies_and_a_new_revision_makes_them_again() {
    let app = with_copy().await;
    let before = bodies(&app, &pages()).await;
    let blobs = &app.services.blobs;
    assert_eq!(shrink_copies(blobs, blobs.usage("layouts").await.unwrap()).await.unwrap(), 0);
    assert_eq!(shrink_copies(blobs, 1_000).await.unwrap(), 1);
    assert_eq!(copies(&app), Vec::<String>::new());
    assert_eq!(bodies(&app, &pages()).await, before);
    app.write("data/README.md", "nothing of the data changes");
    app.children.take_calls();
    app.settle().await;
    assert!(app.children.take_calls().contains(&"relayout train.parquet".to_owned()));
    assert_eq!(copies(&app).len(), 1);
}

#[tokio::test]
async fn a_file_whose_copying_dies_is_read_from_the_original() {
    let app = TestApp::new().await;
    app.children.fail("relayout", Failure::Death, 1);
    app.write("data/train.parquet", POOR);
    app.settle().await;
    assert_eq!(app.errors("local/data").await, Vec::<String>::new());
    assert_eq!(app.get(ROWS).await.json()["num_rows_total"], 12_000);
    // It is not tried again for the same content.
    app.write("data/README.md", "another revision");
    app.settle().await;
    let calls = app.children.take_calls();
    assert_eq!(calls.iter().filter(|call| call.starts_with("relayout")).count(), 1, "{calls:?}");
}

#[tokio::test]
async fn a_full_disk_is_waited_for() {
    let app = TestApp::new().await;
    app.children.fail("relayout", Failure::Disk, 2);
    app.write("data/train.parquet", POOR);
    app.settle().await;
    let calls = app.children.take_calls();
    assert_eq!(calls.iter().filter(|call| call.starts_with("relayout")).count(), 3, "{calls:?}");
    assert_eq!(copies(&app).len(), 1);
}
