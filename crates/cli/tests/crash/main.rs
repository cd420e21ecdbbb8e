//! Crashes with real processes: servers and workers are killed, stopped in mid-job, continued too late and terminated,
//! and PostgreSQL is restarted under them. Nothing may be lost, and no view written twice.
//!
//! The names of the tests begin with the row of `docs/reliability.md` that they hold up. Tests that need several
//! processes on one database take part when `BELVEDERE_TEST_POSTGRES_URL` names a server on which the role may create
//! databases (`ci/postgres.sh run cargo test …`); the one that restarts PostgreSQL starts a server of its own. Tests that
//! need a cluster take part under `ci/slurm.sh run cargo test …`.
//!
//! A test waits for conditions, never for a time. A job is caught in its middle by stopping the process that reads
//! its files, so that the speed of the machine does not matter.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod bed;
mod chance;
mod clock;
mod disk;
mod gate;
mod history;
mod postgres;
mod process;
mod slurm;
mod whole;

mod clocks;
mod damage;
mod disks;
mod duplicates;
mod durations;
mod leases;
mod limits;
mod lost;
mod machines;
mod nemesis;
mod queueing;
mod restarts;
mod server;
mod stops;
