//! A Parquet file of one row group, written column after column and page after page, so that its size is bounded by the disk and
//! not by memory. No library writes so; the format is simple enough (<https://parquet.apache.org/docs/file-format/>).

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use super::thrift::Struct;

/// Bytes of a text, the greatest part of a row.
const TEXT: usize = 1_000;
const PAGE_ROWS: u64 = 1_000;

struct Column {
    name: &'static str,
    /// Physical type: 2 is INT64, 5 is DOUBLE, 6 is BYTE_ARRAY.
    kind: i64,
    value: fn(u64, &str, &mut Vec<u8>),
}

const COLUMNS: [Column; 4] = [
    Column { name: "id", kind: 2, value: |row, _, page| page.extend(row.to_le_bytes()) },
    Column { name: "score", kind: 5, value: |row, _, page| page.extend(((row % 1_000) as f64 / 7.0).to_le_bytes()) },
    Column {
        name: "text",
        kind: 6,
        value: |row, words, page| {
            let start = (row.wrapping_mul(7_919) % (words.len() - TEXT) as u64) as usize;
            page.extend((TEXT as u32).to_le_bytes());
            page.extend(&words.as_bytes()[start..start + TEXT]);
        },
    },
    Column { name: "group", kind: 2, value: |row, _, page| page.extend((row / 1_000).to_le_bytes()) },
];

/// Where a column lies.
#[derive(Default)]
struct Written {
    start: u64,
    bytes: u64,
    /// Offset, bytes and first row of each page.
    pages: Vec<(u64, u64, u64)>,
    index: Option<(u64, u64)>,
}

/// Writes a file of about so many bytes; returns its number of rows.
pub(crate) fn write(path: &Path, bytes: u64, with_index: bool) -> std::io::Result<u64> {
    let rows = (bytes / (TEXT as u64 + 4 + 3 * 8)).max(1);
    let words = "every row has a text of a thousand letters taken from these words ".repeat(2_000);
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    out.write_all(b"PAR1")?;
    let mut position = 4;
    let mut columns: Vec<Written> = Vec::new();
    for column in &COLUMNS {
        let mut written = Written { start: position, ..Written::default() };
        for first in (0..rows).step_by(PAGE_ROWS as usize) {
            let count = PAGE_ROWS.min(rows - first);
            let mut page = Vec::new();
            (first..first + count).for_each(|row| (column.value)(row, &words, &mut page));
            let header = page_header(page.len() as i64, count as i64);
            out.write_all(&header)?;
            out.write_all(&page)?;
            let length = (header.len() + page.len()) as u64;
            written.pages.push((position, length, first));
            position += length;
        }
        written.bytes = position - written.start;
        columns.push(written);
    }
    if with_index {
        for written in &mut columns {
            let index = offset_index(&written.pages);
            out.write_all(&index)?;
            written.index = Some((position, index.len() as u64));
            position += index.len() as u64;
        }
    }
    let footer = footer(&columns, rows);
    out.write_all(&footer)?;
    out.write_all(&(footer.len() as u32).to_le_bytes())?;
    out.write_all(b"PAR1")?;
    out.flush()?;
    Ok(rows)
}

/// `PageHeader` of a plain data page without levels.
fn page_header(bytes: i64, values: i64) -> Vec<u8> {
    let data = Struct::new().i32(1, values).i32(2, 0).i32(3, 3).i32(4, 3);
    Struct::new().i32(1, 0).i32(2, bytes).i32(3, bytes).nested(5, data).finish()
}

fn offset_index(pages: &[(u64, u64, u64)]) -> Vec<u8> {
    let location = |(offset, bytes, row): &(u64, u64, u64)| {
        Struct::new().i64(1, *offset as i64).i32(2, *bytes as i64).i64(3, *row as i64)
    };
    Struct::new().structs(1, pages.iter().map(location)).finish()
}

fn footer(columns: &[Written], rows: u64) -> Vec<u8> {
    let root = Struct::new().text(4, "schema").i32(5, COLUMNS.len() as i64);
    let element = |column: &Column| {
        let element = Struct::new().i32(1, column.kind).i32(3, 0).text(4, column.name);
        if column.kind == 6 { element.i32(6, 0) } else { element }
    };
    let chunk = |(column, written): (&Column, &Written)| {
        let (start, bytes) = (written.start as i64, written.bytes as i64);
        let metadata = Struct::new()
            .i32(1, column.kind)
            .i32s(2, &[0])
            .texts(3, &[column.name])
            .i32(4, 0)
            .i64(5, rows as i64)
            .i64(6, bytes)
            .i64(7, bytes)
            .i64(9, start);
        let chunk = Struct::new().i64(2, start).nested(3, metadata);
        match written.index {
            Some((offset, length)) => chunk.i64(4, offset as i64).i32(5, length as i64),
            None => chunk,
        }
    };
    let total: u64 = columns.iter().map(|written| written.bytes).sum();
    let group =
        Struct::new().structs(1, COLUMNS.iter().zip(columns).map(chunk)).i64(2, total as i64).i64(3, rows as i64);
    Struct::new()
        .i32(1, 1)
        .structs(2, std::iter::once(root).chain(COLUMNS.iter().map(element)))
        .i64(3, rows as i64)
        .structs(4, std::iter::once(group))
        .text(6, "belvedere benches")
        .finish()
}
