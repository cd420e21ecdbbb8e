//! Which job is next: priority, then namespaces without a started job, then those with fewest, always the oldest.

use std::collections::{HashMap, HashSet};

use belvedere_domain::StepName;
use belvedere_domain::job::ClaimedJob;
use rusqlite::params;

use super::{Failure, Session, row};
use crate::ClaimRequest;
use crate::codec::{difficulty_range, microseconds};

/// Claims the next job for this asker.
pub(super) fn claim(session: &Session<'_>, request: &ClaimRequest) -> Result<Option<ClaimedJob>, Failure> {
    let mut lanes = session.lanes.borrow_mut();
    lanes.learn(session.connection)?;
    // Jobs whose rest is over join the queue at their age.
    let mut wake = session.prepare(include_str!("sql/wake.sql"))?;
    let mut woken = wake.query([session.now])?;
    while let Some(row) = woken.next()? {
        lanes.note_row(row)?;
    }
    let choice = Choice::new(session, request)?;
    for priority in [2, 1, 0] {
        if let Some(id) = lanes.next(&choice, priority)? {
            return start(session, request, id).map(Some);
        }
    }
    Ok(None)
}

fn start(session: &Session<'_>, request: &ClaimRequest, id: i64) -> Result<ClaimedJob, Failure> {
    let expires_at = session.now + microseconds(request.lease_seconds);
    let job = session
        .prepare(include_str!("sql/start.sql"))?
        .query_row(params![id, request.owner, expires_at, session.now], row::job)?;
    Ok(job.decode_claimed()?)
}

/// Everything about the moment and the asker that decides who is eligible.
pub(super) struct Choice<'a> {
    pub(super) session: &'a Session<'a>,
    low: i64,
    high: i64,
    only: HashSet<&'a str>,
    blocked: HashSet<&'a str>,
    /// Datasets over their budget.
    resting: HashSet<String>,
    /// Datasets at their cap, and those left to other workers.
    full: HashSet<String>,
    /// Started jobs per namespace, as far as this asker's limits reach.
    pub(super) running: HashMap<String, u32>,
    any_started: bool,
}

impl<'a> Choice<'a> {
    fn new(session: &'a Session<'a>, request: &'a ClaimRequest) -> Result<Self, Failure> {
        let (low, high) = difficulty_range(request);
        let mut choice = Self {
            session,
            low,
            high,
            only: request.only.iter().map(StepName::as_str).collect(),
            blocked: request.blocked.iter().map(StepName::as_str).collect(),
            resting: HashSet::new(),
            full: request.without.iter().map(ToString::to_string).collect(),
            running: HashMap::new(),
            any_started: false,
        };
        let mut statement = session.prepare("SELECT dataset FROM blockages WHERE blocked_until > ?1")?;
        choice.resting = statement.query_map([session.now], |row| row.get(0))?.collect::<Result<_, _>>()?;
        choice.count_started(request.fairness.max_jobs_per_dataset)?;
        Ok(choice)
    }

    fn count_started(&mut self, cap: Option<u32>) -> Result<(), Failure> {
        let mut per_dataset: HashMap<String, u32> = HashMap::new();
        let mut statement =
            self.session.prepare("SELECT namespace, dataset, step, difficulty FROM jobs WHERE status = 1")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            self.any_started = true;
            let (namespace, dataset) = (row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?);
            if cap.is_some() {
                *per_dataset.entry(dataset.to_owned()).or_default() += 1;
            }
            let counts = self.takes(row.get(3)?, row.get_ref(2)?.as_str()?) && !self.resting.contains(dataset);
            if counts {
                *self.running.entry(namespace.to_owned()).or_default() += 1;
            }
        }
        if let Some(cap) = cap {
            let full = per_dataset.into_iter().filter(|(_, count)| *count >= cap);
            self.full.extend(full.map(|(dataset, _)| dataset));
        }
        Ok(())
    }

    /// Whether this asker takes such jobs at all.
    pub(super) fn takes(&self, difficulty: i64, step: &str) -> bool {
        (self.low..=self.high).contains(&difficulty)
            && (self.only.is_empty() || self.only.contains(step))
            && !self.blocked.contains(step)
    }

    /// Whether a waiting job that this asker takes may start now.
    pub(super) fn eligible(&self, id: i64, dataset: &str) -> Result<bool, Failure> {
        if self.resting.contains(dataset) || self.full.contains(dataset) {
            return Ok(false);
        }
        if !self.any_started {
            return Ok(true);
        }
        let sql = include_str!("sql/has_started_twin.sql");
        let twin: bool = self.session.prepare(sql)?.query_row([id], |row| row.get(0))?;
        Ok(!twin)
    }
}
