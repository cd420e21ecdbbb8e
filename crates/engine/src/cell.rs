//! The whole value of one cell, however long: text as text, bytes as bytes, everything else as the JSON of a page.

use arrow::array::{Array, AsArray};
use arrow::datatypes::DataType;
use belvedere_domain::Feature;
use belvedere_domain::features::Dtype;
use bytes::Bytes;

use crate::call::{Cell, CellValue};
use crate::cells::Cells;
use crate::error::{EngineError, ErrorKind};
use crate::footers::FooterCache;
use crate::media::{MediaCell, MediaStore, Place};
use crate::scan::{Group, SplitTable};
use crate::task::Task;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const BYTES: &str = "application/octet-stream";

/// Answers [`Call::Cell`](crate::Call::Cell).
///
/// # Errors
/// [`Parameter`](ErrorKind::Parameter) for a row or a column that is not there, [`TooBig`](ErrorKind::TooBig) when the file
/// makes one read of more bytes than allowed necessary, [`Cell`](ErrorKind::Cell) for what cannot be shown; those of
/// reading.
pub(crate) fn cell(call: &Cell, cache: &FooterCache, task: &Task) -> Result<CellValue, EngineError> {
    let num_rows: u64 = call.files.iter().map(|file| file.num_rows).sum();
    if call.row >= num_rows {
        let message = match num_rows {
            0 => "Parameter 'row': the split has no rows".to_owned(),
            _ => format!("Parameter 'row': the split has rows from 0 to {}, not {}", num_rows - 1, call.row),
        };
        return Err(EngineError::new(ErrorKind::Parameter, message));
    }
    // Only the file that holds the row is opened.
    let mut first = 0;
    let file = call.files.iter().find(|file| {
        first += file.num_rows;
        call.row < first
    });
    let file = file.ok_or_else(|| EngineError::new(ErrorKind::Internal, "the row is in no file"))?;
    let row = call.row - (first - file.num_rows);
    let features = cache.features(call.features.as_ref(), &call.files)?;
    let table = SplitTable::open(std::slice::from_ref(file), Some(&features), cache)?;
    let column = features.iter().position(|(name, _)| *name == call.column);
    let column = column.ok_or_else(|| crate::export::columns::unknown(&features, "column", &call.column))?;
    check_size(&table, row, column, call.max_read_bytes)?;
    let found = table.gather(&[row], &[column], task)?;
    let (name, feature) = &features[column];
    let value = value(call, feature, found.column(0).as_ref()).map_err(|error| error.in_column(name))?;
    Ok(part_of(value, call))
}

/// Refuses what would take a read of a whole column where the file has no page index.
fn check_size(table: &SplitTable, row: u64, column: usize, max_read_bytes: u64) -> Result<(), EngineError> {
    let holds = |group: &&Group| row >= group.first_row && row - group.first_row < group.num_rows as u64;
    let Some(group) = table.groups().iter().find(holds) else { return Ok(()) };
    let footer = table.footer(group);
    let Some(root) = table.column_in_file(group, column) else { return Ok(()) };
    if footer.metadata().offset_index().is_some_and(|index| index.get(group.row_group).is_some()) {
        return Ok(());
    }
    let schema = footer.metadata().file_metadata().schema_descr();
    let leaves = table.metadata(group).columns().iter().enumerate();
    let bytes: u64 =
        leaves.filter(|(leaf, _)| schema.get_column_root_idx(*leaf) == root).map(|(_, leaf)| leaf.byte_range().1).sum();
    if bytes <= max_read_bytes {
        return Ok(());
    }
    let message = format!(
        "this cell takes a read of {bytes} bytes, more than the {max_read_bytes} allowed; write the file with a page index or \
         with smaller row groups"
    );
    Err(EngineError::new(ErrorKind::TooBig, message).in_file(table.path(group)))
}

/// The whole value of the only row of an array.
fn value(call: &Cell, feature: &Feature, array: &dyn Array) -> Result<CellValue, EngineError> {
    if array.is_null(0) {
        return Ok(CellValue::Null);
    }
    let plain = match (feature, array.data_type()) {
        (Feature::Json, DataType::Utf8) => Some((JSON, array.as_string::<i32>().value(0).as_bytes())),
        (Feature::Value(dtype), _) => plain(dtype, array),
        _ => None,
    };
    if let Some((media_type, bytes)) = plain {
        return Ok(content(media_type, Bytes::copy_from_slice(bytes)));
    }
    let mut media = MediaStore::new(&call.media);
    if feature.media().is_some()
        && let Some(stored) = array.as_struct_opt()
    {
        let bytes = stored.column_by_name("bytes").and_then(|column| column.as_binary_opt::<i32>());
        let path = stored.column_by_name("path").and_then(|column| column.as_string_opt::<i32>());
        let bytes = bytes.filter(|column| column.is_valid(0)).map(|column| column.value(0));
        let cell = MediaCell {
            bytes: bytes.filter(|bytes| !bytes.is_empty()),
            path: path.filter(|column| column.is_valid(0)).map(|column| column.value(0)),
        };
        return Ok(match cell.bytes {
            Some(bytes) => content(media.type_of(feature, &cell), Bytes::copy_from_slice(bytes)),
            None => media.url_of(&cell)?.map_or(CellValue::Null, |url| CellValue::Link { url }),
        });
    }
    let mut text = String::new();
    let mut place = Place { row: call.row, column: &call.column, path: Vec::new() };
    Cells::of(feature, array)?.write(&mut text, 0, &mut place, &mut media)?;
    media.into_assets()?;
    let has_links = feature.any(&mut |feature| feature.media().is_some());
    Ok(CellValue::Content { media_type: JSON.to_owned(), size: text.len() as u64, bytes: text.into(), has_links })
}

/// Texts and bytes as they are.
fn plain<'a>(dtype: &Dtype, array: &'a dyn Array) -> Option<(&'static str, &'a [u8])> {
    Some(match dtype {
        Dtype::String => (TEXT, array.as_string_opt::<i32>()?.value(0).as_bytes()),
        Dtype::LargeString => (TEXT, array.as_string_opt::<i64>()?.value(0).as_bytes()),
        Dtype::StringView => (TEXT, array.as_string_view_opt()?.value(0).as_bytes()),
        Dtype::Binary => (BYTES, array.as_binary_opt::<i32>()?.value(0)),
        Dtype::LargeBinary => (BYTES, array.as_binary_opt::<i64>()?.value(0)),
        Dtype::BinaryView => (BYTES, array.as_binary_view_opt()?.value(0)),
        Dtype::FixedSizeBinary(_) => (BYTES, array.as_fixed_size_binary_opt()?.value(0)),
        _ => return None,
    })
}

fn content(media_type: &str, bytes: Bytes) -> CellValue {
    CellValue::Content { media_type: media_type.to_owned(), size: bytes.len() as u64, bytes, has_links: false }
}

/// With the bytes wanted only.
fn part_of(value: CellValue, call: &Cell) -> CellValue {
    match (value, call.extent) {
        (CellValue::Content { media_type, size, bytes, has_links: false }, Some(extent)) => {
            let part = extent.within(size).unwrap_or(0..0);
            let bytes = bytes.slice(part.start as usize..part.end as usize);
            CellValue::Content { media_type, size, bytes, has_links: false }
        }
        (value, _) => value,
    }
}

#[cfg(test)]
mod tests;
