//! Workers that vanish, stand still, or come back (rows 1 to 4 and 28).

use std::time::Instant;

use belvedere_domain::DatasetName;
use belvedere_domain::job::JobStatus;
use belvedere_store::{ClaimRequest, Completion, Finished, Pulse};
use rustix::process::Signal;

use crate::bed::{Bed, CONVERSION, FEW, MANY};
use crate::process::until;

/// e001 | a worker is killed in the middle of a job | its lease runs out, another worker does the job; the crash is
/// counted, the view is written once, the scratch directory is removed
#[test]
fn e001_killed_worker_is_replaced() {
    let Some(mut bed) = Bed::postgres() else { return };
    bed.write("long", MANY);
    let mut api = bed.api();
    let base = api.address();
    let mut first = bed.worker();
    bed.catch_job(&first, "lab/long");
    first.kill();
    bed.write("short", FEW);
    let second = bed.worker();
    bed.settle(&base);
    assert_eq!(bed.times("crash", "lab/long", CONVERSION), 1);
    assert_eq!(bed.times("view", "lab/long", CONVERSION), 1);
    bed.close(&base, vec![second, api]);
}

/// e002 | a worker is killed while it commits | the result is there as a whole or not at all; what is missing is done
/// again
#[test]
fn e002_a_worker_killed_while_it_commits_leaves_all_or_nothing() {
    let Some(mut bed) = Bed::postgres() else { return };
    bed.write("one", 5 * FEW);
    let mut api = bed.api();
    let base = api.address();
    // Nobody can store a view: the worker stands in the middle of its transaction, its files are written.
    let gate = bed.close_gate();
    let mut worker = bed.worker();
    gate.wait_for_somebody(&bed);
    worker.kill();
    // The network tells the server that nobody is there; a statement that already runs would not notice.
    gate.cut_those_who_wait(&bed);
    assert_eq!(bed.times("view", "lab/one", CONVERSION), 0);
    // The job is there still; on a slow machine its lease has run out by now, and it waits again.
    let job = bed.job(bed.store(), "lab/one", CONVERSION).unwrap();
    assert!(matches!(job.status, JobStatus::Started | JobStatus::Waiting), "{job:?}");
    gate.open(&bed);
    let worker = bed.worker();
    bed.settle(&base);
    assert_eq!(bed.times("view", "lab/one", CONVERSION), 1);
    bed.close(&base, vec![worker, api]);
}

/// e003 | a worker stands still beyond its lease and comes back | another one has done the job; the late result is
/// refused, with the words `stale lease` in the log
#[test]
fn e003_stopped_worker_comes_back_too_late() {
    let Some(mut bed) = Bed::postgres() else { return };
    bed.write("long", MANY);
    let mut api = bed.api();
    let base = api.address();
    let late = bed.worker();
    let caught = bed.catch_job(&late, "lab/long");
    late.signal(Signal::STOP);
    let other = bed.worker();
    bed.settle(&base);
    assert_eq!(bed.times("crash", "lab/long", CONVERSION), 1);
    let stored = stored_at(&bed, "lab/long");
    // Its readers go on where they stood, so it brings a result of its own, or learns before that nobody wants it.
    late.readers().iter().for_each(|reader| rustix::process::kill_process(*reader, Signal::CONT).unwrap());
    late.signal(Signal::CONT);
    late.says("stale lease");
    assert_eq!(stored_at(&bed, "lab/long"), stored, "the view was written again");
    assert_eq!(bed.times("view", "lab/long", CONVERSION), 1);
    assert!(bed.job(bed.store(), "lab/long", CONVERSION).is_none_or(|job| job.id == caught.id));
    bed.close(&base, vec![late, other, api]);
}

fn stored_at(bed: &Bed, dataset: &str) -> Vec<(String, belvedere_domain::Timestamp)> {
    let name = DatasetName::new(dataset).unwrap();
    let rows = bed.runtime.block_on(bed.store().views.rows(&name)).unwrap();
    rows.into_iter().map(|row| (row.key.to_string(), row.updated_at)).collect()
}

/// e004 | a job kills every worker that tries it | after three crashes (`worker.max_crashes`) its view is the error
/// `JobManagerCrashedError`, which names the cause; everything else goes on; the next start of a server tries again
#[test]
fn e004_a_job_that_kills_its_workers_is_given_up() {
    let Some(mut bed) = Bed::postgres() else { return };
    bed.write("deadly", MANY);
    let mut api = bed.api();
    let base = api.address();
    for crashes in 0..3 {
        let mut worker = bed.worker();
        let job = bed.catch_job(&worker, "lab/deadly");
        assert_eq!(job.crashes, crashes);
        worker.kill();
    }
    bed.write("other", FEW);
    let worker = bed.worker();
    let url = format!("{base}/parquet?dataset=lab/deadly&config=default");
    let given_up = until("the job is given up", || {
        let answer = bed.try_get(&url)?;
        (answer.status == 501).then_some(answer)
    });
    assert_eq!(given_up.json()["error"], "the worker died 3 times while computing this; it is given up");
    // Everything else goes on.
    let size = format!("{base}/size?dataset=lab/other");
    until("the other dataset is ready", || {
        (bed.try_get(&size)?.json()["size"]["dataset"]["num_rows"] == FEW).then_some(())
    });
    until("the queue is empty", || {
        bed.runtime.block_on(bed.store().queue.pending(None)).unwrap().is_empty().then_some(())
    });
    let rows = bed.runtime.block_on(bed.store().views.rows(&DatasetName::new("lab/deadly").unwrap())).unwrap();
    let conversion = rows.iter().find(|row| row.key.step.as_str() == CONVERSION).unwrap();
    assert_eq!((conversion.error_code.as_deref(), conversion.failed_runs), (Some("JobManagerCrashedError"), 1));
    // What kills its workers may have been the machine: the next look at the dataset tries again.
    crate::whole::stop_in_order(vec![api]);
    let mut api = bed.api();
    let base = api.address();
    bed.settle(&base);
    bed.assert_files_whole(&base);
    crate::whole::stop_in_order(vec![worker, api]);
    bed.assert_nothing_left();
    let database = bed.database.take().unwrap();
    bed.runtime.block_on(database.remove());
}

/// e028 | a worker comes back under a name used before | leases belong to a token, not to a name: the old one gives no
/// rights
#[test]
fn e028_a_worker_name_used_again_gives_no_rights() {
    let Some(mut bed) = Bed::postgres() else { return };
    bed.write("one", FEW);
    let mut api = bed.api();
    let base = api.address();
    let dataset = DatasetName::new("lab/one").unwrap();
    let queue = &bed.store().queue;
    let request = |lease_seconds| ClaimRequest { owner: "host-1".into(), lease_seconds, ..ClaimRequest::default() };
    let claim = |seconds| bed.runtime.block_on(queue.claim(&request(seconds))).unwrap();
    let before = until("the first job is queued", || claim(-1.0));
    bed.runtime.block_on(queue.collect_expired(3, 60.0)).unwrap();
    let after = claim(60.0).unwrap();
    assert_eq!(before.lease.job, after.lease.job);
    let pulses = bed.runtime.block_on(queue.heartbeat(&[before.lease.clone(), after.lease.clone()], 60.0)).unwrap();
    assert_eq!(pulses, [Pulse::Lost, Pulse::Alive]);
    let late = bed.runtime.block_on(queue.finish(&before.lease, Completion::default())).unwrap();
    assert_eq!(late, Finished::LeaseLost);
    assert!(bed.runtime.block_on(queue.has_pending(&dataset, &[])).unwrap());
    assert!(bed.runtime.block_on(queue.release(&after.lease, 0.0, false)).unwrap());
    let started = Instant::now();
    let worker = bed.worker();
    bed.settle(&base);
    assert!(started.elapsed().as_secs() < 60, "the worker waited for a lease that was handed back");
    bed.close(&base, vec![worker, api]);
}
