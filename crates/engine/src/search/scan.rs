//! A query answered without an index: every text is read. Slow, but there at once, and the measure of what an index says.

use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{Array, RecordBatch};

use super::analyze::{Alphabet, Analyzer, Rules};
use super::bm25::Bm25;
use super::build::batch_rows;
use super::matcher::Matcher;
use super::query::Unit;
use super::substring::Substring;
use super::text::visit;
use super::top::{Hit, Top};
use crate::error::{EngineError, ErrorKind};
use crate::scan::{Group, SplitTable, for_each_group, selection};
use crate::task::Task;

/// What is read.
pub(super) struct Scan<'s> {
    /// The split.
    pub(super) table: &'s SplitTable,
    /// The columns that hold text.
    pub(super) columns: &'s [usize],
    /// Bounds of the work.
    pub(super) task: &'s Task,
}

/// The rows of a group that match.
#[derive(Default)]
struct Matches {
    /// Words of all rows of the group.
    num_words: u64,
    /// Row and its number of words.
    rows: Vec<(u64, u32)>,
    /// How often each unit stands in each of these rows.
    counts: Vec<u32>,
}

impl Scan<'_> {
    /// The rows that match any or all units, the best `size` of them.
    ///
    /// # Errors
    /// [`TooBig`](ErrorKind::TooBig) when the matches take more memory than allowed, [`TimedOut`](ErrorKind::TimedOut);
    /// those of reading.
    pub(super) fn words(&self, units: &[Unit], rules: &Rules, all: bool, size: usize) -> Result<Top, EngineError> {
        if units.is_empty() {
            return Ok(Top::new(size));
        }
        let used = AtomicUsize::new(0);
        let analyzer = Analyzer::new(rules);
        let matches = for_each_group(self.table.groups(), self.task, |group| {
            self.words_of_group(group, units, rules.alphabet, analyzer.clone(), &used)
        })?;
        let num_words = matches.iter().map(|group| group.num_words).sum();
        let mut frequencies = vec![0_u64; units.len()];
        for counts in matches.iter().flat_map(|group| group.counts.chunks_exact(units.len())) {
            frequencies.iter_mut().zip(counts).for_each(|(rows, count)| *rows += u64::from(*count > 0));
        }
        let weights = Bm25::new(self.table.num_rows(), num_words, &frequencies);
        let mut top = Top::new(size);
        for group in &matches {
            for (&(row, length), counts) in group.rows.iter().zip(group.counts.chunks_exact(units.len())) {
                let weight = |(unit, &count): (usize, &u32)| match count {
                    0 => 0.0,
                    _ => weights.weight(unit, count, length),
                };
                if !all || counts.iter().all(|count| *count > 0) {
                    top.push_hit(Hit { row, score: counts.iter().enumerate().map(weight).sum() });
                }
            }
        }
        Ok(top)
    }

    fn words_of_group(
        &self,
        group: &Group,
        units: &[Unit],
        alphabet: Alphabet,
        analyzer: Analyzer,
        used: &AtomicUsize,
    ) -> Result<Matches, EngineError> {
        let mut matches = Matches::default();
        let mut matcher = Matcher::new(units, analyzer);
        let mut counts = vec![0; units.len()];
        let mut row = group.first_row;
        for table in self.table.read(group, self.columns, None, batch_rows(self.table, group, self.columns))? {
            let table = table?;
            self.task.check()?;
            let before = matches.rows.len();
            for index in 0..table.num_rows() {
                counts.fill(0);
                let mut length = 0;
                self.texts(alphabet, &table, index, &mut |text| length += matcher.count(text, &mut counts));
                matches.num_words += u64::from(length);
                // A row that holds some units but not all still counts for how rare they are.
                if counts.iter().any(|count| *count > 0) {
                    matches.rows.push((row, length));
                    matches.counts.extend(&counts);
                }
                row += 1;
            }
            let bytes = (matches.rows.len() - before) * (16 + 4 * units.len());
            if used.fetch_add(bytes, Ordering::Relaxed) + bytes > self.task.memory_bytes {
                let message = "more rows match than can be ranked without an index; use rarer words";
                return Err(EngineError::new(ErrorKind::TooBig, message));
            }
        }
        Ok(matches)
    }

    /// The rows that hold a substring, those with most of it first. `candidates`, ascending, are the only rows to read.
    ///
    /// # Errors
    /// [`TimedOut`](ErrorKind::TimedOut); those of reading.
    pub(super) fn substring(
        &self,
        substring: &Substring,
        candidates: Option<&[u64]>,
        size: usize,
    ) -> Result<Top, EngineError> {
        let parts = for_each_group(self.table.groups(), self.task, |group| {
            let mut top = Top::new(size);
            let mut substring = substring.clone();
            let here = group.first_row..group.first_row + group.num_rows as u64;
            let chosen = candidates.map(|rows| {
                &rows[rows.partition_point(|row| *row < here.start)..rows.partition_point(|row| *row < here.end)]
            });
            if chosen.is_some_and(<[u64]>::is_empty) {
                return Ok(top);
            }
            let rows = chosen.map(|rows| selection(rows.iter().map(|row| row - here.start), group.num_rows));
            let mut seen = 0;
            for table in self.table.read(group, self.columns, rows, batch_rows(self.table, group, self.columns))? {
                let table = table?;
                self.task.check()?;
                for index in 0..table.num_rows() {
                    let mut count = 0;
                    self.texts(Alphabet::Unicode, &table, index, &mut |text| count += substring.count(text));
                    if count > 0 {
                        let row = chosen.map_or(here.start + seen as u64, |rows| rows[seen]);
                        top.push_hit(Hit { row, score: f64::from(count) });
                    }
                    seen += 1;
                }
            }
            Ok(top)
        })?;
        let mut top = Top::new(size);
        parts.into_iter().for_each(|part| top.merge(part));
        Ok(top)
    }

    fn texts(&self, alphabet: Alphabet, table: &RecordBatch, row: usize, sink: &mut dyn FnMut(&str)) {
        for (&column, array) in self.columns.iter().zip(table.columns()) {
            let feature = &self.table.features()[column].1;
            visit(alphabet, feature, array as &dyn Array, row, &mut |_, text| sink(text));
        }
    }
}
