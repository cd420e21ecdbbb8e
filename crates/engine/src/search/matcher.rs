//! Units of a query in a text: how often, and where.

use hashbrown::HashMap;

use super::analyze::{Analyzer, Kind, Word};
use super::fold::cluster_end;
use super::query::Unit;

/// Looks for all units of a query at once. Keeps buffers, so make one per thread.
pub(super) struct Matcher {
    analyzer: Analyzer,
    parts: Parts,
    /// Units of several parts.
    phrases: Vec<Phrase>,
    /// For each part that stands in a phrase, its positions in the text at hand.
    positions: Vec<Vec<u32>>,
}

/// The distinct parts of all units.
struct Parts {
    exact: HashMap<String, usize>,
    prefixes: Vec<(String, usize)>,
    /// For each part the unit that it is alone.
    alone: Vec<Option<usize>>,
    in_phrase: Vec<bool>,
}

struct Phrase {
    unit: usize,
    /// Parts with their offsets.
    parts: Vec<(usize, u32)>,
}

impl Matcher {
    /// Looks for these units in texts that the analyzer cuts.
    pub(super) fn new(units: &[Unit], analyzer: Analyzer) -> Self {
        let mut parts = Parts { exact: HashMap::new(), prefixes: Vec::new(), alone: Vec::new(), in_phrase: Vec::new() };
        let mut phrases = Vec::new();
        for (unit, Unit(words)) in units.iter().enumerate() {
            let ids: Vec<_> = words.iter().map(|part| (parts.id(&part.term, part.prefix), part.offset)).collect();
            match ids[..] {
                [(alone, _)] => parts.alone[alone] = Some(unit),
                _ => {
                    ids.iter().for_each(|(part, _)| parts.in_phrase[*part] = true);
                    phrases.push(Phrase { unit, parts: ids });
                }
            }
        }
        let positions = vec![Vec::new(); parts.alone.len()];
        Self { analyzer, parts, phrases, positions }
    }

    /// Adds to `counts` how often each unit stands in a text, and returns the number of words of the text.
    pub(super) fn count(&mut self, text: &str, counts: &mut [u32]) -> u32 {
        let Self { analyzer, parts, phrases, positions } = self;
        let words = analyzer.words(text, &mut |word| {
            parts.each(word.term, |part| {
                if let Some(unit) = parts.alone[part] {
                    counts[unit] += 1;
                }
                if parts.in_phrase[part] {
                    positions[part].push(word.position);
                }
            });
        });
        for phrase in phrases.iter() {
            let lists = phrase.parts.iter().map(|(part, offset)| (positions[*part].as_slice(), *offset));
            counts[phrase.unit] += starts(lists).len() as u32;
        }
        positions.iter_mut().for_each(Vec::clear);
        words
    }

    /// Where units stand in a text, in bytes, ascending; what overlaps is one span.
    pub(super) fn spans(&mut self, text: &str) -> Vec<(usize, usize)> {
        let mut spans = Vec::new();
        let Self { analyzer, parts, phrases, positions } = self;
        // For each position in the text the bytes of its word, shortened where only its first character counts.
        let mut places: HashMap<(usize, u32), (usize, usize)> = HashMap::new();
        analyzer.words(text, &mut |word| {
            parts.each(word.term, |part| {
                let place = place(&word, text, parts.is_prefix(part));
                if parts.alone[part].is_some() {
                    spans.push(place);
                }
                if parts.in_phrase[part] {
                    positions[part].push(word.position);
                    places.insert((part, word.position), place);
                }
            });
        });
        for Phrase { parts, .. } in phrases.iter() {
            let lists = parts.iter().map(|(part, offset)| (positions[*part].as_slice(), *offset));
            for start in starts(lists) {
                let at = |(part, offset): &(usize, u32)| places.get(&(*part, start + offset));
                if let (Some(first), Some(last)) = (parts.first().and_then(at), parts.last().and_then(at)) {
                    spans.push((first.0, last.1));
                }
            }
        }
        positions.iter_mut().for_each(Vec::clear);
        merged(spans)
    }
}

impl Parts {
    fn id(&mut self, term: &str, prefix: bool) -> usize {
        let known = match prefix {
            false => self.exact.get(term).copied(),
            true => self.prefixes.iter().find(|(known, _)| known == term).map(|(_, id)| *id),
        };
        known.unwrap_or_else(|| {
            let id = self.alone.len();
            self.alone.push(None);
            self.in_phrase.push(false);
            match prefix {
                false => drop(self.exact.insert(term.to_owned(), id)),
                true => self.prefixes.push((term.to_owned(), id)),
            }
            id
        })
    }

    fn each(&self, term: &str, mut found: impl FnMut(usize)) {
        if let Some(part) = self.exact.get(term) {
            found(*part);
        }
        for (prefix, part) in &self.prefixes {
            if term.starts_with(prefix) {
                found(*part);
            }
        }
    }

    fn is_prefix(&self, part: usize) -> bool {
        self.prefixes.iter().any(|(_, id)| *id == part)
    }
}

/// The bytes of a word, or of its first character.
fn place(word: &Word<'_>, text: &str, only_first: bool) -> (usize, usize) {
    let (start, end) = word.bytes;
    match word.kind {
        Kind::Pair if only_first => (start, cluster_end(text, start).min(end)),
        _ => (start, end),
    }
}

/// Positions from which every list has its offset.
pub(super) fn starts<'l>(lists: impl Iterator<Item = (&'l [u32], u32)> + Clone) -> Vec<u32> {
    let Some((shortest, offset)) = lists.clone().min_by_key(|(positions, _)| positions.len()) else {
        return Vec::new();
    };
    let stands =
        |start: &u32| lists.clone().all(|(positions, offset)| positions.binary_search(&(start + offset)).is_ok());
    shortest.iter().filter_map(|position| position.checked_sub(offset)).filter(stands).collect()
}

fn merged(mut spans: Vec<(usize, usize)>) -> Vec<(usize, usize)> {
    spans.sort_unstable();
    let mut merged: Vec<(usize, usize)> = Vec::with_capacity(spans.len());
    for (start, end) in spans {
        match merged.last_mut() {
            Some(last) if start < last.1 => last.1 = last.1.max(end),
            _ => merged.push((start, end)),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::super::analyze::{Alphabet, Rules};
    use super::super::query::{Mode, units};
    use super::*;

    fn matcher(query: &str, mode: Mode) -> (Matcher, usize) {
        let rules = Rules { alphabet: Alphabet::Unicode, stemmer: None };
        let mut analyzer = Analyzer::new(&rules);
        let units = units(query, mode, rules.alphabet, &mut analyzer);
        (Matcher::new(&units, analyzer), units.len())
    }

    fn counts(query: &str, text: &str) -> Vec<u32> {
        let (mut matcher, units) = matcher(query, Mode::Any);
        let mut counts = vec![0; units];
        // The second time tells whether buffers were left clean.
        matcher.count(text, &mut counts);
        counts.fill(0);
        matcher.count(text, &mut counts);
        counts
    }

    fn spans(query: &str, text: &str) -> Vec<String> {
        let mut matcher = matcher(query, Mode::Any).0;
        matcher.spans(text);
        matcher.spans(text).into_iter().map(|(start, end)| text[start..end].to_owned()).collect()
    }

    #[test]
    fn units_are_counted() {
        assert_eq!(counts("fox gray", "Gray fox, grey FOX."), [2, 1]);
        assert_eq!(counts("gpt-4", "GPT-4, GPT 4 and GPT-3.4"), [2]);
        assert_eq!(counts("法 司法 公司法", "公司法。法"), [2, 1, 1]);
        assert_eq!(counts("\"a a\"", "a a a"), [2]);
        assert_eq!(counts("第5章", "第5章 第15章"), [1]);
    }

    #[test]
    fn spans_show_what_matched() {
        assert_eq!(spans("cafe fox", "Café foxy FOX"), ["Café", "FOX"]);
        assert_eq!(spans("gpt-4", "the GPT-4 and 4"), ["GPT-4"]);
        assert_eq!(spans("法", "公司法规"), ["法"]);
        assert_eq!(spans("公司法", "新公司法规"), ["公司法"]);
        assert_eq!(spans("\"a b\" b", "a b"), ["a b"]);
    }
}
