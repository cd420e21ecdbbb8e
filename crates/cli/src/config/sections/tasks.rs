//! Users' tasks: where they run, and how much of them is kept.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::Fate::Read;
use crate::config::table::section;

section! {
    /// Programs of users on datasets, on this machine and on clusters.
    Tasks = "tasks" {
        /// Run tasks on this machine, as the cluster `local`. Unset: where the server listens on a loopback address only.
        local: Option<bool> = "" { fate: Read("serve and api") },
        /// File that describes the other clusters, as `docs/tasks.md` tells.
        clusters: Option<PathBuf> = "" { fate: Read("serve and api") },
        /// Directory for the files of tasks and for what they leave. Servers that share a database must share it. Unset:
        /// `tasks` in the state directory.
        directory: Option<PathBuf> = "" { fate: Read("serve and api") },
        /// On this machine run tasks in a sandbox of bubblewrap only. Without it, a machine that has none limits programs
        /// and does not confine them.
        require_sandbox: bool = "false" { fate: Read("serve and api") },
        /// User and group, as a number, that programs on this machine run as, where the server runs as root.
        run_as: u32 = "65534" { fate: Read("serve and api"), min: Some(1.0) },
        /// The program that runs scripts in Python on this machine.
        python: String = "python3" { fate: Read("serve and api") },
        /// Folders that programs in the sandbox may read, beside the system's own and those of the task.
        readable: Vec<String> = "" { fate: Read("serve and api") },
        /// Programs on this machine may use the network.
        network: bool = "false" { fate: Read("serve and api") },
        /// Most memory of each process of a task on this machine.
        memory_bytes: u64 = "4_000_000_000" { fate: Read("serve and api"), unit: "bytes", min: Some(16_000_000.0) },
        /// Most processes of a task on this machine.
        processes: u32 = "256" { fate: Read("serve and api"), min: Some(1.0) },
        /// Largest file that a task on this machine may write.
        file_bytes: u64 = "10_000_000_000" { fate: Read("serve and api"), unit: "bytes", min: Some(1.0) },
        /// Longest time of a task on this machine.
        max_seconds: Duration = "86_400" { fate: Read("serve and api"), min: Some(1.0) },
        /// Most active tasks on this machine.
        max_active: u32 = "100" { fate: Read("serve and api"), min: Some(1.0) },
        /// Most active tasks of one user on this machine.
        max_active_per_user: u32 = "20" { fate: Read("serve and api"), min: Some(1.0) },
        /// Most files of one request.
        max_upload_files: u32 = "200" { fate: Read("serve and api"), min: Some(1.0) },
        /// Most bytes of all files of one request.
        max_upload_bytes: u64 = "1_000_000_000" { fate: Read("serve and api"), unit: "bytes", min: Some(1.0) },
        /// Bytes that are kept of each of the two streams of an attempt.
        max_log_bytes: u64 = "16_000_000" { fate: Read("serve and api"), unit: "bytes" },
        /// Most files that are kept of what an attempt leaves.
        max_artifact_files: u32 = "1000" { fate: Read("serve and api") },
        /// Most bytes that are kept of what an attempt leaves.
        max_artifact_bytes: u64 = "10_000_000_000" { fate: Read("serve and api"), unit: "bytes" },
        /// How long tasks are kept after their end; 0: until somebody deletes them.
        keep_seconds: Duration = "0" { fate: Read("serve and api") },
        /// How long the folders of attempts stay where they ran, after their end.
        keep_folders_seconds: Duration = "86_400" { fate: Read("serve and api") },
        /// How long selections are kept after their last use.
        keep_selections_seconds: Duration = "7_776_000" { fate: Read("serve and api") },
        /// How long a task that asks for it rests before it is tried again for the first time; each time it is twice as long.
        rest_seconds: Duration = "30" { fate: Read("serve and api") },
        /// Hosts of MLflow servers at which the server makes runs for tasks that name them, as `host` or `host:port`. Servers
        /// that the description of a cluster names need not be here.
        tracking_hosts: Vec<String> = "" { fate: Read("serve and api") },
    }
}
