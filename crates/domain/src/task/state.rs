//! The states of an attempt and the one table of what may follow what. A task is in the state of its newest attempt.

use std::fmt;

/// Where an attempt is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum State {
    /// Stored; nothing has been sent to a cluster.
    Queued,
    /// Its files are being brought to the cluster.
    Staging,
    /// Noted before the cluster is asked, so that a crash never leaves a job that nobody knows of.
    Submitting,
    /// The cluster was asked and its answer is not known. Nothing is submitted again before a look-up has succeeded.
    SubmitUnknown,
    /// The cluster has taken it.
    Submitted,
    /// It waits for its turn on the cluster.
    Pending,
    /// It runs.
    Running,
    /// It has ended and the cluster tidies up.
    Completing,
    /// How it ended is known; logs and artefacts are being fetched.
    Collecting,
    /// It ended with exit code 0.
    Succeeded,
    /// It ended with another exit code or by a signal.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
    /// It took longer than it was allowed to.
    Timeout,
    /// It used more memory than it was allowed to.
    OutOfMemory,
    /// The machine it ran on failed.
    NodeFailed,
    /// The cluster took its place away for something more urgent.
    Preempted,
    /// The cluster does not know it any more and it left no result.
    Lost,
    /// It could not be submitted at all.
    SubmitFailed,
}

use State::{
    Cancelled, Collecting, Completing, Failed, Lost, NodeFailed, OutOfMemory, Pending, Preempted, Queued, Running,
    Staging, SubmitFailed, SubmitUnknown, Submitted, Submitting, Succeeded, Timeout,
};

/// What may follow each state. States without a row are final.
const FOLLOWS: &[(State, &[State])] = &[
    (Queued, &[Staging, Cancelled, SubmitFailed]),
    (Staging, &[Submitting, Queued, Cancelled, SubmitFailed]),
    // `Queued` only when the cluster has certainly not taken it.
    (Submitting, &[Submitted, SubmitUnknown, Queued, SubmitFailed]),
    // Back to `Queued` after look-ups that found nothing.
    (SubmitUnknown, &[Submitted, Queued, Cancelled, SubmitFailed]),
    (Submitted, &[Pending, Running, Completing, Collecting]),
    (Pending, &[Running, Completing, Collecting]),
    // Clusters may put a started job back into their queue.
    (Running, &[Pending, Completing, Collecting]),
    (Completing, &[Collecting]),
    (Collecting, &[Succeeded, Failed, Cancelled, Timeout, OutOfMemory, NodeFailed, Preempted, Lost]),
];

impl State {
    /// Every state, in the order of a life.
    pub const ALL: &[Self] = &[
        Queued,
        Staging,
        Submitting,
        SubmitUnknown,
        Submitted,
        Pending,
        Running,
        Completing,
        Collecting,
        Succeeded,
        Failed,
        Cancelled,
        Timeout,
        OutOfMemory,
        NodeFailed,
        Preempted,
        Lost,
        SubmitFailed,
    ];

    /// The name that clients and the store see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Queued => "queued",
            Staging => "staging",
            Submitting => "submitting",
            SubmitUnknown => "submit_unknown",
            Submitted => "submitted",
            Pending => "pending",
            Running => "running",
            Completing => "completing",
            Collecting => "collecting",
            Succeeded => "succeeded",
            Failed => "failed",
            Cancelled => "cancelled",
            Timeout => "timeout",
            OutOfMemory => "oom",
            NodeFailed => "node_failed",
            Preempted => "preempted",
            Lost => "lost",
            SubmitFailed => "submit_failed",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|state| state.as_str() == name)
    }

    /// What may follow; nothing after a final state.
    pub fn next(self) -> &'static [Self] {
        FOLLOWS.iter().find(|(state, _)| *state == self).map_or(&[], |(_, next)| next)
    }

    /// Nothing follows: only a new attempt can do more.
    pub fn is_final(self) -> bool {
        self.next().is_empty()
    }

    /// A cluster may hold a job of it.
    pub fn may_be_on_cluster(self) -> bool {
        matches!(self, Submitting | SubmitUnknown | Submitted | Pending | Running | Completing)
    }

    /// One sentence for people, in the words of the first task managers: `RUNNING: The job is …`.
    pub const fn message(self) -> &'static str {
        match self {
            Queued => "QUEUED: The task waits to be submitted.",
            Staging => "STAGING: The files of the task are being brought to the cluster.",
            Submitting => "SUBMITTING: The task is being submitted.",
            SubmitUnknown => "SUBMIT_UNKNOWN: The cluster did not say whether it took the job; it is being asked.",
            Submitted => "SUBMITTED: The cluster has taken the job.",
            Pending => "PENDING: The job is waiting for resource allocation.",
            Running => "RUNNING: The job is allocated to a node and is running.",
            Completing => "COMPLETING: The job is in the process of completing.",
            Collecting => "COLLECTING: The job has ended; its logs and artifacts are being fetched.",
            Succeeded => "COMPLETED: The job has completed successfully.",
            Failed => "FAILED: The job terminated with a non-zero exit code.",
            Cancelled => "CANCELLED: The job was cancelled.",
            Timeout => "TIMEOUT: The job was terminated because it reached its time limit.",
            OutOfMemory => "OUT_OF_MEMORY: The job used more memory than it was allowed to.",
            NodeFailed => "NODE_FAIL: The job was terminated because a node failed.",
            Preempted => "PREEMPTED: The job was terminated because of preemption by another job.",
            Lost => "LOST: The cluster does not know the job any more and it left no result.",
            SubmitFailed => "SUBMIT_FAILED: The job could not be submitted.",
        }
    }

    /// A step that the table allows; `None` for any other.
    pub fn to(self, next: Self) -> Option<Transition> {
        self.next().contains(&next).then_some(Transition { from: self, to: next })
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A step from one state to another that the table allows. There is no other way to make one than [`State::to`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transition {
    from: State,
    to: State,
}

impl Transition {
    /// The state before.
    pub fn from(self) -> State {
        self.from
    }

    /// The state after.
    pub fn to(self) -> State {
        self.to
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_distinct_and_come_back() {
        for state in State::ALL {
            assert_eq!(State::parse(state.as_str()), Some(*state));
        }
        assert_eq!(State::parse("QUEUED"), None);
        assert_eq!(State::ALL.len(), 18, "a state that is not in ALL cannot be read back");
    }

    #[test]
    fn every_state_is_reached_and_every_life_can_end() {
        let mut reached = vec![Queued];
        let mut index = 0;
        while let Some(state) = reached.get(index).copied() {
            reached.extend(state.next().iter().filter(|next| !reached.contains(next)).copied().collect::<Vec<_>>());
            index += 1;
        }
        for state in State::ALL {
            assert!(reached.contains(state), "{state} cannot be reached");
            // From each state that is not final, some final one can be reached.
            let mut seen = vec![*state];
            let mut index = 0;
            while let Some(state) = seen.get(index).copied() {
                seen.extend(state.next().iter().filter(|next| !seen.contains(next)).copied().collect::<Vec<_>>());
                index += 1;
            }
            assert!(seen.iter().any(|state| state.is_final()), "{state} never ends");
        }
    }

    proptest! {
        /// Whatever is asked for in whatever order: a final state stays, and once a cluster was asked the attempt is never
        /// cancelled, given up or submitted again without its answer.
        #[test]
        fn random_lives_keep_the_promises(asked in proptest::collection::vec(0..State::ALL.len(), 0..200)) {
            let (mut state, mut ended, mut asked_cluster) = (Queued, None, false);
            for index in asked {
                let Some(step) = state.to(State::ALL[index]) else { continue };
                prop_assert!(ended.is_none(), "{state} was final");
                prop_assert_eq!(step.from(), state);
                if step.to() == Submitting {
                    prop_assert_eq!(state, Staging);
                    prop_assert!(!asked_cluster, "submitted twice");
                    asked_cluster = true;
                }
                if state == Submitting || state == SubmitUnknown {
                    asked_cluster = step.to() != Queued;
                }
                if matches!(step.to(), Cancelled | Lost) {
                    prop_assert!(!matches!(state, Submitted | Pending | Running | Completing | Submitting));
                }
                state = step.to();
                ended = state.is_final().then_some(state);
            }
        }
    }
}
