//! Times and durations as the texts of statistics.

use arrow::datatypes::TimeUnit as ArrowUnit;
use belvedere_domain::features::TimeUnit;
use chrono::{DateTime, FixedOffset, Offset, TimeZone};

use crate::cells::decimal;
use crate::cells::temporal::{self, Zone};

/// Units of a second.
pub(super) const fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// The zone of a column; one that nobody knows is told as UTC.
pub(super) fn zone(name: Option<&str>) -> Zone {
    Zone::parse(name).unwrap_or(Zone::None)
}

/// The zone so many seconds east of UTC.
pub(super) fn fixed_zone(offset: i32) -> Zone {
    FixedOffset::east_opt(offset).filter(|_| offset != 0).map_or(Zone::None, Zone::Fixed)
}

/// `2001-01-02 03:04:05`, followed by `+0900` where the offset is not zero. Fractions are dropped. `None` beyond the
/// calendar, some 262,000 years.
pub(super) fn moment(micros: i128, zone: &Zone) -> Option<String> {
    let seconds = i64::try_from(micros.div_euclid(1_000_000)).ok()?;
    let utc = DateTime::from_timestamp(seconds, 0)?.naive_utc();
    let offset = match zone {
        Zone::None => FixedOffset::east_opt(0)?,
        Zone::Fixed(offset) => *offset,
        Zone::Named(zone) => zone.offset_from_utc_datetime(&utc).fix(),
    };
    let local = utc.checked_add_offset(offset)?;
    let mut text = local.format("%Y-%m-%d %H:%M:%S").to_string();
    if offset.local_minus_utc() != 0 {
        text.push_str(&offset.to_string().replace(':', ""));
    }
    Some(text)
}

/// Microseconds of a number of seconds. Whole seconds are kept apart: many of them leave no room for a fraction.
pub(super) fn micros(seconds: f64) -> i128 {
    let whole = seconds.trunc();
    whole as i128 * 1_000_000 + ((seconds - whole) * 1e6).round_ties_even() as i128
}

/// A duration as Python prints it: `21 days, 22:05:14.802730`.
pub(super) fn seconds(seconds: f64) -> String {
    let mut text = String::new();
    let micros = i64::try_from(micros(seconds)).unwrap_or(i64::MAX);
    temporal::duration(&mut text, micros, ArrowUnit::Microsecond);
    text
}

/// `2001-01-02`.
pub(super) fn date(days: f64) -> String {
    let mut text = String::new();
    temporal::date(&mut text, days.floor() as i64);
    text
}

/// `03:04:05.678901`.
pub(super) fn time(units: f64, unit: TimeUnit) -> String {
    let mut text = String::new();
    temporal::time(&mut text, units.floor() as i64, arrow_unit(unit));
    text
}

/// The duration of so many units.
pub(super) fn duration(units: f64, unit: TimeUnit) -> String {
    let mut text = String::new();
    temporal::duration(&mut text, units.round_ties_even() as i64, arrow_unit(unit));
    text
}

/// A decimal with all its digits, as in rows: `-1.50`.
pub(super) fn decimal(value: i128, scale: i8) -> String {
    let mut text = String::new();
    decimal::decimal(&mut text, &value.to_string(), scale);
    text
}

const fn arrow_unit(unit: TimeUnit) -> ArrowUnit {
    match unit {
        TimeUnit::Second => ArrowUnit::Second,
        TimeUnit::Millisecond => ArrowUnit::Millisecond,
        TimeUnit::Microsecond => ArrowUnit::Microsecond,
        TimeUnit::Nanosecond => ArrowUnit::Nanosecond,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_drop_fractions_and_tell_offsets_other_than_zero() {
        let micros = 1_704_112_496_999_999;
        assert_eq!(moment(micros, &Zone::None).unwrap(), "2024-01-01 12:34:56");
        assert_eq!(moment(micros, &zone(Some("UTC"))).unwrap(), "2024-01-01 12:34:56");
        assert_eq!(moment(micros, &zone(Some("America/New_York"))).unwrap(), "2024-01-01 07:34:56-0500");
        assert_eq!(moment(-1, &fixed_zone(5_400)).unwrap(), "1970-01-01 01:29:59+0130");
        assert_eq!(moment(i128::from(i64::MAX) * 1_000_000, &Zone::None), None);
    }

    #[test]
    fn other_times_are_spelt_as_in_rows() {
        assert_eq!(seconds(1_893_914.802_73), "21 days, 22:05:14.802730");
        assert_eq!(seconds(187_438_731_922.631_32), "2169429 days, 18:25:22.631317");
        assert_eq!((seconds(0.0), date(11_324.5)), ("0:00:00".to_owned(), "2001-01-02".to_owned()));
        assert_eq!(time(11_045_678.0, TimeUnit::Millisecond), "03:04:05.678000");
        assert_eq!(duration(-5.0, TimeUnit::Second), "-1 day, 23:59:55");
    }

    #[test]
    fn decimals_keep_their_digits() {
        assert_eq!(decimal(-150, 2), "-1.50");
        assert_eq!((decimal(5, 3), decimal(7, 0)), ("0.005".into(), "7".into()));
    }
}
