//! Points in time as the store keeps them: microseconds since 1970 in UTC, always taken from the database clock.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Microseconds since 1970-01-01T00:00:00 UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Seconds from `earlier` to `self`; negative when `earlier` is later.
    pub fn seconds_since(self, earlier: Self) -> f64 {
        (self.0 - earlier.0) as f64 / 1e6
    }
}

impl fmt::Display for Timestamp {
    /// ISO 8601 without a zone: six fraction digits, or none when the fraction is zero.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match chrono::DateTime::from_timestamp_micros(self.0) {
            Some(time) if time.timestamp_subsec_micros() == 0 => write!(f, "{}", time.format("%Y-%m-%dT%H:%M:%S")),
            Some(time) => write!(f, "{}", time.format("%Y-%m-%dT%H:%M:%S%.6f")),
            None => write!(f, "{}us", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_six_digits_or_no_fraction() {
        assert_eq!(Timestamp(1_000_000).to_string(), "1970-01-01T00:00:01");
        assert_eq!(Timestamp(1_002_000).to_string(), "1970-01-01T00:00:01.002000");
    }
}
