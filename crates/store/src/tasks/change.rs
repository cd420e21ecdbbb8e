//! Changes of attempts: by the monitor, which names the version it has seen, and by users, who name the task.

use belvedere_domain::Timestamp;
use belvedere_domain::task::{State, TaskId, Transition};

use super::decode;
use super::submit::{ActiveLimits, event, full, new_attempt, take_turn};
use super::sweeps::go_on;
use crate::StoreError;
use crate::codec::microseconds;
use crate::portable::{Row, Script, Transaction, values};

/// A change of an attempt, decided on a version of it.
#[derive(Clone, PartialEq, Debug)]
pub struct Advance {
    /// The task.
    pub task: TaskId,
    /// Number of the attempt.
    pub number: u32,
    /// The version it was decided on.
    pub version: i64,
    /// The step to another state; `None`: it stays.
    pub step: Option<Transition>,
    /// Who does it: a user, or `monitor`.
    pub actor: String,
    /// Facts that are new. `None` leaves what is stored.
    pub facts: Facts,
}

/// Facts about an attempt. `None` leaves what is stored, except for the reason, which a step to another state replaces.
#[derive(Clone, PartialEq, Debug, Default)]
#[expect(missing_docs, reason = "as in AttemptRow")]
pub struct Facts {
    pub outcome: Option<State>,
    pub reason: Option<String>,
    pub evidence: Option<String>,
    pub job: Option<String>,
    pub exit_code: Option<i64>,
    pub signal: Option<i64>,
    pub host: Option<String>,
    pub run_id: Option<String>,
    pub run_url: Option<String>,
    pub failures: Option<u32>,
    pub looks: Option<u32>,
    /// Seconds from now before which the attempt is not to be acted on.
    pub wait_seconds: Option<f64>,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// The cluster has just said something about it.
    pub observed: bool,
    /// With a step to a final state: another attempt follows, in so many seconds, unless the task is being cancelled.
    pub again: Option<f64>,
}

/// What became of a wish to cancel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cancelled {
    /// There is no such task of that owner.
    Unknown,
    /// It had not been sent anywhere and is cancelled.
    AtOnce,
    /// The monitor will cancel it.
    Requested,
    /// It had ended before, in this state.
    TooLate(State),
}

/// What became of a wish to try again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retried {
    /// There is no such task of that owner.
    Unknown,
    /// It has not ended, or it has succeeded: this is its state.
    Refused(State),
    /// The owner or the cluster has too many active tasks.
    Full,
    /// The attempt of this number waits.
    Attempt(u32),
}

/// Changes an attempt of a known version.
pub(crate) struct ChangeAttempt(pub(crate) Advance);

impl Script for ChangeAttempt {
    type Output = bool;
    const WHAT: &'static str = "change an attempt";

    async fn run<T: Transaction>(&self, transaction: &mut T) -> Result<bool, StoreError> {
        let Advance { task, number, version, step, actor, facts } = &self.0;
        let (now, id) = (transaction.now(), task.to_string());
        let submits = i64::from(step.is_some_and(|step| step.to() == State::Submitting));
        let taken = step.filter(|step| step.to() == State::Submitted).map(|_| now);
        let wait = facts.wait_seconds.map(|seconds| now + microseconds(seconds));
        let changed = transaction
            .rows(
                "UPDATE task_attempt SET version = version + 1, state = COALESCE($4, state), \
                 outcome = COALESCE($5, outcome), \
                 reason = CASE WHEN $4 IS NULL THEN COALESCE($6, reason) ELSE $6 END, \
                 evidence = COALESCE($7, evidence), job = COALESCE($8, job), exit_code = COALESCE($9, exit_code), \
                 signal = COALESCE($10, signal), host = COALESCE($11, host), run_id = COALESCE($12, run_id), \
                 run_url = COALESCE($13, run_url), failures = COALESCE($14, failures), looks = COALESCE($15, looks), \
                 not_before = COALESCE($16, not_before), submissions = submissions + $17, \
                 submitted_at = COALESCE(submitted_at, $18), started_at = COALESCE($19, started_at), \
                 ended_at = COALESCE($20, ended_at), observed_at = COALESCE($21, observed_at) \
                 WHERE task = $1 AND number = $2 AND version = $3 RETURNING number",
                values![
                    &id,
                    *number,
                    *version,
                    step.map(|step| step.to().as_str()),
                    facts.outcome.map(State::as_str),
                    facts.reason.as_deref(),
                    facts.evidence.as_deref(),
                    facts.job.as_deref(),
                    facts.exit_code,
                    facts.signal,
                    facts.host.as_deref(),
                    facts.run_id.as_deref(),
                    facts.run_url.as_deref(),
                    facts.failures,
                    facts.looks,
                    wait,
                    submits,
                    taken,
                    facts.started_at.map(|time| time.0),
                    facts.ended_at.map(|time| time.0),
                    facts.observed.then_some(now),
                ],
            )
            .await?;
        if changed.is_empty() {
            return Ok(false);
        }
        let Some(step) = step else { return Ok(true) };
        let (state, active) = (step.to().as_str(), i64::from(!step.to().is_final()));
        let sql = "UPDATE task SET state = $3, active = $4, changed_at = $5 WHERE id = $1 AND attempt = $2 \
                   RETURNING sweep, cancel_at";
        let row = transaction.rows(sql, values![&id, *number, state, active, now]).await?.pop();
        event(transaction, *task, *number, actor, state, facts.reason.as_deref()).await?;
        let Some(mut row) = row.filter(|_| step.to().is_final()) else { return Ok(true) };
        let (sweep, is_cancelled) = (row.opt_text()?, row.opt_int()?.is_some());
        match facts.again {
            Some(seconds) if !is_cancelled => {
                let next = number + 1;
                another(transaction, *task, next, now + microseconds(seconds)).await?;
                event(transaction, *task, next, actor, "retried", None).await?;
            }
            _ => go_on(transaction, sweep.as_deref()).await?,
        }
        Ok(true)
    }
}

/// Makes the next attempt at a task, not to be acted on before a time.
async fn another<T: Transaction>(
    transaction: &mut T,
    id: TaskId,
    number: u32,
    not_before: i64,
) -> Result<(), StoreError> {
    new_attempt(transaction, id, number).await?;
    let (id, now) = (id.to_string(), transaction.now());
    let sql = "UPDATE task_attempt SET not_before = $3 WHERE task = $1 AND number = $2";
    transaction.rows(sql, values![&id, number, not_before]).await?;
    let sql = "UPDATE task SET attempt = $2, state = $3, active = 1, cancel_at = NULL, cancel_by = NULL, \
               changed_at = $4 WHERE id = $1";
    transaction.rows(sql, values![&id, number, State::Queued.as_str(), now]).await.map(drop)
}

/// A task as a user names it, its attempt locked until the end: number, version, state, owner, cluster.
struct Named {
    number: u32,
    state: State,
    owner: String,
    cluster: String,
    cancel: bool,
    sweep: Option<String>,
}

async fn find<T: Transaction>(
    transaction: &mut T,
    id: TaskId,
    owner: Option<&str>,
) -> Result<Option<Named>, StoreError> {
    // The update locks the rows, so that the monitor's changes come before or after.
    let sql = "UPDATE task SET changed_at = changed_at WHERE id = $1 AND (CAST($2 AS TEXT) IS NULL OR owner = $2) \
               RETURNING attempt, owner, cluster, cancel_at, sweep";
    let Some(mut row) = transaction.rows(sql, values![id.to_string(), owner]).await?.pop() else { return Ok(None) };
    let (number, owner, cluster) = (row.count()?, row.text()?, row.text()?);
    let (cancel, sweep) = (row.opt_int()?.is_some(), row.opt_text()?);
    let sql = "UPDATE task_attempt SET version = version WHERE task = $1 AND number = $2 RETURNING state";
    let attempt: Option<Row> = transaction.rows(sql, values![id.to_string(), number]).await?.pop();
    let mut attempt = attempt.ok_or_else(|| StoreError::Corrupt(format!("the task {id} has no attempt {number}")))?;
    Ok(Some(Named { number, state: decode::state(&attempt.text()?)?, owner, cluster, cancel, sweep }))
}

/// Asks for the end of a task.
pub(crate) struct Cancel {
    pub(crate) id: TaskId,
    pub(crate) owner: Option<String>,
    pub(crate) actor: String,
}

impl Script for Cancel {
    type Output = Cancelled;
    const WHAT: &'static str = "cancel a task";

    async fn run<T: Transaction>(&self, transaction: &mut T) -> Result<Cancelled, StoreError> {
        let (now, id) = (transaction.now(), self.id.to_string());
        let Some(Named { number, state, cancel, sweep, .. }) =
            find(transaction, self.id, self.owner.as_deref()).await?
        else {
            return Ok(Cancelled::Unknown);
        };
        if state.is_final() {
            return Ok(Cancelled::TooLate(state));
        }
        if !cancel {
            let sql = "UPDATE task SET cancel_at = $2, cancel_by = $3, changed_at = $2 WHERE id = $1";
            transaction.rows(sql, values![&id, now, &self.actor]).await?;
            event(transaction, self.id, number, &self.actor, "cancel_requested", None).await?;
        }
        if state != State::Queued {
            return Ok(Cancelled::Requested);
        }
        let cancelled = State::Cancelled.as_str();
        let sql = "UPDATE task_attempt SET version = version + 1, state = $3, reason = NULL, ended_at = $4 \
                   WHERE task = $1 AND number = $2";
        transaction.rows(sql, values![&id, number, cancelled, now]).await?;
        let sql = "UPDATE task SET state = $2, active = 0, changed_at = $3 WHERE id = $1";
        transaction.rows(sql, values![&id, cancelled, now]).await?;
        event(transaction, self.id, number, &self.actor, cancelled, None).await?;
        go_on(transaction, sweep.as_deref()).await?;
        Ok(Cancelled::AtOnce)
    }
}

/// Makes another attempt.
pub(crate) struct Retry {
    pub(crate) id: TaskId,
    pub(crate) owner: Option<String>,
    pub(crate) actor: String,
    pub(crate) limits: ActiveLimits,
}

impl Script for Retry {
    type Output = Retried;
    const WHAT: &'static str = "try a task again";

    async fn run<T: Transaction>(&self, transaction: &mut T) -> Result<Retried, StoreError> {
        let Some(Named { number, state, owner, cluster, .. }) =
            find(transaction, self.id, self.owner.as_deref()).await?
        else {
            return Ok(Retried::Unknown);
        };
        if !state.is_final() || state == State::Succeeded {
            return Ok(Retried::Refused(state));
        }
        take_turn(transaction, &owner, &cluster).await?;
        if full(transaction, &owner, &cluster, self.limits, 1).await?.is_some() {
            return Ok(Retried::Full);
        }
        let next = number + 1;
        another(transaction, self.id, next, 0).await?;
        event(transaction, self.id, next, &self.actor, "retried", None).await?;
        Ok(Retried::Attempt(next))
    }
}
