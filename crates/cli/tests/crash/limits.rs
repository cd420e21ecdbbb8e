//! A process that may open only a few files, and a machine that is busy (rows 14 and 29).

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
    until("the new dataset is queued", || {
        let answer = bed.get(&format!("{base}/splits?dataset=lab/new"));
        (answer.status == 500 && answer.json()["error"].as_str()?.contains("not ready")).then_some(())
    });
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
