//! The functions that queries may call, each a kernel over columns. There are no others: no files, no time of day, no
//! randomness, and no result much larger than its arguments.
//!
//! To add one: a line in the `bind` of the file of its subject, a row in the documentation of queries, and expressions
//! in the recorded corpus of `tests`.

mod list;
mod number;
mod text;
mod time;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, UInt64Array};
use arrow::compute::{interleave, take};
use arrow::datatypes::{Decimal128Type, Int64Type};

use super::bind::Binder;
use super::expr::Comparison;
use super::node::{Kernel, Kind, Node, Value, internal};
use super::suggest::nearest;
use super::types::Type;
use super::wrong;
use crate::error::{EngineError, ErrorKind};

pub(super) use list::index;
pub(super) use number::arithmetic;

/// Every name, for suggestions.
const NAMES: &[&str] = &[
    "abs",
    "array_contains",
    "array_length",
    "array_to_string",
    "ascii",
    "ceil",
    "ceiling",
    "coalesce",
    "concat",
    "contains",
    "date_diff",
    "date_part",
    "date_trunc",
    "day",
    "dayofmonth",
    "dayofweek",
    "dayofyear",
    "decade",
    "ends_with",
    "epoch",
    "epoch_ms",
    "exp",
    "floor",
    "greatest",
    "hour",
    "ifnull",
    "instr",
    "isfinite",
    "isinf",
    "isnan",
    "isodow",
    "json_extract",
    "json_extract_string",
    "lcase",
    "least",
    "left",
    "len",
    "length",
    "list_avg",
    "list_contains",
    "list_extract",
    "list_has",
    "list_has_all",
    "list_has_any",
    "list_max",
    "list_min",
    "list_position",
    "list_sum",
    "ln",
    "log",
    "log10",
    "log2",
    "lower",
    "ltrim",
    "microsecond",
    "millisecond",
    "minute",
    "mod",
    "month",
    "nullif",
    "octet_length",
    "ord",
    "position",
    "pow",
    "power",
    "prefix",
    "quarter",
    "regexp_extract",
    "regexp_full_match",
    "regexp_matches",
    "regexp_replace",
    "repeat",
    "replace",
    "reverse",
    "right",
    "round",
    "rtrim",
    "second",
    "sign",
    "split_part",
    "sqrt",
    "starts_with",
    "strip_accents",
    "strlen",
    "strpos",
    "struct_extract",
    "substr",
    "substring",
    "suffix",
    "trim",
    "trunc",
    "ucase",
    "unicode",
    "upper",
    "week",
    "weekday",
    "weekofyear",
    "year",
];

/// A call of a function.
pub(super) struct Call<'b> {
    pub(super) binder: &'b Binder<'b>,
    pub(super) name: &'b str,
    pub(super) at: usize,
}

/// Binds a call.
///
/// # Errors
/// [`Query`](ErrorKind::Query) when there is no such function, or not for these arguments.
pub(super) fn bind(binder: &Binder<'_>, name: &str, arguments: Vec<Node>, at: usize) -> Result<Node, EngineError> {
    let call = Call { binder, name, at };
    let node = match name {
        "coalesce" | "ifnull" => call.coalesce(arguments)?,
        "nullif" => call.null_if(arguments)?,
        "greatest" => call.extreme(arguments, Comparison::Greater)?,
        "least" => call.extreme(arguments, Comparison::Less)?,
        // One name for texts, lists and bytes.
        "length" | "len" | "contains" if arguments.first().is_some_and(|first| matches!(first.of, Type::List(_))) => {
            list::bind(&call, arguments)?
        }
        _ if text::NAMES.contains(&name) => text::bind(&call, arguments)?,
        _ if number::NAMES.contains(&name) => number::bind(&call, arguments)?,
        _ if time::NAMES.contains(&name) => time::bind(&call, arguments)?,
        _ if list::NAMES.contains(&name) => list::bind(&call, arguments)?,
        _ => {
            let near = nearest(name, NAMES.iter().copied()).map(|near| format!("; did you mean {near}?"));
            let hint = near.unwrap_or_else(|| "; the documentation of queries lists those that there are".into());
            return Err(wrong(at, format!("there is no function {}{hint}", super::parse::shortened(name))));
        }
    };
    node.folded()
}

impl Call<'_> {
    /// A part that is computed by a kernel.
    pub(super) fn apply(&self, of: Type, arguments: Vec<Node>, kernel: Kernel) -> Node {
        Node { kind: Kind::Apply { arguments, kernel }, of, at: self.at }
    }

    /// The arguments as values of these types.
    ///
    /// # Errors
    /// [`Query`](ErrorKind::Query) when their number or types are others.
    pub(super) fn arguments<const N: usize>(
        &self,
        arguments: Vec<Node>,
        types: [&Type; N],
    ) -> Result<Vec<Node>, EngineError> {
        if arguments.len() != N {
            return Err(self.wrong_number(arguments.len(), &N.to_string()));
        }
        arguments.into_iter().zip(types).map(|(argument, of)| self.argument(argument, of)).collect()
    }

    /// An argument as a value of a type. Only what loses nothing is done unasked.
    pub(super) fn argument(&self, argument: Node, of: &Type) -> Result<Node, EngineError> {
        let fits = argument.of == *of
            || argument.of == Type::Null
            || argument.as_literal().is_some()
            || (argument.of == Type::Json && *of == Type::Text)
            || (argument.of.is_number() && *of == Type::Double)
            || (argument.of.is_instant() && of.is_instant());
        if !fits {
            let found = argument.describe(&self.binder.columns);
            let message = format!("{} wants {of} here, not {found}; cast it: value::{of}", self.name);
            return Err(wrong(argument.at, message));
        }
        self.binder.coerce(argument, of)
    }

    /// An argument that must be the same for every row.
    pub(super) fn constant_text(&self, argument: &Node) -> Result<String, EngineError> {
        match argument.as_constant() {
            Some(value) if argument.of == Type::Text => Ok(value.as_string::<i32>().value(0).to_owned()),
            _ => Err(wrong(argument.at, format!("{} wants a text in single quotes here", self.name))),
        }
    }

    pub(super) fn wrong_number(&self, found: usize, wanted: &str) -> EngineError {
        wrong(self.at, format!("{} takes {wanted} arguments, not {found}", self.name))
    }

    /// All arguments as values of the one type that holds them.
    fn same_type(&self, arguments: Vec<Node>) -> Result<(Vec<Node>, Type), EngineError> {
        if arguments.is_empty() || arguments.len() > 100 {
            return Err(self.wrong_number(arguments.len(), "1 to 100"));
        }
        let mut of = Type::Null;
        for argument in arguments.iter().filter(|argument| argument.as_literal().is_none()) {
            of = Type::common(&of, &argument.of).filter(|of| !of.is_nested()).ok_or_else(|| {
                let found = argument.describe(&self.binder.columns);
                wrong(argument.at, format!("{} cannot take both {of} and {found}", self.name))
            })?;
        }
        if of == Type::Null && arguments.iter().any(|argument| argument.as_literal().is_some()) {
            of = Type::Text;
        }
        let coerced = arguments.into_iter().map(|argument| self.binder.coerce(argument, &of));
        Ok((coerced.collect::<Result<_, _>>()?, of))
    }

    /// The first that is not null.
    fn coalesce(&self, arguments: Vec<Node>) -> Result<Node, EngineError> {
        let (arguments, of) = self.same_type(arguments)?;
        let kernel = |values: &[Value], rows: usize| {
            let mut merged = values[0].clone().spread(rows)?;
            for value in &values[1..] {
                let is_there = arrow::compute::is_not_null(&merged).map_err(internal)?;
                merged = either(&is_there, &merged, value, rows)?;
            }
            Ok(merged)
        };
        Ok(self.apply(of, arguments, Box::new(kernel)))
    }

    /// Null where both are equal.
    fn null_if(&self, arguments: Vec<Node>) -> Result<Node, EngineError> {
        let [left, right] =
            <[Node; 2]>::try_from(arguments).map_err(|arguments| self.wrong_number(arguments.len(), "2"))?;
        let (left, right) = self.binder.alike(left, right, false, self.at)?;
        let of = left.of.clone();
        let kernel = |values: &[Value], rows: usize| {
            let equal = super::node::compared(Comparison::Equal, &values[0], &values[1])?.spread(rows)?;
            let value = values[0].clone().spread(rows)?;
            arrow::compute::nullif(&value, equal.as_boolean()).map_err(internal)
        };
        Ok(self.apply(of, vec![left, right], Box::new(kernel)))
    }

    /// The greatest or least that is not null.
    fn extreme(&self, arguments: Vec<Node>, wins: Comparison) -> Result<Node, EngineError> {
        let (arguments, of) = self.same_type(arguments)?;
        let kernel = move |values: &[Value], rows: usize| {
            let mut best = values[0].clone().spread(rows)?;
            for value in &values[1..] {
                let other = value.clone().spread(rows)?;
                let keeps =
                    super::node::compared(wins, &Value::Rows(Arc::clone(&best)), &Value::Rows(Arc::clone(&other)))?;
                let keeps = keeps.spread(rows)?;
                // Unknown where one is null: then the other one wins.
                let keeps = arrow::compute::or(
                    &arrow::compute::prep_null_mask_filter(keeps.as_boolean()),
                    &arrow::compute::is_null(&other).map_err(internal)?,
                );
                best = either(&keeps.map_err(internal)?, &best, &Value::Rows(other), rows)?;
            }
            Ok(best)
        };
        Ok(self.apply(of, arguments, Box::new(kernel)))
    }
}

/// The left value where the mask says so, else the right one.
fn either(is_left: &BooleanArray, left: &ArrayRef, right: &Value, rows: usize) -> Result<ArrayRef, EngineError> {
    let places: Vec<(usize, usize)> =
        (0..rows).map(|row| if is_left.value(row) { (0, row) } else { (1, right.position(row)) }).collect();
    interleave(&[left, right.array()], &places).map_err(internal)
}

/// A whole number within bounds, as a narrower integer type has.
pub(super) fn within(node: Node, min: i128, max: i128, or_null: bool, at: usize) -> Result<Node, EngineError> {
    let of = node.of.clone();
    let is_integer = of == Type::Integer;
    if is_integer && min <= i128::from(i64::MIN) && max >= i128::from(i64::MAX) {
        return Ok(node);
    }
    let kernel = move |values: &[Value], _: usize| {
        let array = values[0].array();
        let value = |row: usize| match is_integer {
            true => i128::from(array.as_primitive::<Int64Type>().value(row)),
            false => array.as_primitive::<Decimal128Type>().value(row),
        };
        let outside = |row: &usize| array.is_valid(*row) && !(min..=max).contains(&value(*row));
        let first = (0..array.len()).find(outside);
        match first {
            None => Ok(Arc::clone(array)),
            Some(row) if !or_null => {
                Err(EngineError::new(ErrorKind::Query, format!("{} does not fit between {min} and {max}", value(row))))
            }
            Some(_) => {
                let kept: UInt64Array = (0..array.len()).map(|row| (!outside(&row)).then_some(row as u64)).collect();
                take(array, &kept, None).map_err(internal)
            }
        }
    };
    Node { kind: Kind::Apply { arguments: vec![node], kernel: Box::new(kernel) }, of, at }.folded()
}

/// The result of a function for each row; null where `value` gives none.
pub(super) fn each<T>(values: &[Value], rows: usize, value: impl Fn(&[usize]) -> Option<T>) -> Vec<Option<T>> {
    let mut places = vec![0; values.len()];
    let one = |row: usize| {
        for (place, argument) in places.iter_mut().zip(values) {
            *place = argument.position(row);
            if argument.array().is_null(*place) {
                return None;
            }
        }
        value(&places)
    };
    (0..rows).map(one).collect()
}
