//! The runner against a server that replays recordings, with one answer altered.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use belvedere_conformance::report::Tally;
use belvedere_conformance::run::{self, Options};
use belvedere_conformance::sets::{self, Recorded, Set};

/// Answers by path and query.
type Answers = HashMap<String, Recorded>;

fn sets() -> Vec<Set> {
    sets::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("sets")).unwrap()
}

fn set(name: &str) -> Set {
    sets().into_iter().find(|set| set.name == name).unwrap()
}

/// Path and decoded query, its parameters sorted.
fn key(path: &str, query: impl Iterator<Item = (String, String)>) -> String {
    let mut pairs: Vec<_> = query.map(|(name, value)| format!("{name}={value}")).collect();
    pairs.sort();
    format!("{path}?{}", pairs.join("&"))
}

fn answers_of(set: &Set) -> Answers {
    let one = |recorded: Recorded| {
        let request = &recorded.request;
        let query = request.params.keys().map(|name| (name.clone(), request.param(name)));
        (key(&request.path, query), recorded)
    };
    set.cases().unwrap().into_iter().map(|case| one(case.recorded)).collect()
}

/// Serves the answers until the test ends. The first request of all is told to come back later.
fn serve(answers: Answers) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let shared = Arc::new((answers, AtomicBool::new(false)));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || answer(stream.unwrap(), &shared.0, &shared.1));
        }
    });
    base
}

/// Answers one request and closes the connection.
fn answer(mut stream: TcpStream, answers: &Answers, prepared: &AtomicBool) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    lines.find(|line| line.as_ref().is_ok_and(String::is_empty));
    let target = first.split(' ').nth(1).unwrap();
    let (path, query) = target.split_once('?').unwrap();
    let pairs = url::form_urlencoded::parse(query.as_bytes()).into_owned();
    let key = key(path, pairs);
    let (status, code, revision, body) = match answers.get(&key) {
        Some(_) if !prepared.swap(true, Ordering::Relaxed) => {
            (500, Some("ResponseNotReady".to_owned()), None, r#"{"error":"later"}"#.to_owned())
        }
        Some(recorded) => {
            (recorded.status_code, recorded.error_code.clone(), recorded.revision.clone(), recorded.body.to_string())
        }
        None => (404, None, None, r#"{"error":"unknown"}"#.to_owned()),
    };
    let mut head = format!("HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in [("x-error-code", code), ("x-revision", revision)] {
        head += &value.map(|value| format!("{name}: {value}\r\n")).unwrap_or_default();
    }
    write!(stream, "{head}\r\n{body}").unwrap();
}

fn options(base: String) -> Options {
    Options { base, only: Vec::new(), endpoints: Vec::new(), patience: Duration::from_secs(60) }
}

/// The text that the program prints.
fn report(set: Set, base: String) -> String {
    let mut text = String::new();
    let mut tally = Tally::default();
    run::run(&[set], &options(base), |result| {
        tally.add(&result);
        for case in &result.cases {
            for difference in &case.verdict.differences {
                text += &format!("{} {difference}\n", case.file);
            }
        }
        Ok(())
    })
    .unwrap();
    text + &tally.summary().to_string()
}

#[test]
fn replayed_recordings_are_the_same() {
    let set = set("csv-header-only");
    let base = serve(answers_of(&set));
    insta::assert_snapshot!(report(set, base), @r"
    compatible-libraries      1 /    1
    croissant-crumbs          1 /    1
    first-rows                1 /    1
    hub-cache                 1 /    1
    info                      2 /    2
    is-valid                  3 /    3
    parquet                   2 /    2
    rows                      3 /    3
    size                      2 /    2
    splits                    2 /    2
    statistics                1 /    1
    same: 19 of 19 answers (100.0%)
    ");
}

#[test]
fn altered_answer_is_found() {
    let set = set("csv-header-only");
    let mut answers = answers_of(&set);
    let splits = answers.get_mut("/splits?dataset=conformance/csv-header-only").unwrap();
    splits.body["splits"][0]["split"] = "test".into();
    let base = serve(answers);
    insta::assert_snapshot!(report(set, base), @r#"
    splits.json .splits[0].split: expected "train", got "test"
    compatible-libraries      1 /    1
    croissant-crumbs          1 /    1
    first-rows                1 /    1
    hub-cache                 1 /    1
    info                      2 /    2
    is-valid                  3 /    3
    parquet                   2 /    2
    rows                      3 /    3
    size                      2 /    2
    splits                    1 /    2
    statistics                1 /    1
    same: 18 of 19 answers (94.7%)
    "#);
}

#[test]
fn missing_server_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = run::run(&[set("csv-header-only")], &options(base), |_| Ok(())).unwrap_err();
    assert!(error.to_string().starts_with("no server at http://127.0.0.1:"), "{error}");
}

#[test]
fn sets_with_settings_of_their_own_are_asked_only_by_name() {
    let (chosen, left_out) = run::chosen(sets(), &[]).unwrap();
    assert_eq!(left_out.iter().map(|set| set.name.as_str()).collect::<Vec<_>>(), ["partial-csv"]);
    assert!(!chosen.is_empty());
    let (chosen, left_out) = run::chosen(sets(), &["partial-*".to_owned(), "tsv-*".to_owned()]).unwrap();
    let names: Vec<_> = chosen.iter().map(|set| set.name.as_str()).collect();
    assert_eq!((names.as_slice(), left_out.len()), (["partial-csv", "tsv-starwars"].as_slice(), 0));
    assert!(run::chosen(sets(), &["no-such-*".to_owned()]).is_err());
}

#[test]
fn every_recording_can_be_read() {
    for set in sets() {
        let cases = set.cases().unwrap();
        assert!(cases.len() > 5, "{}", set.name);
        assert!(set.repository().is_dir(), "{}", set.name);
    }
}

#[test]
fn laid_out_repositories_are_copies() {
    let out = tempfile::tempdir().unwrap();
    let set = set("split-dirs");
    let count = belvedere_conformance::lay::lay(std::slice::from_ref(&set), out.path()).unwrap();
    assert_eq!(count, 4);
    let file = "train/part.csv";
    let copy = std::fs::read(out.path().join("conformance/split-dirs").join(file)).unwrap();
    assert_eq!(copy, std::fs::read(set.repository().join(file)).unwrap());
}
