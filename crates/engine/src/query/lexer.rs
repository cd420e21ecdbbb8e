//! Text → tokens, each with its place in characters. Knows quotes and signs, no grammar.

use super::wrong;
use crate::error::EngineError;

/// One word or sign of an expression.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Token {
    /// A name without quotes, which may be a keyword.
    Word(String),
    /// A name in double quotes.
    Name(String),
    /// Digits, perhaps with a point and an exponent; no sign.
    Number(String),
    /// A text in single quotes.
    Text(String),
    /// An operator or a bracket.
    Sign(&'static str),
    /// After the last one.
    End,
}

/// Longer signs first: the first that fits wins.
const SIGNS: &[&str] = &[
    "!~~*", "!~~", "!~*", "~~~", "~~*", "!~", "~~", "~*", "~", "<=", ">=", "<>", "!=", "==", "||", "::", "//", "**",
    "^@", "->>", "->", "=", "<", ">", "+", "-", "*", "/", "%", "^", "(", ")", "[", "]", ",", ".",
];

/// The tokens with the character each begins at, from 1.
///
/// # Errors
/// [`Query`](crate::ErrorKind::Query) for a quote without end, a comment, a second statement, a sign of another language.
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, usize)>, EngineError> {
    let mut lexer = Lexer { rest: text, at: 1 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip(lexer.rest.len() - lexer.rest.trim_start().len());
        let at = lexer.at;
        let token = lexer.next_token()?;
        let is_end = token == Token::End;
        tokens.push((token, at));
        if is_end {
            return Ok(tokens);
        }
    }
}

struct Lexer<'t> {
    rest: &'t str,
    at: usize,
}

impl Lexer<'_> {
    fn skip(&mut self, bytes: usize) {
        let (skipped, rest) = self.rest.split_at(bytes);
        self.at += skipped.chars().count();
        self.rest = rest;
    }

    fn next_token(&mut self) -> Result<Token, EngineError> {
        let Some(first) = self.rest.chars().next() else { return Ok(Token::End) };
        match first {
            '\'' => return self.quoted('\'').map(Token::Text),
            '"' => return self.quoted('"').map(Token::Name),
            '0'..='9' => return Ok(self.number()),
            '.' if self.rest[1..].starts_with(|next: char| next.is_ascii_digit()) => return Ok(self.number()),
            _ if first.is_alphabetic() || first == '_' => return Ok(self.word()),
            _ => {}
        }
        if self.rest.starts_with("--") || self.rest.starts_with("/*") {
            return Err(wrong(self.at, "comments are not understood; leave the comment out"));
        }
        if let Some(sign) = SIGNS.iter().find(|sign| self.rest.starts_with(**sign)) {
            self.skip(sign.len());
            return Ok(Token::Sign(sign));
        }
        Err(wrong(
            self.at,
            match first {
                ';' => {
                    "`;` ends a statement, and there can be only one expression; put texts in single quotes".to_owned()
                }
                '“' | '”' | '‘' | '’' | '„' | '«' | '»' | '`' => {
                    format!("`{first}` is not a quote here; use \"…\" for columns and '…' for texts")
                }
                _ => format!("`{}` is not understood", first.escape_debug()),
            },
        ))
    }

    /// A doubled quote stands for itself.
    fn quoted(&mut self, quote: char) -> Result<String, EngineError> {
        let start = self.at;
        let mut text = String::new();
        let mut rest = &self.rest[1..];
        loop {
            let Some(end) = rest.find(quote) else {
                return Err(wrong(start, format!("the quote {quote} that begins here has no end")));
            };
            text.push_str(&rest[..end]);
            rest = &rest[end + 1..];
            match rest.strip_prefix(quote) {
                Some(after) => {
                    text.push(quote);
                    rest = after;
                }
                None => break,
            }
        }
        if text.is_empty() && quote == '"' {
            return Err(wrong(start, "a name must not be empty"));
        }
        self.skip(self.rest.len() - rest.len());
        Ok(text)
    }

    fn number(&mut self) -> Token {
        let bytes = self.rest.as_bytes();
        let digits = |mut at: usize| {
            while bytes.get(at).is_some_and(|byte| byte.is_ascii_digit() || *byte == b'_') {
                at += 1;
            }
            at
        };
        let mut end = digits(0);
        if bytes.get(end) == Some(&b'.') {
            end = digits(end + 1);
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            let exponent = digits(end + 1 + sign);
            if exponent > end + 1 + sign {
                end = exponent;
            }
        }
        let text = self.rest[..end].replace('_', "");
        self.skip(end);
        Token::Number(text)
    }

    fn word(&mut self) -> Token {
        let end = self.rest.find(|next: char| !next.is_alphanumeric() && next != '_').unwrap_or(self.rest.len());
        let word = self.rest[..end].to_owned();
        self.skip(end);
        Token::Word(word)
    }
}
