//! Which rows can hold a substring, by the dictionary of an index.

use memchr::memmem::Finder;
use tantivy::postings::TermInfo;
use tantivy::schema::IndexRecordOption;
use tantivy::{DocSet, TERMINATED};

use super::analyze::{Alphabet, Analyzer, Kind, MAX_WORD, Rules};
use super::evaluate::terms_with_prefix;
use super::index::{Index, Segment};
use crate::error::EngineError;
use crate::scan::for_each;
use crate::task::Task;

/// A list of more rows than this is no help.
const MAX_CANDIDATES: usize = 1 << 20;
/// Words nearly this long may have been cut, so nothing can be told of their ends.
const LONG: usize = MAX_WORD - 3;

/// What the word of a row must be like, so that the row can hold the substring.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Needed {
    Exactly(String),
    Prefix(String),
    Suffix(String),
    Within(String),
}

/// The rows that can hold the substring, ascending; `None` when the index cannot tell, or too many can.
///
/// # Errors
/// When the index is damaged, or the task shall stop.
pub(super) fn candidates(index: &Index, substring: &str, task: &Task) -> Result<Option<Vec<u64>>, EngineError> {
    let Some(needed) = needed(&index.contents.rules, substring) else { return Ok(None) };
    let parts = for_each(index.segments.len(), task, |segment| {
        let segment = &index.segments[segment];
        let mut kept: Option<Vec<u64>> = None;
        for needed in &needed {
            let docs = docs(segment, needed, task)?;
            match &mut kept {
                Some(kept) => kept.iter_mut().zip(docs).for_each(|(kept, docs)| *kept &= docs),
                None => kept = Some(docs),
            }
        }
        let kept = kept.unwrap_or_default();
        let count: usize = kept.iter().map(|word| word.count_ones() as usize).sum();
        if count > MAX_CANDIDATES {
            return Ok(None);
        }
        let bits = |(at, word): (usize, u64)| {
            (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| at as u32 * 64 + bit)
        };
        Ok(Some(kept.into_iter().enumerate().flat_map(bits).map(|doc| segment.row(doc)).collect::<Vec<_>>()))
    })?;
    let Some(parts) = parts.into_iter().collect::<Option<Vec<_>>>() else { return Ok(None) };
    let mut rows = parts.concat();
    rows.sort_unstable();
    Ok((rows.len() <= MAX_CANDIDATES).then_some(rows))
}

/// What must be in a row; `None` when the dictionary does not hold the words as they are written, or none is needed.
fn needed(rules: &Rules, substring: &str) -> Option<Vec<Needed>> {
    if rules.alphabet != Alphabet::Unicode || rules.stemmer.is_some() {
        return None;
    }
    let text = substring.trim();
    let mut words = Vec::new();
    Analyzer::new(rules).words(text, &mut |word| words.push((word.term.to_owned(), word.bytes, word.kind)));
    let needed = words.into_iter().filter_map(|(term, (start, end), kind)| {
        let is_letters =
            term.chars().next().is_some_and(|first| super::fold::class_of(first) == super::fold::Class::Word);
        Some(match kind {
            Kind::Pair => Needed::Exactly(term),
            Kind::Last { alone: true } => Needed::Prefix(term),
            Kind::Last { alone: false } => return None,
            Kind::Whole if !is_letters => Needed::Exactly(term),
            // At its end the substring may cut a word.
            Kind::Whole => match (start == 0, end == text.len()) {
                _ if term.len() >= LONG => return None,
                (true, true) => Needed::Within(term),
                (true, false) => Needed::Suffix(term),
                (false, true) => Needed::Prefix(term),
                (false, false) => Needed::Exactly(term),
            },
        })
    });
    let needed: Vec<Needed> = needed.collect();
    (!needed.is_empty()).then_some(needed)
}

/// The documents with such a word, one bit each.
fn docs(segment: &Segment, needed: &Needed, task: &Task) -> Result<Vec<u64>, EngineError> {
    let mut bits = vec![0; (segment.num_docs as usize).div_ceil(64)];
    for (looked, term) in terms(segment, needed)?.into_iter().enumerate() {
        let mut postings = segment.inverted.read_postings_from_terminfo(&term, IndexRecordOption::Basic)?;
        while postings.doc() != TERMINATED {
            let doc = postings.doc() as usize;
            bits[doc / 64] |= 1 << (doc % 64);
            postings.advance();
        }
        if looked.is_multiple_of(256) {
            task.check()?;
        }
    }
    Ok(bits)
}

fn terms(segment: &Segment, needed: &Needed) -> Result<Vec<TermInfo>, EngineError> {
    let filtered = |test: &dyn Fn(&[u8]) -> bool| -> Result<Vec<TermInfo>, EngineError> {
        let mut terms = Vec::new();
        let mut stream = segment.inverted.terms().stream()?;
        while let Some((term, info)) = stream.next() {
            if term.len() >= LONG || test(term) {
                terms.push(info.clone());
            }
        }
        Ok(terms)
    };
    match needed {
        Needed::Exactly(text) => Ok(segment.inverted.terms().get(text.as_bytes())?.into_iter().collect()),
        Needed::Prefix(text) => terms_with_prefix(segment, text),
        Needed::Suffix(text) => filtered(&|term| term.ends_with(text.as_bytes())),
        Needed::Within(text) => {
            let finder = Finder::new(text.as_bytes());
            filtered(&|term| finder.find(term).is_some())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_at_the_ends_may_be_cut() {
        let rules = Rules { alphabet: Alphabet::Unicode, stemmer: None };
        let is = |text: &str| needed(&rules, text).unwrap();
        assert_eq!(is("art"), [Needed::Within("art".into())]);
        assert_eq!(
            is(" ay big fo"),
            [Needed::Suffix("ay".into()), Needed::Exactly("big".into()), Needed::Prefix("fo".into())]
        );
        assert_eq!(is(".fo-"), [Needed::Exactly("fo".into())]);
        assert_eq!(is("公司法"), [Needed::Exactly("公司".into()), Needed::Exactly("司法".into())]);
        assert_eq!(is("法"), [Needed::Prefix("法".into())]);
        assert_eq!(is("c++"), [Needed::Suffix("c".into()), Needed::Exactly("+".into()), Needed::Exactly("+".into())]);
        assert_eq!(needed(&rules, "—"), None);
        assert_eq!(needed(&Rules { stemmer: Some("english".into()), ..rules }, "art"), None);
    }
}
