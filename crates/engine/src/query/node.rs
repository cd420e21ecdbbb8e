//! Bound expressions: every part knows its type, and is computed a table at a time.

use std::fmt;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Datum, Scalar, new_null_array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::kernels::{boolean, cmp};
use arrow::datatypes::Int64Type;
use hashbrown::HashSet;

use super::cast::cast;
use super::expr::Comparison;
use super::frame::{Column, Frame};
use super::types::Type;
use super::wrong;
use crate::error::{EngineError, ErrorKind};

/// A part of a bound expression.
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) of: Type,
    /// The character of the text it comes from.
    pub(super) at: usize,
}

/// Computes the results for `rows` rows from values of its arguments.
pub(super) type Kernel = Box<dyn Fn(&[Value], usize) -> Result<ArrayRef, EngineError> + Send + Sync>;

/// What a part does. Those that pruning understands are told apart, all others are kernels.
pub(super) enum Kind {
    /// One value. A text literal takes the type of what it meets.
    Constant {
        value: ArrayRef,
        literal: bool,
    },
    /// Position in the columns of the expression.
    Column(usize),
    Not(Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
    /// Both sides are of one type.
    Compare(Comparison, Box<[Node; 2]>),
    IsNull(Box<Node>, bool),
    In {
        value: Box<Node>,
        set: Set,
        negated: bool,
    },
    /// A pattern; texts that fit begin with `prefix`.
    Match {
        arguments: Vec<Node>,
        kernel: Kernel,
        prefix: Option<String>,
        negated: bool,
    },
    Cast {
        value: Box<Node>,
        or_null: bool,
    },
    Apply {
        arguments: Vec<Node>,
        kernel: Kernel,
    },
}

/// The constants of an `IN`.
pub(super) struct Set {
    /// The same as an array, without null.
    pub(super) values: ArrayRef,
    /// One of them is null: what is not found may be equal to it.
    pub(super) has_null: bool,
    members: Members,
}

enum Members {
    Integers(HashSet<i64>),
    Texts(HashSet<Box<str>>),
}

impl Set {
    /// A set of integers or of texts; `None` for other types.
    pub(super) fn new(values: ArrayRef, has_null: bool, of: &Type) -> Option<Self> {
        let members = match of {
            Type::Integer => Members::Integers(values.as_primitive::<Int64Type>().values().iter().copied().collect()),
            Type::Text => Members::Texts(values.as_string::<i32>().iter().flatten().map(Box::from).collect()),
            _ => return None,
        };
        Some(Self { values, has_null, members })
    }

    fn contains(&self, array: &ArrayRef) -> BooleanArray {
        let found = match &self.members {
            Members::Integers(members) => {
                let values = array.as_primitive::<Int64Type>().values();
                BooleanBuffer::collect_bool(array.len(), |row| members.contains(&values[row]))
            }
            Members::Texts(members) => {
                let texts = array.as_string::<i32>();
                BooleanBuffer::collect_bool(array.len(), |row| members.contains(texts.value(row)))
            }
        };
        let mut nulls = array.nulls().cloned();
        if self.has_null {
            let known = arrow::buffer::NullBuffer::new(found.clone());
            nulls = arrow::buffer::NullBuffer::union(nulls.as_ref(), Some(&known));
        }
        BooleanArray::new(found, nulls)
    }
}

/// What a part is for the rows of a table.
#[derive(Clone)]
pub(super) enum Value {
    /// One value for each row.
    Rows(ArrayRef),
    /// The same for every row: an array of one value.
    Same(ArrayRef),
}

impl Value {
    /// The values, or the one value.
    pub(super) fn array(&self) -> &ArrayRef {
        match self {
            Self::Rows(array) | Self::Same(array) => array,
        }
    }

    /// Where the value of a row stands in the array.
    pub(super) fn position(&self, row: usize) -> usize {
        if matches!(self, Self::Same(_)) { 0 } else { row }
    }

    /// One value for each of `rows` rows.
    pub(super) fn spread(self, rows: usize) -> Result<ArrayRef, EngineError> {
        match self {
            Self::Rows(array) => Ok(array),
            Self::Same(array) if array.is_null(0) => Ok(new_null_array(array.data_type(), rows)),
            Self::Same(array) => {
                let nothing = arrow::array::UInt64Array::from_value(0, rows);
                arrow::compute::take(&array, &nothing, None).map_err(internal)
            }
        }
    }

    fn map(&self, change: impl FnOnce(&ArrayRef) -> Result<ArrayRef, EngineError>) -> Result<Self, EngineError> {
        Ok(match self {
            Self::Rows(array) => Self::Rows(change(array)?),
            Self::Same(array) => Self::Same(change(array)?),
        })
    }
}

/// A library failed at something that its documentation promises.
pub(super) fn internal(error: impl fmt::Display) -> EngineError {
    EngineError::new(ErrorKind::Internal, error)
}

impl Node {
    /// A constant.
    pub(super) fn constant(value: ArrayRef, of: Type, literal: bool, at: usize) -> Self {
        Self { kind: Kind::Constant { value, literal }, of, at }
    }

    /// The value of a constant.
    pub(super) fn as_constant(&self) -> Option<&ArrayRef> {
        match &self.kind {
            Kind::Constant { value, .. } => Some(value),
            _ => None,
        }
    }

    /// A text in quotes, which takes the type of what it meets.
    pub(super) fn as_literal(&self) -> Option<&str> {
        match &self.kind {
            Kind::Constant { value, literal: true } => Some(value.as_string::<i32>().value(0)),
            _ => None,
        }
    }

    /// Computes a part of constants once and for all; others stay as they are.
    ///
    /// # Errors
    /// Those of the part.
    pub(super) fn folded(self) -> Result<Self, EngineError> {
        if self.as_constant().is_some() || !self.parts().iter().all(|part| part.as_constant().is_some()) {
            return Ok(self);
        }
        let value = self.evaluate(&Frame::of_constants())?;
        Ok(Self::constant(value.spread(1)?, self.of.clone(), false, self.at))
    }

    fn parts(&self) -> Vec<&Self> {
        match &self.kind {
            Kind::Constant { .. } | Kind::Column(_) => vec![self],
            Kind::Not(part) | Kind::IsNull(part, _) | Kind::Cast { value: part, .. } => vec![part],
            Kind::In { value, .. } => vec![value],
            Kind::And(parts) | Kind::Or(parts) => parts.iter().collect(),
            Kind::Match { arguments, .. } | Kind::Apply { arguments, .. } => arguments.iter().collect(),
            Kind::Compare(_, pair) => pair.iter().collect(),
        }
    }

    /// Adds the columns that it looks at.
    pub(super) fn collect_columns(&self, columns: &mut Vec<usize>) {
        match &self.kind {
            Kind::Column(column) if !columns.contains(column) => columns.push(*column),
            Kind::Column(_) | Kind::Constant { .. } => {}
            _ => self.parts().iter().for_each(|part| part.collect_columns(columns)),
        }
    }

    /// The values for the rows of a table.
    ///
    /// # Errors
    /// [`Query`](ErrorKind::Query) when a value does not fit: a text that is no number, an overflow.
    pub(super) fn evaluate(&self, frame: &Frame<'_>) -> Result<Value, EngineError> {
        let value = match &self.kind {
            Kind::Constant { value, .. } => Value::Same(value.clone()),
            Kind::Column(column) => Value::Rows(frame.column(*column)?),
            Kind::Not(part) => {
                part.evaluate(frame)?.map(|array| Ok(to_ref(boolean::not(array.as_boolean()).map_err(internal)?)))?
            }
            Kind::And(parts) => joined(parts, frame, boolean::and_kleene, |known| known.true_count() == 0)?,
            Kind::Or(parts) => joined(parts, frame, boolean::or_kleene, |known| known.true_count() == known.len())?,
            Kind::Compare(comparison, pair) => {
                let [left, right] = [pair[0].evaluate(frame)?, pair[1].evaluate(frame)?];
                compared(*comparison, &left, &right)?
            }
            Kind::IsNull(part, negated) => part.evaluate(frame)?.map(|array| {
                let is_null = if *negated { boolean::is_not_null(array) } else { boolean::is_null(array) };
                Ok(to_ref(is_null.map_err(internal)?))
            })?,
            Kind::In { value, set, negated } => value.evaluate(frame)?.map(|array| {
                let found = set.contains(array);
                Ok(to_ref(if *negated { boolean::not(&found).map_err(internal)? } else { found }))
            })?,
            Kind::Match { arguments, kernel, negated, .. } => apply(arguments, kernel, frame)?.map(|found| {
                let found = found.as_boolean();
                Ok(to_ref(if *negated { boolean::not(found).map_err(internal)? } else { found.clone() }))
            })?,
            Kind::Cast { value, or_null } => {
                let computed = value.evaluate(frame)?;
                let changed = computed.map(|array| cast(array, &value.of, &self.of, *or_null));
                changed.map_err(|mut error| {
                    if error.kind == ErrorKind::Query && matches!(computed, Value::Rows(_)) {
                        error.message.push_str("; TRY_CAST gives NULL instead");
                    }
                    self.placed(error)
                })?
            }
            Kind::Apply { arguments, kernel } => {
                let value = apply(arguments, kernel, frame).map_err(|error| self.placed(error))?;
                value.map(|array| Ok(self.of.canonical(array.clone())))?
            }
        };
        Ok(value)
    }

    /// Says where in the text it went wrong, unless a part of it said so.
    fn placed(&self, error: EngineError) -> EngineError {
        match error.kind {
            ErrorKind::Query if !error.message.starts_with("character ") => wrong(self.at, error.message),
            _ => error,
        }
    }

    /// `column "age" (INTEGER)`, or the type alone.
    pub(super) fn describe(&self, columns: &[Column]) -> String {
        match &self.kind {
            Kind::Column(column) => format!("column \"{}\" ({})", columns[*column].name, self.of),
            Kind::Cast { value, .. } => value.describe(columns),
            Kind::Constant { value, literal: true } => format!("'{}'", value.as_string::<i32>().value(0)),
            _ => self.of.to_string(),
        }
    }
}

fn to_ref(array: BooleanArray) -> ArrayRef {
    std::sync::Arc::new(array)
}

fn apply(arguments: &[Node], kernel: &Kernel, frame: &Frame<'_>) -> Result<Value, EngineError> {
    let values = arguments.iter().map(|argument| argument.evaluate(frame)).collect::<Result<Vec<_>, _>>()?;
    if values.iter().all(|value| matches!(value, Value::Same(_))) {
        return kernel(&values, 1).map(Value::Same);
    }
    kernel(&values, frame.num_rows()).map(Value::Rows)
}

/// Joins conditions by AND or OR, until the result is known for every row.
fn joined(
    parts: &[Node],
    frame: &Frame<'_>,
    join: impl Fn(&BooleanArray, &BooleanArray) -> Result<BooleanArray, arrow::error::ArrowError>,
    is_settled: impl Fn(&BooleanArray) -> bool,
) -> Result<Value, EngineError> {
    let rows = frame.num_rows();
    let mut known: Option<BooleanArray> = None;
    for part in parts {
        let array = part.evaluate(frame)?.spread(rows)?;
        let array = array.as_boolean();
        known = Some(match known {
            None => array.clone(),
            Some(before) => join(&before, array).map_err(internal)?,
        });
        // Nulls may still change, except where nothing can.
        if known.as_ref().is_some_and(|known| known.null_count() == 0 && is_settled(known)) {
            break;
        }
    }
    Ok(Value::Rows(to_ref(known.unwrap_or_else(|| BooleanArray::from(vec![true; rows])))))
}

/// Compares values of one type. Two constants give one value.
pub(super) fn compared(comparison: Comparison, left: &Value, right: &Value) -> Result<Value, EngineError> {
    let datum = |value: &Value| -> Box<dyn Datum> {
        match value {
            Value::Rows(array) => Box::new(array.clone()),
            Value::Same(array) => Box::new(Scalar::new(array.clone())),
        }
    };
    let both_same = matches!((left, right), (Value::Same(_), Value::Same(_)));
    let (left, right): (Box<dyn Datum>, _) = if both_same {
        (Box::new(left.array().clone()), Box::new(right.array().clone()) as Box<dyn Datum>)
    } else {
        (datum(left), datum(right))
    };
    let (left, right) = (&*left, &*right);
    let result = match comparison {
        Comparison::Equal => cmp::eq(left, right),
        Comparison::NotEqual => cmp::neq(left, right),
        Comparison::Less => cmp::lt(left, right),
        Comparison::LessOrEqual => cmp::lt_eq(left, right),
        Comparison::Greater => cmp::gt(left, right),
        Comparison::GreaterOrEqual => cmp::gt_eq(left, right),
        Comparison::Distinct => cmp::distinct(left, right),
        Comparison::NotDistinct => cmp::not_distinct(left, right),
    };
    let result = to_ref(result.map_err(internal)?);
    Ok(if both_same { Value::Same(result) } else { Value::Rows(result) })
}
