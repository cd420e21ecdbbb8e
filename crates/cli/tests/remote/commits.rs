//! Converted files are committed to the Hub with the token of the committer.

use serde_json::json;

use crate::Bed;
use crate::common::Server;
use crate::hub::WRITER;
use crate::reading::{asked, code_of, squares, tell};

const BRANCH: &str = "refs/convert/parquet";

fn bed() -> Bed {
    let mut bed = Bed::new();
    bed.set("PARQUET_AND_INFO_COMMITTER_HF_TOKEN", WRITER).set("PARQUET_AND_INFO_COMMIT_MESSAGE", "Convert");
    bed
}

/// The paths on the branch.
fn paths(bed: &Bed, repo: &str) -> Vec<String> {
    bed.hub.branch(repo, BRANCH).map(|(files, _)| files.into_keys().collect()).unwrap_or_default()
}

/// Waits until all sizes of a commit are known: those of every config, which follow its files.
fn settle(server: &Server, repo: &str, commit: &str) {
    loop {
        let (status, head, size) = asked(server, "GET", &format!("/size?dataset={repo}"), "", "");
        if status == 200 && head.contains(commit) && size["pending"] == json!([]) && size["failed"] == json!([]) {
            return;
        }
        std::thread::yield_now();
    }
}

#[test]
fn converted_files_are_committed_and_stale_ones_go_in_the_same_commit() {
    let bed = bed();
    let card = |configs: &[&str]| {
        let configs: Vec<String> =
            configs.iter().map(|name| format!("- config_name: {name}\n  data_files: {name}/*.csv\n")).collect();
        format!("---\nconfigs:\n{}---\n", configs.concat()).into_bytes()
    };
    let (first, large, other) = (card(&["small", "large"]), squares(5000), card(&["large", "new"]));
    // The branch begins at the first commit, of which nothing is to stay.
    bed.hub.put("ana/two", &[(".gitattributes", b"* text\n"), ("old.txt", b"old")]);
    bed.hub.put("ana/two", &[("README.md", &first), ("small/train.csv", b"a\n1\n"), ("large/train.csv", &large)]);
    let server = bed.serve();
    let (status, parquet) = server.ready("/parquet?dataset=ana/two");
    assert_eq!((status, parquet["parquet_files"].as_array().unwrap().len()), (200, 2), "{parquet}");
    let url = parquet["parquet_files"][0]["url"].as_str().unwrap();
    assert_eq!(
        url,
        format!("{}/datasets/ana/two/resolve/refs%2Fconvert%2Fparquet/large/train/0000.parquet", bed.hub.address)
    );
    let (files, titles) = bed.hub.branch("ana/two", BRANCH).unwrap();
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(names, [".gitattributes", "large/train/0000.parquet", "small/train/0000.parquet"]);
    assert_eq!(files["large/train/0000.parquet"], parquet["parquet_files"][0]["size"].as_u64().unwrap());
    assert_eq!(titles, ["Convert", "Convert", "put"]);
    // One went in parts, and no upload carried a token.
    assert!(!bed.hub.asked("PUT /part/").is_empty() && !bed.hub.asked("POST /complete/").is_empty());
    assert!(!bed.hub.asked("PUT /upload/").is_empty());
    assert!(
        ["PUT /", "POST /complete/"].iter().flat_map(|what| bed.hub.asked(what)).all(|call| !call.contains("Bearer"))
    );

    let main =
        bed.hub.put("ana/two", &[("README.md", &other), ("large/train.csv", &large), ("new/train.csv", b"b\n2\n")]);
    assert_eq!(tell(&server, "update", "ana/two").0, 200);
    settle(&server, "ana/two", &main);
    let expected = [".gitattributes", "large/train/0000.parquet", "new/train/0000.parquet"];
    assert_eq!(paths(&bed, "ana/two"), expected);
    let uploads = bed.hub.asked("/info/lfs/objects/batch").len();

    // A config goes, and nothing else changes: what is left is not sent again.
    let main = bed.hub.put("ana/two", &[("README.md", &card(&["large"])), ("large/train.csv", &large)]);
    assert_eq!(tell(&server, "update", "ana/two").0, 200);
    settle(&server, "ana/two", &main);
    assert_eq!(paths(&bed, "ana/two"), [".gitattributes", "large/train/0000.parquet"]);
    assert_eq!(bed.hub.asked("/info/lfs/objects/batch").len(), uploads);
    assert!(server.told.iter().all(|line| !line.contains(WRITER)));
}

#[test]
fn parquet_files_of_the_dataset_are_named_and_not_sent() {
    let bed = bed();
    bed.hub.put("ana/source", &[("train.csv", &squares(3000))]);
    let server = bed.serve();
    assert_eq!(server.ready("/size?dataset=ana/source").0, 200);
    let url = "/datasets/ana/source/resolve/refs%2Fconvert%2Fparquet/default/train/0000.parquet";
    let parquet = crate::reading::bytes(&bed.hub.address, url, WRITER);
    bed.hub.put("ana/copy", &[("data/train.parquet", &parquet)]);
    let before = bed.hub.asked("PUT /").len();
    let rows = server.ready("/rows?dataset=ana/copy&config=default&split=train&offset=2999").1;
    assert_eq!(rows["rows"][0]["row"]["square"], json!(2999 * 2999), "{rows}");
    assert_eq!(paths(&bed, "ana/copy"), ["default/train/0000.parquet"]);
    assert_eq!(bed.hub.asked("PUT /").len(), before);
}

/// Needs the feature `duckdb`: `ci/duckdb.sh` runs it.
#[cfg(feature = "duckdb")]
#[test]
fn duckdb_files_are_committed_beside_the_parquet_files_and_go_with_their_splits() {
    let mut bed = bed();
    bed.set("DUCKDB_INDEX_COMMIT_MESSAGE", "Index");
    let card = |configs: &[&str]| {
        let configs: Vec<String> =
            configs.iter().map(|name| format!("- config_name: {name}\n  data_dir: {name}\n")).collect();
        format!("---\nconfigs:\n{}---\n", configs.concat()).into_bytes()
    };
    let (first, other) = (card(&["old", "wine"]), card(&["wine"]));
    bed.hub.put(
        "ana/wine",
        &[
            ("README.md", &first),
            ("old/train.csv", b"a\nold\n"),
            ("wine/train.csv", b"a\nred\n"),
            ("wine/test.csv", b"a\nwhite\n"),
        ],
    );
    let server = bed.serve();
    assert_eq!(server.ready("/parquet?dataset=ana/wine").0, 200);
    let files = |places: &[&str]| -> Vec<String> {
        places.iter().flat_map(|place| [format!("{place}/0000.parquet"), format!("{place}/index.duckdb")]).collect()
    };
    until(&bed, "ana/wine", &files(&["old/train", "wine/test", "wine/train"]));
    let titles = bed.hub.branch("ana/wine", BRANCH).unwrap().1;
    assert_eq!(titles.iter().filter(|title| *title == "Index").count(), 3, "{titles:?}");
    let url = "/datasets/ana/wine/resolve/refs%2Fconvert%2Fparquet/wine/train/index.duckdb";
    let index = crate::reading::bytes(&bed.hub.address, url, WRITER);
    assert_eq!(&index[8..12], b"DUCK", "a database, as its header says");

    bed.hub.put("ana/wine", &[("README.md", &other), ("wine/train.csv", b"a\nred\nrose\n")]);
    assert_eq!(tell(&server, "update", "ana/wine").0, 200);
    until(&bed, "ana/wine", &files(&["wine/train"]));
    assert!(crate::reading::bytes(&bed.hub.address, url, WRITER) != index, "made of the new rows");
    let uploads = bed.hub.asked("PUT /").into_iter().chain(bed.hub.asked("POST /complete/"));
    assert!(uploads.into_iter().all(|call| !call.contains("Bearer")));
    assert!(server.told.iter().all(|line| !line.contains(WRITER)));
}

/// Waits until exactly these files are on the branch, and an index of the newest rows among them.
#[cfg(feature = "duckdb")]
fn until(bed: &Bed, repo: &str, expected: &[String]) {
    while paths(bed, repo) != expected {
        std::thread::yield_now();
    }
}

#[test]
fn a_commit_that_meets_another_is_made_for_the_new_head() {
    let bed = bed();
    for (number, how) in [json!({"status": 412}), json!({"status": 409}), json!({"status": 503})].iter().enumerate() {
        let dataset = format!("ana/met{number}");
        bed.hub.put(&dataset, &[("train.csv", b"a\n1\n")]);
        bed.hub.fail(&format!("POST /api/datasets/{dataset}/commit/"), 2, how);
        bed.hub.fail(&format!("POST /api/datasets/{dataset}/branch/"), 1, &json!({"status": 500}));
        let server = bed.serve();
        assert_eq!(server.ready(&format!("/parquet?dataset={dataset}")).0, 200, "{how}");
        assert_eq!(paths(&bed, &dataset), ["default/train/0000.parquet"], "{how}");
    }
}

#[test]
fn what_the_hub_does_not_take_is_an_error_of_its_own() {
    let mut bed = bed();
    bed.set("PARQUET_AND_INFO_COMMITTER_HF_TOKEN", crate::hub::READER);
    bed.hub.put("ana/wine", &[("train.csv", b"a\n1\n")]);
    let server = bed.serve();
    assert_eq!(code_of(&server, "/parquet?dataset=ana/wine&config=default"), (500, "createcommiterror".to_owned()));
    assert_eq!(server.ready("/first-rows?dataset=ana/wine&config=default&split=train").0, 200);
    assert_eq!(bed.hub.branch("ana/wine", BRANCH), None);
}
