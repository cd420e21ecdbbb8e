//! The measured examples of the reference, and the rows of its tables.

use std::io;
use std::ops::Range;

use belvedere_domain::{FileEntry, Manifest};

use super::*;
use crate::card::CardFiles;

fn manifest(paths: &[&str]) -> Manifest {
    let file = |path: &&str| FileEntry { path: (*path).to_owned(), size: 1, content_id: String::new() };
    Manifest::new(paths.iter().map(file).collect())
}

fn resolve_with(paths: &[&str], yaml: &str) -> Result<Resolution, ResolveError> {
    let readme = format!("---\n{yaml}\n---\n").into_bytes();
    let card = Card::parse(CardFiles { readme: Some(readme), ..CardFiles::default() }).expect("a valid card");
    let none = |_: &str, _: Range<u64>| -> io::Result<Vec<u8>> { unreachable!("no archive here") };
    resolve(RevisionFiles { manifest: &manifest(paths), read: &none }, &card, "birds")
}

/// `train: a.csv b.csv | test: c.csv`, or the error.
fn found(paths: &[&str]) -> String {
    match resolve_with(paths, "") {
        Ok(resolution) => {
            assert_eq!(resolution.configs.len(), 1);
            assert_eq!(resolution.default.as_ref().map(ConfigName::as_str), Some("default"));
            shown(&resolution, "default")
        }
        Err(error) => error.code.to_string(),
    }
}

fn shown(resolution: &Resolution, config: &str) -> String {
    match &resolution.config(config).expect("the config exists").files {
        Ok(config) => {
            let split = |(split, paths): (&SplitName, &Vec<String>)| format!("{split}: {}", paths.join(" "));
            config.splits.iter().map(split).collect::<Vec<_>>().join(" | ")
        }
        Err(error) => error.code.to_string(),
    }
}

fn failure(paths: &[&str], yaml: &str) -> (ErrorCode, String) {
    let error = resolve_with(paths, yaml).expect_err("cannot be resolved");
    (error.code, error.message)
}

#[test]
fn splits_are_found_by_names_as_measured() {
    for (paths, expected) in [
        (&["a.csv"][..], "train: a.csv"),
        (&["train.csv", "test.csv"], "train: train.csv | test: test.csv"),
        (
            &["train_1.csv", "train_2.csv", "my-test-x.csv", "other.csv"],
            "train: train_1.csv train_2.csv | test: my-test-x.csv",
        ),
        (&["train1.csv", "test2.csv", "dev3.csv"], "train: train1.csv | validation: dev3.csv | test: test2.csv"),
        (
            &["mytrain.csv", "retrain.csv", "latest.csv", "TRAIN.csv"],
            "train: TRAIN.csv latest.csv mytrain.csv retrain.csv",
        ),
        (&["train/a.csv", "test/b.csv", "extra.csv"], "train: train/a.csv | test: test/b.csv"),
        (&["train/a.csv", "test.csv"], "train: train/a.csv"),
        (&["en/train.csv", "fr/train.csv", "fr/test.csv"], "train: en/train.csv fr/train.csv | test: fr/test.csv"),
        (&["train-other/x.csv", "test_a/b.csv"], "train: train-other/x.csv | test: test_a/b.csv"),
        (
            &[
                "data/train-00000-of-00002.parquet",
                "data/train-00001-of-00002.parquet",
                "data/foo-00000-of-00001.parquet",
                "x.csv",
            ],
            "train: data/train-00000-of-00002.parquet data/train-00001-of-00002.parquet | foo: data/foo-00000-of-00001.parquet",
        ),
        (&["train-00000-of-00001.parquet", "foo-00000-of-00001.parquet"], "train: train-00000-of-00001.parquet"),
        (&["train-test.csv"], "train: train-test.csv | test: train-test.csv"),
        (&["notes.md", "a.csv"], "train: a.csv"),
    ] {
        assert_eq!(found(paths), expected, "{paths:?}");
    }
}

#[test]
fn where_the_reference_stumbles_we_do_not() {
    assert_eq!(found(&["test-eval.csv"]), "test: test-eval.csv", "read once, not twice");
    assert_eq!(found(&["train.bak", "data.csv"]), "train: data.csv", "levels are judged by data files alone");
}

#[test]
fn a_file_votes_as_often_as_patterns_match_it() {
    assert_eq!(found(&["test/b.json", "test/testing/a.csv"]), "test: test/testing/a.csv");
}

#[test]
fn archives_are_data_files_of_the_format_within() {
    assert_eq!(found(&["a.csv.zip", "b.csv"]), "train: a.csv.zip b.csv");
}

#[test]
fn sharded_splits_have_any_name_and_a_fixed_order() {
    assert_eq!(
        found(&[
            "data/test-00000-of-00001.csv",
            "data/b.x-00000-of-00001.csv",
            "data/a-00000-of-00001-hash.csv",
            "data/validation-00000-of-00001.csv",
            "data/été-00000-of-00001.csv",
            "data/train-00000-of-00001.csv.gz",
        ]),
        "train: data/train-00000-of-00001.csv.gz | validation: data/validation-00000-of-00001.csv | \
         test: data/test-00000-of-00001.csv | a: data/a-00000-of-00001-hash.csv | b.x: data/b.x-00000-of-00001.csv | \
         été: data/été-00000-of-00001.csv",
    );
    for bad in ["data/bad-name-00000-of-00001.csv", "data/all-00000-of-00001.csv", "data/-00000-of-00001.csv"] {
        let (code, message) = failure(&[bad], "");
        assert_eq!(code, ErrorCode::ConfigNamesError, "{bad}");
        assert!(message.starts_with(bad), "{message}");
    }
    assert_eq!(found(&["data/foo-0000-of-0001.csv"]), "train: data/foo-0000-of-0001.csv", "four digits are no shard");
    assert_eq!(
        found(&["x/data/foo-00000-of-00001.csv"]),
        "train: x/data/foo-00000-of-00001.csv",
        "not directly in data/"
    );
}

#[test]
fn files_of_a_split_come_keyword_by_keyword() {
    assert_eq!(
        found(&["val.csv", "valid_0.csv", "validation.csv", "dev.csv"]),
        "validation: validation.csv valid_0.csv dev.csv val.csv"
    );
    assert_eq!(found(&["training.csv", "a train.csv", "train.csv"]), "train: train.csv a train.csv training.csv");
    assert_eq!(found(&["evaluation.csv", "eval.csv", "testing 2.csv"]), "test: testing 2.csv eval.csv evaluation.csv");
}

#[test]
fn folder_names_have_four_forms() {
    for folder in ["train", "train-x", "x_train", "x.train 1"] {
        assert_eq!(found(&[&format!("d/{folder}/e/a.csv"), "b.csv"]), format!("train: d/{folder}/e/a.csv"), "{folder}");
    }
    assert_eq!(found(&["trains/a.csv"]), "train: trains/a.csv", "by the last level, as any file");
}

#[test]
fn logs_and_tasks_win_over_names_but_are_not_supported_yet() {
    let (code, message) = failure(&["a.eval", "train.csv"], "");
    assert_eq!(code, ErrorCode::DataFilesNotFoundError);
    assert!(message.contains("`eval`, which is not supported yet"), "{message}");
    let (code, message) = failure(&["t/task.toml", "t/instruction.md", "t/a.csv"], "");
    assert_eq!(code, ErrorCode::DataFilesNotFoundError);
    assert!(message.contains("`harbor`"), "{message}");
    assert_eq!(found(&["instruction.md", "a.csv"]), "train: a.csv");
}

#[test]
fn without_configs_only_files_of_the_format_are_kept() {
    assert_eq!(found(&["a.csv", "b.csv", "c.tsv", "d.json", "e.txt"]), "train: a.csv b.csv c.tsv");
}

#[test]
fn repositories_without_data_say_which_kind_of_nothing() {
    for paths in [&[][..], &["README.md"], &[".gitattributes", "README.md"], &["__pycache__/a.csv"]] {
        assert_eq!(found(paths), "EmptyDatasetError", "{paths:?}");
    }
    for paths in [&["data.xyz", "model.bin"][..], &["a.CSV"], &["notes.md"]] {
        assert_eq!(found(paths), "DataFilesNotFoundError", "{paths:?}");
    }
}

#[test]
fn splits_of_different_formats_are_refused() {
    let (code, message) = failure(&["train.csv", "test.json"], "");
    assert_eq!(code, ErrorCode::FileFormatMismatchBetweenSplitsError);
    assert_eq!(message, "all splits must have the same format, but `train` is `csv` and `test` is `json`");
    let (code, message) = failure(&["train.csv", "test.tsv"], "");
    assert_eq!(code, ErrorCode::FileFormatMismatchBetweenSplitsError);
    assert!(message.ends_with("`test` is `csv` with sep \"\\t\""), "{message}");
}

#[test]
fn a_loading_script_is_refused() {
    let (code, message) = failure(&["birds.py", "data.csv"], "");
    assert_eq!(code, ErrorCode::DatasetWithScriptNotSupportedError);
    assert!(message.starts_with("birds.py is a loading script"), "{message}");
    assert_eq!(found(&["other.py", "d/birds.py", "data.csv"]), "train: data.csv");
}

#[test]
fn tab_separated_files_imply_their_separator() {
    let resolution = resolve_with(&["a.tsv"], "").expect("resolved");
    let config = resolution.configs[0].files.as_ref().expect("readable");
    assert_eq!(config.parameters["sep"], "\t");
    let resolution =
        resolve_with(&["a.tsv"], "configs: [{config_name: a, data_files: a.tsv, sep: x, n: 1}]").expect("resolved");
    let config = resolution.configs[0].files.as_ref().expect("readable");
    assert_eq!(serde_json::to_string(&config.parameters).expect("JSON"), r#"{"sep":"x","n":1}"#);
}

const THREE: &str = "configs:
- config_name: en
  data_files: en/*.csv
  default: true
- config_name: fr
  data_dir: fr
  sep: ';'
- config_name: both
  data_files:
  - {split: train, path: [fr/train*.csv, en/train*.csv]}
  - {split: test, path: '*/test.csv'}
";

#[test]
fn configs_are_listed_default_first_then_by_name() {
    let paths = ["en/train.csv", "en/test.csv", "fr/train.csv", "fr/test.csv"];
    let resolution = resolve_with(&paths, THREE).expect("resolved");
    let names: Vec<_> = resolution.configs.iter().map(|config| config.name.as_str()).collect();
    assert_eq!(names, ["en", "both", "fr"]);
    assert_eq!(resolution.default.as_ref().map(ConfigName::as_str), Some("en"));
    assert_eq!(shown(&resolution, "en"), "train: en/test.csv en/train.csv");
    assert_eq!(shown(&resolution, "fr"), "train: fr/train.csv | test: fr/test.csv");
    assert_eq!(shown(&resolution, "both"), "train: fr/train.csv en/train.csv | test: en/test.csv fr/test.csv");
}

#[test]
fn split_order_is_the_order_of_the_card() {
    let resolution = resolve_with(
        &["a.csv", "b.csv"],
        "configs: [{config_name: c, data_files: [{split: test, path: b.csv}, {split: train, path: a.csv}]}]",
    )
    .expect("resolved");
    assert_eq!(shown(&resolution, "c"), "test: b.csv | train: a.csv");
}

#[test]
fn patterns_of_a_config_are_concatenated_without_repeating_files() {
    let resolution = resolve_with(&["a.csv", "b.csv"], "configs: [{config_name: c, data_files: [b.csv, '*.csv']}]")
        .expect("resolved");
    assert_eq!(shown(&resolution, "c"), "train: b.csv a.csv");
}

#[test]
fn data_files_are_relative_to_data_dir() {
    let resolution =
        resolve_with(&["d/a.csv", "a.csv"], "configs: [{config_name: c, data_dir: d, data_files: '*.csv'}]")
            .expect("resolved");
    assert_eq!(shown(&resolution, "c"), "train: d/a.csv");
}

#[test]
fn files_of_a_config_are_not_filtered_by_its_format() {
    let yaml = "configs: [{config_name: c, data_files: 'd/*'}]";
    let resolution = resolve_with(&["d/a.csv", "d/b.csv", "d/c.json", "d/notes.md"], yaml).expect("resolved");
    assert_eq!(shown(&resolution, "c"), "train: d/a.csv d/b.csv d/c.json");
}

#[test]
fn the_format_of_the_first_config_holds_for_all() {
    let yaml = "configs: [{config_name: z, data_files: a.json}, {config_name: b, data_files: b.csv}]";
    let resolution = resolve_with(&["a.json", "b.csv"], yaml).expect("resolved");
    for config in &resolution.configs {
        assert_eq!(config.files.as_ref().map(|config| config.reader), Ok(Reader::Json));
    }
}

#[test]
fn defaults_must_be_unique() {
    let paths = ["a.csv"];
    let one = |yaml: &str| resolve_with(&paths, yaml).expect("resolved").default.map(|name| name.to_string());
    assert_eq!(one("configs: [{config_name: a}]").as_deref(), Some("a"));
    assert_eq!(one("configs: [{config_name: a}, {config_name: default}]").as_deref(), Some("default"));
    assert_eq!(one("configs: [{config_name: a}, {config_name: b, default: yes}]").as_deref(), Some("b"));
    assert_eq!(one("configs: [{config_name: b}, {config_name: a}]"), None);
    for yaml in [
        "configs: [{config_name: a, default: true}, {config_name: b, default: true}]",
        "configs: [{config_name: default}, {config_name: b, default: true}]",
    ] {
        let (code, message) = failure(&paths, yaml);
        assert_eq!(code, ErrorCode::ConfigNamesError);
        assert!(message.contains("two default configs"), "{message}");
    }
}

#[test]
fn mistakes_in_the_first_config_fail_the_listing() {
    let told = |data_files: &str| {
        let (code, message) =
            failure(&["a.csv", "d/b.csv", "c.xyz"], &format!("configs:\n- config_name: c\n  data_files: {data_files}"));
        format!("{code}: {message}")
    };
    let all = [
        "nowhere.csv",
        "d",
        "d/",
        "c.xyz",
        "https://example.com/a.csv",
        "/etc/*.csv",
        "../*.csv",
        "'**.csv'",
        "nowhere/*.csv",
        "[]",
    ];
    insta::assert_snapshot!(all.map(told).join("\n"), @r"
    ConfigNamesError: `data_files` of config `c` (line 3), split `train`: `nowhere.csv` does not exist
    ConfigNamesError: `data_files` of config `c` (line 3), split `train`: `d` is a folder; write `d/**` for the files in it
    ConfigNamesError: `data_files` of config `c` (line 3), split `train`: `d/` is a folder; write `d/**` for the files in it
    ConfigNamesError: `data_files` of config `c` (line 3), split `train`: `c.xyz` has no suffix that tells its format
    ConfigNamesError: `data_files` of config `c` (line 3), split `train`: `https://example.com/a.csv` is a URL, but data files must lie in the repository itself
    ConfigNamesError: `data_files` of config `c` (line 3), split `train`: `/etc/*.csv` is an absolute path, but data files must lie in the repository itself
    ConfigNamesError: `data_files` of config `c` (line 3), split `train`: `../*.csv` leads out of the repository
    ConfigNamesError: `data_files` of config `c` (line 3), split `train`: `**.csv` has `**` beside other characters; write `**/*.csv` for every depth
    DataFilesNotFoundError: no file matches `data_files` of config `c` (line 3): `nowhere/*.csv`
    DataFilesNotFoundError: no file matches `data_files` of config `c` (line 3): the list is empty
    ");
    let (code, _) = failure(
        &["a.csv"],
        "configs: [{config_name: c, data_files: [{split: train, path: a.csv}, {split: test, path: 'x/*'}]}]",
    );
    assert_eq!(code, ErrorCode::FileFormatMismatchBetweenSplitsError);
}

#[test]
fn mistakes_in_a_later_config_stay_with_it() {
    let yaml = "configs:
- {config_name: a, data_files: a.csv}
- {config_name: b, data_files: nowhere.csv}
- {config_name: c, data_files: [{split: x, path: 'nowhere/*'}]}
- {config_name: d, data_dir: nowhere}
- {config_name: e, data_files: 'https://example.com/a.csv'}
- {config_name: f, data_files: 'nowhere/*', features: [{name: x, dtype: string}]}
";
    let resolution = resolve_with(&["a.csv"], yaml).expect("resolved");
    let told: Vec<String> = resolution
        .configs
        .iter()
        .map(|config| {
            let splits: Vec<_> = config.split_names.iter().map(SplitName::as_str).collect();
            let files = match &config.files {
                Ok(_) => shown(&resolution, config.name.as_str()),
                Err(error) => format!("{}: {error}", error.code),
            };
            format!("{} [{}] {files}", config.name, splits.join(" "))
        })
        .collect();
    insta::assert_snapshot!(told.join("\n").trim_end(), @r"
    a [train] train: a.csv
    b [train] DataFilesNotFoundError: `data_files` of config `b` (line 4), split `train`: `nowhere.csv` does not exist
    c [x] DatasetGenerationError: no file matches `data_files` of config `c` (line 5): `nowhere/*`
    d [] EmptyDatasetError: config `d` (line 6): the folder nowhere has no data file
    e [train] DataFilesNotFoundError: `data_files` of config `e` (line 7), split `train`: `https://example.com/a.csv` is a URL, but data files must lie in the repository itself
    f [train] train:
    ");
}

#[test]
fn a_single_config_with_an_empty_folder_fails_the_listing() {
    assert_eq!(failure(&["a.csv"], "configs: [{config_name: c, data_dir: nowhere}]").0, ErrorCode::EmptyDatasetError);
}

#[test]
fn declarations_go_to_their_config_and_unknown_names_are_ignored() {
    let yaml = "dataset_info:
- config_name: b
  description: about b
  features: [{name: x, dtype: string}]
  splits: [{name: dev}, {name: train}]
- config_name: nobody
configs: [{config_name: a, data_files: a.csv, features: [{name: y, dtype: int8}]}, {config_name: b, data_files: a.csv}]
";
    let resolution = resolve_with(&["a.csv"], yaml).expect("resolved");
    let a = resolution.config("a").and_then(|config| config.files.as_ref().ok()).expect("readable");
    assert!(a.reader_features.is_some() && a.declared_features.is_none() && !a.parameters.contains_key("features"));
    let b = resolution.config("b").expect("listed");
    assert_eq!(b.split_names.iter().map(SplitName::as_str).collect::<Vec<_>>(), ["dev", "train"]);
    let b = b.files.as_ref().expect("readable");
    assert!(b.declared_features.is_some() && b.reader_features.is_none());
    assert_eq!(b.declared_texts["description"], "about b");
    assert_eq!(b.splits.keys().map(SplitName::as_str).collect::<Vec<_>>(), ["train"]);
}

#[test]
fn without_configs_declarations_of_other_names_do_not_rename_the_default() {
    let resolution = resolve_with(&["a.csv"], "dataset_info: {config_name: x, features: [{name: a, dtype: string}]}")
        .expect("resolved");
    assert_eq!(resolution.configs[0].name.as_str(), "default");
    assert_eq!(resolution.configs[0].files.as_ref().map(|config| config.declared_features.is_some()), Ok(false));
}

#[test]
fn a_mistake_in_declared_features_fails_the_listing() {
    let (code, message) = failure(&["a.csv"], "dataset_info:\n  features:\n  - {name: a, dtype: strnig}");
    assert_eq!(code, ErrorCode::ConfigNamesError);
    assert!(message.starts_with("README.md, line 4, key `dataset_info.features.a.dtype`"), "{message}");
}

/// `birds: train: a.sqlite` for every config of some SQLite files, each with its tables.
fn tables(files: &[(&str, &[(&str, &str)])]) -> Vec<String> {
    let contents: Vec<_> = files.iter().map(|(path, rows)| (*path, crate::sqlite::tests::schema_of(rows))).collect();
    let entry = |(path, content): &(&str, Vec<u8>)| FileEntry {
        path: (*path).to_owned(),
        size: content.len() as u64,
        content_id: String::new(),
    };
    let manifest = Manifest::new(contents.iter().map(entry).collect());
    let read = |path: &str, range: Range<u64>| -> io::Result<Vec<u8>> {
        let (_, content) = contents.iter().find(|(name, _)| *name == path).expect("listed");
        let position = |at: u64| usize::try_from(at).expect("small");
        Ok(content[position(range.start)..position(range.end)].to_vec())
    };
    let card = Card::parse(CardFiles::default()).expect("no card");
    let resolution = resolve(RevisionFiles { manifest: &manifest, read: &read }, &card, "birds").expect("resolved");
    let config = |config: &ConfigFiles| format!("{}: {}", config.name, shown(&resolution, config.name.as_str()));
    resolution.configs.iter().map(config).collect()
}

#[test]
fn a_database_of_several_tables_has_a_config_for_each() {
    let one: &[(&str, &str)] = &[("table", "birds")];
    let two: &[(&str, &str)] = &[("table", "birds"), ("table", "a/b")];
    assert_eq!(tables(&[("a.sqlite", one)]), ["default: train: a.sqlite"]);
    assert_eq!(
        tables(&[("train.db", two), ("test.db", one)]),
        ["a_b: train: train.db", "birds: train: train.db | test: test.db"]
    );
}

#[test]
fn databases_and_workbooks_count_where_nothing_else_is() {
    let sheet = resolve_with(&["a.xlsx", "notes.md"], "").expect("resolved");
    assert_eq!(shown(&sheet, "default"), "train: a.xlsx");
    let table = resolve_with(&["train.xlsx", "a.csv"], "").expect("resolved");
    assert_eq!(shown(&table, "default"), "train: a.csv");
    let named = resolve_with(&["a.xlsx", "licence.txt"], "configs: [{config_name: c, data_files: a.xlsx}]");
    assert_eq!(shown(&named.expect("resolved"), "c"), "train: a.xlsx");
}
