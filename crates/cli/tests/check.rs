//! `belvedere check` as a user meets it.

mod common;

use common::{folder, run};

#[test]
fn the_examples_have_no_problem() {
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");
    let here = folder(&[]);
    let shown = run(here.path(), &[], &["check", examples, "--quiet"]);
    assert!(shown.starts_with("exit code: 0\n--- stdout\nwhat users see\n"), "{shown}");
    assert!(shown.contains("local/penguins: 344 rows, 15.8 kB of files\n"), "{shown}");
    assert!(shown.ends_with("5 datasets looked at, nothing wrong\n--- stderr\n"), "{shown}");
    assert_eq!(std::fs::read_dir(here.path()).expect("readable").count(), 0, "a check leaves nothing behind");
}

#[test]
fn problems_come_first_then_warnings_then_what_users_see() {
    let data = folder(&[
        ("data/card/README.md", b"---\nconfigs: [\n---\n"),
        ("data/card/a.csv", b"a\n1\n"),
        ("data/open/a.csv", b"a,b\n1,\"2\n3,4\n"),
        ("data/ragged/a.csv", b"a,b\n1,2\n3,4,5\n"),
        ("data/unknown/a.docx", b"?"),
        ("data/mixed/a.csv", b"a,b\n1,x\n"),
        ("data/mixed/b.csv", b"a,b\n2,y\n"),
        ("data/mixed/c.jsonl", b"{\"a\": 1}\n"),
        ("data/mixed/notes.xlsx", b"?"),
        ("data/loose.csv", b"a\n1\n"),
    ]);
    std::fs::create_dir(data.path().join("data/empty")).expect("a directory");
    std::os::unix::fs::symlink("/etc/hostname", data.path().join("data/mixed/link.csv")).expect("a link");
    let shown = run(data.path(), &[], &["check", "data"]);
    let path = data.path().canonicalize().expect("it is there");
    let shown = shown.replace(&path.display().to_string(), "[here]");
    insta::assert_snapshot!(shown, @r"
    exit code: 1
    --- stdout
    4 problems
      local/card
        README.md, line 3: not valid YAML: while parsing a node, did not find expected node content
        users do not get: every answer (ConfigNamesError)
        hint: correct the lines between the `---` at the top of README.md
      local/open
        a.csv, line 2: a quote is opened here and never closed; close it, or set `quoting: 3` if
        quotes mean nothing
        users do not get: /rows, /parquet, /info and /size of config default; /first-rows of
        default/train (DatasetGenerationError, FeaturesError)
        hint: correct the file, or leave it out: name the files to read under `configs` in README.md
      local/ragged
        a.csv, line 3: expected 2 fields, found 3; quote fields that hold the separator, or skip
        such lines with `on_bad_lines: skip`
        users do not get: /rows, /parquet, /info and /size of config default; /first-rows of
        default/train (DatasetGenerationError, FeaturesError)
        hint: correct the file, or leave it out: name the files to read under `configs` in README.md
      local/unknown
        no file has a supported format; supported are .csv, .tsv, .json, .jsonl, .parquet, .arrow,
        .txt, .xml and .tar, also compressed, .sqlite, .xlsx, images, sounds, videos and .pdf
        users do not get: every answer (DataFilesNotFoundError)
        hint: convert the files to one of these formats

    5 warnings
      [here]/data
        loose.csv: a file beside the folders of datasets; move it into a folder; it is not served
      local/empty
        the folder holds no file
      local/mixed
        no split reads c.jsonl: all files of a dataset have one format, here csv, and splits follow
        from the names of files or from `configs` in README.md
      local/mixed
        not read, since the name tells no format of data: notes.xlsx
      local/mixed
        link.csv: a link that leaves the folder of the dataset; it is not served

    what users see
      local/mixed: 2 rows, 26 bytes of files
        config default (csv)
          train  2 rows from 2 files
          2 columns: a (int64), b (string)
      local/open: 0 rows, 13 bytes of files
        config default
          train  no rows can be read from 1 file, no preview
      local/ragged: 0 rows, 14 bytes of files
        config default
          train  no rows can be read from 1 file, no preview

    6 datasets looked at, 4 with problems, 5 warnings
    --- stderr
    looking at 6 datasets
    ");
}

#[test]
fn scripts_get_json() {
    let data = folder(&[("wine.csv", b"name,points\nriesling,93\n")]);
    let shown = run(data.path(), &[], &["check", "wine=wine.csv", "--single", "--json", "-q"]);
    let json = shown.trim_start_matches("exit code: 0\n--- stdout\n").trim_end_matches("\n--- stderr\n");
    let mut json: serde_json::Value = serde_json::from_str(json).expect("JSON");
    json["seconds"] = 0.into();
    json["folders"][0]["path"] = "[path]".into();
    json["datasets"][0]["parquet_bytes"] = 0.into();
    insta::assert_snapshot!(serde_json::to_string_pretty(&json).expect("JSON"), @r#"
    {
      "ok": true,
      "problems": 0,
      "warnings": 0,
      "seconds": 0,
      "folders": [
        {
          "path": "[path]",
          "taken_for": "one dataset, as asked",
          "problem": null,
          "warnings": []
        }
      ],
      "datasets": [
        {
          "dataset": "local/wine",
          "revision": "a99f75882ec4cbb71e96d4d01ec6501d7c40ca57",
          "problems": [],
          "warnings": [],
          "rows": 1,
          "files_bytes": 24,
          "parquet_bytes": 0,
          "configs": [
            {
              "config": "default",
              "format": "csv",
              "columns": [
                {
                  "name": "name",
                  "type": "string"
                },
                {
                  "name": "points",
                  "type": "int64"
                }
              ],
              "splits": [
                {
                  "split": "train",
                  "rows": 1,
                  "estimated_rows": null,
                  "partial": false,
                  "files": 1,
                  "preview_rows": 1
                }
              ]
            }
          ]
        }
      ]
    }
    "#);
}

#[test]
fn an_empty_folder_is_a_problem() {
    let data = folder(&[]);
    std::fs::create_dir(data.path().join("data")).expect("a directory");
    let shown = run(data.path(), &[], &["check", "data", "-q"]);
    let path = data.path().canonicalize().expect("it is there");
    insta::assert_snapshot!(shown.replace(&path.display().to_string(), "[here]"), @r"
    exit code: 1
    --- stdout
    1 problem
      [here]/data
        no dataset was found: put data files (csv, json, Parquet, Arrow or text) into a folder in it

    nothing to look at
    --- stderr
    ");
}

#[test]
fn columns_that_the_card_does_not_declare_are_told() {
    let card = b"---\ndataset_info:\n  features:\n  - name: a\n    dtype: int64\n---\n";
    let data = folder(&[("a.csv", b"a,b\n1,2\n"), ("README.md", card)]);
    let shown = run(data.path(), &[], &["check", "x=.", "--single", "-q", "--json"]);
    assert!(shown.starts_with("exit code: 1\n"), "{shown}");
    let warning = "the files of train have columns that `dataset_info` in README.md does not declare";
    assert!(shown.contains(warning), "{shown}");
}

#[test]
fn a_check_does_not_touch_the_database_of_an_installation() {
    let data = folder(&[("a.csv", b"a\n1\n")]);
    let shown = run(data.path(), &[("STORE_URL", "postgres://nobody@127.0.0.1:1/none")], &["check", "x=a.csv", "-q"]);
    assert!(shown.starts_with("exit code: 0\n"), "{shown}");
}

#[test]
fn what_cannot_be_looked_at_is_a_usage_error() {
    let here = folder(&[]);
    insta::assert_snapshot!(run(here.path(), &[], &["check", "nowhere"]), @r"
    exit code: 2
    --- stdout

    --- stderr
    error: nowhere cannot be served
      because No such file or directory (os error 2)
    hint: name existing folders, as PATH or NAMESPACE=PATH
    ");
    insta::assert_snapshot!(run(here.path(), &[], &["check"]), @r"
    exit code: 2
    --- stdout

    --- stderr
    error: no folder to look at
    hint: name at least one: `belvedere check FOLDER`, or set `serve.folders`
    ");
}

#[test]
fn files_that_are_joined_are_warnings_with_the_way_out() {
    let data = folder(&[
        (
            "data/birds/README.md",
            b"---\nconfigs:\n- config_name: default\n  data_files: '*.csv'\n  schema: union\n---\n",
        ),
        ("data/birds/a.csv", b"name,weight\nrobin,18\nwren,9\n"),
        ("data/birds/b.csv", b"name,weight,wings\nheron,1500,2\nowl,heavy,2\n"),
    ]);
    let shown = run(data.path(), &[], &["check", "data", "-q"]);
    let words = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.starts_with("exit code: 0"), "{shown}");
    for told in [
        "config default: 1 file with other columns or types than the first is joined with the others",
        "column \"weight\": int64 in 1 and string in 1 of the files, served as string; to have int64, mend b.csv, line 3, or \
         declare its type under `features` of the config",
        "column \"wings\": served as int64, null in 1 that lack it",
        "3 columns: name (string), weight (string), wings (int64)",
    ] {
        assert!(words.contains(told), "{told}\n{shown}");
    }
}
