//! What follows from what a cluster says about an attempt. A pure function, so that every case can be told in a test.
//!
//! The order of belief: the note that the wrapper left, then accounting, then the queue. That a queue does not list a job says
//! nothing about how it ended.

use std::time::Duration;

use belvedere_domain::Timestamp;
use belvedere_domain::task::State;
use belvedere_store::tasks::{ActiveAttempt, Facts};

use crate::cluster::{Evidence, Phase, Seen};
use crate::place::{EXIT_FENCED, EXIT_REQUEUED, ResultFile};

/// Looks that must find nothing before a job counts as lost.
const LOOKS: u32 = 3;
/// Seconds without a sign of life after which a running attempt is suspect.
const SILENT: u64 = 300;

/// What to do.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Decision {
    /// The next state; `None`: it stays.
    pub(super) to: Option<State>,
    /// What is new.
    pub(super) facts: Facts,
}

/// The job that runs the program: the one that claimed the folder; else the newest that is not over, else the newest.
pub(super) fn chosen<'a>(seen: &'a [Seen], evidence: Option<&Evidence>) -> Option<&'a Seen> {
    if let Some(owner) = evidence.and_then(|evidence| evidence.claimed_by.as_deref()) {
        // Another one found the folder claimed and ended.
        return seen.iter().find(|seen| seen.job == owner);
    }
    let is_live = |seen: &Seen| !matches!(seen.phase, Phase::Ended(_));
    seen.iter().max_by_key(|seen| (is_live(seen), seen.submitted))
}

/// Whether the folder must be looked into before anything can be decided.
pub(super) fn needs_evidence(seen: &[Seen]) -> bool {
    seen.len() > 1 || seen.iter().all(|seen| matches!(seen.phase, Phase::Ended(_)))
}

/// What follows for an attempt that a cluster has taken. `None`: nothing new.
pub(super) fn decide(
    active: &ActiveAttempt,
    seen: &[Seen],
    evidence: Option<&Evidence>,
    lost_after: Duration,
) -> Option<Decision> {
    let attempt = &active.attempt;
    let job = chosen(seen, evidence);
    if let Some(result) = evidence.and_then(|evidence| evidence.result.as_ref()) {
        return Some(ended(active, by_result(active, result, job, evidence), job));
    }
    let live = job.filter(|seen| !matches!(seen.phase, Phase::Ended(_)));
    if let Some(seen) = live {
        return alive(active, seen, evidence);
    }
    let accounted = evidence.and_then(|evidence| chosen(&evidence.accounted, Some(evidence)));
    for seen in [accounted, job].into_iter().flatten() {
        let Phase::Ended(outcome) = &seen.phase else { continue };
        // Exit codes of wrappers say that the program ran elsewhere, not how it ended.
        if matches!(seen.exit, Some(EXIT_FENCED)) {
            continue;
        }
        // A queue says less than accounting, and the wrapper's note may be on its way.
        let is_certain = accounted.is_some_and(|accounted| std::ptr::eq(accounted, seen)) || attempt.looks >= 1;
        if !is_certain {
            let facts = Facts { looks: Some(attempt.looks + 1), observed: true, ..Facts::default() };
            return Some(Decision { to: None, facts });
        }
        let outcome = if seen.exit == Some(EXIT_REQUEUED) { State::NodeFailed } else { *outcome };
        let reason = match seen.exit {
            Some(EXIT_REQUEUED) => Some("the cluster started it a second time, which it refused".to_owned()),
            _ => seen.reason.clone(),
        };
        let facts = Facts { outcome: Some(outcome), exit_code: seen.exit, reason, ..Facts::default() };
        return Some(ended(active, facts, Some(seen)));
    }
    Some(missing(active, evidence, lost_after))
}

/// The job is there and not over.
fn alive(active: &ActiveAttempt, seen: &Seen, evidence: Option<&Evidence>) -> Option<Decision> {
    let attempt = &active.attempt;
    let state = match seen.phase {
        Phase::Pending => State::Pending,
        Phase::Running => State::Running,
        Phase::Completing => State::Completing,
        Phase::Ended(_) | Phase::Unknown => attempt.state,
    };
    let silent = evidence.and_then(|evidence| evidence.silent_seconds).filter(|silent| *silent > SILENT);
    let reason = match (silent, &seen.phase) {
        (Some(silent), Phase::Running) => Some(format!("suspect: no sign of life for {silent} s")),
        (_, Phase::Unknown) => Some(format!("the cluster says {}, which is not known here", seen.word)),
        _ => seen.reason.clone(),
    };
    let to = (state != attempt.state && attempt.state.to(state).is_some()).then_some(state);
    let news =
        to.is_some() || reason.is_some() && reason != attempt.reason || attempt.job.as_deref() != Some(&*seen.job);
    if !news && attempt.looks == 0 {
        return None;
    }
    let started = seen.started.filter(|_| state == State::Running).map(|seconds| Timestamp(seconds * 1_000_000));
    let facts = Facts {
        reason,
        job: Some(seen.job.clone()),
        host: seen.host.clone(),
        started_at: started.or_else(|| (to == Some(State::Running)).then_some(active.now)),
        looks: Some(0),
        observed: true,
        ..Facts::default()
    };
    Some(Decision { to, facts })
}

/// How it ended by the wrapper's note, and by the cluster's word where the note leaves that open.
fn by_result(active: &ActiveAttempt, result: &ResultFile, job: Option<&Seen>, evidence: Option<&Evidence>) -> Facts {
    let accounted = evidence.and_then(|evidence| chosen(&evidence.accounted, Some(evidence)));
    let word = [accounted, job].into_iter().flatten().find_map(|seen| match seen.phase {
        Phase::Ended(outcome) if !matches!(outcome, State::Succeeded | State::Failed) => Some(outcome),
        _ => None,
    });
    let own = result.outcome();
    let outcome = match own {
        State::Succeeded => own,
        _ if active.cancel => State::Cancelled,
        State::Timeout => own,
        _ => word.unwrap_or(own),
    };
    let time = |seconds: Option<i64>| seconds.map(|seconds| Timestamp(seconds.saturating_mul(1_000_000)));
    let reason = match outcome {
        State::Succeeded if active.cancel => Some("it had succeeded before it could be cancelled".to_owned()),
        State::Failed => Some(match result.signal() {
            Some(signal) => format!("the program was ended by signal {signal}"),
            None => format!("the program ended with exit code {}", result.exit),
        }),
        _ => None,
    };
    Facts {
        outcome: Some(outcome),
        reason,
        exit_code: Some(result.exit),
        signal: result.signal(),
        host: result.host.clone(),
        started_at: time(result.started),
        ended_at: time(result.ended),
        ..Facts::default()
    }
}

fn ended(active: &ActiveAttempt, facts: Facts, job: Option<&Seen>) -> Decision {
    let cancelled = active.cancel && !matches!(facts.outcome, Some(State::Succeeded | State::Lost));
    let facts = Facts {
        outcome: if cancelled { Some(State::Cancelled) } else { facts.outcome },
        ended_at: facts.ended_at.or(Some(active.now)),
        evidence: job.map(|seen| format!("{} {}", seen.job, seen.word)),
        host: facts.host.or_else(|| job.and_then(|seen| seen.host.clone())),
        job: job.map(|seen| seen.job.clone()),
        looks: Some(0),
        failures: Some(0),
        observed: true,
        ..facts
    };
    Decision { to: Some(State::Collecting), facts }
}

/// The cluster does not know the job, and there is no note of how it ended.
fn missing(active: &ActiveAttempt, evidence: Option<&Evidence>, lost_after: Duration) -> Decision {
    let attempt = &active.attempt;
    let looks = attempt.looks + 1;
    let since = attempt.observed_at.unwrap_or(active.now);
    let waited = Duration::from_micros(u64::try_from(active.now.0 - since.0).unwrap_or_default());
    if looks > LOOKS && waited >= lost_after {
        let reason = match evidence {
            Some(evidence) if evidence.invalid_result => "its note of how it ended cannot be believed",
            _ => "the cluster does not know its job any more, and it left no note of how it ended",
        };
        let facts = Facts { outcome: Some(State::Lost), reason: Some(reason.to_owned()), ..Facts::default() };
        return ended(active, facts, None).cancelled_if_wanted(active);
    }
    let first = attempt.looks == 0;
    let reason = "the cluster does not list its job; waiting for a trace of it".to_owned();
    let facts = Facts { looks: Some(looks), reason: Some(reason), observed: first, ..Facts::default() };
    Decision { to: None, facts }
}

impl Decision {
    /// What is gone after it was to be cancelled is cancelled.
    fn cancelled_if_wanted(mut self, active: &ActiveAttempt) -> Self {
        if active.cancel {
            self.facts.outcome = Some(State::Cancelled);
        }
        self
    }
}

#[cfg(test)]
mod tests;
