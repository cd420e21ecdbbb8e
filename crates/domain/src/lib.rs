//! The words and rules of Belvedere: names, features, the processing graph, plans, views, jobs, tasks.
//!
//! This crate is pure. It never reads a file, the clock or the environment, and never waits.
//! What it decides is a function of its arguments, so every rule can be tested with plain values.

pub mod account;
pub mod data_files;
pub mod error_code;
pub mod features;
pub mod graph;
pub mod job;
pub mod manifest;
pub mod names;
pub mod parquet_path;
pub mod plan;
pub mod recent;
pub mod task;
pub mod time;
pub mod view;

pub use account::{ApiToken, Role, Scope, User, UserId, UserName};
pub use error_code::ErrorCode;
pub use features::{Feature, Features};
pub use graph::{Graph, Level, Step};
pub use job::{Difficulty, JobId, Lease, NewJob, Priority};
pub use manifest::{FileEntry, Manifest};
pub use names::{ArtifactKey, ConfigName, DatasetName, NameError, Revision, SplitName, StepName};
pub use recent::Recent;
pub use time::Timestamp;
pub use view::{Digest, Json, Outcome, View};
