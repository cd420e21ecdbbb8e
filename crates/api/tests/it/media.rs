//! Folders of images, sounds, videos and documents, from the folder to the answer.

mod files;
mod hostile;

use belvedere_testing::TestApp;
use insta::assert_snapshot;
use serde_json::{Value as Json, json};

use self::files::{bmp, mp4, pdf, ppm, wav, zip};

const FIRST_ROWS: &str = "/first-rows?dataset=local/data&config=default&split=train";
const ROWS: &str = "/rows?dataset=local/data&config=default&split=train";
const STATISTICS: &str = "/statistics?dataset=local/data&config=default&split=train";

/// The rows of an answer, each as one line, without host and revision.
async fn lines(app: &TestApp, path: &str) -> String {
    let answer = app.get(path).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    let revision = app.head("local/data").await;
    let rows = answer.json()["rows"].as_array().unwrap().clone();
    let lines: Vec<String> = rows.iter().map(|row| row["row"].to_string()).collect();
    lines.join("\n").replace("http://viewer.test", "").replace(revision.as_str(), "REVISION")
}

/// The rows as both endpoints show them: those of `/rows` come from the converted files, and assets of their own.
async fn both(app: &TestApp) -> String {
    let shown = lines(app, ROWS).await.replace("/cached-assets/", "/assets/");
    assert_eq!(lines(app, FIRST_ROWS).await, shown);
    shown
}

/// Where a cell points to, as a path of this server.
fn path_of(cell: &Json) -> String {
    cell["src"].as_str().unwrap().strip_prefix("http://viewer.test").unwrap().to_owned()
}

async fn first_cell(app: &TestApp, page: &str, column: &str) -> Json {
    app.get(page).await.json()["rows"][0]["row"][column].clone()
}

#[tokio::test]
async fn images_are_linked_with_their_sizes_and_the_names_of_their_folders() {
    let app = TestApp::new().await;
    app.write("data/train/cat/1.bmp", bmp(7, 3));
    app.write("data/train/dog/1.bmp", bmp(2, 5));
    app.write("data/test/dog/2.bmp", bmp(1, 1));
    app.settle().await;
    assert_snapshot!(both(&app).await, @r#"
    {"image":{"src":"/datasets/local/data/resolve/REVISION/train/cat/1.bmp","height":3,"width":7},"label":0}
    {"image":{"src":"/datasets/local/data/resolve/REVISION/train/dog/1.bmp","height":5,"width":2},"label":1}
    "#);
    let file = app.get(&path_of(&first_cell(&app, ROWS, "image").await)).await;
    assert_eq!((file.status, file.header("content-type")), (200, Some("image/bmp")));
    assert_eq!(file.body, bmp(7, 3));
    let features = app.get("/info?dataset=local/data&config=default").await.json()["dataset_info"].clone();
    assert_eq!(features["builder_name"], "imagefolder");
    assert_eq!(features["features"]["label"], json!({"names": ["cat", "dog"], "_type": "ClassLabel"}));
    let page = app.get("/filter?dataset=local/data&config=default&split=train&where=%22label%22%3D1").await.json();
    assert_eq!((&page["num_rows_total"], &page["rows"][0]["row"]["image"]["width"]), (&json!(1), &json!(2)));
    let hub = app.get("/hub-cache?dataset=local/data").await.json();
    assert_eq!((&hub["modalities"], &hub["formats"]), (&json!(["image"]), &json!(["imagefolder"])));
    let figures = app.get(STATISTICS).await.json()["statistics"].clone();
    assert_eq!((&figures[0]["column_type"], &figures[0]["column_statistics"]["max"]), (&json!("image"), &json!(7)));
}

#[tokio::test]
async fn every_format_of_rows_finds_the_images() {
    let app = TestApp::new().await;
    for number in 0..3 {
        app.write(&format!("data/{number}.bmp"), bmp(4 + number, 2));
    }
    app.settle().await;
    let csv = app.get(&format!("{ROWS}&format=csv")).await.text();
    assert_eq!((csv.lines().count(), csv.matches("resolve/").count()), (4, 3), "{csv}");
    let lines = app.get(&format!("{ROWS}&format=ndjson")).await.text();
    assert!(lines.lines().nth(2).unwrap().contains("\"height\":2,\"width\":6"), "{lines}");
}

#[tokio::test]
async fn a_broken_image_says_so_and_leaves_the_others() {
    let app = TestApp::new().await;
    app.write("data/a.bmp", bmp(4, 2));
    app.write("data/b.png", "no image");
    app.write("data/c.jpg", "");
    app.settle().await;
    assert_snapshot!(both(&app).await, @r#"
    {"image":{"src":"/datasets/local/data/resolve/REVISION/a.bmp","height":2,"width":4}}
    {"image":{"src":"/datasets/local/data/resolve/REVISION/b.png","height":null,"width":null,"error":"b.png: the image cannot be decoded: Format error decoding Png: Invalid PNG signature."}}
    {"image":{"src":"/datasets/local/data/resolve/REVISION/c.jpg","height":null,"width":null,"error":"c.jpg: the file is empty"}}
    "#);
    let figures = app.get(STATISTICS).await.json()["statistics"][0].clone();
    assert_eq!(figures["column_statistics"]["nan_count"], 2);
    assert_eq!(figures["details"]["unreadable_count"], 2);
}

#[tokio::test]
async fn by_the_rules_of_the_reference_a_broken_image_ends_the_page() {
    let app = TestApp::with(|options| {
        options.settings.compat = true;
        options.api.compat = true;
    })
    .await;
    app.write("data/a.bmp", bmp(4, 2));
    app.write("data/b.png", "no image");
    app.settle().await;
    for (page, code) in [(FIRST_ROWS, "RowsPostProcessingError"), (ROWS, "TransformRowsProcessingError")] {
        let answer = app.get(page).await;
        assert_eq!((answer.status, answer.header("x-error-code")), (500, Some(code)), "{}", answer.text());
        assert!(answer.text().contains("b.png"), "{}", answer.text());
    }
}

#[tokio::test]
async fn tables_describe_images_and_miss_some() {
    let app = TestApp::new().await;
    app.write("data/train/metadata.csv", "file_name,caption\nb.bmp,second\nsub/a.bmp,first\ngone.bmp,nowhere\n,none\n");
    app.write("data/train/b.bmp", bmp(4, 2));
    app.write("data/train/sub/a.bmp", bmp(5, 2));
    app.write("data/train/unnamed.bmp", bmp(6, 2));
    app.settle().await;
    assert_snapshot!(both(&app).await, @r#"
    {"image":{"src":"/datasets/local/data/resolve/REVISION/train/b.bmp","height":2,"width":4},"caption":"second"}
    {"image":{"src":"/datasets/local/data/resolve/REVISION/train/sub/a.bmp","height":2,"width":5},"caption":"first"}
    {"image":{"src":"/datasets/local/data/resolve/REVISION/train/gone.bmp","height":null,"width":null,"error":"the file `train/gone.bmp` is not in the dataset at this revision"},"caption":"nowhere"}
    {"image":null,"caption":"none"}
    "#);
}

#[tokio::test]
async fn a_table_that_cannot_be_followed_fails_with_a_way_out() {
    let app = TestApp::new().await;
    app.write("data/metadata.csv", "file_name\n../secret.bmp\n");
    app.write("data/b.bmp", bmp(4, 2));
    app.settle().await;
    assert_eq!(app.get("/splits?dataset=local/data").await.status, 200);
    let answer = app.get(FIRST_ROWS).await;
    assert_eq!((answer.status, answer.header("x-error-code")), (500, Some("FeaturesError")));
    let cause = answer.json()["cause_message"].as_str().unwrap().to_owned();
    assert_snapshot!(cause, @r#"metadata.csv, column "file_name": `../secret.bmp` leads out of the folder of this table; names of files are relative to it, without `..`, a slash at the start or `://`"#);
}

#[tokio::test]
async fn archives_of_images_keep_their_folders_and_their_files_become_assets() {
    let app = TestApp::new().await;
    let members = [("cat/1.bmp", bmp(3, 2)), ("dog/1.bmp", bmp(4, 2)), ("dog/broken.bmp", b"no image".to_vec())];
    app.write("data/train.zip", zip(&members));
    app.settle().await;
    assert_snapshot!(both(&app).await, @r#"
    {"image":{"src":"/assets/local/data/--/REVISION/--/default/train/0/image/image.jpg","height":2,"width":3},"label":0}
    {"image":{"src":"/assets/local/data/--/REVISION/--/default/train/1/image/image.jpg","height":2,"width":4},"label":1}
    {"image":{"src":null,"height":null,"width":null,"error":"not an image of a known format"},"label":1}
    "#);
    for page in [FIRST_ROWS, ROWS] {
        let file = app.get(&path_of(&first_cell(&app, page, "image").await)).await;
        assert_eq!((file.status, file.header("content-type")), (200, Some("image/jpeg")));
        assert_eq!(&file.body[..3], b"\xff\xd8\xff", "a JPEG file");
    }
}

#[tokio::test]
async fn an_added_archive_leaves_the_others_converted() {
    let app = TestApp::new().await;
    app.write("data/a.zip", zip(&[("cat/1.bmp", bmp(3, 2)), ("dog/1.bmp", bmp(4, 2))]));
    app.settle().await;
    app.children.take_calls();
    app.write("data/b.zip", zip(&[("cat/2.bmp", bmp(5, 2))]));
    app.settle().await;
    let calls = app.children.take_calls();
    assert!(calls.iter().any(|call| call == "convert default, 1 of 2 files known"), "{calls:?}");
    let page = app.get(ROWS).await.json();
    let widths: Vec<&Json> = page["rows"].as_array().unwrap().iter().map(|row| &row["row"]["image"]["width"]).collect();
    assert_eq!(widths, [3, 4, 5]);
}

#[tokio::test]
async fn another_card_leaves_the_conversion_and_moves_the_links() {
    let app = TestApp::new().await;
    app.write("data/a.bmp", bmp(4, 2));
    app.settle().await;
    let first = path_of(&first_cell(&app, ROWS, "image").await);
    app.children.take_calls();
    app.write("data/README.md", "# Images\n");
    app.settle().await;
    let calls = app.children.take_calls();
    assert!(!calls.iter().any(|call| call.starts_with("convert")), "{calls:?}");
    for page in [FIRST_ROWS, ROWS] {
        let moved = path_of(&first_cell(&app, page, "image").await);
        assert_ne!(moved, first);
        assert_eq!(app.get(&moved).await.status, 200, "{moved}");
    }
}

#[tokio::test]
async fn an_image_that_changes_is_shown_as_it_is_now() {
    let app = TestApp::new().await;
    app.write("data/metadata.csv", "file_name,n\na.bmp,1\n");
    app.write("data/a.bmp", bmp(4, 2));
    app.settle().await;
    app.write("data/a.bmp", bmp(9, 2));
    app.settle().await;
    for page in [FIRST_ROWS, ROWS] {
        let cell = first_cell(&app, page, "image").await;
        assert_eq!(cell["width"], 9);
        assert_eq!(app.get(&path_of(&cell)).await.body, bmp(9, 2));
    }
}

#[tokio::test]
async fn images_that_browsers_do_not_show_are_made_anew() {
    let app = TestApp::new().await;
    app.write("data/a.ppm", ppm(6, 4));
    app.settle().await;
    for page in [FIRST_ROWS, ROWS] {
        let cell = first_cell(&app, page, "image").await;
        assert_eq!((&cell["width"], &cell["height"]), (&json!(6), &json!(4)));
        let path = path_of(&cell);
        assert!(path.ends_with("/0/image/image.jpg"), "{path}");
        assert_eq!(app.get(&path).await.header("content-type"), Some("image/jpeg"));
    }
}

#[tokio::test]
async fn sounds_are_linked_and_timed() {
    let app = TestApp::new().await;
    app.write("data/a.wav", wav(8_000, 1, 4_000));
    app.write("data/b.wav", wav(8_000, 2, 8_000));
    app.settle().await;
    assert_snapshot!(both(&app).await, @r#"
    {"audio":[{"src":"/datasets/local/data/resolve/REVISION/a.wav","type":"audio/wav"}]}
    {"audio":[{"src":"/datasets/local/data/resolve/REVISION/b.wav","type":"audio/wav"}]}
    "#);
    let figures = app.get(STATISTICS).await.json()["statistics"][0].clone();
    assert_eq!(figures["column_type"], "audio");
    assert_eq!(
        (&figures["column_statistics"]["min"], &figures["column_statistics"]["max"]),
        (&json!(0.5), &json!(1.0))
    );
    let file = app.get("/datasets/local/data/resolve/main/a.wav").await;
    assert_eq!(file.header("content-type"), Some("audio/wav"));
}

#[tokio::test]
async fn videos_are_linked() {
    let app = TestApp::new().await;
    app.write("data/a.mp4", mp4());
    app.settle().await;
    assert_eq!(both(&app).await, r#"{"video":{"src":"/datasets/local/data/resolve/REVISION/a.mp4"}}"#);
    let part = app.ask("GET", "/datasets/local/data/resolve/main/a.mp4", &[("range", "bytes=0-3")]).await;
    assert_eq!((part.status, part.header("content-type"), part.body.len()), (206, Some("video/mp4"), 4));
}

#[tokio::test]
async fn documents_are_stored_and_those_that_are_none_say_so() {
    let app = TestApp::new().await;
    app.write("data/a.pdf", pdf());
    app.write("data/b.pdf", "<html>");
    app.settle().await;
    let size = pdf().len();
    for page in [FIRST_ROWS, ROWS] {
        let shown = lines(&app, page).await.replace("/cached-assets/", "/assets/");
        let good = format!(
            r#"{{"pdf":{{"src":"/assets/local/data/--/REVISION/--/default/train/0/pdf/document.pdf","size_bytes":{size}}}}}"#
        );
        let bad = r#"{"pdf":{"src":"/datasets/local/data/resolve/REVISION/b.pdf","size_bytes":null,"error":"not a PDF document: `%PDF` is missing at its start"}}"#;
        assert_eq!(shown, format!("{good}\n{bad}"));
        let file = app.get(&path_of(&first_cell(&app, page, "pdf").await)).await;
        assert_eq!((file.status, file.header("content-type")), (200, Some("application/pdf")));
        assert_eq!(file.body, pdf());
    }
}

#[tokio::test]
async fn nested_files_have_names_of_their_own() {
    let app = TestApp::new().await;
    app.write("data/metadata.jsonl", "{\"id\": 1, \"frames_file_names\": [\"a.ppm\", \"b.ppm\"]}\n");
    app.write("data/a.ppm", ppm(2, 1));
    app.write("data/b.ppm", ppm(3, 1));
    app.settle().await;
    let page = app.get(ROWS).await.json();
    let frames = page["rows"][0]["row"]["frames"].as_array().unwrap().clone();
    let names: Vec<String> = frames.iter().map(|cell| path_of(cell).rsplit_once('/').unwrap().1.to_owned()).collect();
    assert_eq!(names, ["image-1d100e9.jpg", "image-1d300ea.jpg"]);
    for frame in &frames {
        assert_eq!(app.get(&path_of(frame)).await.status, 200);
    }
}

#[tokio::test]
async fn only_the_files_of_a_page_are_looked_at() {
    let app = TestApp::new().await;
    for number in 0..130 {
        app.write(&format!("data/{number:03}.bmp"), bmp(4, 2));
    }
    app.settle().await;
    app.children.take_calls();
    let page = app.get(&format!("{ROWS}&offset=100&length=5")).await.json();
    assert_eq!(page["rows"][4]["row"]["image"]["width"], 4);
    // Once to find out which files, once with them.
    assert_eq!(app.children.take_calls(), ["rows 100+5", "rows 100+5"]);
    assert_eq!(page["num_rows_total"], 130);
}
