//! Limits of the machine and of this user: open files, memory.

use rustix::process::Resource;

use super::Finding;
use crate::config::Config;

/// A server with a watch, a database, workers and clients stays well below.
const MANY_FILES: u64 = 4096;

pub(super) fn examine(config: Option<&Config>) -> Vec<Finding> {
    let mut findings = vec![open_files()];
    findings.extend(config.and_then(memory));
    findings
}

fn open_files() -> Finding {
    const CHECK: &str = "open files";
    let limit = rustix::process::getrlimit(Resource::Nofile);
    match limit.current {
        Some(current) if current < MANY_FILES => Finding::warning(
            CHECK,
            format!("a process may open {current} files, which many clients or a big folder may exhaust"),
            format!(
                "raise the limit with `ulimit -n {}` before the start",
                limit.maximum.unwrap_or(65_536).min(65_536)
            ),
        ),
        Some(current) => Finding::ok(CHECK, format!("a process may open {current}")),
        None => Finding::ok(CHECK, "no limit"),
    }
}

/// Whether all jobs at once fit into memory; `None` where the size of the memory is unknown.
fn memory(config: &Config) -> Option<Finding> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Some(memory_for(config.worker.slots.on(cores), config.worker.child_memory_bytes, memory_bytes()?))
}

fn memory_for(slots: usize, child_bytes: u64, machine_bytes: u64) -> Finding {
    const CHECK: &str = "memory";
    let gigabytes = |bytes: u64| format!("{:.1} GB", bytes as f64 / 1e9);
    let needed = child_bytes.saturating_mul(slots as u64);
    let machine = gigabytes(machine_bytes);
    if needed > machine_bytes {
        Finding::warning(
            CHECK,
            format!("{slots} jobs of up to {} each may need more than the {machine} there is", gigabytes(child_bytes)),
            "run fewer jobs at the same time with `worker.slots`, or give each less with `worker.child_memory_bytes`",
        )
    } else {
        Finding::ok(CHECK, format!("{machine}, enough for {slots} jobs of up to {} each", gigabytes(child_bytes)))
    }
}

/// Memory of the container if it has a limit, else of the machine, in bytes.
#[cfg(target_os = "linux")]
fn memory_bytes() -> Option<u64> {
    let info = rustix::system::sysinfo();
    #[expect(clippy::useless_conversion, reason = "the fields are as wide as a pointer")]
    let machine = u64::from(info.totalram).saturating_mul(u64::from(info.mem_unit));
    // Version 2, then version 1 of control groups. Without a limit there is a word, or a huge number.
    let limits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let limit = limits.iter().find_map(|path| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok());
    Some(limit.map_or(machine, |limit| limit.min(machine)))
}

#[cfg(not(target_os = "linux"))]
fn memory_bytes() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::Status;

    #[test]
    fn jobs_that_do_not_fit_into_memory_are_warned_of() {
        let finding = memory_for(4, 4_000_000_000, 8_000_000_000);
        assert_eq!(finding.status, Status::Warning);
        assert_eq!(finding.message, "4 jobs of up to 4.0 GB each may need more than the 8.0 GB there is");
        assert_eq!(memory_for(2, 4_000_000_000, 8_000_000_000).status, Status::Ok);
    }
}
