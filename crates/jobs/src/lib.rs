//! What Belvedere precomputes: one file per step, the worker that runs them, and what keeps datasets up to date.
//!
//! A step reads the views of its parents and the files of its dataset, and returns one view. It knows nothing of
//! HTTP or of the database behind the store. Running a step twice gives the same view.
//!
//! To add a step: a file under `dataset/`, `config/` or `split/` with its [`STEP`](belvedere_domain::Step) and a
//! `Job` for it, and one line in [`registry`].

pub mod call;
pub mod child;
pub mod content;
pub mod context;
pub mod distant;
pub mod files;
pub mod gates;
pub mod heal;
mod identity;
pub mod job;
pub mod maintenance;
pub mod memory;
pub mod meter;
pub mod publish;
pub mod refresh;
pub mod registry;
pub mod scans;
pub mod scratch;
pub mod search;
pub mod settings;
pub mod upkeep;
pub mod worker;

mod config;
mod dataset;
mod split;

pub use call::{CallError, Caller};
pub use context::Services;
pub use job::{Job, JobContext, JobError, Ready};
pub use refresh::Refresher;
pub use registry::Registry;
pub use settings::Settings;
pub use worker::{Observer, Worker};
