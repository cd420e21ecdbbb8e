//! Values written as texts, and back: as DuckDB casts them.

use chrono::{NaiveDate, NaiveTime, Timelike};

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// `true`, `t`, `yes`, `y`, `1` and their opposites, in any case.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "1" => Some(true),
        "false" | "f" | "no" | "n" | "0" => Some(false),
        _ => None,
    }
}

/// An integer; a fraction is rounded.
pub(super) fn integer(text: &str) -> Option<i128> {
    let text = text.trim();
    let plain = text.replace('_', "");
    if let Ok(value) = plain.parse::<i128>() {
        return Some(value);
    }
    if let Some(digits) = plain.strip_prefix("0x").or_else(|| plain.strip_prefix("0X")) {
        return i128::from_str_radix(digits, 16).ok();
    }
    decimal(&plain, 0).or_else(|| {
        let value = double(&plain).filter(|value| value.is_finite() && value.abs() < 1e37)?;
        Some(value.round() as i128)
    })
}

/// Units of 10^-scale, rounded half away from zero; no exponent.
pub(super) fn decimal(text: &str, scale: i8) -> Option<i128> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let scale = usize::try_from(scale).ok()?;
    let kept = &fraction[..fraction.len().min(scale)];
    let mut units: i128 = 0;
    for digit in whole.bytes().chain(kept.bytes()).chain(std::iter::repeat_n(b'0', scale - kept.len())) {
        units = units.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
    }
    if fraction.as_bytes().get(scale).is_some_and(|digit| *digit >= b'5') {
        units = units.checked_add(1)?;
    }
    if units > 10_i128.pow(38) - 1 {
        return None;
    }
    Some(if negative { -units } else { units })
}

/// A floating-point number, `inf` and `nan` among them.
pub(super) fn double(text: &str) -> Option<f64> {
    text.trim().replace('_', "").parse().ok()
}

/// Days since 1970 of `2024-01-31`, also with slashes and short months; a time behind it is left out.
pub(super) fn date(text: &str) -> Option<i32> {
    let (date, rest) = split_date(text.trim())?;
    if !rest.is_empty() {
        time_of_day(rest.trim_start_matches(['T', 't']).trim_start())?;
    }
    days(date)
}

fn days(date: NaiveDate) -> Option<i32> {
    i32::try_from(date.signed_duration_since(NaiveDate::default()).num_days()).ok()
}

fn split_date(text: &str) -> Option<(NaiveDate, &str)> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (year, rest) = leading_digits(rest)?;
    let separator = rest.chars().next().filter(|separator| matches!(separator, '-' | '/' | '\\' | ' '))?;
    let (month, rest) = leading_digits(&rest[1..])?;
    let (day, rest) = leading_digits(rest.strip_prefix(separator)?)?;
    if month.len() > 2 || day.len() > 2 {
        return None;
    }
    let year: i32 = year.parse().ok()?;
    let date = NaiveDate::from_ymd_opt(if negative { -year } else { year }, month.parse().ok()?, day.parse().ok()?)?;
    match rest.chars().next() {
        None | Some(' ' | 'T' | 't') => Some((date, rest)),
        _ => None,
    }
}

fn leading_digits(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|digit: char| !digit.is_ascii_digit()).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// Microseconds since midnight of `10:30`, `10:30:05.25`.
pub(super) fn time(text: &str) -> Option<i64> {
    let text = text.trim();
    let text = split_date(text).map_or(text, |(_, rest)| rest.trim_start_matches(['T', 't']).trim_start());
    match time_of_day(text)? {
        (micros, "") if micros < MICROS_PER_DAY => Some(micros),
        _ => None,
    }
}

/// Microseconds since midnight and what follows.
fn time_of_day(text: &str) -> Option<(i64, &str)> {
    let (hour, rest) = leading_digits(text)?;
    let (minute, mut rest) = leading_digits(rest.strip_prefix(':')?)?;
    let (mut second, mut micros) = (0, 0);
    if let Some(after) = rest.strip_prefix(':') {
        let (digits, after) = leading_digits(after)?;
        second = digits.parse().ok()?;
        rest = after;
        if let Some(after) = rest.strip_prefix('.') {
            let (digits, after) = leading_digits(after).unwrap_or(("", after));
            micros = format!("{digits:0<6.6}").parse().ok()?;
            rest = after;
        }
    }
    let (hour, minute): (i64, i64) = (hour.parse().ok()?, minute.parse().ok()?);
    if hour > 24 || minute > 59 || second > 59 || (hour == 24 && (minute, second, micros) != (0, 0, 0)) {
        return None;
    }
    Some((((hour * 60 + minute) * 60 + second) * 1_000_000 + micros, rest))
}

/// Microseconds since 1970 of a date with or without a time. An offset such as `+02:00` is applied if `zoned`, else left
/// out; without one the time is in UTC.
pub(super) fn timestamp(text: &str, zoned: bool) -> Option<i64> {
    let text = text.trim();
    let (date, rest) = split_date(text)?;
    let midnight = i64::from(days(date)?).checked_mul(MICROS_PER_DAY)?;
    let rest = rest.trim_start_matches(['T', 't']).trim_start();
    if rest.is_empty() {
        return Some(midnight);
    }
    let (micros, rest) = time_of_day(rest)?;
    let offset = offset(rest.trim_start())?;
    midnight.checked_add(micros)?.checked_sub(if zoned { offset } else { 0 })
}

/// Microseconds east of UTC.
fn offset(text: &str) -> Option<i64> {
    if text.is_empty() || text.eq_ignore_ascii_case("z") || text.eq_ignore_ascii_case("utc") {
        return Some(0);
    }
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, rest) = leading_digits(rest)?;
    let (hours, minutes): (i64, i64) = match (hours.len(), rest.strip_prefix(':')) {
        (1 | 2, Some(minutes)) => (hours.parse().ok()?, minutes.parse().ok()?),
        (1 | 2, None) if rest.is_empty() => (hours.parse().ok()?, 0),
        (4, None) if rest.is_empty() => (hours[..2].parse().ok()?, hours[2..].parse().ok()?),
        _ => return None,
    };
    (hours < 16 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60_000_000)
}

/// Microseconds of `1 day 2 hours`, `90 seconds`, `01:30:00`. Months and years have no fixed length and are refused.
pub(super) fn duration(text: &str) -> Option<i64> {
    let text = text.trim();
    let (negative, text) = match text.strip_prefix('-') {
        Some(text) => (true, text.trim_start()),
        None => (false, text),
    };
    let mut total: i64 = 0;
    let mut words = text.split_whitespace().peekable();
    words.peek()?;
    while let Some(word) = words.next() {
        let micros = if word.contains(':') {
            time_of_day(word).filter(|(_, rest)| rest.is_empty())?.0
        } else {
            let number: f64 = word.parse().ok()?;
            let unit = match words.next()?.trim_end_matches(',').to_ascii_lowercase().trim_end_matches('s') {
                "week" => 7.0 * 86_400e6,
                "day" => 86_400e6,
                "hour" | "h" => 3_600e6,
                "minute" | "min" | "m" => 60e6,
                "second" | "sec" | "s" => 1e6,
                "millisecond" | "milli" => 1e3,
                "microsecond" | "micro" => 1.0,
                _ => return None,
            };
            let micros = number * unit;
            if micros.abs() >= 9e18 {
                return None;
            }
            micros as i64
        };
        total = total.checked_add(micros)?;
    }
    Some(if negative { -total } else { total })
}

/// As DuckDB prints it: `1.0`, `1e+20`, `inf`.
pub(super) fn of_double(value: f64) -> String {
    let shortest = format!("{value:e}");
    of_float(value, &shortest)
}

/// The same for 32 bits.
pub(super) fn of_single(value: f32) -> String {
    let shortest = format!("{value:e}");
    of_float(f64::from(value), &shortest)
}

fn of_float(value: f64, shortest: &str) -> String {
    if value.is_nan() {
        return "nan".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf".into() } else { "-inf".into() };
    }
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((shortest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let digits = mantissa.replace(['-', '.'], "");
        let sign = if mantissa.starts_with('-') { "-" } else { "" };
        let length = i32::try_from(digits.len()).unwrap_or(i32::MAX);
        return if exponent < 0 {
            format!("{sign}0.{}{digits}", "0".repeat(usize::try_from(-exponent - 1).unwrap_or(0)))
        } else if length <= exponent + 1 {
            format!("{sign}{digits}{}.0", "0".repeat(usize::try_from(exponent + 1 - length).unwrap_or(0)))
        } else {
            let (whole, fraction) = digits.split_at(usize::try_from(exponent + 1).unwrap_or(0));
            format!("{sign}{whole}.{fraction}")
        };
    }
    format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

/// `1.50` from units of 10^-scale.
pub(super) fn of_decimal(units: i128, scale: i8) -> String {
    let scale = usize::try_from(scale).unwrap_or(0);
    let digits = format!("{:0>width$}", units.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let point = if scale > 0 { "." } else { "" };
    format!("{}{whole}{point}{fraction}", if units < 0 { "-" } else { "" })
}

/// `2024-01-31`
pub(super) fn of_date(days: i32) -> String {
    let date = NaiveDate::default().checked_add_signed(chrono::TimeDelta::days(i64::from(days)));
    date.map_or_else(|| format!("{days} days"), |date| date.format("%Y-%m-%d").to_string())
}

/// `10:30:05.25`
pub(super) fn of_time(micros: i64) -> String {
    let seconds = u32::try_from(micros.div_euclid(1_000_000)).unwrap_or(0);
    let nanos = u32::try_from(micros.rem_euclid(1_000_000) * 1_000).unwrap_or(0);
    let Some(time) = NaiveTime::from_num_seconds_from_midnight_opt(seconds, nanos) else { return "24:00:00".into() };
    let mut text = time.format("%H:%M:%S").to_string();
    if time.nanosecond() > 0 {
        let fraction = format!("{:06}", time.nanosecond() / 1_000);
        text.push('.');
        text.push_str(fraction.trim_end_matches('0'));
    }
    text
}

/// `2024-01-31 10:30:05.25`, with `+00` where it is an instant.
pub(super) fn of_timestamp(micros: i64, zoned: bool) -> String {
    let days = i32::try_from(micros.div_euclid(MICROS_PER_DAY)).unwrap_or(i32::MAX);
    let zone = if zoned { "+00" } else { "" };
    format!("{} {}{zone}", of_date(days), of_time(micros.rem_euclid(MICROS_PER_DAY)))
}
