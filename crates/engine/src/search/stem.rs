//! Words cut to their stems, when all texts are in one language that has a Snowball stemmer.

use frostem::{Algorithm, Stemmer};

/// Entries of the cache, a power of two. Words of a text repeat, and most of the time of a stemmer goes into copying.
const ENTRIES: usize = 1 << 12;
/// Longer words are rarely repeated.
const MAX_CACHED: usize = 24;

/// The languages that the reference implementation stems; it leaves all others as they are.
const REFERENCE: &[&str] = &[
    "arabic",
    "basque",
    "catalan",
    "danish",
    "dutch",
    "english",
    "finnish",
    "french",
    "german",
    "greek",
    "hindi",
    "hungarian",
    "indonesian",
    "irish",
    "italian",
    "lithuanian",
    "nepali",
    "norwegian",
    "portuguese",
    "romanian",
    "russian",
    "serbian",
    "spanish",
    "swedish",
    "tamil",
    "turkish",
];

/// The name of the stemmer for a language code of ISO 639-1 or 639-2/3, in lower case; `None` where there is none.
///
/// `only_reference`: only those of the reference implementation.
pub fn stemmer_of(language: &str, only_reference: bool) -> Option<&'static str> {
    let is_code = matches!(language.len(), 2 | 3) && language.bytes().all(|byte| byte.is_ascii_lowercase());
    let name = Algorithm::from_name(language).ok().filter(|_| is_code)?.name();
    (!only_reference || REFERENCE.contains(&name)).then_some(name)
}

/// Stems words, remembering those of late.
#[derive(Clone)]
pub(super) struct Stem {
    stemmer: Stemmer,
    cache: Vec<(String, String)>,
}

impl Stem {
    /// By the name that [`stemmer_of`] gives; `None` for names of other versions.
    pub(super) fn new(name: &str) -> Option<Self> {
        let stemmer = Stemmer::try_from_name(name).ok()?;
        Some(Self { stemmer, cache: vec![(String::new(), String::new()); ENTRIES] })
    }

    /// Replaces a word, folded already, by its stem. A stemmer that leaves nothing leaves the word.
    pub(super) fn apply(&mut self, word: &mut String) {
        if word.len() > MAX_CACHED {
            if let stem @ std::borrow::Cow::Owned(_) = self.stemmer.stem(word)
                && !stem.is_empty()
            {
                *word = stem.into_owned();
            }
            return;
        }
        let (known, stem) = &mut self.cache[slot(word)];
        if known != word {
            known.clone_from(word);
            let found = self.stemmer.stem(word);
            stem.clear();
            stem.push_str(if found.is_empty() { word } else { &found });
        }
        word.clone_from(stem);
    }
}

/// FNV-1a, folded to the number of entries.
fn slot(word: &str) -> usize {
    let hash = word
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    ((hash ^ (hash >> 32)) as usize) & (ENTRIES - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_both_lengths_name_stemmers() {
        let both = |code| (stemmer_of(code, false), stemmer_of(code, true));
        assert_eq!(both("en"), (Some("english"), Some("english")));
        assert_eq!(both("deu"), (Some("german"), Some("german")));
        assert_eq!(both("pl"), (Some("polish"), None));
        for none in ["zh", "english", "", "EN", "porter", "xx"] {
            assert_eq!(both(none), (None, None), "{none}");
        }
        assert!(REFERENCE.iter().all(|name| Stem::new(name).is_some()));
    }

    #[test]
    fn the_cache_gives_what_the_stemmer_gives() {
        let mut stem = Stem::new("english").unwrap();
        for _ in 0..2 {
            for (word, expected) in [("running", "run"), ("runs", "run"), ("rows", "row"), ("", "")] {
                let mut text = word.to_owned();
                stem.apply(&mut text);
                assert_eq!(text, expected);
            }
            let mut long = "internationalizationalities".to_owned();
            stem.apply(&mut long);
            assert_eq!(long, Stemmer::new(Algorithm::English).stem("internationalizationalities"));
        }
    }
}
