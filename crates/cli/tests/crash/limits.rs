//! A process that may open only a few files, and a machine that is busy (rows 14 and 29).

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::bed::{Bed, FEW};
use crate::process::until;

/// Files that the server may open, and connections that are too many for it.
const CONNECTIONS: usize = 150;

/// e014 | connections use up the files that the process may open | further ones wait without costing time, which the log tells
/// once a second at most; when some are closed, everything goes on
#[test]
fn e014_too_many_connections_are_waited_out() {
    let mut bed = Bed::sqlite();
    bed.wrapper = &["/bin/bash", "-c", "ulimit -n 120; exec \"$@\"", "limited"];
    bed.write("old", FEW);
    let mut server = bed.serve();
    let base = server.address();
    bed.settle(&base);
    let address = base.trim_start_matches("http://").to_owned();
    let before = std::time::Instant::now();
    let connections: Vec<TcpStream> = (0..CONNECTIONS).map(|_| TcpStream::connect(&address).unwrap()).collect();
    server.says("oo many open files");
    bed.write("new", FEW);
    drop(connections);
    let seconds = before.elapsed().as_secs() as usize;
    bed.settle(&base);
    let told = server.log().matches("accept error").count();
    assert!(told <= seconds + 2, "told {told} times in {seconds} seconds");
    assert!(!server.log().contains("panicked"), "{}", server.log());
    bed.assert_files_whole(&base);
    crate::whole::stop_in_order(vec![server]);
    bed.assert_views_whole(&bed.left_store());
    bed.assert_nothing_left();
}

/// Connections that stay open without a word, and such that ask all at once.
const IDLE: usize = 1000;
const CROWD: usize = 2000;

/// e087 | a thousand connections stay open without a word, while two thousand ask for rows at the same moment | each gets its answer, or 429 or 503 where that is too much; memory stays bounded, and the idle ones are served when they ask
#[test]
fn e087_a_crowd_is_served_in_bounded_memory() {
    let mut bed = Bed::sqlite();
    bed.write("old", FEW);
    let mut server = bed.serve();
    let base = server.address();
    bed.settle(&base);
    let address = base.trim_start_matches("http://").to_owned();
    let connect = |_| {
        let stream = TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(crate::process::PATIENCE)).unwrap();
        stream
    };
    let ask = |mut stream: &TcpStream, path: &str, more: &str| {
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{more}\r\n").as_bytes()).unwrap();
    };
    let status = |mut stream: &TcpStream| {
        let mut line = [0; 12];
        stream.read_exact(&mut line).unwrap();
        String::from_utf8_lossy(&line[9..]).into_owned()
    };
    let idle: Vec<TcpStream> = (0..IDLE).map(connect).collect();
    let before = server.memory_bytes();
    let crowd: Vec<TcpStream> = (0..CROWD).map(connect).collect();
    let rows = "/rows?dataset=lab/old&config=default&split=train&offset=0&length=100";
    crowd.iter().for_each(|stream| ask(stream, rows, "connection: close\r\n"));
    let during = server.memory_bytes();
    let told: Vec<String> = crowd.iter().map(status).collect();
    let good = told.iter().filter(|status| *status == "200").count();
    let shed = told.iter().filter(|status| matches!(status.as_str(), "429" | "503")).count();
    assert!(good > 0 && good + shed == CROWD, "{good} answers, {shed} refusals, {told:?}");
    drop(crowd);
    let after = server.memory_bytes();
    let most = before + (400 << 20);
    assert!(during < most && after < most, "{before}, {during} and {after} bytes");
    idle.iter().for_each(|stream| ask(stream, "/healthcheck", ""));
    assert!(idle.iter().all(|stream| status(stream) == "200"));
    drop(idle);
    crate::whole::stop_in_order(vec![server]);
}

/// e029 | load, memory or disk use is above its threshold | no job is started; `/admin/gate` tells why; answers that are stored
/// are served
#[test]
fn e029_a_busy_machine_starts_no_job_and_says_why() {
    let mut bed = Bed::sqlite();
    bed.write("old", FEW);
    let mut server = bed.serve();
    let base = server.address();
    bed.settle(&base);
    assert_eq!(bed.get(&format!("{base}/admin/gate")).json(), serde_json::json!({"open": true, "reason": null}));
    crate::whole::stop_in_order(vec![server]);
    bed.set("WORKER_MAX_SYSTEM_MEMORY_PCT", "1");
    bed.write("new", FEW);
    let mut server = bed.serve();
    let base = server.address();
    server.says("no job is started for now");
    // A folder that has just been written is looked at again before its jobs are queued; readers hear of neither.
    until("the new dataset is queued", || (bed.unsettled(&base)? > 0).then_some(()));
    let answer = bed.get(&format!("{base}/splits?dataset=lab/new"));
    assert!(
        answer.status == 500 && answer.json()["error"].as_str().unwrap().contains("not ready"),
        "{}",
        answer.json()
    );
    let gate = bed.get(&format!("{base}/admin/gate")).json();
    assert_eq!(gate["open"], false);
    assert!(gate["reason"].as_str().unwrap().starts_with("memory use of the machine is "), "{gate}");
    assert_eq!(bed.get(&format!("{base}/splits?dataset=lab/old")).status, 200);
    crate::whole::stop_in_order(vec![server]);
    let store = bed.left_store();
    let waiting = bed.runtime.block_on(store.queue.pending(None)).unwrap();
    assert!(waiting.iter().all(|job| job.attempt == 0) && !waiting.is_empty(), "{waiting:?}");
    drop(store);
    bed.set("WORKER_MAX_SYSTEM_MEMORY_PCT", "0");
    let mut server = bed.serve();
    let base = server.address();
    bed.settle(&base);
    crate::whole::stop_in_order(vec![server]);
    bed.assert_views_whole(&bed.left_store());
}
