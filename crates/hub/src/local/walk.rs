//! The files below a folder, as far as they belong to the dataset: names, sizes and times, never content.
//!
//! Left out silently: `.git`, the state directory, temporary files of editors, downloads and copies. Left out and
//! reported: links that leave the folder, links to folders, pipes and devices, names that are not UTF-8.

use std::fs::{self, Metadata};
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What tells that a local file is unchanged without reading it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct FileIdentity {
    pub(super) size: u64,
    pub(super) mtime_ns: i64,
    pub(super) ctime_ns: i64,
    pub(super) inode: u64,
}

impl FileIdentity {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let nanoseconds = |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
        Self {
            size: metadata.len(),
            mtime_ns: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            ctime_ns: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
        }
    }
}

/// One file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct SeenFile {
    /// Path inside the dataset.
    pub(super) path: String,
    pub(super) local_path: PathBuf,
    pub(super) identity: FileIdentity,
}

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Sorted by path in code-point order.
    pub(super) files: Vec<SeenFile>,
    /// Every folder that was looked through, the first one included.
    pub(super) folders: Vec<PathBuf>,
    /// What was refused, and why.
    pub(super) refused: Vec<String>,
}

/// Looks through a folder, or at a single file. What vanishes meanwhile is as if it had never been there.
pub(super) fn walk(root: &Path, state_folder: Option<&Path>) -> io::Result<Seen> {
    let mut seen = Seen::default();
    // It goes to the end.
    let _ = visit(root, state_folder, &mut seen, &|_| ControlFlow::Continue(()))?;
    seen.files.sort_by(|a, b| a.path.cmp(&b.path));
    seen.refused.sort();
    Ok(seen)
}

/// Whether a folder holds a file of which this is true, by its path; no further files are looked at then.
pub(super) fn holds(root: &Path, state_folder: Option<&Path>, is_wanted: impl Fn(&str) -> bool) -> io::Result<bool> {
    let look = |file: &SeenFile| if is_wanted(&file.path) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    Ok(visit(root, state_folder, &mut Seen::default(), &look)?.is_break())
}

/// Adds what it finds to `seen`, in any order, as long as `look` goes on.
fn visit(
    root: &Path,
    state_folder: Option<&Path>,
    seen: &mut Seen,
    look: &dyn Fn(&SeenFile) -> ControlFlow<()>,
) -> io::Result<ControlFlow<()>> {
    let found = |seen: &mut Seen, file: SeenFile| {
        let goes_on = look(&file);
        seen.files.push(file);
        goes_on
    };
    let metadata = match fs::metadata(root) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(ControlFlow::Continue(())),
        Err(error) => return Err(error),
    };
    if metadata.is_file() {
        if let Some(path) = root.file_name().and_then(|name| name.to_str()) {
            let identity = FileIdentity::of(&metadata);
            return Ok(found(seen, SeenFile { path: path.to_owned(), local_path: root.to_owned(), identity }));
        }
        return Ok(ControlFlow::Continue(()));
    }
    let mut pending = vec![(root.to_owned(), String::new())];
    while let Some((folder, prefix)) = pending.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) if prefix.is_empty() => return Err(error),
            Err(error) => {
                seen.refused.push(format!("{prefix}: {error}"));
                continue;
            }
        };
        seen.folders.push(folder.clone());
        for entry in entries {
            let Ok(entry) = entry else { continue };
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                seen.refused.push(format!("{prefix}{}: the name is not UTF-8", name.to_string_lossy()));
                continue;
            };
            let Ok(kind) = entry.file_type() else { continue };
            if is_ignored(name, kind.is_dir()) {
                continue;
            }
            let local_path = entry.path();
            let path = format!("{prefix}{name}");
            if kind.is_dir() {
                if state_folder != Some(local_path.as_path()) {
                    pending.push((local_path, format!("{path}/")));
                }
            } else if kind.is_file() {
                let Ok(metadata) = entry.metadata() else { continue };
                let file = SeenFile { path, local_path, identity: FileIdentity::of(&metadata) };
                if found(seen, file).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            } else if kind.is_symlink() {
                match link_target(root, &local_path, state_folder) {
                    Ok(Some((local_path, metadata))) => {
                        let file = SeenFile { path, local_path, identity: FileIdentity::of(&metadata) };
                        if found(seen, file).is_break() {
                            return Ok(ControlFlow::Break(()));
                        }
                    }
                    Ok(None) => {}
                    Err(reason) => seen.refused.push(format!("{path}: {reason}")),
                }
            } else {
                seen.refused.push(format!("{path}: neither a file nor a folder"));
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// Follows a link to a regular file inside the same folder. `None` when it dangles.
fn link_target(
    root: &Path,
    link: &Path,
    state_folder: Option<&Path>,
) -> Result<Option<(PathBuf, Metadata)>, &'static str> {
    let Ok(target) = fs::canonicalize(link) else { return Ok(None) };
    let inside = fs::canonicalize(root).is_ok_and(|root| target.starts_with(root));
    if !inside || state_folder.is_some_and(|state| target.starts_with(state)) {
        return Err("a link that leaves the folder of the dataset");
    }
    let in_git = target.components().any(|component| component.as_os_str() == ".git");
    match fs::metadata(&target) {
        Ok(metadata) if metadata.is_file() && !in_git => Ok(Some((target, metadata))),
        Ok(metadata) if metadata.is_dir() => Err("a link to a folder; links to files are followed"),
        Ok(_) => Err("a link to something that is not a data file"),
        Err(_) => Ok(None),
    }
}

/// Names that never belong to a dataset: version control, and files that programs leave while they write.
pub(super) fn is_ignored(name: &str, is_folder: bool) -> bool {
    if is_folder {
        return matches!(name, ".git" | ".belvedere" | ".ipynb_checkpoints" | "__MACOSX" | ".Trash" | "lost+found");
    }
    const PREFIXES: [&str; 5] = [".~", ".#", "~$", ".nfs", ".goutputstream-"];
    const SUFFIXES: [&str; 9] =
        [".tmp", ".part", ".partial", ".crdownload", ".download", ".swp", ".swx", ".filepart", "~"];
    matches!(name, ".DS_Store" | "Thumbs.db" | "desktop.ini" | ".git")
        || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn write(root: &Path, path: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("below the root")).expect("a folder");
        fs::write(path, "x").expect("a file");
    }

    fn paths(seen: &Seen) -> Vec<&str> {
        seen.files.iter().map(|file| file.path.as_str()).collect()
    }

    #[test]
    fn finds_files_at_every_depth_in_order() {
        let root = tempfile::tempdir().expect("a folder");
        for path in ["b.csv", "a/2.csv", "a/1.csv", "a.csv", "z/y/x.csv", ".hidden/a.csv"] {
            write(root.path(), path);
        }
        let seen = walk(root.path(), None).expect("readable");
        assert_eq!(paths(&seen), [".hidden/a.csv", "a.csv", "a/1.csv", "a/2.csv", "b.csv", "z/y/x.csv"]);
        assert_eq!(seen.folders.len(), 5);
    }

    #[test]
    fn leaves_out_what_is_no_data() {
        let root = tempfile::tempdir().expect("a folder");
        for path in [
            "a.csv",
            ".git/config",
            "state/db.sqlite",
            ".~lock.a.csv#",
            ".#a.csv",
            "b.csv.tmp",
            "c.csv.part",
            "d.csv~",
            ".nfs0001",
            "sub/.git/HEAD",
            ".belvedere/x",
            "e.crdownload",
        ] {
            write(root.path(), path);
        }
        let seen = walk(root.path(), Some(&root.path().join("state"))).expect("readable");
        assert_eq!(paths(&seen), ["a.csv"]);
        assert!(!seen.folders.iter().any(|folder| folder.ends_with(".git") || folder.ends_with("state")));
    }

    #[test]
    fn looking_for_a_file_ends_at_the_first_one() {
        let root = tempfile::tempdir().expect("a folder");
        for path in ["a/1.csv", "a/2.csv", "b/3.csv"] {
            write(root.path(), path);
        }
        let asked = std::cell::Cell::new(0);
        let is_wanted = |path: &str| {
            asked.set(asked.get() + 1);
            path.ends_with(".csv")
        };
        assert!(holds(root.path(), None, is_wanted).expect("readable"));
        assert_eq!(asked.get(), 1);
        assert!(!holds(root.path(), None, |path| path.ends_with(".json")).expect("readable"));
        assert!(!holds(&root.path().join("nowhere"), None, |_| true).expect("nothing is there"));
    }

    /// e101 | a dataset holds links that leave its folder, lead to folders, to hidden files, nowhere or to themselves | those to data files inside are followed; the others are refused by name, or are no files
    #[test]
    fn e101_links_are_followed_only_to_files_inside() {
        let root = tempfile::tempdir().expect("a folder");
        let outside = tempfile::tempdir().expect("a folder");
        write(outside.path(), "secret.csv");
        write(root.path(), "a.csv");
        write(root.path(), "d/b.csv");
        write(root.path(), ".git/config");
        let link = |target: &Path, name: &str| symlink(target, root.path().join(name)).expect("a link");
        link(&outside.path().join("secret.csv"), "out.csv");
        link(outside.path(), "out");
        link(Path::new("d/b.csv"), "in.csv");
        link(Path::new("d"), "folder");
        link(Path::new("nowhere"), "dangling.csv");
        link(Path::new(".git/config"), "config.csv");
        link(Path::new("loop.csv"), "loop.csv");
        let seen = walk(root.path(), None).expect("readable");
        assert_eq!(paths(&seen), ["a.csv", "d/b.csv", "in.csv"]);
        insta::assert_snapshot!(seen.refused.join("\n"), @r"
        config.csv: a link to something that is not a data file
        folder: a link to a folder; links to files are followed
        out.csv: a link that leaves the folder of the dataset
        out: a link that leaves the folder of the dataset
        ");
    }

    /// e101 | a dataset holds a named pipe that nobody writes to | it is refused by its kind and never opened
    #[test]
    fn e101_pipes_are_refused_and_never_opened() {
        let root = tempfile::tempdir().expect("a folder");
        let pipe = root.path().join("pipe.csv");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0)
            .expect("a pipe");
        let seen = walk(root.path(), None).expect("readable");
        assert_eq!(paths(&seen), [""; 0]);
        assert_eq!(seen.refused, ["pipe.csv: neither a file nor a folder"]);
    }

    #[test]
    fn a_missing_folder_is_empty_and_a_file_is_itself() {
        let root = tempfile::tempdir().expect("a folder");
        assert_eq!(walk(&root.path().join("nowhere"), None).expect("readable"), Seen::default());
        write(root.path(), "a.csv");
        assert_eq!(paths(&walk(&root.path().join("a.csv"), None).expect("readable")), ["a.csv"]);
    }
}
