use belvedere_domain::Features;

use super::*;

fn card(readme: &str) -> Card {
    parse(readme).expect("a valid card")
}

fn parse(readme: &str) -> Result<Card, CardError> {
    Card::parse(CardFiles { readme: Some(readme.as_bytes().to_vec()), ..CardFiles::default() })
}

fn configs_error(yaml: &str) -> String {
    card(&format!("---\n{yaml}\n---\n")).configs().expect_err("invalid configs").to_string()
}

fn configs(yaml: &str) -> Vec<CardConfig> {
    card(&format!("---\n{yaml}\n---\n")).configs().expect("valid configs")
}

fn splits(data_files: &str) -> Vec<(String, Vec<String>)> {
    let config = configs(&format!("configs:\n- config_name: c\n  data_files: {data_files}")).remove(0);
    let splits = config.data_files.expect("data_files are given");
    splits.into_iter().map(|(split, patterns)| (split.to_string(), patterns)).collect()
}

#[test]
fn front_matter_is_the_block_between_two_fences_at_the_start() {
    assert_eq!(card("---\nlanguage: fr\n---\n# Title\n").languages(), ["fr"]);
    assert_eq!(card("\n \n---\r\nlanguage: fr\r\n--- \r\ntext").languages(), ["fr"]);
    assert_eq!(card("\u{feff}---\nlanguage: fr\n---").languages(), ["fr"]);
    for without in
        ["", "# Title\n---\nlanguage: fr\n---\n", "---\nlanguage: fr\n", "----\nlanguage: fr\n---\n", "---\n---\n"]
    {
        assert_eq!(card(without), Card::default(), "{without:?}");
    }
}

/// e103 | the front matter of a card does not end within 10 MB | it is refused, and no more of it is read
#[test]
fn e103_a_front_matter_without_end_in_a_huge_file_is_an_error() {
    let mut readme = b"---\n".to_vec();
    readme.resize(usize::try_from(MAX_CARD_BYTES).expect("fits"), b'#');
    let error = Card::parse(CardFiles { readme: Some(readme), ..CardFiles::default() }).expect_err("too large");
    insta::assert_snapshot!(error, @"README.md: the front matter does not end within the first 10 MB");
}

#[test]
fn descriptive_keys_are_texts_or_lists() {
    let card = card("---\nlanguage: [en, no]\ntags:\n- a\n- 2\nlicense: mit\nviewer: false\n---\n");
    assert_eq!(card.languages(), ["en", "False"], "an unquoted `no` is a boolean in YAML 1.1");
    assert_eq!(card.tags(), ["a", "2"]);
    assert_eq!(card.texts("license"), ["mit"]);
    assert!(!card.viewer());
}

#[test]
fn only_an_unquoted_false_turns_the_viewer_off() {
    for (value, viewer) in
        [("false", false), ("off", false), ("no", false), ("'false'", true), ("true", true), ("0", true)]
    {
        assert_eq!(card(&format!("---\nviewer: {value}\n---\n")).viewer(), viewer, "{value}");
    }
    assert!(Card::default().viewer());
}

#[test]
fn overrides_replace_whole_keys() {
    let card = Card::parse(CardFiles {
        readme: Some(b"---\ntags: [a]\nlanguage: en\n---\n".to_vec()),
        overrides: Some(b"tags: [b]\nviewer: false\n".to_vec()),
        dataset_infos: None,
    })
    .expect("a valid card");
    assert_eq!((card.tags(), card.languages(), card.viewer()), (vec!["b".to_owned()], vec!["en".to_owned()], false));
}

#[test]
fn data_files_have_four_forms() {
    let one = |split: &str, patterns: &[&str]| (split.to_owned(), patterns.iter().map(|p| (*p).to_owned()).collect());
    assert_eq!(splits("en/*.csv"), [one("train", &["en/*.csv"])]);
    assert_eq!(splits("[a.csv, b.csv]"), [one("train", &["a.csv", "b.csv"])]);
    assert_eq!(
        splits("[{split: test, path: '*/test.csv'}, {split: train, path: [a.csv, b.csv]}]"),
        [one("test", &["*/test.csv"]), one("train", &["a.csv", "b.csv"])],
    );
    assert_eq!(configs("configs:\n- config_name: c\n  data_files:")[0].data_files, None);
}

#[test]
fn other_keys_are_parameters_of_the_reader() {
    let config = configs("configs:\n- {config_name: c, data_dir: fr, default: yes, version: 1.0.0, sep: ';', header: null, chunksize: 5}")
        .remove(0);
    assert_eq!((config.data_dir.as_deref(), config.is_default), (Some("fr"), true));
    let parameters = serde_json::to_string(&config.parameters).expect("JSON");
    assert_eq!(parameters, r#"{"sep":";","header":null,"chunksize":5}"#);
}

#[test]
fn the_last_of_two_configs_with_one_name_wins() {
    let configs =
        configs("configs:\n- {config_name: a, data_dir: x}\n- {config_name: b}\n- {config_name: a, data_dir: y}");
    let names: Vec<_> = configs.iter().map(|config| (config.name.as_str(), config.data_dir.as_deref())).collect();
    assert_eq!(names, [("a", Some("y")), ("b", None)]);
}

#[test]
fn an_empty_configs_key_is_none_at_all() {
    for value in ["", "[]", "{}", "''", "false"] {
        assert_eq!(configs(&format!("configs: {value}")), [], "{value}");
    }
}

#[test]
fn mistakes_in_configs_are_told_with_line_and_key() {
    let told: Vec<String> = [
        "configs: en",
        "configs:\n- data_dir: x",
        "configs:\n- config_name: 2020",
        "configs:\n- config_name: on",
        "configs:\n- config_name: a\n- config_name: a/b",
        "configs:\n- config_name: a\n  data_files: 5",
        "configs:\n- config_name: a\n  data_files:\n  - split: 1\n    path: x",
        "configs:\n- config_name: a\n  data_files:\n  - split: a-b\n    path: x",
        "configs:\n- config_name: a\n  data_files:\n  - {split: a, path: x, sep: y}",
        "configs:\n- config_name: a\n  data_files:\n  - x.csv\n  - {split: a, path: x}",
        "configs:\n- config_name: a\n  data_files:\n  - {split: a, path: x}\n  - {split: a, path: y}",
        "configs:\n- config_name: a\n  features:\n  - name: x\n    dtype: str",
    ]
    .iter()
    .map(|yaml| configs_error(yaml))
    .collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    README.md, line 2, key `configs`: expected a list of configs, found text
    README.md, line 3, key `configs[0]`: `config_name` is missing
    README.md, line 3, key `configs[0].config_name`: expected text, found a number (write it in quotes if it is meant as text)
    README.md, line 3, key `configs[0].config_name`: expected text, found a yes/no value (write it in quotes if it is meant as text)
    README.md, line 4, key `configs[1].config_name`: `a/b` is not a config name: it must not be empty nor contain any of < > : / \ | ? *
    README.md, line 4, key `configs[0].data_files`: found a number (write it in quotes if it is meant as text); expected a pattern, a list of patterns, or a list of entries with exactly `split` and `path`
    README.md, line 5, key `configs[0].data_files`: a split name must be text, found a number (write it in quotes if it is meant as text)
    README.md, line 5, key `configs[0].data_files`: `a-b` is not a split name: expected words of letters, digits and `_`, joined by `.`, and not `all`
    README.md, line 5, key `configs[0].data_files`: found other keys; expected a pattern, a list of patterns, or a list of entries with exactly `split` and `path`
    README.md, line 5, key `configs[0].data_files`: found text; expected a pattern, a list of patterns, or a list of entries with exactly `split` and `path`
    README.md, line 6, key `configs[0].data_files`: the split `a` is listed twice
    README.md, line 6, key `configs[0].features.x.dtype`: `str` is not a scalar type; examples: int64, float32, string, bool, timestamp[us], decimal128(10, 2)
    ");
}

#[test]
fn what_is_not_yaml_or_not_a_mapping_is_an_error_of_the_card() {
    let error = parse("---\nconfigs:\n- config_name: [unclosed\n---\n").expect_err("invalid").to_string();
    assert!(error.starts_with("README.md, line 4: not valid YAML"), "{error}");
    let error = parse("---\njust text\n---\n").expect_err("invalid").to_string();
    assert_eq!(error, "README.md, line 2: expected keys and values, found text");
}

#[test]
fn dataset_info_is_one_mapping_or_a_list() {
    let infos = card("---\ndataset_info:\n  description: words\n  features:\n  - {name: a, dtype: string}\n  splits:\n  - {name: test, num_examples: 1}\n  - name: train\n  dataset_size: 12\n---\n")
        .infos()
        .expect("valid");
    let info = &infos["default"];
    assert_eq!(info.features.as_ref().map(Features::len), Some(1));
    let splits: Vec<_> = info.splits.iter().flatten().map(belvedere_domain::SplitName::as_str).collect();
    assert_eq!(splits, ["test", "train"]);
    assert_eq!((info.texts["description"].as_str(), info.dataset_size), ("words", Some(12)));

    let infos = card("---\ndataset_info:\n- config_name: en\n- config_name: fr\n---\n").infos().expect("valid");
    assert_eq!(infos.keys().collect::<Vec<_>>(), ["en", "fr"]);
}

#[test]
fn legacy_infos_are_read_and_overridden() {
    let files = |readme: &str, infos: &str| CardFiles {
        readme: Some(readme.as_bytes().to_vec()),
        overrides: None,
        dataset_infos: Some(infos.as_bytes().to_vec()),
    };
    let legacy = r#"{"acme--birds": {"description": "old", "citation": "", "features": {"a": {"dtype": "int64", "_type": "Value"}}, "splits": {"train": {"name": "train"}}}}"#;
    let infos = Card::parse(files("", legacy)).expect("valid").infos().expect("valid");
    assert_eq!(infos.keys().collect::<Vec<_>>(), ["default"], "a single entry is renamed");
    assert_eq!(infos["default"].texts.keys().collect::<Vec<_>>(), ["description"]);

    let infos = Card::parse(files("---\ndataset_info: {description: new}\n---\n", legacy))
        .expect("valid")
        .infos()
        .expect("valid");
    assert_eq!(infos["default"].texts["description"], "new");
    assert_eq!(infos["default"].features, None, "an entry is overridden as a whole");

    let error = Card::parse(files("", "{\n]")).expect("lazy").infos().expect_err("invalid").to_string();
    assert!(error.starts_with("dataset_infos.json, line 2: not valid JSON"), "{error}");
}

#[test]
fn a_mistake_in_configs_does_not_hide_other_keys() {
    let card = card("---\nconfigs: 5\nviewer: false\n---\n");
    assert!(card.configs().is_err());
    assert!(!card.viewer());
}
