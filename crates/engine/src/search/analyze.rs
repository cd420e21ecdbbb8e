//! Text → the words it is found by. One analyzer for building an index, for scanning, for queries and for match spans, so
//! that all of them agree.

use std::collections::HashSet;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use unicode_normalization::char::{decompose_canonical, is_combining_mark};

use super::fold::{ASCII, Class, class_of, cluster_end, fold};
use super::stem::Stem;

/// Longest word in bytes; the rest of a longer one does not count.
pub(super) const MAX_WORD: usize = 255;

/// What a word is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Rules {
    /// Which characters count.
    pub alphabet: Alphabet,
    /// Name of a stemmer, as [`stemmer_of`](super::stemmer_of) gives it; `None`: words count as they are.
    pub stemmer: Option<String>,
}

/// Which characters count.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alphabet {
    /// Every script, digits and symbols.
    Unicode,
    /// Those of the reference implementation: a to z, without a list of English words.
    Reference,
}

/// A word of a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Word<'a> {
    /// Folded, stemmed.
    pub(super) term: &'a str,
    /// Number of words before it in this text.
    pub(super) position: u32,
    /// Bytes of the text, start inclusive and end exclusive.
    pub(super) bytes: (usize, usize),
    /// What it was made of.
    pub(super) kind: Kind,
}

/// What a word was made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Letters and digits, or a symbol.
    Whole,
    /// A character of an unspaced script and the next one.
    Pair,
    /// The last character of an unspaced run; `alone`: the run has no other.
    Last {
        /// The run has no other character.
        alone: bool,
    },
}

/// Cuts texts into words. Keeps buffers, so make one and use it for many texts.
#[derive(Clone)]
pub(super) struct Analyzer {
    alphabet: Alphabet,
    stem: Option<Stem>,
    word: String,
    folded: Vec<char>,
}

/// The character of an unspaced run that waits for the next one.
#[derive(Clone, Copy)]
struct Waiting {
    character: char,
    start: usize,
    end: usize,
    is_first: bool,
}

impl Analyzer {
    /// An analyzer by these rules. An unknown stemmer leaves words as they are.
    pub(super) fn new(rules: &Rules) -> Self {
        let stem = rules.stemmer.as_deref().and_then(Stem::new);
        Self { alphabet: rules.alphabet, stem, word: String::new(), folded: Vec::new() }
    }

    /// Calls `sink` with every word in order and returns their number.
    pub(super) fn words(&mut self, text: &str, sink: &mut dyn FnMut(Word<'_>)) -> u32 {
        match self.alphabet {
            Alphabet::Unicode => self.unicode(text, sink),
            Alphabet::Reference => self.reference(text, sink),
        }
    }

    fn unicode(&mut self, text: &str, sink: &mut dyn FnMut(Word<'_>)) -> u32 {
        let bytes = text.as_bytes();
        let mut position = 0;
        let mut waiting: Option<Waiting> = None;
        // Where the word in `self.word` stands.
        let (mut start, mut end) = (0, 0);
        let mut at = 0;
        self.word.clear();
        while at < bytes.len() {
            let byte = bytes[at];
            if byte.is_ascii() {
                match ASCII[byte as usize] {
                    Class::Word => {
                        end_run(&mut waiting, &mut position, sink);
                        if self.word.is_empty() {
                            start = at;
                        }
                        let run = bytes[at..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
                        self.extend(&text[at..at + run]);
                        at += run;
                        end = at;
                        continue;
                    }
                    Class::Symbol => {
                        end_run(&mut waiting, &mut position, sink);
                        self.end_word((start, end), &mut position, sink);
                        sink(Word { term: &text[at..=at], position, bytes: (at, at + 1), kind: Kind::Whole });
                        position += 1;
                    }
                    Class::Gram | Class::Other => {
                        end_run(&mut waiting, &mut position, sink);
                        self.end_word((start, end), &mut position, sink);
                    }
                }
                at += 1;
                continue;
            }
            let here = (at, cluster_end(text, at));
            at = here.1;
            let mut folded = std::mem::take(&mut self.folded);
            folded.clear();
            fold(&text[here.0..here.1], &mut folded);
            if folded.is_empty() {
                // Not seen, so it ends nothing.
                end = at;
                if let Some(waiting) = &mut waiting {
                    waiting.end = at;
                }
            }
            for &character in &folded {
                match class_of(character) {
                    Class::Word => {
                        end_run(&mut waiting, &mut position, sink);
                        if self.word.is_empty() {
                            start = here.0;
                        }
                        if self.word.len() + character.len_utf8() <= MAX_WORD {
                            self.word.push(character);
                        }
                        end = at;
                    }
                    Class::Gram => {
                        self.end_word((start, end), &mut position, sink);
                        let next = Waiting { character, start: here.0, end: at, is_first: waiting.is_none() };
                        if let Some(first) = waiting.replace(next) {
                            let mut term = String::with_capacity(8);
                            term.push(first.character);
                            term.push(character);
                            sink(Word { term: &term, position, bytes: (first.start, at), kind: Kind::Pair });
                            position += 1;
                        }
                    }
                    Class::Symbol => {
                        end_run(&mut waiting, &mut position, sink);
                        self.end_word((start, end), &mut position, sink);
                        let mut buffer = [0; 4];
                        let term = character.encode_utf8(&mut buffer);
                        sink(Word { term, position, bytes: here, kind: Kind::Whole });
                        position += 1;
                    }
                    Class::Other => {
                        end_run(&mut waiting, &mut position, sink);
                        self.end_word((start, end), &mut position, sink);
                    }
                }
            }
            self.folded = folded;
        }
        end_run(&mut waiting, &mut position, sink);
        self.end_word((start, end), &mut position, sink);
        position
    }

    /// Adds ASCII letters and digits to the word.
    fn extend(&mut self, text: &str) {
        let room = MAX_WORD.saturating_sub(self.word.len()).min(text.len());
        let start = self.word.len();
        self.word.push_str(&text[..room]);
        self.word[start..].make_ascii_lowercase();
    }

    fn end_word(&mut self, bytes: (usize, usize), position: &mut u32, sink: &mut dyn FnMut(Word<'_>)) {
        if self.word.is_empty() {
            return;
        }
        if let Some(stem) = &mut self.stem {
            stem.apply(&mut self.word);
        }
        sink(Word { term: &self.word, position: *position, bytes, kind: Kind::Whole });
        *position += 1;
        self.word.clear();
    }

    /// Accents off, lower case, runs of a to z, none of the stop words.
    fn reference(&mut self, text: &str, sink: &mut dyn FnMut(Word<'_>)) -> u32 {
        let mut position = 0;
        let mut start = 0;
        self.word.clear();
        for (at, character) in text.char_indices() {
            if self.word.is_empty() {
                start = at;
            }
            if character.is_ascii_alphabetic() {
                self.word.push(character.to_ascii_lowercase());
            } else if character.is_ascii() {
                self.end_reference_word((start, at), &mut position, sink);
            } else {
                let mut folded = std::mem::take(&mut self.folded);
                folded.clear();
                decompose_canonical(character, |part| {
                    if !is_combining_mark(part) {
                        folded.extend(part.to_lowercase());
                    }
                });
                for part in &folded {
                    match part {
                        'a'..='z' => self.word.push(*part),
                        _ => self.end_reference_word((start, at), &mut position, sink),
                    }
                }
                self.folded = folded;
            }
        }
        self.end_reference_word((start, text.len()), &mut position, sink);
        position
    }

    fn end_reference_word(&mut self, bytes: (usize, usize), position: &mut u32, sink: &mut dyn FnMut(Word<'_>)) {
        self.word.truncate(MAX_WORD);
        match STOP_WORDS.contains(self.word.as_str()) {
            true => self.word.clear(),
            false => self.end_word(bytes, position, sink),
        }
    }
}

fn end_run(waiting: &mut Option<Waiting>, position: &mut u32, sink: &mut dyn FnMut(Word<'_>)) {
    if let Some(last) = waiting.take() {
        let mut buffer = [0; 4];
        let term = last.character.encode_utf8(&mut buffer);
        let kind = Kind::Last { alone: last.is_first };
        sink(Word { term, position: *position, bytes: (last.start, last.end), kind });
        *position += 1;
    }
}

/// The SMART list of English words (Salton and Buckley, Cornell), which the reference implementation does not index.
static STOP_WORDS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| include_str!("stop_words.txt").lines().collect());

#[cfg(test)]
mod tests {
    use super::*;

    fn words(rules: &Rules, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        let count = Analyzer::new(rules).words(text, &mut |word| {
            assert_eq!(word.position as usize, found.len());
            assert!(text.get(word.bytes.0..word.bytes.1).is_some_and(|text| !text.is_empty()), "{word:?}");
            found.push(word.term.to_owned());
        });
        assert_eq!(count as usize, found.len());
        found
    }

    fn unicode(text: &str) -> Vec<String> {
        words(&Rules { alphabet: Alphabet::Unicode, stemmer: None }, text)
    }

    #[test]
    fn words_of_spaced_scripts_are_runs_of_letters_and_digits() {
        assert_eq!(unicode("GPT-4 scored 87.3%!"), ["gpt", "4", "scored", "87", "3", "%"]);
        assert_eq!(unicode("C++ & C#"), ["c", "+", "+", "&", "c", "#"]);
        assert_eq!(unicode("snake_case, it's"), ["snake", "case", "it", "s"]);
        assert_eq!(unicode("Crème BRÛLÉE"), ["creme", "brulee"]);
        assert_eq!(unicode("हिन्दी में"), ["हिन्दी", "में"]);
        assert_eq!(unicode("co\u{AD}op"), ["coop"]);
        assert!(unicode(" .,;—\u{0}\u{1F}").is_empty());
    }

    #[test]
    fn unspaced_scripts_are_pairs_and_the_last_character() {
        assert_eq!(unicode("公司法"), ["公司", "司法", "法"]);
        assert_eq!(unicode("iPhone手机5"), ["iphone", "手机", "机", "5"]);
        assert_eq!(unicode("한국어 책"), ["한국", "국어", "어", "책"]);
        assert_eq!(unicode("😀👍"), ["😀", "👍"]);
    }

    #[test]
    fn spans_cover_the_marks_of_a_word() {
        let mut spans = Vec::new();
        let text = "cafe\u{301} ok";
        Analyzer::new(&Rules { alphabet: Alphabet::Unicode, stemmer: None })
            .words(text, &mut |word| spans.push(&text[word.bytes.0..word.bytes.1]));
        assert_eq!(spans, ["cafe\u{301}", "ok"]);
    }

    #[test]
    fn stems_are_found_by_any_form() {
        let rules = Rules { alphabet: Alphabet::Unicode, stemmer: Some("english".into()) };
        assert_eq!(words(&rules, "Running shoes"), ["run", "shoe"]);
    }

    #[test]
    fn long_words_are_cut() {
        let word = "ab".repeat(400);
        assert_eq!(unicode(&word)[0].len(), MAX_WORD);
        let cyrillic = "ж".repeat(400);
        assert_eq!(unicode(&cyrillic)[0].len(), MAX_WORD - 1);
    }

    #[test]
    fn the_reference_knows_a_to_z_and_drops_common_words() {
        let rules = Rules { alphabet: Alphabet::Reference, stemmer: None };
        assert_eq!(words(&rules, "GPT-4 scored 87% on naïve Ünïcode"), ["gpt", "scored", "naive", "unicode"]);
        assert!(words(&rules, "公司法 2024 Привет the hello").is_empty());
        assert_eq!(words(&rules, "smørrebrød"), ["sm", "rrebr"]);
        assert!(words(&rules, "would hasn't x y").iter().eq(["hasn"].iter()));
    }
}
