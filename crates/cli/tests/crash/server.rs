//! One process on a SQLite file, killed and started again (rows 1, 2 and 5).

use std::time::{Duration, Instant};

use belvedere_domain::job::JobStatus;
use rustix::process::Signal;

use crate::bed::{Bed, CONVERSION, FEW, MANY};
use crate::chance::Sequence;

/// A lease that nobody would wait for.
const LONG_LEASE: &str = "3600";

/// e001 | a server on SQLite is killed | the next start ends the leases of the one before at once and goes on; nobody
/// waits for them
#[test]
fn e001_a_killed_server_goes_on_at_once_after_its_restart() {
    let mut bed = Bed::sqlite();
    bed.set("WORKER_HEARTBEAT_INTERVAL_SECONDS", LONG_LEASE);
    bed.write("long", MANY);
    let mut server = bed.serve();
    server.address();
    bed.catch(&server);
    server.kill();
    bed.write("short", FEW);
    let store = bed.left_store();
    let job = bed.job(&store, "lab/long", CONVERSION).unwrap();
    assert_eq!((job.status, job.crashes), (JobStatus::Started, 0));
    drop(store);
    let mut server = bed.serve();
    let base = server.address();
    bed.settle(&base);
    bed.assert_files_whole(&base);
    server.signal(Signal::TERM);
    assert_eq!(server.end().code(), Some(0));
    assert!(server.log().contains("took jobs over from workers that vanished"), "{}", server.log());
    bed.assert_views_whole(&bed.left_store());
    bed.assert_nothing_left();
}

/// e005 | a server on SQLite is asked to stop in the middle of a job | jobs may end for `worker.grace_seconds`, the
/// others go back to the queue as they were; exit code 0; no crash is counted
#[test]
fn e005_a_server_that_stops_in_order_counts_no_crash() {
    let mut bed = Bed::sqlite();
    bed.set("WORKER_HEARTBEAT_INTERVAL_SECONDS", LONG_LEASE);
    bed.set("WORKER_GRACE_SECONDS", "0.3");
    bed.write("long", MANY);
    let mut server = bed.serve();
    server.address();
    bed.catch(&server);
    let asked = Instant::now();
    server.signal(Signal::TERM);
    assert_eq!(server.end().code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(10), "it took {:?} to stop", asked.elapsed());
    bed.assert_nothing_left();
    let store = bed.left_store();
    let job = bed.job(&store, "lab/long", CONVERSION).unwrap();
    assert_eq!((job.status, job.crashes, job.attempt), (JobStatus::Waiting, 0, 0));
    drop(store);
    let mut server = bed.serve();
    let base = server.address();
    bed.settle(&base);
    bed.assert_files_whole(&base);
    assert!(!server.log().contains("took jobs over"), "{}", server.log());
    crate::whole::stop_in_order(vec![server]);
    bed.assert_views_whole(&bed.left_store());
}

/// e002 | a server on SQLite is killed again and again, while files change | the first undisturbed start completes
/// everything
#[test]
fn e002_kills_at_any_moment_lose_nothing() {
    const KILLS: u32 = 16;
    let mut bed = Bed::sqlite();
    // The same job may be in work at each of the kills, without being their cause.
    bed.set("WORKER_MAX_CRASHES", "100");
    for dataset in ["a", "b", "c"] {
        bed.write(dataset, FEW);
    }
    bed.write("long", MANY / 2);
    let mut random = Sequence::of(20_240_607);
    for kill in 0..KILLS {
        let mut server = bed.serve();
        // From before the store is open to the middle of conversions and of the steps that follow.
        let moment = Instant::now() + Duration::from_millis(random.below(1200));
        crate::process::until("the moment has come", || (Instant::now() >= moment).then_some(()));
        server.kill();
        // Between two lives the files change, too.
        match kill % 4 {
            1 => bed.write("a", FEW + u64::from(kill)),
            3 => bed.write(&format!("new-{kill}"), FEW),
            _ => {}
        }
    }
    let mut server = bed.serve();
    let base = server.address();
    bed.settle(&base);
    bed.assert_files_whole(&base);
    crate::whole::stop_in_order(vec![server]);
    bed.assert_views_whole(&bed.left_store());
    bed.assert_nothing_left();
}
