//! Which process is meant: its number alone is handed out again, but never with the same start time since the same boot.

use std::path::Path;

use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};

/// A process, unmistakably.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Identity {
    /// Its number.
    pub pid: u32,
    /// When it started, in clock ticks since the boot.
    pub start: u64,
    /// Which boot.
    pub boot: String,
}

impl Identity {
    /// This process.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub(super) fn own() -> std::io::Result<Self> {
        let pid = std::process::id();
        let start = start_of(pid).ok_or_else(|| std::io::Error::other("/proc tells no start time"))?;
        Ok(Self { pid, start, boot: boot()? })
    }

    /// Reads a receipt.
    pub(super) fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(path).ok()?).ok()
    }

    /// Whether it still runs.
    pub(super) fn is_alive(&self) -> bool {
        start_of(self.pid) == Some(self.start) && boot().is_ok_and(|boot| boot == self.boot)
    }

    /// Sends a signal, if it still runs.
    pub(super) fn signal(&self, signal: Signal) {
        if self.is_alive()
            && let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw)
        {
            // It may end at this very moment, which is what was wanted.
            let _ = rustix::process::kill_process(pid, signal);
        }
    }
}

fn boot() -> std::io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// The start time of a process; `None` when there is none, or when it has ended and nobody has asked after it yet.
fn start_of(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program may hold anything, and ends with the last parenthesis.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    let start = fields.nth(18)?.parse().ok()?;
    (!matches!(state, "Z" | "X")).then_some(start)
}

/// Children of this process, by all its threads.
pub(super) fn children() -> Vec<Pid> {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return Vec::new() };
    let of_thread = |thread: std::fs::DirEntry| std::fs::read_to_string(thread.path().join("children")).ok();
    let lists: Vec<String> = threads.filter_map(Result::ok).filter_map(of_thread).collect();
    let pids = lists.iter().flat_map(|list| list.split_ascii_whitespace());
    pids.filter_map(|pid| pid.parse().ok().and_then(Pid::from_raw)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// e084 | the number of a task's process belongs to another one meanwhile | it is told apart by its start time and the boot, and never signalled
    #[test]
    fn e084_a_process_is_not_mistaken_for_another_one() {
        let own = Identity::own().unwrap();
        assert!(own.is_alive());
        assert!(!Identity { start: own.start + 1, ..own.clone() }.is_alive());
        assert!(!Identity { boot: "another".into(), ..own.clone() }.is_alive());
        // Would end this test.
        Identity { start: own.start + 1, ..own }.signal(Signal::KILL);
    }

    #[test]
    fn a_process_that_has_ended_is_not_alive() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        // Not asked after yet, it keeps its entry.
        while start_of(pid).is_some() {
            std::thread::yield_now();
        }
        assert!(child.wait().unwrap().success());
        assert_eq!(start_of(pid), None);
    }
}
