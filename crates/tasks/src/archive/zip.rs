//! The central directory of a zip file, and that each entry begins where it says, as what it says, with nothing in common
//! with another one.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use super::{ArchiveError, Seen, refuse};

/// The record at the end, without its comment.
const END: usize = 22;
const END_MARK: &[u8] = b"PK\x05\x06";
const CENTRAL: usize = 46;
const CENTRAL_MARK: &[u8] = b"PK\x01\x02";
const LOCAL: usize = 30;
const LOCAL_MARK: &[u8] = b"PK\x03\x04";
/// Largest central directory, in bytes: more than the most entries with the longest names need.
const MAX_DIRECTORY: u64 = 64 << 20;
/// Stored, deflate, bzip2 and LZMA, which unpackers know.
const METHODS: [u16; 4] = [0, 8, 12, 14];

fn two(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn four(bytes: &[u8], at: usize) -> u64 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]).into()
}

fn read(file: &File, at: u64, length: usize) -> Result<Vec<u8>, ArchiveError> {
    let mut bytes = vec![0; length];
    match file.read_exact_at(&mut bytes, at) {
        Ok(()) => Ok(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => refuse("the zip file ends in its middle"),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn look(file: &File, seen: &mut Seen) -> Result<(), ArchiveError> {
    let size = file.metadata()?.len();
    let last = usize::try_from(size.min(END as u64 + u64::from(u16::MAX))).unwrap_or(usize::MAX);
    let tail = read(file, size - last as u64, last)?;
    // The comment at the very end fits only for the true record.
    let is_end = |at: usize| tail[at..].starts_with(END_MARK) && at + END + usize::from(two(&tail, at + 20)) == last;
    let Some(at) = (0..(last + 1).saturating_sub(END)).rev().find(|at| is_end(*at)) else {
        return refuse("the zip file is none, or is not whole");
    };
    let end = &tail[at..];
    let (entries, length, begin) = (two(end, 10), four(end, 12), four(end, 16));
    if two(end, 4) != 0 || two(end, 6) != 0 || two(end, 8) != entries {
        return refuse("the zip file is one of several parts");
    }
    // The marks of files beyond 4 GiB or 65,535 entries.
    if entries == u16::MAX || length == u64::from(u32::MAX) || begin == u64::from(u32::MAX) {
        return refuse("the zip file is larger than it may be");
    }
    let end_at = size - last as u64 + at as u64;
    if begin + length != end_at {
        return refuse("the zip file has something before or between its parts");
    }
    if length > MAX_DIRECTORY {
        return refuse("the zip file has a list that is larger than it may be");
    }
    let list = read(file, begin, usize::try_from(length).unwrap_or(usize::MAX))?;
    let mut places = Vec::new();
    let mut at = 0;
    for _ in 0..entries {
        let Some(entry) = list.get(at..).filter(|rest| rest.len() >= CENTRAL && rest.starts_with(CENTRAL_MARK)) else {
            return refuse("the list of the zip file is not whole");
        };
        let (name, extra, comment) = (two(entry, 28), two(entry, 30), two(entry, 32));
        let end = CENTRAL + usize::from(name) + usize::from(extra) + usize::from(comment);
        if entry.len() < end {
            return refuse("the list of the zip file is not whole");
        }
        let name = &entry[CENTRAL..CENTRAL + usize::from(name)];
        places.push(one(file, entry, name, seen)?);
        at += end;
    }
    if at != list.len() {
        return refuse("the list of the zip file holds more than it says");
    }
    places.sort_unstable();
    let shared = places.windows(2).any(|pair| pair[0].1 > pair[1].0);
    if shared || places.last().is_some_and(|last| last.1 > begin) {
        return refuse("the zip file holds entries that share their bytes");
    }
    Ok(())
}

/// Where one entry begins and ends.
fn one(file: &File, entry: &[u8], name: &[u8], seen: &mut Seen) -> Result<(u64, u64), ArchiveError> {
    let (made_by, flags, method) = (two(entry, 4) >> 8, two(entry, 8), two(entry, 10));
    let (packed, size, offset) = (four(entry, 20), four(entry, 24), four(entry, 42));
    seen.add(name, size)?;
    let shown = String::from_utf8_lossy(name);
    if flags & 1 != 0 {
        return refuse(format!("`{shown}` in the zip file is encrypted"));
    }
    if !METHODS.contains(&method) {
        return refuse(format!("`{shown}` in the zip file is packed by a method that is not known"));
    }
    // The mode of a file, where Unix has made it: plain files, folders, or nothing said.
    let kind = (four(entry, 38) >> 16) & 0o170_000;
    if made_by == 3 && !matches!(kind, 0 | 0o100_000 | 0o040_000) {
        return refuse(format!("`{shown}` in the zip file is a link or no plain file"));
    }
    let local = read(file, offset, LOCAL)?;
    let (length, extra) = (usize::from(two(&local, 26)), u64::from(two(&local, 28)));
    if !local.starts_with(LOCAL_MARK) || read(file, offset + LOCAL as u64, length)? != name {
        return refuse(format!("`{shown}` in the zip file is another one where it begins"));
    }
    Ok((offset, offset + LOCAL as u64 + length as u64 + extra + packed))
}
