//! Functions of numbers, and arithmetic.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Float64Array, Int64Array, PrimitiveArray, StringArray,
};
use arrow::datatypes::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType,
};

use super::super::bind::Binder;
use super::super::cast::{power, rounded};
use super::super::expr::Operator;
use super::super::node::{Node, Value, internal};
use super::super::types::Type;
use super::super::wrong;
use super::{Call, each};
use crate::error::{EngineError, ErrorKind};

pub(super) const NAMES: &[&str] = &[
    "abs", "ceil", "ceiling", "exp", "floor", "isfinite", "isinf", "isnan", "ln", "log", "log10", "log2", "mod", "pow",
    "power", "round", "sign", "sqrt", "trunc",
];

/// Binds a call of one of [`NAMES`].
pub(super) fn bind(call: &Call<'_>, mut arguments: Vec<Node>) -> Result<Node, EngineError> {
    const DOUBLE: &Type = &Type::Double;
    let simple: fn(f64) -> f64 = match call.name {
        "mod" | "pow" | "power" => {
            let [left, right] = pair(call, arguments)?;
            let operator = if call.name == "mod" { Operator::Remainder } else { Operator::Power };
            return arithmetic(call.binder, operator, left, right, call.at);
        }
        "isnan" | "isinf" | "isfinite" => {
            let test: fn(f64) -> bool = match call.name {
                "isnan" => f64::is_nan,
                "isinf" => f64::is_infinite,
                _ => f64::is_finite,
            };
            let arguments = call.arguments(arguments, [DOUBLE])?;
            let kernel = Box::new(move |values: &[Value], _: usize| {
                Ok(Arc::new(BooleanArray::from_unary(doubles(&values[0]), test)) as ArrayRef)
            });
            return Ok(call.apply(Type::Boolean, arguments, kernel));
        }
        "round" => return round(call, arguments),
        "abs" | "sign" | "ceil" | "ceiling" | "floor" | "trunc"
            if arguments.first().is_some_and(|first| matches!(first.of, Type::Integer | Type::Decimal { .. })) =>
        {
            return exact(call, arguments);
        }
        "abs" => f64::abs,
        "sign" => |value| {
            if value > 0.0 {
                1.0
            } else if value < 0.0 {
                -1.0
            } else {
                0.0
            }
        },
        "ceil" | "ceiling" => f64::ceil,
        "floor" => f64::floor,
        "trunc" => f64::trunc,
        "exp" => f64::exp,
        "sqrt" => f64::sqrt,
        "ln" => f64::ln,
        "log2" => f64::log2,
        _ => f64::log10,
    };
    // Outside of its domain a function has no value.
    let fits: fn(f64) -> bool = match call.name {
        "sqrt" => |value| value >= 0.0 || value.is_nan(),
        "ln" | "log" | "log2" | "log10" => |value| value > 0.0 || value.is_nan(),
        _ => |_| true,
    };
    let name = call.name.to_owned();
    arguments = call.arguments(arguments, [DOUBLE])?;
    Ok(call.apply(
        Type::Double,
        arguments,
        Box::new(move |values, _| {
            let array = doubles(&values[0]);
            if let Some(value) = array.iter().flatten().find(|value| !fits(*value)) {
                return Err(EngineError::new(
                    ErrorKind::Query,
                    format!("{name} of {value} does not exist; leave such rows out"),
                ));
            }
            Ok(Arc::new(array.unary::<_, Float64Type>(simple)) as ArrayRef)
        }),
    ))
}

fn pair(call: &Call<'_>, arguments: Vec<Node>) -> Result<[Node; 2], EngineError> {
    arguments.try_into().map_err(|arguments: Vec<Node>| call.wrong_number(arguments.len(), "2"))
}

fn doubles(value: &Value) -> &Float64Array {
    value.array().as_primitive()
}

fn overflow() -> EngineError {
    EngineError::new(ErrorKind::Query, "a result is too large for its type; cast to DOUBLE")
}

/// Functions that keep whole numbers and decimals exact.
fn exact(call: &Call<'_>, arguments: Vec<Node>) -> Result<Node, EngineError> {
    let [argument] = <[Node; 1]>::try_from(arguments).map_err(|arguments| call.wrong_number(arguments.len(), "1"))?;
    let of = argument.of.clone();
    let name = call.name.to_owned();
    let Type::Decimal { scale, precision } = of else {
        let result: fn(i64) -> Option<i64> = match name.as_str() {
            "abs" => i64::checked_abs,
            "sign" => |value| Some(value.signum()),
            _ => Some,
        };
        return Ok(call.apply(
            Type::Integer,
            vec![argument],
            Box::new(move |values, _| {
                let array: &Int64Array = values[0].array().as_primitive();
                Ok(Arc::new(array.try_unary::<_, Int64Type, _>(|value| result(value).ok_or_else(overflow))?)
                    as ArrayRef)
            }),
        ));
    };
    let units = power(scale);
    let (of, result): (Type, Box<dyn Fn(i128) -> i128 + Send + Sync>) = match name.as_str() {
        "abs" => (Type::Decimal { precision, scale }, Box::new(i128::abs)),
        "sign" => (super::super::types::HUGE, Box::new(i128::signum)),
        "floor" => (super::super::types::HUGE, Box::new(move |value| value.div_euclid(units))),
        "trunc" => (super::super::types::HUGE, Box::new(move |value| value / units)),
        _ => (super::super::types::HUGE, Box::new(move |value| -((-value).div_euclid(units)))),
    };
    let (precision, scale) = match of {
        Type::Decimal { precision, scale } => (precision, scale),
        _ => (38, 0),
    };
    Ok(call.apply(
        of,
        vec![argument],
        Box::new(move |values, _| {
            let array = values[0].array().as_primitive::<Decimal128Type>().unary::<_, Decimal128Type>(&result);
            Ok(Arc::new(array.with_precision_and_scale(precision, scale).map_err(internal)?) as ArrayRef)
        }),
    ))
}

/// Half away from zero, to a number of digits after the point.
fn round(call: &Call<'_>, mut arguments: Vec<Node>) -> Result<Node, EngineError> {
    let digits = match arguments.len() {
        1 => 0,
        2 => {
            let digits = arguments.pop();
            let digits = digits.as_ref().filter(|digits| digits.of == Type::Integer).and_then(Node::as_constant);
            let digits = digits.map(|digits| digits.as_primitive::<Int64Type>().value(0));
            let digits = digits.ok_or_else(|| wrong(call.at, "round wants the number of digits as a whole number"))?;
            i32::try_from(digits.clamp(-38, 38)).unwrap_or(0)
        }
        found => return Err(call.wrong_number(found, "1 or 2")),
    };
    match arguments.first().map(|first| first.of.clone()) {
        Some(Type::Integer) => {
            let unit = power(i8::try_from(-digits.min(0)).unwrap_or(38));
            Ok(call.apply(
                Type::Integer,
                arguments,
                Box::new(move |values, _| {
                    let array: &Int64Array = values[0].array().as_primitive();
                    let value =
                        |value: i64| i64::try_from(rounded(i128::from(value), unit) * unit).map_err(|_| overflow());
                    Ok(Arc::new(array.try_unary::<_, Int64Type, _>(value)?) as ArrayRef)
                }),
            ))
        }
        Some(Type::Decimal { precision, scale }) => {
            let lost = (i32::from(scale) - digits).clamp(0, 38);
            let unit = power(i8::try_from(lost).unwrap_or(38));
            let of = Type::Decimal { precision: precision.saturating_add(1).min(38), scale };
            Ok(call.apply(
                of.clone(),
                arguments,
                Box::new(move |values, _| {
                    let array: &Decimal128Array = values[0].array().as_primitive();
                    let array = array.unary::<_, Decimal128Type>(|value| rounded(value, unit) * unit);
                    Ok(Arc::new(
                        array.with_precision_and_scale(precision.saturating_add(1).min(38), scale).map_err(internal)?,
                    ) as ArrayRef)
                }),
            ))
        }
        _ => {
            let arguments = call.arguments(arguments, [&Type::Double])?;
            let factor = 10_f64.powi(digits);
            Ok(call.apply(
                Type::Double,
                arguments,
                Box::new(move |values, _| {
                    let round = |value: f64| {
                        let scaled = (value * factor).round() / factor;
                        if scaled.is_finite() { scaled } else { value }
                    };
                    Ok(Arc::new(doubles(&values[0]).unary::<_, Float64Type>(round)) as ArrayRef)
                }),
            ))
        }
    }
}

/// Binds an operator between two values.
///
/// # Errors
/// [`Query`](ErrorKind::Query) when the types have no such operation.
pub(in crate::query) fn arithmetic(
    binder: &Binder<'_>,
    operator: Operator,
    left: Node,
    right: Node,
    at: usize,
) -> Result<Node, EngineError> {
    let call = Call { binder, name: operator.sign(), at };
    if operator == Operator::Concatenate {
        let arguments =
            [left, right].into_iter().map(|side| binder.coerce(side, &Type::Text)).collect::<Result<_, _>>()?;
        return Ok(call.apply(Type::Text, arguments, Box::new(concatenated)));
    }
    let number = |node: Node| match node.of {
        Type::Json => binder.coerce(node, &Type::Double),
        _ => Ok(node),
    };
    let (left, right) = (number(left)?, number(right)?);
    use Type as T;
    match (operator, &left.of, &right.of) {
        (_, T::Null, _) | (_, _, T::Null) => {
            Ok(Node::constant(arrow::array::new_null_array(&T::Integer.arrow(), 1), T::Integer, false, at))
        }
        (Operator::Add, T::Date, T::Integer) => Ok(days(&call, left, right, 1)),
        (Operator::Add, T::Integer, T::Date) => Ok(days(&call, right, left, 1)),
        (Operator::Subtract, T::Date, T::Integer) => Ok(days(&call, left, right, -1)),
        (Operator::Subtract, T::Date, T::Date) => Ok(call.apply(
            T::Integer,
            vec![left, right],
            Box::new(|values, rows| {
                binary::<Date32Type, Date32Type, Int64Type>(values, rows, |left, right| {
                    Some(i64::from(left) - i64::from(right))
                })
            }),
        )),
        (Operator::Subtract, left_type, right_type) if left_type.is_instant() && right_type.is_instant() => {
            let (left, right) = binder.alike(left, right, true, at)?;
            Ok(call.apply(
                T::Duration,
                vec![left, right],
                Box::new(|values, rows| {
                    binary::<
                        TimestampMicrosecondType,
                        TimestampMicrosecondType,
                        arrow::datatypes::DurationMicrosecondType,
                    >(values, rows, i64::checked_sub)
                }),
            ))
        }
        (_, left_type, right_type) if left_type.is_number() && right_type.is_number() => {
            numeric(&call, operator, left, right)
        }
        _ => {
            let sides = [left.describe(&binder.columns), right.describe(&binder.columns)];
            let message =
                format!("there is no {} between {} and {}; cast to a number", operator.sign(), sides[0], sides[1]);
            Err(wrong(at, message))
        }
    }
}

fn days(call: &Call<'_>, date: Node, count: Node, sign: i64) -> Node {
    call.apply(
        Type::Date,
        vec![date, count],
        Box::new(move |values, rows| {
            binary::<Date32Type, Int64Type, Date32Type>(values, rows, |days, count| {
                i32::try_from(i64::from(days).checked_add(count.checked_mul(sign)?)?).ok()
            })
        }),
    )
}

fn numeric(call: &Call<'_>, operator: Operator, left: Node, right: Node) -> Result<Node, EngineError> {
    let is_divide = matches!(operator, Operator::Divide | Operator::Power);
    let of = match Type::common(&left.of, &right.of) {
        Some(of) if !is_divide => of,
        _ => Type::Double,
    };
    match of {
        Type::Integer => {
            let result: fn(i64, i64) -> Option<i64> = match operator {
                Operator::Add => i64::checked_add,
                Operator::Subtract => i64::checked_sub,
                Operator::Multiply => i64::checked_mul,
                Operator::DivideWhole => i64::checked_div,
                _ => i64::checked_rem,
            };
            let divides = matches!(operator, Operator::DivideWhole | Operator::Remainder);
            Ok(call.apply(
                Type::Integer,
                vec![left, right],
                Box::new(move |values, rows| {
                    if divides {
                        // By zero there is no result; the smallest by -1 is the other way out.
                        let (left, right) = (integers(&values[0]), integers(&values[1]));
                        let quotients = each(values, rows, |at| result(left.value(at[0]), right.value(at[1])));
                        return Ok(Arc::new(Int64Array::from(quotients)) as ArrayRef);
                    }
                    binary::<Int64Type, Int64Type, Int64Type>(values, rows, result)
                }),
            ))
        }
        Type::Decimal { .. } if !matches!(operator, Operator::DivideWhole) => decimals(call, operator, left, right),
        _ => {
            let (left, right) = (call.binder.coerce(left, &Type::Double)?, call.binder.coerce(right, &Type::Double)?);
            let result: fn(f64, f64) -> Option<f64> = match operator {
                Operator::Add => |left, right| Some(left + right),
                Operator::Subtract => |left, right| Some(left - right),
                Operator::Multiply => |left, right| Some(left * right),
                Operator::Divide => |left, right| Some(left / right),
                Operator::DivideWhole => |left, right| (right != 0.0).then(|| (left / right).trunc()),
                Operator::Power => |left, right| Some(left.powf(right)),
                _ => |left, right| Some(left % right),
            };
            Ok(call.apply(
                Type::Double,
                vec![left, right],
                Box::new(move |values, rows| {
                    let (left, right) = (doubles(&values[0]), doubles(&values[1]));
                    Ok(Arc::new(Float64Array::from(each(values, rows, |at| {
                        result(left.value(at[0]), right.value(at[1]))
                    }))) as ArrayRef)
                }),
            ))
        }
    }
}

fn decimals(call: &Call<'_>, operator: Operator, left: Node, right: Node) -> Result<Node, EngineError> {
    let scale = |node: &Node| match node.of {
        Type::Decimal { scale, .. } => scale,
        _ => 0,
    };
    let (left_scale, right_scale) = (scale(&left), scale(&right));
    let (to_left, to_right, result_scale) = match operator {
        Operator::Multiply => (left_scale, right_scale, left_scale.saturating_add(right_scale)),
        _ => (left_scale.max(right_scale), left_scale.max(right_scale), left_scale.max(right_scale)),
    };
    if result_scale > 37 {
        let double = |node| call.binder.coerce(node, &Type::Double);
        return numeric(call, operator, double(left)?, double(right)?);
    }
    let side = |node, scale| call.binder.coerce(node, &Type::Decimal { precision: 38, scale });
    let arguments = vec![side(left, to_left)?, side(right, to_right)?];
    let result: fn(i128, i128) -> Option<i128> = match operator {
        Operator::Add => i128::checked_add,
        Operator::Subtract => i128::checked_sub,
        Operator::Multiply => i128::checked_mul,
        _ => i128::checked_rem,
    };
    let divides = operator == Operator::Remainder;
    Ok(call.apply(
        Type::Decimal { precision: 38, scale: result_scale },
        arguments,
        Box::new(move |values, rows| {
            let [left, right]: [&Decimal128Array; 2] =
                [values[0].array().as_primitive(), values[1].array().as_primitive()];
            let both = |at: &[usize]| left.is_valid(at[0]) && right.is_valid(at[1]);
            let result = each(values, rows, |at| {
                result(left.value(at[0]), right.value(at[1])).filter(|units| units.unsigned_abs() < 10_u128.pow(38))
            });
            let lost = |row: usize| result[row].is_none() && both(&[values[0].position(row), values[1].position(row)]);
            if !divides && (0..rows).any(lost) {
                return Err(overflow());
            }
            Ok(Arc::new(Decimal128Array::from(result).with_precision_and_scale(38, result_scale).map_err(internal)?)
                as ArrayRef)
        }),
    ))
}

fn integers(value: &Value) -> &Int64Array {
    value.array().as_primitive()
}

/// A result for each row; what does not fit is an error.
fn binary<A: ArrowPrimitiveType, B: ArrowPrimitiveType, R: ArrowPrimitiveType>(
    values: &[Value],
    rows: usize,
    result: impl Fn(A::Native, B::Native) -> Option<R::Native>,
) -> Result<ArrayRef, EngineError> {
    let (left, right) = (values[0].array().as_primitive::<A>(), values[1].array().as_primitive::<B>());
    let mut results = Vec::with_capacity(rows);
    for row in 0..rows {
        let (at, other) = (values[0].position(row), values[1].position(row));
        results.push(match left.is_valid(at) && right.is_valid(other) {
            true => Some(result(left.value(at), right.value(other)).ok_or_else(overflow)?),
            false => None,
        });
    }
    Ok(Arc::new(PrimitiveArray::<R>::from_iter(results)))
}

fn concatenated(values: &[Value], rows: usize) -> Result<ArrayRef, EngineError> {
    let [left, right]: [&StringArray; 2] = [values[0].array().as_string(), values[1].array().as_string()];
    let texts = each(values, rows, |at| Some([left.value(at[0]), right.value(at[1])].concat()));
    Ok(Arc::new(StringArray::from(texts)))
}
