//! The work, cut into pieces: each reads one column of some row groups, and the last one of a column makes its report.

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Int32Type};
use belvedere_domain::Feature;

use crate::error::EngineError;
use crate::media::measure::Media;
use crate::query::select::Selection;
use crate::scan::{Group, SplitTable, for_each};
use crate::statistics::chosen::Wanted;
use crate::statistics::figures::Making;
use crate::statistics::gather::Gatherer;
use crate::statistics::leaf::{self, LeafState, names_needed};
use crate::statistics::multiset::Budget;
use crate::statistics::plan::{Column, Leaf};
use crate::statistics::{ColumnStatistics, Frame, walk};

/// Rows of a piece: as many as keep all threads busy, within these bounds.
const PIECE_ROWS: RangeInclusive<u64> = 128 << 10..=1 << 20;
/// Pieces for each thread, so that none is left with the last one for long.
const PIECES_PER_THREAD: usize = 4;
/// Bytes decoded at once, about.
const BATCH_BYTES: u64 = 8 << 20;

/// What is told of one leaf.
pub(super) struct Report {
    /// Among the columns that the reference describes too.
    pub(super) listed: bool,
    pub(super) statistics: ColumnStatistics,
    pub(super) frame: Frame,
    /// Why there are no figures.
    pub(super) failure: Option<EngineError>,
}

/// Row groups in a row that are read together.
pub(super) fn pieces(groups: &[Group], columns: usize, threads: usize) -> Vec<Range<usize>> {
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

/// What all pieces of work share.
pub(super) struct Scan<'s> {
    pub(super) table: &'s SplitTable,
    pub(super) pieces: Vec<Range<usize>>,
    pub(super) budget: Arc<Budget>,
    pub(super) media: Media<'s>,
    pub(super) making: Making<'s>,
    /// The rows that are described, when not all are.
    pub(super) selection: Option<&'s Selection>,
    /// The bins of all rows, by leaf.
    pub(super) frames: Option<&'s BTreeMap<String, Frame>>,
}

/// A column while its pieces are worked on.
struct ColumnState {
    /// One for each leaf: what was gathered, or why that failed.
    leaves: Vec<Result<LeafState, EngineError>>,
    /// Pieces to come.
    left: usize,
}

impl Scan<'_> {
    /// Does all pieces.
    ///
    /// # Errors
    /// Failures that are not of one column.
    pub(super) fn run(&self, columns: &[Column]) -> Result<Vec<Report>, EngineError> {
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
    ) -> Result<Vec<Report>, EngineError> {
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
    ) -> Result<Report, EngineError> {
        let reread = |visit: &mut dyn FnMut(Option<&str>) -> bool| {
            self.each_array(column.index, 0..self.table.groups().len(), &mut |array| {
                let reached = walk::reach(array, &leaf.path)?;
                Ok(each_text(&reached.values, visit))
            })
        };
        let frame = self.frames.and_then(|frames| frames.get(&leaf.name));
        let making = Making { frame, ..self.making };
        let finished = state.and_then(|state| state.finish(leaf, making, &self.budget, &reread));
        let listed = leaf.listed;
        match finished {
            Ok((statistics, frame)) => Ok(Report { listed, statistics, frame, failure: None }),
            Err(error) if leaf::is_of_column(&error) => {
                let error = error.in_column(&leaf.name);
                let statistics = leaf::failed(leaf, &error);
                Ok(Report { listed, statistics, frame: Frame::default(), failure: Some(error) })
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
        DataType::Dictionary(..) => array.as_dictionary_opt::<Int32Type>().is_none_or(|codes| {
            let Some(texts) = codes.values().as_string_opt::<i32>() else { return true };
            codes.keys().iter().all(|code| visit(code.map(|code| texts.value(code as usize))))
        }),
        _ => array.as_string_opt::<i32>().is_none_or(|texts| texts.iter().all(visit)),
    }
}
