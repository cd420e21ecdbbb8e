//! The folder of an attempt on its cluster, named as its tag: what lies where. All kinds of clusters share it.

use std::path::{Path, PathBuf};

use belvedere_domain::task::State;
use serde::{Deserialize, Serialize};

/// Folder of the user's files, in which the program starts.
pub const FILES: &str = "files";
/// Folder of the dataset's files.
pub const DATA: &str = "data";
/// Folder for what the program leaves.
pub const OUTPUT: &str = "output";
/// One file per variable that the program gets.
pub const ENVIRONMENT: &str = "env";
/// The parameters of the program, a JSON object.
pub const PARAMS: &str = "params.json";
/// The command line of the task, where it has one.
pub const COMMAND: &str = "command.sh";
/// What starts the program; the same for all tasks.
pub const START: &str = "start.sh";
/// Who runs it: a folder, since making one succeeds once.
pub const CLAIM: &str = "claim";
/// How it ended.
pub const RESULT: &str = "result.json";
/// Touched while it runs.
pub const ALIVE: &str = "alive";
/// Largest result that is read, in bytes.
pub const MAX_RESULT_BYTES: u64 = 16 << 10;

/// The text of [`START`].
pub const START_SCRIPT: &str = include_str!("start.sh");

/// Exit code of a wrapper whose folder another one has claimed.
pub const EXIT_FENCED: i64 = 73;
/// Exit code of a wrapper that the cluster started a second time.
pub const EXIT_REQUEUED: i64 = 74;

/// What a wrapper notes at the end.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct ResultFile {
    /// Exit code of the program; 128 and its number for a signal.
    pub exit: i64,
    /// The time limit of the task ended it.
    #[serde(default)]
    pub timed_out: bool,
    /// The wrapper was asked to stop.
    #[serde(default)]
    pub terminated: bool,
    /// Seconds since 1970.
    #[serde(default)]
    pub started: Option<i64>,
    /// Seconds since 1970.
    #[serde(default)]
    pub ended: Option<i64>,
    /// Name of the machine.
    #[serde(default)]
    pub host: Option<String>,
}

impl ResultFile {
    /// Reads a result. The program could have forged it: nothing is believed that does not fit.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let fits = bytes.len() as u64 <= MAX_RESULT_BYTES;
        let result: Self = fits.then(|| serde_json::from_slice(bytes).ok())??;
        let host_fits =
            result.host.as_deref().is_none_or(|host| host.len() <= 255 && !host.contains(|c: char| c.is_control()));
        ((0..=255).contains(&result.exit) && host_fits).then_some(result)
    }

    /// The signal that ended the program, by the habit of shells.
    pub fn signal(&self) -> Option<i64> {
        (self.exit > 128 && self.exit < 128 + 65).then_some(self.exit - 128)
    }

    /// How it ended, as far as this tells.
    pub fn outcome(&self) -> State {
        match self.exit {
            0 => State::Succeeded,
            _ if self.timed_out => State::Timeout,
            _ => State::Failed,
        }
    }
}

/// A path inside a folder that came from a program: parts joined by `/`, none of them special.
pub fn is_inner_path(path: &str) -> bool {
    !path.is_empty()
        && path.len() <= 1024
        && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
        && !path.contains(|c: char| c.is_control() || c == '\\')
}

/// Writes a file so that it is there as a whole or not at all.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let temporary: PathBuf = path.with_extension(format!("{}.tmp", crate::random::nonce()));
    let written = std::fs::write(&temporary, bytes).and_then(|()| std::fs::rename(&temporary, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    /// e069 | a program forges the note of how it ended: a gigabyte, wrong types, odd numbers | it is not believed; the cluster's own record decides
    #[test]
    fn e069_a_forged_result_is_not_believed() {
        let good = br#"{"exit": 137, "started": 1, "ended": 2, "host": "node1", "more": []}"#;
        let result = ResultFile::parse(good).unwrap();
        assert_eq!((result.outcome(), result.signal()), (State::Failed, Some(9)));
        for forged in [
            &br#"{"exit": "0"}"#[..],
            br#"{"exit": 0.5}"#,
            br#"{"exit": -1}"#,
            br#"{"exit": 256}"#,
            br#"{"exit": 0, "host": "a\nb"}"#,
            br"[]",
            b"",
            b"\xff",
        ] {
            assert_eq!(ResultFile::parse(forged), None, "{}", String::from_utf8_lossy(forged));
        }
        let huge = format!(r#"{{"exit": 0, "host": "{}"}}"#, " ".repeat(1 << 20));
        assert_eq!(ResultFile::parse(huge.as_bytes()), None);
    }

    #[test]
    fn inner_paths_stay_inside() {
        for inner in ["a", "a/b.txt", "été/x y"] {
            assert!(is_inner_path(inner), "{inner}");
        }
        for outer in ["", "/a", "a/", "a//b", "../a", "a/../b", ".", "a\nb", "a\\b", "a\0"] {
            assert!(!is_inner_path(outer), "{outer:?}");
        }
    }
}
