//! Texts that are dates, as today's reference tells them: by the first of a list of formats that fits each of the first
//! hundred values, if it is the same for all.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};

/// Values that decide.
pub(super) const DECIDING: usize = 100;

/// Directives as in Python's `strptime`. In this order: day before month.
const FORMATS: &[&str] = &[
    "%Y-%m-%dT%H:%M:%S%Z",
    "%Y-%m-%dT%H:%M:%S%z",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%dT%H:%M:%S.%f",
    "%Y-%m-%d %H:%M:%S%Z",
    "%Y-%m-%d %H:%M:%S%z",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d",
    "%d-%m-%Y %H:%M:%S%Z",
    "%d-%m-%Y %H:%M:%S%z",
    "%d-%m-%Y %H:%M:%S",
    "%d-%m-%Y %H:%M",
    "%d-%m-%Y",
    "%m-%d-%Y %H:%M:%S%Z",
    "%m-%d-%Y %H:%M:%S%z",
    "%m-%d-%Y %H:%M:%S",
    "%m-%d-%Y %H:%M",
    "%m-%d-%Y",
    "%Y/%m/%d %H:%M:%S%Z",
    "%Y/%m/%d %H:%M:%S%z",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%Y/%m/%d",
    "%d/%m/%Y %H:%M:%S%Z",
    "%d/%m/%Y %H:%M:%S%z",
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%d/%m/%Y",
    "%m/%d/%Y %H:%M:%S%Z",
    "%m/%d/%Y %H:%M:%S%z",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y",
    "%B %d, %Y",
    "%d %B %Y",
    "%m-%Y",
    "%Y-%m",
    "%m/%Y",
    "%Y/%m",
    "%Y",
];

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// A format of the list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Format(usize);

/// A date with its time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Moment {
    /// Microseconds since 1970 in UTC; without zone as if it were UTC.
    pub(super) micros: i64,
    /// Seconds east of UTC.
    pub(super) offset: i32,
}

/// The format that all values share; `None` without values.
pub(super) fn shared_format(values: &[String]) -> Option<Format> {
    let mut formats = values.iter().map(|value| first_format(value));
    let first = formats.next()??;
    formats.all(|format| format == Some(first)).then_some(first)
}

fn first_format(text: &str) -> Option<Format> {
    (0..FORMATS.len()).map(Format).find(|format| format.read(text).is_some())
}

/// True for a text that any format reads.
pub(super) fn is_date(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit()) && first_format(text).is_some()
}

impl Format {
    /// The moment that a text tells; `None` when it has another format or the date does not exist.
    pub(super) fn read(self, text: &str) -> Option<Moment> {
        let mut rest = text;
        let mut fields = Fields::default();
        let mut directives = FORMATS[self.0].chars();
        while let Some(directive) = directives.next() {
            match directive {
                '%' => fields.take(directives.next()?, &mut rest)?,
                ' ' => {
                    let trimmed = rest.trim_start();
                    rest = (trimmed.len() < rest.len()).then_some(trimmed)?;
                }
                literal => rest = rest.strip_prefix(|found: char| found.eq_ignore_ascii_case(&literal))?,
            }
        }
        if rest.is_empty() { fields.moment() } else { None }
    }
}

/// What was read so far.
struct Fields {
    year: i32,
    month: u32,
    day: u32,
    hour: u32,
    minute: u32,
    second: u32,
    micros: u32,
    offset: i32,
}

impl Default for Fields {
    fn default() -> Self {
        Self { year: 1900, month: 1, day: 1, hour: 0, minute: 0, second: 0, micros: 0, offset: 0 }
    }
}

impl Fields {
    fn take(&mut self, directive: char, rest: &mut &str) -> Option<()> {
        match directive {
            'Y' => self.year = i32::try_from(digits(rest, 4, 4)?).ok()?,
            'm' => self.month = digits(rest, 1, 2)?,
            'd' => self.day = digits(rest, 1, 2)?,
            'H' => self.hour = digits(rest, 1, 2)?,
            'M' => self.minute = digits(rest, 1, 2)?,
            'S' => self.second = digits(rest, 1, 2)?,
            'f' => {
                let length = rest.bytes().take(6).take_while(u8::is_ascii_digit).count();
                self.micros = digits(rest, 1, 6)? * 10_u32.pow(6 - u32::try_from(length).ok()?);
            }
            'z' => self.offset = offset(rest)?,
            'Z' => {
                let zone =
                    rest.get(..3).filter(|zone| ["utc", "gmt"].iter().any(|name| zone.eq_ignore_ascii_case(name)))?;
                *rest = &rest[zone.len()..];
            }
            'B' => {
                let starts = |name: &str| rest.get(..name.len()).is_some_and(|text| text.eq_ignore_ascii_case(name));
                let (number, name) = (1..).zip(MONTHS).find(|(_, name)| starts(name))?;
                self.month = number;
                *rest = &rest[name.len()..];
            }
            _ => return None,
        }
        Some(())
    }

    fn moment(&self) -> Option<Moment> {
        let date = NaiveDate::from_ymd_opt(self.year, self.month, self.day)?;
        let time = NaiveTime::from_hms_micro_opt(self.hour, self.minute, self.second, self.micros)?;
        let utc = NaiveDateTime::new(date, time).checked_sub_signed(TimeDelta::seconds(self.offset.into()))?;
        Some(Moment { micros: utc.and_utc().timestamp_micros(), offset: self.offset })
    }
}

/// Takes up to `most` digits.
fn digits(rest: &mut &str, least: usize, most: usize) -> Option<u32> {
    let length = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
    let (number, after) = rest.split_at(length);
    *rest = after;
    number.parse().ok().filter(|_| length >= least)
}

/// Takes `Z`, `+0100`, `-01:00`, with seconds if there are any.
fn offset(rest: &mut &str) -> Option<i32> {
    if let Some(after) = rest.strip_prefix(['Z', 'z']) {
        *rest = after;
        return Some(0);
    }
    let sign = match rest.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    *rest = &rest[1..];
    let hours = digits(rest, 2, 2)?;
    let mut seconds = hours * 3600;
    for unit in [60, 1] {
        let more = rest.strip_prefix(':').unwrap_or(rest);
        match more.as_bytes().first() {
            Some(digit) if digit.is_ascii_digit() => *rest = more,
            // Minutes have to be there.
            _ if unit == 60 => return None,
            _ => break,
        }
        seconds += digits(rest, 2, 2).filter(|value| *value < 60)? * unit;
    }
    (hours < 24).then_some(sign * i32::try_from(seconds).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(values: &[&str]) -> Option<&'static str> {
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        shared_format(&values).map(|format| FORMATS[format.0])
    }

    #[test]
    fn the_first_format_that_all_values_share_is_taken() {
        assert_eq!(shared(&["2024-01-05", "2023-12-31"]), Some("%Y-%m-%d"));
        assert_eq!(shared(&["1/2/2024", "3/4/2024"]), Some("%d/%m/%Y"));
        assert_eq!(shared(&["12/25/2024", "12/26/2024"]), Some("%m/%d/%Y"));
        assert_eq!(shared(&["1/2/2024", "12/25/2024"]), None);
        assert_eq!(shared(&["1001", "2020"]), Some("%Y"));
        assert_eq!(shared(&["2024-01-05T10:00:00Z"]), Some("%Y-%m-%dT%H:%M:%S%z"));
        assert_eq!(shared(&["2024-01-05T10:00:00UTC"]), Some("%Y-%m-%dT%H:%M:%S%Z"));
        assert_eq!(shared(&["may 5, 2024", "January 31, 1999"]), Some("%B %d, %Y"));
        assert_eq!(shared(&[]), None);
        for other in ["12", "May", "10:30", "1.5", "2024-02-30", "2024-01-05 ", "2024-01-05T10:00:00.5Z", "20240105"] {
            assert_eq!(shared(&[other]), None, "{other}");
        }
    }

    #[test]
    fn moments_are_in_utc_and_know_their_offset() {
        let read = |text: &str| first_format(text).unwrap().read(text).unwrap();
        assert_eq!(read("1970-01-01 01:00:00+01:00"), Moment { micros: 0, offset: 3600 });
        assert_eq!(read("1970-01-02T00:00:01.25"), Moment { micros: 86_401_250_000, offset: 0 });
        assert_eq!(read("1969-12-31 19:00:00-0500"), Moment { micros: 0, offset: -18_000 });
        assert_eq!(read("1 January 1970").micros, 0);
        assert!(is_date("1999") && !is_date("hello") && !is_date("é 1"));
    }
}
