//! Files as people have them: every one is answered, or refused in words that its owner can act on.
//!
//! `messy/files` comes from public packages (see `messy/README.md`), as it is or as it gets on its way: cut off, saved by a
//! program that means well, named wrongly. `messy/expected.txt` says what is made of each file, and is read by people before
//! it is committed: `UPDATE_DOCS=1 cargo test -p belvedere-testing --test messy`.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;
use std::path::{Path, PathBuf};

use belvedere_testing::TestApp;
use serde_json::Value as Json;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messy")
}

fn names() -> Vec<String> {
    let entries = fs::read_dir(folder().join("files")).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The dataset that holds a file alone.
fn dataset_of(name: &str) -> String {
    name.replace('.', "_")
}

/// What the program makes of a file.
enum Outcome {
    /// `40 rows, yield: float64, variety: string`.
    Read(String),
    /// The text of the error, and its code.
    Refused(String, String),
}

async fn outcome(app: &TestApp, name: &str) -> Outcome {
    let dataset = format!("local/{}", dataset_of(name));
    let refused = |answer: &belvedere_testing::Answer| {
        let code = answer.header("x-error-code").unwrap_or_default().to_owned();
        Outcome::Refused(answer.json()["error"].as_str().unwrap_or_default().to_owned(), code)
    };
    let splits = app.get(&format!("/splits?dataset={dataset}")).await;
    if splits.status != 200 {
        return refused(&splits);
    }
    let splits = splits.json();
    let mut read = Vec::new();
    for split in splits["splits"].as_array().unwrap() {
        let (config, split) = (split["config"].as_str().unwrap(), split["split"].as_str().unwrap());
        let answer = app.get(&format!("/rows?dataset={dataset}&config={config}&split={split}&length=1")).await;
        if answer.status != 200 {
            return refused(&answer);
        }
        let answer = answer.json();
        let features = answer["features"].as_array().unwrap();
        let column = |feature: &Json| {
            let name: String = feature["name"].as_str().unwrap().chars().take(20).collect();
            format!("{name:?}: {}", short(&feature["type"]))
        };
        let mut columns: Vec<String> = features.iter().take(5).map(column).collect();
        if features.len() > columns.len() {
            columns.push(format!("and {} more", features.len() - columns.len()));
        }
        let config = if config == "default" { String::new() } else { format!("{config}: ") };
        read.push(format!("{config}{} rows, {}", answer["num_rows_total"], columns.join(", ")));
    }
    Outcome::Read(read.join("; "))
}

/// A type in a few letters.
fn short(feature: &Json) -> String {
    match (&feature["_type"], &feature["dtype"]) {
        (_, Json::String(dtype)) => dtype.clone(),
        (Json::String(kind), _) if kind == "List" => format!("[{}]", short(&feature["feature"])),
        (Json::String(kind), _) => kind.clone(),
        _ => "{…}".to_owned(),
    }
}

/// What a message lacks for its reader to know where to look and what to do.
fn lacks(name: &str, message: &str) -> Option<&'static str> {
    let Some((_, after)) = message.split_once(name) else { return Some("the file") };
    let places = ["line ", "byte ", "column \"", "row \"", "/"];
    // Of these, no part is more to blame than another.
    let wholes = [
        "the file is empty",
        "the first rows",
        "no SQLite file",
        "no Excel workbook",
        "damaged ",
        "cannot read Parquet",
    ];
    if !places.iter().chain(&wholes).any(|place| after.contains(place)) {
        return Some("the place in the file");
    }
    let has_way_out = after.split_once("; ").is_some_and(|(_, advice)| advice.split(' ').count() > 2);
    (!has_way_out).then_some("a way out")
}

#[tokio::test]
async fn messy_files_are_answered_or_refused_in_words_that_help() {
    let app = TestApp::new().await;
    for name in names() {
        let content = fs::read(folder().join("files").join(&name)).unwrap();
        app.write(&format!("{}/{name}", dataset_of(&name)), content);
    }
    app.settle().await;
    let (mut table, mut poor) = (String::new(), String::new());
    for name in names() {
        match outcome(&app, &name).await {
            Outcome::Read(what) => table.push_str(&format!("{name}\n    {what}\n")),
            Outcome::Refused(message, code) => {
                if let Some(what) = lacks(&name, &message) {
                    poor.push_str(&format!("the message for {name} lacks {what}: {message}\n"));
                }
                table.push_str(&format!("{name}\n    {code}: {message}\n"));
            }
        }
    }
    let path = folder().join("expected.txt");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &table).unwrap();
    }
    assert!(poor.is_empty(), "{poor}");
    let expected = fs::read_to_string(&path).unwrap();
    let differs = table.lines().zip(expected.lines()).find(|(is, should)| is != should);
    assert!(
        table == expected,
        "not as expected.txt says: {differs:?}; if it is right now, run with UPDATE_DOCS=1 and read the difference"
    );
}

#[test]
fn the_collection_stays_small() {
    let size = |name: &String| fs::metadata(folder().join("files").join(name)).unwrap().len();
    let names = names();
    assert!(names.len() >= 100, "{} files", names.len());
    assert!(names.iter().map(size).sum::<u64>() < 2_000_000);
}
