//! JSON written straight into a text buffer: the encoding of numbers, strings and bytes that every answer shares.
//!
//! Compact, UTF-8 unescaped, only `"`, `\` and control characters escaped; NaN and infinities are null.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Appends a string with its quotes.
pub(crate) fn string(out: &mut String, text: &str) {
    out.reserve(text.len() + 2);
    out.push('"');
    let mut start = 0;
    for (index, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        // An escaped byte is ASCII, so both sides of it are whole characters.
        out.push_str(&text[start..index]);
        start = index + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x08 => out.push_str("\\b"),
            0x0c => out.push_str("\\f"),
            control => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.push_str("\\u00");
                out.push(char::from(HEX[usize::from(control >> 4)]));
                out.push(char::from(HEX[usize::from(control & 15)]));
            }
        }
    }
    out.push_str(&text[start..]);
    out.push('"');
}

/// Appends the shortest form that reads back as the same double; `1.0` keeps its `.0`.
pub(crate) fn float(out: &mut String, value: f64) {
    match value.is_finite() {
        true => out.push_str(ryu::Buffer::new().format_finite(value)),
        false => out.push_str("null"),
    }
}

/// Appends an integer.
pub(crate) fn integer(out: &mut String, value: impl itoa::Integer) {
    out.push_str(itoa::Buffer::new().format(value));
}

/// Appends bytes as a base64 string with padding.
pub(crate) fn base64(out: &mut String, bytes: &[u8]) {
    out.push('"');
    STANDARD.encode_string(bytes, out);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut String)) -> String {
        let mut out = String::new();
        write(&mut out);
        out
    }

    #[test]
    fn strings_escape_only_what_they_must() {
        for text in ["", "plain", "é \u{7f} 漢字 🦀", "\"\\\u{8}\u{c}\n\r\t\u{0}\u{1b}", "end\\"] {
            let json = written(|out| string(out, text));
            assert_eq!(json, serde_json::to_string(text).expect("text"), "{text:?}");
        }
    }

    #[test]
    fn floats_are_shortest_and_keep_their_point() {
        let cases =
            [(1.0, "1.0"), (-0.0, "-0.0"), (0.1, "0.1"), (1e16, "1e16"), (1e-7, "1e-7"), (123456.789, "123456.789")];
        for (value, expected) in cases {
            assert_eq!(written(|out| float(out, value)), expected);
        }
        assert_eq!(written(|out| float(out, f64::from(0.1_f32))), "0.10000000149011612");
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(written(|out| float(out, value)), "null");
        }
    }

    #[test]
    fn integers_are_never_quoted() {
        assert_eq!(written(|out| integer(out, u64::MAX)), "18446744073709551615");
        assert_eq!(written(|out| integer(out, i64::MIN)), "-9223372036854775808");
    }
}
