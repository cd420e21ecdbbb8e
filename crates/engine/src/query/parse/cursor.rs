//! The tokens of an expression, and how far they are read.

use super::super::lexer::{Token, tokens};
use super::{Parsed, shortened, wrong};
use crate::error::EngineError;

/// Longest expression, in bytes.
const MAX_BYTES: usize = 256 << 10;

/// Reads tokens from left to right.
pub(super) struct Parser {
    tokens: Vec<(Token, usize)>,
    next: usize,
    /// Levels of the expression that is being read.
    pub(super) depth: usize,
}

impl Parser {
    pub(super) fn new(text: &str) -> Parsed<Self> {
        if text.len() > MAX_BYTES {
            return Err(wrong(1, format!("the expression is longer than {MAX_BYTES} bytes")));
        }
        Ok(Self { tokens: tokens(text)?, next: 0, depth: 0 })
    }

    pub(super) fn peek(&self) -> &Token {
        &self.tokens[self.next].0
    }

    pub(super) fn peek_after(&self) -> &Token {
        &self.tokens[(self.next + 1).min(self.tokens.len() - 1)].0
    }

    pub(super) fn at(&self) -> usize {
        self.tokens[self.next].1
    }

    pub(super) fn advance(&mut self) -> Token {
        let token = self.peek().clone();
        // The last token is the end, and stays.
        self.next = (self.next + 1).min(self.tokens.len() - 1);
        token
    }

    pub(super) fn take(&mut self, sign: &str) -> bool {
        let is_there = matches!(self.peek(), Token::Sign(found) if *found == sign);
        if is_there {
            self.advance();
        }
        is_there
    }

    pub(super) fn expect(&mut self, sign: &str) -> Parsed<()> {
        if self.take(sign) { Ok(()) } else { Err(self.unexpected(&format!("`{sign}`"))) }
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Word(found) if found.eq_ignore_ascii_case(word))
    }

    pub(super) fn take_word(&mut self, word: &str) -> bool {
        let is_there = self.is_word(word);
        if is_there {
            self.advance();
        }
        is_there
    }

    pub(super) fn expect_end(&self) -> Parsed<()> {
        if *self.peek() == Token::End { Ok(()) } else { Err(self.unexpected("an operator or the end")) }
    }

    pub(super) fn unexpected(&self, wanted: &str) -> Box<EngineError> {
        let found = match self.peek() {
            Token::End => "the end".to_owned(),
            Token::Word(word) => format!("`{word}`"),
            Token::Name(name) => format!("\"{name}\""),
            Token::Number(number) => format!("`{number}`"),
            Token::Text(text) => format!("'{}'", shortened(text)),
            Token::Sign(sign) => format!("`{sign}`"),
        };
        wrong(self.at(), format!("expected {wanted}, found {found}"))
    }
}
