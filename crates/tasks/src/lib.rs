//! Users' tasks on clusters: from a stored intention to a job, its logs, its artefacts and its end.
//!
//! Handlers of requests store intentions and answer from the store; the [`Monitor`] alone talks to clusters. An attempt is
//! submitted by a protocol that never starts it twice: it is noted before the cluster is asked, the cluster is asked by
//! a fixed helper that leaves a receipt, and a program begins by claiming its folder.
//!
//! To add a kind of cluster: a type that implements [`Cluster`], and one arm where `clusters.toml` is read (`catalog`).

pub mod archive;
pub mod catalog;
pub mod cluster;
pub mod datasets;
pub mod entry;
pub mod inbox;
pub mod local;
pub mod mlflow;
pub mod monitor;
pub mod place;
pub mod profile;
pub mod slurm;
pub mod stage;

mod random;

pub use catalog::{Catalog, Member};
pub use cluster::{Cluster, ClusterError};
pub use datasets::{DatasetError, Datasets, Pin, PinnedSelection, Reference};
pub use inbox::{Inbox, Kept, SMALL_BYTES, Upload, UploadLimits};
pub use local::{Local, LocalSettings};
pub use monitor::{Monitor, MonitorSettings};
pub use random::{new_task_id, new_task_ids};
