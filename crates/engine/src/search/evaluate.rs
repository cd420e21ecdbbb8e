//! A query answered by an index: which rows match, and how well. Every match is counted, so nothing is skipped.

use std::collections::HashMap;

use tantivy::postings::{Postings, SegmentPostings, TermInfo};
use tantivy::schema::IndexRecordOption;
use tantivy::{DocSet, TERMINATED};

use super::bm25::Bm25;
use super::index::{Index, Segment};
use super::matcher::starts;
use super::query::{Part, Unit};
use super::top::Top;
use crate::error::EngineError;
use crate::scan::for_each;
use crate::task::Task;

/// Documents that are scored together.
const WINDOW: usize = 2048;
/// Documents between looks at the task.
const LOOK_EVERY: usize = 1 << 14;

/// The rows that match any or all units of a query, the best `size` of them.
///
/// # Errors
/// When the index is damaged, or the task shall stop.
pub(super) fn evaluate(index: &Index, units: &[Unit], all: bool, size: usize, task: &Task) -> Result<Top, EngineError> {
    let found = for_each(index.segments.len(), task, |segment| {
        units.iter().map(|unit| find(&index.segments[segment], unit, task)).collect::<Result<Vec<_>, _>>()
    })?;
    let in_rows = |unit: usize| found.iter().map(|segment| u64::from(segment[unit].in_docs())).sum();
    let frequencies: Vec<u64> = (0..units.len()).map(in_rows).collect();
    let weights = Bm25::new(index.contents.num_rows, index.contents.num_words, &frequencies);
    let parts = for_each(index.segments.len(), task, |segment| {
        score(&index.segments[segment], &found[segment], &weights, all, size, task)
    })?;
    let mut top = Top::new(size);
    parts.into_iter().for_each(|part| top.merge(part));
    Ok(top)
}

/// Where a unit stands in a segment.
enum Found {
    /// In the documents of one term.
    Term(TermInfo),
    /// Documents, ascending, with how often.
    Docs(Vec<(u32, u32)>),
}

impl Found {
    fn in_docs(&self) -> u32 {
        match self {
            Self::Term(term) => term.doc_freq,
            Self::Docs(docs) => docs.len() as u32,
        }
    }
}

fn find(segment: &Segment, Unit(parts): &Unit, task: &Task) -> Result<Found, EngineError> {
    match &parts[..] {
        [part] if part.prefix => {
            let mut docs: HashMap<u32, u32> = HashMap::new();
            for term in terms_with_prefix(segment, &part.term)? {
                let mut postings = segment.inverted.read_postings_from_terminfo(&term, IndexRecordOption::WithFreqs)?;
                while postings.doc() != TERMINATED {
                    *docs.entry(postings.doc()).or_default() += postings.term_freq();
                    postings.advance();
                }
                task.check()?;
            }
            let mut docs: Vec<_> = docs.into_iter().collect();
            docs.sort_unstable();
            Ok(Found::Docs(docs))
        }
        [part] => Ok(match segment.inverted.terms().get(part.term.as_bytes())? {
            Some(term) => Found::Term(term),
            None => Found::Docs(Vec::new()),
        }),
        parts => Ok(Found::Docs(phrase(segment, parts, task)?)),
    }
}

pub(super) fn terms_with_prefix(segment: &Segment, prefix: &str) -> Result<Vec<TermInfo>, EngineError> {
    let mut terms = Vec::new();
    let mut stream = segment.inverted.terms().range().ge(prefix.as_bytes()).into_stream()?;
    while let Some((term, info)) = stream.next() {
        if !term.starts_with(prefix.as_bytes()) {
            break;
        }
        terms.push(info.clone());
    }
    Ok(terms)
}

/// The documents that hold all parts, each at its offset.
fn phrase(segment: &Segment, parts: &[Part], task: &Task) -> Result<Vec<(u32, u32)>, EngineError> {
    let mut lists = Vec::with_capacity(parts.len());
    for part in parts {
        match Positions::open(segment, part)? {
            Some(list) => lists.push((list, part.offset)),
            None => return Ok(Vec::new()),
        }
    }
    let mut docs = Vec::new();
    let mut buffers: Vec<Vec<u32>> = vec![Vec::new(); lists.len()];
    let mut doc = 0;
    let mut looked = 0;
    'docs: loop {
        // All lists move to the same document, or one of them ends.
        let mut agreed = 0;
        let mut at = 0;
        while agreed < lists.len() {
            let here = lists[at].0.seek(doc);
            if here == TERMINATED {
                break 'docs;
            }
            agreed = if here == doc { agreed + 1 } else { 1 };
            doc = here;
            at = (at + 1) % lists.len();
        }
        for ((list, _), buffer) in lists.iter_mut().zip(&mut buffers) {
            list.positions(buffer);
        }
        let places = buffers.iter().zip(&lists).map(|(buffer, (_, offset))| (buffer.as_slice(), *offset));
        let count = starts(places).len() as u32;
        if count > 0 {
            docs.push((doc, count));
        }
        doc += 1;
        looked += 1;
        if looked % LOOK_EVERY == 0 {
            task.check()?;
        }
    }
    Ok(docs)
}

/// The positions of a part, document by document.
enum Positions {
    Term(Box<SegmentPostings>),
    /// Of several terms: document and position, ascending.
    Many(Vec<(u32, u32)>, usize),
}

impl Positions {
    fn open(segment: &Segment, part: &Part) -> Result<Option<Self>, EngineError> {
        let option = IndexRecordOption::WithFreqsAndPositions;
        if !part.prefix {
            let Some(term) = segment.inverted.terms().get(part.term.as_bytes())? else { return Ok(None) };
            let postings = segment.inverted.read_postings_from_terminfo(&term, option)?;
            return Ok(Some(Self::Term(Box::new(postings))));
        }
        let mut many = Vec::new();
        let mut positions = Vec::new();
        for term in terms_with_prefix(segment, &part.term)? {
            let mut postings = segment.inverted.read_postings_from_terminfo(&term, option)?;
            while postings.doc() != TERMINATED {
                postings.positions(&mut positions);
                many.extend(positions.iter().map(|position| (postings.doc(), *position)));
                postings.advance();
            }
        }
        many.sort_unstable();
        Ok(Some(Self::Many(many, 0)))
    }

    /// The first document from `doc` on.
    fn seek(&mut self, doc: u32) -> u32 {
        match self {
            Self::Term(postings) if postings.doc() < doc => postings.seek(doc),
            Self::Term(postings) => postings.doc(),
            Self::Many(many, at) => {
                *at += many[*at..].partition_point(|(other, _)| *other < doc);
                many.get(*at).map_or(TERMINATED, |(doc, _)| *doc)
            }
        }
    }

    fn positions(&mut self, out: &mut Vec<u32>) {
        match self {
            Self::Term(postings) => postings.positions(out),
            Self::Many(many, at) => {
                out.clear();
                let doc = many[*at].0;
                out.extend(many[*at..].iter().take_while(|(other, _)| *other == doc).map(|(_, position)| *position));
            }
        }
    }
}

/// Documents with counts, one after the other.
enum Cursor<'f> {
    Term(Box<SegmentPostings>),
    Docs(&'f [(u32, u32)]),
}

impl<'f> Cursor<'f> {
    fn open(segment: &Segment, found: &'f Found) -> Result<Self, EngineError> {
        Ok(match found {
            Found::Term(term) => {
                let option = IndexRecordOption::WithFreqs;
                Self::Term(Box::new(segment.inverted.read_postings_from_terminfo(term, option)?))
            }
            Found::Docs(docs) => Self::Docs(docs),
        })
    }

    fn doc(&self) -> u32 {
        match self {
            Self::Term(postings) => postings.doc(),
            Self::Docs(docs) => docs.first().map_or(TERMINATED, |(doc, _)| *doc),
        }
    }

    fn count(&self) -> u32 {
        match self {
            Self::Term(postings) => postings.term_freq(),
            Self::Docs(docs) => docs.first().map_or(0, |(_, count)| *count),
        }
    }

    fn advance(&mut self) {
        match self {
            Self::Term(postings) => {
                postings.advance();
            }
            Self::Docs(docs) => *docs = docs.get(1..).unwrap_or_default(),
        }
    }
}

/// Scores the documents of a segment, window by window: each unit adds its part to the documents that hold it.
fn score(
    segment: &Segment,
    found: &[Found],
    weights: &Bm25,
    all: bool,
    size: usize,
    task: &Task,
) -> Result<Top, EngineError> {
    let mut cursors = Vec::with_capacity(found.len());
    for found in found {
        cursors.push(Cursor::open(segment, found)?);
    }
    let needed = if all { cursors.len() } else { 1 };
    let mut top = Top::new(size);
    let mut scores = vec![0.0_f64; WINDOW];
    let mut held = vec![0_u16; WINDOW];
    let mut windows = 0;
    loop {
        let start = cursors.iter().map(Cursor::doc).min().unwrap_or(TERMINATED);
        if start == TERMINATED {
            return Ok(top);
        }
        let end = start.saturating_add(WINDOW as u32).min(segment.num_docs);
        for (unit, cursor) in cursors.iter_mut().enumerate() {
            let mut doc = cursor.doc();
            while doc < end {
                let place = (doc - start) as usize;
                scores[place] += weights.weight(unit, cursor.count(), segment.length(doc));
                held[place] += 1;
                cursor.advance();
                doc = cursor.doc();
            }
        }
        for place in 0..(end - start) as usize {
            if held[place] > 0 {
                if usize::from(held[place]) >= needed {
                    top.push(scores[place], || segment.row(start + place as u32));
                }
                scores[place] = 0.0;
                held[place] = 0;
            }
        }
        windows += 1;
        if windows % (LOOK_EVERY / WINDOW) == 0 {
            task.check()?;
        }
    }
}
