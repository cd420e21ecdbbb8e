//! One pass over a split: hashes of its rows, and what is counted of its columns.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use arrow::array::{ArrayRef, RecordBatch};
use arrow::row::{RowConverter, SortField};
use sha2::{Digest, Sha256};

use super::records::{Record, Records};
use super::{drift, shared, text};
use crate::error::{EngineError, ErrorKind};
use crate::scan::{SplitTable, for_each};
use crate::task::Task;

/// Bytes of a table before compression, about.
const TABLE_BYTES: u64 = 4 << 20;
/// Parts of the memory of a task: three kinds of records for two splits, and as much again for what is being read.
const MEMORY_PARTS: usize = 12;

/// What is looked at.
pub(super) struct Plan<'c> {
    columns: &'c [shared::Column],
    key: Vec<usize>,
    /// Columns that the key does not cover.
    rest: Vec<usize>,
    /// Columns of the exact leakage, where they are not those of the rows.
    exact: Option<Vec<usize>>,
    /// Columns with text among those of the leakage.
    pub(super) texts: Vec<usize>,
    scratch: PathBuf,
    pub(super) drift: drift::Plan,
}

/// What a pass gives.
pub(super) struct Scanned {
    /// By key, or by all columns.
    pub(super) rows: Records,
    /// By the columns of the leakage, where they are others.
    pub(super) exact: Option<Records>,
    /// By the words of the text.
    pub(super) normalized: Option<Records>,
}

impl<'c> Plan<'c> {
    pub(super) fn new(
        columns: &'c [shared::Column],
        key: &[usize],
        looked_at: &[usize],
        scratch: PathBuf,
        drift: drift::Plan,
    ) -> Self {
        let rest = (0..columns.len()).filter(|column| !key.contains(column)).collect();
        let mut sorted = looked_at.to_vec();
        sorted.sort_unstable();
        let is_all = key.is_empty() && sorted.len() == columns.len();
        let texts = looked_at.iter().copied().filter(|&column| text::holds_text(columns[column].data_type())).collect();
        Self { columns, key: key.to_vec(), rest, exact: (!is_all).then_some(sorted), texts, scratch, drift }
    }

    /// The key and what it does not cover.
    pub(super) fn all(&self) -> Vec<usize> {
        (0..self.columns.len()).collect()
    }
}

/// Reads a split once, row groups in parallel.
///
/// # Errors
/// Those of reading and of the disk; that the task shall stop.
pub(super) fn scan(
    plan: &Plan<'_>,
    table: &SplitTable,
    is_right: bool,
    task: &Task,
) -> Result<(Scanned, drift::Counts), EngineError> {
    let place = |column: &shared::Column| if is_right { column.places.1 } else { column.places.0 };
    let mut ascending: Vec<usize> = plan.columns.iter().map(place).collect();
    ascending.sort_unstable();
    // Where each shared column stands in a table that was read.
    let order: Vec<usize> =
        plan.columns.iter().map(|column| ascending.partition_point(|&other| other < place(column))).collect();
    let records = || Records::new(task.memory_bytes / MEMORY_PARTS, plan.scratch.clone());
    let found = Mutex::new(Scanned {
        rows: records(),
        exact: plan.exact.as_ref().map(|_| records()),
        normalized: (!plan.texts.is_empty()).then(records),
    });
    let lock = || found.lock().unwrap_or_else(PoisonError::into_inner);
    let in_order = Mutex::new(InOrder { next: 0, waiting: BTreeMap::new(), sum: plan.drift.counts() });
    for_each(table.groups().len(), task, |index| {
        let group = &table.groups()[index];
        let hashers = Hashers::new(plan)?;
        let mut drift = plan.drift.counts();
        let mut row = group.first_row;
        for batch in table.read(group, &ascending, None, table.rows_within(group, &ascending, TABLE_BYTES))? {
            task.check()?;
            let batch = batch?;
            let columns = values(plan, &batch, &order).map_err(|error| error.in_file(table.path(group)))?;
            plan.drift.count(&mut drift, &columns)?;
            let (rows, exact, normalized) = hashers.hash(plan, &columns, row, batch.num_rows())?;
            row += batch.num_rows() as u64;
            let mut found = lock();
            found.rows.push(&rows)?;
            if let (Some(records), Some(exact)) = (&mut found.exact, exact) {
                records.push(&exact)?;
            }
            if let Some(records) = &mut found.normalized {
                records.push(&normalized)?;
            }
        }
        in_order.lock().unwrap_or_else(PoisonError::into_inner).add(index, drift);
        task.progress.advance(1);
        Ok(())
    })?;
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok((found, in_order.into_inner().unwrap_or_else(PoisonError::into_inner).sum))
}

/// Adds up the counts of groups in the order of the groups, so that sums of floating point numbers do not depend on which
/// thread was first.
struct InOrder {
    next: usize,
    waiting: BTreeMap<usize, drift::Counts>,
    sum: drift::Counts,
}

impl InOrder {
    fn add(&mut self, index: usize, counts: drift::Counts) {
        self.waiting.insert(index, counts);
        while let Some(counts) = self.waiting.remove(&self.next) {
            self.sum.merge(counts);
            self.next += 1;
        }
    }
}

fn values(plan: &Plan<'_>, batch: &RecordBatch, order: &[usize]) -> Result<Vec<ArrayRef>, EngineError> {
    plan.columns.iter().zip(order).map(|(column, &place)| column.values(batch.column(place))).collect()
}

/// Makes hashes of some columns.
struct Hasher<'p> {
    columns: &'p [usize],
    converter: RowConverter,
}

struct Hashers<'p> {
    key: Hasher<'p>,
    rest: Option<Hasher<'p>>,
    exact: Option<Hasher<'p>>,
}

/// Records of the rows, of their leakage, of their text.
type Hashed = (Vec<Record>, Option<Vec<Record>>, Vec<Record>);

impl<'p> Hashers<'p> {
    fn new(plan: &'p Plan<'_>) -> Result<Self, EngineError> {
        let hasher = |columns: &'p [usize]| Hasher::new(plan, columns);
        Ok(match plan.key.is_empty() {
            true => {
                Self { key: hasher(&plan.rest)?, rest: None, exact: plan.exact.as_deref().map(hasher).transpose()? }
            }
            false => Self {
                key: hasher(&plan.key)?,
                rest: Some(hasher(&plan.rest)?),
                exact: plan.exact.as_deref().map(hasher).transpose()?,
            },
        })
    }

    fn hash(
        &self,
        plan: &Plan<'_>,
        columns: &[ArrayRef],
        first_row: u64,
        num_rows: usize,
    ) -> Result<Hashed, EngineError> {
        let record =
            |row: usize, key: [u64; 2], value: u64| Record { key, value, row: first_row + row as u64, count: 1 };
        let keys = self.key.hashes(columns, num_rows)?;
        let rows = match &self.rest {
            Some(rest) => {
                let values = rest.hashes(columns, num_rows)?;
                keys.iter().zip(values).enumerate().map(|(row, (key, value))| record(row, *key, value[0])).collect()
            }
            None => keys.iter().enumerate().map(|(row, key)| record(row, *key, 0)).collect(),
        };
        let exact = match &self.exact {
            Some(exact) => {
                let keys = exact.hashes(columns, num_rows)?;
                Some(keys.iter().enumerate().map(|(row, key)| record(row, *key, 0)).collect())
            }
            None => None,
        };
        let mut normalized = Vec::new();
        let mut words = String::new();
        for row in (0..num_rows).take_while(|_| !plan.texts.is_empty()) {
            words.clear();
            for &column in &plan.texts {
                // Words do not move from one column to the next.
                words.push('\n');
                text::push_words(&mut words, &columns[column], row);
            }
            if words.bytes().any(|byte| byte != b'\n') {
                normalized.push(record(row, digest(words.as_bytes()), 0));
            }
        }
        Ok((rows, exact, normalized))
    }
}

impl<'p> Hasher<'p> {
    fn new(plan: &Plan<'_>, columns: &'p [usize]) -> Result<Self, EngineError> {
        let fields = columns.iter().map(|&column| SortField::new(plan.columns[column].data_type().clone()));
        let converter =
            RowConverter::new(fields.collect()).map_err(|error| EngineError::new(ErrorKind::Internal, error))?;
        Ok(Self { columns, converter })
    }

    /// A hash for each row.
    fn hashes(&self, columns: &[ArrayRef], num_rows: usize) -> Result<Vec<[u64; 2]>, EngineError> {
        if self.columns.is_empty() {
            return Ok(vec![[0, 0]; num_rows]);
        }
        let chosen: Vec<ArrayRef> = self.columns.iter().map(|&column| columns[column].clone()).collect();
        let rows =
            self.converter.convert_columns(&chosen).map_err(|error| EngineError::new(ErrorKind::Internal, error))?;
        Ok(rows.iter().map(|row| digest(row.as_ref())).collect())
    }
}

/// The first 128 bits of SHA-256: hashes of foreign values must not be forged.
fn digest(bytes: &[u8]) -> [u64; 2] {
    let digest = Sha256::digest(bytes);
    let number =
        |start: usize| u64::from_le_bytes(digest[start..start + 8].try_into().expect("the digest has 32 bytes"));
    [number(0), number(8)]
}
