//! The headers of a tar file, one after the other. What unpackers read differently is refused: sizes that are given twice,
//! files with holes, unknown kinds.

use std::io::{self, Read};

use super::{ArchiveError, Seen, refuse};

const BLOCK: usize = 512;
/// Longest name that an entry of its own gives, in bytes.
const MAX_NAME: u64 = 4096;
/// Longest list of properties, in bytes.
const MAX_PROPERTIES: u64 = 64 << 10;
/// Entries that only say something about the next one, in a row.
const MAX_WORDS: usize = 8;

pub(super) fn look(mut from: impl Read, seen: &mut Seen) -> Result<(), ArchiveError> {
    let (mut long_name, mut properties, mut words) = (None, Properties::default(), 0);
    loop {
        let Some(header) = block(&mut from)? else { return refuse("the tar file ends in its middle") };
        if header.iter().all(|byte| *byte == 0) {
            return match words {
                0 => Ok(()),
                _ => refuse("the tar file ends in its middle"),
            };
        }
        let header = Header(&header);
        let size = header.size()?;
        words += 1;
        match header.kind() {
            b'L' => long_name = Some(until_nul(&content(&mut from, size, MAX_NAME)?).to_vec()),
            b'x' => properties = Properties::parse(&content(&mut from, size, MAX_PROPERTIES)?)?,
            // As `git archive` writes it: a comment for all.
            b'g' => {
                if Properties::parse(&content(&mut from, size, MAX_PROPERTIES)?)? != Properties::default() {
                    return refuse("the tar file gives a name or a size to all its entries");
                }
            }
            kind => {
                let (name, told) = (std::mem::take(&mut properties), long_name.take());
                if name.size.is_some_and(|other| other != size) {
                    return refuse("the tar file gives two sizes to an entry");
                }
                let name = match (name.path, told) {
                    (Some(path), Some(told)) if path != told => {
                        return refuse("the tar file gives two names to an entry");
                    }
                    (Some(name), _) | (None, Some(name)) => name,
                    (None, None) => header.name(),
                };
                let shown = String::from_utf8_lossy(&name[..name.len().min(120)]).escape_debug().to_string();
                match kind {
                    b'0' | b'\0' | b'7' => {}
                    b'5' if size == 0 => {}
                    b'1' | b'2' | b'K' => return refuse(format!("`{shown}` in the tar file is a link")),
                    _ => return refuse(format!("`{shown}` in the tar file is no plain file")),
                }
                seen.add(&name, size)?;
                skip(&mut from, size.div_ceil(BLOCK as u64) * BLOCK as u64)?;
                words = 0;
            }
        }
        if words > MAX_WORDS {
            return refuse("the tar file has too many words about one entry");
        }
    }
}

/// The next block; `None` at the end.
fn block(from: &mut impl Read) -> Result<Option<[u8; BLOCK]>, ArchiveError> {
    let mut block = [0; BLOCK];
    match from.read_exact(&mut block) {
        Ok(()) => Ok(Some(block)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => broken(error),
    }
}

/// What a decompressor says is about the archive.
fn broken<T>(error: io::Error) -> Result<T, ArchiveError> {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof => {
            refuse(format!("the archive is damaged: {error}"))
        }
        _ => Err(error.into()),
    }
}

fn skip(from: &mut impl Read, size: u64) -> Result<(), ArchiveError> {
    match io::copy(&mut from.take(size), &mut io::sink()) {
        Ok(read) if read == size => Ok(()),
        Ok(_) => refuse("the tar file ends in its middle"),
        Err(error) => broken(error),
    }
}

/// The content of an entry that says something about the next one.
fn content(from: &mut impl Read, size: u64, most: u64) -> Result<Vec<u8>, ArchiveError> {
    if size > most {
        return refuse("the tar file has too many words about one entry");
    }
    let mut bytes = vec![0; usize::try_from(size.div_ceil(BLOCK as u64) * BLOCK as u64).unwrap_or(usize::MAX)];
    match from.read_exact(&mut bytes) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return refuse("the tar file ends in its middle"),
        Err(error) => return broken(error),
    }
    bytes.truncate(usize::try_from(size).unwrap_or(usize::MAX));
    Ok(bytes)
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

struct Header<'a>(&'a [u8; BLOCK]);

impl Header<'_> {
    fn kind(&self) -> u8 {
        self.0[156]
    }

    /// The size, where the sum of the header is right.
    fn size(&self) -> Result<u64, ArchiveError> {
        let sum = |(at, byte): (usize, &u8)| u64::from(if (148..156).contains(&at) { b' ' } else { *byte });
        if octal(&self.0[148..156]) != Some(self.0.iter().enumerate().map(sum).sum()) {
            return refuse("the archive is no tar file, or is damaged");
        }
        let size = octal(&self.0[124..136]);
        size.map_or_else(|| refuse("the tar file holds an entry of a size that cannot be read"), Ok)
    }

    fn name(&self) -> Vec<u8> {
        let name = until_nul(&self.0[..100]);
        let prefix = until_nul(&self.0[345..500]);
        // The other format has other things there.
        if !self.0[257..].starts_with(b"ustar\0") || prefix.is_empty() {
            return name.to_vec();
        }
        [prefix, b"/", name].concat()
    }
}

/// A number as headers hold it.
fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(until_nul(field)).ok()?.trim_matches(' ');
    match text {
        "" => Some(0),
        text if text.bytes().all(|byte| byte.is_ascii_digit()) => u64::from_str_radix(text, 8).ok(),
        _ => None,
    }
}

/// Properties of the next entry that matter here.
#[derive(Default, PartialEq, Eq)]
struct Properties {
    path: Option<Vec<u8>>,
    size: Option<u64>,
}

impl Properties {
    /// Lines of `LENGTH KEY=VALUE`.
    fn parse(mut bytes: &[u8]) -> Result<Self, ArchiveError> {
        let mut found = Self::default();
        while !bytes.is_empty() {
            let line = Self::line(bytes);
            let Some((length, key, value)) = line else {
                return refuse("the tar file has properties that cannot be read");
            };
            match key {
                b"path" => found.path = Some(value.to_vec()),
                b"size" => {
                    let told = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                    found.size = told.or(Some(u64::MAX));
                }
                key if key.starts_with(b"GNU.sparse") => return refuse("the tar file holds files with holes"),
                _ => {}
            }
            bytes = &bytes[length..];
        }
        Ok(found)
    }

    fn line(bytes: &[u8]) -> Option<(usize, &[u8], &[u8])> {
        let space = bytes.iter().take(8).position(|byte| *byte == b' ')?;
        let length: usize = std::str::from_utf8(&bytes[..space]).ok()?.parse().ok()?;
        let line = bytes.get(space + 1..length)?.strip_suffix(b"\n")?;
        let equals = line.iter().position(|byte| *byte == b'=')?;
        Some((length, &line[..equals], &line[equals + 1..]))
    }
}
