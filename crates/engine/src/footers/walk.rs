//! Where the pages of a Parquet file without page index lie, found by reading the heads of its pages one after the other.
//!
//! A file of one large row group, as many programs write it, would otherwise have to be read by whole columns for any row.
//! Only heads are read, some bytes for each page; what they say is checked against the footer, and a file for which it does not
//! come out even is read as before.

use std::ops::Range;

use parquet::file::metadata::{ColumnChunkMetaData, OffsetIndexBuilder, ParquetMetaData};
use parquet::file::page_index::offset_index::OffsetIndexMetaData;

use crate::ranges::Ranges;
use crate::source::ReadRanges;

/// Columns of a row group that are smaller are read whole, which costs little.
const LARGE_CHUNK: u64 = 16 << 20;
/// Pages that are looked for, of all columns.
const MAX_PAGES: usize = 400_000;
/// Bytes read for a head, and at most when that is not enough: heads may hold the least and the greatest value.
const HEAD: u64 = 128;
const LARGEST_HEAD: u64 = 1 << 20;

/// The pages of all columns of all row groups. `None` if the file has an index, if it has no large column, or if rows cannot be
/// told from the heads: lists in pages of the older version may begin inside of a row.
pub(super) fn offset_index(file: &Ranges, metadata: &ParquetMetaData) -> Option<Vec<Vec<OffsetIndexMetaData>>> {
    let is_large = |column: &ColumnChunkMetaData| column.byte_range().1 > LARGE_CHUNK;
    let groups = metadata.row_groups();
    if metadata.offset_index().is_some()
        || !groups.iter().flat_map(parquet::file::metadata::RowGroupMetaData::columns).any(is_large)
    {
        return None;
    }
    let mut left = MAX_PAGES;
    let mut index = Vec::with_capacity(groups.len());
    for group in groups {
        let rows = group.num_rows();
        let columns = group.columns().iter().map(|column| pages(file, column, rows, &mut left));
        index.push(columns.collect::<Option<Vec<_>>>()?);
    }
    Some(index)
}

/// The data pages of a column chunk of so many rows.
fn pages(file: &Ranges, column: &ColumnChunkMetaData, rows: i64, left: &mut usize) -> Option<OffsetIndexMetaData> {
    let is_flat = column.column_descr().max_rep_level() == 0;
    let (start, length) = column.byte_range();
    let end = start.checked_add(length).filter(|end| *end <= file.size())?;
    let (mut at, mut row) = (start, 0);
    let mut index = OffsetIndexBuilder::new();
    while row < rows {
        *left = left.checked_sub(1)?;
        let head = Head::read(file, at..end)?;
        let next = at.checked_add(head.length)?.checked_add(head.page_bytes).filter(|next| *next <= end)?;
        if let Some(count) = head.rows(is_flat)? {
            if count <= 0 || count > rows - row {
                return None;
            }
            index.append_offset_and_size(i64::try_from(at).ok()?, i32::try_from(next - at).ok()?);
            index.append_row_count(count);
            row += count;
        }
        at = next;
    }
    Some(index.build())
}

/// What the head of a page tells.
#[derive(Debug, Default, PartialEq, Eq)]
struct Head {
    /// Bytes of the head itself.
    length: u64,
    /// Bytes of the page after it.
    page_bytes: u64,
    /// 0: data, 2: dictionary, 3: data of the newer version.
    kind: i64,
    values: Option<i64>,
    rows: Option<i64>,
}

impl Head {
    /// The head at the beginning of a range.
    fn read(file: &Ranges, within: Range<u64>) -> Option<Self> {
        let mut length = HEAD;
        loop {
            let range = within.start..within.end.min(within.start + length);
            let is_all = range.end == within.end;
            let bytes = file.read_ranges(std::slice::from_ref(&range)).ok()?.pop()?;
            match Self::parse(&bytes) {
                Some(head) => return Some(head),
                None if is_all || length >= LARGEST_HEAD => return None,
                None => length *= 16,
            }
        }
    }

    /// A `PageHeader`; `None` when it is none, or goes on after these bytes.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut thrift = Compact { bytes, at: 0 };
        let mut head = Self::default();
        let mut field = 0;
        while let Some(kind) = thrift.field(&mut field)? {
            match (field, kind) {
                (1, I32) => head.kind = thrift.zigzag()?,
                (3, I32) => head.page_bytes = u64::try_from(thrift.zigzag()?).ok()?,
                (5 | 8, STRUCT) => {
                    let newer = field == 8;
                    let mut inner = 0;
                    while let Some(kind) = thrift.field(&mut inner)? {
                        match (inner, kind) {
                            (1, I32) => head.values = Some(thrift.zigzag()?),
                            (3, I32) if newer => head.rows = Some(thrift.zigzag()?),
                            _ => thrift.skip(kind, 0)?,
                        }
                    }
                }
                _ => thrift.skip(kind, 0)?,
            }
        }
        head.length = thrift.at as u64;
        Some(head)
    }

    /// Rows of a page: inner `None` for a page without; outer `None` when they are not known.
    fn rows(&self, is_flat: bool) -> Option<Option<i64>> {
        match self.kind {
            0 if is_flat => self.values.map(Some),
            3 => self.rows.map(Some),
            1 | 2 => Some(None),
            _ => None,
        }
    }
}

const I32: u8 = 5;
const STRUCT: u8 = 12;
/// Nesting that is passed over.
const MAX_DEPTH: u8 = 8;

/// The compact protocol of Thrift
/// (<https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>), as far as heads of pages need it.
struct Compact<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Compact<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied()?;
        self.at += 1;
        Some(byte)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn zigzag(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// The type of the next field, whose number goes to `field`; inner `None` at the end of the struct.
    fn field(&mut self, field: &mut i64) -> Option<Option<u8>> {
        let head = self.byte()?;
        if head == 0 {
            return Some(None);
        }
        match head >> 4 {
            0 => *field = self.zigzag()?,
            distance => *field = field.checked_add(i64::from(distance))?,
        }
        Some(Some(head & 0xf))
    }

    fn skip(&mut self, kind: u8, depth: u8) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        match kind {
            // Truths are in the head of the field.
            1 | 2 => {}
            3 => drop(self.byte()?),
            4..=6 => drop(self.varint()?),
            7 => self.pass(8)?,
            8 => {
                let length = usize::try_from(self.varint()?).ok()?;
                self.pass(length)?;
            }
            9 | 10 => {
                let head = self.byte()?;
                let length = match head >> 4 {
                    15 => self.varint()?,
                    length => u64::from(length),
                };
                for _ in 0..length {
                    // Truths of a list take a byte each.
                    match head & 0xf {
                        1 | 2 => drop(self.byte()?),
                        item => self.skip(item, depth + 1)?,
                    }
                }
            }
            STRUCT => {
                let mut field = 0;
                while let Some(kind) = self.field(&mut field)? {
                    self.skip(kind, depth + 1)?;
                }
            }
            _ => return None,
        }
        Some(())
    }

    fn pass(&mut self, length: usize) -> Option<()> {
        self.at = self.at.checked_add(length).filter(|at| *at <= self.bytes.len())?;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, ListArray, RecordBatch, StringArray};
    use arrow::datatypes::Int64Type;
    use parquet::arrow::ArrowWriter;
    use parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader};
    use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterVersion};

    use super::*;
    use crate::source::{LocalFile, SourceFile};

    fn table(lists: bool) -> RecordBatch {
        let rows = 20_000;
        let mut columns: Vec<(&str, ArrayRef)> = vec![
            ("n", Arc::new(Int64Array::from_iter((0..rows).map(|n| (n % 7 > 0).then_some(n))))),
            ("t", Arc::new(StringArray::from_iter_values((0..rows).map(|n| format!("{n:0<1200}"))))),
            ("word", Arc::new(StringArray::from_iter_values((0..rows).map(|n| ["a", "b"][n as usize % 2])))),
        ];
        if lists {
            let items = (0..rows).map(|n| Some((0..n % 5).map(Some)));
            columns.push(("l", Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(items))));
        }
        RecordBatch::try_from_iter(columns).unwrap()
    }

    fn write(path: &Path, table: &RecordBatch, properties: WriterPropertiesBuilder) -> (Ranges, ParquetMetaData) {
        let properties = properties.build();
        let mut writer =
            ArrowWriter::try_new(std::fs::File::create(path).unwrap(), table.schema(), Some(properties)).unwrap();
        writer.write(table).unwrap();
        writer.close().unwrap();
        let size = std::fs::metadata(path).unwrap().len();
        let file = SourceFile { path: "a".to_owned(), local_path: path.to_owned(), size, identity: None };
        let file = Ranges::new(LocalFile::open(&file).unwrap());
        let reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Optional);
        let metadata = reader.parse_and_finish(&file).unwrap();
        (file, metadata)
    }

    fn without_index() -> WriterPropertiesBuilder {
        // Statistics of pages bring an index with them.
        let properties = WriterProperties::builder().set_statistics_enabled(EnabledStatistics::Chunk);
        properties.set_offset_index_disabled(true).set_data_page_row_count_limit(700)
    }

    #[test]
    fn what_is_found_is_what_an_index_would_tell() {
        let folder = tempfile::tempdir().unwrap();
        for (version, lists) in [(WriterVersion::PARQUET_1_0, false), (WriterVersion::PARQUET_2_0, true)] {
            let table = table(lists);
            let plain = without_index().set_writer_version(version);
            let (file, metadata) = write(&folder.path().join("plain"), &table, plain);
            assert!(metadata.offset_index().is_none());
            let found = offset_index(&file, &metadata).expect("one column is large");
            let indexed = WriterProperties::builder().set_data_page_row_count_limit(700).set_writer_version(version);
            let (_, expected) = write(&folder.path().join("indexed"), &table, indexed);
            let expected = expected.offset_index().unwrap();
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
                assert_eq!(found.page_locations(), expected.page_locations());
            }
        }
    }

    #[test]
    fn files_that_need_none_or_cannot_tell_have_none() {
        let folder = tempfile::tempdir().unwrap();
        let indexed = WriterProperties::builder();
        let (file, metadata) = write(&folder.path().join("indexed"), &table(false), indexed);
        assert!(offset_index(&file, &metadata).is_none());
        let (file, metadata) = write(&folder.path().join("small"), &table(false).slice(0, 5_000), without_index());
        assert!(offset_index(&file, &metadata).is_none());
        // In pages of the older version a list may go on where the next page begins.
        let old = without_index().set_writer_version(WriterVersion::PARQUET_1_0);
        let (file, metadata) = write(&folder.path().join("lists"), &table(true), old);
        assert!(offset_index(&file, &metadata).is_none());
    }

    #[test]
    fn heads_that_are_none_are_refused() {
        for bytes in [&b""[..], b"PAR1PAR1", &[0x15; 40], &[0xff; 200], &[0x19, 0xff, 0xff, 0xff, 0xff, 0x0f, 1]] {
            let head = Head::parse(bytes);
            assert!(head.is_none() || head.is_some_and(|head| head.rows(true).is_none()), "{bytes:?}");
        }
        // A column that says to lie beyond the file.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cut");
        let (_, metadata) = write(&path, &table(false), without_index());
        std::fs::write(&path, b"short").unwrap();
        let file = SourceFile { path: "a".to_owned(), local_path: path, size: 5, identity: None };
        assert!(offset_index(&Ranges::new(LocalFile::open(&file).unwrap()), &metadata).is_none());
    }
}
