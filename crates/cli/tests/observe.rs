//! What an operator can see: logs with numbers of requests, how jobs ended, the step of a job run by hand.

mod common;

use std::io::{Read, Write};

use common::{Server, folder, program, put, run};
use rustix::process::Signal;
use serde_json::Value as Json;

const BIRDS: (&str, &[u8]) = ("data/birds/a.csv", b"name,weight\nrobin,18\nwren,9\n");
const BROKEN: (&str, &[u8]) = ("data/broken/a.csv", b"a,b\n1,2\n3,4,5\n");

/// Sends a request as it stands and returns the answer.
fn send(server: &Server, request: &str) -> String {
    let mut stream = std::net::TcpStream::connect(&server.address).expect("it listens");
    write!(stream, "{}", request.replace('\n', "\r\n")).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer in UTF-8");
    answer
}

#[test]
fn requests_and_jobs_are_found_in_the_log_by_their_numbers_and_secrets_are_not() {
    let data = folder(&[BIRDS]);
    let variables =
        [("LOG_FORMAT", "json"), ("LOG_LEVEL", "debug"), ("LOG_REQUESTS", "info"), ("API_HF_WEBHOOK_SECRET", "hush-1")];
    let mut server =
        Server::start(program(data.path(), &variables, &["serve", "data", "--port", "0"]), "listening on ");
    // The line is JSON, so its end is no part of the address.
    server.address = server.address.split('"').next().unwrap_or_default().to_owned();
    server.wait_for("Ctrl-C stops");
    let head = "GET /splits?dataset=local/birds&token=hush-2 HTTP/1.1\nHost: x\nConnection: close\n";
    let answer = send(&server, &format!("{head}X-Request-Id: mine-7\nAuthorization: Bearer hush-3\n\n"));
    assert!(answer.to_lowercase().contains("x-request-id: mine-7"), "{answer}");
    // Some of these are answered from memory.
    for number in 0..20 {
        let head = "GET /splits?dataset=local/birds&token=hush-5 HTTP/1.1\nHost: x\nConnection: close\n";
        send(&server, &format!("{head}X-Request-Id: again-{number}\n\n"));
    }
    let hook = "POST /webhook HTTP/1.1\nHost: x\nConnection: close\nX-Webhook-Secret: hush-4\nContent-Length: 2\n\n{}";
    assert!(send(&server, hook).starts_with("HTTP/1.1 400"));
    let answered: Json = serde_json::from_str(&server.wait_for("/webhook")).expect("JSON");
    assert_eq!((&answered["message"], &answered["status"]), (&"answered".into(), &400.into()));
    let log = server.told.clone();
    let lines: Vec<Json> = log.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    for id in (0..20).map(|number| format!("again-{number}")).chain(["mine-7".to_owned()]) {
        let of_request = lines.iter().find(|line| line["span"]["request.id"] == id).expect("a line of the request");
        let told = ["level", "path", "status"].map(|key| of_request[key].clone());
        assert_eq!(told, ["INFO".into(), "/splits".into(), Json::from(200)]);
        assert_eq!(of_request["span"]["http.route"], "/splits");
        assert_eq!(of_request["span"]["http.method"], "GET");
        assert!(of_request["duration_ms"].is_number());
    }
    let of_job = lines.iter().find(|line| line["message"] == "job ended").expect("a line of a job");
    assert!(of_job["span"]["job.id"].is_number() && of_job["span"]["step"].is_string(), "{of_job}");
    assert_eq!(of_job["span"]["dataset.name"], "local/birds");
    assert!(of_job["span"]["worker"].is_string() && of_job["duration_ms"].is_number(), "{of_job}");
    assert!(!log.join("\n").contains("hush-"), "no secret is logged");
    assert_eq!(server.stop(Signal::TERM), Some(0));
}

#[test]
fn by_default_requests_are_not_logged() {
    let data = folder(&[BIRDS]);
    let mut server = Server::start(program(data.path(), &[], &["serve", "data", "--port", "0"]), "listening on ");
    assert_eq!(server.ask("/healthcheck").0, 200);
    server.wait_for("Ctrl-C stops");
    assert!(server.told.iter().all(|line| !line.contains("answered")), "{:?}", server.told);
}

/// The run of a step, as soon as it is remembered.
fn run_of(server: &Server, step: &str, dataset: &str) -> Json {
    loop {
        let (status, body) = server.ask(&format!("/admin/jobs?dataset={dataset}"));
        assert_eq!(status, 200, "{body}");
        let body: Json = serde_json::from_str(&body).expect("JSON");
        let runs = body["runs"].as_array().expect("runs").clone();
        if let Some(run) = runs.into_iter().find(|run| run["type"] == step) {
            return run;
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_job_that_ended_tells_its_cost_and_can_be_run_again_elsewhere() {
    let data = folder(&[BROKEN]);
    put(
        &data.path().join("data/big/a.csv"),
        format!("a,b\n{}", "12345678,text of some length\n".repeat(100_000)).as_bytes(),
    );
    let mut server = Server::start(program(data.path(), &[], &["serve", "data", "--port", "0"]), "listening on ");
    server.wait_for("Ctrl-C stops");
    let run_big = run_of(&server, "config-parquet-and-info", "local/big");
    assert_eq!((&run_big["http_status"], &run_big["ending"]), (&200.into(), &"stored".into()));
    // The child has read the file, and held more than nothing and less than it may.
    assert!(run_big["bytes_read"].as_u64().expect("measured") >= 2_800_000, "{run_big}");
    let memory = run_big["peak_memory_bytes"].as_u64().expect("measured");
    assert!((2_000_000..4_000_000_000).contains(&memory), "{run_big}");
    let metrics = server.ask("/metrics").1;
    assert!(metrics.contains(r#"belvedere_job_peak_memory_bytes_count{step="config-parquet-and-info"} "#), "{metrics}");
    let failed = run_of(&server, "config-parquet-and-info", "local/broken");
    assert_eq!(failed["input_file"], "a.csv");
    let reproduce = failed["reproduce"].as_str().expect("a command");
    let words: Vec<&str> = reproduce.split(' ').skip(1).chain(["--json", "--quiet"]).collect();
    // Beside the server, whose database it must not touch.
    let output = run(data.path(), &[], &words);
    let json = output.strip_prefix("exit code: 1\n--- stdout\n").and_then(|rest| rest.split_once("\n--- stderr"));
    let json: Json = serde_json::from_str(json.unwrap_or_else(|| panic!("{output}")).0).expect("JSON");
    for key in ["error_code", "http_status", "type", "dataset", "config", "revision", "details", "input_file"] {
        assert_eq!(json[key], failed[key], "{key}");
    }
    assert!(json["peak_memory_bytes"].is_number() && json["bytes_read"].is_number());
    assert_eq!(server.stop(Signal::TERM), Some(0));
}

#[test]
fn a_step_run_by_hand_shows_its_logs_and_its_result() {
    let data = folder(&[BIRDS]);
    let here = folder(&[]);
    let folder = data.path().join("data").display().to_string();
    let arguments =
        ["run-step", "config-size", &folder, "--dataset", "local/birds", "--config-name", "default", "--color=never"];
    let output = run(here.path(), &[], &arguments);
    let (told, log) = output.split_once("\n--- stderr\n").expect("a run");
    let filters = vec![
        (r"[0-9a-f]{40}", "[revision]"),
        (r"\d+\.\d{3} s", "[time] s"),
        (r"after \d+ artifacts", "after [n] artifacts"),
        (r"(num_bytes_parquet_files.: )\d+", "${1}[n]"),
    ];
    insta::with_settings!({filters => filters}, { insta::assert_snapshot!(told, @r#"
        exit code: 0
        --- stdout
        config-size of local/birds, config default
        revision   [revision]
        outcome    ok
        time       [time] s, after [n] artifacts before it

        {
          "size": {
            "config": {
              "dataset": "local/birds",
              "config": "default",
              "num_bytes_original_files": null,
              "num_bytes_parquet_files": [n],
              "num_bytes_memory": 33,
              "num_rows": 2,
              "num_columns": 2,
              "estimated_num_rows": null
            },
            "splits": [
              {
                "dataset": "local/birds",
                "config": "default",
                "split": "train",
                "num_bytes_parquet_files": [n],
                "num_bytes_memory": 33,
                "num_rows": 2,
                "num_columns": 2,
                "estimated_num_rows": null
              }
            ]
          },
          "partial": false
        }
        "#); });
    assert!(log.contains("computing first: config-parquet-and-info of local/birds, config default"), "{log}");
    assert_eq!(std::fs::read_dir(here.path()).expect("readable").count(), 0, "it leaves nothing behind");
}

#[test]
fn what_cannot_be_run_is_told() {
    let data = folder(&[BIRDS]);
    let mut told = Vec::new();
    for arguments in [
        &["run-step", "config-size", "data", "--dataset", "local/birds"][..],
        &["run-step", "dataset-size", "data", "--dataset", "local/birds", "--split", "train"],
        &["run-step", "config-nothing", "data", "--dataset", "local/birds"],
        &["run-step", "dataset-size", "data", "--dataset", "local/none"],
        &["run-step", "dataset-size", "data", "--dataset", "a/b/c"],
        &["run-step", "dataset-size", "data", "--dataset", "local/birds", "--revision", "abc"],
        &["run-step", "dataset-size", "--dataset", "local/birds"],
    ] {
        let output = run(data.path(), &[], &[arguments, &["--quiet"]].concat());
        told.push(output.replace("exit code: ", "").replace("\n--- stdout\n\n--- stderr\n", " "));
    }
    let filters = vec![(r"[0-9a-f]{40}", "[revision]")];
    insta::with_settings!({filters => filters}, { insta::assert_snapshot!(told.join("\n\n"), @r#"
        2 error: config-size needs `--config-name`

        2 error: dataset-size takes no `--split`
        hint: leave it out

        2 error: `config-nothing` is not a step
        hint: `belvedere admin graph` lists them

        2 error: there is no dataset local/none in the folders
        hint: `belvedere check FOLDER` tells which there are

        2 error: `a/b/c` is not a dataset name: expected `namespace/name`, letters, digits, `-`, `_` and `.` only, at most 96 characters each, without `..` or `--`, not starting or ending with `-` or `.`

        3 error: the files of local/birds are at revision [revision], not abc
        hint: leave out `--revision` to run the step on the files as they are now

        2 error: no folder to read
        hint: name at least one: `belvedere run-step STEP FOLDER`, or set `serve.folders`
        "#); });
}
