//! Jobs enter the queue: at most one waits for the same work.

use belvedere_domain::{DatasetName, NewJob};
use rusqlite::{OptionalExtension as _, params};

use super::{Failure, Session};
use crate::codec::{config_text, merged, split_text};

/// Queues jobs and returns how many were new. With `coalesce` (microseconds) above 0, coalesced ones keep their
/// distance from their last run.
pub(super) fn enqueue(session: &Session<'_>, jobs: Vec<NewJob>, coalesce: i64) -> Result<usize, Failure> {
    let mut new = 0;
    let mut insert = session.prepare(include_str!("sql/enqueue.sql"))?;
    // Until when the dataset of the job before rests: as a rule, all are of one.
    let mut rests: Option<(DatasetName, Option<i64>)> = None;
    for job in merged(jobs) {
        let (key, revision) = (&job.key, job.revision.as_str());
        let (dataset, step, config, split) =
            (key.dataset.as_str(), key.step.as_str(), config_text(key), split_text(key));
        let mut not_before = match &rests {
            Some((of, until)) if *of == key.dataset => *until,
            _ => rests.insert((key.dataset.clone(), blocked_until(session, &key.dataset)?)).1,
        };
        if job.coalesce && coalesce > 0 {
            let due = session
                .prepare(include_str!("sql/last_run.sql"))?
                .query_row(params![dataset, revision, step, config, split], |row| {
                    Ok(row.get::<_, i64>(0)? + distance(coalesce, row.get(1)?))
                })
                .optional()?;
            not_before = not_before.max(due.filter(|due| *due > session.now));
        }
        let inserted = insert.execute(params![
            step,
            dataset,
            key.dataset.namespace(),
            revision,
            config,
            split,
            job.priority.rank(),
            job.difficulty.get(),
            job.forced,
            job.coalesce,
            session.now,
            not_before,
        ])?;
        new += inserted;
        let mut lanes = session.lanes.borrow_mut();
        if inserted > 0 {
            if not_before.is_none() {
                let (priority, difficulty) = (i64::from(job.priority.rank()), i64::from(job.difficulty.get()));
                let id = session.connection.last_insert_rowid();
                lanes.note(priority, key.dataset.namespace(), difficulty, step, id);
            }
            continue;
        }
        let mut raise = session.prepare(include_str!("sql/raise.sql"))?;
        let twin = params![dataset, revision, step, config, split, job.priority.rank(), job.forced];
        let mut raised = raise.query(twin)?;
        while let Some(row) = raised.next()? {
            if row.get::<_, Option<i64>>(5)?.is_none() {
                lanes.note_row(row)?;
            }
        }
    }
    Ok(new)
}

/// Moves the oldest job of each lower priority up, if it has waited for so many microseconds.
pub(super) fn raise_oldest(session: &Session<'_>, waited: i64) -> Result<usize, Failure> {
    let mut raised = 0;
    let mut raise = session.prepare(include_str!("sql/raise_oldest.sql"))?;
    for priority in [1, 0] {
        let waits: bool =
            session.prepare(include_str!("sql/any_waits.sql"))?.query_row([priority], |row| row.get(0))?;
        if !waits {
            continue;
        }
        let mut rows = raise.query(params![priority, session.now - waited])?;
        while let Some(row) = rows.next()? {
            session.lanes.borrow_mut().note_row(row)?;
            raised += 1;
        }
    }
    Ok(raised)
}

/// Microseconds between the end of a coalesced run and the start of the next.
pub(super) fn distance(coalesce: i64, last_duration: i64) -> i64 {
    coalesce.max(last_duration.saturating_mul(10))
}

/// Until when a dataset rests because of its rate limit.
pub(super) fn blocked_until(session: &Session<'_>, dataset: &DatasetName) -> Result<Option<i64>, Failure> {
    let until = session
        .prepare("SELECT blocked_until FROM blockages WHERE dataset = ?1 AND blocked_until > ?2")?
        .query_row(params![dataset.as_str(), session.now], |row| row.get(0))
        .optional()?;
    Ok(until)
}
