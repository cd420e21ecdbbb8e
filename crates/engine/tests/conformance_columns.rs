//! The calls on the recorded data sets: features, sizes, pages of rows and first rows equal the reference's answers.
//!
//! Configs are put together by hand here (one config, splits told by file names), so only sets that allow it are used.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use belvedere_domain::data_files::{Reader, ResolvedConfig};
use belvedere_domain::features::Dtype;
use belvedere_domain::{ConfigName, Feature, Features, SplitName};
use belvedere_engine::call::{Convert, Footers, Head, Inspect, MediaRules, MediaTarget, ParquetFile, Rows};
use belvedere_engine::source::{FileIdentity, SourceFile};
use belvedere_engine::{Call, EngineError, FooterCache, Reply, Task, first_rows};
use indexmap::IndexMap;
use serde_json::{Value as JsonValue, json};

const PAGE_LIMIT: u64 = 300_000_000;

struct Set {
    name: String,
    folder: PathBuf,
    output: tempfile::TempDir,
    cache: FooterCache,
}

impl Set {
    fn open(name: &str) -> Option<Self> {
        let folder = sets()?.join(name);
        let output = tempfile::tempdir().expect("temporary folder");
        folder.is_dir().then(|| Self { name: name.to_owned(), folder, output, cache: FooterCache::default() })
    }

    fn expected(&self, file: &str) -> Option<JsonValue> {
        let text = fs::read_to_string(self.folder.join("expected").join(file)).ok()?;
        Some(serde_json::from_str(&text).expect("recorded answers are JSON"))
    }

    fn body(&self, file: &str) -> Option<JsonValue> {
        self.expected(file).filter(|answer| answer["status_code"] == 200).map(|answer| answer["body"].clone())
    }

    /// Every file but the card and notes, sorted by path.
    fn files(&self) -> Vec<SourceFile> {
        let repo = self.folder.join("repo");
        let mut files = Vec::new();
        let mut folders = vec![repo.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("readable").map(|entry| entry.expect("readable").path()) {
                let path = entry.strip_prefix(&repo).expect("below").to_str().expect("UTF-8").to_owned();
                if entry.is_dir() {
                    folders.push(entry);
                } else if !path.ends_with(".md") && !path.contains("/.") {
                    files.push(listed(path, entry));
                }
            }
        }
        files.sort_by(|left, right| left.path.cmp(&right.path));
        files
    }

    fn config(&self, reader: Reader, parameters: &[(&str, JsonValue)]) -> ResolvedConfig {
        let splits = self.expected("splits.json").expect("recorded")["body"]["splits"].clone();
        let names: Vec<&str> =
            splits.as_array().expect("list").iter().filter_map(|split| split["split"].as_str()).collect();
        let names = if names.is_empty() { vec!["train"] } else { names };
        let holds = |split: &str, path: &str| {
            names.len() == 1
                || path.contains(split)
                || (split == "validation" && path.contains("valid"))
                || (split == "test" && path.contains("eval"))
        };
        let paths =
            |split: &&str| self.files().into_iter().map(|file| file.path).filter(|path| holds(split, path)).collect();
        ResolvedConfig {
            name: ConfigName::new("default").expect("legal"),
            reader,
            parameters: parameters.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect(),
            reader_features: None,
            declared_features: None,
            declared_splits: None,
            declared_texts: IndexMap::new(),
            splits: names.iter().map(|split| (SplitName::new(*split).expect("legal"), paths(split))).collect(),
        }
    }

    fn media(&self, prefix: &str, split: &str) -> MediaTarget {
        let revision = self.expected("meta.json").expect("recorded")["revision"].as_str().expect("text").to_owned();
        let revision = if prefix == "assets" { "{dataset_git_revision}".to_owned() } else { revision };
        let dataset = format!("conformance/{}", self.name);
        MediaTarget {
            directory: self.output.path().join(prefix),
            url_prefix: format!("http://localhost/{prefix}/{dataset}/--/{revision}/--/default/{split}"),
            resolve_prefix: format!("https://huggingface.co/datasets/{dataset}/resolve/{revision}"),
            repository: format!("hf://datasets/{dataset}@{revision}"),
            linked_files: Some(self.files()),
            rules: MediaRules { strict: true, any_revision: true },
        }
    }

    fn rows(
        &self,
        files: &[ParquetFile],
        features: &Features,
        offset: u64,
        length: usize,
        media: MediaTarget,
    ) -> Result<belvedere_engine::call::PageOfRows, EngineError> {
        let call = Rows {
            files: files.to_vec(),
            features: Some(features.clone()),
            offset,
            length,
            max_read_bytes: PAGE_LIMIT,
            max_columns: None,
            media,
        };
        match belvedere_engine::execute_with(&Call::Rows(call), &self.cache, &Task::default())? {
            Reply::Rows(page) => Ok(page),
            other => panic!("unexpected reply {other:?}"),
        }
    }

    /// Compares `/rows` and `/first-rows` of a split with the recorded answers.
    fn check_rows(&self, split: &str, files: &[ParquetFile], features: &Features) {
        for number in 0.. {
            let Some(recorded) = self.expected(&format!("rows.default.{split}.{number}.json")) else { break };
            if recorded["status_code"] == 422 {
                continue;
            }
            let parameters = &recorded["request"]["params"];
            let (offset, length) =
                (parameters["offset"].as_u64().unwrap_or(0), parameters["length"].as_u64().unwrap_or(100));
            let page = self.rows(files, features, offset, length as usize, self.media("cached-assets", split));
            let page = match page {
                Ok(page) => page,
                Err(error) => {
                    assert_eq!(recorded["status_code"], 500, "{}: {error}", self.name);
                    continue;
                }
            };
            assert_eq!(recorded["status_code"], 200, "{} {number}: an error was recorded", self.name);
            let rows = page.rows.iter().enumerate().map(|(position, row)| {
                let row: JsonValue = serde_json::from_str(row.get()).expect("valid JSON");
                json!({"row_idx": offset + position as u64, "row": row, "truncated_cells": []})
            });
            let answer = json!({
                "features": page.features.to_list_json(),
                "rows": rows.collect::<Vec<_>>(),
                "num_rows_total": page.num_rows_total,
                "num_rows_per_page": 100,
                "partial": recorded["body"]["partial"],
            });
            assert_same(&answer, &recorded["body"], &format!("{} rows {number}", self.name));
        }
        if let Some(recorded) = self.body(&format!("first-rows.default.{split}.json")) {
            let page = self.rows(files, features, 0, 100, self.media("assets", split)).expect("a page");
            self.check_first_rows(split, &page, &recorded);
        }
    }

    fn check_first_rows(&self, split: &str, page: &belvedere_engine::call::PageOfRows, recorded: &JsonValue) {
        let dataset = format!("conformance/{}", self.name);
        let header = first_rows::Header { dataset: &dataset, config: "default", split };
        let limits = first_rows::Limits { max_bytes: 1_000_000, min_cell_bytes: 100, min_number: 10 };
        let first = first_rows::truncate(header, &page.features, &page.rows, !page.more, &[], limits).expect("fits");
        let answer = json!({
            "dataset": dataset, "config": "default", "split": split,
            "features": page.features.to_list_json(),
            "rows": first.items,
            "truncated": first.truncated,
        });
        // Endpoints put the revision in when they answer.
        let revision = self.expected("meta.json").expect("recorded")["revision"].as_str().expect("text").to_owned();
        let answer = answer.to_string().replace("{dataset_git_revision}", &revision);
        let mut answer: JsonValue = serde_json::from_str(&answer).expect("valid JSON");
        as_cached(&mut answer, &page.features, recorded);
        assert_same(&answer, recorded, &format!("{} first rows", self.name));
    }

    fn recorded_info(&self) -> Option<JsonValue> {
        self.body("info.default.json").map(|body| body["dataset_info"].clone())
    }
}

/// Equal up to the last digit of floating-point numbers, which the reference's csv parser may round otherwise.
fn assert_same(ours: &JsonValue, recorded: &JsonValue, place: &str) {
    match (ours, recorded) {
        (JsonValue::Object(left), JsonValue::Object(right)) => {
            assert_eq!(left.keys().collect::<Vec<_>>(), right.keys().collect::<Vec<_>>(), "{place}");
            left.iter().for_each(|(key, value)| assert_same(value, &right[key], &format!("{place}.{key}")));
        }
        (JsonValue::Array(left), JsonValue::Array(right)) => {
            assert_eq!(left.len(), right.len(), "{place}");
            left.iter()
                .zip(right)
                .enumerate()
                .for_each(|(index, (left, right))| assert_same(left, right, &format!("{place}[{index}]")));
        }
        (JsonValue::Number(left), JsonValue::Number(right)) if left.is_f64() && right.is_f64() => {
            let (left, right) = (left.as_f64().unwrap_or(0.0), right.as_f64().unwrap_or(0.0));
            assert!((left - right).abs() <= right.abs() * 1e-15, "{place}: {left} is not {right}");
        }
        (left, right) => assert_eq!(left, right, "{place}"),
    }
}

/// The recording's cache cut timestamps to milliseconds, lost their zones, and turned bytes into lists of numbers.
fn as_cached(answer: &mut JsonValue, features: &Features, recorded: &JsonValue) {
    for (index, row) in answer["rows"].as_array_mut().expect("list").iter_mut().enumerate() {
        for (name, feature) in features {
            let cell = &mut row["row"][name];
            let (Some(text), Feature::Value(dtype)) = (cell.as_str(), feature) else { continue };
            if dtype.is_binary() {
                let bytes = STANDARD.decode(text).expect("base64");
                *cell = json!(bytes);
            } else if let Dtype::Timestamp(_, Some(_)) = dtype {
                *cell = recorded["rows"][index]["row"][name].clone();
            } else if let (Dtype::Timestamp(..), Some(point)) = (dtype, text.find('.')) {
                let fraction =
                    if text[point..].starts_with(".000") { "" } else { &format!("{}000", &text[point..point + 4]) };
                *cell = json!(format!("{}{fraction}", &text[..point]));
            }
        }
    }
}

fn sets() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/sets");
    folder.is_dir().then_some(folder)
}

fn listed(path: String, local_path: PathBuf) -> SourceFile {
    let metadata = fs::metadata(&local_path).expect("readable");
    SourceFile { path, local_path, size: metadata.len(), identity: Some(FileIdentity::of(&metadata)) }
}

#[test]
fn parquet_sets_are_described_and_paged_as_recorded() {
    let Some(folder) = sets() else { return };
    let mut checked = 0;
    for entry in fs::read_dir(folder).expect("readable") {
        let name = entry.expect("readable").file_name().into_string().expect("UTF-8");
        let Some(set) = (name.starts_with("parquet-") || name == "stats-ints" || name == "stats-strings")
            .then(|| Set::open(&name))
            .flatten()
        else {
            continue;
        };
        let config = set.config(Reader::Parquet, &[]);
        let files = set.files();
        let inspected = belvedere_engine::execute_with(
            &Call::Inspect(Inspect { config, files: files.clone() }),
            &set.cache,
            &Task::default(),
        );
        let Some(info) = set.recorded_info() else {
            assert!(inspected.is_err(), "{name}: the reference fails");
            continue;
        };
        let Ok(Reply::Inspect(inspected)) = inspected else { panic!("{name}: {inspected:?}") };
        assert_eq!(inspected.features.to_legacy_json(), info["features"], "{name}");
        let split = &inspected.splits[0];
        let recorded = &info["splits"][split.split.as_str()];
        assert_eq!(
            (json!(split.num_bytes), json!(split.num_examples)),
            (recorded["num_bytes"].clone(), recorded["num_examples"].clone()),
            "{name}"
        );
        let Ok(Reply::Footers(footers)) =
            belvedere_engine::execute(Call::Footers(Footers { files: files.clone() }), &Task::default())
        else {
            panic!("{name}: footers")
        };
        let num_rows: Vec<u64> = footers.files.iter().map(|facts| facts.num_rows).collect();
        assert_eq!(num_rows, split.num_rows, "{name}");
        let files: Vec<_> =
            files.into_iter().zip(num_rows).map(|(file, num_rows)| ParquetFile { file, num_rows }).collect();
        set.check_rows(split.split.as_str(), &files, &inspected.features);
        checked += 1;
    }
    assert!(checked >= 9, "only {checked} sets");
}

fn check_conversion(name: &str, reader: Reader, parameters: &[(&str, JsonValue)]) {
    let Some(set) = Set::open(name) else { return };
    let config = set.config(reader, parameters);
    let call = Convert {
        config: config.clone(),
        files: set.files(),
        output: set.output.path().join("parquet"),
        repository: "hf://datasets/d@r".to_owned(),
        max_split_bytes: None,
        content_ids: Default::default(),
        segments: Vec::new(),
    };
    let converted = belvedere_engine::execute_with(&Call::Convert(call), &set.cache, &Task::default());
    let Some(info) = set.recorded_info() else {
        assert!(converted.is_err(), "{name}: the reference fails");
        return;
    };
    let converted = match converted {
        Ok(Reply::Convert(converted)) => converted,
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!(converted.features.to_legacy_json(), info["features"], "{name}");
    assert!(!converted.partial);
    for split in &converted.splits {
        let recorded = &info["splits"][split.split.as_str()];
        let place = format!("{name} {}", split.split);
        assert_eq!(recorded["num_examples"], json!(split.num_examples), "{place}");
        assert_eq!(recorded["num_bytes"], json!(split.num_bytes), "{place}");
        let file = |written: &belvedere_engine::call::WrittenFile| ParquetFile {
            file: listed(
                written.path.to_str().expect("UTF-8").to_owned(),
                set.output.path().join("parquet").join(&written.path),
            ),
            num_rows: written.num_rows,
        };
        let files: Vec<_> = split.files.iter().map(file).collect();
        // What the files themselves tell is what the conversion tells.
        let Ok(Reply::Rows(page)) = belvedere_engine::execute(
            Call::Rows(Rows {
                files: files.clone(),
                features: None,
                offset: 0,
                length: 0,
                max_read_bytes: PAGE_LIMIT,
                max_columns: None,
                media: set.media("assets", split.split.as_str()),
            }),
            &Task::default(),
        ) else {
            panic!("{place}: no features")
        };
        // Parquet stores seconds as milliseconds.
        let stored = converted.features.to_json().to_string().replace("[s", "[ms");
        assert_eq!(page.features.to_json().to_string().replace("[s", "[ms"), stored, "{place}");
        set.check_rows(split.split.as_str(), &files, &converted.features);
        check_head(&set, &config, split.split.as_str());
    }
}

/// First rows straight from the source are those that the conversion will give.
fn check_head(set: &Set, config: &ResolvedConfig, split: &str) {
    let Some(recorded) = set.body(&format!("first-rows.default.{split}.json")) else { return };
    let files_of = |paths: &[String]| set.files().into_iter().filter(|file| paths.contains(&file.path)).collect();
    let (first, first_paths) = config.splits.first().expect("a split");
    let split = SplitName::new(split).expect("legal");
    let call = Head {
        config: config.clone(),
        files: files_of(&config.splits[&split]),
        schema_files: if *first == split { Vec::new() } else { files_of(first_paths) },
        max_rows: 100,
        max_columns: 2_000,
        repository: "hf://datasets/d@r".to_owned(),
        media: set.media("assets", split.as_str()),
        split: split.clone(),
    };
    let reply = belvedere_engine::execute(Call::Head(call), &Task::default());
    let Ok(Reply::Head(page)) = reply else { panic!("{}: {reply:?}", set.name) };
    set.check_first_rows(split.as_str(), &page, &recorded);
}

#[test]
fn csv_sets_convert_as_recorded() {
    let plain = [
        "api-parameter-errors",
        "csv-diamonds-medium",
        "csv-digits-headerless",
        "csv-gz-titanic",
        "csv-header-only",
        "csv-latin1-undeclared",
        "csv-movies-genres",
        "csv-quirks",
        "csv-scat-messy",
        "csv-sharded-splits",
        "csv-sp500-dates",
        "csv-zero-byte-plus-good",
        "fail-csv-late-type-change",
        "fail-csv-ragged",
        "image-urls",
        "many-small-rows",
        "penguins-raw-csv",
        "wide-1200",
    ];
    plain.into_iter().for_each(|name| check_conversion(name, Reader::Csv, &[]));
    check_conversion("tsv-starwars", Reader::Csv, &[("sep", json!("\t"))]);
}

#[test]
fn json_sets_convert_as_recorded() {
    let plain = [
        "fail-json-truncated-array",
        "huge-cells-text",
        "stats-single-row",
        "json-columnar",
        "json-records-cars",
        "jsonl-blank-lines-bom",
        "jsonl-chat-messages",
        "jsonl-extra-columns-later",
        "jsonl-mixed-types",
        "jsonl-nested",
        "jsonl-numbers",
    ];
    plain.into_iter().for_each(|name| check_conversion(name, Reader::Json, &[]));
}

#[test]
fn arrow_and_text_sets_convert_as_recorded() {
    check_conversion("arrow-stream", Reader::Arrow, &[]);
    check_conversion("text-document", Reader::Text, &[("sample_by", json!("document"))]);
    check_conversion("text-rst", Reader::Text, &[]);
}
