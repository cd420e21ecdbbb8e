//! The state directory and the folders: are they there, may they be used, on which kind of file system, how full?

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use super::Finding;
use crate::config::Config;

/// Less free space than this is a problem for any conversion.
const FEW_BYTES: u64 = 500_000_000;

/// Less free space than this is worth a word.
const SOME_BYTES: u64 = 5_000_000_000;

pub(super) fn examine(config: &Config) -> Vec<Finding> {
    let mut findings = vec![state_directory(config)];
    findings.extend(disk(&config.serve.state));
    findings.extend(config.serve.folders.iter().map(|folder| served_folder(folder, &config.serve.state)));
    findings
}

fn state_directory(config: &Config) -> Finding {
    const CHECK: &str = "state directory";
    let state = &config.serve.state;
    let shown = state.display();
    match obstacle(state) {
        Some(Obstacle::NoDirectory(message)) => {
            return Finding::problem(CHECK, message, "name another directory with `--state`");
        }
        Some(Obstacle::NotWritable(message)) => {
            let hint = "name another directory with `--state`, or change the owner of this one";
            return Finding::problem(CHECK, message, hint);
        }
        None => {}
    }
    if config.store_url().sqlite_path().is_some()
        && let Some(network) = network_file_system(&nearest_existing(state))
    {
        return Finding::problem(
            CHECK,
            format!("{shown} is on a network file system ({network}), where a SQLite database gets damaged"),
            "name a directory on a local disk with `--state`, or a PostgreSQL database with `STORE_URL`",
        );
    }
    usable(CHECK, state)
}

/// What keeps this user from making a directory, or from writing to it, in words.
pub(super) enum Obstacle {
    /// Something else stands where it or one above it should be.
    NoDirectory(String),
    /// It, or the nearest one above it, is of somebody else.
    NotWritable(String),
}

pub(super) fn obstacle(path: &Path) -> Option<Obstacle> {
    let existing = nearest_existing(path);
    let shown = existing.display();
    if !existing.is_dir() {
        let message = format!("{shown} is in the way of {}: it is no directory", path.display());
        return Some(Obstacle::NoDirectory(message));
    }
    let refused = rustix::fs::access(&existing, Access::WRITE_OK | Access::EXEC_OK).is_err();
    refused.then(|| Obstacle::NotWritable(format!("{shown} cannot be written by this user")))
}

/// A directory that nothing keeps from being used.
pub(super) fn usable(check: &'static str, path: &Path) -> Finding {
    let text = if path.exists() { "can be written" } else { "will be made at the first start" };
    Finding::ok(check, format!("{} {text}", path.display()))
}

fn disk(state: &Path) -> Option<Finding> {
    const CHECK: &str = "disk";
    let disk = rustix::fs::statvfs(nearest_existing(state)).ok()?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let shown = format!("{} free for {}", gigabytes(free), state.display());
    let hint = "free some space, or name a directory on another disk with `--state`";
    Some(match free {
        0..FEW_BYTES => Finding::problem(CHECK, shown, hint),
        FEW_BYTES..SOME_BYTES => Finding::warning(CHECK, shown, hint),
        _ => Finding::ok(CHECK, shown),
    })
}

fn served_folder(folder: &str, state: &Path) -> Finding {
    const CHECK: &str = "folder";
    // `NAME=PATH`, unless there is a file of that very name.
    let path = match folder.split_once('=') {
        Some((_, path)) if !Path::new(folder).exists() => Path::new(path),
        _ => Path::new(folder),
    };
    let shown = path.display();
    if let Err(error) = fs::metadata(path) {
        return Finding::problem(
            CHECK,
            format!("{shown} cannot be read: {error}"),
            "check its name and its permissions",
        );
    }
    let needed = if path.is_dir() { Access::READ_OK | Access::EXEC_OK } else { Access::READ_OK };
    if rustix::fs::access(path, needed).is_err() {
        return Finding::problem(CHECK, format!("{shown} cannot be read by this user"), "change its permissions");
    }
    if let Some(network) = network_file_system(path) {
        return Finding::warning(
            CHECK,
            format!("{shown} is on a network file system ({network}), which reports no changes made elsewhere"),
            "changes are found by looking every few seconds: see `hub.poll_seconds`",
        );
    }
    let directories = count_directories(path, state);
    match watch_limit() {
        Some(limit) if directories as u64 > limit => Finding::warning(
            CHECK,
            format!("{shown} has {directories} directories, but the system watches at most {limit}"),
            "changes are found by looking every few seconds; raise the limit with \
             `sysctl fs.inotify.max_user_watches=1048576`",
        ),
        _ => Finding::ok(CHECK, format!("{shown} can be read, {directories} directories to watch")),
    }
}

/// The path itself or its first ancestor that exists; the current directory when there is none.
fn nearest_existing(path: &Path) -> PathBuf {
    let found = path.ancestors().find(|ancestor| !ancestor.as_os_str().is_empty() && ancestor.exists());
    found.unwrap_or(Path::new(".")).to_owned()
}

/// Directories below a folder, itself included, links not followed. Counting stops at a million.
fn count_directories(folder: &Path, state: &Path) -> usize {
    let state = fs::canonicalize(state).ok();
    let mut waiting = vec![folder.to_owned()];
    let mut count = 0;
    while let Some(directory) = waiting.pop() {
        count += 1;
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            let is_state = state.is_some() && fs::canonicalize(entry.path()).ok() == state;
            if !is_state && entry.file_name() != ".git" && count + waiting.len() < 1_000_000 {
                waiting.push(entry.path());
            }
        }
    }
    count
}

/// Most directories that the system watches for one user; `None` where there is no such limit.
fn watch_limit() -> Option<u64> {
    fs::read_to_string("/proc/sys/fs/inotify/max_user_watches").ok()?.trim().parse().ok()
}

/// The name of the network file system that a path is on; `None` for local ones.
#[cfg(target_os = "linux")]
fn network_file_system(path: &Path) -> Option<&'static str> {
    // The numbers of linux/magic.h and of the file systems that are kept outside of the kernel.
    Some(match u64::try_from(rustix::fs::statfs(path).ok()?.f_type).ok()? & 0xffff_ffff {
        0x6969 => "NFS",
        0x517b | 0xfe53_4d42 | 0xff53_4d42 => "SMB",
        0x0102_1997 => "9P",
        0x5346_414f => "AFS",
        0x00c3_6400 => "Ceph",
        0x0bd0_0bd0 => "Lustre",
        0x4750_4653 => "GPFS",
        0x1983_0326 => "BeeGFS",
        _ => return None,
    })
}

#[cfg(not(target_os = "linux"))]
fn network_file_system(_path: &Path) -> Option<&'static str> {
    None
}

fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::Status;
    use crate::config::Role;

    fn with_state(state: PathBuf) -> Config {
        let mut config = Config::defaults(Role::Serve);
        config.serve.state = state;
        config
    }

    #[test]
    fn a_state_directory_that_can_be_made_is_fine_and_not_made() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("a/b");
        assert_eq!(state_directory(&with_state(state.clone())).status, Status::Ok);
        assert!(!directory.path().join("a").exists());
    }

    #[test]
    fn a_file_in_the_way_of_the_state_directory_is_a_problem() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("file"), "").unwrap();
        let finding = state_directory(&with_state(directory.path().join("file/state")));
        assert_eq!(finding.status, Status::Problem);
        assert!(finding.message.contains("it is no directory"), "{}", finding.message);
    }

    #[test]
    fn a_folder_may_have_a_namespace_and_its_directories_are_counted() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["a/b", ".git/objects", "state/deep"] {
            fs::create_dir_all(directory.path().join(name)).unwrap();
        }
        let folder = format!("acme={}", directory.path().display());
        let finding = served_folder(&folder, &directory.path().join("state"));
        assert!(finding.message.ends_with("can be read, 3 directories to watch"), "{}", finding.message);
        assert_eq!(served_folder("/nowhere/at/all", directory.path()).status, Status::Problem);
    }
}
