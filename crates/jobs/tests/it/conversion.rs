//! The conversion: whole, partial, or not needed because the files are Parquet already.

use belvedere_testing::TestApp;
use insta::assert_snapshot;

use super::{BIRDS, FIRST_ROWS, ROWS, SIZE, two_configs};

#[tokio::test]
async fn a_conversion_over_the_limit_is_partial_everywhere() {
    let app = TestApp::with(|options| options.settings.parquet.max_dataset_size_bytes = Some(60_000)).await;
    app.copy_set("partial-csv", "data");
    app.settle().await;
    assert_eq!(app.errors("local/data").await, Vec::<String>::new());

    for path in ["/parquet", "/info", "/size"] {
        for level in ["", "&config=default"] {
            let body = app.get(&format!("{path}?dataset=local/data{level}")).await.json();
            assert_eq!(body["partial"], true, "{path}{level}");
        }
    }
    // One split reached the limit, so the files of all splits say so.
    let listed = app.get("/parquet?dataset=local/data").await.json()["parquet_files"].clone();
    let urls: Vec<_> = listed.as_array().unwrap().iter().map(|file| file["url"].as_str().unwrap()).collect();
    assert!(urls[0].ends_with("/default/partial-test/0000.parquet"), "{urls:?}");
    let listed = listed[1].clone();
    let path = listed["url"].as_str().unwrap().strip_prefix("http://viewer.test").unwrap().to_owned();
    assert!(path.ends_with("/resolve/refs%2Fconvert%2Fparquet/default/partial-train/0000.parquet"), "{path}");
    assert_eq!((&listed["split"], &listed["filename"]), (&"train".into(), &"0000.parquet".into()));
    let file = app.get(&path).await;
    assert_eq!((file.status, &listed["size"]), (200, &file.body.len().into()));
    assert_eq!(app.get(&path.replace("partial-", "")).await.status, 404);

    let page = app.get(ROWS).await.json();
    let size = app.get(SIZE).await.json()["size"].clone();
    assert_eq!(page["partial"], true);
    let (kept, estimated) =
        (size["dataset"]["num_rows"].as_u64().unwrap(), size["dataset"]["estimated_num_rows"].as_u64());
    let split = size["splits"].as_array().unwrap().iter().find(|split| split["split"] == "train").unwrap();
    assert_eq!(page["num_rows_total"], split["num_rows"]);
    assert!(split["estimated_num_rows"].as_u64() > split["num_rows"].as_u64(), "{split}");
    assert!(estimated.unwrap() > kept, "{size}");
    assert_eq!(size["configs"][0]["estimated_num_rows"].as_u64(), estimated);
    assert_eq!(app.get(FIRST_ROWS).await.json()["truncated"], true);
}

#[tokio::test]
async fn without_a_limit_nothing_is_partial() {
    let app = TestApp::new().await;
    app.copy_set("partial-csv", "data");
    app.settle().await;
    let size = app.get(SIZE).await.json();
    assert_eq!(
        (&size["partial"], &size["size"]["dataset"]["estimated_num_rows"]),
        (&false.into(), &serde_json::Value::Null)
    );
    assert_eq!(app.get(ROWS).await.json()["partial"], false);
}

#[tokio::test]
async fn parquet_files_are_referenced_and_not_copied() {
    let converted = TestApp::with_file("birds.csv", BIRDS).await;
    let bytes =
        converted.get("/datasets/local/data/resolve/refs%2Fconvert%2Fparquet/default/train/0000.parquet").await.body;

    let app = TestApp::new().await;
    app.write("data/train/one.parquet", &bytes);
    app.write("data/train/two.parquet", &bytes);
    app.settle().await;
    assert_eq!(
        app.children.take_calls(),
        [
            "inspect default",
            "head default/train",
            "rows 0+100",
            "statistics",
            "search index of 2 files",
            "footers of 2 files"
        ]
    );
    let files = app.get("/parquet?dataset=local/data").await.json()["parquet_files"].clone();
    let names: Vec<_> = files.as_array().unwrap().iter().map(|file| file["filename"].as_str().unwrap()).collect();
    assert_eq!(names, ["0000.parquet", "0001.parquet"]);
    for file in files.as_array().unwrap() {
        let path = file["url"].as_str().unwrap().strip_prefix("http://viewer.test").unwrap();
        assert_eq!(app.get(path).await.body, bytes);
    }
    let copies: Vec<_> = app.state_files().into_iter().filter(|path| path.ends_with(".parquet")).collect();
    assert_eq!(copies, Vec::<String>::new());
    assert_eq!(app.get(ROWS).await.json()["num_rows_total"], 6);
    let size = app.get(SIZE).await.json();
    assert_eq!(size["size"]["dataset"]["num_bytes_original_files"], 2 * bytes.len());
}

#[tokio::test]
async fn parquet_files_with_large_row_groups_are_converted_where_a_setting_wants_it() {
    let poor = include_bytes!("../fixtures/poor_layout.parquet");
    let mut pages = Vec::new();
    for (max_bytes, partial_bytes, calls) in [
        (None, None, ["inspect default", "head default/train"]),
        (Some(10_000_000), None, ["inspect default", "head default/train"]),
        (Some(1_000_000), None, ["inspect default", "convert default"]),
        (Some(1_000_000), Some(1_000_000), ["inspect default", "convert default"]),
    ] {
        let app = TestApp::with(|options| {
            options.settings.parquet.max_row_group_bytes_for_copy = max_bytes;
            options.settings.parquet.max_dataset_size_bytes = partial_bytes;
        })
        .await;
        app.write("data/train.parquet", poor);
        app.settle().await;
        assert_eq!(app.errors("local/data").await, Vec::<String>::new());
        assert_eq!(app.children.take_calls()[..2], calls);
        let file = app.get("/parquet?dataset=local/data").await.json()["parquet_files"][0].clone();
        let path = file["url"].as_str().unwrap().strip_prefix("http://viewer.test").unwrap().to_owned();
        let converted = calls[1] == "convert default";
        assert_eq!(app.get(&path).await.body == poor[..], !converted, "{max_bytes:?}");
        assert_eq!(path.contains("/partial-train/"), partial_bytes.is_some(), "{path}");
        let page = app.get(&format!("{ROWS}&offset=700&length=5")).await.json();
        assert_eq!(page["partial"], partial_bytes.is_some());
        assert_eq!(page["num_rows_total"] == 12_000, partial_bytes.is_none());
        pages.push(page);
    }
    for page in &pages {
        for part in ["features", "rows"] {
            assert_eq!(page[part], pages[0][part]);
        }
    }
}

#[tokio::test]
async fn a_config_with_broken_files_fails_alone() {
    let app = TestApp::new().await;
    app.write("data/README.md", super::TWO_CONFIGS);
    app.write("data/a.csv", "x\n1\n");
    app.write("data/b.csv", "y,z\n1,2\n1,2,3,4\n");
    app.settle().await;
    assert_snapshot!(app.errors("local/data").await.join("\n"), @r"
    config-parquet-and-info b: 500 DatasetGenerationError
    config-parquet b: 500 DatasetGenerationError
    config-info b: 500 DatasetGenerationError
    config-size b: 500 DatasetGenerationError
    split-first-rows b train: 500 FeaturesError
    config-parquet-metadata b: 500 DatasetGenerationError
    split-image-url-columns b train: 500 FeaturesError
    split-descriptive-statistics b train: 500 DatasetGenerationError
    split-search-index b train: 500 DatasetGenerationError
    config-parquet-layout b: 500 DatasetGenerationError
    ");
    assert_eq!(app.get("/rows?dataset=local/data&config=a&split=train").await.status, 200);
    assert!(app.dataset("local/data").await.unwrap().served.is_some(), "a failed part is an answer too");
}

#[tokio::test]
async fn a_copied_error_tells_operators_where_it_comes_from() {
    use belvedere_domain::{ArtifactKey, ConfigName, StepName};
    let app = TestApp::with_file("a.csv", "y,z\n1,2\n1,2,3,4\n").await;
    let row = app.dataset("local/data").await.unwrap();
    let key = |step| ArtifactKey::config(StepName::known(step), row.name.clone(), ConfigName::new("default").unwrap());
    let keys = [key("config-parquet-and-info"), key("config-parquet"), key("config-parquet-metadata")];
    let found = app.services.store.views.at_revision(&keys, &row.target).await.unwrap();
    let origins = found.iter().map(|found| {
        let details: serde_json::Value = found.as_ref().unwrap().stored.view.details.parse().unwrap();
        details["copied_from_artifact"]["kind"].as_str().unwrap_or("itself").to_owned()
    });
    // The direct predecessor, not the first one.
    assert_eq!(origins.collect::<Vec<_>>(), ["itself", "config-parquet-and-info", "config-parquet"]);
}

#[tokio::test]
async fn scratch_directories_are_removed() {
    let app = two_configs().await;
    let left: Vec<_> = app.state_files().into_iter().filter(|path| path.starts_with("scratch/")).collect();
    // The lock of the parent belongs to no job.
    assert_eq!(left, ["scratch/.scratch-lock"]);
}
