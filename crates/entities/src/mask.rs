//! Entities as they may be shown.

/// The text with all but the first characters of each word made unreadable: a word keeps two characters, or all but its
/// last one if it has no more than two; letters and digits after these become `*`.
pub fn mask(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    for (index, word) in text.split(' ').enumerate() {
        if index > 0 {
            masked.push(' ');
        }
        let kept = word.chars().count().saturating_sub(1).min(2);
        let hide = |(index, c): (usize, char)| if index >= kept && c.is_alphanumeric() { '*' } else { c };
        masked.extend(word.chars().enumerate().map(hide));
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_two_characters_and_never_all() {
        for (text, masked) in [
            ("Marie Curie", "Ma*** Cu***"),
            ("m.curie@example.org", "m.*****@*******.***"),
            ("Jo", "J*"),
            ("x", "*"),
            ("+33 1 40-51", "+3* * 40-**"),
            ("Żółć", "Żó**"),
            ("a  b", "*  *"),
            ("", ""),
        ] {
            assert_eq!(mask(text), masked);
        }
    }
}
