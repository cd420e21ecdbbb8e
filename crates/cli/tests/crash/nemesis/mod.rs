//! Rounds of chance. In each, real processes work while a nemesis, whose choices follow from a seed, kills, stops and
//! terminates them, restarts and freezes the database, fills the disk, sets clocks, and changes files. Then everything is
//! let alone, and must come to rest whole.
//!
//! `NEMESIS_SEED` is the seed of the first round (1), `NEMESIS_ROUNDS` their number (4). A round that fails tells its
//! seed and its story, so that `NEMESIS_SEED=… NEMESIS_ROUNDS=1` plays it again.

mod faults;
mod readers;
mod round;
mod story;

use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::postgres::Server;
use round::Round;
pub(crate) use story::{Story, Tally};

#[test]
fn nemesis_on_sqlite() {
    play("SQLite", None);
}

#[test]
fn nemesis_on_postgresql() {
    let Some(server) = Server::start() else { return };
    play("PostgreSQL", Some(&server));
}

fn play(database: &str, server: Option<&Server>) {
    let (first, rounds) = (number("NEMESIS_SEED", 1), number("NEMESIS_ROUNDS", 4));
    let mut tally = Tally::default();
    for seed in first..first + rounds {
        let story = Story::begin();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| Round::new(seed, server, &story).play())) {
            tell(&format!(
                "the round of seed {seed} on {database} failed; NEMESIS_SEED={seed} plays it again\n{story}"
            ));
            resume_unwind(panic);
        }
        tally.add(&story);
    }
    tell(&format!("{rounds} rounds on {database} from seed {first}: {tally}\n"));
}

pub(crate) fn number(name: &str, default: u64) -> u64 {
    let told = std::env::var(name).ok();
    told.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is `{text}`, not a number")))
}

/// Past the test harness, which shows what is printed by tests that fail only.
pub(crate) fn tell(text: &str) {
    // Nobody has to read it.
    let _ = std::io::stderr().write_all(text.as_bytes());
}
