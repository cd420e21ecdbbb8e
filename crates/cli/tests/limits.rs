//! What files that are too much for a child process do: the answer names the cause, and the server lives on.

mod common;

use std::fs;

use common::{Server, bomb, folder, program, put, run};
use rustix::process::Signal;

/// The smallest that may be set.
const MEMORY: &str = "worker.child_memory_bytes=100000000";

/// 100,000 rows of 10 bytes.
fn rows() -> Vec<u8> {
    b"aaaaaaa,1\n".repeat(100_000)
}

#[test]
fn a_cell_larger_than_the_memory_of_a_child_is_told_and_the_server_lives_on() {
    // One cell of 2 GB in 2 MB of gzip.
    let data =
        folder(&[("data/bomb/a.csv.gz", &bomb(b"a\n", &vec![b'a'; 1_000_000], 2000)), ("data/good/a.csv", b"a\n1\n")]);
    let command = program(data.path(), &[], &["serve", "data", "--port", "0", "--set", MEMORY]);
    let mut server = Server::start(command, "listening on ");
    let problem = server.wait_for("problem local/bomb");
    insta::assert_snapshot!(problem, @"problem local/bomb: the process that read the files ran out of the memory it is allowed (JobManagerCrashedError)");
    let (status, _) = server.ready("/rows?dataset=local/good&config=default&split=train");
    assert_eq!(status, 200);
    assert_eq!(server.stop(Signal::TERM), Some(0));
}

#[test]
fn a_file_of_many_rows_is_converted_in_bounded_memory() {
    // 200 MB of rows through a child that has 100 MB.
    let data = folder(&[("a.csv.gz", &bomb(b"name,number\n", &rows(), 20))]);
    let shown = run(data.path(), &[], &["check", "x=a.csv.gz", "-q", "--set", MEMORY]);
    assert!(shown.contains("2,000,000 rows"), "{shown}");
}

#[test]
fn a_job_that_takes_too_long_is_stopped_and_says_so() {
    let data = folder(&[("a.csv.gz", &bomb(b"name,number\n", &rows(), 20_000))]);
    let variables = [("WORKER_MAX_JOB_DURATION_SECONDS", "1"), ("WORKER_KILL_LONG_JOB_INTERVAL_SECONDS", "0.1")];
    let shown = run(data.path(), &variables, &["check", "x=a.csv.gz", "-q", "--json"]);
    assert!(shown.contains("\"JobManagerExceededMaximumDurationError\""), "{shown}");
    assert!(shown.contains("took longer than 1 seconds and was stopped"), "{shown}");
}

#[test]
fn a_child_that_is_killed_is_told_and_the_server_lives_on() {
    let data = folder(&[("data/long/a.csv.gz", &bomb(b"name,number\n", &rows(), 20_000))]);
    let mut server = Server::start(program(data.path(), &[], &["serve", "data", "--port", "0"]), "listening on ");
    // Idle children may be killed with it; they are replaced.
    let killed = loop {
        if converting(data.path()) {
            break children(server.id());
        }
        std::thread::yield_now();
    };
    for child in killed {
        common::send(child, Signal::KILL);
    }
    let problem = server.wait_for("problem local/long");
    assert!(problem.contains("was killed, probably because the machine ran out of memory"), "{problem}");
    assert!(problem.contains("JobManagerCrashedError"), "{problem}");
    put(&data.path().join("data/good/a.csv"), b"a\n1\n");
    server.wait_for("local/good");
    let (status, _) = server.ready("/rows?dataset=local/good&config=default&split=train");
    assert_eq!(status, 200);
}

/// The child processes of a process.
fn children(parent: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<u32>>()).collect()
}

/// A conversion has begun to write.
fn converting(directory: &std::path::Path) -> bool {
    let scratch = fs::read_dir(directory.join(".belvedere/scratch")).into_iter().flatten().flatten();
    scratch.into_iter().any(|entry| {
        entry.file_name().to_string_lossy().starts_with("config-parquet-and-info")
            && fs::read_dir(entry.path()).is_ok_and(|files| files.count() > 0)
    })
}
