//! Dates. As a date alone tells of nobody, one counts where a word makes it somebody's.

use super::{Edges, Near, Rule, whole};
use crate::EntityType;

const WORDS: &[&str] =
    &["date", "birthday", "birthdate", "birth", "born", "dob", "died", "death", "deceased", "datetime"];
const MONTHS: &[&str] = &[
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

pub(super) const RULES: &[Rule] = &[
    Rule {
        entity: EntityType::DateTime,
        pattern: r"[0-9]{4}[-/.][0-9]{1,2}[-/.][0-9]{1,2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?Z?)?",
        edges: Edges::Number,
        near: Near::Words(WORDS),
        check: |text| {
            let parts = numbers(text);
            whole(text, is_date(parts[2], parts[1]) && separators_agree(text))
        },
    },
    Rule {
        entity: EntityType::DateTime,
        pattern: r"[0-9]{1,2}[-/.][0-9]{1,2}[-/.](?:[0-9]{4}|[0-9]{2})",
        edges: Edges::Number,
        near: Near::Words(WORDS),
        check: |text| {
            let parts = numbers(text);
            // Some write the day first, some the month.
            let is_good = is_date(parts[0], parts[1]) || is_date(parts[1], parts[0]);
            whole(text, is_good && separators_agree(text))
        },
    },
    Rule {
        entity: EntityType::DateTime,
        pattern: r"[0-9]{1,2}(?:st|nd|rd|th)?[ -][A-Za-z]{3,9}\.?,?[ -](?:[0-9]{4}|[0-9]{2})",
        edges: Edges::Word,
        near: Near::Words(WORDS),
        check: written,
    },
    Rule {
        entity: EntityType::DateTime,
        pattern: r"[A-Za-z]{3,9}\.? [0-9]{1,2}(?:st|nd|rd|th)?,? [0-9]{4}",
        edges: Edges::Word,
        near: Near::Words(WORDS),
        check: written,
    },
];

/// The numbers in a text, in order.
fn numbers(text: &str) -> Vec<u32> {
    text.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

fn is_date(day: u32, month: u32) -> bool {
    (1..=31).contains(&day) && (1..=12).contains(&month)
}

/// The first two separators are the same one.
fn separators_agree(text: &str) -> bool {
    let mut separators = text.chars().filter(|c| !c.is_ascii_digit());
    separators.next() == separators.next()
}

/// A day and the name of a month.
fn written(text: &str) -> Option<usize> {
    let is_month = |word: &str| {
        let word = word.to_ascii_lowercase();
        word == "sept" || MONTHS.iter().any(|month| *month == word || month[..3] == word)
    };
    let is_named = text.split(|c: char| !c.is_ascii_alphabetic()).any(is_month);
    let day = numbers(text).first().copied().unwrap_or_default();
    whole(text, is_named && (1..=31).contains(&day))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_all, assert_none, types};

    #[test]
    fn dates_of_many_habits_are_read() {
        assert_all(
            "DATE_TIME",
            "born",
            &[
                "1980-05-21",
                "1980/5/21",
                "1980-05-21T08:30:00Z",
                "21.05.1980",
                "5/21/80",
                "21 May 1980",
                "21-Jan-1980",
                "Sept 3, 1980",
                "December 3rd 1980",
            ],
        );
        assert_none(
            "DATE_TIME",
            "born",
            &["1980-13-41", "31/31/1980", "1980-05.21", "21 Mary 1980", "40 May 1980", "12.34.5678", "1.2.3"],
        );
    }

    #[test]
    fn a_date_that_is_nobodys_does_not_count() {
        assert_eq!(types("released 1980-05-21, again on 3 May 1981"), Vec::<&str>::new());
    }
}
