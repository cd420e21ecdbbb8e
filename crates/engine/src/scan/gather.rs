//! Single rows by their numbers, in any order.

use arrow::array::RecordBatch;
use arrow::compute::interleave_record_batch;
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};

use super::{Group, SplitTable, for_each};
use crate::error::{EngineError, ErrorKind};
use crate::features_arrow::to_schema;
use crate::task::Task;

impl SplitTable {
    /// One table with some columns of some rows, in the order asked; a row may be asked for twice. Only the pages that
    /// hold the rows are read, row groups in parallel. The caller bounds the number of rows.
    ///
    /// # Errors
    /// [`Internal`](ErrorKind::Internal) for a row that the split does not have; those of [`SplitTable::read`].
    pub(crate) fn gather(&self, rows: &[u64], columns: &[usize], task: &Task) -> Result<RecordBatch, EngineError> {
        let mut sorted = rows.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let parts = self.by_group(&sorted)?;
        let tables = for_each(parts.len(), task, |index| {
            let (group, rows) = &parts[index];
            let first = group.first_row;
            let selection = selection(rows.iter().map(|row| row - first), group.num_rows);
            let tables = self.read(group, columns, Some(selection), rows.len())?.collect::<Result<Vec<_>, _>>()?;
            match tables.iter().map(RecordBatch::num_rows).sum::<usize>() == rows.len() {
                true => Ok(tables),
                false => {
                    let message = "the file holds fewer rows than its footer tells";
                    Err(EngineError::new(ErrorKind::Unreadable, message).in_file(self.path(group)))
                }
            }
        })?;
        let tables: Vec<RecordBatch> = tables.into_iter().flatten().collect();
        self.arrange(&tables, &sorted, rows, columns)
    }

    /// Ascending rows, by the groups that hold them.
    fn by_group<'r>(&self, mut rows: &'r [u64]) -> Result<Vec<(Group, &'r [u64])>, EngineError> {
        let mut parts = Vec::new();
        while let Some(&row) = rows.first() {
            let after = self.groups.partition_point(|group| group.first_row + group.num_rows as u64 <= row);
            let Some(group) = self.groups.get(after) else {
                let message = format!("row {row} was asked for, of a split of {} rows", self.num_rows);
                return Err(EngineError::new(ErrorKind::Internal, message));
            };
            let end = group.first_row + group.num_rows as u64;
            let (here, rest) = rows.split_at(rows.partition_point(|&row| row < end));
            parts.push((*group, here));
            rows = rest;
        }
        Ok(parts)
    }

    /// Rows in the order asked, out of tables that hold them in ascending order.
    fn arrange(
        &self,
        tables: &[RecordBatch],
        sorted: &[u64],
        rows: &[u64],
        columns: &[usize],
    ) -> Result<RecordBatch, EngineError> {
        let internal = |error| EngineError::new(ErrorKind::Internal, error);
        if let ([table], true) = (tables, sorted == rows) {
            return Ok(table.clone());
        }
        if tables.is_empty() {
            return to_schema(&self.features, false)
                .project(columns)
                .map(|schema| RecordBatch::new_empty(schema.into()))
                .map_err(internal);
        }
        // Where each ascending row stands: table and row in it.
        let mut places = Vec::with_capacity(sorted.len());
        for (index, table) in tables.iter().enumerate() {
            places.extend((0..table.num_rows()).map(|row| (index, row)));
        }
        let place = |row: &u64| places[sorted.partition_point(|other| other < row)];
        let places: Vec<_> = rows.iter().map(place).collect();
        interleave_record_batch(&tables.iter().collect::<Vec<_>>(), &places).map_err(internal)
    }
}

/// Selects ascending rows of a group of `num_rows` rows.
pub(crate) fn selection(rows: impl IntoIterator<Item = u64>, num_rows: usize) -> RowSelection {
    let mut selectors: Vec<RowSelector> = Vec::new();
    let mut next = 0;
    for row in rows {
        let row = usize::try_from(row).unwrap_or(usize::MAX);
        if row > next {
            selectors.push(RowSelector::skip(row - next));
            selectors.push(RowSelector::select(1));
        } else {
            match selectors.last_mut() {
                Some(last) if !last.skip => last.row_count += 1,
                _ => selectors.push(RowSelector::select(1)),
            }
        }
        next = row + 1;
    }
    if next < num_rows {
        selectors.push(RowSelector::skip(num_rows - next));
    }
    RowSelection::from(selectors)
}
