//! Dates, times and durations as text, in the spelling of Python's standard library.

use std::fmt::Write;
use std::str::FromStr;

use arrow::datatypes::TimeUnit;
use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, NaiveDateTime, Offset, TimeDelta, TimeZone, Timelike};

/// Zone of a timestamp column: none, or its name or offset.
pub(crate) enum Zone {
    /// Local time of nowhere in particular.
    None,
    /// `+09:00`.
    Fixed(FixedOffset),
    /// `Europe/Paris`.
    Named(chrono_tz::Tz),
}

impl Zone {
    /// Reads `UTC`, `Europe/Paris`, `+09:00`, `-0300`; `None` when the name is unknown.
    pub(crate) fn parse(name: Option<&str>) -> Option<Self> {
        let Some(name) = name.filter(|name| !name.is_empty()) else { return Some(Self::None) };
        chrono_tz::Tz::from_str(name)
            .map(Self::Named)
            .ok()
            .or_else(|| FixedOffset::from_str(name).ok().map(Self::Fixed))
    }
}

/// Appends `2001-01-02T03:04:05.678901+09:00`: the fraction has six digits and is left out when zero, finer units are
/// truncated, an offset of zero is `Z`. Values beyond the calendar (some 262,000 years) are given as `<number> <unit>`.
pub(crate) fn timestamp(out: &mut String, value: i64, unit: TimeUnit, zone: &Zone) {
    let utc = match unit {
        TimeUnit::Second => DateTime::from_timestamp(value, 0),
        TimeUnit::Millisecond => DateTime::from_timestamp_millis(value),
        TimeUnit::Microsecond => DateTime::from_timestamp_micros(value),
        TimeUnit::Nanosecond => Some(DateTime::from_timestamp_nanos(value)),
    };
    let Some(utc) = utc.map(|utc| utc.naive_utc()) else {
        let _ = write!(out, "{value} {}", unit_name(unit));
        return;
    };
    let offset = match zone {
        Zone::None => return date_time(out, utc),
        Zone::Fixed(offset) => *offset,
        Zone::Named(zone) => zone.offset_from_utc_datetime(&utc).fix(),
    };
    match utc.checked_add_offset(offset) {
        Some(local) => {
            date_time(out, local);
            push_offset(out, offset);
        }
        None => {
            let _ = write!(out, "{value} {}", unit_name(unit));
        }
    }
}

/// Appends `2001-01-02`.
pub(crate) fn date(out: &mut String, days: i64) {
    match TimeDelta::try_days(days).and_then(|days| NaiveDate::default().checked_add_signed(days)) {
        Some(date) => push_date(out, date),
        None => {
            let _ = write!(out, "{days} d");
        }
    }
}

/// Appends `03:04:05` or `03:04:05.678901`; nanoseconds are truncated. Values outside of a day wrap around it.
pub(crate) fn time(out: &mut String, value: i64, unit: TimeUnit) {
    let micros = match unit {
        TimeUnit::Second => value.rem_euclid(86_400) * 1_000_000,
        TimeUnit::Millisecond => value.rem_euclid(86_400_000) * 1_000,
        TimeUnit::Microsecond => value.rem_euclid(86_400_000_000),
        TimeUnit::Nanosecond => value.rem_euclid(86_400_000_000_000) / 1_000,
    };
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let _ = write!(out, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    push_fraction(out, fraction);
}

/// Appends a duration as Python prints it: `1 day, 1:01:01`, `-1 day, 23:59:55`, `0:00:00.000005`. Nanoseconds have a
/// form of their own: `1 days 01:01:01.000001`, `0 days 00:00:00.000000001`.
pub(crate) fn duration(out: &mut String, value: i64, unit: TimeUnit) {
    let per_second = match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    };
    // Days are rounded down, so the rest of the day is never negative.
    let seconds = value.div_euclid(per_second);
    let nanos = value.rem_euclid(per_second) * (1_000_000_000 / per_second);
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (hours, minutes, seconds) = (rest / 3600, rest / 60 % 60, rest % 60);
    if unit == TimeUnit::Nanosecond {
        let sign = if days < 0 { "+" } else { "" };
        let _ = write!(out, "{days} days {sign}{hours:02}:{minutes:02}:{seconds:02}");
        match nanos % 1_000 {
            0 => push_fraction(out, nanos / 1_000),
            _ => {
                let _ = write!(out, ".{nanos:09}");
            }
        }
        return;
    }
    if days != 0 {
        let plural = if days.abs() == 1 { "" } else { "s" };
        let _ = write!(out, "{days} day{plural}, ");
    }
    let _ = write!(out, "{hours}:{minutes:02}:{seconds:02}");
    push_fraction(out, nanos / 1_000);
}

fn date_time(out: &mut String, value: NaiveDateTime) {
    push_date(out, value.date());
    let _ = write!(out, "T{:02}:{:02}:{:02}", value.hour(), value.minute(), value.second());
    push_fraction(out, i64::from(value.nanosecond() / 1_000));
}

fn push_date(out: &mut String, date: NaiveDate) {
    let _ = match date.year() {
        year @ 0..=9999 => write!(out, "{year:04}-{:02}-{:02}", date.month(), date.day()),
        year => write!(out, "{year:+05}-{:02}-{:02}", date.month(), date.day()),
    };
}

fn push_fraction(out: &mut String, micros: i64) {
    if micros != 0 {
        let _ = write!(out, ".{micros:06}");
    }
}

/// `Z` or `+09:00`; historical offsets with seconds go to the nearest minute.
fn push_offset(out: &mut String, offset: FixedOffset) {
    let seconds = offset.local_minus_utc();
    if seconds == 0 {
        out.push('Z');
        return;
    }
    let minutes = (seconds.abs() + 30) / 60;
    let sign = if seconds < 0 { '-' } else { '+' };
    let _ = write!(out, "{sign}{:02}:{:02}", minutes / 60, minutes % 60);
}

fn unit_name(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut String)) -> String {
        let mut out = String::new();
        write(&mut out);
        out
    }

    fn zoned(value: i64, unit: TimeUnit, zone: Option<&str>) -> String {
        let zone = Zone::parse(zone).expect("known zone");
        written(|out| timestamp(out, value, unit, &zone))
    }

    #[test]
    fn timestamps_follow_their_zone() {
        use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
        assert_eq!(zoned(978_404_645, Second, None), "2001-01-02T03:04:05");
        assert_eq!(zoned(978_404_645_678, Millisecond, None), "2001-01-02T03:04:05.678000");
        assert_eq!(zoned(978_404_645_678_901, Microsecond, Some("UTC")), "2001-01-02T03:04:05.678901Z");
        assert_eq!(zoned(978_404_645_000_000_999, Nanosecond, Some("Asia/Tokyo")), "2001-01-02T12:04:05+09:00");
        assert_eq!(zoned(978_404_645, Second, Some("-03:30")), "2001-01-01T23:34:05-03:30");
        assert_eq!(zoned(1_721_000_000, Second, Some("America/New_York")), "2024-07-14T19:33:20-04:00");
        assert_eq!(zoned(-3_000_000_000, Second, Some("Europe/Paris")), "1874-12-07T18:49:21+00:09");
    }

    #[test]
    fn values_before_1970_and_beyond_year_9999_are_readable() {
        assert_eq!(zoned(-1, TimeUnit::Microsecond, None), "1969-12-31T23:59:59.999999");
        assert_eq!(zoned(-62_135_596_800, TimeUnit::Second, None), "0001-01-01T00:00:00");
        assert_eq!(zoned(253_402_300_800, TimeUnit::Second, None), "+10000-01-01T00:00:00");
        assert_eq!(zoned(i64::MAX, TimeUnit::Second, None), "9223372036854775807 s");
        assert_eq!(written(|out| date(out, i64::from(i32::MAX))), "2147483647 d");
        assert_eq!(written(|out| date(out, -719_162)), "0001-01-01");
    }

    #[test]
    fn unknown_zones_are_told() {
        assert!(Zone::parse(Some("Mars/Olympus")).is_none());
        assert!(matches!(Zone::parse(Some("")), Some(Zone::None)));
    }

    #[test]
    fn times_truncate_nanoseconds() {
        assert_eq!(written(|out| time(out, 11_045, TimeUnit::Second)), "03:04:05");
        assert_eq!(written(|out| time(out, 11_045_678, TimeUnit::Millisecond)), "03:04:05.678000");
        assert_eq!(written(|out| time(out, 11_045_678_901_999, TimeUnit::Nanosecond)), "03:04:05.678901");
    }

    #[test]
    fn durations_are_spelt_as_python_does() {
        let micros = |value| written(|out| duration(out, value, TimeUnit::Microsecond));
        assert_eq!(micros(90_061_000_000), "1 day, 1:01:01");
        assert_eq!(micros(5_000_000), "0:00:05");
        assert_eq!(micros(-5_000_000), "-1 day, 23:59:55");
        assert_eq!(micros(5), "0:00:00.000005");
        assert_eq!(micros(-2 * 86_400_000_000), "-2 days, 0:00:00");
        assert_eq!(written(|out| duration(out, -86_400_007, TimeUnit::Millisecond)), "-2 days, 23:59:59.993000");
    }

    #[test]
    fn nanosecond_durations_have_their_own_form() {
        let nanos = |value| written(|out| duration(out, value, TimeUnit::Nanosecond));
        assert_eq!(nanos(0), "0 days 00:00:00");
        assert_eq!(nanos(1), "0 days 00:00:00.000000001");
        assert_eq!(nanos(1_000_000), "0 days 00:00:00.001000");
        assert_eq!(nanos(176_461_000_001_001), "2 days 01:01:01.000001001");
        assert_eq!(nanos(-1_000_000_000), "-1 days +23:59:59");
        assert_eq!(nanos(-259_199_999_999_995), "-3 days +00:00:00.000000005");
    }
}
