//! Folders of attempts on this machine: bringing files, reading streams, fetching what programs left.
//!
//! What a program left may be anything: links are never followed, and nothing but plain files is opened.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use belvedere_domain::task::AttemptTag;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use sha2::{Digest as _, Sha256};

use crate::cluster::{ClusterError, OutputEntry, OutputKind, Tail};
use crate::place::{DATA, ENVIRONMENT, FILES, OUTPUT};
use crate::stage::{Content, Delivery};

fn refused(what: &'static str) -> impl Fn(io::Error) -> ClusterError {
    move |error| ClusterError::Refused(format!("{what}: {error}"))
}

/// Makes the folder of an attempt, unless it is there. It appears as a whole.
pub(super) fn stage(root: &Path, tag: &AttemptTag, deliveries: &[Delivery]) -> Result<(), ClusterError> {
    let folder = root.join(tag.as_str());
    if folder.is_dir() {
        return Ok(());
    }
    let incoming = root.join(format!(".incoming-{}", crate::random::nonce()));
    let made = fill(&incoming, deliveries).and_then(|()| {
        fs::rename(&incoming, &folder)
            .or_else(|error| if folder.is_dir() { Ok(()) } else { Err(error) })
            .map_err(refused("the folder of the attempt"))
    });
    let _ = fs::remove_dir_all(&incoming);
    made
}

fn fill(folder: &Path, deliveries: &[Delivery]) -> Result<(), ClusterError> {
    for name in [FILES, DATA, OUTPUT, ENVIRONMENT] {
        fs::create_dir_all(folder.join(name)).map_err(refused("the folder of the attempt"))?;
    }
    // Whatever the habits of this process, the program must come in.
    for name in ["", FILES, DATA, OUTPUT, ENVIRONMENT] {
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(folder.join(name), open).map_err(refused("the folder of the attempt"))?;
    }
    for delivery in deliveries {
        deliver(&folder.join(&delivery.name), delivery).map_err(|error| match error {
            Failure::Io(error) => ClusterError::Refused(format!("{}: {error}", delivery.name)),
            Failure::Changed => ClusterError::Refused(format!("{} is not what it was", delivery.name)),
        })?;
    }
    Ok(())
}

enum Failure {
    Io(io::Error),
    Changed,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn deliver(to: &Path, delivery: &Delivery) -> Result<(), Failure> {
    let mut file = File::create_new(to)?;
    let mut hash = Sha256::new();
    match &delivery.content {
        Content::Bytes(bytes) => {
            hash.update(bytes);
            file.write_all(bytes)?;
        }
        Content::File(from) => {
            let mut from = File::open(from)?;
            let mut piece = vec![0; 256 << 10];
            loop {
                let read = from.read(&mut piece)?;
                if read == 0 {
                    break;
                }
                hash.update(&piece[..read]);
                file.write_all(&piece[..read])?;
            }
        }
    }
    if hex::encode(hash.finalize()) != delivery.sha256 {
        return Err(Failure::Changed);
    }
    file.set_permissions(fs::Permissions::from_mode(0o644))?;
    Ok(())
}

/// The first folder on the way to a path that others may not enter.
pub(super) fn shut_to_others(path: &Path) -> Option<PathBuf> {
    let shut = |folder: &&Path| fs::metadata(folder).is_ok_and(|metadata| metadata.permissions().mode() & 0o001 == 0);
    let mut folders: Vec<&Path> = path.ancestors().collect();
    folders.reverse();
    folders.iter().copied().find(|folder| shut(folder)).map(Path::to_owned)
}

/// A plain file up to a number of bytes; one more byte where there is more.
pub(super) fn read_bounded(path: &Path, max_bytes: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    plain_file(path)?.0.take(max_bytes + 1).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Opens a plain file without following a link or waiting for a pipe.
fn plain_file(path: &Path) -> Option<(File, u64)> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path).ok()?;
    let metadata = file.metadata().ok().filter(fs::Metadata::is_file)?;
    Some((file, metadata.len()))
}

/// A piece of a stream; empty where there is none.
pub(super) fn tail(path: &Path, from: u64, max_bytes: u64) -> Tail {
    let Some((mut file, size)) = plain_file(path) else { return Tail::default() };
    let mut bytes = Vec::new();
    if from < size && file.seek(SeekFrom::Start(from)).is_ok() {
        let wanted = max_bytes.min(size - from);
        if file.take(wanted).read_to_end(&mut bytes).is_err() {
            bytes.clear();
        }
    }
    Tail { size, bytes }
}

/// What lies below a folder, in no order.
pub(super) fn outputs(folder: &Path, max: usize) -> Result<(Vec<OutputEntry>, bool), ClusterError> {
    let (mut found, mut waiting) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(inner) = waiting.pop() {
        let Ok(entries) = fs::read_dir(folder.join(&inner)) else { continue };
        for entry in entries.filter_map(Result::ok) {
            let path = inner.join(entry.file_name());
            // Of the entry itself, not of what it points at.
            let Ok(metadata) = fs::symlink_metadata(folder.join(&path)) else { continue };
            if metadata.is_dir() {
                waiting.push(path);
                continue;
            }
            if found.len() == max {
                return Ok((found, true));
            }
            let kind = match () {
                () if metadata.is_symlink() => OutputKind::Link,
                () if !metadata.is_file() => OutputKind::Special,
                () if metadata.nlink() > 1 => OutputKind::HardLink,
                () => OutputKind::File,
            };
            found.push(OutputEntry { path: path.to_string_lossy().into_owned(), size: metadata.len(), kind });
        }
    }
    Ok((found, false))
}

/// Copies a plain file from below a folder, which no part of its path may leave.
pub(super) fn fetch(folder: &Path, path: &str, max_bytes: u64, to: &Path) -> Result<(), ClusterError> {
    let failed = refused("an artifact");
    let root = File::open(folder).map_err(&failed)?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let rules = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let file = rustix::fs::openat2(&root, path, flags, Mode::empty(), rules).map_err(|error| failed(error.into()))?;
    let file = File::from(file);
    let metadata = file.metadata().map_err(&failed)?;
    if !metadata.is_file() || metadata.nlink() > 1 || metadata.len() > max_bytes {
        return Err(ClusterError::Refused(format!("{path} is not what it was")));
    }
    let mut copy = File::create(to).map_err(&failed)?;
    io::copy(&mut file.take(max_bytes), &mut copy).map_err(&failed)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag() -> AttemptTag {
        crate::new_task_id(1).tag(1)
    }

    /// e058 | a file is not what it was when its task was stored | it is not used; the attempt says which file
    #[test]
    fn e058_a_file_that_changed_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("source");
        fs::write(&source, "longer").unwrap();
        let mut delivery = Delivery::bytes("files/a.py", "long");
        delivery.content = Content::File(source);
        let root = folder.path().join("root");
        let error = stage(&root, &tag(), &[delivery]).unwrap_err();
        assert_eq!(error, ClusterError::Refused("files/a.py is not what it was".into()));
        assert_eq!(fs::read_dir(&root).unwrap().count(), 0);
    }

    /// e065 | a program prints one line of 200 MiB, NULs and what is not UTF-8 | it is read in pieces of bounded size, byte for byte
    #[test]
    fn e065_streams_are_read_in_bounded_pieces() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let file = File::create(&path).unwrap();
        file.set_len(200 << 20).unwrap();
        drop(file);
        let piece = tail(&path, (200 << 20) - 3, 1 << 20);
        assert_eq!((piece.size, piece.bytes.as_slice()), (200 << 20, &[0, 0, 0][..]));
        assert_eq!(tail(&path, 0, 1 << 10).bytes.len(), 1 << 10);
        // Shorter than where we are.
        assert_eq!(tail(&path, 1 << 40, 10), Tail { size: 200 << 20, bytes: Vec::new() });
    }

    /// e068 | a program leaves links to other files, pipes, files with two names, 100,000 files | they are listed up to a bound and neither followed, opened nor waited for
    #[test]
    fn e068_what_programs_leave_is_not_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("output");
        fs::create_dir_all(output.join("deep")).unwrap();
        fs::write(output.join("deep/model.bin"), "model").unwrap();
        fs::write(folder.path().join("secret"), "secret").unwrap();
        std::os::unix::fs::symlink(folder.path().join("secret"), output.join("link")).unwrap();
        std::os::unix::fs::symlink("..", output.join("up")).unwrap();
        fs::hard_link(folder.path().join("secret"), output.join("hard")).unwrap();
        let status = std::process::Command::new("mkfifo").arg(output.join("pipe")).status().unwrap();
        assert!(status.success());
        let (mut found, more) = outputs(&output, 100).unwrap();
        found.sort_by(|a, b| a.path.cmp(&b.path));
        let told: Vec<_> = found.iter().map(|entry| (entry.path.as_str(), entry.kind)).collect();
        let expected = [
            ("deep/model.bin", OutputKind::File),
            ("hard", OutputKind::HardLink),
            ("link", OutputKind::Link),
            ("pipe", OutputKind::Special),
            ("up", OutputKind::Link),
        ];
        assert_eq!(told, expected);
        assert!(!more);
        let to = folder.path().join("copy");
        fetch(&output, "deep/model.bin", 100, &to).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"model");
        for path in ["link", "up/secret", "hard", "pipe", "../secret", "/etc/passwd", "missing"] {
            assert!(fetch(&output, path, 100, &to).is_err(), "{path}");
        }
        assert!(fetch(&output, "deep/model.bin", 4, &to).is_err());
        // A program may put a link where its stream was.
        std::os::unix::fs::symlink(folder.path().join("secret"), folder.path().join("out")).unwrap();
        assert_eq!(tail(&folder.path().join("out"), 0, 100), Tail::default());
        for number in 0..50 {
            fs::write(output.join(format!("{number}")), "").unwrap();
        }
        let (found, more) = outputs(&output, 20).unwrap();
        assert_eq!((found.len(), more), (20, true));
    }
}
