//! When a cluster that does not answer is asked again: later and later, so that its login nodes see no storm.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::ClusterError;

const LONGEST: Duration = Duration::from_secs(15 * 60);
/// How often a note is written although nothing changed.
const NOTE_EVERY: Duration = Duration::from_secs(30);

/// The way to one cluster.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    pause: Duration,
    open_until: Option<Instant>,
    trouble: Option<(&'static str, String)>,
    /// Jobs of ours there that the store knows nothing of.
    orphans: BTreeSet<String>,
    changed: bool,
    noted: Option<Instant>,
}

impl Breaker {
    /// It is not to be asked now. When the pause is over one question is let through.
    pub(super) fn is_open(&self, now: Instant) -> bool {
        self.open_until.is_some_and(|until| now < until)
    }

    pub(super) fn close(&mut self) {
        self.changed |= self.trouble.is_some() || self.noted.is_none();
        let orphans = std::mem::take(&mut self.orphans);
        *self = Self { changed: self.changed, noted: self.noted, orphans, ..Self::default() };
    }

    /// Notes which jobs of ours the store knows nothing of. True if there are others than before.
    pub(super) fn note_orphans(&mut self, orphans: BTreeSet<String>) -> bool {
        let news = !orphans.is_subset(&self.orphans);
        self.changed |= orphans != self.orphans;
        self.orphans = orphans;
        news
    }

    /// Notes a failure; how long to wait, at least `first`. `chance` spreads those who wait.
    pub(super) fn fail(&mut self, error: &ClusterError, first: Duration, chance: u8, now: Instant) -> Duration {
        self.failures += 1;
        let word = match error {
            // Only an operator can mend that.
            ClusterError::WrongHost(_) => {
                self.pause = LONGEST;
                "wrong_host"
            }
            _ => {
                // Between the first pause and three times the last one.
                let most = (self.pause * 3).clamp(first, LONGEST.max(first));
                self.pause = first + (most - first).mul_f64(f64::from(chance) / 255.0);
                "away"
            }
        };
        self.open_until = Some(now + self.pause);
        self.trouble = Some((word, error.to_string()));
        self.changed = true;
        self.pause
    }

    /// A note for the store, if it is time for one.
    pub(super) fn news(&mut self, now: Instant) -> Option<String> {
        let old = self.noted.is_none_or(|noted| now.duration_since(noted) >= NOTE_EVERY);
        if !self.changed && !old {
            return None;
        }
        (self.changed, self.noted) = (false, Some(now));
        let mut note = match &self.trouble {
            None => json!({"state": "ok"}),
            Some((state, message)) => json!({"state": state, "message": message, "failures": self.failures}),
        };
        if !self.orphans.is_empty() {
            note["unknown_jobs"] = json!(self.orphans);
        }
        Some(note.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_secs(5);

    /// e032 | a cluster refuses the key | one attempt to connect, then pauses that grow to a quarter of an hour; one question is let through when a pause is over
    #[test]
    fn e032_a_cluster_that_refuses_is_left_alone() {
        let mut breaker = Breaker::default();
        let away = ClusterError::Away("Permission denied (publickey)".into());
        let begin = Instant::now();
        assert!(!breaker.is_open(begin));
        let mut asked = 0;
        for second in 0..3600 {
            let now = begin + Duration::from_secs(second);
            if !breaker.is_open(now) {
                asked += 1;
                breaker.fail(&away, FIRST, 200, now);
            }
        }
        assert!((4..=20).contains(&asked), "{asked}");
        assert!(breaker.news(begin).unwrap().contains(r#""state":"away""#));
        assert_eq!(breaker.news(begin), None);
        breaker.close();
        assert!(!breaker.is_open(begin));
        assert_eq!(breaker.news(begin).as_deref(), Some(r#"{"state":"ok"}"#));
        assert_eq!(breaker.fail(&ClusterError::WrongHost("key".into()), FIRST, 0, begin), LONGEST);
    }
}
