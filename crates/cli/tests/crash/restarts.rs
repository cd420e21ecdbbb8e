//! PostgreSQL restarts under servers and workers (row 7).

use std::time::{Duration, Instant};

use crate::bed::{Bed, FEW, MANY};
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
