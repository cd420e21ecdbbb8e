//! The program as a user meets it: arguments in, text and exit code out.

use std::path::Path;
use std::process::Command;

/// Runs the program in a directory with nothing but these variables, and shows what it did.
fn belvedere(directory: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_belvedere"))
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .expect("the program was built");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    format!(
        "exit code: {}\n--- stdout\n{}\n--- stderr\n{}",
        output.status.code().expect("it ended by itself"),
        text(&output.stdout),
        text(&output.stderr)
    )
}

/// As [`belvedere`], in an empty directory.
fn alone(variables: &[(&str, &str)], arguments: &[&str]) -> String {
    let directory = tempfile::tempdir().expect("a temporary directory");
    belvedere(directory.path(), variables, arguments)
}

#[test]
fn a_wrong_argument_is_a_usage_error() {
    insta::assert_snapshot!(alone(&[], &["serve", "--prot", "1"]), @r"
    exit code: 2
    --- stdout

    --- stderr
    error: unexpected argument '--prot' found

      tip: a similar argument exists: '--port'

    Usage: belvedere serve --port <PORT> [FOLDER]...

    For more information, try '--help'.
    ");
}

#[test]
fn a_wrong_setting_is_told_with_all_others_and_a_hint() {
    let variables = [("WORKER_SLOTS", "0"), ("MONGO_URL", "mongodb://db")];
    insta::assert_snapshot!(alone(&variables, &["serve", "data", "--set", "worker.slosts=1"]), @r"
    exit code: 2
    --- stdout

    --- stderr
    error: the configuration is not valid:
      --set worker.slosts: `worker.slosts` is not a setting; did you mean `worker.slots`?
      MONGO_URL is set, but queue and results are kept in SQLite or PostgreSQL, not in MongoDB; unset it, and set `STORE_URL` to `postgres://USER:PASSWORD@HOST/DATABASE`, or leave that unset, too, for a SQLite file in the state directory
      environment variable WORKER_SLOTS is 0, must be at least 1
    hint: `belvedere config reference NAME` explains a setting
    ");
    insta::assert_snapshot!(alone(&[], &["serve", "data", "--set", "worker.slots"]), @r"
    exit code: 2
    --- stdout

    --- stderr
    error: `--set worker.slots` has no value
    hint: write it as `--set section.key=VALUE`
    ");
}

#[test]
fn a_named_file_must_be_there_and_the_default_one_need_not() {
    insta::assert_snapshot!(alone(&[], &["config", "show", "--changed"]), @r"
    exit code: 0
    --- stdout
    SETTING  VALUE  ORIGIN
    --- stderr
    ");
    insta::assert_snapshot!(alone(&[], &["config", "show", "--config", "other.toml"]), @r"
    exit code: 2
    --- stdout

    --- stderr
    error: the configuration is not valid: other.toml cannot be read: No such file or directory (os error 2)
    hint: name a TOML file with `--config`, or leave it out
    ");
}

#[test]
fn values_are_shown_with_their_origins() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(directory.path().join("belvedere.toml"), "[worker]\nslots = 3\n").expect("a file");
    std::fs::create_dir(directory.path().join("secrets")).expect("a directory");
    std::fs::write(directory.path().join("secrets/HF_TOKEN"), "hf_secret\n").expect("a file");
    let variables =
        [("STORE_URL", "postgres://ann:pass@db/viewer"), ("MAX_LOAD_PCT", "50"), ("SECRETS_DIR", "secrets")];
    let shown = belvedere(directory.path(), &variables, &["config", "show", "--changed", "--state", "here", "--quiet"]);
    insta::assert_snapshot!(shown, @r"
    exit code: 0
    --- stdout
    SETTING              VALUE                              ORIGIN
    serve.state          here                               --state
    store.url            postgres://ann:********@db/viewer  environment STORE_URL
    worker.slots         3                                  belvedere.toml:2
    worker.max_load_pct  50                                 environment MAX_LOAD_PCT
    common.hf_token      ********                           secret file HF_TOKEN
    secrets.dir          secrets                            environment SECRETS_DIR
    --- stderr
    ");
    let shown = belvedere(directory.path(), &variables, &["config", "show", "--changed", "--json", "-q"]);
    insta::assert_snapshot!(shown, @r#"
    exit code: 0
    --- stdout
    {
      "store.url": {
        "variable": "STORE_URL",
        "value": "postgres://ann:********@db/viewer",
        "origin": "environment STORE_URL"
      },
      "worker.slots": {
        "variable": "WORKER_SLOTS",
        "value": 3,
        "origin": "belvedere.toml:2"
      },
      "worker.max_load_pct": {
        "variable": "WORKER_MAX_LOAD_PCT",
        "value": 50,
        "origin": "environment MAX_LOAD_PCT"
      },
      "common.hf_token": {
        "variable": "COMMON_HF_TOKEN",
        "value": "********",
        "origin": "secret file HF_TOKEN"
      },
      "secrets.dir": {
        "variable": "SECRETS_DIR",
        "value": "secrets",
        "origin": "environment SECRETS_DIR"
      }
    }
    --- stderr
    "#);
}

#[test]
fn a_preset_is_shown_as_the_origin_of_what_it_changes() {
    let compat = [("COMPAT", "reference"), ("WORKER_MAX_LOAD_PCT", "7")];
    insta::assert_snapshot!(alone(&compat, &["config", "show", "--changed"]), @r#"
    exit code: 0
    --- stdout
    SETTING                                      VALUE      ORIGIN
    compat                                       reference  environment COMPAT
    worker.difficulty_min_inclusive              false      COMPAT=reference
    worker.max_load_pct                          7          environment WORKER_MAX_LOAD_PCT
    parquet_and_info.max_dataset_size_bytes      100000000  COMPAT=reference
    descriptive_statistics.max_split_size_bytes  100000000  COMPAT=reference
    descriptive_statistics.rules                 reference  COMPAT=reference
    duckdb_index.max_dataset_size_bytes          100000000  COMPAT=reference
    --- stderr
    "#);
    insta::assert_snapshot!(alone(&compat, &["config", "show", "--changed", "--for", "worker"]), @r#"
    exit code: 0
    --- stdout
    SETTING                                      VALUE      ORIGIN
    compat                                       reference  environment COMPAT
    worker.difficulty_min_inclusive              false      COMPAT=reference
    worker.max_load_pct                          7          environment WORKER_MAX_LOAD_PCT
    parquet_and_info.max_dataset_size_bytes      100000000  COMPAT=reference
    descriptive_statistics.max_split_size_bytes  100000000  COMPAT=reference
    descriptive_statistics.rules                 reference  COMPAT=reference
    duckdb_index.max_dataset_size_bytes          100000000  COMPAT=reference
    --- stderr
    "#);
}

#[test]
fn warnings_are_logged_to_standard_error_in_the_form_asked_for() {
    let shown = alone(&[("MAX_LOAD_PCT", "50"), ("LOG_FORMAT", "json")], &["config", "show", "--changed"]);
    insta::with_settings!({filters => vec![(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "[time]")]}, {
        insta::assert_snapshot!(shown, @r#"
        exit code: 0
        --- stdout
        SETTING              VALUE  ORIGIN
        worker.max_load_pct  50     environment MAX_LOAD_PCT
        log.format           json   environment LOG_FORMAT
        --- stderr
        {"timestamp":"[time]","level":"WARN","message":"MAX_LOAD_PCT is an older name of WORKER_MAX_LOAD_PCT, which you should set instead","target":"belvedere"}
        "#);
    });
}

#[test]
fn a_setting_is_explained_by_any_of_its_names() {
    insta::assert_snapshot!(alone(&[], &["config", "reference", "MAX_LOAD_PCT"]), @r"
    exit code: 0
    --- stdout
    worker.max_load_pct  WORKER_MAX_LOAD_PCT
        Load of the machine (the larger of the 1 and 5 minute loads, per core) from which no job is
        started. 0 disables the test.
        (integer, in percent; default `70`; in `serve` and `check` `0`)
    --- stderr
    ");
    insta::assert_snapshot!(alone(&[], &["config", "reference", "numba_cache"]), @r"
    exit code: 0
    --- stdout
    NUMBA_CACHE_DIR
        No setting here: it is a cache of Python libraries, and no Python runs here.
    --- stderr
    ");
    insta::assert_snapshot!(alone(&[], &["config", "reference", "nonsense"]), @r"
    exit code: 2
    --- stdout

    --- stderr
    error: no setting has `nonsense` in its name
    hint: `belvedere config reference` lists all of them
    ");
}

#[test]
fn the_doctor_reports_problems_with_hints_and_exits_with_1() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(directory.path().join("file"), "").expect("a file");
    let arguments = ["doctor", "nowhere", "--state", "file/state", "--set", "worker.slots=1"];
    let shown = belvedere(directory.path(), &[], &arguments);
    // What is below is about this machine.
    let problems: Vec<&str> = shown.lines().take_while(|line| !line.starts_with(['w', 'o'])).collect();
    insta::assert_snapshot!(problems.join("\n"), @r"
    exit code: 1
    --- stdout
    problem  state directory: file is in the way of file/state: it is no directory
             hint: name another directory with `--state`
    problem  folder: nowhere cannot be read: No such file or directory (os error 2)
             hint: check its name and its permissions
    problem  directory of tasks: file is in the way of file/state/tasks: it is no directory
             hint: name another directory by `tasks.directory`, or change the owner of this one
    ");
}

#[test]
fn the_doctor_bears_a_configuration_that_is_not_valid() {
    let shown = alone(&[("WORKER_SLOTS", "none")], &["doctor", "--json"]);
    let json = shown.split("--- stdout\n").nth(1).and_then(|rest| rest.split("\n--- stderr").next());
    let json: serde_json::Value = serde_json::from_str(json.expect("output")).expect("JSON");
    assert_eq!(json["ok"], false);
    insta::assert_json_snapshot!(json["findings"][0], @r#"
    {
      "check": "configuration",
      "status": "problem",
      "message": "environment variable WORKER_SLOTS expects an integer or `auto`, found `none`",
      "hint": "`belvedere config reference NAME` explains a setting"
    }
    "#);
}

#[test]
fn a_migrated_database_pleases_the_doctor_and_a_damaged_one_does_not() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let shown = belvedere(directory.path(), &[], &["migrate"]);
    insta::assert_snapshot!(shown, @r"
    exit code: 0
    --- stdout
    the schema of sqlite:./.belvedere/belvedere.sqlite is up to date
    --- stderr
    ");
    let store = |shown: String| shown.lines().find(|line| line.contains("  store: ")).map(str::to_owned);
    let shown = store(belvedere(directory.path(), &[], &["doctor"]));
    assert_eq!(shown.as_deref(), Some("ok       store: sqlite:./.belvedere/belvedere.sqlite can be used"));

    std::fs::write(directory.path().join("notes.txt"), "no database").expect("a file");
    let shown = belvedere(directory.path(), &[("STORE_URL", "sqlite:notes.txt")], &["migrate"]);
    insta::assert_snapshot!(shown, @r"
    exit code: 3
    --- stdout

    --- stderr
    error: the store sqlite:notes.txt cannot be opened
      because notes.txt is damaged: it does not begin like a database of SQLite
    hint: put a copy of it back, or move it away together with the files beside it whose names begin with its own: everything is made again from the data then
    ");
    assert!(
        store(belvedere(directory.path(), &[("STORE_URL", "sqlite:notes.txt")], &["doctor"]))
            .is_some_and(|line| line.starts_with("problem"))
    );
}

#[test]
fn serving_nothing_is_a_usage_error() {
    insta::assert_snapshot!(alone(&[], &["serve"]), @r"
    exit code: 2
    --- stdout

    --- stderr
    error: no folder to serve
    hint: name at least one: `belvedere serve FOLDER`, or set `serve.folders`
    ");
}

#[test]
fn no_command_prints_the_help_and_fails() {
    assert!(alone(&[], &[]).starts_with("exit code: 2\n"));
    assert!(alone(&[], &["--help"]).starts_with("exit code: 0\n"));
    assert!(alone(&[], &["--version"]).starts_with("exit code: 0\n"));
}

#[test]
fn the_graph_is_printed_in_three_forms() {
    let table = alone(&[], &["admin", "graph"]);
    assert!(table.contains("\nconfig-parquet  "), "{table}");
    let json = alone(&[], &["admin", "graph", "--json"]);
    assert!(json.contains("\"name\": \"dataset-init\""), "{json}");
    let diagram = alone(&[], &["admin", "graph", "--mermaid"]);
    assert!(diagram.contains("\nflowchart LR\n") && diagram.contains("  dataset-init --> dataset-config-names\n"));
}
