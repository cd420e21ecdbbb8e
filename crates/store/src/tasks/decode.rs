//! Columns of tasks and attempts, and how rows are read.

use belvedere_domain::Timestamp;
use belvedere_domain::task::{AttemptTag, ClusterName, State, TaskId};

use super::rows::{ActiveAttempt, AttemptRow, Element, TaskRow};
use crate::StoreError;
use crate::portable::Row;

/// Columns of an attempt, of the table `a`.
macro_rules! attempt_columns {
    () => {
        "a.number, a.tag, a.state, a.outcome, a.reason, a.evidence, a.job, a.exit_code, a.signal, a.host, a.run_id, \
         a.run_url, a.submissions, a.failures, a.looks, a.not_before, a.created_at, a.submitted_at, a.started_at, \
         a.ended_at, a.observed_at, a.version "
    };
}

/// Tasks (`t`) with their newest attempts (`a`).
macro_rules! select_tasks {
    ($rest:literal) => {
        concat!(
            "SELECT t.id, t.owner, t.cluster, t.experiment, t.dataset, COALESCE(s.pin, t.pin), \
             COALESCE(s.config, t.config), t.cancel_at, t.created_at, t.changed_at, t.sweep, t.place, t.point, ",
            crate::tasks::decode::attempt_columns!(),
            "FROM task t JOIN task_attempt a ON a.task = t.id AND a.number = t.attempt \
             LEFT JOIN task_sweep s ON s.id = t.sweep ",
            $rest
        )
    };
}

pub(super) use {attempt_columns, select_tasks};

pub(super) fn id(row: &mut Row) -> Result<TaskId, StoreError> {
    TaskId::parse(&row.text()?).map_err(StoreError::corrupt)
}

pub(super) fn state(name: &str) -> Result<State, StoreError> {
    State::parse(name).ok_or_else(|| StoreError::Corrupt(format!("`{name}` is no state of an attempt")))
}

pub(super) fn time(row: &mut Row) -> Result<Option<Timestamp>, StoreError> {
    Ok(row.opt_int()?.map(Timestamp))
}

pub(super) fn attempt(row: &mut Row) -> Result<AttemptRow, StoreError> {
    let number = row.count()?;
    let tag = row.text()?;
    Ok(AttemptRow {
        number,
        tag: AttemptTag::recognise(&tag).ok_or_else(|| StoreError::Corrupt(format!("`{tag}` is no tag")))?,
        state: state(&row.text()?)?,
        outcome: row.opt_text()?.as_deref().map(state).transpose()?,
        reason: row.opt_text()?,
        evidence: row.opt_text()?,
        job: row.opt_text()?,
        exit_code: row.opt_int()?,
        signal: row.opt_int()?,
        host: row.opt_text()?,
        run_id: row.opt_text()?,
        run_url: row.opt_text()?,
        submissions: row.count()?,
        failures: row.count()?,
        looks: row.count()?,
        not_before: Timestamp(row.int()?),
        created_at: Timestamp(row.int()?),
        submitted_at: time(row)?,
        started_at: time(row)?,
        ended_at: time(row)?,
        observed_at: time(row)?,
        version: row.int()?,
    })
}

pub(super) fn task(mut row: Row) -> Result<TaskRow, StoreError> {
    let row = &mut row;
    Ok(TaskRow {
        id: id(row)?,
        owner: row.text()?,
        cluster: cluster(&row.text()?)?,
        experiment: row.text()?,
        dataset: row.opt_text()?,
        pin: row.opt_text()?,
        config: row.text()?,
        cancel_at: time(row)?,
        created_at: Timestamp(row.int()?),
        changed_at: Timestamp(row.int()?),
        element: element(row)?,
        attempt: attempt(row)?,
    })
}

fn element(row: &mut Row) -> Result<Option<Element>, StoreError> {
    let (sweep, place, point) = (row.opt_text()?, row.opt_int()?, row.opt_text()?);
    let (Some(sweep), Some(place)) = (sweep, place) else { return Ok(None) };
    Ok(Some(Element {
        sweep: TaskId::parse(&sweep).map_err(StoreError::corrupt)?,
        place: u32::try_from(place).map_err(StoreError::corrupt)?,
        point: point.unwrap_or_default(),
    }))
}

pub(super) fn active(mut row: Row, now: Timestamp) -> Result<ActiveAttempt, StoreError> {
    let row = &mut row;
    Ok(ActiveAttempt {
        task: id(row)?,
        owner: row.text()?,
        cancel: row.opt_int()?.is_some(),
        now,
        attempt: attempt(row)?,
    })
}

fn cluster(name: &str) -> Result<ClusterName, StoreError> {
    ClusterName::new(name).map_err(StoreError::corrupt)
}
