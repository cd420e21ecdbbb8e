//! Figures of the columns of a split: exact, of all rows, in one pass over the files and in bounded memory.
//!
//! The work is cut into pieces of one column and some row groups, taken column by column, so that only a few columns
//! are in memory at a time. A piece sorts the values it reads into runs; when the last piece of a column is done, its
//! runs are merged into one ascending sequence, of which all figures are told in a single walk. Texts are read a
//! second time where that is needed: for dates, and for the most frequent ones of many.
//!
//! To describe another type: a `Kind` with its place in `plan.rs`, its keys in `gather.rs`, its words in `figures.rs`.

mod chosen;
mod dates;
mod figures;
mod gather;
mod hints;
mod histogram;
mod keys;
mod leaf;
mod multiset;
mod pieces;
mod plan;
mod show;
mod spread;
mod walk;

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::call::{ParquetFile, SplitStatistics, Statistics};
use crate::error::{EngineError, ErrorKind};
use crate::footers::FooterCache;
use crate::media::measure::Media;
use crate::query::select::Selection;
use crate::scan::SplitTable;
use crate::task::Task;

use figures::Making;
use multiset::Budget;
use pieces::{Report, Scan, pieces};
use plan::plan;

/// Whose rules figures follow where they differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rules {
    /// Those of the documented worker of 2023: few texts are labels, texts are never dates, the last bin of whole numbers
    /// holds the maximum alone. With figures of further types and details.
    Seed,
    /// Those of today's reference, and nothing else.
    Reference,
}

/// The figures of one column, or of values inside of it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ColumnStatistics {
    /// The column; inside of it with fields after dots and `[]` for the items of lists.
    pub column_name: String,
    /// What it is described as.
    pub column_type: String,
    /// The figures; null when they could not be computed.
    pub column_statistics: Json,
    /// What is known beyond the reference's figures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Json>,
    /// Why there are no figures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What bins of a column are made of, so that some of the rows can be described in the bins of all.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Frame {
    /// The least value, as its sortable key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<u64>,
    /// Bounds of the bins, as sortable keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edges: Option<Vec<u64>>,
    /// What texts were described as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub texts: Option<TextForm>,
}

/// What a column of texts is described as.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextForm {
    /// By the numbers of its values.
    Labels,
    /// By the lengths of its values.
    Lengths,
    /// By the dates that its values tell.
    Dates,
}

/// Answers [`Call::Statistics`](crate::Call::Statistics). A column that cannot be read or described is listed with its
/// error; with the rules of the reference it ends the call.
///
/// # Errors
/// [`Features`](ErrorKind::Features) when no column has a type with figures; [`Unreadable`](ErrorKind::Unreadable) and
/// the like when no column could be described; [`Io`](ErrorKind::Io) when values cannot be spilled; those of opening
/// files and of the task.
pub(crate) fn statistics(call: &Statistics, cache: &FooterCache, task: &Task) -> Result<SplitStatistics, EngineError> {
    let files = files_within(call, cache)?;
    let partial = files.len() < call.files.len();
    let table = SplitTable::open(files, call.features.as_ref(), cache)?;
    let bounded;
    let (task, selection, frames) = match &call.selected {
        None => (task, None, None),
        Some(selected) => {
            bounded = selected.budget.applied_to(task);
            let bound = selected.query.parsed()?.bind(table.features())?;
            let selection = bound.select(&table, selected.budget.max_rows, &bounded)?;
            (&bounded, Some(selection), Some(&selected.frames))
        }
    };
    let mut columns = plan(table.features(), call.rules);
    // Large ones first, so that no thread is left with one at the end.
    columns.sort_by_cached_key(|column| Reverse(table.column_bytes(column.index)));
    if columns.is_empty() {
        let message = "no column has a type that statistics are computed of";
        return Err(EngineError::new(ErrorKind::Features, message));
    }
    let making = Making {
        rules: call.rules,
        bins: call.histogram_bins.max(1),
        max_labels: call.max_string_labels,
        frame: None,
        task,
    };
    let scan = Scan {
        table: &table,
        pieces: pieces(table.groups(), columns.len(), task.threads),
        budget: Budget::new(call.memory_bytes, call.scratch.clone()),
        media: Media::new(&call.repository, &call.linked_files, call.rules == Rules::Reference),
        making,
        selection: selection.as_ref(),
        frames,
    };
    let reports = scan.run(&columns)?;
    let num_examples = selection.as_ref().map_or(table.num_rows(), Selection::count);
    answer(reports, num_examples, partial, call.rules)
}

/// The first files, up to the one that exceeds the limit.
fn files_within<'c>(call: &'c Statistics, cache: &FooterCache) -> Result<&'c [ParquetFile], EngineError> {
    let Some(limit) = call.max_split_bytes else { return Ok(&call.files) };
    let mut bytes = 0;
    for (index, file) in call.files.iter().enumerate() {
        bytes += cache.open(&file.file)?.1.uncompressed_bytes();
        if bytes > limit {
            return Ok(&call.files[..=index]);
        }
    }
    Ok(&call.files)
}

fn answer(
    reports: Vec<Report>,
    num_examples: u64,
    partial: bool,
    rules: Rules,
) -> Result<SplitStatistics, EngineError> {
    let first_failure = reports.iter().find_map(|report| report.failure.clone());
    if let Some(error) = first_failure
        && (rules == Rules::Reference || reports.iter().all(|report| report.failure.is_some()))
    {
        return Err(error);
    }
    let (mut statistics, mut more_statistics, mut frames) = (Vec::new(), Vec::new(), BTreeMap::new());
    for Report { listed, statistics: column, frame, .. } in reports {
        if frame != Frame::default() {
            frames.insert(column.column_name.clone(), frame);
        }
        if listed { statistics.push(column) } else { more_statistics.push(column) }
    }
    for list in [&mut statistics, &mut more_statistics] {
        list.sort_by(|left: &ColumnStatistics, right| left.column_name.cmp(&right.column_name));
    }
    Ok(SplitStatistics { num_examples, statistics, more_statistics, partial, frames })
}

#[cfg(test)]
mod tests;
