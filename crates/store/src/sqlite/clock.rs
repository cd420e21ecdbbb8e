//! The database clock: strictly increasing, and without the leaps of the machine's.
//!
//! Somebody may set the clock of the machine, by an hour or by years. Leases and waiting times must neither end at once
//! then nor last for ever; so this clock begins with the machine's, counts the time that really passes, and comes nearer to
//! the machine's little by little.

use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime};

pub(super) struct Clock(Mutex<Hands>);

struct Hands {
    /// Microseconds since 1970.
    told: i64,
    at: Instant,
}

impl Clock {
    /// A clock that tells the machine's time now, or `last` if that is later: what waits for a time that was told by a wrong
    /// clock then waits no longer than it was meant to.
    pub(super) fn start(last: i64) -> Self {
        Self(Mutex::new(Hands { told: system_time().max(last), at: Instant::now() }))
    }

    /// Microseconds since 1970; later than anything told before, so that "later" is never in doubt.
    pub(super) fn tick(&self) -> i64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).advance(Instant::now(), system_time())
    }
}

impl Hands {
    fn advance(&mut self, at: Instant, machine: i64) -> i64 {
        let passed = i64::try_from(at.saturating_duration_since(self.at).as_micros()).unwrap_or(i64::MAX);
        let expected = self.told.saturating_add(passed);
        // At most twice as fast, at least half as fast: three signs of life fit into a lease all the same.
        let nearer = machine.saturating_sub(expected).clamp(-passed / 2, passed);
        self.told = (expected + nearer).max(self.told + 1);
        self.at = at;
        self.told
    }
}

fn system_time() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HOUR: i64 = 3_600_000_000;

    #[test]
    fn leaps_of_the_machine_are_caught_up_with_little_by_little() {
        let start = Instant::now();
        let after = |seconds: i64| start + Duration::from_secs(seconds as u64);
        let told = |seconds: i64| HOUR + seconds * 1_000_000;
        let mut hands = Hands { told: HOUR, at: start };
        assert_eq!(hands.advance(after(10), told(10)), told(10));
        // An hour ahead: twice as fast until it is there.
        assert_eq!(hands.advance(after(20), told(20) + HOUR), told(30));
        assert_eq!(hands.advance(after(4000), told(4000) + HOUR), told(4000) + HOUR);
        // And back: half as fast.
        assert_eq!(hands.advance(after(4010), told(4010)), told(4005) + HOUR);
        assert_eq!(hands.advance(after(20_000), told(20_000)), told(20_000));
    }

    #[test]
    fn it_never_stands_still() {
        let start = Instant::now();
        let mut hands = Hands { told: 5, at: start };
        assert_eq!(hands.advance(start, 0), 6);
        assert_eq!(hands.advance(start, 0), 7);
    }
}
