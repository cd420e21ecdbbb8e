use std::fs;
use std::path::Path;

use serde_json::{Map, json};

use super::*;
use crate::sets;

/// A folder with one data set, its `meta.json` written.
fn set_in(folder: &Path, name: &str, results: Value) -> Set {
    let expected = folder.join(name).join("expected");
    fs::create_dir_all(&expected).unwrap();
    fs::write(expected.join("meta.json"), json!({ "results": results }).to_string()).unwrap();
    sets::read(folder).unwrap().into_iter().find(|set| set.name == name).unwrap()
}

fn case(path: &str, status_code: u16, error_code: Option<&str>, body: Value) -> Case {
    let endpoint = path.trim_start_matches('/').to_owned();
    Case {
        file: format!("{endpoint}.default.train.json"),
        endpoint,
        recorded: Recorded {
            request: sets::Request { path: path.to_owned(), params: Map::new() },
            status_code,
            error_code: error_code.map(str::to_owned),
            revision: None,
            body,
        },
    }
}

fn answer(status: u16, error_code: Option<&str>, body: Value) -> Answer {
    Answer { status, error_code: error_code.map(str::to_owned), revision: None, body }
}

fn lines(verdict: &Verdict) -> Vec<String> {
    verdict.differences.iter().map(ToString::to_string).collect()
}

#[test]
fn status_and_code_come_before_the_body() {
    let folder = tempfile::tempdir().unwrap();
    let set = set_in(folder.path(), "plain", json!({}));
    let recorded = case("/splits", 500, Some("EmptyDatasetError"), json!({"error": "no data"}));
    let judged = judge(&set, &recorded, &answer(200, None, json!({"splits": []}))).unwrap();
    assert_eq!(lines(&judged), [r#"expected 500 EmptyDatasetError, got 200 without a code {"splits":[]}"#]);
    assert!(!judged.beyond, "an empty dataset is no breakdown of the reference");
}

#[test]
fn error_texts_are_free_but_must_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let set = set_in(folder.path(), "plain", json!({}));
    let recorded = case("/splits", 404, Some("ResponseNotFound"), json!({"error": "Not found."}));
    let same = answer(404, Some("ResponseNotFound"), json!({"error": "there is no such answer"}));
    assert_eq!(judge(&set, &recorded, &same).unwrap(), Verdict::default());
    let without = answer(404, Some("ResponseNotFound"), json!("gone"));
    assert_eq!(lines(&judge(&set, &recorded, &without).unwrap()), ["an error body is an object with the text `error`"]);
    let raw = case("/splits", 404, None, json!({"_raw": "Not Found"}));
    assert_eq!(judge(&set, &raw, &answer(404, None, json!("not found"))).unwrap(), Verdict::default());
}

#[test]
fn plain_text_bodies_are_compared_as_text() {
    let folder = tempfile::tempdir().unwrap();
    let set = set_in(folder.path(), "plain", json!({}));
    let recorded = case("/healthcheck", 200, None, json!({"_raw": "ok"}));
    assert_eq!(judge(&set, &recorded, &answer(200, None, json!("ok"))).unwrap(), Verdict::default());
    let judged = judge(&set, &recorded, &answer(200, None, json!("fine"))).unwrap();
    assert_eq!(lines(&judged), [r#"expected "ok", got "fine""#]);
}

#[test]
fn revision_is_compared_where_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let set = set_in(folder.path(), "plain", json!({}));
    let mut recorded = case("/splits", 200, None, json!({}));
    recorded.recorded.revision = Some("abc".to_owned());
    let judged = judge(&set, &recorded, &answer(200, None, json!({}))).unwrap();
    assert_eq!(lines(&judged), ["X-Revision: expected abc, got none"]);
}

#[test]
fn answering_where_the_reference_breaks_is_beyond() {
    let folder = tempfile::tempdir().unwrap();
    let set = set_in(folder.path(), "plain", json!({}));
    let failing = set_in(folder.path(), "fail-plain", json!({}));
    let broken = case("/first-rows", 500, Some("UnexpectedError"), json!({"error": "x"}));
    let good = answer(200, None, json!({}));
    assert!(judge(&set, &broken, &good).unwrap().beyond);
    assert!(!judge(&failing, &broken, &good).unwrap().beyond, "sets made to fail must fail");
    let refused = |path| case(path, 422, Some("InvalidParameter"), json!({"error": "x"}));
    assert!(judge(&set, &refused("/filter"), &good).unwrap().beyond);
    assert!(!judge(&set, &refused("/splits"), &good).unwrap().beyond);
    assert!(!judge(&set, &broken, &answer(404, None, json!({}))).unwrap().beyond);
}

#[test]
fn sets_that_the_reference_cannot_convert_are_not_counted() {
    let folder = tempfile::tempdir().unwrap();
    let results = json!({"config-parquet-and-info.default": "DatasetGenerationError"});
    let recorded = case("/splits", 200, None, json!({"splits": [1]}));
    let other = answer(200, None, json!({"splits": [2]}));
    assert!(judge(&set_in(folder.path(), "odd", results.clone()), &recorded, &other).unwrap().beyond);
    assert!(!judge(&set_in(folder.path(), "fail-odd", results.clone()), &recorded, &other).unwrap().beyond);
    let same = answer(200, None, json!({"splits": [1]}));
    assert_eq!(judge(&set_in(folder.path(), "odd", results), &recorded, &same).unwrap(), Verdict::default());
}

#[test]
fn statistics_fall_back_to_single_columns() {
    let folder = tempfile::tempdir().unwrap();
    let set = set_in(folder.path(), "plain", json!({}));
    let columns = json!({
        "a": {"ok": {"column_name": "a", "column_statistics": {"min": 1}}},
        "b": {"error": "ComputationError"},
        "c": {"ok": {"column_name": "c"}},
    });
    let file = folder.path().join("plain/expected/statistics-per-column.default.train.json");
    fs::write(file, columns.to_string()).unwrap();
    let recorded = case("/statistics", 500, Some("ComputationError"), json!({"error": "x"}));
    let column = |min: u64| json!({"statistics": [{"column_name": "a", "column_statistics": {"min": min}}]});
    let judged = judge(&set, &recorded, &answer(200, None, column(2))).unwrap();
    assert_eq!(lines(&judged), ["a.column_statistics.min: expected 1, got 2", "c: missing"]);

    let valid = case("/is-valid", 200, None, json!({"statistics": false, "viewer": true}));
    let better = answer(200, None, json!({"statistics": true, "viewer": true}));
    assert_eq!(judge(&set, &valid, &better).unwrap(), Verdict::default());
    let worse = answer(200, None, json!({"statistics": true, "viewer": false}));
    assert_eq!(lines(&judge(&set, &valid, &worse).unwrap()), [".viewer: expected true, got false"]);
}

#[test]
fn searches_are_scored_by_recall() {
    let folder = tempfile::tempdir().unwrap();
    let set = set_in(folder.path(), "plain", json!({}));
    let rows = |indexes: &[u64]| json!({"rows": indexes.iter().map(|at| json!({"row_idx": at})).collect::<Vec<_>>()});
    let mut recorded = case("/search", 200, None, rows(&[1, 2, 3, 4]));
    recorded.recorded.request.params.insert("query".to_owned(), json!("penguin"));
    let judged = judge(&set, &recorded, &answer(200, None, rows(&[9, 4, 1]))).unwrap();
    assert_eq!(judged, Verdict { recall: Some(0.5), ..Verdict::default() });
    recorded.recorded.request.params.insert("query".to_owned(), json!("penguin 7"));
    assert_eq!(judge(&set, &recorded, &answer(200, None, rows(&[9]))).unwrap(), Verdict::default());
}
