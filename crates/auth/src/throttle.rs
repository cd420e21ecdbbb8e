//! Slows down who guesses passwords: failed attempts are counted by whom they come from and whom they are about.
//!
//! Each subject has an allowance of failures that grows back with time. Attempts beyond are refused before a password is
//! looked at. The allowance of one address for one user is small; that of one user from everywhere is larger, so that
//! a stranger can hardly keep the user out; that of one address for all users is in between.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;

/// Subjects that are remembered; beyond, those with the most allowance are forgotten.
const MAX_SUBJECTS: usize = 10_000;

/// How many failures a subject may have.
#[derive(Clone, Copy, Debug)]
struct Allowance {
    at_once: f64,
    /// Seconds until one more is allowed.
    every_seconds: f64,
}

const PAIR: Allowance = Allowance { at_once: 5.0, every_seconds: 30.0 };
const ADDRESS: Allowance = Allowance { at_once: 20.0, every_seconds: 10.0 };
const USER: Allowance = Allowance { at_once: 50.0, every_seconds: 10.0 };

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Subject {
    Pair(IpAddr, String),
    Address(IpAddr),
    User(String),
}

impl Subject {
    fn allowance(&self) -> Allowance {
        match self {
            Self::Pair(..) => PAIR,
            Self::Address(_) => ADDRESS,
            Self::User(_) => USER,
        }
    }

    fn all(address: IpAddr, user: &str) -> [Self; 3] {
        // An IPv6 network of one owner has more addresses than could be counted.
        let address = match address {
            IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
            v4 @ IpAddr::V4(_) => v4,
        };
        // Names longer than any user's stand for one.
        let user: String = user.chars().take(64).collect();
        [Self::Pair(address, user.clone()), Self::Address(address), Self::User(user)]
    }
}

/// Failures of one subject: how many count at a time. They fade.
#[derive(Clone, Copy, Debug)]
struct Count {
    failures: f64,
    at: f64,
}

impl Count {
    fn at(self, allowance: Allowance, now: f64) -> f64 {
        (self.failures - (now - self.at).max(0.0) / allowance.every_seconds).max(0.0)
    }
}

/// Failed attempts of the last minutes. Times are seconds that never run backwards.
#[derive(Debug, Default)]
pub struct Throttle {
    counts: HashMap<Subject, Count>,
}

impl Throttle {
    /// Takes note of an attempt as if it failed; one that succeeds is taken back with [`Throttle::succeeded`]. So no
    /// number of attempts at the same time passes.
    ///
    /// # Errors
    /// Whole seconds to wait, where the attempt must not be made.
    pub fn attempt(&mut self, address: IpAddr, user: &str, now: f64) -> Result<(), u32> {
        let subjects = Subject::all(address, user);
        let mut wait: f64 = 0.0;
        for subject in &subjects {
            let allowance = subject.allowance();
            let failures = self.counts.get(subject).map_or(0.0, |count| count.at(allowance, now));
            let above = failures + 1.0 - allowance.at_once;
            wait = wait.max(above * allowance.every_seconds);
        }
        if wait > 0.0 {
            return Err(wait.ceil() as u32);
        }
        self.make_room(now);
        for subject in subjects {
            let allowance = subject.allowance();
            let count = self.counts.entry(subject).or_insert(Count { failures: 0.0, at: now });
            *count = Count { failures: count.at(allowance, now) + 1.0, at: now };
        }
        Ok(())
    }

    /// The attempt was the user: nothing of it counts, nor what this address had tried for the user before.
    pub fn succeeded(&mut self, address: IpAddr, user: &str) {
        let [pair, others @ ..] = Subject::all(address, user);
        self.counts.remove(&pair);
        for subject in others {
            if let Some(count) = self.counts.get_mut(&subject) {
                count.failures = (count.failures - 1.0).max(0.0);
            }
        }
    }

    fn make_room(&mut self, now: f64) {
        if self.counts.len() + 3 <= MAX_SUBJECTS {
            return;
        }
        self.counts.retain(|subject, count| count.at(subject.allowance(), now) > 0.0);
        if self.counts.len() + 3 > MAX_SUBJECTS {
            // Half of them at once, so that this does not happen at every attempt.
            let share =
                |subject: &Subject, count: &Count| count.at(subject.allowance(), now) / subject.allowance().at_once;
            let mut shares: Vec<f64> = self.counts.iter().map(|(subject, count)| share(subject, count)).collect();
            shares.sort_by(f64::total_cmp);
            let middle = shares[shares.len() / 2];
            self.counts.retain(|subject, count| share(subject, count) > middle);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn a_guesser_is_stopped_and_may_try_again_later() {
        let mut throttle = Throttle::default();
        for _ in 0..5 {
            assert_eq!(throttle.attempt(address(1), "ana", 100.0), Ok(()));
        }
        assert_eq!(throttle.attempt(address(1), "ana", 100.0), Err(30));
        assert_eq!(throttle.attempt(address(1), "ana", 120.0), Err(10));
        assert_eq!(throttle.attempt(address(2), "ana", 120.0), Ok(()), "the user may come from elsewhere");
        assert_eq!(throttle.attempt(address(1), "ben", 120.0), Ok(()));
        assert_eq!(throttle.attempt(address(1), "ana", 131.0), Ok(()));
        assert_eq!(throttle.attempt(address(1), "ana", 131.0), Err(30));
    }

    #[test]
    fn a_success_clears_the_way() {
        let mut throttle = Throttle::default();
        for _ in 0..1000 {
            assert_eq!(throttle.attempt(address(1), "ana", 100.0), Ok(()));
            throttle.succeeded(address(1), "ana");
        }
        assert_eq!(throttle.counts.values().map(|count| count.failures).sum::<f64>(), 0.0);
    }

    #[test]
    fn many_users_from_one_address_and_many_addresses_for_one_user_are_stopped() {
        let mut throttle = Throttle::default();
        let tried = (0..100).filter(|n| throttle.attempt(address(1), &format!("user{n}"), 0.0).is_ok()).count();
        assert_eq!(tried, 20);
        let mut throttle = Throttle::default();
        let tried = (0..100).filter(|n| throttle.attempt(address(*n), "ana", 0.0).is_ok()).count();
        assert_eq!(tried, 50);
        let mut throttle = Throttle::default();
        let v6 = |n: u128| IpAddr::V6((0x2001_0db8_u128 << 96 | n).into());
        let tried = (0..100).filter(|n| throttle.attempt(v6(*n), &format!("user{n}"), 0.0).is_ok()).count();
        assert_eq!(tried, 20, "a network counts as one address");
    }

    #[test]
    fn its_memory_is_bounded_and_the_worst_are_remembered() {
        let mut throttle = Throttle::default();
        while throttle.attempt(address(1), "ana", 0.0).is_ok() {}
        for n in 0..30_000_u32 {
            let _ = throttle.attempt(IpAddr::from(n.to_be_bytes()), &format!("user{n}"), 1.0);
            assert!(throttle.counts.len() <= MAX_SUBJECTS);
        }
        assert!(throttle.attempt(address(1), "ana", 1.0).is_err());
    }
}
