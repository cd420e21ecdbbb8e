//! Where jobs wait, remembered by the writer so that a claim need not search the queue.
//!
//! A lane is all that waits with one priority, namespace, difficulty and step. Its head is a lower bound of the ids of
//! its jobs: too low costs one look, too high would lose a job. So heads rise only after a look or a claim, a job that
//! returns lowers the head of its lane, and after a failed commit everything is forgotten and read again.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::rc::Rc;

use rusqlite::{Connection, Row, params};

use super::claim::Choice;
use super::{Failure, Session};

/// Heads of all lanes.
#[derive(Default)]
pub(crate) struct Lanes {
    known: bool,
    /// By priority rank.
    queues: [Queue; 3],
}

/// The lanes of one priority.
#[derive(Default)]
struct Queue {
    namespaces: HashMap<Rc<str>, Namespace>,
    /// Namespaces by the least head of their lanes.
    order: BTreeSet<(i64, Rc<str>)>,
}

struct Namespace {
    /// The least head, as it stands in the order.
    head: i64,
    lanes: Vec<Lane>,
}

struct Lane {
    difficulty: i64,
    step: Rc<str>,
    head: i64,
}

impl Lanes {
    /// Forgets everything: what was remembered may never have been committed.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Reads the heads if they are not known.
    pub(super) fn learn(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if self.known {
            return Ok(());
        }
        let mut statement = connection.prepare_cached(include_str!("sql/lanes.sql"))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            self.note_row(row)?;
        }
        self.known = true;
        Ok(())
    }

    /// Notes a job that waits, given as `priority, namespace, difficulty, step, id`.
    pub(super) fn note_row(&mut self, row: &Row<'_>) -> rusqlite::Result<()> {
        let (namespace, step) = (row.get_ref(1)?.as_str()?, row.get_ref(3)?.as_str()?);
        self.note(row.get(0)?, namespace, row.get(2)?, step, row.get(4)?);
        Ok(())
    }

    /// Notes a job that waits.
    pub(super) fn note(&mut self, priority: i64, namespace: &str, difficulty: i64, step: &str, id: i64) {
        let queue = self.queue(priority);
        let (name, mut known) = match queue.namespaces.remove_entry(namespace) {
            Some(entry) => entry,
            None => (Rc::from(namespace), Namespace { head: id, lanes: Vec::new() }),
        };
        match known.lanes.iter_mut().find(|lane| lane.difficulty == difficulty && &*lane.step == step) {
            Some(lane) => lane.head = lane.head.min(id),
            None => known.lanes.push(Lane { difficulty, step: Rc::from(step), head: id }),
        }
        queue.put(name, known);
    }

    fn queue(&mut self, priority: i64) -> &mut Queue {
        &mut self.queues[usize::try_from(priority).unwrap_or(0).min(2)]
    }

    /// The next job of a priority: the oldest of the namespaces without started jobs, else of those with fewest.
    pub(super) fn next(&mut self, choice: &Choice<'_>, priority: i64) -> Result<Option<i64>, Failure> {
        let queue = self.queue(priority);
        if let Some(id) = queue.oldest_of_free(choice, priority)? {
            return Ok(Some(id));
        }
        let mut busy: Vec<(u32, Rc<str>)> = choice
            .running
            .iter()
            .filter_map(|(name, count)| Some((*count, queue.namespaces.get_key_value(name.as_str())?.0.clone())))
            .collect();
        busy.sort();
        for group in busy.chunk_by(|one, other| one.0 == other.0) {
            let mut best = None;
            for (_, namespace) in group {
                best = queue.oldest_of(choice, priority, namespace, best)?;
            }
            if best.is_some() {
                return Ok(best);
            }
        }
        Ok(None)
    }
}

impl Queue {
    /// Puts a namespace back after its lanes changed.
    fn put(&mut self, name: Rc<str>, mut namespace: Namespace) {
        let head = namespace.lanes.iter().map(|lane| lane.head).min();
        if head != Some(namespace.head) || !self.order.contains(&(namespace.head, name.clone())) {
            self.order.remove(&(namespace.head, name.clone()));
            if let Some(head) = head {
                self.order.insert((head, name.clone()));
            }
        }
        if let Some(head) = head {
            namespace.head = head;
            self.namespaces.insert(name, namespace);
        }
    }

    fn oldest_of_free(&mut self, choice: &Choice<'_>, priority: i64) -> Result<Option<i64>, Failure> {
        let mut best: Option<i64> = None;
        let mut seen = Bound::Unbounded;
        while let Some((head, name)) = self.order.range((seen, Bound::Unbounded)).next().cloned() {
            if best.is_some_and(|best| best <= head) {
                break;
            }
            if !choice.running.contains_key(&*name) {
                best = self.oldest_of(choice, priority, &name, best)?;
            }
            seen = Bound::Excluded((head, name));
        }
        Ok(best)
    }

    /// The oldest eligible job of a namespace, or `best` if that is older.
    fn oldest_of(
        &mut self,
        choice: &Choice<'_>,
        priority: i64,
        name: &Rc<str>,
        mut best: Option<i64>,
    ) -> Result<Option<i64>, Failure> {
        let Some(mut namespace) = self.namespaces.remove(name) else { return Ok(best) };
        namespace.lanes.sort_by_key(|lane| lane.head);
        let mut failure = None;
        namespace.lanes.retain_mut(|lane| {
            let hopeless = failure.is_some() || best.is_some_and(|best| best <= lane.head);
            if hopeless || !choice.takes(lane.difficulty, &lane.step) {
                return true;
            }
            match lane.look(choice, priority, name) {
                Ok(Look::Nothing) => return false,
                Ok(Look::NoneEligible) => {}
                Ok(Look::Found(id)) => best = Some(best.map_or(id, |best| best.min(id))),
                Err(error) => failure = Some(error),
            }
            true
        });
        self.put(name.clone(), namespace);
        match failure {
            Some(failure) => Err(failure),
            None => Ok(best),
        }
    }
}

enum Look {
    /// The lane is empty.
    Nothing,
    NoneEligible,
    Found(i64),
}

impl Lane {
    fn look(&mut self, choice: &Choice<'_>, priority: i64, namespace: &str) -> Result<Look, Failure> {
        let session: &Session<'_> = choice.session;
        let mut statement = session.prepare(include_str!("sql/lane.sql"))?;
        let mut rows = statement.query(params![priority, namespace, self.difficulty, &*self.step, self.head])?;
        let mut empty = true;
        while let Some(row) = rows.next()? {
            let id = row.get(0)?;
            if empty {
                self.head = id;
                empty = false;
            }
            if choice.eligible(id, row.get_ref(1)?.as_str()?)? {
                return Ok(Look::Found(id));
            }
        }
        Ok(if empty { Look::Nothing } else { Look::NoneEligible })
    }
}
