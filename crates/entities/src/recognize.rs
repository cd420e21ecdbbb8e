//! From rules to entities: which matches count, and which of several.

use std::cell::LazyCell;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::{Deref, Range};

use crate::EntityType;
use crate::rules::{Compiled, Near, Signs, rules};
use crate::words::{Context, Words};

/// Bytes of a match from which on, if it is refused, the next one is looked for behind it.
const LONG: usize = 400;

/// A part of a text that is personal data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entity {
    /// What it is.
    pub entity: EntityType,
    /// Where it is, in bytes.
    pub span: Range<usize>,
}

/// A match of a rule; `distance` to the word that it is near to, `None` if it needs none.
struct Match {
    entity: Entity,
    distance: Option<usize>,
}

/// The personal data in a text, in the order of the text. Entities of different types may overlap only when each is
/// certain by itself, as a mail address in a URL.
pub fn recognize(text: &str, context: &Context) -> Vec<Entity> {
    let words = LazyCell::new(|| Words::new(text, context));
    let signs = Signs::of(text);
    let mut matches = Vec::new();
    for rule in rules() {
        if rule.may_match(signs) && rule.near().is_none_or(|phrases| words.hold(phrases)) {
            find(rule, text, &words, &mut matches);
        }
    }
    settle(matches)
}

fn find<'c>(rule: &Compiled, text: &str, words: &impl Deref<Target = Words<'c>>, matches: &mut Vec<Match>) {
    let mut from = 0;
    while let Some(found) = rule.find_from(text, from) {
        // What is refused may hide the beginning of something good. Long matches are not looked into again and again.
        let first = text[found.start()..].chars().next().map_or(1, char::len_utf8);
        from = if found.len() > LONG { found.end() } else { found.start() + first };
        let Some(span) = rule.accept(text, found.range()) else { continue };
        let distance = match rule.rule.near {
            Near::Nothing => None,
            Near::Words(phrases) => match words.distance(span.start, phrases) {
                Some(distance) => Some(distance),
                None => continue,
            },
        };
        from = span.end;
        matches.push(Match { entity: Entity { entity: rule.rule.entity, span }, distance });
    }
}

/// One entity of a type at a place; what a word made of a number gives way to what the number is by itself, and of several
/// such readings the one whose word is nearest holds.
fn settle(mut matches: Vec<Match>) -> Vec<Entity> {
    // The order of rules decides between equals, as sorting is stable: certain ones first, then the nearest, then the longest.
    matches.sort_by_key(|found| (found.distance.map_or(0, |distance| distance + 1), Reverse(found.entity.span.len())));
    let mut kept: BTreeMap<(usize, EntityType), usize> = BTreeMap::new();
    let longest = matches.iter().map(|found| found.entity.span.len()).max().unwrap_or(0);
    for Match { entity: Entity { entity, span }, distance } in matches {
        let around = (span.start.saturating_sub(longest), EntityType::ALL[0])..(span.end, EntityType::ALL[0]);
        let is_taken =
            kept.range(around).any(|((_, other), &end)| end > span.start && (*other == entity || distance.is_some()));
        if !is_taken {
            kept.insert((span.start, entity), span.end);
        }
    }
    kept.into_iter().map(|((start, entity), end)| Entity { entity, span: start..end }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'t>(text: &'t str, columns: &[&str]) -> Vec<(&'static str, &'t str)> {
        let entities = recognize(text, &Context::of_column(columns.iter().copied()));
        entities.into_iter().map(|entity| (entity.entity.name(), &text[entity.span])).collect()
    }

    #[test]
    fn entities_come_in_the_order_of_the_text() {
        let text = "Visa 4111 1111 1111 1111, mail jo@example.org or see https://example.org/jo.";
        assert_eq!(
            found(text, &[]),
            [
                ("CREDIT_CARD", "4111 1111 1111 1111"),
                ("EMAIL_ADDRESS", "jo@example.org"),
                ("URL", "https://example.org/jo"),
            ]
        );
    }

    #[test]
    fn the_nearest_word_says_what_a_number_is() {
        assert_eq!(
            found("bank 555444333 and passport 963545637", &[]),
            [("US_BANK_NUMBER", "555444333"), ("US_PASSPORT", "963545637"),]
        );
        assert_eq!(found("passport of my bank: 963545637", &[]), [("US_BANK_NUMBER", "963545637")]);
        assert_eq!(found("963545637", &["passport"]), [("US_PASSPORT", "963545637")]);
        assert!(found("963545637", &["weight"]).is_empty());
    }

    #[test]
    fn a_number_that_is_certain_is_nothing_else_besides() {
        assert_eq!(found("account number 4111111111111111", &[]), [("CREDIT_CARD", "4111111111111111")]);
    }

    #[test]
    fn what_is_refused_does_not_hide_what_follows() {
        assert_eq!(found("2024 4111 1111 1111 1111", &[]), [("CREDIT_CARD", "4111 1111 1111 1111")]);
        assert_eq!(found("..jo@example.org", &[]), [("EMAIL_ADDRESS", "jo@example.org")]);
    }

    #[test]
    fn common_numbers_and_texts_are_nothing() {
        for text in [
            "",
            "the quick brown fox",
            "1700000000000",
            "3.14159265358979",
            "2024-05-01T12:00:00Z",
            "v1.2.3.4",
            "std::vector<int> a::b",
            "[12, 345, 6789]",
            "550e8400-e29b-41d4-a716-446655440000",
            "icon@2x.png",
            "1,234,567,890",
            "ISBN 978-3-16-148410-0",
            "00:1A:2B:3C:4D:5E",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "日本語のテキスト",
            "@user see #42",
        ] {
            assert!(found(text, &["text"]).is_empty(), "{text}");
        }
    }

    #[test]
    fn the_time_grows_with_the_length_alone() {
        // Texts that are worst for such rules: nearly everything nearly matches. None of them is refused or takes long.
        for piece in ["1", "1 ", "1-", "a@", "a@a.", "1.1.1.1.", "::", "+1 ", "http://", "passport 1", "GB82 ", "bc1q"]
        {
            let text = piece.repeat(20_000 / piece.len());
            recognize(&text, &Context::of_column(["phone", "passport", "ip"]));
        }
    }
}
