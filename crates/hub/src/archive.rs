//! Names inside a zip archive, read from its central directory alone.
//!
//! Layout: [APPNOTE 6.3](https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT), sections 4.3.12 to 4.3.16.

use std::io;
use std::ops::Range;

use crate::reader::RevisionFiles;

/// The end record, with the longest comment it can have.
const TAIL_BYTES: u64 = 22 + 65_535;
/// Most bytes of central directory that are read: enough for some 100,000 members.
const MAX_DIRECTORY_BYTES: u64 = 16 << 20;

/// Paths of the members of an archive, in the order of its directory, without folders and what is hidden.
///
/// # Errors
/// I/O errors, and [`InvalidData`](io::ErrorKind::InvalidData) when the file is no zip archive.
pub(crate) fn member_names(path: &str, files: RevisionFiles<'_>) -> io::Result<Vec<String>> {
    let size = files.manifest.get(path).map_or(0, |file| file.size);
    let directory = directory_range(path, size, files)?;
    let directory = (files.read)(path, directory)?;
    let mut names = Vec::new();
    let mut rest = directory.as_slice();
    while let Some(entry) = rest.get(..46).filter(|entry| entry.starts_with(b"PK\x01\x02")) {
        let [name, extra, comment] = [28, 30, 32].map(|at| usize::from(u16_at(entry, at)));
        let Some(name_bytes) = rest.get(46..46 + name) else { break };
        let text = String::from_utf8_lossy(name_bytes).into_owned();
        let hidden = text.split('/').any(|segment| segment.starts_with('.') || segment.starts_with("__"));
        if !text.ends_with('/') && !hidden {
            names.push(text);
        }
        rest = rest.get(46 + name + extra + comment..).unwrap_or_default();
    }
    Ok(names)
}

/// Where the central directory lies.
fn directory_range(path: &str, size: u64, files: RevisionFiles<'_>) -> io::Result<Range<u64>> {
    let tail_start = size.saturating_sub(TAIL_BYTES);
    let tail = (files.read)(path, tail_start..size)?;
    let no_zip = || io::Error::new(io::ErrorKind::InvalidData, format!("{path} is not a zip archive"));
    let end = (0..tail.len().saturating_sub(21))
        .rev()
        .find(|at| tail[*at..].starts_with(b"PK\x05\x06"))
        .ok_or_else(no_zip)?;
    let record = &tail[end..];
    let (mut length, mut start) = (u64::from(u32_at(record, 12)), u64::from(u32_at(record, 16)));
    if start == u64::from(u32::MAX) || length == u64::from(u32::MAX) {
        // A locator just before points to the 64-bit record.
        let locator = end.checked_sub(20).map(|at| &tail[at..end]).filter(|locator| locator.starts_with(b"PK\x06\x07"));
        let at = u64_at(locator.ok_or_else(no_zip)?, 8);
        let record = (files.read)(path, at..at.saturating_add(56).min(size))?;
        if record.len() < 56 || !record.starts_with(b"PK\x06\x06") {
            return Err(no_zip());
        }
        (length, start) = (u64_at(&record, 40), u64_at(&record, 48));
    }
    let end = start.checked_add(length).filter(|end| *end <= size).ok_or_else(no_zip)?;
    Ok(start..end.min(start + MAX_DIRECTORY_BYTES))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
pub(crate) mod tests {
    use belvedere_domain::{FileEntry, Manifest};

    use super::*;

    /// A directory of empty members: local headers are left out, nobody reads them here.
    pub(crate) fn zip_of(names: &[&str]) -> Vec<u8> {
        let mut zip = Vec::new();
        for name in names {
            let mut entry = [0u8; 46];
            entry[..4].copy_from_slice(b"PK\x01\x02");
            entry[28..30].copy_from_slice(&u16::try_from(name.len()).expect("short").to_le_bytes());
            zip.extend_from_slice(&entry);
            zip.extend_from_slice(name.as_bytes());
        }
        let mut end = [0u8; 22];
        end[..4].copy_from_slice(b"PK\x05\x06");
        end[12..16].copy_from_slice(&u32::try_from(zip.len()).expect("short").to_le_bytes());
        zip.extend_from_slice(&end);
        zip
    }

    pub(crate) fn revision_of<'a>(
        path: &str,
        content: &'a [u8],
    ) -> (Manifest, impl Fn(&str, Range<u64>) -> io::Result<Vec<u8>> + 'a) {
        let file = FileEntry { path: path.to_owned(), size: content.len() as u64, content_id: String::new() };
        let position = |at: u64| usize::try_from(at).expect("fits");
        (Manifest::new(vec![file]), move |_: &str, range: Range<u64>| {
            Ok(content[position(range.start)..position(range.end)].to_vec())
        })
    }

    #[test]
    fn lists_files_without_folders_and_hidden_ones() {
        let zip = zip_of(&["d/", "d/a.csv", ".x/b.csv", "__MACOSX/c.csv", "é.csv"]);
        let (manifest, read) = revision_of("a.zip", &zip);
        let names = member_names("a.zip", RevisionFiles { manifest: &manifest, read: &read }).expect("a zip");
        assert_eq!(names, ["d/a.csv", "é.csv"]);
    }

    #[test]
    fn what_is_no_archive_is_said_so() {
        for content in [&b""[..], b"PK", &[0; 100], b"PK\x05\x06\0\0\0\0\0\0\0\0\xff\xff\xff\x7f\xff\xff\xff\x7f\0\0"] {
            let (manifest, read) = revision_of("a.zip", content);
            let error = member_names("a.zip", RevisionFiles { manifest: &manifest, read: &read }).expect_err("no zip");
            assert_eq!(error.to_string(), "a.zip is not a zip archive");
        }
    }
}
