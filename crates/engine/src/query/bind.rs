//! Expressions → bound ones: names find their columns, types their common type, and what cannot be computed is refused.

mod columns;
mod compare;

use std::sync::Arc;

use arrow::array::{
    Array, BinaryArray, BooleanArray, Decimal128Array, Float64Array, Int64Array, ListArray, StringArray, new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::Field;
use belvedere_domain::Features;

use super::cast;
use super::expr::{Comparison, Expr, Kind as Written, Operator, TypeName};
use super::frame::Column;
use super::functions;
use super::node::{Kind, Node, internal};
use super::parse::shortened;
use super::texts;
use super::types::{HUGE, Type};
use super::wrong;
use crate::error::EngineError;

/// Binds expressions to the columns of a split.
pub(super) struct Binder<'f> {
    features: &'f Features,
    /// Every column that an expression looks at, once.
    pub(super) columns: Vec<Column>,
}

impl<'f> Binder<'f> {
    pub(super) fn new(features: &'f Features) -> Self {
        Self { features, columns: Vec::new() }
    }

    /// A condition: its value is true, false or null.
    ///
    /// # Errors
    /// [`Query`](crate::ErrorKind::Query) naming the place, the column and the types.
    pub(super) fn condition(&mut self, expr: &Expr) -> Result<Node, EngineError> {
        let node = self.value(expr)?;
        self.truth(node)
    }

    /// Any value.
    pub(super) fn value(&mut self, expr: &Expr) -> Result<Node, EngineError> {
        let at = expr.at;
        let node = match &expr.kind {
            Written::Null => Node::constant(new_null_array(&Type::Null.arrow(), 1), Type::Null, false, at),
            Written::Boolean(value) => {
                Node::constant(Arc::new(BooleanArray::from(vec![*value])), Type::Boolean, false, at)
            }
            Written::Number(digits) => number(digits, at)?,
            Written::Text(text) => {
                Node::constant(Arc::new(StringArray::from(vec![text.as_str()])), Type::Text, true, at)
            }
            Written::Column(path) => self.column(path, at)?,
            Written::List(items) => self.list(items, at)?,
            Written::Not(inner) => {
                let inner = self.condition(inner)?;
                Node { kind: Kind::Not(Box::new(inner)), of: Type::Boolean, at }
            }
            Written::Negate(inner) => {
                let zero = number("0", at)?;
                let inner = self.value(inner)?;
                self.arithmetic(Operator::Subtract, zero, inner, at)?
            }
            Written::And(parts) => {
                let parts = parts.iter().map(|part| self.condition(part)).collect::<Result<_, _>>()?;
                Node { kind: Kind::And(parts), of: Type::Boolean, at }
            }
            Written::Or(parts) => {
                let parts = parts.iter().map(|part| self.condition(part)).collect::<Result<_, _>>()?;
                Node { kind: Kind::Or(parts), of: Type::Boolean, at }
            }
            Written::Compare(comparison, pair) => {
                let (left, right) = (self.value(&pair[0])?, self.value(&pair[1])?);
                self.compare(*comparison, left, right, at)?
            }
            Written::Arithmetic(operator, pair) => {
                let (left, right) = (self.value(&pair[0])?, self.value(&pair[1])?);
                self.arithmetic(*operator, left, right, at)?
            }
            Written::IsNull(inner, negated) => {
                let inner = self.value(inner)?;
                Node { kind: Kind::IsNull(Box::new(inner), *negated), of: Type::Boolean, at }
            }
            Written::IsTruth { value, truth, negated } => {
                let value = self.condition(value)?;
                let truth = Node::constant(Arc::new(BooleanArray::from(vec![*truth])), Type::Boolean, false, at);
                let comparison = if *negated { Comparison::Distinct } else { Comparison::NotDistinct };
                Node { kind: Kind::Compare(comparison, Box::new([value, truth])), of: Type::Boolean, at }
            }
            Written::In { value, items, negated } => self.is_in(value, items, *negated, at)?,
            Written::Between { parts, negated } => {
                let [value, low, high] = &**parts;
                let (first, low) = (self.value(value)?, self.value(low)?);
                let (second, high) = (self.value(value)?, self.value(high)?);
                let low = self.compare(Comparison::GreaterOrEqual, first, low, at)?;
                let high = self.compare(Comparison::LessOrEqual, second, high, at)?;
                let both = Node { kind: Kind::And(vec![low, high]), of: Type::Boolean, at };
                if *negated { Node { kind: Kind::Not(Box::new(both)), of: Type::Boolean, at } } else { both }
            }
            Written::Match { pattern, parts, escape, negated } => {
                let (value, wanted) = (self.value(&parts[0])?, self.value(&parts[1])?);
                self.matches(*pattern, value, wanted, *escape, *negated, at)?
            }
            Written::Cast { value, to, or_null } => {
                let value = self.value(value)?;
                self.cast_to(value, *to, *or_null, at)?
            }
            Written::Call { name, arguments } => {
                let arguments = arguments.iter().map(|argument| self.value(argument)).collect::<Result<_, _>>()?;
                functions::bind(self, name, arguments, at)?
            }
            Written::Index(pair) => {
                let (value, index) = (self.value(&pair[0])?, self.value(&pair[1])?);
                functions::index(self, value, index, at)?
            }
        };
        node.folded()
    }

    /// A value as a condition.
    fn truth(&self, node: Node) -> Result<Node, EngineError> {
        if node.of == Type::Boolean {
            return Ok(node);
        }
        let is_condition = node.of == Type::Null || node.of.is_number() || node.as_literal().is_some();
        if !is_condition {
            let at = node.at;
            let message =
                format!("{} is neither true nor false; compare it with something", node.describe(&self.columns));
            return Err(wrong(at, message));
        }
        self.coerce(node, &Type::Boolean)
    }

    /// A value of another type.
    ///
    /// # Errors
    /// [`Query`](crate::ErrorKind::Query) when there is no way, or a constant does not fit.
    pub(super) fn coerce(&self, node: Node, to: &Type) -> Result<Node, EngineError> {
        if node.of == *to {
            return Ok(node);
        }
        let at = node.at;
        if let (Some(text), Type::Bytes) = (node.as_literal(), to) {
            return Ok(Node::constant(Arc::new(BinaryArray::from(vec![text.as_bytes()])), Type::Bytes, false, at));
        }
        if !cast::is_known(&node.of, to) {
            let message = format!("{} cannot be read as {to}", node.describe(&self.columns));
            return Err(wrong(at, message));
        }
        if let Some(value) = node.as_constant() {
            let value = cast::cast(value, &node.of, to, false).map_err(|error| wrong(at, error.message))?;
            return Ok(Node::constant(value, to.clone(), false, at));
        }
        // What a JSON value is differs from row to row: one of another type is like none.
        let or_null = node.of == Type::Json;
        Ok(Node { kind: Kind::Cast { value: Box::new(node), or_null }, of: to.clone(), at })
    }

    fn list(&mut self, items: &[Expr], at: usize) -> Result<Node, EngineError> {
        let items = items.iter().map(|item| self.value(item)).collect::<Result<Vec<_>, _>>()?;
        let mut of = Type::Null;
        for item in &items {
            if item.as_constant().is_none() {
                return Err(wrong(item.at, "a list in brackets can hold constants only"));
            }
            of = Type::common(&of, &item.of)
                .ok_or_else(|| wrong(item.at, format!("a list cannot hold both {of} and {}", item.of)))?;
        }
        let items = items.into_iter().map(|item| self.coerce(item, &of)).collect::<Result<Vec<_>, _>>()?;
        let values: Vec<&dyn Array> = items.iter().filter_map(Node::as_constant).map(|value| &**value).collect();
        let values = if values.is_empty() {
            new_null_array(&of.arrow(), 0)
        } else {
            arrow::compute::concat(&values).map_err(internal)?
        };
        let field = Arc::new(Field::new_list_field(of.arrow(), true));
        let list = ListArray::new(field, OffsetBuffer::from_lengths([values.len()]), values, None);
        Ok(Node::constant(Arc::new(list), Type::List(Box::new(of)), false, at))
    }

    fn cast_to(&self, value: Node, to: TypeName, or_null: bool, at: usize) -> Result<Node, EngineError> {
        let of = match to {
            TypeName::Boolean => Type::Boolean,
            TypeName::Integer { min, max } if min >= i128::from(i64::MIN) && max <= i128::from(i64::MAX) => {
                Type::Integer
            }
            TypeName::Integer { .. } => HUGE,
            TypeName::Float => Type::Float,
            TypeName::Double => Type::Double,
            TypeName::Decimal { precision, scale } => Type::Decimal { precision, scale },
            TypeName::Text => Type::Text,
            TypeName::Date => Type::Date,
            TypeName::Time => Type::Time,
            TypeName::Timestamp => Type::Timestamp,
            TypeName::Zoned => Type::Zoned,
            TypeName::Duration => Type::Duration,
            TypeName::Json => Type::Json,
        };
        if !cast::is_known(&value.of, &of) {
            return Err(wrong(at, format!("{} cannot be cast to {of}", value.describe(&self.columns))));
        }
        let node = match value.of == of {
            true => value,
            false => Node { kind: Kind::Cast { value: Box::new(value), or_null }, of, at }.folded()?,
        };
        match to {
            TypeName::Integer { min, max } => functions::within(node, min, max, or_null, at),
            _ => Ok(node),
        }
    }

    fn arithmetic(&self, operator: Operator, left: Node, right: Node, at: usize) -> Result<Node, EngineError> {
        functions::arithmetic(self, operator, left, right, at)
    }
}

/// A number as it is written: an integer, a decimal of its digits, or with an exponent a floating-point number.
fn number(digits: &str, at: usize) -> Result<Node, EngineError> {
    let has_exponent = digits.contains(['e', 'E']);
    let count = digits.bytes().filter(u8::is_ascii_digit).count();
    if let (false, Ok(value)) = (has_exponent, digits.parse::<i64>()) {
        return Ok(Node::constant(Arc::new(Int64Array::from(vec![value])), Type::Integer, false, at));
    }
    let scale = digits.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    if !has_exponent
        && count <= 38
        && let (Ok(scale), Ok(precision)) = (i8::try_from(scale), u8::try_from(count))
        && let Some(units) = texts::decimal(digits, scale)
    {
        let precision = if scale == 0 { 38 } else { precision };
        let array = Decimal128Array::from(vec![units]).with_precision_and_scale(precision, scale).map_err(internal)?;
        return Ok(Node::constant(Arc::new(array), Type::Decimal { precision, scale }, false, at));
    }
    let value: f64 = digits.parse().map_err(|_| wrong(at, format!("`{}` is no number", shortened(digits))))?;
    Ok(Node::constant(Type::Double.canonical(Arc::new(Float64Array::from(vec![value]))), Type::Double, false, at))
}
