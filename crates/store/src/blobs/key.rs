//! Keys of blobs: which are legal, and segments of them that any text can be made into and read from again.

use std::path::{Component, Path};

use belvedere_domain::view::DigestBuilder;

/// Longest segment that [`segment`] makes, in bytes; file systems take 255 and our temporary names add some.
const MAX_SEGMENT: usize = 200;

/// One segment of a key for any text, different for different texts: letters, digits, `-`, `_`, `.` and `=` stay, all else is
/// escaped as `!` and two hexadecimal digits, and what would be too long is cut and ends with its digest.
pub fn segment(text: &str) -> String {
    let mut segment = String::with_capacity(text.len());
    for (at, byte) in text.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'=') || (byte == b'.' && at > 0);
        if plain {
            segment.push(char::from(byte));
        } else {
            segment.push_str(&format!("!{byte:02x}"));
        }
    }
    if segment.is_empty() {
        return "!".to_owned();
    }
    if segment.len() > MAX_SEGMENT {
        let digest = DigestBuilder::new("blob-key", 1).part("text", text).finish().to_hex();
        segment.truncate(MAX_SEGMENT - digest.len() - 2);
        // No escape yields `!!`, so a cut segment never equals a whole one.
        segment.push_str("!!");
        segment.push_str(&digest);
    }
    segment
}

/// The text that a [`segment`] was made of; `None` for one that was cut, and for what is none.
pub fn text_of(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut parts = segment.split('!');
    bytes.extend_from_slice(parts.next()?.as_bytes());
    for part in parts {
        let digits = part.get(..2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).ok().filter(|text| !text.is_empty())
}

/// Whether a key may be used: it leads to nowhere but below the place.
pub(super) fn is_legal(key: &str) -> bool {
    let legal = |segment: &str| {
        !segment.is_empty()
            && segment.len() <= 255
            && !segment.starts_with('.')
            && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.!=".contains(&byte))
    };
    key.split('/').all(legal) && Path::new(key).components().all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn segments_are_legal_keys_and_tell_texts_apart() {
        let long = "é".repeat(127);
        let texts = ["", "a", ".", "..", "a/b", "a!2fb", "été", "a b", "%41", "A", &long, &format!("{long}x")];
        let segments: HashSet<String> = texts.iter().map(|text| segment(text)).collect();
        assert_eq!(segments.len(), texts.len());
        assert!(segments.iter().all(|segment| is_legal(segment)), "{segments:?}");
        for text in texts.iter().filter(|text| text.len() < 50 && !text.is_empty()) {
            assert_eq!(text_of(&segment(text)).as_deref(), Some(*text));
        }
        assert_eq!(text_of(&segment(&long.repeat(2))), None, "a cut one tells nothing");
    }
}
