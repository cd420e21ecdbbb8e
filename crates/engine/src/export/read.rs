//! The rows that a piece begins with, as tables of a size that memory allows.

use std::ops::Range;

use arrow::array::RecordBatch;
use belvedere_domain::Features;
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};

use crate::call::{Export, ParquetFile, WantedRows};
use crate::error::{EngineError, ErrorKind};
use crate::footers::FooterCache;
use crate::scan::{Group, MAX_FETCH, SplitTable};
use crate::task::Task;

/// Bytes of a table before compression, about.
const TABLE_BYTES: u64 = 4 << 20;

/// Takes a table and the numbers of its rows; `false`: enough.
type Sink<'s> = &'s mut dyn FnMut(&RecordBatch, &[u64]) -> Result<bool, EngineError>;

/// The files that hold the rows, and the rows.
pub(super) struct Source<'c> {
    call: &'c Export,
    table: SplitTable,
    /// For each file of the table its first row in the split, and in the table of the chosen files.
    starts: Vec<(u64, u64)>,
}

impl<'c> Source<'c> {
    /// Opens those files only that hold the rows.
    pub(super) fn open(call: &'c Export, cache: &FooterCache) -> Result<Self, EngineError> {
        let features = cache.features(call.features.as_ref(), &call.files)?;
        let (mut files, mut starts, mut start, mut chosen) = (Vec::<ParquetFile>::new(), Vec::new(), 0, 0);
        for file in &call.files {
            let here = start..start + file.num_rows;
            start = here.end;
            let wanted = match &call.rows {
                WantedRows::Range { .. } => {
                    let rows = call.range();
                    rows.start < here.end && here.start < rows.end
                }
                WantedRows::Listed(rows) => rows.iter().any(|row| here.contains(row)),
            };
            if wanted {
                files.push(file.clone());
                starts.push((here.start, chosen));
                chosen += file.num_rows;
            }
        }
        Ok(Self { call, table: SplitTable::open(&files, Some(&features), cache)?, starts })
    }

    pub(super) fn features(&self) -> &Features {
        self.table.features()
    }

    /// Hands over the rows until the sink has enough. Returns their number.
    pub(super) fn read(&self, columns: &[usize], task: &Task, sink: Sink<'_>) -> Result<u64, EngineError> {
        match &self.call.rows {
            WantedRows::Range { .. } => self.read_range(&self.call.range(), columns, task, sink),
            WantedRows::Listed(rows) => {
                let rows = &rows[..rows.len().min(self.call.max_rows)];
                self.read_listed(rows, columns, task, sink)
            }
        }
    }

    fn read_range(
        &self,
        rows: &Range<u64>,
        columns: &[usize],
        task: &Task,
        sink: Sink<'_>,
    ) -> Result<u64, EngineError> {
        let (ascending, order) = sorted(columns);
        let mut done = 0;
        for group in self.table.groups() {
            let first = self.in_split(group);
            let here = rows.start.max(first)..rows.end.min(first + group.num_rows as u64);
            if here.start >= here.end {
                continue;
            }
            let inside = here.start - first..here.end - first;
            let size = self.size(group, &ascending);
            let mut row = here.start;
            let mut hand_over = |table: RecordBatch| {
                task.check()?;
                let table = reordered(table, &order)?;
                let numbers: Vec<u64> = (row..row + table.num_rows() as u64).collect();
                row += numbers.len() as u64;
                done += numbers.len() as u64;
                sink(&table, &numbers)
            };
            let read = |selection, batch| self.table.read(group, &ascending, selection, batch as usize);
            if size.indexed {
                for window in windows(inside.clone(), size.table_rows * 4) {
                    for table in read(Some(select(&window, group.num_rows)), size.table_rows)? {
                        if !hand_over(table?)? {
                            return Ok(done);
                        }
                    }
                }
            } else if size.stored_bytes <= MAX_FETCH {
                for table in read(Some(select(&inside, group.num_rows)), size.table_rows)? {
                    if !hand_over(table?)? {
                        return Ok(done);
                    }
                }
            } else {
                let mut next = 0;
                for table in read(None, size.table_rows)? {
                    let table = table?;
                    task.check()?;
                    let part = next..next + table.num_rows() as u64;
                    next = part.end;
                    let kept = inside.start.max(part.start)..inside.end.min(part.end);
                    if kept.start < kept.end {
                        let table = table.slice((kept.start - part.start) as usize, (kept.end - kept.start) as usize);
                        if !hand_over(table)? {
                            return Ok(done);
                        }
                    }
                    if next >= inside.end {
                        break;
                    }
                }
            }
            if row != here.end {
                let message = "the file holds fewer rows than its footer tells";
                return Err(EngineError::new(ErrorKind::Unreadable, message).in_file(self.table.path(group)));
            }
        }
        Ok(done)
    }

    fn read_listed(&self, rows: &[u64], columns: &[usize], task: &Task, sink: Sink<'_>) -> Result<u64, EngineError> {
        let (ascending, order) = sorted(columns);
        let table_rows =
            self.table.groups().iter().map(|group| self.size(group, &ascending).table_rows).min().unwrap_or(1);
        let mut done = 0;
        for numbers in rows.chunks(table_rows as usize) {
            task.check()?;
            let inside = numbers.iter().map(|&row| self.in_table(row)).collect::<Result<Vec<_>, _>>()?;
            let table = self.table.gather(&inside, &ascending, task)?;
            done += numbers.len() as u64;
            if !sink(&reordered(table, &order)?, numbers)? {
                break;
            }
        }
        Ok(done)
    }

    /// The first row of a group, counted in the split.
    fn in_split(&self, group: &Group) -> u64 {
        let (in_split, in_table) = self.starts[group.file];
        in_split + (group.first_row - in_table)
    }

    /// A row of the split, counted in the table of chosen files.
    fn in_table(&self, row: u64) -> Result<u64, EngineError> {
        let after = self.starts.partition_point(|(in_split, _)| *in_split <= row);
        match after.checked_sub(1).map(|file| self.starts[file]) {
            Some((in_split, in_table)) => Ok(in_table + (row - in_split)),
            None => Err(EngineError::new(ErrorKind::Internal, format!("row {row} is not in the split"))),
        }
    }

    fn size(&self, group: &Group, columns: &[usize]) -> Size {
        let (metadata, footer) = (self.table.metadata(group), self.table.footer(group));
        let roots: Vec<usize> = columns.iter().filter_map(|&column| self.table.column_in_file(group, column)).collect();
        let descriptor = footer.metadata().file_metadata().schema_descr();
        let chosen = metadata.columns().iter().enumerate();
        let chosen = chosen.filter(|(leaf, _)| roots.contains(&descriptor.get_column_root_idx(*leaf)));
        // No table is much larger than the piece that it is for.
        let table_bytes = TABLE_BYTES.min(self.call.max_bytes as u64);
        Size {
            stored_bytes: chosen.map(|(_, column)| column.byte_range().1).sum(),
            table_rows: self.table.rows_within(group, columns, table_bytes) as u64,
            indexed: footer.metadata().offset_index().is_some_and(|index| index.get(group.row_group).is_some()),
        }
    }
}

/// What it takes to read a row group.
struct Size {
    /// Bytes of the chosen columns in the file.
    stored_bytes: u64,
    /// Rows that a table may have.
    table_rows: u64,
    /// Parts can be read without the rest.
    indexed: bool,
}

impl Export {
    /// The rows that this piece may have.
    fn range(&self) -> Range<u64> {
        match self.rows {
            WantedRows::Range { offset, length } => offset..offset.saturating_add(length.min(self.max_rows as u64)),
            WantedRows::Listed(_) => 0..0,
        }
    }
}

/// Columns in ascending order, and for each in the order asked its place there.
fn sorted(columns: &[usize]) -> (Vec<usize>, Vec<usize>) {
    let mut ascending = columns.to_vec();
    ascending.sort_unstable();
    let place = |column: &usize| ascending.partition_point(|other| other < column);
    let order = columns.iter().map(place).collect();
    (ascending, order)
}

fn reordered(table: RecordBatch, order: &[usize]) -> Result<RecordBatch, EngineError> {
    if order.is_sorted() {
        return Ok(table);
    }
    table.project(order).map_err(|error| EngineError::new(ErrorKind::Internal, error))
}

fn windows(rows: Range<u64>, size: u64) -> impl Iterator<Item = Range<u64>> {
    let size = size.max(1);
    (0..(rows.end - rows.start).div_ceil(size)).map(move |index| {
        let start = rows.start + index * size;
        start..rows.end.min(start + size)
    })
}

fn select(rows: &Range<u64>, num_rows: usize) -> RowSelection {
    let (start, end) = (rows.start as usize, rows.end as usize);
    RowSelection::from(vec![
        RowSelector::skip(start),
        RowSelector::select(end - start),
        RowSelector::skip(num_rows.saturating_sub(end)),
    ])
}
