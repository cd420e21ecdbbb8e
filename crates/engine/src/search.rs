//! Full-text search of a split: words of every script, phrases and substrings, ranked, with the places that matched.
//!
//! An index makes it quick; without one every text is read, and the answer is the same. What a word is says [`Rules`],
//! and where that is told (`fold.rs`, `analyze.rs`) is the only place to change it; raise [`VERSION`] then.

mod analyze;
mod bm25;
mod build;
pub(crate) mod call;
mod evaluate;
mod fold;
mod index;
mod matcher;
mod merge;
mod pack;
mod prune;
mod query;
mod scan;
mod stem;
mod substring;
pub(crate) mod text;
mod top;

use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use std::time::Duration;

use crate::error::{EngineError, ErrorKind};
use crate::footers::FooterCache;
use crate::rows::Page;
use crate::scan::SplitTable;
use crate::task::Task;

pub use analyze::{Alphabet, Rules};
pub(crate) use build::build;
pub use call::{BuildSearchIndex, RowMatch, Search, SearchIndexBuilt, SearchPage, TextMatch};
pub use query::Mode;
pub use stem::stemmer_of;
pub use text::{Step, is_searchable, text_columns};

use analyze::Analyzer;
use index::Index;
use matcher::Matcher;
use query::{Unit, units};
use scan::Scan;
use substring::Substring;
use text::visit;
use top::{Hit, Top};

/// Version of what words and their order are. An index of another version is of no use.
pub const VERSION: u32 = 1;

/// Longest time for the second look, at characters inside of words.
const SECOND_LOOK: Duration = Duration::from_secs(5);
/// Texts of a row that are told to match; more match without being told.
const MAX_TEXTS: usize = 100;
/// Spans told of a text.
const MAX_SPANS: usize = 100;

/// Answers [`Call::Search`](crate::Call::Search).
///
/// # Errors
/// [`Empty`](ErrorKind::Empty) when no column holds text, [`TimedOut`](ErrorKind::TimedOut) and
/// [`TooBig`](ErrorKind::TooBig) when texts have to be read and there are too many of them; those of opening and reading the
/// split.
pub(crate) fn search(call: &Search, cache: &FooterCache, task: &Task) -> Result<SearchPage, EngineError> {
    let table = SplitTable::open(&call.files, call.features.as_ref(), cache)?;
    let columns = text_columns(table.features());
    if columns.is_empty() {
        return Err(EngineError::new(ErrorKind::Empty, "no column holds text"));
    }
    let offset = usize::try_from(call.offset).unwrap_or(usize::MAX);
    let size = offset.saturating_add(call.length).min(usize::try_from(table.num_rows()).unwrap_or(usize::MAX));
    if size.saturating_mul(2 * size_of::<Hit>()) > task.memory_bytes {
        let message = "the page lies too far from the best match to be ranked; use a smaller offset";
        return Err(EngineError::new(ErrorKind::TooBig, message));
    }
    let index = index_of(call, &table);
    let looked = look(call, &table, &columns, index.as_deref(), size, task)?;
    let total = looked.top.total;
    let hits = looked.top.into_page(offset);
    let rows: Vec<u64> = hits.iter().map(|hit| hit.row).collect();
    let (mut shown, mut records) = (Page::new(table.features(), &call.media, 0), None);
    if call.with_rows {
        let everything: Vec<usize> = (0..table.features().len()).collect();
        let gathered = table.gather(&rows, &everything, task)?;
        shown.push_rows(&gathered, &rows)?;
        records = Some(gathered.project(&columns).map_err(|error| EngineError::new(ErrorKind::Internal, error))?);
    } else if call.with_matches {
        records = Some(table.gather(&rows, &columns, task)?);
    }
    let mut places = looked.places;
    let mut found = |(at, hit): (usize, &Hit)| {
        let records = records.as_ref().filter(|_| call.with_matches);
        let texts = records.map_or_else(Vec::new, |records| places.of_row(&table, &columns, records, at));
        RowMatch { row: hit.row, score: hit.score, texts }
    };
    let matches = hits.iter().enumerate().map(&mut found).collect();
    let more = call.offset.saturating_add(rows.len() as u64) < total;
    let page = shown.finish(table.features().clone(), Some(total), more)?;
    Ok(SearchPage { page, matches, mode: looked.mode, from_index: looked.from_index })
}

/// The index, if it is one of this split and of these rules. A damaged one is done without.
fn index_of(call: &Search, table: &SplitTable) -> Option<Arc<Index>> {
    match Index::open(call.index.as_ref()?) {
        Ok(index) if index.contents.rules == call.rules && index.contents.num_rows == table.num_rows() => Some(index),
        Ok(_) => None,
        Err(error) => {
            tracing::warn!(%error, "a search index cannot be used");
            None
        }
    }
}

/// What was found.
struct Looked {
    top: Top,
    mode: Mode,
    from_index: bool,
    places: Places,
}

fn look(
    call: &Search,
    table: &SplitTable,
    columns: &[usize],
    index: Option<&Index>,
    size: usize,
    task: &Task,
) -> Result<Looked, EngineError> {
    let limit = Duration::try_from_secs_f64(call.max_seconds.max(0.0)).unwrap_or(Duration::MAX);
    let mode = match call.rules.alphabet {
        Alphabet::Unicode => call.mode,
        Alphabet::Reference => Mode::Any,
    };
    if mode == Mode::Substring {
        return substring(call, table, columns, index, size, &task.clone().within(limit));
    }
    let mut analyzer = Analyzer::new(&call.rules);
    let units: Vec<Unit> = units(&call.query, mode, call.rules.alphabet, &mut analyzer);
    let all = mode == Mode::All;
    let top = match index {
        Some(index) => evaluate::evaluate(index, &units, all, size, task)?,
        None => Scan { table, columns, task: &task.clone().within(limit) }.words(&units, &call.rules, all, size)?,
    };
    if top.total == 0 && call.or_substring && call.rules.alphabet == Alphabet::Unicode && mode != Mode::Phrase {
        let task = task.clone().within(limit.min(SECOND_LOOK));
        match substring(call, table, columns, index, size, &task) {
            Err(error) if error.kind == ErrorKind::TimedOut => {}
            other => return other,
        }
    }
    let places = Places::Words(Box::new(Matcher::new(&units, analyzer)));
    Ok(Looked { top, mode, from_index: index.is_some(), places })
}

fn substring(
    call: &Search,
    table: &SplitTable,
    columns: &[usize],
    index: Option<&Index>,
    size: usize,
    task: &Task,
) -> Result<Looked, EngineError> {
    let Some(substring) = Substring::new(&call.query) else {
        return Ok(Looked { top: Top::new(size), mode: Mode::Substring, from_index: false, places: Places::Nowhere });
    };
    let candidates = index.map(|index| prune::candidates(index, &call.query, task)).transpose()?.flatten();
    let top = Scan { table, columns, task }.substring(&substring, candidates.as_deref(), size)?;
    Ok(Looked { top, mode: Mode::Substring, from_index: false, places: Places::Substring(Box::new(substring)) })
}

/// Tells where texts match.
enum Places {
    Words(Box<Matcher>),
    Substring(Box<Substring>),
    Nowhere,
}

impl Places {
    /// The texts of a row that match. `records` hold the columns of text.
    fn of_row(&mut self, table: &SplitTable, columns: &[usize], records: &RecordBatch, row: usize) -> Vec<TextMatch> {
        let mut texts = Vec::new();
        for (&column, array) in columns.iter().zip(records.columns()) {
            let (name, feature) = &table.features()[column];
            visit(Alphabet::Unicode, feature, array as &dyn Array, row, &mut |path, text| {
                if texts.len() >= MAX_TEXTS {
                    return;
                }
                let spans = match self {
                    Self::Words(matcher) => matcher.spans(text),
                    Self::Substring(substring) => substring.spans(text),
                    Self::Nowhere => Vec::new(),
                };
                if !spans.is_empty() {
                    let spans = in_characters(text, &spans[..spans.len().min(MAX_SPANS)]);
                    texts.push(TextMatch { column: name.clone(), path: path.to_vec(), spans });
                }
            });
        }
        texts
    }
}

/// Ascending spans of bytes as spans of characters.
fn in_characters(text: &str, spans: &[(usize, usize)]) -> Vec<(usize, usize)> {
    let (mut bytes, mut characters) = (0, 0);
    let mut count_to = |at: usize| {
        characters += text[bytes..at].chars().count();
        bytes = at;
        characters
    };
    spans.iter().map(|(start, end)| (count_to(*start), count_to(*end))).collect()
}

#[cfg(test)]
mod tests;
