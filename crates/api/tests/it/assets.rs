//! Media of cells: where first rows and pages of rows point to.

use belvedere_testing::{TestApp, show_headers};
use insta::assert_snapshot;

/// A Parquet file with a column of images.
async fn images() -> TestApp {
    let app = TestApp::new().await;
    app.copy_set("parquet-image-column", "data");
    app.settle().await;
    app
}

fn path_of(url: &serde_json::Value) -> String {
    url.as_str().unwrap().strip_prefix("http://viewer.test").unwrap().to_owned()
}

#[tokio::test]
async fn first_rows_point_to_files_that_the_job_made() {
    let app = images().await;
    let body = app.get("/first-rows?dataset=local/data&config=default&split=train").await.json();
    assert_snapshot!(serde_json::to_string_pretty(&body["rows"][0]).unwrap(), @r#"
    {
      "row_idx": 0,
      "row": {
        "image": {
          "src": "http://viewer.test/assets/local/data/--/a92e7792405865515b88903047a42033f94f9026/--/default/train/0/image/image.jpg",
          "height": 10,
          "width": 10
        },
        "y": 0
      },
      "truncated_cells": []
    }
    "#);
    let file = app.get(&path_of(&body["rows"][0]["row"]["image"]["src"])).await;
    assert_snapshot!(show_headers(&file), @r#"
    200
    accept-ranges: bytes
    cache-control: max-age=31536000, immutable
    content-security-policy: default-src 'none'; sandbox
    content-type: image/jpeg
    etag: "…"
    x-content-type-options: nosniff
    "#);
    assert_eq!(&file.body[..3], b"\xff\xd8\xff", "a JPEG file");
}

#[tokio::test]
async fn pages_point_to_files_made_while_answering() {
    let app = images().await;
    let body = app.get("/rows?dataset=local/data&config=default&split=train&length=1").await.json();
    let path = path_of(&body["rows"][0]["row"]["image"]["src"]);
    assert!(path.starts_with("/cached-assets/local/data/--/"), "{path}");
    let file = app.get(&path).await;
    assert_eq!((file.status, file.header("content-type")), (200, Some("image/jpeg")));
}

#[tokio::test]
async fn urls_name_the_revision_that_is_read() {
    let app = images().await;
    let first = app.dataset("local/data").await.unwrap().target;
    // Another file changes the revision but not the images.
    app.write("data/notes.md", "nothing");
    app.settle().await;
    let second = app.dataset("local/data").await.unwrap().target;
    assert_ne!(first, second);
    for revision in [first, second] {
        for path in ["first-rows", "rows"] {
            let page = format!("/{path}?dataset=local/data&config=default&split=train&revision={revision}");
            let src = path_of(&app.get(&page).await.json()["rows"][0]["row"]["image"]["src"]);
            assert!(src.contains(&format!("/--/{revision}/--/default/train/0/image/")), "{src}");
            assert_eq!(app.get(&src).await.status, 200, "{src}");
        }
    }
}

#[tokio::test]
async fn media_of_a_dataset_that_is_gone_are_gone() {
    let app = images().await;
    let mut paths = Vec::new();
    for path in ["first-rows", "rows"] {
        let body = app.get(&format!("/{path}?dataset=local/data&config=default&split=train")).await.json();
        paths.push(path_of(&body["rows"][0]["row"]["image"]["src"]));
    }
    for path in &paths {
        assert_eq!(app.get(path).await.status, 200, "{path}");
    }
    app.remove("data");
    app.settle().await;
    for path in &paths {
        assert_eq!(app.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn other_paths_lead_nowhere() {
    let app = images().await;
    let body = app.get("/first-rows?dataset=local/data&config=default&split=train").await.json();
    let good = path_of(&body["rows"][0]["row"]["image"]["src"]);
    let cached = app.get("/rows?dataset=local/data&config=default&split=train").await.json();
    let cached = path_of(&cached["rows"][0]["row"]["image"]["src"]);
    for good in [good, cached] {
        let file = good.rsplit_once('/').unwrap().1;
        for bad in [
            good.replace("/--/default/", "/--/other/"),
            good.replace("/train/", "/test/"),
            good.replace("local/data", "local/none"),
            good.replace("local/data", "..%2Fdata"),
            good.replace(file, "other.jpg"),
            good.replace(file, "..%2F..%2Fx"),
            good.replace(file, "../x"),
            good.replace(file, ""),
            good.replace("/0/image/", "/0/../image/"),
            good.replace("/0/image/", "/9/image/"),
            good.replace("/--/default/", "/--/%2E%2E/"),
            "/assets/".to_owned(),
            "/cached-assets/x".to_owned(),
        ] {
            assert_eq!(app.get(&bad).await.status, 404, "{bad}");
        }
        let range = app.ask("GET", &good, &[("range", "bytes=0-2")]).await;
        assert_eq!((range.status, &range.body[..]), (206, &b"\xff\xd8\xff"[..]));
        assert_eq!(app.ask("HEAD", &good, &[]).await.status, 200);
    }
}
