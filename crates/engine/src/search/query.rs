//! A query → units to look for. A unit is what was written without space between, or in quotes: its words must stand next
//! to each other in one text.

use serde::{Deserialize, Serialize};

use super::analyze::{Alphabet, Analyzer, Kind};

/// Units of a query; more are not looked for.
const MAX_UNITS: usize = 256;
/// Words of a unit; more are not looked for.
const MAX_WORDS: usize = 256;

/// What a row must hold to match.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// At least one of the units.
    #[default]
    Any,
    /// All of the units.
    All,
    /// All words next to each other, in this order.
    Phrase,
    /// The characters of the query, even inside of words.
    Substring,
}

impl Mode {
    /// The mode of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "any" => Self::Any,
            "all" => Self::All,
            "phrase" => Self::Phrase,
            "substring" => Self::Substring,
            _ => return None,
        })
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::All => "all",
            Self::Phrase => "phrase",
            Self::Substring => "substring",
        }
    }
}

/// Words that stand next to each other.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Unit(pub(super) Vec<Part>);

/// A word of a unit.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Part {
    /// The word.
    pub(super) term: String,
    /// A single character of an unspaced script: every word that begins with it counts.
    pub(super) prefix: bool,
    /// Words between the first one of the unit and this one, plus one; 0 for the first.
    pub(super) offset: u32,
}

/// The distinct units of a query, in order.
pub(super) fn units(query: &str, mode: Mode, alphabet: Alphabet, analyzer: &mut Analyzer) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::new();
    let mut add = |unit: Unit| {
        if !unit.0.is_empty() && !units.contains(&unit) && units.len() < MAX_UNITS {
            units.push(unit);
        }
    };
    match (alphabet, mode) {
        // It knows neither quotes nor modes: every word counts on its own.
        (Alphabet::Reference, _) => {
            let mut words = Vec::new();
            analyzer.words(query, &mut |word| words.push(word.term.to_owned()));
            words.into_iter().for_each(|term| add(Unit(vec![Part { term, prefix: false, offset: 0 }])));
        }
        (Alphabet::Unicode, Mode::Phrase | Mode::Substring) => add(unit(query, analyzer)),
        (Alphabet::Unicode, Mode::Any | Mode::All) => {
            chunks(query).into_iter().for_each(|chunk| add(unit(chunk, analyzer)));
        }
    }
    units
}

/// The parts of a query between spaces; what is in double quotes is one part. A quote without end is a space.
fn chunks(query: &str) -> Vec<&str> {
    let is_quote = |character| matches!(character, '"' | '“' | '”' | '„' | '«' | '»');
    let mut chunks = Vec::new();
    let mut rest = query;
    while let Some(start) = rest.find(is_quote) {
        let after = start + rest[start..].chars().next().map_or(0, char::len_utf8);
        chunks.extend(rest[..start].split_whitespace());
        rest = &rest[after..];
        if let Some(end) = rest.find(is_quote) {
            chunks.push(&rest[..end]);
            rest = &rest[end + rest[end..].chars().next().map_or(0, char::len_utf8)..];
        }
    }
    chunks.extend(rest.split_whitespace());
    chunks
}

fn unit(text: &str, analyzer: &mut Analyzer) -> Unit {
    let mut parts: Vec<Part> = Vec::new();
    let mut first = 0;
    analyzer.words(text, &mut |word| {
        if parts.len() >= MAX_WORDS {
            return;
        }
        // The last character of a run is in the pair before, and in a text the run may go on.
        let prefix = match word.kind {
            Kind::Last { alone: false } => return,
            Kind::Last { alone: true } => true,
            Kind::Whole | Kind::Pair => false,
        };
        if parts.is_empty() {
            first = word.position;
        }
        parts.push(Part { term: word.term.to_owned(), prefix, offset: word.position - first });
    });
    Unit(parts)
}

#[cfg(test)]
mod tests {
    use super::super::analyze::Rules;
    use super::*;

    fn shown(query: &str, mode: Mode) -> Vec<String> {
        let rules = Rules { alphabet: Alphabet::Unicode, stemmer: None };
        let part = |part: &Part| format!("{}{}@{}", part.term, if part.prefix { "…" } else { "" }, part.offset);
        let show = |unit: &Unit| unit.0.iter().map(part).collect::<Vec<_>>().join(" ");
        units(query, mode, rules.alphabet, &mut Analyzer::new(&rules)).iter().map(show).collect()
    }

    #[test]
    fn words_are_units_and_so_is_what_stands_together() {
        assert_eq!(shown("gray  fox Gray", Mode::Any), ["gray@0", "fox@0"]);
        assert_eq!(shown("GPT-4 87.3%", Mode::All), ["gpt@0 4@1", "87@0 3@1 %@2"]);
        assert_eq!(shown("\"gray fox\" red", Mode::Any), ["gray@0 fox@1", "red@0"]);
        assert_eq!(shown("“gray fox” \"open", Mode::Any), ["gray@0 fox@1", "open@0"]);
        assert_eq!(shown("gray, fox!", Mode::Phrase), ["gray@0 fox@1"]);
        assert_eq!(shown(" ?! \"\" ", Mode::Any), [""; 0]);
    }

    #[test]
    fn runs_of_unspaced_scripts_are_pairs() {
        assert_eq!(shown("公司法", Mode::Any), ["公司@0 司法@1"]);
        assert_eq!(shown("法 第5章", Mode::Any), ["法…@0", "第…@0 5@1 章…@2"]);
        assert_eq!(shown("手机5", Mode::Any), ["手机@0 5@2"]);
    }

    #[test]
    fn the_number_of_units_is_bounded() {
        let query: Vec<String> = (0..10_000).map(|number| format!("w{number}")).collect();
        assert_eq!(shown(&query.join(" "), Mode::Any).len(), MAX_UNITS);
        assert_eq!(shown(&query.join("-"), Mode::Any)[0].split(' ').count(), MAX_WORDS);
    }
}
