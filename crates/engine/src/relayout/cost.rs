//! What a page of rows costs in a file, told by its footer: the bytes that have to be decompressed for it.
//!
//! Of each column that is the largest data page and the dictionary, or the whole column chunk where no page index tells
//! the pages apart. The measure is that of the worst row group, compared with what our own layout would take.

use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};

use crate::write::{PAGE_BYTES, PAGE_ROWS};

/// A page that costs less is left alone: about two milliseconds.
const CHEAP_BYTES: u64 = 1 << 20;
/// A copy has to be better by this factor to be worth its room.
const GAIN: u64 = 4;
/// Rows of a page of an answer.
const ANSWER_ROWS: u64 = 100;

/// True when a page of rows costs more than [`CHEAP_BYTES`] in some row group, and [`GAIN`] times what it would cost in
/// our layout.
pub(super) fn is_poor(metadata: &ParquetMetaData) -> bool {
    groups(metadata).any(|(index, group)| {
        let cost = cost(metadata, index, group);
        cost > CHEAP_BYTES && cost > GAIN * ideal_cost(group)
    })
}

/// True when pages of the copy cost at most half of what they cost in the original.
pub(super) fn is_better(copy: &ParquetMetaData, original: &ParquetMetaData) -> bool {
    let worst =
        |metadata| groups(metadata).map(|(index, group)| cost(metadata, index, group)).max().unwrap_or_default();
    worst(copy) <= worst(original) / 2
}

fn groups(metadata: &ParquetMetaData) -> impl Iterator<Item = (usize, &RowGroupMetaData)> {
    metadata.row_groups().iter().enumerate().filter(|(_, group)| group.num_rows() > 0)
}

/// Bytes to decompress for a page of rows of a row group.
fn cost(metadata: &ParquetMetaData, index: usize, group: &RowGroupMetaData) -> u64 {
    let pages = metadata.offset_index().and_then(|offsets| offsets.get(index));
    let largest_page = |position: usize| {
        let locations = pages?.get(position)?.page_locations();
        locations.iter().map(|page| u64::try_from(page.compressed_page_size).unwrap_or_default()).max()
    };
    let of_column = |(position, column): (usize, &ColumnChunkMetaData)| {
        let (stored, whole) = (column.compressed_size().unsigned_abs(), column.uncompressed_size().unsigned_abs());
        let Some(page) = largest_page(position) else { return whole };
        // Only the chunk tells how far compression goes; its pages are taken to be alike.
        let fetched = page + dictionary_bytes(column);
        (fetched as f64 * whole as f64 / stored.max(1) as f64).min(whole as f64) as u64
    };
    group.columns().iter().enumerate().map(of_column).sum()
}

fn dictionary_bytes(column: &ColumnChunkMetaData) -> u64 {
    let bytes = |start| column.data_page_offset().checked_sub(start).and_then(|bytes| u64::try_from(bytes).ok());
    column.dictionary_page_offset().and_then(bytes).unwrap_or_default()
}

/// What a page of rows would cost in our layout.
fn ideal_cost(group: &RowGroupMetaData) -> u64 {
    let rows = group.num_rows().unsigned_abs();
    let of_column = |column: &ColumnChunkMetaData| {
        let bytes_per_row = column.uncompressed_size().unsigned_abs() as f64 / rows as f64;
        let rows_of_page = (PAGE_BYTES as f64 / bytes_per_row.max(1e-9)).clamp(ANSWER_ROWS as f64, PAGE_ROWS as f64);
        (bytes_per_row * rows_of_page.min(rows as f64)) as u64
    };
    group.columns().iter().map(of_column).sum()
}
