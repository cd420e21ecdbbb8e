//! Tokens → expressions: operators by their strength, as DuckDB and PostgreSQL rank them.

mod cursor;
mod operators;
mod primary;
mod types;

use super::expr::{Expr, Kind, OrderKey};
use crate::error::EngineError;
use cursor::Parser;

/// What a step of reading gives. Errors are boxed: each level of an expression holds several such results on the stack.
type Parsed<T> = Result<T, Box<EngineError>>;

/// Keys of an order, each of which is computed and kept for every row of a page.
const MAX_ORDER_KEYS: usize = 16;

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

fn wrong(at: usize, message: impl std::fmt::Display) -> Box<EngineError> {
    Box::new(super::wrong(at, message))
}

fn node(kind: Kind, at: usize) -> Parsed<Expr> {
    Expr::new(kind, at).map_err(Box::new)
}

/// What fits in a message.
pub(super) fn shortened(text: &str) -> String {
    const LENGTH: usize = 40;
    if text.chars().count() <= LENGTH {
        return text.to_owned();
    }
    text.chars().take(LENGTH).chain(['…']).collect()
}
