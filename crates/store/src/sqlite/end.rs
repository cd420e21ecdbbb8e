//! How runs end: finished, saved on the way, given back, or collected after their worker vanished.

use belvedere_domain::job::JobRecord;
use belvedere_domain::{Lease, Revision, StepName};
use rusqlite::{OptionalExtension as _, params};

use super::enqueue::{blocked_until, distance, enqueue};
use super::views::put_view;
use super::{Failure, Session, row};
use crate::codec::{JobRow, config_text, microseconds, split_text};
use crate::{Completion, DeadJob, Finished, NewView, RateLimit};

/// Ends a job with all its effects.
pub(super) fn finish(session: &Session<'_>, lease: &Lease, completion: Completion) -> Result<Finished, Failure> {
    let taken = session
        .prepare(include_str!("sql/finish.sql"))?
        .query_row(params![lease.job.0, lease.token], row::job)
        .optional()?;
    let Some(job) = taken.map(JobRow::decode).transpose()? else { return Ok(Finished::LeaseLost) };
    let Some(served) = revisions(session, &job)? else { return Ok(Finished::Superseded) };
    let duration = completion.ran_seconds.map_or_else(|| running_time(session, &job), |ran| microseconds(ran).max(0));
    for view in &completion.views {
        put_view(session, &job.revision, view, duration)?;
    }
    let coalesce = microseconds(completion.coalesce_seconds).max(0);
    if job.coalesce {
        note_run(session, &job, duration, coalesce)?;
    }
    if let Some(limit) = &completion.rate_limit {
        note_time(session, &job, duration, limit)?;
    }
    enqueue(session, completion.children, coalesce)?;
    let served = match served {
        Some(served) if served == job.revision => None,
        _ => serve_if_complete(session, &job, &completion.answer_set)?,
    };
    Ok(Finished::Saved { served })
}

/// Stores a view while the job goes on.
pub(super) fn save(session: &Session<'_>, lease: &Lease, view: &NewView) -> Result<bool, Failure> {
    let Some(job) = leased(session, lease)? else { return Ok(false) };
    if revisions(session, &job)?.is_none() {
        return Ok(false);
    }
    put_view(session, &job.revision, view, running_time(session, &job))?;
    Ok(true)
}

/// Puts a job back. One of a superseded revision is dropped instead, as waiting ones were.
pub(super) fn release(session: &Session<'_>, lease: &Lease, delay: i64, count_attempt: bool) -> Result<bool, Failure> {
    let Some(mut job) = leased(session, lease)? else { return Ok(false) };
    if !count_attempt {
        job.attempt = job.attempt.saturating_sub(1);
    }
    put_back(session, job, (delay > 0).then_some(session.now + delay))?;
    Ok(true)
}

/// Collects expired leases: the number of jobs put back, and those whose workers died too often.
pub(super) fn collect_expired(
    session: &Session<'_>,
    max_crashes: u32,
    lease: i64,
) -> Result<(usize, Vec<DeadJob>), Failure> {
    let expired: Vec<_> = session
        .prepare(include_str!("sql/expired.sql"))?
        .query_map([session.now], row::job)?
        .collect::<Result<_, _>>()?;
    let (mut returned, mut dead) = (0, Vec::new());
    for job in expired {
        let mut job = job.decode()?;
        if job.crashes + 1 >= max_crashes && revisions(session, &job)?.is_some() {
            let job = session
                .prepare(include_str!("sql/bury.sql"))?
                .query_row(params![job.id.0, session.now + lease, session.now], row::job)?;
            dead.push(DeadJob { job: job.decode_claimed()? });
        } else {
            job.crashes += 1;
            returned += usize::from(put_back(session, job, None)?);
        }
    }
    Ok((returned, dead))
}

fn leased(session: &Session<'_>, lease: &Lease) -> Result<Option<JobRecord>, Failure> {
    let row = session
        .prepare(include_str!("sql/leased.sql"))?
        .query_row(params![lease.job.0, lease.token], row::job)
        .optional()?;
    Ok(row.map(JobRow::decode).transpose()?)
}

/// The served revision of the job's dataset, if the job still works for the target.
fn revisions(session: &Session<'_>, job: &JobRecord) -> Result<Option<Option<Revision>>, Failure> {
    let row: Option<(String, Option<String>)> = session
        .prepare("SELECT target, served FROM datasets WHERE name = ?1")?
        .query_row([job.key.dataset.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match row {
        Some((target, served)) if target == job.revision.as_str() => {
            Ok(Some(served.map(crate::codec::revision).transpose()?))
        }
        _ => Ok(None),
    }
}

fn running_time(session: &Session<'_>, job: &JobRecord) -> i64 {
    job.started_at.map_or(0, |started| (session.now - started.0).max(0))
}

/// Back to wait, joined with the job that waits for the same work if there is one. `false`: superseded, dropped.
pub(super) fn put_back(session: &Session<'_>, job: JobRecord, not_before: Option<i64>) -> Result<bool, Failure> {
    if revisions(session, &job)?.is_none() {
        session.execute("DELETE FROM jobs WHERE id = ?1", [job.id.0])?;
        return Ok(false);
    }
    let twin: Option<(i64, bool)> = session
        .prepare(include_str!("sql/take_twin.sql"))?
        .query_row(artifact(&job), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (priority, forced) = twin.unwrap_or((0, false));
    let not_before = not_before.max(blocked_until(session, &job.key.dataset)?);
    let priority = priority.max(i64::from(job.priority.rank()));
    if not_before.is_none() {
        let (namespace, difficulty) = (job.key.dataset.namespace(), i64::from(job.difficulty.get()));
        session.lanes.borrow_mut().note(priority, namespace, difficulty, job.key.step.as_str(), job.id.0);
    }
    session.execute(
        include_str!("sql/put_back.sql"),
        params![job.id.0, priority, forced || job.forced, not_before, job.attempt, job.crashes],
    )?;
    Ok(true)
}

fn artifact(job: &JobRecord) -> [&str; 5] {
    let key = &job.key;
    [key.dataset.as_str(), job.revision.as_str(), key.step.as_str(), config_text(key), split_text(key)]
}

/// Remembers the run of a coalesced job, and lets the next one, if it waits already, keep its distance.
fn note_run(session: &Session<'_>, job: &JobRecord, duration: i64, coalesce: i64) -> Result<(), Failure> {
    let [dataset, revision, step, config, split] = artifact(job);
    session.execute(
        include_str!("sql/put_run.sql"),
        params![dataset, revision, step, config, split, session.now, duration],
    )?;
    if coalesce > 0 {
        let due = session.now + distance(coalesce, duration);
        session.execute(include_str!("sql/rest_twin.sql"), params![dataset, revision, step, config, split, due])?;
    }
    Ok(())
}

/// Books the time on the dataset's budget; over it, its waiting jobs rest.
fn note_time(session: &Session<'_>, job: &JobRecord, duration: i64, limit: &RateLimit) -> Result<(), Failure> {
    let seconds = duration / 1_000_000;
    if (seconds as f64) < limit.minimum_seconds {
        return Ok(());
    }
    let dataset = job.key.dataset.as_str();
    let window_start = session.now - microseconds(limit.window_seconds);
    session.execute("DELETE FROM past_jobs WHERE dataset = ?1 AND finished_at < ?2", params![dataset, window_start])?;
    session.execute(
        "INSERT INTO past_jobs (dataset, finished_at, duration_seconds) VALUES (?1, ?2, ?3)",
        params![dataset, session.now, seconds],
    )?;
    if (seconds as f64) <= limit.minimum_seconds || blocked_until(session, &job.key.dataset)?.is_some() {
        return Ok(());
    }
    let used: i64 = session
        .prepare("SELECT coalesce(sum(duration_seconds), 0) FROM past_jobs WHERE dataset = ?1")?
        .query_row([dataset], |row| row.get(0))?;
    if used as f64 > limit.budget_seconds {
        let until = session.now + microseconds(limit.penalty_seconds);
        session.execute("DELETE FROM blockages WHERE blocked_until <= ?1", [session.now])?;
        session.execute("INSERT OR REPLACE INTO blockages VALUES (?1, ?2)", params![dataset, until])?;
        session.execute(
            "UPDATE jobs SET not_before = max(coalesce(not_before, 0), ?2) WHERE status = 0 AND dataset = ?1",
            params![dataset, until],
        )?;
    }
    Ok(())
}

/// Moves the served pointer when nothing of the answer set is pending any more.
fn serve_if_complete(
    session: &Session<'_>,
    job: &JobRecord,
    answer_set: &[StepName],
) -> Result<Option<Revision>, Failure> {
    let dataset = job.key.dataset.as_str();
    let steps = serde_json::to_string(answer_set).map_err(crate::StoreError::corrupt)?;
    let pending: bool = session
        .prepare(include_str!("sql/pending_of_steps.sql"))?
        .query_row(params![dataset, job.revision.as_str(), steps], |row| row.get(0))?;
    if pending {
        return Ok(None);
    }
    session.execute("UPDATE datasets SET served = target, eager = 0 WHERE name = ?1", [dataset])?;
    Ok(Some(job.revision.clone()))
}
