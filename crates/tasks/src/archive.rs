//! What an archive of a task would unpack to, looked at before anybody unpacks it.
//!
//! Only the lists of zip and tar files are read, in bounded memory, and everything that two programs could understand
//! differently is refused: what is let through unpacks to plain files and folders below one folder, of a bounded size.

mod tar;
mod zip;

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;

use flate2::read::MultiGzDecoder;

/// Bounds of an archive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ArchiveLimits {
    /// Files and folders.
    pub entries: usize,
    /// Bytes of all files.
    pub bytes: u64,
    /// How many times as large as the archive its files may be, beyond [`ArchiveLimits::free_bytes`].
    pub ratio: u64,
    /// Bytes that need no excuse.
    pub free_bytes: u64,
}

impl Default for ArchiveLimits {
    fn default() -> Self {
        Self { entries: 10_000, bytes: 4 << 30, ratio: 100, free_bytes: 10 << 20 }
    }
}

/// Why an archive is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It is not unpacked: why.
    #[error("{0}")]
    Refused(String),
    /// Its file cannot be read.
    #[error("the archive cannot be read")]
    Io(#[from] io::Error),
}

/// What an archive holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Contents {
    /// Files and folders.
    pub entries: usize,
    /// Bytes of all files.
    pub bytes: u64,
}

/// Looks through an archive; `name` tells its kind, as it does when it is unpacked.
///
/// # Errors
/// [`ArchiveError::Refused`] with what is wrong with it.
pub fn check(path: &Path, name: &str, limits: ArchiveLimits) -> Result<Contents, ArchiveError> {
    let file = File::open(path)?;
    let mut seen = Seen::new(limits, file.metadata()?.len());
    let name = name.to_ascii_lowercase();
    match () {
        () if name.ends_with(".zip") => zip::look(&file, &mut seen)?,
        () if name.ends_with(".tar") => tar::look(BufReader::new(file), &mut seen)?,
        () => tar::look(BufReader::new(MultiGzDecoder::new(BufReader::new(file))), &mut seen)?,
    }
    Ok(seen.contents)
}

fn refuse<T>(message: impl Into<String>) -> Result<T, ArchiveError> {
    Err(ArchiveError::Refused(message.into()))
}

/// What was seen of an archive so far.
struct Seen {
    limits: ArchiveLimits,
    packed: u64,
    contents: Contents,
    names: HashSet<Vec<u8>>,
}

impl Seen {
    fn new(limits: ArchiveLimits, packed: u64) -> Self {
        Self { limits, packed, contents: Contents::default(), names: HashSet::new() }
    }

    /// Takes the next entry.
    fn add(&mut self, name: &[u8], size: u64) -> Result<(), ArchiveError> {
        let shown = || String::from_utf8_lossy(&name[..name.len().min(120)]).escape_debug().to_string();
        if let Some(wrong) = wrong_name(name) {
            return refuse(format!("the archive holds `{}`, which {wrong}", shown()));
        }
        let ArchiveLimits { entries, bytes, ratio, free_bytes } = self.limits;
        self.contents.entries += 1;
        if self.contents.entries > entries {
            return refuse(format!("the archive holds more than {entries} files"));
        }
        self.contents.bytes = self.contents.bytes.saturating_add(size);
        if self.contents.bytes > bytes {
            return refuse(format!("the archive holds more than {bytes} bytes"));
        }
        if self.contents.bytes > free_bytes.max(self.packed.saturating_mul(ratio)) {
            return refuse(format!("the archive holds more than {ratio} times as many bytes as it has itself"));
        }
        let whole = name.strip_suffix(b"/").unwrap_or(name).to_vec();
        if !self.names.insert(whole) {
            return refuse(format!("the archive holds `{}` twice", shown()));
        }
        Ok(())
    }
}

/// What is wrong with the name of an entry.
fn wrong_name(name: &[u8]) -> Option<&'static str> {
    let inner = name.strip_suffix(b"/").unwrap_or(name);
    // What `tar` puts before every name.
    let inner = inner.strip_prefix(b"./").unwrap_or(inner);
    let drive = inner.len() >= 2 && inner[1] == b':' && inner[0].is_ascii_alphabetic();
    match () {
        () if name.is_empty() => Some("has no name"),
        () if name.len() > 1024 => Some("has a name of more than 1024 bytes"),
        () if name.starts_with(b"/") || drive => Some("is not a path inside a folder"),
        () if name.iter().any(u8::is_ascii_control) => Some("has a name with control characters"),
        () if name.contains(&b'\\') => Some("has a backslash in its name"),
        // The folder itself.
        () if matches!(inner, b"" | b".") => None,
        () if inner.split(|byte| *byte == b'/').any(|part| part == b"..") => Some("leads out of the folder"),
        () if inner.split(|byte| *byte == b'/').any(|part| matches!(part, b"" | b".")) => Some("is no plain path"),
        () => None,
    }
}

#[cfg(test)]
mod tests;
