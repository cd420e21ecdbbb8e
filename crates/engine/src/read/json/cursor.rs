//! Steps over JSON text: strings, numbers, literals, and where values begin and end.
//!
//! The text is known to be UTF-8. `NaN`, `Infinity` and `Inf` are numbers here, as they are for the reference.

/// Deepest nesting that is read.
pub(super) const MAX_DEPTH: usize = 512;

/// Why a step failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// The text ends inside a value: with more text it may be fine.
    End,
    /// The text is no JSON, or not of the expected shape.
    At(usize, String),
}

/// A position in a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    pub(super) text: &'a [u8],
    pub(super) at: usize,
}

/// What kind of value begins at a position.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Null,
    Bool,
    Number,
    Text,
    Array,
    Object,
}

/// A string as written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a> {
    /// Between the quotes.
    raw: &'a [u8],
    escaped: bool,
    /// Position of the opening quote.
    at: usize,
}

/// A number as written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number<'a> {
    raw: &'a [u8],
    is_integer: bool,
}

impl<'a> Cursor<'a> {
    pub(super) fn fault(self, message: impl Into<String>) -> Fault {
        Fault::At(self.at, message.into())
    }

    /// Passes over white space.
    #[inline]
    pub(super) fn blanks(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.text.get(self.at) {
            self.at += 1;
        }
    }

    /// The byte at the position.
    #[inline]
    pub(super) fn byte(self) -> Result<u8, Fault> {
        self.text.get(self.at).copied().ok_or(Fault::End)
    }

    /// The kind of the value at the position.
    #[inline]
    pub(super) fn kind(self) -> Result<Kind, Fault> {
        Ok(match self.byte()? {
            b'{' => Kind::Object,
            b'[' => Kind::Array,
            b'"' => Kind::Text,
            b't' | b'f' => Kind::Bool,
            b'n' => Kind::Null,
            b'-' | b'0'..=b'9' | b'N' | b'I' => Kind::Number,
            other => {
                return Err(
                    self.fault(format!("expected a JSON value, found `{}`", char::from(other).escape_default()))
                );
            }
        })
    }

    /// Passes over a given word.
    pub(super) fn word(&mut self, word: &str) -> Result<(), Fault> {
        let rest = &self.text[self.at..];
        if rest.starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(());
        }
        match word.as_bytes().starts_with(rest) {
            true => Err(Fault::End),
            false => Err(self.fault(format!("expected `{word}`"))),
        }
    }

    /// Reads `true` or `false`.
    pub(super) fn boolean(&mut self) -> Result<bool, Fault> {
        let value = self.byte()? == b't';
        self.word(if value { "true" } else { "false" })?;
        Ok(value)
    }

    /// Reads a number.
    #[inline]
    pub(super) fn number(&mut self) -> Result<Number<'a>, Fault> {
        let start = self.at;
        if self.byte()? == b'-' {
            self.at += 1;
        }
        if let b'N' | b'I' = self.byte()? {
            return self.special(start);
        }
        match self.byte()? {
            b'0' => self.at += 1,
            b'1'..=b'9' => self.digits(),
            _ => return Err(self.fault("expected a digit")),
        }
        let mut is_integer = true;
        if self.text.get(self.at) == Some(&b'.') {
            is_integer = false;
            self.at += 1;
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = self.text.get(self.at) {
            is_integer = false;
            self.at += 1;
            if let b'+' | b'-' = self.byte()? {
                self.at += 1;
            }
            self.some_digits()?;
        }
        match self.text.get(self.at) {
            Some(b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t') | None => {
                Ok(Number { raw: &self.text[start..self.at], is_integer })
            }
            Some(_) => Err(self.fault("a number goes on in a way that is no JSON")),
        }
    }

    fn special(&mut self, start: usize) -> Result<Number<'a>, Fault> {
        let rest = &self.text[self.at..];
        let word = if rest[0] == b'N' {
            "NaN"
        } else if rest.len() > 3 && rest[3] != b'i' {
            "Inf"
        } else {
            "Infinity"
        };
        self.word(word)?;
        Ok(Number { raw: &self.text[start..self.at], is_integer: false })
    }

    #[inline]
    fn digits(&mut self) {
        while let Some(b'0'..=b'9') = self.text.get(self.at) {
            self.at += 1;
        }
    }

    fn some_digits(&mut self) -> Result<(), Fault> {
        match self.byte()? {
            b'0'..=b'9' => {
                self.digits();
                Ok(())
            }
            _ => Err(self.fault("expected a digit")),
        }
    }

    /// Reads a string.
    #[inline]
    pub(super) fn string(&mut self) -> Result<Text<'a>, Fault> {
        let at = self.at;
        if self.byte()? != b'"' {
            return Err(self.fault("expected a text in double quotes"));
        }
        let start = at + 1;
        let mut from = start;
        let mut escaped = false;
        loop {
            let rest = &self.text[from..];
            let Some(length) = memchr::memchr2(b'"', b'\\', rest) else { return Err(Fault::End) };
            // Folding without a way out compiles to vector instructions.
            if rest[..length].iter().fold(false, |bad, byte| bad | (*byte < 0x20)) {
                let message = "a line break or control character inside a text; write it as an escape";
                return Err(Fault::At(from, message.to_owned()));
            }
            if rest[length] == b'"' {
                self.at = from + length + 1;
                return Ok(Text { raw: &self.text[start..from + length], escaped, at });
            }
            escaped = true;
            from += length + 2;
            if from > self.text.len() {
                return Err(Fault::End);
            }
        }
    }

    /// After `[` or an item: true if an item follows, false after the closing bracket.
    #[inline]
    pub(super) fn next_item(&mut self, first: bool) -> Result<bool, Fault> {
        self.next(first, b']', "expected `,` or `]`")
    }

    /// After `{` or a field: true if a key follows, false after the closing brace.
    #[inline]
    pub(super) fn next_field(&mut self, first: bool) -> Result<bool, Fault> {
        self.next(first, b'}', "expected `,` or `}`")
    }

    #[inline]
    fn next(&mut self, first: bool, close: u8, expected: &str) -> Result<bool, Fault> {
        self.blanks();
        match self.byte()? {
            byte if byte == close => {
                self.at += 1;
                return Ok(false);
            }
            b',' if !first => {
                self.at += 1;
                self.blanks();
                if self.byte()? == close {
                    return Err(self.fault("a comma without a value after it"));
                }
            }
            _ if first => {}
            _ => return Err(self.fault(expected)),
        }
        Ok(true)
    }

    /// Reads a key and its colon; the position is then at the value.
    #[inline]
    pub(super) fn key(&mut self) -> Result<Text<'a>, Fault> {
        let key = self.string()?;
        self.blanks();
        if self.byte()? != b':' {
            return Err(self.fault("expected `:`"));
        }
        self.at += 1;
        self.blanks();
        Ok(key)
    }

    /// Passes over a value. `depth`: how many values it lies in.
    pub(super) fn skip(&mut self, depth: usize) -> Result<(), Fault> {
        if depth > MAX_DEPTH {
            return Err(self.too_deep());
        }
        match self.kind()? {
            Kind::Null => self.word("null"),
            Kind::Bool => self.boolean().map(drop),
            Kind::Number => self.number().map(drop),
            Kind::Text => self.string().map(drop),
            Kind::Array => {
                self.at += 1;
                let mut first = true;
                while self.next_item(first)? {
                    first = false;
                    self.skip(depth + 1)?;
                }
                Ok(())
            }
            Kind::Object => {
                self.at += 1;
                let mut first = true;
                while self.next_field(first)? {
                    first = false;
                    self.key()?;
                    self.skip(depth + 1)?;
                }
                Ok(())
            }
        }
    }

    pub(super) fn too_deep(self) -> Fault {
        self.fault(format!("values are nested deeper than {MAX_DEPTH} levels"))
    }
}

impl<'a> Text<'a> {
    /// The bytes, if nothing needs unescaping.
    #[inline]
    pub(super) fn plain(self) -> Option<&'a [u8]> {
        (!self.escaped).then_some(self.raw)
    }

    /// Appends the text, unescaped.
    pub(super) fn append_to(self, bytes: &mut Vec<u8>) -> Result<(), Fault> {
        if !self.escaped {
            bytes.extend_from_slice(self.raw);
            return Ok(());
        }
        let mut rest = self.raw;
        while let Some(at) = memchr::memchr(b'\\', rest) {
            bytes.extend_from_slice(&rest[..at]);
            let place = self.raw.len() - rest.len() + at;
            rest = &rest[at + 2..];
            bytes.push(match self.raw[place + 1] {
                byte @ (b'"' | b'\\' | b'/') => byte,
                b'n' => b'\n',
                b't' => b'\t',
                b'r' => b'\r',
                b'b' => 0x08,
                b'f' => 0x0c,
                b'u' => {
                    let (character, length) = self.unicode(rest)?;
                    bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                    rest = &rest[length..];
                    continue;
                }
                _ => return Err(self.bad("an escape that JSON does not know")),
            });
        }
        bytes.extend_from_slice(rest);
        Ok(())
    }

    /// The character of a `\u` escape whose digits begin `rest`, and how many bytes of `rest` it takes.
    fn unicode(self, rest: &[u8]) -> Result<(char, usize), Fault> {
        let unit = |digits: Option<&[u8]>| -> Option<u32> {
            let digits = std::str::from_utf8(digits?).ok()?;
            digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?
        };
        let first = unit(rest.get(..4)).ok_or_else(|| self.bad("`\\u` needs four hexadecimal digits"))?;
        if let Some(character) = char::from_u32(first) {
            return Ok((character, 4));
        }
        let second = rest.get(4..6).filter(|begin| *begin == b"\\u").and_then(|_| unit(rest.get(6..10)));
        match second {
            Some(second @ 0xdc00..=0xdfff) if first < 0xdc00 => {
                let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                char::from_u32(code).map(|character| (character, 10)).ok_or_else(|| self.bad("an impossible character"))
            }
            _ => Err(self.bad("half of a surrogate pair stands alone")),
        }
    }

    fn bad(self, message: &str) -> Fault {
        Fault::At(self.at, message.to_owned())
    }
}

impl Number<'_> {
    /// The value, if it is an integer of 64 bits.
    #[inline]
    pub(super) fn integer(self) -> Option<i64> {
        if !self.is_integer {
            return None;
        }
        let (negative, digits) = match self.raw {
            [b'-', digits @ ..] => (true, digits),
            digits => (false, digits),
        };
        digits.iter().try_fold(0_i64, |value, digit| {
            let digit = i64::from(digit - b'0');
            value.checked_mul(10)?.checked_add(if negative { -digit } else { digit })
        })
    }

    /// As written, if it is an integer of any size.
    pub(super) fn integer_text(&self) -> Option<&str> {
        std::str::from_utf8(self.raw).ok().filter(|_| self.is_integer)
    }

    /// The value, rounded to the nearest float.
    pub(super) fn float(self) -> f64 {
        // Rust reads every spelling that got here: digits, `NaN`, `Inf`, `Infinity`.
        std::str::from_utf8(self.raw).ok().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN)
    }
}
