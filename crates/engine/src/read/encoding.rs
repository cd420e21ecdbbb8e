//! Text encodings by the names that Python gives them.

use encoding_rs::{DecoderResult, Encoding};

use super::parameters::{Parameters, bad};
use crate::error::EngineError;

/// How the bytes of a file become text.
#[derive(Clone, Copy, Debug)]
pub(super) struct TextEncoding {
    charset: Charset,
    errors: OnError,
    /// A leading byte-order mark is part of the encoding, not of the text.
    pub(super) drops_mark: bool,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Charset {
    Utf8,
    /// Every byte below `limit` is the code point of that number.
    Direct {
        limit: u16,
    },
    Other(&'static Encoding),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum OnError {
    Strict,
    Replace,
    Ignore,
}

impl TextEncoding {
    /// Strict UTF-8.
    pub(super) const UTF_8: Self = Self { charset: Charset::Utf8, errors: OnError::Strict, drops_mark: false };

    /// UTF-16 in the byte order that its mark tells.
    pub(super) const UTF_16: Self =
        Self { charset: Charset::Other(encoding_rs::UTF_16LE), errors: OnError::Strict, drops_mark: true };

    /// From the parameters `encoding` and `encoding_errors`.
    pub(super) fn of(parameters: Parameters<'_>) -> Result<Self, EngineError> {
        let errors = [("strict", OnError::Strict), ("replace", OnError::Replace), ("ignore", OnError::Ignore)];
        let errors = parameters.choice("encoding_errors", &errors, OnError::Strict)?;
        let Some(name) = parameters.text("encoding")? else { return Ok(Self { errors, ..Self::UTF_8 }) };
        let label = name.to_ascii_lowercase().replace(['_', ' '], "-");
        let (charset, drops_mark) = match label.as_str() {
            "utf-8" | "utf8" | "u8" => (Charset::Utf8, false),
            "utf-8-sig" | "utf8-sig" => (Charset::Utf8, true),
            "latin-1" | "latin1" | "iso-8859-1" | "iso8859-1" | "l1" | "8859" | "cp819" => {
                (Charset::Direct { limit: 256 }, false)
            }
            "ascii" | "us-ascii" | "646" => (Charset::Direct { limit: 128 }, false),
            "utf-16" | "utf16" | "u16" => (Charset::Other(encoding_rs::UTF_16LE), true),
            "cp932" | "ms-kanji" => (Charset::Other(encoding_rs::SHIFT_JIS), false),
            "cp936" => (Charset::Other(encoding_rs::GBK), false),
            "cp949" => (Charset::Other(encoding_rs::EUC_KR), false),
            "cp950" => (Charset::Other(encoding_rs::BIG5), false),
            "mac-roman" => (Charset::Other(encoding_rs::MACINTOSH), false),
            other => {
                let known = Encoding::for_label(other.as_bytes()).filter(|known| *known != encoding_rs::REPLACEMENT);
                let value = || bad("encoding", &name.into(), "a known encoding such as utf-8, latin-1, cp1252");
                (Charset::Other(known.ok_or_else(value)?), false)
            }
        };
        Ok(Self { charset, errors, drops_mark })
    }

    /// True when well-formed input already is the output, so that a check is all it takes.
    pub(super) fn is_strict_utf8(self) -> bool {
        self.charset == Charset::Utf8 && self.errors == OnError::Strict
    }

    /// Starts decoding.
    pub(super) fn decoder(self) -> TextDecoder {
        let state = match self.charset {
            Charset::Direct { limit } => State::Direct { limit },
            Charset::Utf8 => State::Table(encoding_rs::UTF_8.new_decoder_without_bom_handling()),
            // The mark of UTF-16 decides the byte order.
            Charset::Other(encoding) if self.drops_mark => State::Table(encoding.new_decoder()),
            Charset::Other(encoding) => State::Table(encoding.new_decoder_without_bom_handling()),
        };
        TextDecoder { state, errors: self.errors }
    }
}

/// Decodes bytes piece by piece.
pub(super) struct TextDecoder {
    state: State,
    errors: OnError,
}

enum State {
    Direct { limit: u16 },
    Table(encoding_rs::Decoder),
}

impl TextDecoder {
    /// Appends the text of `bytes`. False: they are not text in this encoding, and that is an error.
    pub(super) fn decode(&mut self, mut bytes: &[u8], last: bool, text: &mut Vec<u8>) -> bool {
        let decoder = match &mut self.state {
            State::Direct { limit } => return direct(bytes, *limit, self.errors, text),
            State::Table(decoder) => decoder,
        };
        loop {
            let room = decoder.max_utf8_buffer_length_without_replacement(bytes.len()).unwrap_or(bytes.len() * 4 + 16);
            let old = text.len();
            text.resize(old + room, 0);
            let (result, read, written) = decoder.decode_to_utf8_without_replacement(bytes, &mut text[old..], last);
            text.truncate(old + written);
            bytes = &bytes[read..];
            match (result, self.errors) {
                (DecoderResult::InputEmpty, _) => return true,
                (DecoderResult::OutputFull, _) | (DecoderResult::Malformed(..), OnError::Ignore) => {}
                (DecoderResult::Malformed(..), OnError::Replace) => text.extend("\u{fffd}".as_bytes()),
                (DecoderResult::Malformed(..), OnError::Strict) => return false,
            }
        }
    }
}

fn direct(bytes: &[u8], limit: u16, errors: OnError, text: &mut Vec<u8>) -> bool {
    let mut buffer = [0; 4];
    for &byte in bytes {
        if u16::from(byte) < limit {
            text.extend(char::from(byte).encode_utf8(&mut buffer).as_bytes());
        } else {
            match errors {
                OnError::Strict => return false,
                OnError::Replace => text.extend("\u{fffd}".as_bytes()),
                OnError::Ignore => {}
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use indexmap::IndexMap;
    use serde_json::{Value as JsonValue, json};

    use super::*;

    fn decode(encoding: &str, errors: &str, bytes: &[u8]) -> Option<String> {
        let parameters: IndexMap<String, JsonValue> =
            [("encoding".into(), json!(encoding)), ("encoding_errors".into(), json!(errors))].into();
        let mut decoder = TextEncoding::of(Parameters(&parameters)).unwrap().decoder();
        let mut text = Vec::new();
        // Byte by byte: no state may be lost between pieces.
        let decoded = bytes.iter().all(|byte| decoder.decode(&[*byte], false, &mut text));
        (decoded && decoder.decode(&[], true, &mut text)).then(|| String::from_utf8(text).unwrap())
    }

    #[test]
    fn python_names_of_encodings_are_understood() {
        assert_eq!(decode("latin-1", "strict", b"caf\xe9\x80").as_deref(), Some("caf\u{e9}\u{80}"));
        assert_eq!(decode("ISO_8859_1", "strict", b"\xe9").as_deref(), Some("é"));
        assert_eq!(decode("cp1252", "strict", b"\x80").as_deref(), Some("€"));
        assert_eq!(decode("utf-16", "strict", b"\xfe\xff\0h\0i").as_deref(), Some("hi"));
        assert_eq!(decode("cp932", "strict", b"\x93\xfa").as_deref(), Some("日"));
        assert_eq!(decode("ascii", "strict", b"\xe9"), None);
    }

    #[test]
    fn encoding_errors_tell_what_happens_to_bad_bytes() {
        assert_eq!(decode("utf-8", "strict", b"a\xffb"), None);
        assert_eq!(decode("utf-8", "replace", b"a\xffb").as_deref(), Some("a\u{fffd}b"));
        assert_eq!(decode("utf-8", "ignore", b"a\xffb").as_deref(), Some("ab"));
        assert_eq!(decode("ascii", "replace", b"a\xe9").as_deref(), Some("a\u{fffd}"));
    }

    #[test]
    fn unknown_encodings_are_named() {
        let parameters: IndexMap<String, JsonValue> = [("encoding".into(), json!("klingon"))].into();
        let error = TextEncoding::of(Parameters(&parameters)).unwrap_err();
        insta::assert_snapshot!(error, @r#"parameter `encoding`: expected a known encoding such as utf-8, latin-1, cp1252, found "klingon""#);
    }
}
