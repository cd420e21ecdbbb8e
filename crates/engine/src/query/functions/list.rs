//! Functions of lists, structs and JSON.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, ListArray, StringArray, UInt64Array,
};
use arrow::compute::take;
use arrow::datatypes::Int64Type;
use serde_json::Value as JsonValue;

use super::super::bind::Binder;
use super::super::cast::cast;
use super::super::expr::Comparison;
use super::super::frame::lengths;
use super::super::node::{Node, Value, compared, internal};
use super::super::types::{HUGE, Type};
use super::super::wrong;
use super::{Call, each};
use crate::error::{EngineError, ErrorKind};
use crate::scan::child;

pub(super) const NAMES: &[&str] = &[
    "array_contains",
    "array_length",
    "array_to_string",
    "json_extract",
    "json_extract_string",
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
    "struct_extract",
];

/// Binds a call of one of [`NAMES`], or of `length`, `len` and `contains` with a list.
pub(super) fn bind(call: &Call<'_>, arguments: Vec<Node>) -> Result<Node, EngineError> {
    match call.name {
        "length" | "len" | "array_length" => {
            let [list] = exactly(call, arguments)?;
            item_type(call, &list)?;
            Ok(call.apply(Type::Integer, vec![list], Box::new(|values, _| lengths(values[0].array()))))
        }
        "list_extract" | "struct_extract" => {
            let [value, index_of] = exactly(call, arguments)?;
            index(call.binder, value, index_of, call.at)
        }
        "json_extract" | "json_extract_string" => {
            let [value, key] = exactly(call, arguments)?;
            let value = call.binder.coerce(value, &Type::Json)?;
            let extracted = json(call.binder, value, &key, call.at)?;
            if call.name == "json_extract" { Ok(extracted) } else { call.binder.coerce(extracted, &Type::Text) }
        }
        "contains" | "list_contains" | "array_contains" | "list_has" => {
            let (list, item) = list_and_item(call, arguments)?;
            Ok(call.apply(
                Type::Boolean,
                vec![list, item],
                Box::new(|values, rows| {
                    let found = each(values, rows, |at| Some(at[0])).into_iter().zip(matches(values, rows)?);
                    Ok(Arc::new(found.map(|(known, found)| known.map(|_| found.is_some())).collect::<BooleanArray>())
                        as ArrayRef)
                }),
            ))
        }
        "list_position" => {
            let (list, item) = list_and_item(call, arguments)?;
            Ok(call.apply(
                Type::Integer,
                vec![list, item],
                Box::new(|values, rows| {
                    let found = each(values, rows, |at| Some(at[0])).into_iter().zip(matches(values, rows)?);
                    Ok(Arc::new(found.map(|(known, found)| known.and(found)).collect::<Int64Array>()) as ArrayRef)
                }),
            ))
        }
        "list_has_any" | "list_has_all" => {
            let wants_all = call.name == "list_has_all";
            let [list, wanted] = exactly(call, arguments)?;
            let Some(items) = wanted.as_constant().filter(|_| matches!(wanted.of, Type::List(_))) else {
                return Err(wrong(wanted.at, format!("{} wants a list such as ['a', 'b'] here", call.name)));
            };
            let (items, wanted_type) = (items.as_list::<i32>().value(0), item_type(call, &wanted)?);
            let of = item_type(call, &list)?;
            let common = Type::common(&of, &wanted_type).filter(|common| *common == of);
            let items = match common {
                Some(_) => cast(&items, &wanted_type, &of, false)?,
                None if wanted_type == Type::Text => cast(&items, &Type::Text, &of, false)?,
                None => return Err(wrong(wanted.at, format!("a list of {of} has no items of {wanted_type}"))),
            };
            Ok(call.apply(
                Type::Boolean,
                vec![list],
                Box::new(move |values, rows| {
                    let mut found: Option<BooleanArray> = None;
                    for item in 0..items.len() {
                        let one = [values[0].clone(), Value::Same(items.slice(item, 1))];
                        let has: BooleanArray =
                            matches(&one, rows)?.into_iter().map(|found| Some(found.is_some())).collect();
                        found = Some(match found {
                            None => has,
                            Some(before) if wants_all => arrow::compute::and(&before, &has).map_err(internal)?,
                            Some(before) => arrow::compute::or(&before, &has).map_err(internal)?,
                        });
                    }
                    let found = found.unwrap_or_else(|| BooleanArray::from(vec![wants_all; rows]));
                    let known = each(values, rows, |_| Some(()));
                    Ok(Arc::new((0..rows).map(|row| known[row].map(|()| found.value(row))).collect::<BooleanArray>())
                        as ArrayRef)
                }),
            ))
        }
        "array_to_string" => {
            let [list, separator] = exactly(call, arguments)?;
            let of = item_type(call, &list)?;
            let separator = call.constant_text(&separator)?;
            Ok(call.apply(
                Type::Text,
                vec![list],
                Box::new(move |values, rows| {
                    let list: &ListArray = values[0].array().as_list();
                    let texts = cast(list.values(), &of, &Type::Text, false)?;
                    let texts = texts.as_string::<i32>();
                    let joined = |at: &[usize]| {
                        let items =
                            range(list, at[0]).filter(|item| texts.is_valid(*item)).map(|item| texts.value(item));
                        Some(items.collect::<Vec<_>>().join(&separator))
                    };
                    Ok(Arc::new(StringArray::from(each(values, rows, joined))) as ArrayRef)
                }),
            ))
        }
        _ => aggregate(call, arguments),
    }
}

fn exactly<const N: usize>(call: &Call<'_>, arguments: Vec<Node>) -> Result<[Node; N], EngineError> {
    arguments.try_into().map_err(|arguments: Vec<Node>| call.wrong_number(arguments.len(), &N.to_string()))
}

fn item_type(call: &Call<'_>, list: &Node) -> Result<Type, EngineError> {
    match &list.of {
        Type::List(item) => Ok((**item).clone()),
        _ => {
            let found = list.describe(&call.binder.columns);
            Err(wrong(list.at, format!("{} wants a list here, not {found}", call.name)))
        }
    }
}

/// The item takes the type of the list's, as DuckDB does it.
fn list_and_item(call: &Call<'_>, arguments: Vec<Node>) -> Result<(Node, Node), EngineError> {
    let [list, item] = exactly(call, arguments)?;
    let of = item_type(call, &list)?;
    if of.is_nested() {
        return Err(wrong(list.at, format!("{} cannot look for a {of}", call.name)));
    }
    let item = if of == Type::Json { call.binder.coerce(item, &Type::Text)? } else { call.binder.coerce(item, &of)? };
    Ok((list, item))
}

fn range(list: &ListArray, row: usize) -> std::ops::Range<usize> {
    let offsets = list.value_offsets();
    let position = |offset: i32| usize::try_from(offset).unwrap_or(0);
    position(offsets[row])..position(offsets[row + 1])
}

/// For each row the position, from 1, of an item in its list.
fn matches(values: &[Value], rows: usize) -> Result<Vec<Option<i64>>, EngineError> {
    let list: &ListArray = values[0].array().as_list();
    let items = list.values();
    let wanted = match &values[1] {
        Value::Same(item) => Value::Same(Arc::clone(item)),
        Value::Rows(array) => {
            // The item of its row beside each item of the lists.
            let mut places = vec![None; items.len()];
            for row in 0..list.len() {
                places[range(list, row)].fill(Some(row as u64));
            }
            Value::Rows(take(array, &UInt64Array::from(places), None).map_err(internal)?)
        }
    };
    let equal = compared(Comparison::Equal, &Value::Rows(Arc::clone(items)), &wanted)?.spread(items.len())?;
    let equal = equal.as_boolean();
    let is_equal = |item: &usize| equal.is_valid(*item) && equal.value(*item);
    let first = |row: usize| {
        let row = values[0].position(row);
        if list.is_null(row) {
            return None;
        }
        let range = range(list, row);
        range.clone().find(is_equal).map(|item| (item - range.start) as i64 + 1)
    };
    Ok((0..rows).map(first).collect())
}

/// The sum, mean, least or greatest of the numbers in a list; null without any.
fn aggregate(call: &Call<'_>, arguments: Vec<Node>) -> Result<Node, EngineError> {
    let [list] = exactly(call, arguments)?;
    let of = item_type(call, &list)?;
    if !of.is_number() {
        return Err(wrong(list.at, format!("{} wants a list of numbers, not {}", call.name, list.of)));
    }
    if of == Type::Integer && call.name != "list_avg" {
        let name = call.name.to_owned();
        let kernel = move |values: &[Value], rows: usize| {
            let list: &ListArray = values[0].array().as_list();
            let items: &Int64Array = list.values().as_primitive();
            let result = each(values, rows, |at| {
                let numbers =
                    range(list, at[0]).filter(|item| items.is_valid(*item)).map(|item| i128::from(items.value(item)));
                match name.as_str() {
                    "list_min" => numbers.min(),
                    "list_max" => numbers.max(),
                    _ => numbers.fold(None, |sum: Option<i128>, number| Some(sum.unwrap_or(0) + number)),
                }
            });
            let result = arrow::array::Decimal128Array::from(result).with_precision_and_scale(38, 0);
            Ok(Arc::new(result.map_err(internal)?) as ArrayRef)
        };
        return Ok(call.apply(HUGE, vec![list], Box::new(kernel)));
    }
    let name = call.name.to_owned();
    let kernel = move |values: &[Value], rows: usize| {
        let list: &ListArray = values[0].array().as_list();
        let items = cast(list.values(), &of, &Type::Double, false)?;
        let items: &Float64Array = items.as_primitive();
        // NaN is the greatest number.
        let lesser = |left: f64, right: f64| if left.total_cmp(&right).is_le() { left } else { right };
        let greater = |left: f64, right: f64| if left.total_cmp(&right).is_ge() { left } else { right };
        let result = each(values, rows, |at| {
            let numbers: Vec<f64> =
                range(list, at[0]).filter(|item| items.is_valid(*item)).map(|item| items.value(item)).collect();
            let count = numbers.len() as f64;
            match name.as_str() {
                "list_min" => numbers.into_iter().reduce(lesser),
                "list_max" => numbers.into_iter().reduce(greater),
                "list_sum" => numbers.into_iter().reduce(|sum, number| sum + number),
                _ => numbers.into_iter().reduce(|sum, number| sum + number).map(|sum| sum / count),
            }
        });
        Ok(Arc::new(Float64Array::from(result)) as ArrayRef)
    };
    Ok(call.apply(Type::Double, vec![list], Box::new(kernel)))
}

/// `value[index]`: an item of a list, a field of a struct or of JSON, a character of a text.
///
/// # Errors
/// [`Query`](ErrorKind::Query) when the value has no parts of that kind.
pub(in crate::query) fn index(binder: &Binder<'_>, value: Node, index: Node, at: usize) -> Result<Node, EngineError> {
    let call = Call { binder, name: "[…]", at };
    match value.of.clone() {
        Type::List(item) => {
            let index = call.argument(index, &Type::Integer)?;
            Ok(call.apply(
                *item,
                vec![value, index],
                Box::new(|values, rows| {
                    let list: &ListArray = values[0].array().as_list();
                    let indexes: &Int64Array = values[1].array().as_primitive();
                    let places = each(values, rows, |at| place(range(list, at[0]), indexes.value(at[1])));
                    take(list.values(), &UInt64Array::from(places), None).map_err(internal)
                }),
            ))
        }
        Type::Struct(fields) => {
            let key = call.constant_text(&index)?;
            let position = fields.iter().position(|(name, _)| *name == key);
            let position = position.ok_or_else(|| wrong(at, format!("there is no field \"{key}\" in {}", value.of)))?;
            let of = fields[position].1.clone();
            Ok(call.apply(of, vec![value], Box::new(move |values, _| child(values[0].array(), position))))
        }
        Type::Json => json(binder, value, &index, at),
        Type::Text => {
            let one = Node::constant(Arc::new(Int64Array::from(vec![1])), Type::Integer, false, at);
            super::bind(binder, "substr", vec![value, index, one], at)
        }
        _ => Err(wrong(at, format!("{} has no parts", value.describe(&binder.columns)))),
    }
}

/// Where an item stands: from 1, or from the end if negative.
fn place(range: std::ops::Range<usize>, index: i64) -> Option<u64> {
    let length = i64::try_from(range.len()).ok()?;
    let offset = if index > 0 { index - 1 } else { length.checked_add(index).filter(|_| index < 0)? };
    (0..length).contains(&offset).then(|| range.start as u64 + offset.unsigned_abs())
}

/// A member of JSON objects, or an item of JSON lists (from 0, as JSON paths count).
fn json(binder: &Binder<'_>, value: Node, key: &Node, at: usize) -> Result<Node, EngineError> {
    let call = Call { binder, name: "json_extract", at };
    let step: Vec<Step> = match (key.as_constant(), &key.of) {
        (Some(index), Type::Integer) => vec![Step::Item(index.as_primitive::<Int64Type>().value(0))],
        _ => steps(&call.constant_text(key)?),
    };
    let kernel = move |values: &[Value], rows: usize| {
        let texts = values[0].array().as_string::<i32>();
        let member = |at: &[usize]| {
            let mut value: JsonValue = serde_json::from_str(texts.value(at[0])).ok()?;
            for step in &step {
                value = match (step, value) {
                    (Step::Key(key), JsonValue::Object(mut members)) => members.remove(key)?,
                    (Step::Item(index), JsonValue::Array(mut items)) => {
                        let length = i64::try_from(items.len()).ok()?;
                        let index = if *index < 0 { length + index } else { *index };
                        let index = usize::try_from(index).ok().filter(|index| *index < items.len())?;
                        items.swap_remove(index)
                    }
                    _ => return None,
                };
            }
            (!value.is_null()).then(|| value.to_string())
        };
        Ok(Arc::new(StringArray::from(each(values, rows, member))) as ArrayRef)
    };
    if value.of != Type::Json {
        let found = value.describe(&binder.columns);
        return Err(EngineError::new(ErrorKind::Query, format!("{found} is no JSON")));
    }
    Ok(call.apply(Type::Json, vec![value], Box::new(kernel)))
}

enum Step {
    Key(String),
    Item(i64),
}

/// A key, or a path such as `$.a.b[0]`.
fn steps(path: &str) -> Vec<Step> {
    let Some(path) = path.strip_prefix('$') else { return vec![Step::Key(path.to_owned())] };
    let parts = path.split(['.', '[']).map(|part| part.trim_end_matches(']')).filter(|part| !part.is_empty());
    parts.map(|part| part.parse().map_or_else(|_| Step::Key(part.trim_matches('"').to_owned()), Step::Item)).collect()
}
