//! Workers that are asked to stop (rows 5 and 6).

use std::time::{Duration, Instant};

use belvedere_domain::job::JobStatus;
use rustix::process::Signal;

use crate::bed::{Bed, CONVERSION, MANY};

/// e005 | a worker is asked to stop (`SIGTERM`, `SIGINT`) | it takes no more jobs and ends those it has; exit code 0
#[test]
fn e005_a_worker_asked_to_stop_finishes_its_job() {
    let Some(mut bed) = Bed::postgres() else { return };
    bed.write("long", MANY);
    let mut api = bed.api();
    let base = api.address();
    let mut worker = bed.worker();
    bed.catch_job(&worker, "lab/long");
    worker.signal(Signal::TERM);
    worker.says("stopping");
    worker.readers().iter().for_each(|reader| rustix::process::kill_process(*reader, Signal::CONT).unwrap());
    assert_eq!(worker.end().code(), Some(0));
    assert_eq!(bed.times("view", "lab/long", CONVERSION), 1);
    let worker = bed.worker();
    bed.settle(&base);
    assert_eq!(bed.times("crash", "lab/long", CONVERSION), 0);
    bed.close(&base, vec![worker, api]);
}

/// e005 | a worker that is asked to stop has a job that takes long | after `worker.grace_seconds` the job goes back to
/// the queue as it was; no crash is counted
#[test]
fn e005_a_worker_hands_back_what_takes_too_long() {
    let Some(mut bed) = Bed::postgres() else { return };
    bed.set("WORKER_GRACE_SECONDS", "0.3");
    bed.write("long", MANY);
    let mut api = bed.api();
    let base = api.address();
    let mut worker = bed.worker();
    let caught = bed.catch_job(&worker, "lab/long");
    let asked = Instant::now();
    worker.signal(Signal::TERM);
    assert_eq!(worker.end().code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(10), "it took {:?} to stop", asked.elapsed());
    let job = bed.job(bed.store(), "lab/long", CONVERSION).unwrap();
    assert_eq!((job.id, job.status, job.crashes, job.attempt), (caught.id, JobStatus::Waiting, 0, caught.attempt - 1));
    bed.assert_nothing_left();
    let worker = bed.worker();
    bed.settle(&base);
    assert_eq!(bed.times("crash", "lab/long", CONVERSION), 0);
    bed.close(&base, vec![worker, api]);
}

/// e006 | a second signal while it stops | it ends at once; its leases run out like those of one that was killed
#[test]
fn e006_a_second_signal_ends_the_worker_at_once() {
    let Some(mut bed) = Bed::postgres() else { return };
    bed.set("WORKER_GRACE_SECONDS", "600");
    bed.write("long", MANY);
    let mut api = bed.api();
    let base = api.address();
    let mut worker = bed.worker();
    bed.catch_job(&worker, "lab/long");
    worker.signal(Signal::TERM);
    worker.says("stopping");
    worker.signal(Signal::TERM);
    assert_eq!(worker.end().code(), Some(130));
    assert_eq!(bed.job(bed.store(), "lab/long", CONVERSION).unwrap().status, JobStatus::Started);
    // Its lease runs out like that of one that was killed.
    let worker = bed.worker();
    bed.settle(&base);
    assert_eq!(bed.times("crash", "lab/long", CONVERSION), 1);
    bed.close(&base, vec![worker, api]);
}
