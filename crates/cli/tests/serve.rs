//! `belvedere serve` and `belvedere worker`: started, asked over a socket, stopped by a signal.

mod common;

use std::io::{Read, Write};

use common::{Server, folder, program, run};
use rustix::process::Signal;

#[test]
fn serve_tells_what_it_found_answers_and_stops() {
    let data = folder(&[
        ("data/wine/train.csv", b"name,points\nriesling,93\nmerlot,88\n"),
        ("data/bad/a.csv", b"a,b\n1,2\n3,4,5\n"),
    ]);
    let mut server = Server::start(program(data.path(), &[], &["serve", "data", "--port", "0"]), "listening on ");
    let (status, splits) = server.ready("/splits?dataset=local/wine");
    assert_eq!((status, &splits["splits"][0]["split"]), (200, &"train".into()));
    let (status, rows) = server.ready("/rows?dataset=local/wine&config=default&split=train&offset=1&length=1");
    assert_eq!((status, &rows["rows"][0]["row"]["name"]), (200, &"merlot".into()));
    assert_eq!(server.ask("/healthcheck").0, 200);
    server.wait_for("Ctrl-C stops");
    // Where it takes longer, it tells every few seconds how far it is; and datasets are ready in any order.
    server.told.retain(|line| !line.ends_with(" to do"));
    server.told.sort();
    let path = data.path().canonicalize().expect("it is there").display().to_string();
    let told = server.told.join("\n").replace(&path, "[here]");
    insta::with_settings!({filters => vec![(r"localhost:\d+", "localhost:[port]"), (r"[\d.]+ s", "[time] s")]}, {
        insta::assert_snapshot!(told, @r"
          local/bad
          local/wine
          or open http://localhost:[port]/ in a browser; Ctrl-C stops
          try: curl 'http://localhost:[port]/rows?dataset=local/wine&config=default&split=train&length=3'
          try: curl 'http://localhost:[port]/splits?dataset=local/bad'
        [here]/data: every folder in it is a dataset of `local`; add --single to serve it as one dataset
        2 datasets after [time] s, 1 with problems
        listening on http://localhost:[port]
        problem local/bad: a.csv, line 3: expected 2 fields, found 3; quote fields that hold the separator, or skip such lines with `on_bad_lines: skip` (DatasetGenerationError, FeaturesError)
        ready   local/wine
        ");
    });
    assert_eq!(server.stop(Signal::TERM), Some(0));
}

#[test]
fn a_quiet_server_tells_nothing_and_an_interrupt_ends_it() {
    let data = folder(&[("data/wine/train.csv", b"a\n1\n")]);
    // Nobody tells the port that the system would choose.
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = free.local_addr().expect("bound").port().to_string();
    drop(free);
    let arguments = ["serve", "data", "--quiet", "--host", "127.0.0.1", "--port", &port];
    let mut command = program(data.path(), &[], &arguments);
    let mut child = command.stderr(std::process::Stdio::piped()).spawn().expect("the program was built");
    // Signals are listened to before requests are answered.
    let mut answer = String::new();
    while answer.is_empty() {
        assert!(child.try_wait().expect("it can be waited for").is_none(), "it runs");
        let Ok(mut stream) = std::net::TcpStream::connect(format!("127.0.0.1:{port}")) else { continue };
        stream.write_all(b"GET /healthcheck HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("sent");
        stream.read_to_string(&mut answer).expect("an answer");
    }
    common::send(child.id(), Signal::INT);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr)), (Some(0), "".into()));
}

#[test]
fn the_log_in_json_is_json_only() {
    let data = folder(&[("data/wine/train.csv", b"a\n1\n")]);
    let command = program(data.path(), &[("LOG_FORMAT", "json")], &["serve", "data", "--port", "0"]);
    let mut server = Server::start(command, "listening on ");
    server.wait_for("Ctrl-C stops");
    for line in &server.told {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
    }
}

#[test]
fn what_is_in_the_way_of_a_server_is_named() {
    let data = folder(&[("data/wine/train.csv", b"a\n1\n")]);
    let arguments = ["serve", "data", "--port", "0", "--state", "first"];
    let server = Server::start(program(data.path(), &[], &arguments), "listening on ");
    let port = server.address.rsplit_once(':').expect("a port").1;
    let filters = || vec![(r"localhost:\d+", "localhost:[port]"), (r"pid \d+", "pid [number]")];
    insta::with_settings!({filters => filters()}, {
        insta::assert_snapshot!(run(data.path(), &[], &["serve", "data", "--port", port]), @r"
        exit code: 3
        --- stdout

        --- stderr
        error: localhost:[port] cannot be listened on
          because Address already in use (os error 98)
        hint: stop the other program, or choose another port with `--port`; 0 lets the system choose
        ");
        insta::assert_snapshot!(run(data.path(), &[], &arguments), @r"
        exit code: 3
        --- stdout

        --- stderr
        error: the store sqlite:first/belvedere.sqlite cannot be opened
          because first/belvedere.sqlite is in use by another process (pid [number]); one process owns a SQLite store, several need PostgreSQL
        hint: stop the other process, or name another place with `--state` or `STORE_URL`
        ");
        insta::assert_snapshot!(run(data.path(), &[], &["serve", "nowhere", "--port", "0"]), @r"
        exit code: 2
        --- stdout

        --- stderr
        error: nowhere cannot be served
          because No such file or directory (os error 2)
        hint: name existing folders, as PATH or NAMESPACE=PATH
        ");
        let worker = ["worker", "data", "--set", &format!("worker.uvicorn_port={port}")];
        insta::assert_snapshot!(run(data.path(), &[], &worker), @r"
        exit code: 3
        --- stdout

        --- stderr
        error: localhost:[port] cannot be listened on
          because Address already in use (os error 98)
        hint: set `WORKER_UVICORN_PORT` to another port; 0 lets the system choose
        ");
        insta::assert_snapshot!(run(data.path(), &[], &["worker"]), @r"
        exit code: 2
        --- stdout

        --- stderr
        error: no folder to work on
        hint: name at least one: `belvedere worker FOLDER`, or set `serve.folders`
        ");
        let step = ["serve", "data", "--port", "0", "--set", "worker.job_types_only=split-first-row"];
        insta::assert_snapshot!(run(data.path(), &[], &step), @r"
        exit code: 2
        --- stdout

        --- stderr
        error: `worker.job_types_only` names the step `split-first-row`, which does not exist
        hint: did you mean `split-first-rows`? `belvedere admin graph` lists all steps
        ");
    });
}

#[test]
fn a_worker_tells_that_it_lives() {
    let data = folder(&[("data/wine/train.csv", b"a\n1\n")]);
    let command = program(data.path(), &[("WORKER_UVICORN_PORT", "0")], &["worker", "data", "--color", "never"]);
    let server = Server::start(command, "the worker runs; ");
    assert_eq!(server.ask("/healthcheck"), (200, "ok".to_owned()));
    assert!(server.ask("/metrics").0 == 200);
    assert_eq!(server.ask("/splits?dataset=local/wine").0, 404);
    assert_eq!(server.stop(Signal::TERM), Some(0));
}
