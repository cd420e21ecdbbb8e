use super::*;

/// Sources of a server with these variables.
fn environment(variables: &[(&str, &str)]) -> Sources {
    let environment = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Sources { environment, ..Sources::default() }
}

fn with_file(text: &str) -> Sources {
    let file = ConfigFile { name: "belvedere.toml".to_owned(), text: text.to_owned() };
    Sources { file: Some(file), ..Sources::default() }
}

fn flag(name: &str, path: &str, value: &str) -> Flag {
    Flag { name: name.to_owned(), path: path.to_owned(), raw: Raw::Text(value.to_owned()) }
}

fn load(sources: &Sources) -> Loaded {
    Config::load(sources).unwrap()
}

fn problems(sources: &Sources) -> String {
    Config::load(sources).unwrap_err().to_string()
}

fn origin(loaded: &Loaded, path: &str) -> String {
    loaded.values.iter().find(|value| value.setting.path() == path).unwrap().origin.to_string()
}

#[test]
fn a_flag_beats_a_secret_beats_a_variable_beats_the_file_beats_the_default() {
    let mut sources = Sources::default();
    let mut seen = Vec::new();
    let mut look = |sources: &Sources| {
        let loaded = load(sources);
        seen.push(format!("{} from {}", loaded.config.store_url(), origin(&loaded, "store.url")));
    };
    look(&sources);
    sources.file = with_file("[store]\nurl = \"sqlite:file\"").file;
    look(&sources);
    sources.environment.insert("STORE_URL".to_owned(), "sqlite:variable".to_owned());
    look(&sources);
    sources.secrets.insert("STORE_URL".to_owned(), "sqlite:secret".to_owned());
    look(&sources);
    sources.flags.push(flag("--set store.url", "store.url", "sqlite:flag"));
    look(&sources);
    insta::assert_snapshot!(seen.join("\n"), @r"
    sqlite:./.belvedere/belvedere.sqlite from default
    sqlite:file from belvedere.toml:2
    sqlite:variable from environment STORE_URL
    sqlite:secret from secret file STORE_URL
    sqlite:flag from --set store.url
    ");
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let mut sources =
        with_file("compat = \"both\"\n[worker]\nslosts = 3\nslots = 0\n[wroker]\n[api]\nWORKER_SLOTS = 1\n");
    sources.environment = environment(&[
        ("WORKER_MAX_CRASHES", ""),
        ("WORKER_DIFFICULTY_MAX", "101"),
        ("API_UVICORN_PORT", "70000"),
        ("ASSETS_STORAGE_PROTOCOL", "s4"),
        ("COMMON_HF_ENDPOINT", "${HUB}"),
    ])
    .environment;
    sources.flags.push(flag("--set", "port", "1"));
    insta::assert_snapshot!(problems(&sources), @r"
    the configuration is not valid:
      belvedere.toml:3: `worker.slosts` is not a setting; did you mean `worker.slots`?
      belvedere.toml:5: `[wroker]` is not a section; did you mean `[worker]`?
      belvedere.toml:7: `api.WORKER_SLOTS` is the name of a variable; here it is `worker.slots`
      --set: `port` is not a setting; `belvedere config reference` lists them all
      belvedere.toml:1: `compat` expects `belvedere` or `reference`, found `both`
      environment variable API_UVICORN_PORT is 70000, must be from 0 to 65535
      belvedere.toml:4: `worker.slots` is 0, must be at least 1
      environment variable WORKER_MAX_CRASHES expects an integer, but is empty
      environment variable WORKER_DIFFICULTY_MAX is 101, must be at most 100
      environment variable ASSETS_STORAGE_PROTOCOL expects `file` or `s3`, found `s4`
      environment variable COMMON_HF_ENDPOINT refers to `HUB`, which is not set; write `\$` for a dollar sign
    ");
}

#[test]
fn rules_between_settings_name_both() {
    let sources = environment(&[
        ("FIRST_ROWS_MIN_NUMBER", "200"),
        ("WORKER_DIFFICULTY_MIN", "70"),
        ("WORKER_DIFFICULTY_MAX", "40"),
        ("ASSETS_STORAGE_PROTOCOL", "s3"),
        ("API_HF_AUTH_PATH", "/auth"),
        ("SERVE_PUBLIC_URL", "viewer.example.org"),
    ]);
    insta::assert_snapshot!(problems(&sources), @r"
    the configuration is not valid:
      environment variable FIRST_ROWS_MIN_NUMBER is 200, must be at most `first_rows.max_number`, 100
      environment variable WORKER_DIFFICULTY_MIN is 70, must be at most `worker.difficulty_max`, 40
      environment variable ASSETS_STORAGE_PROTOCOL is `s3`, which needs `assets.storage_root` to be `BUCKET` or `BUCKET/PREFIX`
      environment variable API_HF_AUTH_PATH is `/auth`, must hold one `%s` for the dataset
      environment variable SERVE_PUBLIC_URL is `viewer.example.org`, must start with `http://` or `https://`
    ");
}

#[test]
fn places_in_s3_need_a_bucket_and_somebody_to_be_there() {
    let told = |variables: &[(&str, &str)]| problems(&environment(variables));
    insta::assert_snapshot!(told(&[("BLOBS_URL", "s3://viewer/a")]), @"the configuration is not valid: environment variable BLOBS_URL needs `S3_ACCESS_KEY_ID` and `S3_SECRET_ACCESS_KEY`, or `S3_USE_IRSA`");
    insta::assert_snapshot!(told(&[("BLOBS_URL", "s3://"), ("S3_ENDPOINT_URL", "minio:9000")]), @r"
    the configuration is not valid:
      environment variable BLOBS_URL is `s3://`, must be `s3://BUCKET` or `s3://BUCKET/PREFIX`
      environment variable S3_ENDPOINT_URL is `minio:9000`, must start with `http://` or `https://`
    ");
    insta::assert_snapshot!(told(&[("BLOBS_URL", "gs://viewer")]), @"the configuration is not valid: environment variable BLOBS_URL is `gs://viewer`, must be a directory or begin with `s3://`");
    let assets = [("ASSETS_STORAGE_PROTOCOL", "s3"), ("ASSETS_STORAGE_ROOT", "viewer/assets")];
    insta::assert_snapshot!(told(&[assets[0], assets[1], ("S3_USE_IRSA", "true")]), @"the configuration is not valid: environment variable S3_USE_IRSA is on, but the platform has not set `AWS_ROLE_ARN` and `AWS_WEB_IDENTITY_TOKEN_FILE`");
    let keys = [("S3_ACCESS_KEY_ID", "id"), ("S3_SECRET_ACCESS_KEY", "secret")];
    let config =
        load(&environment(&[assets[0], assets[1], keys[0], keys[1], ("CACHED_ASSETS_STORAGE_PROTOCOL", "s3")]));
    assert_eq!(config.notes, Vec::<String>::new());
}

#[test]
fn a_broken_file_is_told_with_its_line() {
    insta::assert_snapshot!(problems(&with_file("[worker]\nslots = = 3\n")), @"the configuration is not valid: belvedere.toml:2: extra `=`, expected nothing");
    insta::assert_snapshot!(problems(&with_file("[worker]\nslots = [[1]]\n[worker.more]\nx = 1")), @r"
    the configuration is not valid:
      belvedere.toml:3: `worker.more` is nested too deeply: settings are `key` or `section.key`
      belvedere.toml:2: `worker.slots` must be a list of texts
    ");
}

#[test]
fn a_file_may_hold_numbers_texts_booleans_and_lists() {
    let config = load(&with_file(
        "compat = 'reference'\n[worker]\nslots = 1_0\njob_types_only = ['a', ' b ']\nsleep_seconds = 0.5\n\
         max_job_duration_seconds = 60\n[serve]\nsingle = true\nfolders = ['a,b']\n[api]\nuvicorn_port = '80'\n",
    ))
    .config;
    assert_eq!(config.worker.slots.on(1), 10);
    assert_eq!(config.worker.job_types_only, ["a", "b"]);
    assert_eq!(config.worker.sleep_seconds.as_millis(), 500);
    assert_eq!(config.worker.max_job_duration_seconds.as_secs(), 60);
    assert_eq!((config.serve.single, config.api.uvicorn_port), (true, 80));
    assert_eq!(config.serve.folders, ["a,b"]);
    assert_eq!(config.general.compat, types::Compat::Reference);
}

#[test]
fn older_names_warn_once_and_yield_to_the_current_one() {
    let loaded = load(&environment(&[("MAX_LOAD_PCT", "50"), ("FIRST_ROWS_CELL_MIN_BYTES", "7"), ("HF_TOKEN", "x")]));
    assert_eq!(loaded.config.worker.max_load_pct.get(), Some(50));
    assert_eq!(loaded.config.first_rows.min_cell_bytes, 7);
    insta::assert_snapshot!(loaded.notes.join("\n"), @r"
    MAX_LOAD_PCT is an older name of WORKER_MAX_LOAD_PCT, which you should set instead
    FIRST_ROWS_CELL_MIN_BYTES is an older name of FIRST_ROWS_MIN_CELL_BYTES, which you should set instead
    HF_TOKEN is an older name of COMMON_HF_TOKEN, which you should set instead
    ");

    let loaded = load(&environment(&[("MAX_LOAD_PCT", "50"), ("WORKER_MAX_LOAD_PCT", "60")]));
    assert_eq!(loaded.config.worker.max_load_pct.get(), Some(60));
    insta::assert_snapshot!(loaded.notes.join("\n"), @"MAX_LOAD_PCT is an older name of WORKER_MAX_LOAD_PCT; both are set, and WORKER_MAX_LOAD_PCT holds");

    // The description of 2023 asks for both, with the same value.
    let hub = "https://hub.example.org";
    assert!(load(&environment(&[("HF_ENDPOINT", hub), ("COMMON_HF_ENDPOINT", hub)])).notes.is_empty());
}

#[test]
fn the_start_is_refused_where_mongodb_is_asked_for() {
    insta::assert_snapshot!(problems(&environment(&[("CACHE_MONGO_URL", "mongodb://localhost:27017")])), @"the configuration is not valid: CACHE_MONGO_URL is set, but queue and results are kept in SQLite or PostgreSQL, not in MongoDB; unset it, and set `STORE_URL` to `postgres://USER:PASSWORD@HOST/DATABASE`, or leave that unset, too, for a SQLite file in the state directory");
    let mut sources = Sources::default();
    sources.secrets.insert("MONGO_URL".to_owned(), "mongodb://x".to_owned());
    assert!(problems(&sources).contains("MONGO_URL is set"));
    assert!(Config::load(&environment(&[("MONGO_URL", "")])).is_ok(), "an empty variable asks for nothing");
}

#[test]
fn variables_without_effect_are_noted_with_the_reason() {
    let loaded = load(&environment(&[
        ("NUMBA_CACHE_DIR", "/tmp/numba"),
        ("API_HF_JWT_PUBLIC_KEY_URL", "https://hub.example.org/keys"),
        ("WORKER_MAX_LAOD_PCT", "1"),
        ("HF_HOME", "/tmp/hf"),
        ("WORKER_HOST_NAME_OF_THE_POD", "x"),
    ]));
    insta::assert_snapshot!(loaded.notes.join("\n"), @r"
    NUMBA_CACHE_DIR has no effect here: it is a cache of Python libraries, and no Python runs here
    WORKER_MAX_LAOD_PCT is not a setting; did you mean WORKER_MAX_LOAD_PCT?
    ");
}

#[test]
fn defaults_depend_on_the_role_and_on_the_preset() {
    let reference = environment(&[("COMPAT", "reference")]);
    let part = Sources { role: Role::Part, ..Sources::default() };
    let look = |sources: &Sources| {
        let config = load(sources).config;
        (
            config.worker.max_load_pct.get(),
            config.queue.rate_limit,
            config.worker.difficulty_min_inclusive,
            config.parquet_and_info.max_dataset_size_bytes.for_local_files(),
        )
    };
    assert_eq!(look(&Sources::default()), (None, false, true, None));
    assert_eq!(look(&part), (Some(70), true, true, None));
    // What shows in answers is as in the reference; when jobs are started is left to the machine.
    assert_eq!(look(&reference), (None, false, false, Some(100_000_000)));

    let sources = environment(&[("COMPAT", "reference"), ("PARQUET_AND_INFO_MAX_DATASET_SIZE_BYTES", "60000")]);
    assert_eq!(load(&sources).config.parquet_and_info.max_dataset_size_bytes.for_local_files(), Some(60_000));
}

#[test]
fn an_empty_variable_is_unset_for_paths_secrets_and_optional_texts_only() {
    let mut sources = with_file("[assets]\nstorage_root = '/srv/assets'");
    sources.environment = environment(&[
        ("ASSETS_STORAGE_ROOT", ""),
        ("COMMON_HF_TOKEN", ""),
        ("SECRETS_DIR", ""),
        ("API_HF_JWT_ALGORITHM", ""),
    ])
    .environment;
    let config = load(&sources).config;
    assert_eq!(config.assets.storage_root.as_deref(), Some("/srv/assets"));
    assert_eq!((config.common.hf_token, config.secrets.dir), (None, None));
    assert_eq!(config.api.hf_jwt_algorithm, "", "empty switches it off");
    assert!(problems(&environment(&[("WORKER_DIFFICULTY_MIN", "")])).contains("but is empty"));
}

#[test]
fn secrets_are_read_by_the_names_of_the_platform_and_never_shown() {
    let mut sources = environment(&[("COMMITTER_HF_TOKEN", "from-variable")]);
    for name in ["PARQUET_CONVERTER_HF_TOKEN", "AWS_ACCESS_KEY_ID", "WEBHOOK_SECRET"] {
        sources.secrets.insert(name.to_owned(), format!("{name}-value"));
    }
    let mut others = Sources::default();
    others.secrets.insert("TLS_KEY".to_owned(), "x".to_owned());
    assert_eq!(load(&others).notes, ["secret file TLS_KEY belongs to no setting"]);
    let loaded = load(&sources);
    assert_eq!(loaded.config.committer.hf_token.as_ref().unwrap().expose(), "PARQUET_CONVERTER_HF_TOKEN-value");
    assert_eq!(loaded.config.s3.access_key_id.as_ref().unwrap().expose(), "AWS_ACCESS_KEY_ID-value");
    assert!(loaded.notes.iter().all(|note| note.contains("has no effect yet")), "{:?}", loaded.notes);
    let shown = format!("{loaded:?}");
    assert!(!shown.contains("-value") && !shown.contains("from-variable"), "{shown}");
}

#[test]
fn messages_do_not_repeat_what_may_be_a_secret() {
    let sources = environment(&[("COMMON_HF_TOKEN", "hf_$cret"), ("STORE_URL", "mysql://root:hunter2@db")]);
    insta::assert_snapshot!(problems(&sources), @r"
    the configuration is not valid:
      environment variable STORE_URL expects `sqlite:PATH` or `postgres://USER@HOST/DATABASE`
      environment variable COMMON_HF_TOKEN holds a `$` that stands for no variable; write `\$` for a dollar sign
    ");
}

#[test]
fn places_are_in_the_state_directory_unless_named() {
    let config =
        load(&environment(&[("SERVE_STATE", "/srv/state"), ("HF_DATASETS_CACHE", "/big"), ("TMPDIR", "/fast")])).config;
    let paths = config.paths();
    assert_eq!(paths.blobs.to_str(), Some("/srv/state/blobs"));
    assert_eq!(paths.scratch.to_str(), Some("/big"));
    assert_eq!(paths.temporary.to_str(), Some("/fast"));
    assert_eq!(config.store_url().expose(), "sqlite:/srv/state/belvedere.sqlite");
    assert_eq!(config.watched_disks(), [std::path::Path::new("/big")]);
}

#[test]
fn commands_that_only_look_keep_everything_in_their_state_directory() {
    let mut config = load(&environment(&[
        ("SERVE_STATE", "/srv/state"),
        ("STORE_URL", "postgres://viewer@db/viewer"),
        ("BLOBS_URL", "s3://viewer"),
        ("BLOBS_CACHE_DIRECTORY", "/elsewhere"),
        ("ASSETS_STORAGE_PROTOCOL", "s3"),
        ("ASSETS_STORAGE_ROOT", "viewer/assets"),
        ("CACHED_ASSETS_STORAGE_ROOT", "/elsewhere"),
        ("S3_ACCESS_KEY_ID", "id"),
        ("S3_SECRET_ACCESS_KEY", "secret"),
    ]))
    .config;
    config.keep_in_state();
    let paths = config.paths();
    assert_eq!(config.store_url().expose(), "sqlite:/srv/state/belvedere.sqlite");
    for place in [paths.blobs, paths.blob_cache, paths.cached_assets] {
        assert!(place.starts_with("/srv/state"), "{}", place.display());
    }
    assert!(crate::blobs::buckets(&config).unwrap().is_empty());
}

#[test]
fn the_table_is_sound() {
    let mut variables: Vec<String> = settings()
        .flat_map(|setting| {
            std::iter::once(setting.variable()).chain(setting.aliases.iter().map(|&alias| alias.into()))
        })
        .chain(RETIRED.iter().map(|retired| retired.variable.to_owned()))
        .collect();
    let count = variables.len();
    variables.sort();
    variables.dedup();
    assert_eq!(variables.len(), count, "every variable stands for one thing");
    for setting in settings() {
        assert!(reference::paragraph(setting.doc).ends_with('.'), "the doc of {} ends with a dot", setting.path());
        let differs = setting.serve.is_some() || setting.reference.is_some();
        assert!(!differs || !setting.why.is_empty(), "{} says why its defaults differ", setting.path());
    }
    for role in [Role::Serve, Role::Part] {
        for compat in ["belvedere", "reference"] {
            let sources = Sources { role, ..environment(&[("COMPAT", compat)]) };
            assert_eq!(load(&sources).notes, Vec::<String>::new());
        }
    }
}
