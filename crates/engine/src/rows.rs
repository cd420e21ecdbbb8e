//! Pages of rows of Parquet files, read with as few bytes as the files allow.
//!
//! Whole files and row groups are skipped by their numbers of rows; within a row group only the pages that hold the
//! rows are fetched (whole column chunks where there is no page index), all of them in one read.

mod page;

use std::ops::Range;

use parquet::DecodeResult;
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use parquet::arrow::push_decoder::ParquetPushDecoderBuilder;
use parquet::file::metadata::RowGroupMetaData;

use crate::call::{PageOfRows, Rows};
use crate::error::{EngineError, ErrorKind};
use crate::footers::{self, Footer, FooterCache};
use crate::ranges::{Ranges, unreadable};
use crate::source::ReadRanges;

pub(crate) use page::{Page, check_columns, stored_as};

/// Answers [`Call::Rows`](crate::Call::Rows). An offset beyond the end is a page without rows.
///
/// # Errors
/// [`SchemaMismatch`](ErrorKind::SchemaMismatch) when a file has columns that the features lack,
/// [`Incompatible`](ErrorKind::Incompatible) when values cannot be cast to them, [`TooBig`](ErrorKind::TooBig) when one
/// read would exceed the limit, [`TooManyColumns`](ErrorKind::TooManyColumns), [`Empty`](ErrorKind::Empty) without
/// files, [`Changed`](ErrorKind::Changed) when a file is not the one that was listed; those of cells.
pub(crate) fn rows(call: &Rows, cache: &FooterCache) -> Result<PageOfRows, EngineError> {
    let features = cache.features(call.features.as_ref(), &call.files)?;
    if let Some(max) = call.max_columns {
        check_columns(&features, max)?;
    }
    let total: u64 = call.files.iter().map(|file| file.num_rows).sum();
    let wanted = call.offset.min(total)..call.offset.saturating_add(call.length as u64).min(total);
    let mut page = Page::new(&features, &call.media, wanted.start);
    let mut start = 0;
    for file in &call.files {
        let here = start..start + file.num_rows;
        start = here.end;
        if let Some(rows) = overlap(&here, &wanted) {
            let (ranges, footer) = cache.open(&file.file)?;
            footers::check_num_rows(&footer, file.num_rows, &file.file.path)?;
            let rows = rows.start - here.start..rows.end - here.start;
            read(&ranges, &footer, rows, call.max_read_bytes, &mut page)
                .map_err(|error| error.in_file(&file.file.path))?;
        }
    }
    page.finish(features.clone(), Some(total), wanted.end < total)
}

/// Reads rows of one file into the page.
fn read(
    file: &Ranges,
    footer: &Footer,
    rows: Range<u64>,
    max_read_bytes: u64,
    page: &mut Page<'_>,
) -> Result<(), EngineError> {
    let (row_groups, selection) = select(footer.metadata().row_groups(), &rows);
    let batch_size = usize::try_from(rows.end - rows.start).unwrap_or(usize::MAX).clamp(1, 8_192);
    let mut decoder = ParquetPushDecoderBuilder::new_with_metadata(footer.arrow.clone())
        .with_row_groups(row_groups)
        .with_row_selection(selection)
        .with_batch_size(batch_size)
        .build()
        .map_err(unreadable)?;
    loop {
        match decoder.try_decode().map_err(unreadable)? {
            DecodeResult::NeedsData(ranges) => {
                let bytes: u64 = ranges.iter().map(|range| range.end - range.start).sum();
                if bytes > max_read_bytes {
                    let message = format!(
                        "these rows take a read of {bytes} bytes, more than the {max_read_bytes} allowed; write the \
                         file with a page index or with smaller row groups"
                    );
                    return Err(EngineError::new(ErrorKind::TooBig, message));
                }
                let data = file.read_ranges(&ranges)?;
                decoder.push_ranges(ranges, data).map_err(unreadable)?;
            }
            DecodeResult::Data(batch) => page.push(&batch)?,
            DecodeResult::Finished => return Ok(()),
        }
    }
}

/// The row groups that hold rows of the file, and which of their rows to keep.
fn select(row_groups: &[RowGroupMetaData], rows: &Range<u64>) -> (Vec<usize>, RowSelection) {
    let mut chosen = Vec::new();
    let mut selectors = Vec::new();
    let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let mut start = 0;
    for (index, group) in row_groups.iter().enumerate() {
        let here = start..start + group.num_rows().unsigned_abs();
        start = here.end;
        if let Some(kept) = overlap(&here, rows) {
            chosen.push(index);
            selectors.push(RowSelector::skip(count(kept.start - here.start)));
            selectors.push(RowSelector::select(count(kept.end - kept.start)));
            selectors.push(RowSelector::skip(count(here.end - kept.end)));
        }
    }
    (chosen, RowSelection::from(selectors))
}

fn overlap(left: &Range<u64>, right: &Range<u64>) -> Option<Range<u64>> {
    let both = left.start.max(right.start)..left.end.min(right.end);
    (both.start < both.end).then_some(both)
}

#[cfg(test)]
mod tests;
