//! Jobs that do not end by themselves (row 24).

use rustix::process::test_kill_process;

use crate::bed::{Bed, CONVERSION, FEW, MANY};
use crate::process::until;

/// e024 | a job takes longer than it may, although its worker gives signs of life | its reader is killed and its view is the
/// error `JobManagerExceededMaximumDurationError`; everything else goes on
#[test]
fn e024_a_job_that_takes_too_long_is_ended() {
    let Some(mut bed) = Bed::postgres() else { return };
    bed.set("WORKER_MAX_JOB_DURATION_SECONDS", "4");
    bed.set("WORKER_KILL_LONG_JOB_INTERVAL_SECONDS", "0.2");
    bed.write("long", MANY);
    let mut api = bed.api();
    let base = api.address();
    let worker = bed.worker();
    bed.catch_job(&worker, "lab/long");
    let readers = worker.readers();
    bed.write("short", FEW);
    let url = format!("{base}/parquet?dataset=lab/long&config=default");
    let ended = until("the job is ended", || bed.try_get(&url).filter(|answer| answer.status == 501));
    assert_eq!(ended.json()["error"], "the step took longer than 4 seconds and was stopped");
    until("its reader is gone", || readers.iter().all(|reader| test_kill_process(*reader).is_err()).then_some(()));
    assert_eq!(bed.times("crash", "lab/long", CONVERSION), 0);
    // What takes no longer than it may goes through.
    bed.write("long", FEW);
    bed.settle(&base);
    bed.close(&base, vec![worker, api]);
}
