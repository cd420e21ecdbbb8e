//! Clocks that are set, or run too fast or too slow (rows 17 to 19). Never the machine's own.

use std::time::Instant;

use rustix::process::{Signal, kill_process};

use crate::bed::{Bed, CONVERSION, FEW, MANY};
use crate::clock::WrongClock;
use crate::postgres::Server;
use crate::process::{Program, until};

/// e017 | the clock of a worker's machine is set by an hour, ahead and back | leases are the database's: nobody takes its job
/// away, and it ends as usual
#[test]
fn e017_a_workers_clock_decides_nothing() {
    let Some(mut bed) = Bed::postgres() else { return };
    let Some(clock) = WrongClock::new(&bed.place("clock")) else { return };
    bed.write("long", MANY);
    let mut api = bed.api();
    let base = api.address();
    clock.variables().iter().for_each(|(name, value)| bed.set(name, value));
    let wrong = bed.worker();
    clock.variables().iter().for_each(|(name, _)| bed.unset(name));
    let caught = bed.catch_job(&wrong, "lab/long");
    let other = bed.worker();
    for time in ["+3600", "-3600", "+0"] {
        clock.tell(time);
        // It lives on for longer than a lease, as the other one sees.
        bed.wait_for_signs_of_life(5);
        let job = bed.job(bed.store(), "lab/long", CONVERSION).unwrap();
        assert_eq!((job.id, job.attempt, job.crashes), (caught.id, caught.attempt, 0), "the clock tells {time}");
    }
    go_on(&wrong);
    bed.settle(&base);
    assert_eq!(bed.times("crash", "lab/long", CONVERSION), 0);
    bed.close(&base, vec![wrong, other, api]);
}

fn go_on(worker: &Program) {
    for reader in worker.readers() {
        // One that is not needed any more may be gone.
        let _ = kill_process(reader, Signal::CONT);
    }
}

/// e018 | the clock of PostgreSQL's machine is set an hour ahead, and back | ahead, a job in work may count as given up, once; how
/// long it ran is counted by its worker; back, leases and rests that were given meanwhile hold for their length
#[test]
fn e018_a_clock_of_the_database_costs_one_lease_at_most() {
    let mut clock = None;
    let server = Server::start_with(|folder| {
        clock = WrongClock::new(folder);
        clock.as_ref().map(WrongClock::variables).unwrap_or_default()
    });
    let (Some(server), Some(clock)) = (server, clock) else { return };
    let mut bed = Bed::on(&server.url);
    bed.write("long", MANY);
    let mut api = bed.api();
    let base = api.address();
    let mut first = bed.worker();
    bed.catch_job(&first, "lab/long");
    clock.tell("+3600");
    // Whether a sign of life comes first, or a look for leases that ran out, is chance.
    bed.wait_for_signs_of_life(2);
    go_on(&first);
    bed.settle(&base);
    let ahead = bed.times("crash", "lab/long", CONVERSION);
    assert!(ahead <= 1, "{ahead} leases were lost");
    bed.write("long", MANY + 1000);
    bed.catch_job(&first, "lab/long");
    bed.wait_for_signs_of_life(1);
    clock.tell("+0");
    first.kill();
    let killed = Instant::now();
    let second = bed.worker();
    until("the job is taken over", || (bed.times("crash", "lab/long", CONVERSION) == ahead + 1).then_some(()));
    assert!(killed.elapsed().as_secs() < 60, "the lease of a killed worker held for {:?}", killed.elapsed());
    bed.settle(&base);
    bed.close(&base, vec![second, api]);
}

/// A server on SQLite, at rest, that served a new dataset by each of these clocks while a long conversion ran; and its
/// address. `None` where clocks cannot be set.
fn serve_by(clocks: &[&str]) -> Option<(Bed, Program, String)> {
    let mut bed = Bed::sqlite();
    let clock = WrongClock::new(&bed.place("clock"))?;
    clock.variables().iter().for_each(|(name, value)| bed.set(name, value));
    bed.set("WORKER_SLOTS", "2");
    bed.write("long", 4 * MANY);
    let mut server = bed.serve();
    let base = server.address();
    until("a conversion runs", || bed.converts().then_some(()));
    for (number, time) in clocks.iter().enumerate() {
        clock.tell(time);
        // Changes are seen and worked on.
        bed.write(&format!("at-{number}"), FEW);
        let size = format!("{base}/size?dataset=lab/at-{number}");
        until("the new dataset is served", || {
            (bed.try_get(&size)?.json()["size"]["dataset"]["num_rows"] == FEW).then_some(())
        });
    }
    bed.settle(&base);
    Some((bed, server, base))
}

/// e018 | the clock of a machine with a server on SQLite is set by an hour, ahead and back | the database's clock does not
/// leap with it: leases and waiting times hold as long as always, and the difference is made up for little by little
#[test]
fn e018_a_server_on_sqlite_does_not_leap_with_the_clock() {
    let Some((bed, server, base)) = serve_by(&["+3600", "-3600", "+0"]) else { return };
    bed.assert_files_whole(&base);
    assert!(!server.log().contains("took jobs over"), "{}", server.log());
    crate::whole::stop_in_order(vec![server]);
    bed.assert_views_whole(&bed.left_store());
    bed.assert_nothing_left();
}

/// e019 | a clock runs twice or half as fast, as one that is being corrected | no lease runs out that is kept alive
#[test]
fn e019_a_clock_that_is_corrected_ends_no_lease() {
    let Some((bed, server, _)) = serve_by(&["+0 x2", "+0 x0.5"]) else { return };
    assert!(!server.log().contains("took jobs over"), "{}", server.log());
    assert!(!server.log().contains("stale lease"), "{}", server.log());
    crate::whole::stop_in_order(vec![server]);
    bed.assert_views_whole(&bed.left_store());
}
