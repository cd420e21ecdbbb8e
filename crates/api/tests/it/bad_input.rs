//! Datasets that are made to do harm, or came out wrong: what clients are told of them.

use std::collections::BTreeSet;

use belvedere_testing::TestApp;

use super::{BIRDS, outcome};

/// e104 | the card of a dataset holds scripts, frames and links that run code | they come back as texts of JSON that no browser takes for a page
#[tokio::test]
async fn e104_markup_in_cards_stays_text() {
    let app = TestApp::new().await;
    let evil = "<script>alert(1)</script><svg onload=alert(1)><a href='javascript:alert(1)'>";
    app.write(
        "data/README.md",
        format!("---\ndataset_info:\n  description: \"{evil}\"\n  license: \"{evil}\"\n---\n{evil}\n"),
    );
    app.write("data/birds.csv", format!("{BIRDS}{evil},1\n"));
    app.settle().await;
    let info = app.get("/info?dataset=local/data").await;
    assert_eq!(info.json()["dataset_info"]["default"]["description"], evil);
    let rows = "/rows?dataset=local/data&config=default&split=train";
    let paths = [
        "/info?dataset=local/data",
        rows,
        "/first-rows?dataset=local/data&config=default&split=train",
        "/statistics?dataset=local/data&config=default&split=train",
        "/croissant-crumbs?dataset=local/data",
        "/rows?dataset=local/data&config=%3Cscript%3Ealert(1)%3C%2Fscript%3E&split=train",
        "/datasets/local/data/resolve/main/README.md",
    ];
    for path in paths {
        let answer = app.get(path).await;
        let kind = answer.header("content-type").unwrap_or_default();
        assert!(kind.starts_with("application/json") || kind.starts_with("text/plain"), "{path}: {kind}");
    }
    let file = app.get("/datasets/local/data/resolve/main/README.md").await;
    assert_eq!(file.header("x-content-type-options"), Some("nosniff"));
    let csv = app.get(&format!("{rows}&format=csv")).await;
    assert!(csv.header("content-disposition").unwrap_or_default().starts_with("attachment"), "saved, not shown");
}

/// e107 | names of datasets hold emoji, marks of direction, escapes of slashes, 255 bytes, or differ in case or composition alone | each is a dataset of its own under a name of plain letters, and leads nowhere else
#[tokio::test]
async fn e107_odd_names_of_datasets_are_kept_apart() {
    let app = TestApp::new().await;
    let long = "n".repeat(255);
    let names =
        ["\u{1f99c}", "\u{202e}gpj", "%2e%2e", "%2f", "Wine", "wine", "\u{e9}", "e\u{301}", "a b", "_x41", "A", &long];
    for (number, name) in names.iter().enumerate() {
        app.write(&format!("{name}/a.csv"), format!("n\n{number}\n"));
    }
    app.settle().await;
    let mut seen = BTreeSet::new();
    let datasets = app.services.store.datasets.list().await.unwrap();
    for row in datasets {
        let name = row.name.to_string();
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/_-.".contains(&byte);
        assert!(name.len() <= 110 && name.bytes().all(is_plain), "{name}");
        let rows = app.get(&format!("/rows?dataset={name}&config=default&split=train")).await;
        assert_eq!(rows.status, 200, "{name}: {}", rows.text());
        seen.insert(rows.json()["rows"][0]["row"]["n"].as_u64().unwrap());
    }
    assert_eq!(seen.len(), names.len(), "none hides another");
    for path in [
        "/splits?dataset=local/%2e%2e",
        "/splits?dataset=local/..%2f..",
        "/splits?dataset=local/a%00b",
        "/splits?dataset=..",
    ] {
        let answer = app.get(path).await;
        assert!([401, 404, 422].contains(&answer.status), "{path}: {}", outcome(&answer));
    }
}

/// e107 | names of configs and splits hold slashes, dots, emoji, 255 letters, and twins that differ in case or composition | what the reference refuses is refused with its place; the others are kept apart, on disk too
#[tokio::test]
async fn e107_odd_names_of_configs_are_kept_apart() {
    let app = TestApp::new().await;
    let long = "c".repeat(255);
    let names = ["Wine", "wine", "\u{e9}", "e\u{301}", "\u{1f99c}", "a b", "%2e", &long];
    let entry = |(number, name): (usize, &&str)| format!("- config_name: \"{name}\"\n  data_files: {number}.csv\n");
    let configs: String = names.iter().enumerate().map(entry).collect();
    for number in 0..names.len() {
        app.write(&format!("data/{number}.csv"), format!("n\n{number}\n"));
    }
    app.write("data/README.md", format!("---\nconfigs:\n{configs}---\n"));
    app.settle().await;
    for (number, name) in names.iter().enumerate() {
        let encoded: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
        let rows = app.get(&format!("/rows?dataset=local/data&config={encoded}&split=train")).await;
        assert_eq!(rows.json()["rows"][0]["row"]["n"], number, "{name}: {}", rows.text());
    }
    for wrong in ["..", "a/b", "a\\\\b", "a:b", "*"] {
        app.write("data/README.md", format!("---\nconfigs:\n- config_name: \"{wrong}\"\n  data_files: 0.csv\n---\n"));
        app.settle().await;
        let answer = outcome(&app.get("/splits?dataset=local/data").await);
        assert!(answer.contains("ConfigNamesError"), "{wrong}: {answer}");
    }
}

/// e112 | a dataset has nothing but empty files, or hidden ones | it says that it is empty, or which file holds nothing
#[tokio::test]
async fn e112_datasets_without_content_say_so() {
    let app = TestApp::new().await;
    app.write("hidden/.a.csv", BIRDS);
    app.write("hidden/.git/b.csv", BIRDS);
    app.write("zero/a.csv", "");
    app.write("zeros/a.json", "");
    app.write("zeros/b.json", "");
    app.settle().await;
    let hidden = outcome(&app.get("/splits?dataset=local/hidden").await);
    assert!(hidden.contains("EmptyDatasetError") || hidden.starts_with("404"), "{hidden}");
    for (dataset, what) in
        [("zero", "a.csv: the file is empty"), ("zeros", "the files hold no data; put rows into them")]
    {
        let rows = outcome(&app.get(&format!("/rows?dataset=local/{dataset}&config=default&split=train")).await);
        assert!(rows.starts_with("500 DatasetGenerationError") && rows.contains(what), "{rows}");
    }
}

/// e112 | a dataset has thousands of tiny files | it is read like any other, and listing it stays a matter of seconds
#[tokio::test]
async fn e112_thousands_of_tiny_files_are_one_split() {
    let app = TestApp::new().await;
    for number in 0..3000 {
        app.write(&format!("data/part-{number:05}.jsonl"), format!("{{\"n\": {number}}}\n"));
    }
    app.settle().await;
    let rows = app.get("/rows?dataset=local/data&config=default&split=train&offset=2999").await.json();
    assert_eq!((&rows["num_rows_total"], &rows["rows"][0]["row"]["n"]), (&3000.into(), &2999.into()));
}
