//! Dates and times as Arrow's JSON reader recognizes them.

use chrono::NaiveDate;

/// Seconds since 1970 of `YYYY-MM-DD`, or with `T` or a space and `hh`, `hh:mm` or `hh:mm:ss`, and after a time `Z`,
/// `±hh`, `±hhmm` or `±hh:mm`. `None`: just a text.
pub(super) fn seconds(text: &[u8]) -> Option<i64> {
    // Cheap tests first: most texts are no dates.
    if !(10..=25).contains(&text.len()) || text[4] != b'-' || text[7] != b'-' {
        return None;
    }
    let date =
        NaiveDate::from_ymd_opt(i32::try_from(number(&text[..4])?).ok()?, number(&text[5..7])?, number(&text[8..10])?)?;
    let midnight = date.and_hms_opt(0, 0, 0)?.and_utc().timestamp();
    let rest = match &text[10..] {
        [] => return Some(midnight),
        [b'T' | b' ', rest @ ..] => rest,
        _ => return None,
    };
    let zone_at = rest.iter().position(|byte| matches!(byte, b'Z' | b'+' | b'-')).unwrap_or(rest.len());
    let (time, zone) = rest.split_at(zone_at);
    Some(midnight + clock(time)? - offset(zone)?)
}

fn clock(time: &[u8]) -> Option<i64> {
    let (hours, minutes, seconds) = match *time {
        [_, _] => (number(time)?, 0, 0),
        [_, _, b':', _, _] => (number(&time[..2])?, number(&time[3..])?, 0),
        [_, _, b':', _, _, b':', _, _] => (number(&time[..2])?, number(&time[3..5])?, number(&time[6..])?),
        _ => return None,
    };
    (hours < 24 && minutes < 60 && seconds < 60).then(|| i64::from(hours * 3600 + minutes * 60 + seconds))
}

fn offset(zone: &[u8]) -> Option<i64> {
    let (sign, digits) = match zone {
        [] | [b'Z'] => return Some(0),
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match *digits {
        [_, _] => (number(digits)?, 0),
        [_, _, _, _] => (number(&digits[..2])?, number(&digits[2..])?),
        [_, _, b':', _, _] => (number(&digits[..2])?, number(&digits[3..])?),
        _ => return None,
    };
    (hours < 24 && minutes < 60).then(|| sign * i64::from(hours * 3600 + minutes * 60))
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, digit| digit.is_ascii_digit().then(|| value * 10 + u32::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_full_dates_with_whole_seconds_are_times() {
        const DAY: i64 = 1_577_836_800;
        for (text, expected) in [
            ("2020-01-01", Some(DAY)),
            ("2020-01-01T12", Some(DAY + 43_200)),
            ("2020-01-01 12:30", Some(DAY + 45_000)),
            ("2020-01-01T12:30:05", Some(DAY + 45_005)),
            ("2020-01-01T12:30:05Z", Some(DAY + 45_005)),
            ("2020-01-01T12Z", Some(DAY + 43_200)),
            ("2020-01-01T12:30:05+01", Some(DAY + 41_405)),
            ("2020-01-01T12:30:05+0130", Some(DAY + 39_605)),
            ("2020-01-01T12:30:05-01:30", Some(DAY + 50_405)),
            ("0000-01-01", Some(-62_167_219_200)),
            ("2020-01-01Z", None),
            ("2020-01-01T", None),
            ("2020-01-01T1230", None),
            ("2020-01-01T123005", None),
            ("2020-01-01T12:30:05.0", None),
            ("2020-01-01T12:30:05z", None),
            ("2020-01-01T24:00:00", None),
            ("2020-01-01T23:59:60", None),
            ("2020-01-01T12:30:05+1:00", None),
            ("2020-02-30", None),
            ("2020-1-1", None),
            ("20200101", None),
            ("12:30:05", None),
            ("", None),
        ] {
            assert_eq!(seconds(text.as_bytes()), expected, "{text}");
        }
    }
}
