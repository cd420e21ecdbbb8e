//! The rules, and how a match of one is checked.

mod australia;
mod contact;
mod dates;
mod india;
mod money;
mod network;
mod others;
mod united_states;

use std::ops::Range;
use std::sync::LazyLock;

use regex::{Match, Regex};

use crate::EntityType;

/// What one kind of entity looks like.
pub(crate) struct Rule {
    /// What it is.
    pub(crate) entity: EntityType,
    /// What it looks like.
    pub(crate) pattern: &'static str,
    /// What may stand before and after it.
    pub(crate) edges: Edges,
    /// Whether it counts by itself.
    pub(crate) near: Near,
    /// How many bytes of a match are the entity, from its beginning; `None`: it is none.
    pub(crate) check: fn(&str) -> Option<usize>,
}

/// What may stand before and after an entity.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edges {
    /// No letter, digit or underscore.
    Word,
    /// Neither these nor a sign with which a longer number would go on: `12-345`, `1.234`.
    Number,
    /// Neither these nor a further group of digits.
    Groups,
    /// Neither letters, digits and underscores nor a further number behind a dot.
    Ipv4,
    /// Neither letters, digits and underscores nor a further group behind a colon.
    Ipv6,
}

/// Whether a match counts by itself.
#[derive(Clone, Copy)]
pub(crate) enum Near {
    /// It does.
    Nothing,
    /// It counts near one of these words or phrases, in lower case, only: other things look the same.
    Words(&'static [&'static str]),
}

/// A rule, ready to be used.
pub(crate) struct Compiled {
    pub(crate) rule: &'static Rule,
    regex: Regex,
}

/// All rules.
pub(crate) fn rules() -> &'static [Compiled] {
    static RULES: LazyLock<Vec<Compiled>> = LazyLock::new(|| {
        let all = [
            money::RULES,
            contact::RULES,
            network::RULES,
            united_states::RULES,
            others::RULES,
            australia::RULES,
            india::RULES,
            dates::RULES,
        ];
        let compile = |rule: &'static Rule| Compiled {
            rule,
            regex: Regex::new(rule.pattern).expect("a test compiles every pattern"),
        };
        all.into_iter().flatten().map(compile).collect()
    });
    &RULES
}

/// Which signs, of those that rules need, are in a text.
#[derive(Clone, Copy)]
pub(crate) struct Signs {
    digit: bool,
    at: bool,
    colon: bool,
}

impl Signs {
    pub(crate) fn of(text: &str) -> Self {
        let has = |sign| text.as_bytes().contains(&sign);
        Self { digit: text.bytes().any(|byte| byte.is_ascii_digit()), at: has(b'@'), colon: has(b':') }
    }
}

impl Compiled {
    /// The first match that begins at a place or after it.
    pub(crate) fn find_from<'t>(&self, text: &'t str, from: usize) -> Option<Match<'t>> {
        self.regex.find_at(text, from)
    }

    /// The phrases that it has to be near to, if any.
    pub(crate) fn near(&self) -> Option<&'static [&'static str]> {
        match self.rule.near {
            Near::Nothing => None,
            Near::Words(phrases) => Some(phrases),
        }
    }

    /// False if it matches no text that has these signs only.
    pub(crate) fn may_match(&self, signs: Signs) -> bool {
        match self.rule.entity {
            EntityType::EmailAddress => signs.at,
            EntityType::Url => true,
            EntityType::IpAddress => signs.digit || signs.colon,
            _ => signs.digit,
        }
    }

    /// The part of a match that is the entity.
    pub(crate) fn accept(&self, text: &str, found: Range<usize>) -> Option<Range<usize>> {
        if !is_edge(self.rule.edges, text[..found.start].chars().rev()) {
            return None;
        }
        let length = (self.rule.check)(&text[found.clone()])?;
        let span = found.start..found.start + length;
        is_edge(self.rule.edges, text[span.end..].chars()).then_some(span)
    }
}

/// Whether an entity may begin or end where these characters follow outwards.
fn is_edge(edges: Edges, mut outwards: impl Iterator<Item = char>) -> bool {
    let Some(next) = outwards.next() else { return true };
    let (signs, goes_on): (&[char], fn(&char) -> bool) = match edges {
        Edges::Word => (&[], char::is_ascii_digit),
        Edges::Number => (&['-', '.', ',', '/', ':', '+'], char::is_ascii_digit),
        Edges::Groups => (&['-', '.', ',', '/', ':', '+', ' '], char::is_ascii_digit),
        Edges::Ipv4 => (&['.'], char::is_ascii_digit),
        Edges::Ipv6 => (&[':'], char::is_ascii_hexdigit),
    };
    if signs.contains(&next) {
        return !outwards.next().as_ref().is_some_and(goes_on);
    }
    !next.is_alphanumeric() && next != '_'
}

/// A check of the whole match.
fn whole(text: &str, is_good: bool) -> Option<usize> {
    is_good.then_some(text.len())
}

/// True if a number is written without separators, or with one and the same.
fn has_one_separator(text: &str) -> bool {
    let mut separators = text.chars().filter(|c| !c.is_ascii_alphanumeric());
    let first = separators.next();
    separators.all(|c| Some(c) == first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Context, recognize};

    #[test]
    fn every_type_that_is_said_to_be_recognized_has_a_rule() {
        let has_rule = |entity: EntityType| rules().iter().any(|rule| rule.rule.entity == entity);
        for &entity in EntityType::ALL {
            assert_eq!(has_rule(entity), entity.is_recognized(), "{entity}");
        }
    }

    #[test]
    fn phrases_are_written_as_they_are_compared() {
        for phrase in rules().iter().filter_map(Compiled::near).flatten() {
            assert_eq!(**phrase, phrase.to_lowercase());
            assert!(
                phrase.split(' ').all(|word| !word.is_empty() && word.chars().all(char::is_alphanumeric)),
                "{phrase}"
            );
        }
    }

    /// The types found in a text of which nothing else is known.
    pub(super) fn types(text: &str) -> Vec<&'static str> {
        let entities = recognize(text, &Context::default());
        entities.into_iter().map(|entity| entity.entity.name()).collect()
    }

    /// Checks that each text is exactly one entity of a type, said where it counts by itself, else after the word.
    #[track_caller]
    pub(super) fn assert_all(entity: &'static str, word: &str, texts: &[&str]) {
        for text in texts {
            let said = format!("{word} {text} ");
            let found = recognize(&said, &Context::default());
            let spans: Vec<_> = found.iter().map(|found| (found.entity.name(), &said[found.span.clone()])).collect();
            assert_eq!(spans, [(entity, *text)], "{said}");
        }
    }

    /// Checks that no text holds an entity of a type, even after the word.
    #[track_caller]
    pub(super) fn assert_none(entity: &'static str, word: &str, texts: &[&str]) {
        for text in texts {
            let said = format!("{word} {text}");
            assert!(!types(&said).contains(&entity), "{said}");
        }
    }
}
