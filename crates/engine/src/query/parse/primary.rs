//! What operators stand between: columns, values, lists, calls, and what is asked of them with dots and brackets.

use super::super::expr::{Expr, Kind};
use super::super::lexer::Token;
use super::cursor::Parser;
use super::operators::RANGE;
use super::types::simple_type;
use super::{Parsed, node, wrong};

/// Words that cannot be columns without quotes.
const RESERVED: &[&str] = &[
    "and", "or", "not", "is", "in", "between", "like", "ilike", "glob", "similar", "isnull", "notnull", "null", "true",
    "false", "cast", "try_cast", "escape", "asc", "desc", "nulls", "select", "from", "where", "union", "case", "when",
    "then", "else", "end", "interval", "extract", "exists", "collate",
];

impl Parser {
    pub(super) fn primary(&mut self) -> Parsed<Expr> {
        let at = self.at();
        match self.peek().clone() {
            Token::Number(number) => {
                self.advance();
                node(Kind::Number(number), at)
            }
            Token::Text(text) => {
                self.advance();
                node(Kind::Text(text), at)
            }
            Token::Name(name) => {
                self.advance();
                node(Kind::Column(vec![name]), at)
            }
            Token::Sign("(") => {
                self.advance();
                let inner = self.expression(0)?;
                self.expect(")")?;
                Ok(inner)
            }
            Token::Sign("[") => {
                self.advance();
                let items = if self.take("]") { Vec::new() } else { self.items("]")? };
                node(Kind::List(items), at)
            }
            Token::Word(word) => self.word(&word, at),
            Token::Sign(_) | Token::End => Err(self.unexpected("a column, a value or a function")),
        }
    }

    fn word(&mut self, word: &str, at: usize) -> Parsed<Expr> {
        let lower = word.to_ascii_lowercase();
        let simple = match lower.as_str() {
            "null" => Some(Kind::Null),
            "true" => Some(Kind::Boolean(true)),
            "false" => Some(Kind::Boolean(false)),
            _ => None,
        };
        if let Some(kind) = simple {
            self.advance();
            return node(kind, at);
        }
        if matches!(lower.as_str(), "cast" | "try_cast") && *self.peek_after() == Token::Sign("(") {
            self.advance();
            self.advance();
            let value = Box::new(self.expression(0)?);
            if !self.take_word("as") {
                return Err(self.unexpected("AS and a type"));
            }
            let to = self.type_name()?;
            self.expect(")")?;
            return node(Kind::Cast { value, to, or_null: lower == "try_cast" }, at);
        }
        if matches!(lower.as_str(), "select" | "case" | "exists" | "interval" | "extract" | "collate") {
            return Err(wrong(at, format!("`{word}` is not understood in a filter; see the documentation of queries")));
        }
        if RESERVED.contains(&lower.as_str()) {
            return Err(self.unexpected("a column, a value or a function"));
        }
        // DATE '2024-01-31'
        if matches!(self.peek_after(), Token::Text(_))
            && let Some(to) = simple_type(&lower)
        {
            self.advance();
            let value = Box::new(self.primary()?);
            return node(Kind::Cast { value, to, or_null: false }, at);
        }
        self.advance();
        if lower == "position" && self.take("(") {
            // `position('a' in "text")`, or with a comma.
            let part = self.expression(RANGE)?;
            if !self.take_word("in") {
                self.expect(",")?;
            }
            let text = self.expression(0)?;
            self.expect(")")?;
            return node(Kind::Call { name: "strpos".into(), arguments: vec![text, part] }, at);
        }
        if self.take("(") {
            let arguments = if self.take(")") { Vec::new() } else { self.items(")")? };
            return node(Kind::Call { name: lower, arguments }, at);
        }
        node(Kind::Column(vec![word.to_owned()]), at)
    }

    /// `.field`, `.function(…)`, `[index]`, `::type`.
    pub(super) fn postfix(&mut self, mut value: Expr) -> Parsed<Expr> {
        let at = value.at;
        loop {
            if self.take(".") {
                let (name, is_word) = match self.advance() {
                    Token::Name(name) => (name, false),
                    Token::Word(name) => (name, true),
                    _ => return Err(self.unexpected("a field or a function")),
                };
                value = if is_word && self.take("(") {
                    let mut arguments = vec![value];
                    if !self.take(")") {
                        arguments.extend(self.items(")")?);
                    }
                    node(Kind::Call { name: name.to_ascii_lowercase(), arguments }, at)?
                } else if let Kind::Column(mut path) = value.kind {
                    path.push(name);
                    node(Kind::Column(path), at)?
                } else {
                    let key = node(Kind::Text(name), at)?;
                    node(Kind::Index(Box::new([value, key])), at)?
                };
            } else if self.take("[") {
                let index = self.expression(0)?;
                self.expect("]")?;
                value = node(Kind::Index(Box::new([value, index])), at)?;
            } else if self.take("::") {
                let to = self.type_name()?;
                value = node(Kind::Cast { value: Box::new(value), to, or_null: false }, at)?;
            } else {
                return Ok(value);
            }
        }
    }

    /// Expressions up to the closing sign, at least one.
    pub(super) fn items(&mut self, close: &str) -> Parsed<Vec<Expr>> {
        let mut items = vec![self.expression(0)?];
        while self.take(",") {
            items.push(self.expression(0)?);
        }
        self.expect(close)?;
        Ok(items)
    }
}
