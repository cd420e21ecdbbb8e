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
mod plan;
mod show;
mod spread;
mod walk;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;
use belvedere_domain::Feature;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::call::{SplitStatistics, Statistics};
use crate::error::{EngineError, ErrorKind};
use crate::footers::FooterCache;
use crate::media::measure::Media;
use crate::query::select::Selection;
use crate::scan::{Group, SplitTable, for_each};
use crate::task::Task;

use chosen::Wanted;
use figures::Making;
use gather::Gatherer;
use leaf::{LeafState, names_needed};
use multiset::Budget;
use plan::{Column, Leaf, plan};

/// Rows of a piece of work: as many as keep all threads busy, within these bounds.
const PIECE_ROWS: std::ops::RangeInclusive<u64> = 128 << 10..=1 << 20;
/// Pieces for each thread, so that none is left with the last one for long.
const PIECES_PER_THREAD: usize = 4;
/// Bytes decoded at once, about.
const BATCH_BYTES: u64 = 8 << 20;

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
        media: Media::new(&call.repository, &call.linked_files),
        making,
        selection: selection.as_ref(),
        frames,
    };
    let reports = scan.run(&columns)?;
    let num_examples = selection.as_ref().map_or(table.num_rows(), Selection::count);
    answer(reports, num_examples, partial, call.rules)
}

/// The first files, up to the one that exceeds the limit.
fn files_within<'c>(call: &'c Statistics, cache: &FooterCache) -> Result<&'c [crate::call::ParquetFile], EngineError> {
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

/// Row groups in a row that are read together.
fn pieces(groups: &[Group], columns: usize, threads: usize) -> Vec<Range<usize>> {
    let total: u64 = groups.iter().map(|group| group.num_rows as u64).sum();
    let wanted = (PIECES_PER_THREAD * threads).div_ceil(columns.max(1)) as u64;
    let piece_rows = total.div_ceil(wanted).clamp(*PIECE_ROWS.start(), *PIECE_ROWS.end());
    let mut pieces = Vec::new();
    let (mut start, mut rows) = (0, 0);
    for (index, group) in groups.iter().enumerate() {
        rows += group.num_rows as u64;
        if rows >= piece_rows || index + 1 == groups.len() {
            pieces.push(start..index + 1);
            (start, rows) = (index + 1, 0);
        }
    }
    if pieces.is_empty() {
        pieces.push(0..0);
    }
    pieces
}

type Report = (bool, ColumnStatistics, Frame);

fn answer(
    reports: Vec<Result<Report, (Report, EngineError)>>,
    num_examples: u64,
    partial: bool,
    rules: Rules,
) -> Result<SplitStatistics, EngineError> {
    let first_failure = reports.iter().find_map(|report| report.as_ref().err().map(|(_, error)| error.clone()));
    if let Some(error) = first_failure
        && (rules == Rules::Reference || reports.iter().all(Result::is_err))
    {
        return Err(error);
    }
    let (mut statistics, mut more_statistics, mut frames) = (Vec::new(), Vec::new(), BTreeMap::new());
    for report in reports {
        let (listed, report, frame) = report.unwrap_or_else(|(report, _)| report);
        if frame != Frame::default() {
            frames.insert(report.column_name.clone(), frame);
        }
        if listed { statistics.push(report) } else { more_statistics.push(report) }
    }
    for list in [&mut statistics, &mut more_statistics] {
        list.sort_by(|left: &ColumnStatistics, right| left.column_name.cmp(&right.column_name));
    }
    Ok(SplitStatistics { num_examples, statistics, more_statistics, partial, frames })
}

/// What all pieces of work share.
struct Scan<'s> {
    table: &'s SplitTable,
    pieces: Vec<Range<usize>>,
    budget: Arc<Budget>,
    media: Media<'s>,
    making: Making<'s>,
    /// The rows that are described, when not all are.
    selection: Option<&'s Selection>,
    /// The bins of all rows, by leaf.
    frames: Option<&'s BTreeMap<String, Frame>>,
}

/// A column while its pieces are worked on.
struct ColumnState {
    /// One for each leaf: what was gathered, or why that failed.
    leaves: Vec<Result<LeafState, EngineError>>,
    /// Pieces to come.
    left: usize,
}

impl Scan<'_> {
    fn run(&self, columns: &[Column]) -> Result<Vec<Result<Report, (Report, EngineError)>>, EngineError> {
        let names = names_needed(self.making);
        let state = |column: &Column| {
            let leaves = column.leaves.iter().map(|leaf| Ok(LeafState::new(leaf, names, &self.budget))).collect();
            Mutex::new(ColumnState { leaves, left: self.pieces.len() })
        };
        let states: Vec<Mutex<ColumnState>> = columns.iter().map(state).collect();
        let count = columns.len() * self.pieces.len();
        let reports = for_each(count, self.making.task, |index| {
            let (column, piece) = (index / self.pieces.len(), index % self.pieces.len());
            self.work(&columns[column], &states[column], piece, names)
        })?;
        Ok(reports.into_iter().flatten().collect())
    }

    /// Does one piece of a column. The last piece brings the reports of its leaves.
    fn work(
        &self,
        column: &Column,
        state: &Mutex<ColumnState>,
        piece: usize,
        names: usize,
    ) -> Result<Vec<Result<Report, (Report, EngineError)>>, EngineError> {
        let gatherer = |leaf| Ok(Gatherer::new(leaf, &self.media, names));
        let mut gathered: Vec<Result<Gatherer<'_>, EngineError>> = column.leaves.iter().map(gatherer).collect();
        let lost = lock(state).leaves.iter().all(Result::is_err);
        if !lost {
            let read = self.each_array(column.index, self.pieces[piece].clone(), &mut |array| {
                for place in &mut gathered {
                    if let Ok(gatherer) = place
                        && let Err(error) = gatherer.push(array)
                    {
                        *place = Err(error);
                    }
                }
                Ok(true)
            });
            if let Err(error) = read {
                if !leaf::is_of_column(&error) {
                    return Err(error);
                }
                gathered = column.leaves.iter().map(|_| Err(error.clone())).collect();
            }
        }
        let mut locked = lock(state);
        for (place, gathered) in locked.leaves.iter_mut().zip(gathered) {
            let Ok(leaf) = place else { continue };
            let absorbed = gathered.and_then(|gatherer| leaf.absorb(piece, gatherer));
            if let Err(error) = absorbed {
                if !leaf::is_of_column(&error) {
                    return Err(error);
                }
                *place = Err(error);
            }
        }
        locked.left -= 1;
        if locked.left > 0 {
            return Ok(Vec::new());
        }
        let leaves = std::mem::take(&mut locked.leaves);
        drop(locked);
        column.leaves.iter().zip(leaves).map(|(leaf, state)| self.report(column, leaf, state)).collect()
    }

    fn report(
        &self,
        column: &Column,
        leaf: &Leaf,
        state: Result<LeafState, EngineError>,
    ) -> Result<Result<Report, (Report, EngineError)>, EngineError> {
        let reread = |visit: &mut dyn FnMut(Option<&str>) -> bool| {
            self.each_array(column.index, 0..self.table.groups().len(), &mut |array| {
                let reached = walk::reach(array, &leaf.path)?;
                Ok(each_text(&reached.values, visit))
            })
        };
        let frame = self.frames.and_then(|frames| frames.get(&leaf.name));
        let making = Making { frame, ..self.making };
        let finished = state.and_then(|state| state.finish(leaf, making, &self.budget, &reread));
        match finished {
            Ok((report, frame)) => Ok(Ok((leaf.listed, report, frame))),
            Err(error) if leaf::is_of_column(&error) => {
                let error = error.in_column(&leaf.name);
                Ok(Err(((leaf.listed, leaf::failed(leaf, &error), Frame::default()), error)))
            }
            Err(error) => Err(error),
        }
    }

    /// The arrays of a column in some row groups, until the visitor says `false`.
    fn each_array(
        &self,
        column: usize,
        groups: Range<usize>,
        visit: &mut dyn FnMut(&ArrayRef) -> Result<bool, EngineError>,
    ) -> Result<(), EngineError> {
        let is_text = matches!(&self.table.features()[column].1, Feature::Value(dtype) if dtype.is_text());
        for position in groups {
            let group = &self.table.groups()[position];
            let mut wanted = Wanted::of(self.selection, position, group);
            if matches!(wanted, Wanted::Nothing) {
                continue;
            }
            let rows = self.table.rows_within(group, &[column], BATCH_BYTES);
            let texts = if is_text { self.table.read_texts(group, column, wanted.blocks(), rows)? } else { None };
            if let Some(texts) = texts {
                for array in texts {
                    self.making.task.check()?;
                    if !visit(&wanted.rows_of(array?)?)? {
                        return Ok(());
                    }
                }
                continue;
            }
            for batch in self.table.read(group, &[column], wanted.blocks(), rows)? {
                self.making.task.check()?;
                if !visit(&wanted.rows_of(Arc::clone(batch?.column(0)))?)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

fn lock(state: &Mutex<ColumnState>) -> MutexGuard<'_, ColumnState> {
    // A panic ends the call for all.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Shows all texts of an array until the visitor says `false`. Returns whether it wants more.
fn each_text(array: &dyn Array, visit: &mut dyn FnMut(Option<&str>) -> bool) -> bool {
    match array.data_type() {
        DataType::LargeUtf8 => array.as_string::<i64>().iter().all(visit),
        DataType::Utf8View => array.as_string_view().iter().all(visit),
        DataType::Dictionary(..) => match array.as_any_dictionary().values().as_string_opt::<i32>() {
            Some(texts) => {
                array.as_any_dictionary().normalized_keys().iter().all(|&code| visit(Some(texts.value(code))))
            }
            None => true,
        },
        _ => array.as_string_opt::<i32>().is_none_or(|texts| texts.iter().all(visit)),
    }
}

#[cfg(test)]
mod tests;
