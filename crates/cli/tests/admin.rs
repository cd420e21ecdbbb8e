//! `belvedere admin …`: with a running server and without one, and what keeps strangers out.

mod common;

use common::{Server, folder, program, run};
use rustix::process::Signal;
use serde_json::Value as Json;

const BIRDS: (&str, &[u8]) = ("data/birds/a.csv", b"name,weight\nrobin,18\nwren,9\n");
const BROKEN: (&str, &[u8]) = ("data/broken/a.csv", b"a,b\n1,2\n3,4,5\n");

/// Exit code and standard output, with what changes from run to run redacted.
fn told(output: &str) -> String {
    let (told, _) = output.split_once("\n--- stderr").expect("a run");
    told.to_owned()
}

fn filters() -> Vec<(&'static str, &'static str)> {
    vec![
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?", "[time]"),
        (r"[0-9a-f]{40}", "[revision]"),
        (r"\b[0-9a-f]{8}\b", "[rev]"),
        (r"localhost:\d+", "localhost:[port]"),
        (r"(127\.0\.0\.1|\[::1\]):\d+", "[address]"),
        (r"0\.0\.0\.0:\d+", "0.0.0.0:[port]"),
        // These grow with the number of steps.
        (r"\d+ results and", "[n] results and"),
        (r"(?m)(local/broken .*  )\d+$", "${1}[n]"),
    ]
}

macro_rules! shows {
    ($output:expr, @$snapshot:literal) => {
        insta::with_settings!({filters => filters()}, { insta::assert_snapshot!($output, @$snapshot); });
    };
}

/// Asks a server with a method and headers; status and body.
fn ask(server: &Server, method: &str, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let url = format!("http://{}{path}", server.address);
    let mut answer = if method == "POST" {
        let mut request = agent.post(&url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send_empty().expect("an answer")
    } else {
        let mut request = agent.get(&url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.call().expect("an answer")
    };
    (answer.status().as_u16(), answer.body_mut().read_to_string().expect("a text"))
}

/// Waits until nothing is left to do.
fn idle(server: &Server, headers: &[(&str, &str)]) {
    loop {
        let (status, body) = ask(server, "GET", "/admin/datasets", headers);
        assert_eq!(status, 200, "{body}");
        let body: Json = serde_json::from_str(&body).expect("JSON");
        let datasets = body["datasets"].as_array().expect("a list");
        if !datasets.is_empty() && datasets.iter().all(|dataset| dataset["pending_jobs"] == 0) {
            return;
        }
        std::thread::yield_now();
    }
}

#[test]
fn commands_ask_the_running_server() {
    let data = folder(&[BIRDS, BROKEN]);
    let at = |arguments: &[&str]| run(data.path(), &[], arguments);
    let mut server = Server::start(program(data.path(), &[], &["serve", "data", "--port", "0"]), "listening on ");
    server.wait_for("Ctrl-C stops");
    idle(&server, &[]);
    shows!(told(&at(&["admin", "status"])), @r"
    exit code: 0
    --- stdout
    DATASET       SERVED    TARGET    PENDING  ERRORS
    local/birds   [rev]  [rev]  0        0
    local/broken  [rev]  [rev]  0        [n]
    ");
    shows!(told(&at(&["admin", "report", "config-size", "--errors"])), @r"
    exit code: 0
    --- stdout
    DATASET       CONFIG   SPLIT  STATUS                      FAILED  UPDATED                     CAUSE
    local/broken  default  -      500 DatasetGenerationError  1       [time]  a.csv, line 3: expected 2 fields, found 3; quote fields that hold the separator, or skip such lines with `on_bad_lines: skip`
    ");
    shows!(told(&at(&["admin", "recreate", "local/birds", "--dry-run"])), @r"
    exit code: 0
    --- stdout
    [n] results and 0 waiting jobs of local/birds would be deleted, and all computed again
    ");
    shows!(told(&at(&["admin", "backfill", "--dry-run"])), @r"
    exit code: 0
    --- stdout
    DATASET  QUEUE  DROP  STEPS
    ");
    shows!(told(&at(&["admin", "cancel-jobs-splits", "--dry-run"])), @r"
    exit code: 0
    --- stdout
    0 started jobs would go back to wait
    ");
    shows!(told(&at(&["admin", "clean", "--json"])), @r#"
    exit code: 0
    --- stdout
    {
      "status": "ok",
      "dry_run": false,
      "jobs_of_unknown_steps": 0,
      "artifacts_of_unknown_steps": 0,
      "views_never_stored": 0,
      "revisions_not_kept": 0,
      "media_of_gone_revisions": 0
    }
    "#);
    shows!(told(&at(&["admin", "blocked"])), @r"
    exit code: 0
    --- stdout
    ");
    shows!(told(&at(&["admin", "refresh", "config-size", "--dataset", "local/birds", "--config-name", "default"])), @r"
    exit code: 0
    --- stdout
    config-size of local/birds is queued
    ");
    shows!(told(&at(&["admin", "recreate", "local/birds", "--priority", "high"])), @r"
    exit code: 0
    --- stdout
    everything stored for local/birds is deleted and will be computed again
    ");
    shows!(at(&["admin", "refresh", "config-size", "--dataset", "local/birds"]), @r"
    exit code: 2
    --- stdout

    --- stderr
    error: the admin service refused /admin/force-refresh/config-size with status 422: Parameters 'dataset' and 'config' are required
    ");
    shows!(at(&["admin", "refresh", "config-siez", "--dataset", "local/birds"]), @r"
    exit code: 3
    --- stdout

    --- stderr
    error: the admin service refused /admin/force-refresh/config-siez with status 404: Not Found
    hint: `belvedere admin graph` lists the steps; is this the address of an admin service?
    ");
    shows!(at(&["admin", "refresh", "../x", "--dataset", "local/birds"]), @r"
    exit code: 2
    --- stdout

    --- stderr
    error: `../x` is not a step
    hint: `belvedere admin graph` lists them
    ");
    let (status, _) = server.ready("/splits?dataset=local/birds");
    assert_eq!(status, 200);
    assert_eq!(server.stop(Signal::TERM), Some(0));
    // The note went with the server, and the store is free again.
    assert!(!data.path().join(".belvedere/belvedere.sqlite.server").exists());
    assert!(told(&at(&["admin", "status"])).contains("local/broken"));
}

#[test]
fn without_a_server_the_store_is_opened() {
    let data = folder(&[BIRDS]);
    let at = |arguments: &[&str]| run(data.path(), &[], arguments);
    shows!(told(&at(&["admin", "pending"])), @r"
    exit code: 0
    --- stdout
    STEP  WAITING  STARTED
    ");
    shows!(at(&["admin", "recreate", "local/birds"]), @r"
    exit code: 2
    --- stdout

    --- stderr
    error: no server runs on this store, and no folder is known
    hint: start the server, or name its folders with `--set serve.folders=FOLDER`, or another server with `--url`
    ");
    let folders = ["--set", "serve.folders=data"];
    let with_folders = |arguments: &[&str]| run(data.path(), &[], &[arguments, &folders].concat());
    shows!(told(&with_folders(&["admin", "recreate", "local/birds"])), @r"
    exit code: 0
    --- stdout
    everything stored for local/birds is deleted and will be computed again
    ");
    shows!(told(&at(&["admin", "pending"])), @r"
    exit code: 0
    --- stdout
    STEP          WAITING  STARTED
    dataset-init  1        0
    ");
    shows!(told(&with_folders(&["admin", "refresh", "dataset-init", "--dataset", "local/birds", "--priority", "high"])), @r"
    exit code: 0
    --- stdout
    dataset-init of local/birds is queued
    ");
    let jobs: Json = serde_json::from_str(
        told(&at(&["admin", "pending", "--step", "dataset-init", "--json"])).split_once("stdout\n").unwrap().1,
    )
    .unwrap();
    assert_eq!((&jobs["waiting"][0]["priority"], jobs["waiting"].as_array().unwrap().len()), (&"high".into(), 1));
    // The next server does what waits.
    let server = Server::start(program(data.path(), &[], &["serve", "data", "--port", "0"]), "listening on ");
    assert_eq!(server.ready("/splits?dataset=local/birds").0, 200);
}

#[test]
fn a_note_of_a_server_that_was_killed_is_passed_over() {
    let data = folder(&[BIRDS]);
    let mut server = Server::start(program(data.path(), &[], &["serve", "data", "--port", "0"]), "listening on ");
    server.wait_for("Ctrl-C stops");
    idle(&server, &[]);
    server.stop(Signal::KILL);
    assert!(data.path().join(".belvedere/belvedere.sqlite.server").exists());
    shows!(told(&run(data.path(), &[], &["admin", "status"])), @r"
    exit code: 0
    --- stdout
    DATASET      SERVED    TARGET    PENDING  ERRORS
    local/birds  [rev]  [rev]  0        0
    ");
}

#[test]
fn a_server_that_everybody_could_operate_does_not_start() {
    let data = folder(&[BIRDS]);
    let open = ["serve", "data", "--port", "0", "--host", "0.0.0.0", "--set", "api.open=true"];
    shows!(run(data.path(), &[], &open), @r"
    exit code: 2
    --- stdout

    --- stderr
    error: everybody who reaches 0.0.0.0:[port] could operate the server: nobody has a login
    hint: make an admin with `belvedere user add NAME --admin`, or name those who may with `ADMIN_TOKENS` or `ADMIN_HF_ORGANIZATION`; or let the admin service listen on this machine only with `ADMIN_UVICORN_HOSTNAME=localhost` and an `ADMIN_UVICORN_PORT` of its own, or do without it: `--set admin.enabled=false`
    ");
    shows!(run(data.path(), &[("ADMIN_TOKENS", "secret")], &open), @r"
    exit code: 2
    --- stdout

    --- stderr
    error: entry 1 of `admin.tokens` is not the hash of a token: expected NAME:HASH or HASH, where the hash is the SHA-256 of the token in 64 hexadecimal digits
    hint: `belvedere admin token NAME` makes a token and its hash
    ");
    let own = [("ADMIN_UVICORN_HOSTNAME", "0.0.0.0"), ("ADMIN_UVICORN_PORT", "0")];
    shows!(run(data.path(), &own, &["serve", "data", "--port", "0"]), @r"
    exit code: 2
    --- stdout

    --- stderr
    error: everybody who reaches 0.0.0.0:[port] could operate the server: nobody has a login
    hint: make an admin with `belvedere user add NAME --admin`, or name those who may with `ADMIN_TOKENS` or `ADMIN_HF_ORGANIZATION`; or let the admin service listen on this machine only with `ADMIN_UVICORN_HOSTNAME=localhost` and an `ADMIN_UVICORN_PORT` of its own, or do without it: `--set admin.enabled=false`
    ");
    let off = [open.as_slice(), &["--set", "admin.enabled=false"]].concat();
    let server = Server::start(program(data.path(), &[], &off), "listening on ");
    assert_eq!(server.ask("/admin/pending-jobs").0, 404);
    assert!(!data.path().join(".belvedere/belvedere.sqlite.server").exists());
}

#[test]
fn tokens_let_operators_in_from_anywhere_and_the_command_line_from_here() {
    let data = folder(&[BIRDS]);
    let made = run(data.path(), &[], &["admin", "token", "ana", "--json"]);
    let made: Json = serde_json::from_str(told(&made).split_once("stdout\n").unwrap().1).unwrap();
    let (token, hash) = (made["token"].as_str().unwrap(), made["hash"].as_str().unwrap());
    assert!(hash.starts_with("ana:") && !hash.contains(token));
    let arguments = ["serve", "data", "--port", "0", "--host", "0.0.0.0"];
    let mut server = Server::start(program(data.path(), &[("ADMIN_TOKENS", hash)], &arguments), "listening on ");
    server.address = server.address.replace("0.0.0.0", "127.0.0.1");
    server.wait_for("Ctrl-C stops");
    let bearer = format!("Bearer {token}");
    assert_eq!(ask(&server, "GET", "/admin/pending-jobs", &[]).0, 401);
    assert_eq!(ask(&server, "GET", "/admin/pending-jobs", &[("authorization", &format!("{bearer}x"))]).0, 401);
    assert_eq!(ask(&server, "GET", "/admin/pending-jobs", &[("authorization", &bearer)]).0, 200);
    assert_eq!(ask(&server, "GET", "/splits?dataset=local/birds", &[]).0, 200);
    idle(&server, &[("authorization", &bearer)]);
    // Whoever can read the store needs no token.
    shows!(told(&run(data.path(), &[], &["admin", "status"])), @r"
    exit code: 0
    --- stdout
    DATASET      SERVED    TARGET    PENDING  ERRORS
    local/birds  [rev]  [rev]  0        0
    ");
    common::put(&data.path().join("token"), token.as_bytes());
    let url = format!("http://{}", server.address);
    let there = folder(&[]);
    let file = data.path().join("token").display().to_string();
    shows!(told(&run(there.path(), &[], &["admin", "pending", "--url", &url, "--token-file", &file])), @r"
    exit code: 0
    --- stdout
    STEP  WAITING  STARTED
    ");
    shows!(run(there.path(), &[], &["admin", "pending", "--url", &url]), @r"
    exit code: 3
    --- stdout

    --- stderr
    error: the admin service refused /admin/pending-jobs with status 401: Not found, or the credentials of an operator are missing.
    hint: name a file with the token of an operator with `--token-file`
    ");
}

#[test]
fn an_admin_service_of_its_own_is_apart_from_the_public_api() {
    let data = folder(&[BIRDS]);
    let command = program(
        data.path(),
        &[("ADMIN_UVICORN_PORT", "0"), ("ADMIN_UVICORN_NUM_WORKERS", "1")],
        &["serve", "data", "--port", "0"],
    );
    let mut server = Server::start(command, "listening on ");
    let line = server.wait_for("the admin service is at http://");
    let admin = line.split("http://").nth(1).unwrap().trim_end_matches("/admin").to_owned();
    assert_eq!(server.ask("/admin/pending-jobs").0, 404);
    assert_eq!(server.ask("/healthcheck").0, 200);
    let public = std::mem::replace(&mut server.address, admin);
    for (path, status) in
        [("/admin/pending-jobs", 200), ("/metrics", 200), ("/healthcheck", 200), ("/splits?dataset=local/birds", 404)]
    {
        assert_eq!(server.ask(path).0, status, "{path}");
    }
    // One that was rebound to this machine.
    let evil = [("host", "evil.example")];
    assert_eq!(ask(&server, "POST", "/admin/recreate-dataset?dataset=local/birds", &evil).0, 401);
    server.address = public;
    shows!(told(&run(data.path(), &[], &["admin", "clean", "--dry-run"])), @r"
    exit code: 0
    --- stdout
    0 waiting jobs and 0 results of steps that this version does not have, the files of 0 results that were never stored, what is kept of 0 revisions too many, and 0 media files of revisions that are gone, would be removed
    ");
}

#[test]
fn make_has_the_targets_of_the_descriptions() {
    let makefile = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Makefile");
    let text = std::fs::read_to_string(&makefile).expect("it is there");
    let help = run(makefile.parent().unwrap(), &[], &["admin", "--help"]);
    for line in text.lines().filter_map(|line| line.strip_prefix("\t$(BELVEDERE) admin ")) {
        let command = line.split(' ').next().unwrap();
        assert!(
            help.contains(&format!("\n  {command} ")),
            "`belvedere admin {command}` of the Makefile does not exist"
        );
    }
    for target in ["cancel-jobs-splits", "cancel-jobs-first-rows", "cancel-jobs-parquet"] {
        assert!(include_str!("seeds/admin-2022.md").contains(&format!("`{target}`")));
        assert!(text.contains(&format!("\n{target}:\n\t$(BELVEDERE) admin {target} ")), "{target}");
    }
}
