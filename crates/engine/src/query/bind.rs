//! Expressions → bound ones: names find their columns, types their common type, and what cannot be computed is refused.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Decimal128Array, Float64Array, Int64Array, ListArray,
    StringArray, new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::Field;
use belvedere_domain::{Feature, Features};

use super::cast;
use super::expr::{Comparison, Expr, Kind as Written, Operator, Pattern, TypeName};
use super::frame::{Column, Derived, Place};
use super::functions;
use super::node::{Kind, Node, Set, Value, internal};
use super::parse::shortened;
use super::pattern::Matcher;
use super::texts;
use super::types::{HUGE, Type};
use super::wrong;
use crate::error::EngineError;
use crate::scan::FieldPath;

/// The reference's name for the number of a row.
const ROW_NUMBER: &str = "__hf_index_id";

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

    fn column(&mut self, path: &[String], at: usize) -> Result<Node, EngineError> {
        let (name, rest) = path.split_first().ok_or_else(|| internal("a column without a name"))?;
        let (column, rest) = match self.find(name) {
            Some(feature) => self.field(feature, rest, at)?,
            None => match self.derived(path) {
                Some(column) => (column, &[][..]),
                None => return Err(self.unknown(path, at)),
            },
        };
        let of = column.of.clone();
        let position = self.columns.iter().position(|known| *known == column).unwrap_or_else(|| {
            self.columns.push(column);
            self.columns.len() - 1
        });
        let mut node = Node { kind: Kind::Column(position), of, at };
        for key in rest {
            let key = Node::constant(Arc::new(StringArray::from(vec![key.as_str()])), Type::Text, true, at);
            node = functions::index(self, node, key, at)?;
        }
        Ok(node)
    }

    /// A column by its name, else by its name in another case if that is unique.
    fn find(&self, name: &str) -> Option<usize> {
        let exact = self.features.iter().position(|(known, _)| known == name);
        exact.or_else(|| {
            let mut alike = (0..self.features.len()).filter(|&index| alike(&self.features[index].0, name));
            alike.next().filter(|_| alike.next().is_none())
        })
    }

    /// A field of a feature, and the keys that are left for JSON.
    fn field<'p>(&self, feature: usize, path: &'p [String], at: usize) -> Result<(Column, &'p [String]), EngineError> {
        let (name, mut here) = (&self.features[feature].0, Some(&self.features[feature].1));
        let mut column = Column {
            name: name.clone(),
            of: self.features.iter().nth(feature).map_or(Type::Null, |(_, feature)| Type::of(feature)),
            place: Place::Field { path: FieldPath { feature, names: Vec::new() }, derived: None },
            labels: None,
        };
        let mut rest = path;
        while let (Type::Struct(fields), Some((key, after))) = (&column.of, rest.split_first()) {
            let position = fields
                .iter()
                .position(|(name, _)| name == key)
                .or_else(|| fields.iter().position(|(name, _)| alike(name, key)));
            let Some(position) = position else {
                let names: Vec<_> = fields.iter().map(|(name, _)| name.as_str()).collect();
                let hint = nearest(key, names.iter().copied()).map(|name| format!("; did you mean \"{name}\"?"));
                let hint = hint.unwrap_or_else(|| format!("; it has {}", listed(&names)));
                return Err(wrong(at, format!("column \"{}\" has no field \"{}\"{hint}", column.name, shortened(key))));
            };
            let (field, of) = fields[position].clone();
            here = match here {
                Some(Feature::Struct(children)) => Some(&children[position].1),
                _ => None,
            };
            column.name = format!("{}.{field}", column.name);
            column.of = of;
            if let Place::Field { path, .. } = &mut column.place {
                path.names.push(field);
            }
            rest = after;
        }
        if let Some(Feature::ClassLabel { names }) = here {
            column.labels = Some(names.clone());
        }
        // `"text".length` is what others write `"text.length"`.
        if let ([key], Place::Field { derived, .. }) = (rest, &mut column.place)
            && let Some((_, kind)) = Derived::ALL.into_iter().find(|(name, _)| name == key)
            && let Some(of) = derived_type(&column.of, here, kind)
        {
            *derived = Some(kind);
            column.of = of;
            column.name = format!("{}.{key}", column.name);
            return Ok((column, &[]));
        }
        if !rest.is_empty() && column.of != Type::Json {
            let how =
                if matches!(column.of, Type::List(_)) { "; take an item of it first, as in \"list\"[1]" } else { "" };
            return Err(wrong(at, format!("column \"{}\" ({}) has no fields{how}", column.name, column.of)));
        }
        Ok((column, rest))
    }

    /// `"text.length"` and the like, and the number of the row.
    fn derived(&self, path: &[String]) -> Option<Column> {
        let name = path.join(".");
        if name == ROW_NUMBER {
            return Some(Column { name, place: Place::RowNumber, of: Type::Integer, labels: None });
        }
        let (base, kind) = Derived::ALL
            .into_iter()
            .find_map(|(end, kind)| Some((name.strip_suffix(end)?.strip_suffix('.')?.to_owned(), kind)))?;
        let feature = self.find(&base)?;
        let stored = &self.features[feature].1;
        let of = derived_type(&Type::of(stored), Some(stored), kind)?;
        let path = FieldPath { feature, names: Vec::new() };
        Some(Column { name, place: Place::Field { path, derived: Some(kind) }, of, labels: None })
    }

    fn unknown(&self, path: &[String], at: usize) -> EngineError {
        let name = path.join(".");
        let names: Vec<_> = self.features.iter().map(|(name, _)| name.as_str()).collect();
        let hint = match nearest(&name, names.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("columns are {}", listed(&names)),
        };
        wrong(at, format!("there is no column \"{}\"; {hint}", shortened(&name)))
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

    /// A comparison, both sides cast to what holds them.
    pub(super) fn compare(
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
    pub(super) fn alike(
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

    fn is_in(&mut self, value: &Expr, items: &[Expr], negated: bool, at: usize) -> Result<Node, EngineError> {
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

    fn matches(
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

enum Side {
    Left(Node),
    Right(Node),
}

fn alike(left: &str, right: &str) -> bool {
    left.to_lowercase() == right.to_lowercase()
}

fn derived_type(of: &Type, feature: Option<&Feature>, kind: Derived) -> Option<Type> {
    match (kind, feature) {
        (Derived::Length, _) => matches!(of, Type::Text | Type::List(_)).then_some(Type::Integer),
        (Derived::Duration, Some(Feature::Audio(_) | Feature::Video(_))) => Some(Type::Double),
        (Derived::Width | Derived::Height, Some(Feature::Image(_))) => Some(Type::Integer),
        _ => None,
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

/// The name that is most like another, if one is.
pub(super) fn nearest<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let wanted: Vec<char> = name.to_lowercase().chars().take(100).collect();
    let allowed = (wanted.len() / 3).max(1);
    names
        .map(|name| (distance(&wanted, &name.to_lowercase().chars().take(100).collect::<Vec<_>>()), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Characters to change, add, leave out or exchange with their neighbour.
fn distance(left: &[char], right: &[char]) -> usize {
    let mut rows = vec![(0..=right.len()).collect::<Vec<usize>>()];
    for (line, a) in left.iter().enumerate() {
        let mut row = vec![line + 1];
        for (column, b) in right.iter().enumerate() {
            let change = rows[line][column] + usize::from(a != b);
            let mut best = change.min(rows[line][column + 1] + 1).min(row[column] + 1);
            if line > 0 && column > 0 && *a == right[column - 1] && left[line - 1] == *b {
                best = best.min(rows[line - 1][column - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[left.len()][right.len()]
}

/// The first names, for a message.
fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<_> = names.iter().take(SHOWN).map(|name| format!("\"{}\"", shortened(name))).collect();
    let more = names.len().saturating_sub(SHOWN);
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}
