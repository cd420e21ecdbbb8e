//! Characters as search sees them: lower case, without accents, one form for all ways to write the same character.
//!
//! The rule: compatibility decomposition (NFKD), but symbols stay as they are; accents of Latin, Greek and Cyrillic
//! letters, vowel points of Hebrew and Arabic, and invisible characters are dropped; lower case; `ß` is `ss`, `ø` is
//! `o` and so on; the forms of alef, yeh, kaf and heh that Arabic keyboards mix up are one; digits of every script are
//! `0` to `9`. Vowel signs that make another syllable (Devanagari, Thai, kana, …) stay.

use unicode_normalization::char::{canonical_combining_class, compose, decompose_compatible, is_combining_mark};
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

/// The end of the character that starts at a byte: a base with its marks, or a Hangul syllable of several letters.
pub(super) fn cluster_end(text: &str, start: usize) -> usize {
    let mut characters = text[start..].char_indices();
    characters.next();
    let next = characters.find(|(_, character)| !continues(*character));
    next.map_or(text.len(), |(at, _)| start + at)
}

/// True for characters that belong to the one before.
fn continues(character: char) -> bool {
    match character {
        ..'\u{300}' => false,
        // Vowels and finals of Hangul, half-width voiced marks of kana.
        '\u{1160}'..='\u{11FF}' | '\u{D7B0}'..='\u{D7FB}' | '\u{FF9E}' | '\u{FF9F}' => true,
        '\u{3400}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7A3}' => false,
        other => is_combining_mark(other),
    }
}

/// Appends the folded form of one character, as [`cluster_end`] cuts it; nothing if it is not seen by search.
pub(super) fn fold(cluster: &str, out: &mut Vec<char>) {
    let mut characters = cluster.chars();
    let Some(first) = characters.next() else { return };
    if characters.as_str().is_empty() {
        if first.is_ascii() {
            out.push(first.to_ascii_lowercase());
            return;
        }
        if stands_alone(first) {
            out.push(first);
            return;
        }
    }
    let start = out.len();
    for character in cluster.chars() {
        decompose(character, out);
    }
    if out.len() > start + 1 {
        order_marks(&mut out[start..]);
        join(start, out);
    }
    lower(start, out);
}

/// Characters of scripts without case whose parts are no accents.
fn stands_alone(character: char) -> bool {
    matches!(character, '\u{3041}'..='\u{3096}' | '\u{30A1}'..='\u{30FC}' | '\u{3400}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7A3}')
}

fn decompose(character: char, out: &mut Vec<char>) {
    if stands_alone(character) {
        out.push(character);
    } else if ('\u{FF01}'..='\u{FF5E}').contains(&character) {
        // Full-width forms of ASCII, symbols among them.
        out.extend(char::from_u32(character as u32 - 0xFEE0));
    } else if character.general_category_group() == GeneralCategoryGroup::Symbol {
        out.push(character);
    } else {
        decompose_compatible(character, |part| {
            if !is_dropped(part) {
                out.push(part);
            }
        });
    }
}

/// Canonical order, so that marks typed in another order make the same character.
fn order_marks(characters: &mut [char]) {
    for marks in characters
        .chunk_by_mut(|left, right| canonical_combining_class(*left) != 0 && canonical_combining_class(*right) != 0)
    {
        marks.sort_by_key(|mark| canonical_combining_class(*mark));
    }
}

/// Puts together what was decomposed although it is one letter: voiced kana and Hangul syllables.
fn join(start: usize, out: &mut Vec<char>) {
    let mut kept = start;
    for at in start + 1..out.len() {
        let mark = out[at];
        let joins = matches!(mark, '\u{3099}' | '\u{309A}' | '\u{1160}'..='\u{11FF}');
        match compose(out[kept], mark).filter(|_| joins) {
            Some(joined) => out[kept] = joined,
            None => {
                kept += 1;
                out[kept] = mark;
            }
        }
    }
    out.truncate(kept + 1);
}

fn lower(start: usize, out: &mut Vec<char>) {
    let mut at = start;
    while at < out.len() {
        let character = out[at];
        if character.is_ascii() {
            out[at] = character.to_ascii_lowercase();
        } else if let Some(letters) = spelled_out(character) {
            at += letters.len();
            out.splice(at - letters.len()..=at - letters.len(), letters.chars());
            continue;
        } else {
            let mut lowered = character.to_lowercase();
            out[at] = simple(lowered.next().unwrap_or(character));
        }
        at += 1;
    }
}

/// Letters that decomposition keeps whole, in plain ones.
fn spelled_out(character: char) -> Option<&'static str> {
    Some(match character {
        'ß' | 'ẞ' => "ss",
        'æ' | 'Æ' => "ae",
        'œ' | 'Œ' => "oe",
        'þ' | 'Þ' => "th",
        'ø' | 'Ø' => "o",
        'đ' | 'Đ' | 'ð' | 'Ð' => "d",
        'ł' | 'Ł' => "l",
        'ħ' | 'Ħ' => "h",
        'ŧ' | 'Ŧ' => "t",
        'ı' => "i",
        _ => return None,
    })
}

fn simple(character: char) -> char {
    match character {
        'ς' => 'σ',
        'ٱ' => 'ا',
        'ى' | 'ی' => 'ي',
        'ک' => 'ك',
        'ة' => 'ه',
        other => digit(other).unwrap_or(other),
    }
}

/// Decimal digits stand in runs of ten.
fn digit(character: char) -> Option<char> {
    const ZEROS: &[u32] = &[
        0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66, 0xDE6, 0xE50, 0xED0, 0xF20,
        0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50, 0x1BB0, 0x1C40, 0x1C50,
    ];
    let code = character as u32;
    let zero = ZEROS[..ZEROS.partition_point(|zero| *zero <= code)].last()?;
    char::from_digit(code - zero, 10)
}

fn is_dropped(character: char) -> bool {
    matches!(character,
        // Accents.
        '\u{300}'..='\u{36F}' | '\u{483}'..='\u{489}' | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}'
        | '\u{20D0}'..='\u{20FF}' | '\u{FE20}'..='\u{FE2F}'
        // Points of Hebrew and Arabic, the stretching of Arabic letters.
        | '\u{591}'..='\u{5BD}' | '\u{5BF}' | '\u{5C1}' | '\u{5C2}' | '\u{5C4}' | '\u{5C5}' | '\u{5C7}'
        | '\u{610}'..='\u{61A}' | '\u{640}' | '\u{64B}'..='\u{65F}' | '\u{670}' | '\u{6D6}'..='\u{6DC}'
        | '\u{6DF}'..='\u{6E4}' | '\u{6E7}' | '\u{6E8}' | '\u{6EA}'..='\u{6ED}' | '\u{711}' | '\u{730}'..='\u{74A}'
        | '\u{8D3}'..='\u{8FF}'
        // What is not seen: hyphens that may be, joiners, directions, variants.
        | '\u{AD}' | '\u{61C}' | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{E0100}'..='\u{E01EF}')
}

/// What a folded character is to search.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Class {
    /// Part of a word that ends at the next other character.
    Word,
    /// Of a script that puts no spaces between words.
    Gram,
    /// A word of its own.
    Symbol,
    /// Between words.
    Other,
}

/// The class of a folded character.
pub(super) fn class_of(character: char) -> Class {
    if character.is_ascii() {
        return ASCII[character as usize];
    }
    if character.is_alphanumeric() || is_combining_mark(character) {
        return if is_unspaced(character) { Class::Gram } else { Class::Word };
    }
    match character.general_category() {
        GeneralCategory::MathSymbol | GeneralCategory::CurrencySymbol | GeneralCategory::OtherSymbol => Class::Symbol,
        _ if matches!(character, '§' | '‰' | '¶' | '†' | '‡') => Class::Symbol,
        _ => Class::Other,
    }
}

/// The classes of ASCII.
pub(super) static ASCII: [Class; 128] = {
    let mut classes = [Class::Other; 128];
    let mut code = 0;
    while code < 128 {
        let byte = code as u8;
        if byte.is_ascii_alphanumeric() {
            classes[code] = Class::Word;
        } else if matches!(byte, b'%' | b'#' | b'@' | b'&' | b'+' | b'<' | b'=' | b'>' | b'|' | b'~' | b'$') {
            classes[code] = Class::Symbol;
        }
        code += 1;
    }
    classes
};

/// Scripts that put no spaces between words, or, as Korean, glue endings to them: Thai, Lao, Myanmar, Khmer, Tai scripts,
/// Javanese, Hangul, kana, bopomofo, Han, Yi and the ones written like Han.
fn is_unspaced(character: char) -> bool {
    matches!(character,
        '\u{E00}'..='\u{EFF}' | '\u{1000}'..='\u{109F}' | '\u{1100}'..='\u{11FF}' | '\u{1780}'..='\u{17FF}'
        | '\u{1950}'..='\u{19DF}' | '\u{1A20}'..='\u{1AAF}' | '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{318F}'
        | '\u{31A0}'..='\u{31BF}' | '\u{31F0}'..='\u{31FF}' | '\u{3400}'..='\u{9FFF}' | '\u{A000}'..='\u{A4CF}'
        | '\u{A960}'..='\u{A97F}' | '\u{A980}'..='\u{A9FF}' | '\u{AA60}'..='\u{AADF}' | '\u{AC00}'..='\u{D7FF}'
        | '\u{F900}'..='\u{FAFF}' | '\u{FF66}'..='\u{FF9D}' | '\u{17000}'..='\u{18DFF}' | '\u{1AFF0}'..='\u{1B2FF}'
        | '\u{20000}'..='\u{3FFFF}')
}

/// The whole text folded, separators kept: what substrings are looked for in.
pub(super) fn fold_text(text: &str, out: &mut String) {
    out.clear();
    let mut folded = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let plain = text.as_bytes()[at..].iter().take_while(|byte| byte.is_ascii()).count();
        let start = out.len();
        out.push_str(&text[at..at + plain]);
        out[start..].make_ascii_lowercase();
        at += plain;
        if at < text.len() {
            let end = cluster_end(text, at);
            folded.clear();
            fold(&text[at..end], &mut folded);
            out.extend(&folded);
            at = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str) -> String {
        let mut out = String::new();
        fold_text(text, &mut out);
        out
    }

    #[test]
    fn accents_and_case_are_folded() {
        for (text, expected) in [
            ("Café CAFÉ Cafe\u{301}", "cafe cafe cafe"),
            ("Straße Łódź İstanbul ısı Þór Ærø", "strasse lodz istanbul isi thor aero"),
            ("Ώρα ΟΔΟΣ οδός", "ωρα οδοσ οδοσ"),
            ("Ёлка ЙОД", "елка иод"),
            ("مُحَمَّد أحمد إلى مدرسة", "محمد احمد الي مدرسه"),
            ("שָׁלוֹם", "שלום"),
            ("Ｇｏｏｇｌｅ＋ ﬁne x² ㎏", "google+ fine x2 ㎏"),
            ("١٢٣ ۴۵ ९८ ๗", "123 45 98 7"),
        ] {
            assert_eq!(folded(text), expected);
        }
    }

    #[test]
    fn syllables_stay_what_they_are_however_they_are_written() {
        for (composed, decomposed) in [
            ("ガラス", "ｶﾞﾗｽ"),
            ("がぎ", "か\u{3099}き\u{3099}"),
            ("한국", "\u{1112}\u{1161}\u{11AB}\u{1100}\u{116E}\u{11A8}"),
            ("क़लम", "क\u{93C}लम"),
            ("কো", "ক\u{9C7}\u{9BE}"),
            ("ộ", "o\u{302}\u{323}"),
        ] {
            assert_eq!(folded(composed), folded(decomposed), "{composed}");
        }
        assert_ne!(folded("が"), folded("か"));
        assert_ne!(folded("की"), folded("का"));
        assert_eq!(folded("ภาษาไทย"), "ภาษาไทย");
    }

    #[test]
    fn invisible_characters_are_not_seen() {
        assert_eq!(folded("co\u{AD}op\u{200B} \u{FEFF}a\u{200D}b"), "coop ab");
        assert_eq!(folded("™ ½"), "™ 1⁄2");
    }

    #[test]
    fn classes_cover_every_script() {
        for (character, class) in [
            ('a', Class::Word),
            ('7', Class::Word),
            ('ж', Class::Word),
            ('ا', Class::Word),
            ('क', Class::Word),
            ('\u{94D}', Class::Word),
            ('ა', Class::Word),
            ('ก', Class::Gram),
            ('ក', Class::Gram),
            ('字', Class::Gram),
            ('ー', Class::Gram),
            ('한', Class::Gram),
            ('+', Class::Symbol),
            ('€', Class::Symbol),
            ('😀', Class::Symbol),
            ('。', Class::Other),
            ('-', Class::Other),
            ('฿', Class::Symbol),
            ('\u{0}', Class::Other),
        ] {
            assert_eq!(class_of(character), class, "{character:?}");
        }
    }
}
