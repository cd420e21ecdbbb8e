//! Tasks: what a user asks to run on a cluster. Their names, their states and what a request may say.
//!
//! A **task** is the user's; each execution of it is an **attempt**, numbered from 1. An attempt has a **tag**, the name
//! under which a cluster knows it, by which it is found again when an answer was lost.

pub mod config;
pub mod names;
pub mod state;
pub mod strict_json;

pub use config::{
    ArgumentStyle, ConfigError, ExecutionMode, Infra, InputFormat, Resources, RetryPolicy, Sweep, TaskConfig,
};
pub use names::{AttemptTag, ClusterName, PlainName, TaskId, TaskNameError};
pub use state::{State, Transition};
