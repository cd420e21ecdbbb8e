//! Characters anywhere in a text, even inside of words.

use memchr::memmem::Finder;

use super::fold::{cluster_end, fold, fold_text};

/// Looks for one text in others, both folded.
#[derive(Clone)]
pub(super) struct Substring {
    finder: Finder<'static>,
    folded: String,
}

impl Substring {
    /// `None` when nothing of the text can be seen.
    pub(super) fn new(text: &str) -> Option<Self> {
        let mut needle = String::new();
        fold_text(text, &mut needle);
        let needle = needle.trim();
        (!needle.is_empty()).then(|| Self { finder: Finder::new(needle).into_owned(), folded: String::new() })
    }

    /// How often it stands in a text, without overlap.
    pub(super) fn count(&mut self, text: &str) -> u32 {
        fold_text(text, &mut self.folded);
        self.finder.find_iter(self.folded.as_bytes()).count() as u32
    }

    /// Where it stands in a text, in bytes, ascending.
    pub(super) fn spans(&self, text: &str) -> Vec<(usize, usize)> {
        // The folded text with, for each of its bytes, the bytes of the text it comes from.
        let (mut folded, mut places) = (String::with_capacity(text.len()), Vec::with_capacity(text.len()));
        let mut characters = Vec::new();
        let mut at = 0;
        while at < text.len() {
            let end = cluster_end(text, at);
            characters.clear();
            fold(&text[at..end], &mut characters);
            folded.extend(&characters);
            places.resize(folded.len(), (at, end));
            at = end;
        }
        let needle = self.finder.needle().len();
        let found = self.finder.find_iter(folded.as_bytes());
        found.map(|start| (places[start].0, places[start + needle - 1].1)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_found_inside_of_words() {
        let mut art = Substring::new("ÁRT").unwrap();
        assert_eq!(art.count("Party, a\u{301}rt; ar t"), 2);
        let text = "Party, Cárt";
        assert_eq!(
            art.spans(text).into_iter().map(|(start, end)| &text[start..end]).collect::<Vec<_>>(),
            ["art", "árt"]
        );
        assert!(Substring::new(" \u{200B} ").is_none());
        assert_eq!(Substring::new("++").unwrap().count("c++ +++"), 2);
    }
}
