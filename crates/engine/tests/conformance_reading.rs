//! Reads the files of the conformance sets and compares features, rows and bytes with the recorded answers.

#![expect(clippy::unwrap_used, reason = "a test program")]

use std::path::{Path, PathBuf};

use belvedere_domain::data_files::{Reader, ResolvedConfig};
use belvedere_domain::{ConfigName, Features, SplitName};
use belvedere_engine::read::{ConfigReader, ReadLimits};
use belvedere_engine::source::SourceFile;
use belvedere_engine::{EngineError, ErrorKind, nbytes};
use indexmap::IndexMap;
use serde_json::{Value as JsonValue, json};

fn folder(set: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/sets").join(set)
}

fn source(set: &str, path: &str) -> SourceFile {
    let local_path = folder(set).join("repo").join(path);
    let size = std::fs::metadata(&local_path).unwrap_or_else(|error| panic!("{set}/{path}: {error}")).len();
    SourceFile { path: path.into(), local_path, size, identity: None }
}

fn config(reader: Reader, splits: &[(&str, &[&str])]) -> ResolvedConfig {
    let split = |(name, paths): &(&str, &[&str])| {
        (SplitName::new(name).unwrap(), paths.iter().map(|path| (*path).to_owned()).collect())
    };
    ResolvedConfig {
        name: ConfigName::new("default").unwrap(),
        reader,
        parameters: IndexMap::new(),
        reader_features: None,
        declared_features: None,
        declared_splits: None,
        declared_texts: IndexMap::new(),
        splits: splits.iter().map(split).collect(),
    }
}

/// Features, and per split the name, bytes and rows.
type Outcome = (JsonValue, Vec<(String, u64, u64)>);

fn read(set: &str, config: &ResolvedConfig) -> Result<Outcome, EngineError> {
    let reader = ConfigReader::new(config.clone(), ReadLimits::default());
    let mut fitter = reader.fitter();
    let mut splits = Vec::new();
    for (split, paths) in &config.splits {
        let (mut bytes, mut rows) = (0, 0);
        for path in paths {
            let mut stream = reader.open(&source(set, path))?;
            while let Some(table) = stream.next_table()? {
                let table = fitter.fit(table).map_err(|error| error.in_file(path))?;
                bytes += nbytes::of_table(&table);
                rows += table.num_rows() as u64;
            }
            assert_eq!(stream.bytes_consumed(), source(set, path).size, "{set}/{path}");
        }
        splits.push((split.to_string(), bytes, rows));
    }
    Ok((fitter.features().map_or(JsonValue::Null, Features::to_json), splits))
}

fn expected(set: &str, config: &str) -> Outcome {
    let text = std::fs::read_to_string(folder(set).join("expected/info.json")).unwrap();
    let answer: JsonValue = serde_json::from_str(&text).unwrap();
    let info = &answer["body"]["dataset_info"][config];
    assert!(info.is_object(), "{set} has no answer for {config}: {answer}");
    let splits = info["splits"].as_object().unwrap().iter().map(|(name, split)| {
        (name.clone(), split["num_bytes"].as_u64().unwrap(), split["num_examples"].as_u64().unwrap())
    });
    (Features::from_json(&info["features"]).unwrap().to_json(), splits.collect())
}

/// Checks one config of a set.
fn check(set: &str, name: &str, config: ResolvedConfig) {
    let found = read(set, &config).unwrap_or_else(|error| panic!("{set}: {error}"));
    assert_eq!(found, expected(set, name), "{set}");
}

fn failure(set: &str, config: &ResolvedConfig) -> String {
    let error = read(set, config).expect_err(set);
    format!("{:?}: {error}", error.kind)
}

#[test]
fn csv_sets_match_the_recorded_infos() {
    for (set, path) in [
        ("csv-diamonds-medium", "diamonds.csv"),
        ("csv-digits-headerless", "digits.csv"),
        ("csv-gz-titanic", "titanic.csv.gz"),
        ("csv-header-only", "train.csv"),
        ("csv-mcu-films", "mcu.csv"),
        ("csv-movies-genres", "movies.csv"),
        ("csv-quirks", "data.csv"),
        ("csv-scat-messy", "scat.csv"),
        ("csv-sp500-dates", "sp500.csv"),
        ("many-small-rows", "data.csv"),
        ("wide-1200", "x.csv"),
        ("penguins-raw-csv", "penguins-raw.csv"),
    ] {
        check(set, "default", config(Reader::Csv, &[("train", &[path])]));
    }
    let mut tabs = config(Reader::Csv, &[("train", &["starwars.tsv"])]);
    tabs.parameters.insert("sep".into(), json!("\t"));
    check("tsv-starwars", "default", tabs);
    check("unicode-names", "naïve config (v1)", config(Reader::Csv, &[("train", &["donnees_francaises é.csv"])]));
}

#[test]
fn csv_sets_with_several_files_match_the_recorded_infos() {
    let dirs: [(&str, &[&str]); 3] =
        [("train", &["train/part.csv"]), ("validation", &["validation/part.csv"]), ("test", &["test/part.csv"])];
    check("split-dirs", "default", config(Reader::Csv, &dirs));
    let shards: [(&str, &[&str]); 3] = [
        ("train", &["data/train-00000-of-00002.csv", "data/train-00001-of-00002.csv"]),
        ("validation", &["data/validation-00000-of-00001.csv"]),
        ("test", &["data/test-00000-of-00001.csv"]),
    ];
    check("csv-sharded-splits", "default", config(Reader::Csv, &shards));
    let named: [(&str, &[&str]); 2] = [("2021.q1", &["a.csv"]), ("all_rows", &["a.csv", "b.csv"])];
    check("split-yaml-named", "default", config(Reader::Csv, &named));
    check("multi-config-yaml", "main_data", config(Reader::Csv, &[("train", &["main_data.csv"])]));
    let extra: [(&str, &[&str]); 2] = [("train", &["extra/a.csv", "extra/b.csv"]), ("held_out", &["extra_test.csv"])];
    check("multi-config-yaml", "extra", config(Reader::Csv, &extra));
    let by_dir: [(&str, &[&str]); 2] = [("train", &["sub/train/x.csv"]), ("test", &["sub/test/y.csv"])];
    check("multi-config-yaml", "by_dir", config(Reader::Csv, &by_dir));
    for number in 0..12 {
        let name = format!("c{number}");
        check("many-configs-12", &name, config(Reader::Csv, &[("train", &[&format!("{name}.csv")])]));
    }
}

#[test]
fn declared_features_match_the_recorded_infos() {
    let mut labels = config(Reader::Csv, &[("train", &["train.csv"])]);
    labels.declared_features = Some(
        Features::from_json(&json!({
            "label": {"names": ["red", "green", "blue"], "_type": "ClassLabel"},
            "text": {"dtype": "string", "_type": "Value"},
            "size": {"dtype": "int8", "_type": "Value"},
            "when": {"dtype": "timestamp[s]", "_type": "Value"},
        }))
        .unwrap(),
    );
    check("classlabel-yaml", "default", labels);
    let mut rich = config(Reader::Csv, &[("train", &["d.csv"])]);
    rich.declared_features = Some(
        Features::from_json(&json!({
            "t": {"dtype": "string", "_type": "Value"}, "v": {"dtype": "float64", "_type": "Value"},
        }))
        .unwrap(),
    );
    check("card-rich-metadata", "default", rich);
}

#[test]
fn text_sets_match_the_recorded_infos() {
    let mut documents = config(Reader::Text, &[("train", &["a.txt", "b.txt", "empty.txt"])]);
    documents.parameters.insert("sample_by".into(), json!("document"));
    check("text-document", "default", documents);
    check("text-rst", "default", config(Reader::Text, &[("train", &["iris.txt", "wine.txt"])]));
    let mixed: [(&str, &[&str]); 3] = [
        ("train", &["data/sentences-train.txt"]),
        ("validation", &["data/sentences_val.txt"]),
        ("test", &["data/TEST.txt", "data/testing 2.txt"]),
    ];
    let (features, splits) = read("split-keywords-mixed", &config(Reader::Text, &mixed[..2])).unwrap();
    let recorded = expected("split-keywords-mixed", "default");
    assert_eq!((features, &splits[..]), (recorded.0, &recorded.1[..2]));
}

#[test]
fn json_sets_match_the_recorded_infos() {
    for (set, path) in [
        ("json-columnar", "data.json"),
        ("json-records-cars", "cars.json"),
        ("jsonl-blank-lines-bom", "data.jsonl"),
        ("jsonl-mixed-types", "data.jsonl"),
        ("jsonl-nested", "data.jsonl"),
        ("jsonl-numbers", "data.jsonl"),
        ("stats-single-row", "d.jsonl"),
        ("huge-cells-text", "train.jsonl"),
    ] {
        check(set, "default", config(Reader::Json, &[("train", &[path])]));
    }
    let chats: [(&str, &[&str]); 2] = [("train", &["train.jsonl"]), ("test", &["test.jsonl"])];
    check("jsonl-chat-messages", "default", config(Reader::Json, &chats));
}

#[test]
fn arrow_sets_match_the_recorded_infos() {
    check("arrow-stream", "default", config(Reader::Arrow, &[("train", &["data-00000-of-00001.arrow"])]));
}

#[test]
fn json_sets_that_fail_in_the_reference_fail_with_a_reason() {
    let of = |paths| config(Reader::Json, &[("train", paths)]);
    insta::assert_snapshot!(failure("jsonl-extra-columns-later", &of(&["a.jsonl", "b.jsonl"])), @r#"Incompatible: b.jsonl, column "y": this column is not among those of the split: "x""#);
    insta::assert_snapshot!(failure("jsonl-list-of-scalars", &of(&["data.jsonl"])), @"Unreadable: data.jsonl, line 1: invalid JSON: expected an object: every line must hold one; correct it there, or write the file again");
    insta::assert_snapshot!(failure("fail-json-truncated-array", &of(&["data.json"])), @"Unreadable: data.json, line 1: the file ends inside the JSON value that starts here; if it was cut off, upload it again");
}

#[test]
fn sets_that_fail_in_the_reference_fail_with_a_reason() {
    let one = |path| config(Reader::Csv, &[("train", &[path])]);
    insta::assert_snapshot!(failure("fail-csv-ragged", &one("data.csv")), @"Unreadable: data.csv, line 3: expected 2 fields, found 3; quote fields that hold the separator, or skip such lines with `on_bad_lines: skip`");
    insta::assert_snapshot!(failure("fail-csv-late-type-change", &one("data.csv")), @r#"Incompatible: data.csv, column "v": string to int64: cannot cast string 'word0' to value of Int64 type"#);
    insta::assert_snapshot!(failure("csv-latin1-undeclared", &one("villes.csv")), @"Unreadable: villes.csv, line 2: from byte 2 (0xFC) of this line on, the text is not valid in UTF-8; store it in UTF-8, or name its encoding with the parameter `encoding`, as in `encoding: latin-1`");
    let both: [(&str, &[&str]); 2] = [("train", &["train.csv"]), ("test", &["test.csv"])];
    insta::assert_snapshot!(failure("csv-zero-byte-plus-good", &config(Reader::Csv, &both)), @"Unreadable: test.csv: the file is empty: it has no header and no row; fill it, or leave it out");
    let mut declared = one("data.csv");
    declared.declared_features = Some(
        Features::from_json(&json!({
            "a": {"dtype": "int64", "_type": "Value"}, "b": {"dtype": "int64", "_type": "Value"},
        }))
        .unwrap(),
    );
    insta::assert_snapshot!(failure("fail-features-cast", &declared), @r#"Incompatible: data.csv, column "b": string to int64: cannot cast string 'x' to value of Int64 type"#);
    let error = read("fail-csv-ragged", &one("data.csv")).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreadable);
}
