//! The words before a place in a text, by which a number is understood.

use std::ops::Range;

/// Words before a match that are looked at.
const WORDS_BEFORE: usize = 5;
/// How near the name of the column is: farther than every word of the text that counts.
const OF_COLUMN: usize = WORDS_BEFORE;

/// What is known of a text before it is read: the words in the names of its column and of the fields inside.
#[derive(Clone, Debug, Default)]
pub struct Context {
    words: Vec<String>,
}

impl Context {
    /// The context of texts in a column, from its name and those of nested fields. `phoneNumber` and `phone_number` are
    /// two words each.
    pub fn of_column<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        let mut words = Vec::new();
        for name in names {
            let mut was_small = false;
            let mut apart = String::with_capacity(name.len());
            for c in name.chars() {
                if c.is_uppercase() && was_small {
                    apart.push(' ');
                }
                was_small = c.is_lowercase();
                apart.push(c);
            }
            words.extend(split(&apart).map(|(_, word)| word));
        }
        Self { words }
    }
}

/// A text as words in lower case.
pub(crate) struct Words<'c> {
    /// Where each is in the text, and in `lower`.
    words: Vec<(Range<usize>, Range<usize>)>,
    lower: String,
    /// Those of the text and of its column.
    known: Known,
    context: &'c Context,
}

impl<'c> Words<'c> {
    pub(crate) fn new(text: &str, context: &'c Context) -> Self {
        let mut words = Self { words: Vec::new(), lower: String::new(), known: Known::default(), context };
        context.words.iter().for_each(|word| words.known.add(word));
        for (place, word) in split(text) {
            let start = words.lower.len();
            words.lower.push_str(&word);
            words.known.add(&word);
            words.words.push((place, start..words.lower.len()));
        }
        words
    }

    /// True if one of the phrases is anywhere.
    pub(crate) fn hold(&self, phrases: &[&str]) -> bool {
        // Most texts have none of them, which a look at each word would find at last.
        let may_be = |phrase: &str| phrase.split(' ').all(|part| self.known.may_have(part));
        let is_here = |phrase: &str| {
            (0..self.words.len()).any(|at| is_phrase(phrase, self.words_from(at))) || self.is_of_column(phrase)
        };
        phrases.iter().any(|phrase| may_be(phrase) && is_here(phrase))
    }

    /// The words from one on.
    fn words_from(&self, index: usize) -> impl Iterator<Item = &str> {
        self.words[index..].iter().map(|(_, word)| &self.lower[word.clone()])
    }

    /// How far before a place the nearest of the phrases ends, in words; `None`: too far.
    pub(crate) fn distance(&self, place: usize, phrases: &[&str]) -> Option<usize> {
        let before = self.words.partition_point(|(range, _)| range.end <= place);
        let first = before.saturating_sub(WORDS_BEFORE);
        let distance = |phrase: &&str| {
            let length = phrase.split(' ').count();
            let starts = (first..before).rev();
            let mut found = starts.filter(|&at| is_phrase(phrase, self.words_from(at).take(before - at)));
            found.next().map(|at| before - at - length).or_else(|| self.is_of_column(phrase).then_some(OF_COLUMN))
        };
        phrases.iter().filter_map(distance).min()
    }

    fn is_of_column(&self, phrase: &str) -> bool {
        let words = &self.context.words;
        (0..words.len()).any(|at| is_phrase(phrase, words[at..].iter().map(String::as_str)))
    }
}

/// A set of words, of which it tells for certain only what is not in it.
struct Known([u64; 64]);

impl Default for Known {
    fn default() -> Self {
        Self([0; 64])
    }
}

impl Known {
    /// Adds a word, and what it may be the plural of.
    fn add(&mut self, word: &str) {
        let singular = word.strip_suffix('s');
        for word in std::iter::once(word).chain(singular) {
            let (index, bit) = Self::place(word);
            self.0[index] |= bit;
        }
    }

    /// False if neither the word nor its plural was added.
    fn may_have(&self, word: &str) -> bool {
        let (index, bit) = Self::place(word);
        self.0[index] & bit != 0
    }

    /// By the hash of Fowler, Noll and Vo (FNV-1a, <http://www.isthe.com/chongo/tech/comp/fnv/>).
    fn place(word: &str) -> (usize, u64) {
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let hash = word.bytes().fold(0xcbf2_9ce4_8422_2325, step);
        // The upper half is mixed better.
        ((hash >> 58) as usize, 1 << (hash >> 32 & 63))
    }
}

/// True if the words begin with those of the phrase, singular or plural.
fn is_phrase<'w>(phrase: &str, mut words: impl Iterator<Item = &'w str>) -> bool {
    phrase.split(' ').all(|part| words.next().is_some_and(|word| word.strip_suffix('s') == Some(part) || word == part))
}

/// Words with their places, in lower case.
fn split(text: &str) -> impl Iterator<Item = (Range<usize>, String)> + '_ {
    let mut rest = 0;
    std::iter::from_fn(move || {
        let start = rest + text[rest..].find(char::is_alphanumeric)?;
        let length = text[start..].find(|c: char| !c.is_alphanumeric()).unwrap_or(text.len() - start);
        rest = start + length;
        Some((start..rest, text[start..rest].to_lowercase()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_phrase_within_five_words_before_counts() {
        let none = Context::default();
        let text = "Her bank account and, since May, her passports are 12345";
        let words = Words::new(text, &none);
        let place = text.find("12345").unwrap();
        assert_eq!(words.distance(place, &["passport"]), Some(1));
        assert_eq!(words.distance(place, &["since", "may"]), Some(3));
        assert_eq!(words.distance(place, &["bank account"]), None);
        assert!(words.hold(&["bank account"]) && !words.hold(&["account bank"]));
        assert_eq!(words.distance(0, &["her"]), None);
    }

    #[test]
    fn what_is_held_is_found_in_long_texts_too() {
        let none = Context::default();
        let text = (0..5_000).fold(String::new(), |text, n| text + &format!("word{n} ")) + "Passports of bank accounts";
        let words = Words::new(&text, &none);
        assert!(words.hold(&["passport"]) && words.hold(&["word4999", "x"]) && words.hold(&["bank account"]));
        assert!(!words.hold(&["accounts bank"]) && !words.hold(&["word5000"]) && !words.hold(&[]));
    }

    #[test]
    fn names_of_columns_count_everywhere_and_least() {
        let context = Context::of_column(["owner", "phoneNumber", "home_PHONE"]);
        let words = Words::new("call 555", &context);
        assert_eq!(words.distance(5, &["phone"]), Some(OF_COLUMN));
        assert_eq!(words.distance(5, &["phone", "call"]), Some(0));
        assert_eq!(words.distance(5, &["phone number", "fax"]), Some(OF_COLUMN));
        assert_eq!(words.distance(5, &["number home phone"]), Some(OF_COLUMN));
        assert_eq!(words.distance(5, &["owner home"]), None);
    }
}
