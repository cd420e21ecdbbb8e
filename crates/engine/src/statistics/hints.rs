//! What texts look like, told from a sample of the first ones.

use serde_json::{Value as Json, json};

use crate::statistics::dates;

/// Share of the sample that has to look like it.
const ENOUGH: f64 = 0.9;
/// Shares between which numbers among texts are a mixture.
const MIXED: std::ops::Range<f64> = 0.05..0.95;

/// Tells whether a text looks like something.
type Test<'t> = &'t dyn Fn(&str) -> bool;

/// What a sample looks like.
pub(super) struct Hints {
    /// `{"kind", "share", "sampled"}`; null when nothing fits.
    pub(super) hint: Option<Json>,
    /// Share of numbers, when numbers and other texts are mixed.
    pub(super) mixed: Option<f64>,
}

/// Looks at a sample. `unique`: every value of the whole column is different.
pub(super) fn hints(sample: &[String], unique: bool) -> Hints {
    if sample.is_empty() {
        return Hints { hint: None, mixed: None };
    }
    let share =
        |test: &dyn Fn(&str) -> bool| sample.iter().filter(|text| test(text)).count() as f64 / sample.len() as f64;
    let numbers = share(&is_number);
    let id = |text: &str| unique && is_id(text);
    let candidates: [(&str, Test<'_>); 6] = [
        ("url", &is_url),
        ("email", &is_email),
        ("date", &dates::is_date),
        ("number", &is_number),
        ("id", &id),
        ("natural_language", &is_language),
    ];
    let found = candidates.into_iter().map(|(kind, test)| (kind, share(test))).find(|(_, share)| *share >= ENOUGH);
    let told = |(kind, share): (&str, f64)| json!({"kind": kind, "share": rounded(share), "sampled": sample.len()});
    Hints { hint: found.map(told), mixed: MIXED.contains(&numbers).then(|| rounded(numbers)) }
}

fn rounded(share: f64) -> f64 {
    crate::statistics::histogram::rounded(share)
}

fn is_number(text: &str) -> bool {
    let text = text.trim();
    // What reads as a number but is a word: `nan`, `inf`.
    text.bytes().any(|byte| byte.is_ascii_digit()) && text.parse::<f64>().is_ok()
}

fn is_url(text: &str) -> bool {
    let rest = ["http://", "https://", "ftp://", "s3://", "hf://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace))
}

fn is_email(text: &str) -> bool {
    let Some((user, host)) = text.split_once('@') else { return false };
    let plain = |text: &str| !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c == '@');
    plain(user) && plain(host) && host.rsplit_once('.').is_some_and(|(name, end)| !name.is_empty() && end.len() >= 2)
}

fn is_id(text: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '/');
    (1..=64).contains(&text.len()) && text.chars().all(known) && text.contains(|c: char| c.is_ascii_digit())
}

/// Words of letters, several of them; scripts without spaces count by their letters.
fn is_language(text: &str) -> bool {
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let wide = text.chars().filter(|c| matches!(*c, '\u{2e80}'..='\u{d7ff}' | '\u{e00}'..='\u{eff}')).count();
    let visible = text.chars().filter(|c| !c.is_whitespace()).count();
    letters as f64 >= 0.7 * visible as f64 && (text.split_whitespace().nth(2).is_some() || wide >= 5)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(texts: &[&str], unique: bool) -> Option<String> {
        let sample: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        hints(&sample, unique).hint.map(|hint| hint["kind"].as_str().unwrap().to_owned())
    }

    #[test]
    fn texts_are_known_by_their_looks() {
        assert_eq!(kind(&["https://a.org/x", "http://b"], false).as_deref(), Some("url"));
        assert_eq!(kind(&["a@b.org", "x.y+z@mail.example.com"], false).as_deref(), Some("email"));
        assert_eq!(kind(&["2024-01-01", "2024-01-02"], true).as_deref(), Some("date"));
        assert_eq!(kind(&["1.5", "-2e3"], true).as_deref(), Some("number"));
        assert_eq!(kind(&["a-1", "b-2"], true).as_deref(), Some("id"));
        assert_eq!(kind(&["a-1", "b-2"], false), None);
        assert_eq!(kind(&["The quick brown fox.", "A lazy dog sleeps"], true).as_deref(), Some("natural_language"));
        assert_eq!(kind(&["敏捷的棕色狐狸跳过懒狗"], true).as_deref(), Some("natural_language"));
        assert_eq!(kind(&["red", "blue", "nan", ""], false), None);
        assert_eq!(kind(&[], true), None);
    }

    #[test]
    fn numbers_among_words_are_a_mixture() {
        let sample: Vec<String> = ["1", "2", "n/a", "3"].map(str::to_owned).into();
        assert_eq!(hints(&sample, false).mixed, Some(0.75));
        assert_eq!(hints(&sample[..2], false).mixed, None);
    }
}
