//! Operators, in front of operands and between them.

use super::super::expr::{Comparison, Expr, Kind, MAX_DEPTH, Operator, Pattern};
use super::super::lexer::Token;
use super::cursor::Parser;
use super::{Parsed, node, wrong};

// Strengths of operators, the weakest first.
const OR: u8 = 1;
const AND: u8 = 2;
const NOT: u8 = 3;
const IS: u8 = 4;
const COMPARISON: u8 = 5;
pub(super) const RANGE: u8 = 6;
const OTHER: u8 = 7;
const SUM: u8 = 8;
const PRODUCT: u8 = 9;
const POWER: u8 = 10;
const SIGN: u8 = 11;

impl Parser {
    /// An expression of operators stronger than `strength`.
    pub(super) fn expression(&mut self, strength: u8) -> Parsed<Expr> {
        self.depth += 1;
        // Twice the levels of a tree: brackets take levels here but make none.
        if self.depth > 2 * MAX_DEPTH {
            return Err(wrong(self.at(), "brackets are nested too deeply; simplify the expression"));
        }
        let mut left = self.prefix()?;
        loop {
            let next = self.infix_strength();
            if next <= strength {
                break;
            }
            left = self.infix(left, next)?;
            if next == COMPARISON && self.infix_strength() == COMPARISON {
                return Err(wrong(self.at(), "comparisons cannot be chained; join them with AND"));
            }
        }
        self.depth -= 1;
        Ok(left)
    }

    /// Strength of the operator that comes next; 0 for none.
    fn infix_strength(&self) -> u8 {
        match self.peek() {
            Token::Sign(sign) => match *sign {
                "=" | "==" | "<>" | "!=" | "<" | "<=" | ">" | ">=" => COMPARISON,
                "~" | "!~" | "~~" | "!~~" | "~~*" | "!~~*" | "~~~" | "||" | "^@" | "->" | "->>" => OTHER,
                "+" | "-" => SUM,
                "*" | "/" | "//" | "%" => PRODUCT,
                "^" | "**" => POWER,
                _ => 0,
            },
            Token::Word(word) => match word.to_ascii_lowercase().as_str() {
                "or" => OR,
                "and" => AND,
                "is" | "isnull" | "notnull" => IS,
                "in" | "between" | "like" | "ilike" | "glob" | "similar" => RANGE,
                "not" => match self.peek_after() {
                    Token::Word(after)
                        if ["in", "between", "like", "ilike", "glob", "similar"]
                            .iter()
                            .any(|word| after.eq_ignore_ascii_case(word)) =>
                    {
                        RANGE
                    }
                    _ => 0,
                },
                _ => 0,
            },
            _ => 0,
        }
    }

    fn infix(&mut self, left: Expr, strength: u8) -> Parsed<Expr> {
        let at = left.at;
        let token = self.advance();
        match strength {
            OR | AND => {
                let mut parts = vec![left, self.expression(strength)?];
                while self.infix_strength() == strength {
                    self.advance();
                    parts.push(self.expression(strength)?);
                }
                node(if strength == OR { Kind::Or(parts) } else { Kind::And(parts) }, at)
            }
            IS => self.is(left, &token),
            RANGE => self.range(left, token),
            _ => {
                let Token::Sign(sign) = token else { return Err(wrong(at, "an operator was expected")) };
                let right = self.expression(strength)?;
                Self::operation(sign, left, right)
            }
        }
    }

    fn operation(sign: &str, left: Expr, right: Expr) -> Parsed<Expr> {
        let at = left.at;
        let pattern = |pattern, negated, left, right| Kind::Match {
            pattern,
            parts: Box::new([left, right]),
            escape: None,
            negated,
        };
        let compare = |comparison, left, right| Kind::Compare(comparison, Box::new([left, right]));
        let arithmetic = |operator, left, right| Kind::Arithmetic(operator, Box::new([left, right]));
        let call = |name: &str, left, right| Kind::Call { name: name.to_owned(), arguments: vec![left, right] };
        let kind = match sign {
            "=" | "==" => compare(Comparison::Equal, left, right),
            "<>" | "!=" => compare(Comparison::NotEqual, left, right),
            "<" => compare(Comparison::Less, left, right),
            "<=" => compare(Comparison::LessOrEqual, left, right),
            ">" => compare(Comparison::Greater, left, right),
            ">=" => compare(Comparison::GreaterOrEqual, left, right),
            "~" => pattern(Pattern::Regex, false, left, right),
            "!~" => pattern(Pattern::Regex, true, left, right),
            "~~" => pattern(Pattern::Like, false, left, right),
            "!~~" => pattern(Pattern::Like, true, left, right),
            "~~*" => pattern(Pattern::ILike, false, left, right),
            "!~~*" => pattern(Pattern::ILike, true, left, right),
            "~~~" => pattern(Pattern::Glob, false, left, right),
            "^@" => call("starts_with", left, right),
            "->" => call("json_extract", left, right),
            "->>" => call("json_extract_string", left, right),
            "+" => arithmetic(Operator::Add, left, right),
            "-" => arithmetic(Operator::Subtract, left, right),
            "*" => arithmetic(Operator::Multiply, left, right),
            "/" => arithmetic(Operator::Divide, left, right),
            "//" => arithmetic(Operator::DivideWhole, left, right),
            "%" => arithmetic(Operator::Remainder, left, right),
            "^" | "**" => arithmetic(Operator::Power, left, right),
            _ => arithmetic(Operator::Concatenate, left, right),
        };
        node(kind, at)
    }

    fn is(&mut self, left: Expr, token: &Token) -> Parsed<Expr> {
        let at = left.at;
        if let Token::Word(word) = token
            && !word.eq_ignore_ascii_case("is")
        {
            return node(Kind::IsNull(Box::new(left), word.eq_ignore_ascii_case("notnull")), at);
        }
        let negated = self.take_word("not");
        let value = Box::new(left);
        let kind = if self.take_word("null") || self.take_word("unknown") {
            Kind::IsNull(value, negated)
        } else if self.take_word("true") {
            Kind::IsTruth { value, truth: true, negated }
        } else if self.take_word("false") {
            Kind::IsTruth { value, truth: false, negated }
        } else if self.take_word("distinct") {
            if !self.take_word("from") {
                return Err(self.unexpected("FROM"));
            }
            let right = self.expression(IS)?;
            let comparison = if negated { Comparison::NotDistinct } else { Comparison::Distinct };
            Kind::Compare(comparison, Box::new([*value, right]))
        } else {
            return Err(self.unexpected("NULL, TRUE, FALSE or DISTINCT FROM"));
        };
        node(kind, at)
    }

    fn range(&mut self, left: Expr, mut token: Token) -> Parsed<Expr> {
        let at = left.at;
        let mut negated = false;
        if matches!(&token, Token::Word(word) if word.eq_ignore_ascii_case("not")) {
            negated = true;
            token = self.advance();
        }
        let Token::Word(word) = token else { return Err(wrong(at, "an operator was expected")) };
        let pattern = match word.to_ascii_lowercase().as_str() {
            "in" => {
                let Some(close) = [("(", ")"), ("[", "]")].into_iter().find(|(open, _)| self.take(open)) else {
                    // `2 IN "list"`
                    let list = self.expression(RANGE)?;
                    let contains = Kind::Call { name: "list_contains".into(), arguments: vec![list, left] };
                    let contains = node(contains, at)?;
                    return if negated { node(Kind::Not(Box::new(contains)), at) } else { Ok(contains) };
                };
                let items = self.items(close.1)?;
                return node(Kind::In { value: Box::new(left), items, negated }, at);
            }
            "between" => {
                let low = self.expression(RANGE)?;
                if !self.take_word("and") {
                    return Err(self.unexpected("AND and the upper bound"));
                }
                let parts = Box::new([left, low, self.expression(RANGE)?]);
                return node(Kind::Between { parts, negated }, at);
            }
            "like" => Pattern::Like,
            "ilike" => Pattern::ILike,
            "glob" => Pattern::Glob,
            _ if self.take_word("to") => Pattern::Regex,
            _ => return Err(self.unexpected("TO")),
        };
        let right = self.expression(RANGE)?;
        let mut escape = None;
        if matches!(pattern, Pattern::Like | Pattern::ILike) && self.take_word("escape") {
            let Token::Text(text) = self.peek().clone() else { return Err(self.unexpected("one character in quotes")) };
            let mut characters = text.chars();
            escape = characters.next();
            if characters.next().is_some() {
                return Err(self.unexpected("one character in quotes"));
            }
            self.advance();
        }
        node(Kind::Match { pattern, parts: Box::new([left, right]), escape, negated }, at)
    }

    fn prefix(&mut self) -> Parsed<Expr> {
        let at = self.at();
        if self.take_word("not") {
            return node(Kind::Not(Box::new(self.expression(NOT)?)), at);
        }
        if self.take("-") {
            let inner = self.expression(SIGN)?;
            return match inner.kind {
                Kind::Number(number) if !number.starts_with('-') => node(Kind::Number(format!("-{number}")), at),
                kind => node(Kind::Negate(Box::new(node(kind, inner.at)?)), at),
            };
        }
        if self.take("+") {
            return self.expression(SIGN);
        }
        let value = self.primary()?;
        self.postfix(value)
    }
}
