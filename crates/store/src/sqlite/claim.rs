//! Which job is next: priority, then namespaces without a started job, then those with fewest, always the oldest.
//!
//! Three ways find the same job. Usually it is near the head of the queue, so a short walk along the queue comes
//! first. When one namespace fills the head, the *lanes* are compared: one look per namespace and difficulty,
//! however many jobs wait in them. With very many lanes a longer walk is tried before.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use belvedere_domain::job::ClaimedJob;
use rusqlite::{OptionalExtension as _, params};

use super::{Failure, Session, row};
use crate::ClaimRequest;
use crate::codec::{difficulty_range, microseconds};

/// Rows of the first walk.
const NEAR: usize = 64;
/// Lanes that are cheaper to compare than a long walk.
const FEW_LANES: usize = 64;
/// Rows of the second walk.
const FAR: usize = 4096;

/// Claims the next job for this asker.
pub(super) fn claim(session: &Session<'_>, request: &ClaimRequest) -> Result<Option<ClaimedJob>, Failure> {
    // Jobs whose rest is over join the queue at their age.
    session.execute("UPDATE jobs SET not_before = NULL WHERE status = 0 AND not_before <= ?1", [session.now])?;
    let choice = Choice::new(session, request)?;
    for priority in [2, 1, 0] {
        if let Some(id) = choice.next(priority)? {
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
struct Choice<'a> {
    session: &'a Session<'a>,
    low: i64,
    high: i64,
    only: HashSet<&'a str>,
    blocked: HashSet<&'a str>,
    /// Datasets over their budget.
    resting: HashSet<String>,
    /// Datasets at their cap.
    full: HashSet<String>,
    /// Started jobs per namespace, as far as this asker's limits reach.
    running: HashMap<String, u32>,
    any_started: bool,
}

/// A namespace and a difficulty.
type Lane = (Rc<str>, i64);

enum Walk {
    Found(i64),
    /// Seen to the end: nothing outside the busy namespaces; the flag tells whether anything waits at all.
    End {
        empty: bool,
    },
    /// Given up after the limit.
    Cut,
}

impl<'a> Choice<'a> {
    fn new(session: &'a Session<'a>, request: &'a ClaimRequest) -> Result<Self, Failure> {
        let (low, high) = difficulty_range(request);
        let mut choice = Self {
            session,
            low,
            high,
            only: request.only.iter().map(belvedere_domain::StepName::as_str).collect(),
            blocked: request.blocked.iter().map(belvedere_domain::StepName::as_str).collect(),
            resting: HashSet::new(),
            full: HashSet::new(),
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
            self.full =
                per_dataset.into_iter().filter(|(_, count)| *count >= cap).map(|(dataset, _)| dataset).collect();
        }
        Ok(())
    }

    /// Whether this asker takes such jobs at all.
    fn takes(&self, difficulty: i64, step: &str) -> bool {
        (self.low..=self.high).contains(&difficulty)
            && (self.only.is_empty() || self.only.contains(step))
            && !self.blocked.contains(step)
    }

    fn eligible(&self, id: i64, difficulty: i64, step: &str, dataset: &str) -> Result<bool, Failure> {
        if !self.takes(difficulty, step) || self.resting.contains(dataset) || self.full.contains(dataset) {
            return Ok(false);
        }
        if !self.any_started {
            return Ok(true);
        }
        let twin: bool =
            self.session.prepare(include_str!("sql/has_started_twin.sql"))?.query_row([id], |row| row.get(0))?;
        Ok(!twin)
    }

    fn next(&self, priority: i64) -> Result<Option<i64>, Failure> {
        match self.walk(priority, NEAR)? {
            Walk::Found(id) => return Ok(Some(id)),
            Walk::End { empty: true } => return Ok(None),
            Walk::End { empty: false } | Walk::Cut => {}
        }
        if let Some(lanes) = self.lanes(priority, FEW_LANES)? {
            return self.best(priority, &lanes);
        }
        if let Walk::Found(id) = self.walk(priority, FAR)? {
            return Ok(Some(id));
        }
        let lanes = self.lanes(priority, usize::MAX)?.unwrap_or_default();
        self.best(priority, &lanes)
    }

    /// The oldest eligible job of a namespace without started jobs, among the first rows of the queue.
    fn walk(&self, priority: i64, limit: usize) -> Result<Walk, Failure> {
        let mut statement = self.session.prepare(include_str!("sql/walk.sql"))?;
        let mut rows = statement.query([priority])?;
        for seen in 0..limit {
            let Some(row) = rows.next()? else { return Ok(Walk::End { empty: seen == 0 }) };
            if self.running.contains_key(row.get_ref(1)?.as_str()?) {
                continue;
            }
            let id = row.get(0)?;
            if self.eligible(id, row.get(2)?, row.get_ref(3)?.as_str()?, row.get_ref(4)?.as_str()?)? {
                return Ok(Walk::Found(id));
            }
        }
        Ok(Walk::Cut)
    }

    /// The namespaces and difficulties in which jobs wait; `None` when there are more than `limit`.
    fn lanes(&self, priority: i64, limit: usize) -> Result<Option<Vec<Lane>>, Failure> {
        let mut statement = self.session.prepare(include_str!("sql/next_lane.sql"))?;
        let mut lanes: Vec<Lane> = Vec::new();
        let mut last: Lane = (Rc::from(""), -1);
        loop {
            let lane = statement
                .query_row(params![priority, &*last.0, last.1], |row| Ok((row.get::<_, Rc<str>>(0)?, row.get(1)?)))
                .optional()?;
            let Some(lane) = lane else { return Ok(Some(lanes)) };
            if lanes.len() == limit {
                return Ok(None);
            }
            last = lane.clone();
            lanes.push(lane);
        }
    }

    /// The oldest eligible job of the least busy namespace among these lanes.
    fn best(&self, priority: i64, lanes: &[Lane]) -> Result<Option<i64>, Failure> {
        let mut best: Option<(u32, i64)> = None;
        let mut statement = self.session.prepare(include_str!("sql/lane.sql"))?;
        for (namespace, difficulty) in lanes {
            let running = self.running.get(&**namespace).copied().unwrap_or(0);
            if !(self.low..=self.high).contains(difficulty) || best.is_some_and(|(least, _)| least < running) {
                continue;
            }
            let mut rows = statement.query(params![priority, &**namespace, difficulty])?;
            while let Some(row) = rows.next()? {
                let id = row.get(0)?;
                if best.is_some_and(|best| best < (running, id)) {
                    break;
                }
                if self.eligible(id, *difficulty, row.get_ref(1)?.as_str()?, row.get_ref(2)?.as_str()?)? {
                    best = Some((running, id));
                    break;
                }
            }
        }
        Ok(best.map(|(_, id)| id))
    }
}
