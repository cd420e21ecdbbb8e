//! Names of the tables of a SQLite file, read from its schema alone: a table of its own, whose tree begins on the first page.
//!
//! Layout: [Database File Format](https://www.sqlite.org/fileformat2.html), sections 1.3, 1.6 and 2.1.

use std::io;

use crate::reader::RevisionFiles;

/// What every file begins with.
const MAGIC: &[u8] = b"SQLite format 3\0";
/// Most pages of schema that are looked at: enough for some thousand tables.
const MAX_PAGES: usize = 256;
const HEADER: usize = 100;

/// Names of the tables that people made, in the order of their creation.
///
/// # Errors
/// I/O errors, and [`InvalidData`](io::ErrorKind::InvalidData) when the file is no SQLite file or its schema is damaged.
pub(crate) fn table_names(path: &str, files: RevisionFiles<'_>) -> io::Result<Vec<String>> {
    let size = files.manifest.get(path).map_or(0, |file| file.size);
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, format!("{path} is no SQLite file, or damaged"));
    let header = (files.read)(path, 0..size.min(HEADER as u64))?;
    if !header.starts_with(MAGIC) || header.len() < HEADER {
        return Err(damaged());
    }
    let page_size = match u64::from(u16_at(&header, 16).unwrap_or(0)) {
        1 => 65_536,
        size => size,
    };
    let schema = Schema {
        usable: usize::try_from(page_size).unwrap_or(0).saturating_sub(usize::from(header[20])),
        is_wide: !matches!(header[59], 0 | 1),
        is_big_endian: header[59] == 3,
    };
    let mut names = Vec::new();
    let mut waiting = vec![1_u64];
    let mut seen = 0;
    while let Some(number) = waiting.pop() {
        seen += 1;
        let start = number.checked_sub(1).and_then(|before| before.checked_mul(page_size)).ok_or_else(damaged)?;
        let end = start.checked_add(page_size).filter(|end| *end <= size && page_size >= 512).ok_or_else(damaged)?;
        if seen > MAX_PAGES {
            return Err(damaged());
        }
        let page = (files.read)(path, start..end)?;
        let children = schema.page(&page, if number == 1 { HEADER } else { 0 }, &mut names).ok_or_else(damaged)?;
        // The first child comes first.
        waiting.extend(children.into_iter().rev());
    }
    Ok(names)
}

struct Schema {
    /// Bytes of a page that hold content.
    usable: usize,
    /// Texts are UTF-16.
    is_wide: bool,
    is_big_endian: bool,
}

impl Schema {
    /// Takes the names of a page, whose header begins at `at`; gives the pages below it.
    fn page(&self, page: &[u8], at: usize, names: &mut Vec<String>) -> Option<Vec<u64>> {
        let is_leaf = match page.get(at)? {
            0x0d => true,
            0x05 => false,
            _ => return None,
        };
        let cells = usize::from(u16_at(page, at + 3)?);
        let pointers = at + if is_leaf { 8 } else { 12 };
        let mut children = Vec::new();
        for cell in 0..cells {
            let cell = usize::from(u16_at(page, pointers + 2 * cell)?);
            if is_leaf {
                names.extend(self.name(page.get(cell..)?)?);
            } else {
                children.push(u64::from(u32_at(page, cell)?));
            }
        }
        if !is_leaf {
            children.push(u64::from(u32_at(page, at + 8)?));
        }
        Some(children)
    }

    /// The name in a row of the schema, if it is that of a table that people made. The outer `None` is damage.
    #[expect(clippy::option_option, reason = "damage and another kind of row are two things")]
    fn name(&self, cell: &[u8]) -> Option<Option<String>> {
        let (payload, rest) = varint(cell)?;
        let (_, rest) = varint(rest)?;
        let payload = usize::try_from(payload).ok()?;
        // What does not fit is continued elsewhere. Kind and name come first.
        let (most, least) = (self.usable.checked_sub(35)?, (self.usable.checked_sub(12)? * 32 / 255).checked_sub(23)?);
        let local = if payload <= most {
            payload
        } else {
            let kept = least + (payload - least) % (self.usable - 4);
            if kept <= most { kept } else { least }
        };
        let record = rest.get(..local)?;
        let (header_length, after) = varint(record)?;
        let header_length = usize::try_from(header_length).ok()?;
        let (kind_type, after) = varint(after)?;
        let (name_type, _) = varint(after)?;
        let content = record.get(header_length..)?;
        let (kind, content) = content.split_at_checked(text_length(kind_type)?)?;
        let Some(name) = content.get(..text_length(name_type)?) else { return Some(None) };
        let (kind, name) = (self.text(kind), self.text(name));
        Some((kind == "table" && !name.starts_with("sqlite_")).then_some(name))
    }

    fn text(&self, bytes: &[u8]) -> String {
        if !self.is_wide {
            return String::from_utf8_lossy(bytes).into_owned();
        }
        let unit = |pair: &[u8]| {
            let pair = [pair[0], pair[1]];
            if self.is_big_endian { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
        };
        char::decode_utf16(bytes.chunks_exact(2).map(unit)).map(|letter| letter.unwrap_or('\u{fffd}')).collect()
    }
}

/// Length of a text by the number that stands for its type; `None` for other types.
fn text_length(serial_type: u64) -> Option<usize> {
    let is_text = serial_type >= 13 && serial_type % 2 == 1;
    is_text.then(|| usize::try_from((serial_type - 13) / 2).ok())?
}

/// A number of one to nine bytes, and what follows it.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0_u64;
    for (index, byte) in bytes.iter().take(9).enumerate() {
        if index == 8 {
            return Some((number << 8 | u64::from(*byte), &bytes[9..]));
        }
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((number, &bytes[index + 1..]));
        }
    }
    None
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4).map(|four| u32::from_be_bytes([four[0], four[1], four[2], four[3]]))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::archive::tests::revision_of;

    /// The first page of a file of 512-byte pages with these rows of schema: kind and name each.
    pub(crate) fn schema_of(rows: &[(&str, &str)]) -> Vec<u8> {
        let mut page = vec![0; 512];
        page[..16].copy_from_slice(MAGIC);
        page[16..18].copy_from_slice(&512_u16.to_be_bytes());
        page[59] = 1;
        page[100] = 0x0d;
        page[103..105].copy_from_slice(&u16::try_from(rows.len()).expect("few").to_be_bytes());
        let mut end = page.len();
        for (index, (kind, name)) in rows.iter().enumerate() {
            let serial = |text: &str| u8::try_from(13 + 2 * text.len()).expect("short");
            let record = [&[3, serial(kind), serial(name)], kind.as_bytes(), name.as_bytes()].concat();
            let cell = [&[u8::try_from(record.len()).expect("short"), 1], &record[..]].concat();
            end -= cell.len();
            page[end..end + cell.len()].copy_from_slice(&cell);
            page[108 + 2 * index..110 + 2 * index].copy_from_slice(&u16::try_from(end).expect("fits").to_be_bytes());
        }
        page
    }

    fn names(content: &[u8]) -> io::Result<Vec<String>> {
        let (manifest, read) = revision_of("a.sqlite", content);
        table_names("a.sqlite", RevisionFiles { manifest: &manifest, read: &read })
    }

    #[test]
    fn tables_are_listed_without_what_else_is_there() {
        let rows =
            [("table", "birds"), ("index", "i"), ("table", "sqlite_sequence"), ("view", "v"), ("table", "zw\u{f6}")];
        assert_eq!(names(&schema_of(&rows)).expect("a schema"), ["birds", "zw\u{f6}"]);
    }

    #[test]
    fn pages_of_a_large_schema_are_followed() {
        let leaf = |name| schema_of(&[("table", name)])[100..].to_vec();
        let mut file = schema_of(&[]);
        file[100] = 0x05;
        file[104] = 1;
        file[108..112].copy_from_slice(&3_u32.to_be_bytes());
        file[112..114].copy_from_slice(&200_u16.to_be_bytes());
        file[200..204].copy_from_slice(&2_u32.to_be_bytes());
        for name in ["first", "second"] {
            // Cells count from the start of the page, which has no header of a file here.
            let mut page = leaf(name);
            page.splice(0..0, []);
            let mut whole = vec![0; 512];
            whole[..8].copy_from_slice(&page[..8]);
            let cell = usize::from(u16_at(&page, 8).expect("a cell"));
            whole[8..10].copy_from_slice(&u16::try_from(cell).expect("fits").to_be_bytes());
            whole[cell..].copy_from_slice(&page[cell - 100..]);
            file.extend(whole);
        }
        assert_eq!(names(&file).expect("a schema"), ["first", "second"]);
        file[112..114].copy_from_slice(&[0xff, 0xff]);
        assert!(names(&file).is_err(), "a place outside the page");
    }

    #[test]
    fn damage_is_said_so() {
        let mut loops = schema_of(&[]);
        loops[100] = 0x05;
        loops[108..112].copy_from_slice(&1_u32.to_be_bytes());
        let mut odd = schema_of(&[("table", "birds")]);
        odd[100] = 0x77;
        for content in [&b"name,weight\n"[..], b"", &schema_of(&[])[..200], &loops, &odd] {
            assert!(names(content).is_err());
        }
    }
}
