use super::*;

/// As the first description of the interface shows it.
const SEED: &str = r#"{
  "dataset_name": "wine_classification",
  "model_params": {"n_estimators": 2, "random_state": 42},
  "runner_location": "atena02",
  "model_tracking": true,
  "tracking_uri": "experiments",
  "experiment_name": "atena_test",
  "script_path": "path/to/script.py",
  "clusters": {
    "atena02": {"infra_config": {"instance_type": "cpu", "image_name": "sklearn_sample_latest", "account": "twinscie"}}
  }
}"#;

/// With the modes of a later generation, and blocks for clusters that are not ours.
const MODES: &str = r#"{
  "dataset_name": "adult.csv",
  "model_params": {"n_estimators": 2},
  "runner_location": "atena02",
  "execution_mode": "mlflow",
  "experiment_name": "atena_test",
  "project_path": "/nethome/project/measurements/",
  "clusters": {
    "dev": {"infra_config": {"instance_type": "slurmpar", "image_name": "teste_image", "account": "twinscie"}},
    "atena02": {"infra_config": {"instance_type": "cpu", "image_name": "py310_mlflow2_14", "account": "twinscie"}},
    "aws": {"infra_config": {"role": "arn:aws:iam::example", "instance_type": "ml.m5 large!", "image_name": "../x"}}
  },
  "backend_execution": {
    "mlflow": {"execution_config": {"execution_mode": "mlflow", "tracking_uri": "http://tracking.example:5000/"}},
    "no-mlflow": {"execution_config": {}}
  }
}"#;

fn parse(text: &str) -> TaskConfig {
    TaskConfig::parse(text.as_bytes()).unwrap()
}

/// What is wrong, one line each.
fn refused(text: &str) -> Vec<String> {
    let errors = TaskConfig::parse(text.as_bytes()).unwrap_err();
    errors.into_iter().map(|error| format!("{} {}", error.pointer, error.message)).collect()
}

fn with(field: &str) -> String {
    format!(r#"{{"runner_location": "local", {field}}}"#)
}

/// e074 | the configuration has the form of any of three generations of clients | accepted as it is
#[test]
fn e074_all_three_generations_are_read() {
    let seed = parse(SEED);
    assert_eq!(seed.dataset.as_deref(), Some("wine_classification"));
    assert_eq!(seed.params_json(), r#"{"n_estimators":2,"random_state":42}"#);
    assert_eq!((seed.cluster.as_str(), seed.mode), ("atena02", ExecutionMode::Mlflow));
    assert_eq!(seed.tracking_uri.as_deref(), Some("experiments"));
    assert_eq!(seed.script.as_deref(), Some("script.py"));
    assert_eq!(seed.infra.image_name, Some(PlainName::new("sklearn_sample_latest").unwrap()));
    assert_eq!(seed.arguments, ArgumentStyle::Flags);

    let modes = parse(MODES);
    assert_eq!(modes.mode, ExecutionMode::Mlflow);
    assert_eq!(modes.tracking_uri.as_deref(), Some("http://tracking.example:5000/"));
    assert_eq!(modes.infra.instance_type, Some(PlainName::new("cpu").unwrap()));

    let archive = parse(&with(r#""command": "python3 files/test.py", "execution_mode": "no-mlflow""#));
    assert_eq!(archive.command.as_deref(), Some("python3 files/test.py"));
    assert_eq!((archive.mode, archive.script, archive.experiment.as_str()), (ExecutionMode::NoMlflow, None, "default"));
}

/// e070 | an experiment's name holds a shell's words, line breaks, 3,000 characters | the words stay words; the rest
/// is refused with its place
#[test]
fn e070_names_for_people_hold_no_controls_and_are_bounded() {
    for name in ["$(touch canary)", "; rm -rf /", "`id`", "-leading", "é 漢字"] {
        let config = parse(&with(&format!(r#""experiment_name": {}"#, Value::from(name))));
        assert_eq!(config.experiment, name);
    }
    for name in ["a\nb", "", "\u{1f}", &"x".repeat(3000)] {
        let errors = refused(&with(&format!(r#""experiment_name": {}"#, Value::from(name))));
        assert!(errors[0].starts_with("/experiment_name "), "{errors:?}");
    }
}

/// e071 | the name of an image is a path or holds odd bytes | refused with its place
#[test]
fn e071_images_are_named_not_pathed() {
    for image in ["../x", "/abs/x", "a\0b", "a b", "-x"] {
        let block = format!(r#""clusters": {{"local": {{"infra_config": {{"image_name": {}}}}}}}"#, Value::from(image));
        let errors = refused(&with(&block));
        assert!(errors[0].starts_with("/clusters/local/infra_config/image_name "), "{errors:?}");
    }
}

/// e073 | the chosen cluster has no block in the configuration, or none is chosen | refused; the clusters that have
/// one are named; blocks of others are not looked at
#[test]
fn e073_the_block_of_the_chosen_cluster_is_wanted() {
    let errors = refused(&with(r#""clusters": {"aws": {}, "dev": {}}"#));
    assert_eq!(errors, ["/clusters there is no block for the cluster `local`, only for: aws, dev"]);
    assert_eq!(refused("{}"), ["/runner_location the name of a cluster is missing"]);
    assert!(refused(r#"{"runner_location": "a b"}"#)[0].starts_with("/runner_location `a b` is not a plain name"));
    assert!(refused("[]")[0].contains("expected an object"));
}

#[test]
fn everything_wrong_is_told_at_once() {
    let errors = refused(
        r#"{"dataset_name": 5, "model_params": [], "runner_location": "x", "model_tracking": "yes",
            "execution_mode": "maybe", "tracking_uri": "a b", "args_style": "?", "command": "",
            "resources": {"cpus": 0, "memory": "lots", "gpus": -1, "time": "soon", "disk": 1},
            "clusters": {"x": {"infra_config": []}}}"#,
    );
    let pointers: Vec<_> = errors.iter().filter_map(|error| error.split(' ').next()).collect();
    assert_eq!(
        pointers,
        [
            "/dataset_name",
            "/model_params",
            "/command",
            "/model_tracking",
            "/execution_mode",
            "/tracking_uri",
            "/clusters/x/infra_config",
            "/resources/disk",
            "/resources/cpus",
            "/resources/gpus",
            "/resources/memory",
            "/resources/time",
            "/args_style",
        ]
    );
}

#[test]
fn measures_are_numbers_or_texts_with_units() {
    let text = r#""resources": {"cpus": 8, "memory": "32G", "gpus": 1, "time": "1-02:03:04"}"#;
    let resources = parse(&with(text)).resources;
    let expected = Resources {
        cpus: Some(8),
        memory_bytes: Some(32 << 30),
        gpus: Some(1),
        time_seconds: Some(86_400 + 2 * 3600 + 3 * 60 + 4),
    };
    assert_eq!(resources, expected);
    assert_eq!(
        (memory("512"), memory("1MB"), memory("9999999999T"), memory("x")),
        (Some(512), Some(1 << 20), None, None)
    );
    assert_eq!(
        (time("90m"), time("05:00"), time("1:2:3:4"), time(""), time("é")),
        (Some(5400), Some(300), None, None, None)
    );
}
