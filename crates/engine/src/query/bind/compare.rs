//! Comparisons: both sides become values of one type, as DuckDB would choose it.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, new_null_array};

use super::super::expr::{Comparison, Expr, Pattern};
use super::super::node::{Kind, Node, Set, Value, internal};
use super::super::parse::shortened;
use super::super::pattern::Matcher;
use super::super::suggest::{listed, nearest};
use super::super::types::Type;
use super::super::wrong;
use super::Binder;
use crate::error::EngineError;

enum Side {
    Left(Node),
    Right(Node),
}

impl Binder<'_> {
    /// A comparison, both sides cast to what holds them.
    pub(in crate::query) fn compare(
        &self,
        comparison: Comparison,
        left: Node,
        right: Node,
        at: usize,
    ) -> Result<Node, EngineError> {
        let (left, right) = self.alike(left, right, comparison.is_ordering(), at)?;
        // Constants stand on the right, where pruning looks for them.
        let (comparison, pair) = match left.as_constant().is_some() {
            true => (comparison.flipped(), [right, left]),
            false => (comparison, [left, right]),
        };
        Node { kind: Kind::Compare(comparison, Box::new(pair)), of: Type::Boolean, at }.folded()
    }

    /// Two values as values of one type.
    pub(in crate::query) fn alike(
        &self,
        left: Node,
        right: Node,
        is_ordering: bool,
        at: usize,
    ) -> Result<(Node, Node), EngineError> {
        let refused = |left: &Node, right: &Node, hint: &str| {
            let (left, right) = (left.describe(&self.columns), right.describe(&self.columns));
            wrong(at, format!("{left} cannot be compared with {right}{hint}"))
        };
        if let Some(pair) = self.labels(&left, &right)? {
            return Ok(match pair {
                Side::Left(number) => (number, right),
                Side::Right(number) => (left, number),
            });
        }
        if left.of.is_nested() || right.of.is_nested() {
            let hint =
                "; compare an item \"list\"[1] or a field \"struct\".\"field\", or ask list_contains(\"list\", value)";
            return Err(refused(&left, &right, hint));
        }
        // A literal takes the type of the other side.
        if left.as_literal().is_some() != right.as_literal().is_some() {
            let (literal, other, is_left) =
                if left.as_literal().is_some() { (left, right, true) } else { (right, left, false) };
            let of = if other.of == Type::Json || other.of == Type::Null { Type::Text } else { other.of.clone() };
            let literal = self.coerce(literal, &of).map_err(|error| {
                let name = other.describe(&self.columns);
                EngineError { message: format!("{}; it is compared with {name}", error.message), ..error }
            })?;
            let other = self.coerce(other, &of)?;
            return Ok(if is_left { (literal, other) } else { (other, literal) });
        }
        let of = match (&left.of, &right.of) {
            (Type::Json, Type::Null | Type::Text | Type::Json) | (Type::Null | Type::Text, Type::Json) => Type::Text,
            (Type::Json, Type::Boolean) | (Type::Boolean, Type::Json) => Type::Boolean,
            (Type::Json, other) | (other, Type::Json) if other.is_number() => Type::Double,
            (Type::Json, other) | (other, Type::Json) => other.clone(),
            (Type::Text, other) | (other, Type::Text) if *other != Type::Text && *other != Type::Null => {
                if is_ordering {
                    let hint =
                        format!("; put the value in single quotes to compare texts, or cast: \"column\"::{other}");
                    return Err(refused(&left, &right, &hint));
                }
                other.clone()
            }
            (left_type, right_type) => Type::common(left_type, right_type).ok_or_else(|| refused(&left, &right, ""))?,
        };
        let of = if of == Type::Null { Type::Boolean } else { of };
        Ok((self.coerce(left, &of)?, self.coerce(right, &of)?))
    }

    /// The name of a class as its number.
    fn labels(&self, left: &Node, right: &Node) -> Result<Option<Side>, EngineError> {
        let labels = |node: &Node| match node.kind {
            Kind::Column(column) => self.columns[column].labels.as_ref(),
            _ => None,
        };
        let (names, literal, side): (_, _, fn(Node) -> Side) = match (labels(left), labels(right)) {
            (Some(names), None) => (names, right, Side::Right),
            (None, Some(names)) => (names, left, Side::Left),
            _ => return Ok(None),
        };
        let Some(text) = literal.as_literal() else { return Ok(None) };
        let known = names.iter().position(|name| name == text).and_then(|number| i64::try_from(number).ok());
        let number = known.or_else(|| text.trim().parse().ok()).ok_or_else(|| {
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            let hint = match nearest(text, names.iter().copied()) {
                Some(near) => format!("did you mean '{near}'?"),
                None => format!("classes are {}", listed(&names)),
            };
            wrong(literal.at, format!("there is no class '{}'; {hint}", shortened(text)))
        })?;
        let number = Node::constant(Arc::new(Int64Array::from(vec![number])), Type::Integer, false, literal.at);
        Ok(Some(side(number)))
    }

    pub(super) fn is_in(
        &mut self,
        value: &Expr,
        items: &[Expr],
        negated: bool,
        at: usize,
    ) -> Result<Node, EngineError> {
        let mut equal = Vec::with_capacity(items.len());
        let mut constants: Vec<ArrayRef> = Vec::new();
        let mut has_null = false;
        let mut looked_up: Option<Node> = None;
        for item in items {
            let (value, item) = (self.value(value)?, self.value(item)?);
            let node = self.compare(Comparison::Equal, value, item, at)?;
            match node.kind {
                Kind::Compare(Comparison::Equal, pair) if matches!(pair[0].of, Type::Integer | Type::Text) => {
                    let [value, constant] = *pair;
                    match (constant.as_constant(), &looked_up) {
                        (Some(found), None) if value.as_constant().is_none() => {
                            has_null |= found.is_null(0);
                            constants.push(Arc::clone(found));
                            looked_up = Some(value);
                        }
                        (Some(found), Some(known)) if known.of == value.of => {
                            has_null |= found.is_null(0);
                            constants.push(Arc::clone(found));
                        }
                        _ => {
                            let kind = Kind::Compare(Comparison::Equal, Box::new([value, constant]));
                            equal.push(Node { kind, of: Type::Boolean, at });
                        }
                    }
                }
                kind => equal.push(Node { kind, ..node }),
            }
        }
        if let Some(value) = looked_up {
            let present: Vec<&dyn Array> =
                constants.iter().filter(|value| value.is_valid(0)).map(|value| &**value).collect();
            let values = match present.is_empty() {
                true => new_null_array(&value.of.arrow(), 0),
                false => arrow::compute::concat(&present).map_err(internal)?,
            };
            let set = Set::new(values, has_null, &value.of).ok_or_else(|| internal("a set of another type"))?;
            let kind = Kind::In { value: Box::new(value), set, negated: false };
            equal.push(Node { kind, of: Type::Boolean, at });
        }
        let mut node = match <[Node; 1]>::try_from(equal) {
            Ok([only]) => only,
            Err(equal) => Node { kind: Kind::Or(equal), of: Type::Boolean, at },
        };
        if let (Kind::In { negated: is_negated, .. }, true) = (&mut node.kind, negated) {
            *is_negated = true;
        } else if negated {
            node = Node { kind: Kind::Not(Box::new(node)), of: Type::Boolean, at };
        }
        node.folded()
    }

    pub(super) fn matches(
        &self,
        kind: Pattern,
        value: Node,
        pattern: Node,
        escape: Option<char>,
        negated: bool,
        at: usize,
    ) -> Result<Node, EngineError> {
        if value.of == Type::Null || pattern.of == Type::Null {
            return Ok(Node::constant(new_null_array(&Type::Boolean.arrow(), 1), Type::Boolean, false, at));
        }
        let value = if value.of == Type::Json { self.coerce(value, &Type::Text)? } else { value };
        for side in [&value, &pattern] {
            if side.of != Type::Text {
                let message = format!(
                    "patterns are for texts, and {} is none; cast it: \"column\"::VARCHAR",
                    side.describe(&self.columns)
                );
                return Err(wrong(side.at, message));
            }
        }
        let Some(constant) = pattern.as_constant() else {
            return Err(wrong(pattern.at, "a pattern must be a text in single quotes"));
        };
        let text = constant.as_string::<i32>().value(0).to_owned();
        let matcher = Matcher::new(kind, &text, escape).map_err(|error| wrong(pattern.at, error.message))?;
        let prefix = matcher.prefix(kind, &text, escape);
        let kernel = Box::new(move |values: &[Value], _: usize| {
            let texts = values[0].array().as_string::<i32>();
            let fits = BooleanArray::from_unary(texts, |text| matcher.fits(text));
            Ok(Arc::new(fits) as ArrayRef)
        });
        Ok(Node { kind: Kind::Match { arguments: vec![value], kernel, prefix, negated }, of: Type::Boolean, at })
    }
}
