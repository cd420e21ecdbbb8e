//! What the repository says about containers is true of the program: every variable, command and target in the Dockerfile,
//! the compose files and the Kubernetes example exists, and every value is one that the program takes.
//!
//! No container is started here: that the files do what they say in Docker is not tested.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use belvedere::commands::Cli;
use belvedere::config::{Config, Role, Setting, Sources, settings};
use belvedere_hub::card::yaml::{Node, parse};
use clap::Parser;

/// Variables that are not the program's: of Compose itself, and of the image of the database.
const OTHERS: [&str; 5] = ["DATA", "PUBLIC_URL", "POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD_FILE"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The documents of a YAML file.
fn documents(path: &str) -> Vec<Node> {
    let text = text(path);
    text.split("\n---\n").map(|part| parse(part, 1).unwrap_or_else(|error| panic!("{path}: {error}"))).collect()
}

fn kubernetes() -> Vec<(String, Node)> {
    let mut files: Vec<String> = std::fs::read_dir(root().join("deploy/kubernetes"))
        .unwrap()
        .map(|entry| format!("deploy/kubernetes/{}", entry.unwrap().file_name().to_string_lossy()))
        .collect();
    files.sort();
    files.iter().flat_map(|file| documents(file).into_iter().map(|node| (file.clone(), node))).collect()
}

/// A value by its keys, merges (`<<`) followed.
fn at<'n>(node: &'n Node, path: &[&str]) -> Option<&'n Node> {
    path.iter().try_fold(node, |node, key| node.get(key).or_else(|| node.get("<<")?.get(key)))
}

/// The entries of a mapping, those of merged ones included.
fn entries(node: &Node) -> BTreeMap<String, String> {
    let mut found = node.get("<<").map(entries).unwrap_or_default();
    for (key, value) in node.map().unwrap_or_default() {
        if let (Some(key), Some(value)) = (key.text(), value.scalar_text()) {
            found.insert(key.to_owned(), value);
        }
    }
    found
}

fn words(node: &Node) -> Vec<String> {
    node.list().unwrap_or_default().iter().map(|word| word.scalar_text().expect("a word")).collect()
}

/// What `${NAME:-default}` stands for where nothing is set.
fn by_default(text: &str) -> String {
    match text.split_once("${") {
        None => text.to_owned(),
        Some((before, rest)) => {
            let (variable, after) = rest.split_once('}').expect("a closed brace");
            let default = variable.split_once(":-").map_or("", |(_, default)| default);
            format!("{before}{default}{}", by_default(after))
        }
    }
}

/// The program understands the command, and the configuration that the variables make.
fn check(place: &str, arguments: &[String], variables: &BTreeMap<String, String>) {
    let words: Vec<&str> = std::iter::once("belvedere").chain(arguments.iter().map(String::as_str)).collect();
    let cli = Cli::try_parse_from(&words).unwrap_or_else(|error| panic!("{place}: {error}"));
    let known: BTreeSet<String> = settings().map(Setting::variable).collect();
    for name in variables.keys().filter(|name| !OTHERS.contains(&name.as_str())) {
        assert!(known.contains(name), "{place}: {name} is not the variable of a setting");
    }
    let mut environment: BTreeMap<String, String> =
        variables.iter().map(|(name, value)| (name.clone(), by_default(value))).collect();
    // The directory is not here; what it holds is.
    environment.remove("SECRETS_DIR");
    let secrets = [
        ("STORE_URL", "postgres://belvedere:secret@db/belvedere"),
        ("S3_ACCESS_KEY_ID", "id"),
        ("S3_SECRET_ACCESS_KEY", "secret"),
    ];
    environment.extend(secrets.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let role = cli.command.role();
    let sources = Sources {
        role,
        environment: environment.into_iter().collect(),
        flags: cli.flags().unwrap_or_else(|error| panic!("{place}: {error}")),
        ..Sources::default()
    };
    let loaded = Config::load(&sources).unwrap_or_else(|error| panic!("{place}: {error}"));
    assert_eq!(loaded.notes, Vec::<String>::new(), "{place}");
    assert!(matches!(role, Role::Serve | Role::Part));
}

/// The variables that the image sets.
fn of_the_image() -> BTreeMap<String, String> {
    let file = text("Dockerfile").replace("\\\n", " ");
    let line = file.lines().find_map(|line| line.strip_prefix("ENV ")).expect("an ENV");
    line.split_whitespace()
        .map(|pair| pair.split_once('=').expect("NAME=VALUE"))
        .map(|(n, v)| (n.into(), v.into()))
        .collect()
}

#[test]
fn the_image_runs_the_program_as_nobody_in_particular() {
    let file = text("Dockerfile");
    check("Dockerfile", &["serve".into(), "/data".into()], &of_the_image());
    let last = |word: &str| file.lines().rev().find(|line| line.starts_with(word)).unwrap_or_default().to_owned();
    assert_eq!(last("USER"), "USER belvedere");
    assert_eq!(last("ENTRYPOINT"), r#"ENTRYPOINT ["belvedere"]"#);
    assert_eq!(last("CMD"), r#"CMD ["serve", "/data"]"#);
    assert!(file.contains("HEALTHCHECK") && file.contains("/healthcheck"));
    for copied in ["deploy/first-secrets.sh", "Makefile"] {
        assert!(file.contains(&format!("COPY {copied} ")) && root().join(copied).is_file(), "{copied}");
    }
    let toolchain = text("Cargo.toml").lines().find_map(|line| line.strip_prefix("rust-version = ").map(str::to_owned));
    let wanted = toolchain.expect("a version").trim_matches('"').to_owned();
    assert!(file.contains(&format!("FROM rust:{wanted}-")), "the image is built with another Rust than {wanted}");
    assert!(file.contains("install -y --no-install-recommends ca-certificates curl make"));
}

#[test]
fn make_targets_are_commands() {
    let file = text("Makefile");
    let mut targets = 0;
    for line in file.lines().filter_map(|line| line.strip_prefix("\t$(BELVEDERE) ")) {
        let line = line.replace("$(ARGUMENTS)", "").replace("$(STEP)", "split-first-rows");
        check("Makefile", &line.split_whitespace().map(str::to_owned).collect::<Vec<_>>(), &BTreeMap::new());
        targets += 1;
    }
    assert!(targets >= 8);
    for seed in ["cancel-jobs-splits:", "cancel-jobs-first-rows:", "cancel-jobs-parquet:"] {
        assert!(file.contains(seed), "{seed}");
    }
}

#[test]
fn compose_files_name_what_there_is() {
    for (path, port, server) in [
        ("docker-compose.yml", "127.0.0.1:8008:8000", "viewer"),
        ("docker-compose.prod.yml", "127.0.0.1:8009:8000", "api"),
    ] {
        let file = documents(path).remove(0);
        let services = file.get("services").and_then(Node::map).expect("services");
        let names: Vec<&str> = services.iter().filter_map(|(name, _)| name.text()).collect();
        assert!(names.contains(&"db") && names.contains(&"secrets"), "{path}: {names:?}");
        let volumes: BTreeSet<&str> =
            file.get("volumes").and_then(Node::map).unwrap().iter().filter_map(|(name, _)| name.text()).collect();
        assert!(volumes.contains("postgres_data"), "{path}");
        for (name, service) in services {
            let place = format!("{path}, {}", name.text().unwrap());
            for volume in at(service, &["volumes"]).map(words).unwrap_or_default() {
                let source = volume.split(':').next().unwrap();
                assert!(source.starts_with(['$', '.', '/']) || volumes.contains(source), "{place}: {volume}");
            }
            for (other, _) in at(service, &["depends_on"]).and_then(Node::map).unwrap_or_default() {
                assert!(names.contains(&other.text().unwrap()), "{place}: depends on {other:?}");
            }
            if at(service, &["image"]).and_then(Node::text) != Some("belvedere") || name.text() == Some("secrets") {
                continue;
            }
            let mut variables = of_the_image();
            variables.extend(at(service, &["environment"]).map(entries).unwrap_or_default());
            check(&place, &words(at(service, &["command"]).expect("a command")), &variables);
            assert_eq!(variables["SECRETS_DIR"], "/secrets/belvedere", "{place}");
        }
        let served = services.iter().find(|(name, _)| name.text() == Some(server)).expect("a server");
        assert_eq!(words(at(&served.1, &["ports"]).unwrap()), [port], "{path}");
        let db = &services.iter().find(|(name, _)| name.text() == Some("db")).unwrap().1;
        let of_db = entries(at(db, &["environment"]).unwrap());
        assert_eq!((of_db["POSTGRES_USER"].as_str(), of_db["POSTGRES_DB"].as_str()), ("belvedere", "belvedere"));
    }
}

#[test]
fn pools_of_workers_leave_no_job_out() {
    let check = |path: &str, bounds: Vec<BTreeMap<String, String>>| {
        let takes = |pool: &BTreeMap<String, String>, difficulty: u32| {
            let bound = |name: &str| pool.get(name).map(|text| text.parse::<u32>().unwrap());
            bound("WORKER_DIFFICULTY_MIN").is_none_or(|min| difficulty >= min)
                && bound("WORKER_DIFFICULTY_MAX").is_none_or(|max| difficulty <= max)
        };
        for difficulty in 0..=100 {
            assert_eq!(bounds.iter().filter(|pool| takes(pool, difficulty)).count(), 1, "{path}: {difficulty}");
        }
    };
    let file = documents("docker-compose.prod.yml").remove(0);
    let services = file.get("services").and_then(Node::map).unwrap();
    let pools = services.iter().filter(|(name, _)| name.text().unwrap().starts_with("worker"));
    check("docker-compose.prod.yml", pools.map(|(_, pool)| entries(at(pool, &["environment"]).unwrap())).collect());
    let roles = kubernetes().into_iter().filter(|(_, node)| {
        at(node, &["metadata", "name"]).and_then(Node::text).is_some_and(|name| name.starts_with("worker"))
    });
    check("deploy/kubernetes", roles.map(|(_, node)| variables_of(&container(&node))).collect());
}

/// The container of a Deployment or a Job.
fn container(node: &Node) -> Node {
    let containers = at(node, &["spec", "template", "spec", "containers"]).and_then(Node::list).expect("containers");
    assert_eq!(containers.len(), 1);
    containers[0].clone()
}

fn variables_of(container: &Node) -> BTreeMap<String, String> {
    let pair = |item: &Node| Some((item.get("name")?.text()?.to_owned(), item.get("value")?.scalar_text()?));
    container.get("env").and_then(Node::list).unwrap_or_default().iter().filter_map(pair).collect()
}

#[test]
fn the_kubernetes_example_names_what_there_is() {
    let all = kubernetes();
    let kind = |node: &Node| node.get("kind").and_then(Node::text).unwrap().to_owned();
    let shared = all.iter().find(|(_, node)| kind(node) == "ConfigMap").expect("a ConfigMap");
    let shared = entries(shared.1.get("data").unwrap());
    let mut roles = BTreeSet::new();
    for (file, node) in all.iter().filter(|(_, node)| matches!(kind(node).as_str(), "Deployment" | "Job")) {
        let container = container(node);
        let mut variables = of_the_image();
        variables.extend(shared.clone());
        variables.extend(variables_of(&container));
        let arguments = words(container.get("args").unwrap());
        check(file, &arguments, &variables);
        roles.insert(arguments[0].clone());
        let pod = at(node, &["spec", "template", "spec"]).unwrap();
        let user = at(pod, &["securityContext", "runAsUser"]).and_then(Node::scalar_text);
        assert_eq!(user.as_deref(), Some("10001"), "{file}: the user of the image");
        let name = |node: &Node| node.get("name").and_then(Node::text).expect("a name").to_owned();
        let volumes: Vec<_> = pod.get("volumes").and_then(Node::list).unwrap().iter().map(name).collect();
        for mount in container.get("volumeMounts").and_then(Node::list).unwrap() {
            assert!(volumes.contains(&name(mount)), "{file}: {}", name(mount));
        }
        if let Some(grace) = at(pod, &["terminationGracePeriodSeconds"]).and_then(Node::scalar_text) {
            let own: u64 = variables.get("WORKER_GRACE_SECONDS").map_or(20, |text| text.parse().unwrap());
            assert!(grace.parse::<u64>().unwrap() > own, "{file}: killed before its own grace ends");
        }
    }
    assert_eq!(roles.iter().map(String::as_str).collect::<Vec<_>>(), ["api", "migrate", "monitor", "worker"]);
}

#[test]
fn the_first_secrets_are_made_once() {
    let folder = tempfile::tempdir().unwrap();
    let programs = folder.path().join("bin");
    std::fs::create_dir(&programs).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_belvedere"), programs.join("belvedere")).unwrap();
    let secrets = folder.path().join("secrets");
    let make = || {
        let output = std::process::Command::new("sh")
            .arg(root().join("deploy/first-secrets.sh"))
            .arg(&secrets)
            .env("PATH", format!("{}:/usr/bin:/bin", programs.display()))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let read = |name: &str| std::fs::read_to_string(secrets.join(name)).unwrap();
    let told = make();
    assert!(told.contains(&secrets.join("admin-token").display().to_string()), "{told}");
    let token = read("admin-token");
    assert!(token.starts_with("bva_") && !told.contains(token.trim()), "the token is in the file only");
    assert!(read("belvedere/ADMIN_TOKENS").starts_with("operator:"));
    assert_eq!(read("belvedere/STORE_URL"), format!("postgres://belvedere:{}@db/belvedere", read("postgres_password")));
    make();
    assert_eq!(read("admin-token"), token, "a second start changes nothing");
    // What it made is what the program takes.
    let shown = std::process::Command::new(programs.join("belvedere"))
        .args(["config", "show"])
        .env_clear()
        .env("SECRETS_DIR", secrets.join("belvedere"))
        .current_dir(folder.path())
        .output()
        .unwrap();
    let shown = (shown.status.success(), String::from_utf8_lossy(&shown.stdout).into_owned());
    assert!(shown.0 && !shown.1.contains(&read("postgres_password")), "{shown:?}");
}

#[test]
fn the_job_of_slurm_starts_the_server_by_its_settings() {
    let folder = tempfile::tempdir().unwrap();
    let (programs, data) = (folder.path().join("bin"), folder.path().join("data"));
    for made in [&programs, &data] {
        std::fs::create_dir(made).unwrap();
    }
    // In place of a runtime of containers: tells what it is asked for.
    let runtime = programs.join("singularity");
    std::fs::write(&runtime, "#!/bin/sh\nprintf '%s\\n' \"$PWD\" \"$@\"\n").unwrap();
    std::fs::set_permissions(&runtime, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let run = |variables: &[(&str, &Path)]| {
        let output = std::process::Command::new("bash")
            .arg(root().join("deploy/slurm/run_api.srm"))
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", programs.display()))
            .env("USER", "ana")
            .env("SLURM_SUBMIT_DIR", folder.path())
            .envs(variables.iter().copied())
            .current_dir(folder.path())
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let state = folder.path().join("state");
    let (code, told) = run(&[("STATE", &state)]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("api.sif is not there"), "{told}");
    std::fs::write(folder.path().join("api.sif"), "").unwrap();
    let options = Path::new("--set api.open=true");
    let (code, told) = run(&[("STATE", &state), ("PORT", Path::new("8123")), ("OPTIONS", options)]);
    assert_eq!(code, Some(0), "{told}");
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines[0].contains(":8123/docs"), "{told}");
    assert_eq!(Path::new(lines[1]).canonicalize().unwrap(), folder.path().canonicalize().unwrap());
    let image = folder.path().join("api.sif").display().to_string();
    let at = lines.iter().position(|line| *line == image).unwrap();
    assert!(lines[..at].contains(&"run") && lines[..at].contains(&&*format!("{0}:{0}:ro", data.display())), "{told}");
    // What stands after the image is what the program takes.
    let arguments: Vec<String> = lines[at + 1..].iter().map(|line| (*line).to_owned()).collect();
    check("deploy/slurm/run_api.srm", &arguments, &of_the_image());
    assert_eq!(&arguments[..2], ["serve", &*data.display().to_string()]);
    assert!(arguments.ends_with(&["8123", "--set", "api.open=true"].map(str::to_owned)), "{told}");
    assert!(state.is_dir());
}
