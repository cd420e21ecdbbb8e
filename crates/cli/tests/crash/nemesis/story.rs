//! What was done to the processes of a round, and when.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::time::Instant;

/// Of one round.
pub(crate) struct Story {
    began: Instant,
    lines: Mutex<Vec<String>>,
    faults: Mutex<BTreeMap<&'static str, usize>>,
}

impl Story {
    pub(crate) fn begin() -> Self {
        Self { began: Instant::now(), lines: Mutex::default(), faults: Mutex::default() }
    }

    /// Notes what happens.
    pub(crate) fn note(&self, what: &str) {
        let line = format!("{:>7} ms  {what}", self.began.elapsed().as_millis());
        self.lines.lock().unwrap().push(line);
    }

    /// How long it has taken so far.
    pub(crate) fn elapsed_ms(&self) -> u128 {
        self.began.elapsed().as_millis()
    }

    /// Counts a fault of some kind.
    pub(crate) fn count(&self, kind: &'static str) {
        *self.faults.lock().unwrap().entry(kind).or_default() += 1;
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.lock().unwrap().iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// The faults of all rounds.
#[derive(Default)]
pub(crate) struct Tally(BTreeMap<&'static str, usize>);

impl Tally {
    pub(crate) fn add(&mut self, story: &Story) {
        for (kind, times) in story.faults.lock().unwrap().iter() {
            *self.0.entry(kind).or_default() += times;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: Vec<String> = self.0.iter().map(|(kind, times)| format!("{kind} {times}")).collect();
        f.write_str(&kinds.join(", "))
    }
}
