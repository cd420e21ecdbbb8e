//! Tokens → expressions: operators by their strength, as DuckDB and PostgreSQL rank them.

use super::expr::{Comparison, Expr, Kind, MAX_DEPTH, Operator, OrderKey, Pattern, TypeName};
use super::lexer::{Token, tokens};
use crate::error::EngineError;

/// What a step of reading gives. Errors are boxed: each level of an expression holds several such results on the stack.
type Parsed<T> = Result<T, Box<EngineError>>;

/// Longest expression, in bytes.
const MAX_BYTES: usize = 256 << 10;
/// Keys of an order, each of which is computed and kept for every row of a page.
const MAX_ORDER_KEYS: usize = 16;

// Strengths of operators, the weakest first.
const OR: u8 = 1;
const AND: u8 = 2;
const NOT: u8 = 3;
const IS: u8 = 4;
const COMPARISON: u8 = 5;
const RANGE: u8 = 6;
const OTHER: u8 = 7;
const SUM: u8 = 8;
const PRODUCT: u8 = 9;
const POWER: u8 = 10;
const SIGN: u8 = 11;

/// Words that cannot be columns without quotes.
const RESERVED: &[&str] = &[
    "and", "or", "not", "is", "in", "between", "like", "ilike", "glob", "similar", "isnull", "notnull", "null", "true",
    "false", "cast", "try_cast", "escape", "asc", "desc", "nulls", "select", "from", "where", "union", "case", "when",
    "then", "else", "end", "interval", "extract", "exists", "collate",
];

/// Reads a condition.
///
/// # Errors
/// [`Query`](crate::ErrorKind::Query) with the character where it cannot be read on.
pub(crate) fn condition(text: &str) -> Result<Expr, EngineError> {
    read_condition(text).map_err(|error| *error)
}

fn read_condition(text: &str) -> Parsed<Expr> {
    let mut parser = Parser::new(text)?;
    let expr = parser.expression(0)?;
    parser.expect_end()?;
    Ok(expr)
}

/// Reads the keys of an order: `"a" DESC NULLS LAST, "b"`. Nulls come last unless told otherwise.
///
/// # Errors
/// As [`condition`].
pub(crate) fn order(text: &str) -> Result<Vec<OrderKey>, EngineError> {
    read_order(text).map_err(|error| *error)
}

fn read_order(text: &str) -> Parsed<Vec<OrderKey>> {
    let mut parser = Parser::new(text)?;
    let mut keys = Vec::new();
    loop {
        let (value, at) = (parser.expression(0)?, parser.at());
        if matches!(value.kind, Kind::Number(_) | Kind::Text(_) | Kind::Null | Kind::Boolean(_)) {
            return Err(wrong(value.at, "the same for every row gives no order; name a column"));
        }
        let descending = parser.take_word("desc");
        if !descending {
            parser.take_word("asc");
        }
        let nulls_first = match parser.take_word("nulls") {
            false => false,
            true if parser.take_word("first") => true,
            true if parser.take_word("last") => false,
            true => return Err(parser.unexpected("FIRST or LAST")),
        };
        keys.push(OrderKey { value, descending, nulls_first });
        if keys.len() > MAX_ORDER_KEYS {
            return Err(wrong(at, format!("more than {MAX_ORDER_KEYS} keys of order")));
        }
        if !parser.take(",") {
            parser.expect_end()?;
            return Ok(keys);
        }
    }
}

struct Parser {
    tokens: Vec<(Token, usize)>,
    next: usize,
    depth: usize,
}

impl Parser {
    fn new(text: &str) -> Parsed<Self> {
        if text.len() > MAX_BYTES {
            return Err(wrong(1, format!("the expression is longer than {MAX_BYTES} bytes")));
        }
        Ok(Self { tokens: tokens(text)?, next: 0, depth: 0 })
    }

    fn peek(&self) -> &Token {
        &self.tokens[self.next].0
    }

    fn peek_after(&self) -> &Token {
        &self.tokens[(self.next + 1).min(self.tokens.len() - 1)].0
    }

    fn at(&self) -> usize {
        self.tokens[self.next].1
    }

    fn advance(&mut self) -> Token {
        let token = self.peek().clone();
        // The last token is the end, and stays.
        self.next = (self.next + 1).min(self.tokens.len() - 1);
        token
    }

    fn take(&mut self, sign: &str) -> bool {
        let is_there = matches!(self.peek(), Token::Sign(found) if *found == sign);
        if is_there {
            self.advance();
        }
        is_there
    }

    fn expect(&mut self, sign: &str) -> Parsed<()> {
        if self.take(sign) { Ok(()) } else { Err(self.unexpected(&format!("`{sign}`"))) }
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Word(found) if found.eq_ignore_ascii_case(word))
    }

    fn take_word(&mut self, word: &str) -> bool {
        let is_there = self.is_word(word);
        if is_there {
            self.advance();
        }
        is_there
    }

    fn expect_end(&self) -> Parsed<()> {
        if *self.peek() == Token::End { Ok(()) } else { Err(self.unexpected("an operator or the end")) }
    }

    fn unexpected(&self, wanted: &str) -> Box<EngineError> {
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

    /// An expression of operators stronger than `strength`.
    fn expression(&mut self, strength: u8) -> Parsed<Expr> {
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

    /// Expressions up to the closing sign, at least one.
    fn items(&mut self, close: &str) -> Parsed<Vec<Expr>> {
        let mut items = vec![self.expression(0)?];
        while self.take(",") {
            items.push(self.expression(0)?);
        }
        self.expect(close)?;
        Ok(items)
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

    fn primary(&mut self) -> Parsed<Expr> {
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
    fn postfix(&mut self, mut value: Expr) -> Parsed<Expr> {
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

    fn type_name(&mut self) -> Parsed<TypeName> {
        let at = self.at();
        let (Token::Word(word) | Token::Name(word)) = self.advance() else {
            return Err(wrong(at, "expected a type such as INTEGER, DOUBLE, VARCHAR, DATE or TIMESTAMP"));
        };
        let lower = word.to_ascii_lowercase();
        let unknown = || {
            let known = "BOOLEAN, INTEGER, BIGINT, FLOAT, DOUBLE, DECIMAL(p, s), VARCHAR, DATE, TIME, TIMESTAMP";
            wrong(at, format!("the type `{}` is not known; types are {known}", shortened(&word)))
        };
        match lower.as_str() {
            "decimal" | "numeric" => {
                let (mut precision, mut scale) = (18, 3);
                if self.take("(") {
                    precision = self.small_number()?;
                    scale = if self.take(",") { self.small_number()? } else { 0 };
                    self.expect(")")?;
                }
                match (u8::try_from(precision), i8::try_from(scale)) {
                    (Ok(precision @ 1..=38), Ok(scale)) if i16::from(scale) <= i16::from(precision) => {
                        Ok(TypeName::Decimal { precision, scale })
                    }
                    _ => Err(wrong(at, "a DECIMAL has 1 to 38 digits, and not more of them after the point")),
                }
            }
            "timestamp" | "time" if self.take_word("with") => {
                if self.take_word("time") && self.take_word("zone") && lower == "timestamp" {
                    return Ok(TypeName::Zoned);
                }
                Err(unknown())
            }
            "double" => {
                self.take_word("precision");
                Ok(TypeName::Double)
            }
            "varchar" | "char" if self.take("(") => {
                self.small_number()?;
                self.expect(")")?;
                Ok(TypeName::Text)
            }
            _ => simple_type(&lower).ok_or_else(unknown),
        }
    }

    fn small_number(&mut self) -> Parsed<u32> {
        match self.peek().clone() {
            Token::Number(number) if number.parse::<u32>().is_ok() => {
                self.advance();
                Ok(number.parse().unwrap_or_default())
            }
            _ => Err(self.unexpected("a number")),
        }
    }
}

fn wrong(at: usize, message: impl std::fmt::Display) -> Box<EngineError> {
    Box::new(super::wrong(at, message))
}

fn node(kind: Kind, at: usize) -> Parsed<Expr> {
    Expr::new(kind, at).map_err(Box::new)
}

fn simple_type(lower: &str) -> Option<TypeName> {
    let integer = |bits: u32, signed: bool| match signed {
        true => TypeName::Integer { min: -(1_i128 << (bits - 1)), max: (1_i128 << (bits - 1)) - 1 },
        false => TypeName::Integer { min: 0, max: (1_i128 << bits) - 1 },
    };
    Some(match lower {
        "boolean" | "bool" | "logical" => TypeName::Boolean,
        "tinyint" | "int1" => integer(8, true),
        "smallint" | "int2" | "short" => integer(16, true),
        "integer" | "int" | "int4" | "signed" => integer(32, true),
        "bigint" | "int8" | "long" => integer(64, true),
        "utinyint" => integer(8, false),
        "usmallint" => integer(16, false),
        "uinteger" => integer(32, false),
        "ubigint" => integer(64, false),
        "hugeint" => TypeName::Integer { min: -(10_i128.pow(38) - 1), max: 10_i128.pow(38) - 1 },
        "float" | "real" | "float4" => TypeName::Float,
        "double" | "float8" => TypeName::Double,
        "decimal" | "numeric" => TypeName::Decimal { precision: 18, scale: 3 },
        "varchar" | "text" | "string" | "char" | "bpchar" => TypeName::Text,
        "date" => TypeName::Date,
        "time" => TypeName::Time,
        "timestamp" | "datetime" | "timestamp_us" | "timestamp_ms" | "timestamp_s" => TypeName::Timestamp,
        "timestamptz" => TypeName::Zoned,
        "interval" => TypeName::Duration,
        "json" => TypeName::Json,
        _ => return None,
    })
}

/// What fits in a message.
pub(super) fn shortened(text: &str) -> String {
    const LENGTH: usize = 40;
    if text.chars().count() <= LENGTH {
        return text.to_owned();
    }
    text.chars().take(LENGTH).chain(['…']).collect()
}
