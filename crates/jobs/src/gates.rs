//! Whether this machine has room for another job: load, memory, disk. Each check is off at a limit of 0 or less.

use std::path::Path;

use crate::settings::WorkerSettings;

/// Why no job is started now.
#[derive(Clone, PartialEq, Debug)]
pub struct Closed {
    /// A sentence for operators.
    pub reason: String,
}

/// Checks every gate.
///
/// # Errors
/// [`Closed`] names the first gate that is shut, with its value and limit.
pub fn check(settings: &WorkerSettings) -> Result<(), Closed> {
    under("the load of the machine", load_pct(), settings.max_load_pct)?;
    under("memory use", memory_pct(), settings.max_memory_pct)?;
    under("memory use of the machine", system_memory_pct(), settings.max_system_memory_pct)?;
    for path in &settings.storage_paths {
        let what = format!("disk use at {}", path.display());
        // A path whose use cannot be read counts as fine and ends the check, as it always did.
        let Some(used) = disk_pct(path) else { break };
        under(&what, Some(used), settings.max_disk_usage_pct)?;
    }
    Ok(())
}

fn under(what: &str, value: Option<f64>, limit: f64) -> Result<(), Closed> {
    match value {
        Some(value) if limit > 0.0 && value >= limit => {
            Err(Closed { reason: format!("{what} is {value:.0} %, not below {limit:.0} %") })
        }
        _ => Ok(()),
    }
}

/// The larger of the 1- and 5-minute loads, in percent of the processors.
fn load_pct() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    let cpus = std::thread::available_parallelism().ok()?.get();
    parse_load(&text, cpus)
}

fn parse_load(text: &str, cpus: usize) -> Option<f64> {
    let mut fields = text.split_whitespace().map(str::parse::<f64>);
    let (one, five) = (fields.next()?.ok()?, fields.next()?.ok()?);
    Some(one.max(five) / cpus as f64 * 100.0)
}

/// Memory of the container in percent of its limit; of the machine where there is no container limit.
fn memory_pct() -> Option<f64> {
    let read = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse::<f64>().ok();
    let of = |usage: &str, limit: &str| -> Option<f64> {
        let (usage, limit) = (read(usage)?, read(limit)?);
        // Version 1 writes a huge number for "no limit".
        (limit > 0.0 && limit < 9e18).then_some(usage / limit * 100.0)
    };
    of("/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.max")
        .or_else(|| of("/sys/fs/cgroup/memory/memory.usage_in_bytes", "/sys/fs/cgroup/memory/memory.limit_in_bytes"))
        .or_else(system_memory_pct)
}

/// Memory and swap in use, in percent of both.
fn system_memory_pct() -> Option<f64> {
    parse_meminfo(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

fn parse_meminfo(text: &str) -> Option<f64> {
    let field = |name: &str| -> Option<f64> {
        let line = text.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    let total = field("MemTotal:")? + field("SwapTotal:")?;
    let used = total - field("MemAvailable:")? - field("SwapFree:")?;
    (total > 0.0).then_some(used / total * 100.0)
}

/// Use of the disk that holds a path, in percent of what ordinary users may fill.
fn disk_pct(path: &Path) -> Option<f64> {
    Disk::of(path)?.used_percent()
}

/// A disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Disk {
    /// Its size.
    pub total_bytes: u64,
    /// What is used.
    pub used_bytes: u64,
    /// What ordinary users may still fill.
    pub free_bytes: u64,
}

impl Disk {
    /// The disk that holds a path; `None` if the system does not say.
    pub fn of(path: &Path) -> Option<Self> {
        let disk = rustix::fs::statvfs(path).ok()?;
        let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        let used_bytes = bytes(disk.f_blocks.checked_sub(disk.f_bfree)?);
        Some(Self { total_bytes: bytes(disk.f_blocks), used_bytes, free_bytes: bytes(disk.f_bavail) })
    }

    /// What is used, in percent of what ordinary users may fill.
    pub fn used_percent(&self) -> Option<f64> {
        let usable = self.used_bytes + self.free_bytes;
        (usable > 0).then_some(self.used_bytes as f64 / usable as f64 * 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_is_the_larger_of_two_averages_per_processor() {
        assert_eq!(parse_load("1.00 3.00 9.00 1/100 42", 2), Some(150.0));
        assert_eq!(parse_load("nonsense", 2), None);
    }

    #[test]
    fn memory_counts_swap() {
        let text = "MemTotal: 100 kB\nMemAvailable: 40 kB\nSwapTotal: 100 kB\nSwapFree: 90 kB\n";
        assert_eq!(parse_meminfo(text), Some(35.0));
    }

    #[test]
    fn a_gate_at_zero_is_open_and_a_limit_is_strict() {
        assert!(under("x", Some(100.0), 0.0).is_ok());
        assert!(under("x", Some(79.9), 80.0).is_ok());
        assert_eq!(under("x", Some(80.0), 80.0).unwrap_err().reason, "x is 80 %, not below 80 %");
        assert!(under("x", None, 80.0).is_ok());
    }

    #[test]
    fn a_full_disk_shuts_the_gate() {
        let settings = WorkerSettings {
            max_disk_usage_pct: 0.000_001,
            storage_paths: vec!["/".into()],
            ..WorkerSettings::default()
        };
        assert!(check(&settings).unwrap_err().reason.starts_with("disk use at /"));
        let unreadable = WorkerSettings { storage_paths: vec!["/does/not/exist".into(), "/".into()], ..settings };
        assert!(check(&unreadable).is_ok());
    }
}
