//! Filters and orders: a text becomes an expression, bound to the columns of a split, computed a table at a time.
//!
//! 1. [`Query::parse`] reads the text (`lexer`, `parse`, `expr`); `reference` knows which texts the reference
//!    implementation accepts.
//! 2. [`Query::bind`] finds columns and types (`bind`, `types`, `cast`, `functions`).
//! 3. [`Bound::select`] tells which rows match (`prune`, `select`); [`Bound::first`] also their order (`top`).
//!
//! Semantics are DuckDB's: null is unknown, NaN is the greatest number, texts are compared by their bytes. User text
//! never becomes a query of another language.

mod bind;
mod cast;
mod expr;
mod frame;
mod functions;
mod lexer;
mod node;
mod parse;
mod pattern;
mod prune;
mod ranges;
mod reference;
pub(crate) mod select;
mod suggest;
mod texts;
mod top;
mod types;

use belvedere_domain::Features;

use crate::error::{EngineError, ErrorKind};

pub(crate) use expr::{Expr, OrderKey};
pub(crate) use select::Bound;

/// A mistake in a text, at a character counted from 1.
fn wrong(at: usize, message: impl std::fmt::Display) -> EngineError {
    EngineError::new(ErrorKind::Query, format!("character {at}: {message}"))
}

/// What is asked of a split: which rows, and in which order.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Query {
    condition: Option<Expr>,
    order: Vec<OrderKey>,
}

impl Query {
    /// Reads a filter and an order. With `as_reference`, only what the reference implementation accepts.
    ///
    /// # Errors
    /// [`Query`](ErrorKind::Query) naming the parameter and the character.
    pub(crate) fn parse(condition: Option<&str>, order: Option<&str>, as_reference: bool) -> Result<Self, EngineError> {
        let refused = |name: &str| {
            let message = format!("{name} contains errors or invalid symbols");
            EngineError::new(ErrorKind::Query, message)
        };
        if let Some(text) = condition.filter(|text| as_reference && !reference::is_condition(text)) {
            tracing::debug!(text, "a filter that the reference refuses");
            return Err(refused("where"));
        }
        if let Some(text) = order.filter(|text| as_reference && !reference::is_order(text)) {
            tracing::debug!(text, "an order that the reference refuses");
            return Err(refused("orderby"));
        }
        let condition = condition.map(parse::condition).transpose().map_err(|error| in_parameter("where", error))?;
        let order = order.map(parse::order).transpose().map_err(|error| in_parameter("orderby", error))?;
        Ok(Self { condition, order: order.unwrap_or_default() })
    }

    /// Finds the columns.
    ///
    /// # Errors
    /// [`Query`](ErrorKind::Query) naming the parameter, the character, the column and the types.
    pub(crate) fn bind(&self, features: &Features) -> Result<Bound, EngineError> {
        Bound::new(self.condition.as_ref(), &self.order, features)
    }
}

/// `where, character 5: …`
fn in_parameter(name: &str, error: EngineError) -> EngineError {
    match error.kind {
        ErrorKind::Query if !error.message.starts_with("where") && !error.message.starts_with("orderby") => {
            EngineError { message: format!("{name}, {}", error.message), ..error }
        }
        _ => error,
    }
}
