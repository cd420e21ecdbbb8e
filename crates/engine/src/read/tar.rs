//! Tar archives as a stream of their files, one after the other, in bounded memory.
//!
//! Formats: [POSIX.1 `pax`](https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html), with the older ustar and
//! V7 headers, and GNU's long names and large sizes.

use std::io::{self, Read};

use crate::decompress::{self, Place};
use crate::error::{EngineError, ErrorKind};
use crate::source::Progress;

/// Header, and unit of everything.
const BLOCK: usize = 512;
/// Longest extended header: names and attributes, not content.
const MAX_EXTENSION: u64 = 1 << 20;

/// A file of the archive that comes next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    /// Its path inside the archive.
    pub(super) name: String,
    /// Bytes of its content.
    pub(super) size: u64,
}

/// An archive, read from front to back.
pub(super) struct TarReader {
    reader: Box<dyn Read + Send>,
    progress: Progress,
    /// Bytes of the (decompressed) archive taken so far.
    position: u64,
    /// Bytes of content and padding before the next header.
    rest: u64,
    /// Bytes of content in them.
    content: u64,
    ended: bool,
}

/// What extended headers say about the entry that follows.
#[derive(Default)]
struct Extension {
    name: Option<String>,
    size: Option<u64>,
}

impl TarReader {
    /// Opens an archive, which may be compressed whatever its name says; damage shows while reading.
    pub(super) fn open(place: &Place) -> Result<Self, EngineError> {
        let content = decompress::by_content(decompress::open(place)?, &place.path())?;
        let (reader, progress) = (content.reader, content.progress);
        Ok(Self { reader, progress, position: 0, rest: 0, content: 0, ended: false })
    }

    /// Stored bytes taken so far.
    pub(super) fn bytes_consumed(&self) -> u64 {
        self.progress.bytes()
    }

    /// The next regular file; folders, links and devices are passed over. `None` at the end.
    ///
    /// # Errors
    /// [`Unreadable`](ErrorKind::Unreadable) with the place in the archive when it is damaged or cut off.
    pub(super) fn next_file(&mut self) -> Result<Option<Entry>, EngineError> {
        let mut extension = Extension::default();
        while !self.ended {
            self.skip()?;
            let at = self.position;
            let mut header = [0; BLOCK];
            let length = self.fill(&mut header)?;
            // Some writers leave out the empty blocks at the end.
            if (length == 0 && at > 0) || (length == BLOCK && header.iter().all(|byte| *byte == 0)) {
                self.ended = true;
                break;
            }
            if length < BLOCK {
                let what = if at == 0 { "it is too short" } else { "it ends inside a header" };
                return Err(damaged(what, at));
            }
            check(&header, at)?;
            let kind = header[156];
            let is_file = matches!(kind, b'0' | b'\0' | b'7');
            let told = extension.size.take().filter(|_| is_file);
            let size = match told {
                Some(size) => size,
                None => number(&header[124..136]).ok_or_else(|| damaged("a size is no number", at))?,
            };
            self.content = size;
            self.rest = size.div_ceil(BLOCK as u64).saturating_mul(BLOCK as u64);
            match kind {
                b'L' | b'x' if size > MAX_EXTENSION => return Err(damaged("a header is too long", at)),
                b'L' => extension.name = Some(text(&self.read(size)?)),
                b'x' => records(&self.read(size)?, &mut extension).ok_or_else(|| damaged("a header is no pax", at))?,
                b'S' => {
                    let message = format!("\"{}\" is a sparse file; pack it without `--sparse`", name_of(&header));
                    return Err(EngineError::new(ErrorKind::Unreadable, message));
                }
                _ => {
                    let name = extension.name.take().unwrap_or_else(|| name_of(&header));
                    // In the oldest format, a folder is a file whose name ends with a slash.
                    if is_file && !name.ends_with('/') {
                        return Ok(Some(Entry { name, size }));
                    }
                }
            }
        }
        Ok(None)
    }

    /// The content of the file that [`next_file`](Self::next_file) gave.
    pub(super) fn read(&mut self, size: u64) -> Result<Vec<u8>, EngineError> {
        let size = size.min(self.content);
        let mut content = Vec::new();
        // Memory grows with what is there, not with what the header promises.
        let length = (&mut self.reader).take(size).read_to_end(&mut content)? as u64;
        self.position += length;
        self.rest -= length;
        self.content -= length;
        if length < size {
            return Err(damaged("it ends inside a file", self.position));
        }
        Ok(content)
    }

    /// Passes over what was not read of the last entry.
    fn skip(&mut self) -> Result<(), EngineError> {
        let skipped = io::copy(&mut (&mut self.reader).take(self.rest), &mut io::sink())?;
        self.position += skipped;
        // The padding of the last file may be missing.
        if skipped < self.content {
            return Err(damaged("it ends inside a file", self.position));
        }
        (self.rest, self.content) = (0, 0);
        Ok(())
    }

    /// Fills a buffer as far as the archive goes.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, EngineError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.reader.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(length) => filled += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.position += filled as u64;
        Ok(filled)
    }
}

fn damaged(what: &str, at: u64) -> EngineError {
    EngineError::new(ErrorKind::Unreadable, format!("damaged tar file at byte {at}: {what}; pack or upload it again"))
}

/// The sum of all bytes, with its own field as spaces.
fn check(header: &[u8; BLOCK], at: u64) -> Result<(), EngineError> {
    let sum = |value: fn(u8) -> i64| -> i64 {
        let byte = |(index, byte): (usize, &u8)| if (148..156).contains(&index) { 32 } else { value(*byte) };
        header.iter().enumerate().map(byte).sum()
    };
    let told = number(&header[148..156]).and_then(|told| i64::try_from(told).ok());
    // Old programs added signed bytes.
    let agrees = told.is_some_and(|told| told == sum(i64::from) || told == sum(|byte| i64::from(byte.cast_signed())));
    let what = if at == 0 { "it is no tar file" } else { "a header has the wrong checksum" };
    if agrees { Ok(()) } else { Err(damaged(what, at)) }
}

/// Octal digits between spaces and zero bytes, or a big-endian number after a byte 0x80.
fn number(field: &[u8]) -> Option<u64> {
    if let [0x80, digits @ ..] = field {
        return digits.iter().try_fold(0_u64, |number, byte| number.checked_mul(256)?.checked_add(u64::from(*byte)));
    }
    let digits = field.iter().copied().skip_while(|byte| *byte == b' ');
    let mut number = 0_u64;
    for byte in digits.take_while(|byte| !matches!(byte, b' ' | 0)) {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 8)?;
        number = number.checked_mul(8)?.checked_add(u64::from(digit))?;
    }
    Some(number)
}

fn name_of(header: &[u8; BLOCK]) -> String {
    let name = text(&header[..100]);
    let prefix = text(&header[345..500]);
    let is_posix = header[257..263] == *b"ustar\0";
    if is_posix && !prefix.is_empty() { format!("{prefix}/{name}") } else { name }
}

/// Up to the first zero byte.
fn text(field: &[u8]) -> String {
    let end = memchr::memchr(0, field).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

/// Records `length key=value\n` of an extended header.
fn records(mut rest: &[u8], extension: &mut Extension) -> Option<()> {
    while !rest.is_empty() {
        let space = memchr::memchr(b' ', rest)?;
        let length: usize = std::str::from_utf8(&rest[..space]).ok()?.parse().ok()?;
        let record = rest.get(space + 1..length)?.strip_suffix(b"\n")?;
        let equals = memchr::memchr(b'=', record)?;
        let value = &record[equals + 1..];
        match &record[..equals] {
            b"path" => extension.name = Some(String::from_utf8_lossy(value).into_owned()),
            b"size" => extension.size = Some(std::str::from_utf8(value).ok()?.parse().ok()?),
            _ => {}
        }
        rest = &rest[length..];
    }
    Some(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::read::testing::Folder;

    /// The header of a file, with a type and a size as given.
    pub(in crate::read) fn header(name: &[u8], kind: u8, size: usize) -> [u8; BLOCK] {
        let mut header = [0; BLOCK];
        header[..name.len()].copy_from_slice(name);
        header[100..107].copy_from_slice(b"0000644");
        header[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
        header[148..156].copy_from_slice(b"        ");
        header[156] = kind;
        header[257..265].copy_from_slice(b"ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        header
    }

    fn entry(name: &[u8], kind: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = header(name, kind, content.len()).to_vec();
        bytes.extend(content);
        bytes.resize(bytes.len().div_ceil(BLOCK) * BLOCK, 0);
        bytes
    }

    /// An archive of files.
    pub(in crate::read) fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut bytes: Vec<u8> =
            members.iter().flat_map(|(name, content)| entry(name.as_bytes(), b'0', content)).collect();
        bytes.extend([0; 2 * BLOCK]);
        bytes
    }

    fn list(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, EngineError> {
        let folder = Folder::new();
        let file = folder.file("a.tar", bytes);
        let mut archive = TarReader::open(&Place::file(&file))?;
        let mut files = Vec::new();
        while let Some(entry) = archive.next_file()? {
            files.push((entry.name.clone(), archive.read(entry.size)?));
        }
        Ok(files)
    }

    fn names(bytes: &[u8]) -> Vec<String> {
        list(bytes).unwrap().into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn files_come_in_order_with_their_content() {
        let files = list(&tar(&[("d/a.txt", b"one"), ("b.bin", &[7; 1000]), ("empty", b"")])).unwrap();
        let expected = [("d/a.txt", &b"one"[..]), ("b.bin", &[7; 1000]), ("empty", b"")];
        assert_eq!(files, expected.map(|(name, content)| (name.to_owned(), content.to_vec())));
    }

    #[test]
    fn only_regular_files_count() {
        let link = entry(b"link", b'2', b"");
        let folder = entry(b"folder/", b'5', b"");
        let global = entry(b"pax_global_header", b'g', b"19 comment=nothing\n");
        let bytes = [global, folder, link, entry(b"old-folder/", 0, b""), entry(b"x", b'0', b"x")].concat();
        assert_eq!(names(&bytes), ["x"], "the blocks at the end may be missing");
    }

    #[test]
    fn long_names_and_sizes_are_taken_from_the_header_before() {
        let long = "n".repeat(150);
        let gnu = [entry(b"././@LongLink", b'L', format!("{long}\0").as_bytes()), entry(b"cut", b'0', b"x")].concat();
        let record = format!("160 path={long}\n");
        let pax = [entry(b"PaxHeader", b'x', record.as_bytes()), entry(b"cut", b'0', b"x")].concat();
        assert_eq!(record.len(), 160);
        assert_eq!(names(&gnu), [long.as_str()]);
        assert_eq!(names(&pax), [long.as_str()]);
        let mut large = header(b"large", b'0', 0);
        large[124..136].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3]);
        assert_eq!(number(&large[124..136]), Some(3));
    }

    #[test]
    fn damage_is_an_error_that_tells_the_place() {
        let good = tar(&[("a.txt", &[b'x'; 600]), ("b.txt", b"y")]);
        let mut flipped = good.clone();
        flipped[3 * BLOCK] = b'z';
        let shown = |bytes: &[u8]| list(bytes).unwrap_err().to_string();
        let errors = [
            shown(b"a,b\n1,2\n"),
            shown(&[b'x'; 5000]),
            shown(&flipped),
            shown(&good[..BLOCK + 100]),
            shown(&good[..3 * BLOCK + 100]),
            shown(&entry(b"long", b'x', b"999 path=x\n")),
        ];
        insta::assert_snapshot!(errors.join("\n"), @r"
        damaged tar file at byte 0: it is too short; pack or upload it again
        damaged tar file at byte 0: it is no tar file; pack or upload it again
        damaged tar file at byte 1536: a header has the wrong checksum; pack or upload it again
        damaged tar file at byte 612: it ends inside a file; pack or upload it again
        damaged tar file at byte 1536: it ends inside a header; pack or upload it again
        damaged tar file at byte 0: a header is no pax; pack or upload it again
        ");
    }

    #[test]
    fn compressed_archives_are_told_by_their_content() {
        use std::io::Write;
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&tar(&[("x", b"x")])).unwrap();
        let bytes = gzip.finish().unwrap();
        assert_eq!(names(&bytes), ["x"]);
        let cut = list(&bytes[..bytes.len() / 2]).unwrap_err().to_string();
        assert_eq!(cut, "a.tar: damaged gzip file: the data end too early; compress or upload it again");
    }

    #[test]
    fn a_size_that_lies_takes_no_memory() {
        let mut bytes = header(b"huge.txt", b'0', 0o77_777_777_777).to_vec();
        bytes.extend(b"short");
        assert!(list(&bytes).unwrap_err().to_string().contains("it ends inside a file"));
    }
}
