//! Two splits side by side: columns, rows, distributions, and rows that are in both.
//!
//! Rows are told apart by the first 128 bits of SHA-256 over their values, so the counts are exact unless two different
//! rows collide, which nobody has ever seen. Memory is bounded by the task: what goes beyond is parted by hash into a
//! file and matched part by part.

mod drift;
mod matching;
mod records;
mod scan;
mod schema;
mod shared;
mod text;

use belvedere_domain::Features;
use serde::{Deserialize, Serialize};

use crate::call::Compare;
use crate::error::{EngineError, ErrorKind};
use crate::footers::FooterCache;
use crate::scan::SplitTable;
use crate::task::Task;

pub use drift::{Bins, ColumnDifference, Level, Method, Summary, ValueCount};
pub use schema::{ChangedColumn, Column, SchemaDifference};

/// How two splits differ. Left is what is compared with, right what is compared; rows are numbered from 0 in their split.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Compared {
    /// Rows of the left split.
    pub left_rows: u64,
    /// Rows of the right split.
    pub right_rows: u64,
    /// Columns that are not the same.
    pub schema: SchemaDifference,
    /// Rows by key or as wholes; `None` when no column can be compared.
    pub rows: Option<RowDifference>,
    /// Distributions of the columns that both have, most different first.
    pub columns: Vec<ColumnDifference>,
    /// Values that are in both; `None` when no column can be compared.
    pub leakage: Option<Leakage>,
}

/// Rows that are in one split only, or in both.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RowDifference {
    /// The columns that identify a row; empty: all of them.
    pub key: Vec<String>,
    /// The columns whose values are compared, the key included.
    pub columns: Vec<String>,
    /// Rows that are in both. Repeated rows count as often as they are in both.
    pub same: u64,
    /// Rows with the same key and other values. Always 0 without a key.
    pub changed: u64,
    /// Rows that are right only.
    pub added: u64,
    /// Rows that are left only.
    pub removed: u64,
    /// Rows beyond the first of their key, left and right.
    pub repeated: (u64, u64),
    /// Numbers of the first rows of each kind.
    pub examples: RowExamples,
}

/// Rows to look at, at most ten of each kind.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct RowExamples {
    /// Left and right row.
    pub changed: Vec<(u64, u64)>,
    /// Right rows.
    pub added: Vec<u64>,
    /// Left rows.
    pub removed: Vec<u64>,
}

/// Rows of one split whose values are in the other, as when a test set was trained on.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Leakage {
    /// The columns that are looked at.
    pub columns: Vec<String>,
    /// Rows with exactly the same values.
    pub exact: Shared,
    /// Those of the columns that hold text.
    pub text_columns: Vec<String>,
    /// Rows with the same text when case, punctuation and spacing are left out; rows without a letter or digit do not
    /// count. `None` when no column holds text.
    pub normalized: Option<Shared>,
}

/// What is in both splits.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Shared {
    /// Left rows that are also right.
    pub left_rows: u64,
    /// Right rows that are also left.
    pub right_rows: u64,
    /// Different values among them.
    pub distinct: u64,
    /// Left and right row of the first of them, at most ten.
    pub examples: Vec<(u64, u64)>,
}

/// Answers [`Call::Compare`](crate::Call::Compare).
///
/// # Errors
/// [`Parameter`](ErrorKind::Parameter) for a column that is not in both splits or not of comparable types; those of
/// [`Call::Rows`](crate::Call::Rows) and of writing what memory does not hold.
pub(crate) fn compare(call: &Compare, cache: &FooterCache, task: &Task) -> Result<Compared, EngineError> {
    let left = SplitTable::open(&call.left.files, call.left.features.as_ref(), cache)?;
    let right = SplitTable::open(&call.right.files, call.right.features.as_ref(), cache)?;
    let columns = shared::columns(left.features(), right.features());
    let key = choose(&columns, "key", &call.key)?;
    let looked_at = match call.columns.is_empty() {
        true => (0..columns.len()).filter(|column| !key.contains(column)).collect(),
        false => choose(&columns, "columns", &call.columns)?,
    };
    task.progress.expect((left.groups().len() + right.groups().len()) as u64);
    let drift = drift::Plan::new(&left, &right, &columns, task)?;
    let plan = scan::Plan::new(&columns, &key, &looked_at, call.scratch.clone(), drift);
    let (one, left_drift) = scan::scan(&plan, &left, false, task)?;
    let (other, right_drift) = scan::scan(&plan, &right, true, task)?;
    let rows = matching::matched(one.rows, other.rows, task)?;
    let exact = match (one.exact, other.exact) {
        (Some(one), Some(other)) => matching::matched(one, other, task)?.shared(),
        _ => rows.shared(),
    };
    let normalized = match (one.normalized, other.normalized) {
        (Some(one), Some(other)) => Some(matching::matched(one, other, task)?.shared()),
        _ => None,
    };
    let names = |chosen: &[usize]| chosen.iter().map(|&column| columns[column].name.clone()).collect::<Vec<_>>();
    Ok(Compared {
        left_rows: left.num_rows(),
        right_rows: right.num_rows(),
        schema: schema::difference(left.features(), right.features(), &columns),
        rows: (!columns.is_empty()).then(|| rows.difference(names(&key), names(&plan.all()))),
        columns: plan.drift.differences(&left_drift, &right_drift),
        leakage: (!looked_at.is_empty()).then(|| Leakage {
            columns: names(&looked_at),
            exact,
            text_columns: names(&plan.texts),
            normalized,
        }),
    })
}

/// Positions among the shared columns.
fn choose(columns: &[shared::Column], parameter: &str, asked: &[String]) -> Result<Vec<usize>, EngineError> {
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    if columns.is_empty() {
        let message = format!("Parameter '{parameter}': the splits have no columns in common that can be compared");
        return Err(EngineError::new(ErrorKind::Parameter, message));
    }
    let known = Features::new(columns.iter().map(|column| (column.name.clone(), column.feature.clone())));
    crate::export::columns::resolve(&known, parameter, asked)
}

#[cfg(test)]
mod tests;
