//! Functions of dates, times and instants. Instants are looked at in UTC; weeks are those of ISO 8601.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, TimestampMicrosecondArray};
use arrow::datatypes::{Time64MicrosecondType, TimestampMicrosecondType};
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Timelike};

use super::super::node::{Node, Value};
use super::super::types::Type;
use super::super::wrong;
use super::{Call, each};
use crate::error::EngineError;

pub(super) const NAMES: &[&str] = &[
    "date_diff",
    "date_part",
    "date_trunc",
    "day",
    "dayofmonth",
    "dayofweek",
    "dayofyear",
    "decade",
    "epoch",
    "epoch_ms",
    "hour",
    "isodow",
    "microsecond",
    "millisecond",
    "minute",
    "month",
    "quarter",
    "second",
    "week",
    "weekday",
    "weekofyear",
    "year",
];

/// Binds a call of one of [`NAMES`].
pub(super) fn bind(call: &Call<'_>, mut arguments: Vec<Node>) -> Result<Node, EngineError> {
    if arguments.is_empty() {
        return Err(call.wrong_number(0, "at least 1"));
    }
    let part = match call.name {
        "date_part" | "date_trunc" | "date_diff" => {
            let part = call.constant_text(&arguments.remove(0))?.to_ascii_lowercase();
            part.trim_end_matches('s').to_owned()
        }
        name => name.to_owned(),
    };
    let unknown = || wrong(call.at, format!("{} knows no '{}'", call.name, super::super::parse::shortened(&part)));
    match call.name {
        "date_trunc" => {
            let [value] = instants::<1>(call, arguments)?;
            truncated(&part, NaiveDateTime::default()).ok_or_else(unknown)?;
            Ok(call.apply(
                Type::Timestamp,
                vec![value],
                Box::new(move |values, rows| {
                    let array: &TimestampMicrosecondArray = values[0].array().as_primitive();
                    let start = |at: &[usize]| {
                        Some(truncated(&part, moment(array.value(at[0]))?)?.and_utc().timestamp_micros())
                    };
                    Ok(Arc::new(TimestampMicrosecondArray::from(each(values, rows, start))) as ArrayRef)
                }),
            ))
        }
        "date_diff" => {
            let [from, to] = instants::<2>(call, arguments)?;
            boundary(&part, NaiveDateTime::default()).ok_or_else(unknown)?;
            Ok(call.apply(
                Type::Integer,
                vec![from, to],
                Box::new(move |values, rows| {
                    let [from, to]: [&TimestampMicrosecondArray; 2] =
                        [values[0].array().as_primitive(), values[1].array().as_primitive()];
                    let count = |at: &[usize]| {
                        Some(boundary(&part, moment(to.value(at[1]))?)? - boundary(&part, moment(from.value(at[0]))?)?)
                    };
                    Ok(Arc::new(Int64Array::from(each(values, rows, count))) as ArrayRef)
                }),
            ))
        }
        _ if arguments[0].of == Type::Time => {
            of_instant(&part, NaiveDateTime::default()).filter(|_| is_of_day(&part)).ok_or_else(unknown)?;
            Ok(call.apply(
                Type::Integer,
                arguments,
                Box::new(move |values, rows| {
                    let array = values[0].array().as_primitive::<Time64MicrosecondType>();
                    Ok(Arc::new(Int64Array::from(each(values, rows, |at| {
                        of_instant(&part, moment(array.value(at[0]))?)
                    }))) as ArrayRef)
                }),
            ))
        }
        "epoch" => {
            let [value] = instants::<1>(call, arguments)?;
            Ok(call.apply(
                Type::Double,
                vec![value],
                Box::new(|values: &[Value], _| {
                    let array = values[0].array().as_primitive::<TimestampMicrosecondType>();
                    let seconds: Float64Array = array.unary(|micros| micros as f64 / 1e6);
                    Ok(Arc::new(seconds) as ArrayRef)
                }),
            ))
        }
        _ => {
            let [value] = instants::<1>(call, arguments)?;
            of_instant(&part, NaiveDateTime::default()).ok_or_else(unknown)?;
            Ok(call.apply(
                Type::Integer,
                vec![value],
                Box::new(move |values, rows| {
                    let array: &TimestampMicrosecondArray = values[0].array().as_primitive();
                    Ok(Arc::new(Int64Array::from(each(values, rows, |at| {
                        of_instant(&part, moment(array.value(at[0]))?)
                    }))) as ArrayRef)
                }),
            ))
        }
    }
}

fn instants<const N: usize>(call: &Call<'_>, arguments: Vec<Node>) -> Result<[Node; N], EngineError> {
    let arguments = call.arguments(arguments, [&Type::Timestamp; N])?;
    arguments.try_into().map_err(|arguments: Vec<Node>| call.wrong_number(arguments.len(), &N.to_string()))
}

fn moment(micros: i64) -> Option<NaiveDateTime> {
    DateTime::from_timestamp_micros(micros).map(|moment| moment.naive_utc())
}

fn is_of_day(part: &str) -> bool {
    matches!(part, "hour" | "minute" | "second" | "millisecond" | "microsecond")
}

fn of_instant(part: &str, moment: NaiveDateTime) -> Option<i64> {
    Some(match part {
        "year" => i64::from(moment.year()),
        "decade" => i64::from(moment.year()).div_euclid(10),
        "quarter" => i64::from(moment.month0() / 3 + 1),
        "month" => i64::from(moment.month()),
        "week" | "weekofyear" => i64::from(moment.iso_week().week()),
        "day" | "dayofmonth" => i64::from(moment.day()),
        "dayofweek" | "weekday" | "dow" => i64::from(moment.weekday().num_days_from_sunday()),
        "isodow" => i64::from(moment.weekday().number_from_monday()),
        "dayofyear" | "doy" => i64::from(moment.ordinal()),
        "hour" => i64::from(moment.hour()),
        "minute" => i64::from(moment.minute()),
        "second" => i64::from(moment.second()),
        "millisecond" => i64::from(moment.second()) * 1_000 + i64::from(moment.nanosecond() / 1_000_000),
        "microsecond" => i64::from(moment.second()) * 1_000_000 + i64::from(moment.nanosecond() / 1_000),
        "epoch_ms" | "epoch_m" => moment.and_utc().timestamp_millis(),
        _ => return None,
    })
}

fn truncated(part: &str, moment: NaiveDateTime) -> Option<NaiveDateTime> {
    let (date, time) = (moment.date(), moment.time());
    let first = |year, month| NaiveDate::from_ymd_opt(year, month, 1).map(NaiveDateTime::from);
    match part {
        "year" => first(moment.year(), 1),
        "quarter" => first(moment.year(), moment.month0() / 3 * 3 + 1),
        "month" => first(moment.year(), moment.month()),
        "week" => {
            let monday = date.checked_sub_days(chrono::Days::new(u64::from(date.weekday().num_days_from_monday())))?;
            Some(monday.into())
        }
        "day" => Some(date.into()),
        "hour" => date.and_hms_opt(time.hour(), 0, 0),
        "minute" => date.and_hms_opt(time.hour(), time.minute(), 0),
        "second" => date.and_hms_opt(time.hour(), time.minute(), time.second()),
        "millisecond" => {
            date.and_hms_milli_opt(time.hour(), time.minute(), time.second(), time.nanosecond() / 1_000_000)
        }
        _ => None,
    }
}

/// Number of the year, month, … that a moment is in: differences count the boundaries between two moments.
fn boundary(part: &str, moment: NaiveDateTime) -> Option<i64> {
    let micros = moment.and_utc().timestamp_micros();
    let days = micros.div_euclid(86_400_000_000);
    Some(match part {
        "year" => i64::from(moment.year()),
        "quarter" => i64::from(moment.year()) * 4 + i64::from(moment.month0() / 3),
        "month" => i64::from(moment.year()) * 12 + i64::from(moment.month0()),
        // 1970 began on a Thursday.
        "week" => (days + 3).div_euclid(7),
        "day" => days,
        "hour" => micros.div_euclid(3_600_000_000),
        "minute" => micros.div_euclid(60_000_000),
        "second" => micros.div_euclid(1_000_000),
        "millisecond" => micros.div_euclid(1_000),
        _ => return None,
    })
}
