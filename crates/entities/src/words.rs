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
    words: Vec<(Range<usize>, String)>,
    context: &'c Context,
}

impl<'c> Words<'c> {
    pub(crate) fn new(text: &str, context: &'c Context) -> Self {
        Self { words: split(text).collect(), context }
    }

    /// True if one of the phrases is anywhere.
    pub(crate) fn hold(&self, phrases: &[&str]) -> bool {
        let starts = |phrase: &str| {
            let at = |index| is_phrase(phrase, self.words[index..].iter().map(|(_, word)| word.as_str()));
            (0..self.words.len()).any(at) || self.is_of_column(phrase)
        };
        phrases.iter().any(|phrase| starts(phrase))
    }

    /// How far before a place the nearest of the phrases ends, in words; `None`: too far.
    pub(crate) fn distance(&self, place: usize, phrases: &[&str]) -> Option<usize> {
        let before = self.words.partition_point(|(range, _)| range.end <= place);
        let first = before.saturating_sub(WORDS_BEFORE);
        let near = &self.words[first..before];
        let distance = |phrase: &&str| {
            let length = phrase.split(' ').count();
            let starts = (0..near.len()).rev();
            let mut found = starts.filter(|&at| is_phrase(phrase, near[at..].iter().map(|(_, word)| word.as_str())));
            found.next().map(|at| near.len() - at - length).or_else(|| self.is_of_column(phrase).then_some(OF_COLUMN))
        };
        phrases.iter().filter_map(distance).min()
    }

    fn is_of_column(&self, phrase: &str) -> bool {
        let words = &self.context.words;
        (0..words.len()).any(|at| is_phrase(phrase, words[at..].iter().map(String::as_str)))
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
