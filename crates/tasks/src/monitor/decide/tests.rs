use belvedere_store::tasks::AttemptRow;

use super::*;

const LOST_AFTER: Duration = Duration::from_secs(300);

fn active(state: State) -> ActiveAttempt {
    let id = crate::new_task_id(1);
    let attempt = AttemptRow {
        number: 1,
        tag: id.tag(1),
        state,
        outcome: None,
        reason: None,
        evidence: None,
        job: Some("7".into()),
        exit_code: None,
        signal: None,
        host: None,
        run_id: None,
        run_url: None,
        submissions: 1,
        failures: 0,
        looks: 0,
        not_before: Timestamp(0),
        created_at: Timestamp(0),
        submitted_at: None,
        started_at: None,
        ended_at: None,
        observed_at: None,
        version: 1,
    };
    ActiveAttempt { task: id, owner: "ana".into(), cancel: false, now: Timestamp(1_000_000_000), attempt }
}

fn seen(job: &str, phase: Phase) -> Seen {
    Seen {
        job: job.into(),
        phase,
        word: "WORD".into(),
        reason: None,
        submitted: job.parse().ok(),
        started: None,
        host: None,
        exit: None,
    }
}

fn exits(job: &str, outcome: State, exit: i64) -> Seen {
    Seen { exit: Some(exit), ..seen(job, Phase::Ended(outcome)) }
}

fn result(exit: i64) -> Evidence {
    let result = ResultFile { exit, ..ResultFile::default() };
    Evidence { result: Some(result), claimed_by: Some("7".into()), ..Evidence::default() }
}

/// How it ended, if it has.
fn outcome(active: &ActiveAttempt, list: &[Seen], evidence: Option<&Evidence>) -> Option<State> {
    let decision = decide(active, list, evidence, LOST_AFTER)?;
    decision.to.filter(|to| *to == State::Collecting).and(decision.facts.outcome)
}

#[test]
fn a_job_that_is_listed_is_followed() {
    let waiting = Seen { reason: Some("Priority".into()), ..seen("7", Phase::Pending) };
    let decision = decide(&active(State::Submitted), &[waiting], None, LOST_AFTER).unwrap();
    assert_eq!((decision.to, decision.facts.reason.as_deref()), (Some(State::Pending), Some("Priority")));
    let decision = decide(&active(State::Pending), &[seen("7", Phase::Running)], None, LOST_AFTER).unwrap();
    assert_eq!(decision.to, Some(State::Running));
    assert!(decision.facts.started_at.is_some());
    assert_eq!(decide(&active(State::Running), &[seen("7", Phase::Running)], None, LOST_AFTER), None);
    // A state without a meaning here is no end.
    let decision = decide(&active(State::Running), &[seen("7", Phase::Unknown)], None, LOST_AFTER).unwrap();
    assert_eq!(decision.to, None);
}

/// e043 | the cluster has forgotten a job before it was looked at again | the note of the wrapper decides, else accounting, never the lack of an entry
#[test]
fn e043_a_forgotten_job_ended_as_its_note_says() {
    let active = active(State::Running);
    assert_eq!(outcome(&active, &[], Some(&result(0))), Some(State::Succeeded));
    assert_eq!(outcome(&active, &[], Some(&result(7))), Some(State::Failed));
    let accounted = Evidence { accounted: vec![exits("7", State::OutOfMemory, 0)], ..Evidence::default() };
    assert_eq!(outcome(&active, &[], Some(&accounted)), Some(State::OutOfMemory));
    // What the cluster did to it says more than a code; what the program achieved says more than the cluster.
    assert_eq!(outcome(&active, &[exits("7", State::Timeout, 0)], Some(&result(143))), Some(State::Timeout));
    assert_eq!(outcome(&active, &[exits("7", State::Failed, 1)], Some(&result(0))), Some(State::Succeeded));
}

/// e045 | accounting has no row of a job yet, and the queue has none any more | the attempt is waited for, and lost only after a while
#[test]
fn e045_an_attempt_without_a_trace_is_waited_for() {
    let mut active = active(State::Running);
    for look in 1..=4 {
        let decision = decide(&active, &[], Some(&Evidence::default()), LOST_AFTER).unwrap();
        assert_eq!((decision.to, decision.facts.looks), (None, Some(look)));
        assert_eq!(decision.facts.observed, look == 1);
        active.attempt.looks = look;
        active.attempt.observed_at = active.attempt.observed_at.or(Some(active.now));
    }
    active.now = Timestamp(active.now.0 + 300_000_000);
    assert_eq!(outcome(&active, &[], None), Some(State::Lost));
    active.cancel = true;
    assert_eq!(outcome(&active, &[], None), Some(State::Cancelled));
    // It was only hidden.
    let decision = decide(&active, &[seen("7", Phase::Running)], None, LOST_AFTER).unwrap();
    assert_eq!((decision.to, decision.facts.looks), (None, Some(0)));
}

/// e048 | an operator puts a running job back into the queue, and the cluster starts it again | the second start refuses to run the program; the attempt is marked so
#[test]
fn e048_a_second_start_is_no_second_run() {
    let evidence = Evidence {
        claimed_by: Some("7".into()),
        accounted: vec![exits("7", State::Failed, 74)],
        ..Evidence::default()
    };
    let decision = decide(&active(State::Pending), &[], Some(&evidence), LOST_AFTER).unwrap();
    assert_eq!(decision.facts.outcome, Some(State::NodeFailed));
    assert!(decision.facts.reason.unwrap().contains("second time"));
}

/// e046 | two jobs carry the name of one attempt, as when numbers begin again or a submission came twice | the one that claimed the folder counts, by whatever number
#[test]
fn e046_the_job_that_claimed_the_folder_counts() {
    let claimed = Evidence { claimed_by: Some("7".into()), ..Evidence::default() };
    let both = [exits("9", State::Failed, 73), seen("7", Phase::Running)];
    assert_eq!(decide(&active(State::Running), &both, Some(&claimed), LOST_AFTER), None);
    assert_eq!(chosen(&both, None).unwrap().job, "7");
    // The fenced one alone says nothing about the program.
    let decision = decide(&active(State::Running), &both[..1], Some(&claimed), LOST_AFTER).unwrap();
    assert_eq!(decision.to, None);
}

/// e049 | a job is cancelled with the cluster's own command | the attempt is cancelled
#[test]
fn e049_a_job_that_others_cancelled_is_cancelled() {
    let accounted = Evidence { accounted: vec![exits("7", State::Cancelled, 0)], ..Evidence::default() };
    assert_eq!(outcome(&active(State::Running), &[], Some(&accounted)), Some(State::Cancelled));
}

/// e063 | a task succeeds at the moment it is cancelled | it has succeeded, and says that cancelling came too late
#[test]
fn e063_success_is_not_cancelled() {
    let mut active = active(State::Running);
    active.cancel = true;
    let decision = decide(&active, &[], Some(&result(0)), LOST_AFTER).unwrap();
    assert_eq!(decision.facts.outcome, Some(State::Succeeded));
    assert!(decision.facts.reason.unwrap().contains("before it could be cancelled"));
    assert_eq!(outcome(&active, &[], Some(&result(143))), Some(State::Cancelled));
}

/// e047 | the cluster says that a job runs whose processes are gone | the attempt is suspect when it has given no sign of life for five minutes
#[test]
fn e047_a_job_without_signs_of_life_is_suspect() {
    let silent = Evidence { silent_seconds: Some(301), claimed_by: Some("7".into()), ..Evidence::default() };
    let decision = decide(&active(State::Running), &[seen("7", Phase::Running)], Some(&silent), LOST_AFTER).unwrap();
    assert!(decision.facts.reason.unwrap().starts_with("suspect"));
    assert_eq!(decision.to, None);
}

#[test]
fn the_word_of_a_queue_is_believed_at_the_second_look() {
    let mut active = active(State::Running);
    let list = [seen("7", Phase::Ended(State::Timeout))];
    assert_eq!(outcome(&active, &list, Some(&Evidence::default())), None);
    active.attempt.looks = 1;
    assert_eq!(outcome(&active, &list, Some(&Evidence::default())), Some(State::Timeout));
}
