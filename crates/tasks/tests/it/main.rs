//! Tasks as they run: a real store, real processes on this machine, and a real Slurm where one is named.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod again;
mod bed;
mod local;
mod mlflow;
mod real;
mod slurm;
mod slurm_faults;
mod slurm_sweeps;
mod staging;
mod tidy;
