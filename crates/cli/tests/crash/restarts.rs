//! PostgreSQL restarts, stands still or cuts connections under servers and workers (rows 7 to 9).

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::bed::{Bed, CONVERSION, FEW, MANY};
use crate::postgres::Server;

/// e007 | PostgreSQL stops, in order or not, and comes back | servers and workers stay; requests fail soon with 503
/// `ServiceUnavailable` and `Retry-After`; results in hand are kept and stored when it is back; changes of files that
/// could not be recorded are recorded then
#[test]
fn e007_a_restart_of_postgresql_loses_nothing() {
    let Some(server) = Server::start() else { return };
    let mut bed = Bed::on(&server.url);
    bed.write("long", MANY);
    let mut api = bed.api();
    let base = api.address();
    let mut workers = vec![bed.worker(), bed.worker()];
    workers.iter().for_each(|worker| worker.says("the worker runs"));

    for (round, mode) in ["fast", "immediate"].into_iter().enumerate() {
        crate::process::until("a conversion runs", || (!bed.scratch().is_empty()).then_some(()));
        server.stop(mode);
        // While it is away, requests are answered soon, and what changes is remembered.
        let asked = Instant::now();
        assert_eq!(bed.get(&format!("{base}/splits?dataset=lab/long")).status, 503);
        assert!(asked.elapsed() < Duration::from_secs(15), "the answer took {:?}", asked.elapsed());
        assert_eq!(bed.get(&format!("{base}/healthcheck")).status, 200);
        bed.write(&format!("new-{round}"), FEW);
        api.says(&format!("lab/new-{round}"));
        server.start_again();
        bed.settle(&base);
        if round == 0 {
            bed.write("long", MANY + 1000);
        }
    }
    assert!(api.is_running() && workers.iter_mut().all(crate::process::Program::is_running));
    workers.push(api);
    bed.close(&base, workers);
}

/// e008 | PostgreSQL stands still, and says nothing | requests get 503 `ServiceUnavailable` within half a minute, however many
/// there are, and no thread is spent on them; when it goes on, so does everything else
#[test]
fn e008_a_database_that_stands_still_is_not_waited_for() {
    const REQUESTS: usize = 60;
    let Some(server) = Server::start() else { return };
    let mut bed = Bed::on(&server.url);
    bed.write("one", FEW);
    let mut api = bed.api();
    let base = api.address();
    let worker = bed.worker();
    bed.settle(&base);
    let threads = api.threads();
    server.signal(Signal::STOP);
    let url = format!("{base}/splits?dataset=lab/one");
    let asked = Instant::now();
    std::thread::scope(|scope| {
        let requests: Vec<_> = (0..REQUESTS).map(|_| scope.spawn(|| bed.get(&url).status)).collect();
        assert_eq!(bed.get(&format!("{base}/healthcheck")).status, 200);
        for request in requests {
            assert_eq!(request.join().unwrap(), 503);
        }
    });
    assert!(asked.elapsed() < Duration::from_secs(30), "the answers took {:?}", asked.elapsed());
    assert!(api.threads() <= threads + 4, "{} threads instead of {threads}", api.threads());
    bed.write("two", FEW);
    api.says("lab/two");
    server.signal(Signal::CONT);
    bed.settle(&base);
    bed.close(&base, vec![worker, api]);
}

/// e009 | a connection to PostgreSQL is cut in the middle of a transaction | nothing of the transaction is there; the result
/// is kept and stored over another connection, once
#[test]
fn e009_a_cut_connection_costs_no_result() {
    let Some(mut bed) = Bed::postgres() else { return };
    // The job that is about to be ended gives no signs of life meanwhile.
    bed.set("WORKER_HEARTBEAT_INTERVAL_SECONDS", "30");
    bed.write("one", 5 * FEW);
    let mut api = bed.api();
    let base = api.address();
    let gate = bed.close_gate();
    let worker = bed.worker();
    gate.cut_those_who_wait(&bed);
    worker.says("the database is away, trying again");
    assert_eq!(bed.times("view", "lab/one", CONVERSION), 0);
    gate.open(&bed);
    bed.settle(&base);
    assert_eq!(bed.times("view", "lab/one", CONVERSION), 1);
    assert_eq!(bed.times("crash", "lab/one", CONVERSION), 0);
    bed.close(&base, vec![worker, api]);
}
