//! Does a task ever run twice? Rounds of chance against a real Slurm over a real OpenSSH. In each, the real program takes
//! tasks while a nemesis, whose choices follow from a seed, freezes the controller, cuts connections, stops the SSH
//! server, and kills and freezes the program. Every task notes each of its executions in a file. Beside it a naive client
//! submits jobs of its own under the same faults, and tries again when `sbatch` says that it failed, as scripts do.
//!
//! `DUPLICATES_SEED` is the seed of the first round (1), `DUPLICATES_ROUNDS` their number (10):
//! `ci/slurm.sh run cargo test -p belvedere --test crash slurm`.

mod clients;
mod faults;
mod round;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::nemesis::{Story, number, tell};
use crate::slurm::Cluster;
use round::Round;

/// What came of rounds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Sums {
    tasks: usize,
    /// Succeeded, having run once.
    once: usize,
    /// Ended otherwise, and said so; ran once or never.
    otherwise: usize,
    /// Of which Slurm's answer to the submission was lost at least once.
    doubtful: usize,
    naive: usize,
    /// Jobs of the naive client that ran more than once.
    naive_twice: usize,
    /// Rounds in which the controller stood still for longer than its clients wait.
    long_freezes: usize,
}

impl Sums {
    fn add(&mut self, other: Self) {
        self.tasks += other.tasks;
        self.once += other.once;
        self.otherwise += other.otherwise;
        self.doubtful += other.doubtful;
        self.naive += other.naive;
        self.naive_twice += other.naive_twice;
        self.long_freezes += other.long_freezes;
    }
}

impl fmt::Display for Sums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tasks, once, otherwise, doubtful, naive, naive_twice, .. } = self;
        write!(
            f,
            "{tasks} tasks, {doubtful} with a lost answer: {once} ran once, {otherwise} ended otherwise and said so, 0 ran \
             twice; of {naive} jobs of a naive client {naive_twice} ran twice or more"
        )
    }
}

#[test]
fn slurm_runs_no_task_twice_whatever_fails() {
    let Some(cluster) = Cluster::take() else { return };
    let (first, rounds) = (number("DUPLICATES_SEED", 1), number("DUPLICATES_ROUNDS", 10));
    let (mut tally, mut sums) = (crate::nemesis::Tally::default(), Sums::default());
    for seed in first..first + rounds {
        let story = Story::begin();
        match catch_unwind(AssertUnwindSafe(|| Round::new(seed, &cluster, &story).play())) {
            Ok(round) => sums.add(round),
            Err(panic) => {
                tell(&format!("the round of seed {seed} failed; DUPLICATES_SEED={seed} plays it again\n{story}"));
                resume_unwind(panic);
            }
        }
        tally.add(&story);
        tell(&format!("seed {seed}, {} ms. So far: {sums}; {tally}\n", story.elapsed_ms()));
    }
    // Otherwise these rounds have shown nothing.
    assert!(sums.long_freezes < 3 || sums.naive_twice > 0, "the naive client was not harmed: {sums}");
}
