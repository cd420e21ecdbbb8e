//! Where jobs wait, remembered by the writer so that a claim need not search the queue.
//!
//! A lane is all that waits with one priority, namespace, difficulty and step. Its head is a lower bound of the ids of
//! its jobs: too low costs one look, too high would lose a job. So heads rise only after a look or a claim, a job that
//! returns lowers the head of its lane, and after a failure everything is forgotten and read again.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::rc::Rc;

use rusqlite::{Connection, Row, params};

use super::Failure;
use super::claim::Choice;

/// Heads of all lanes.
#[derive(Default)]
pub(crate) struct Lanes {
    known: bool,
    /// By priority rank.
    queues: [Vec<Class>; 3],
}

/// The lanes of one difficulty and step.
struct Class {
    difficulty: i64,
    step: Box<str>,
    /// The head of each namespace.
    heads: HashMap<Rc<str>, i64>,
    /// The same by age.
    order: BTreeSet<(i64, Rc<str>)>,
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
        let classes = self.classes(priority);
        let place = classes.iter().position(|class| class.difficulty == difficulty && &*class.step == step);
        let place = place.unwrap_or_else(|| {
            classes.push(Class { difficulty, step: step.into(), heads: HashMap::new(), order: BTreeSet::new() });
            classes.len() - 1
        });
        let class = &mut classes[place];
        match class.heads.get_key_value(namespace) {
            Some((_, head)) if *head <= id => {}
            Some((name, _)) => class.move_head(&name.clone(), Some(id)),
            None => class.move_head(&Rc::from(namespace), Some(id)),
        }
    }

    fn classes(&mut self, priority: i64) -> &mut Vec<Class> {
        &mut self.queues[usize::try_from(priority).unwrap_or(0).min(2)]
    }

    /// The next job of a priority: the oldest of the namespaces without started jobs, else of those with fewest.
    pub(super) fn next(&mut self, choice: &Choice<'_>, priority: i64) -> Result<Option<i64>, Failure> {
        let classes = self.classes(priority);
        let mut taken: Vec<&mut Class> =
            classes.iter_mut().filter(|class| choice.takes(class.difficulty, &class.step)).collect();
        // By age, so that the first look usually finds the oldest and ends the search.
        taken.sort_by_cached_key(|class| class.order.first().map_or(i64::MAX, |(head, _)| *head));
        let mut best = None;
        for class in &mut taken {
            best = class.oldest_of_free(choice, priority, best)?;
        }
        if best.is_some() {
            return Ok(best);
        }
        let mut busy: Vec<(u32, Rc<str>)> =
            choice.running.iter().map(|(name, count)| (*count, Rc::from(name.as_str()))).collect();
        busy.sort();
        for group in busy.chunk_by(|one, other| one.0 == other.0) {
            for (_, namespace) in group {
                for class in &mut taken {
                    best = class.oldest_of(choice, priority, namespace, best)?;
                }
            }
            if best.is_some() {
                return Ok(best);
            }
        }
        Ok(None)
    }
}

impl Class {
    fn move_head(&mut self, namespace: &Rc<str>, head: Option<i64>) {
        let before = match head {
            Some(head) => self.heads.insert(namespace.clone(), head),
            None => self.heads.remove(namespace),
        };
        if let Some(before) = before {
            self.order.remove(&(before, namespace.clone()));
        }
        if let Some(head) = head {
            self.order.insert((head, namespace.clone()));
        }
    }

    /// The oldest eligible job of the namespaces without started jobs, or `best` if that is older.
    fn oldest_of_free(
        &mut self,
        choice: &Choice<'_>,
        priority: i64,
        mut best: Option<i64>,
    ) -> Result<Option<i64>, Failure> {
        let mut seen = Bound::Unbounded;
        while let Some((head, namespace)) = self.order.range((seen, Bound::Unbounded)).next().cloned() {
            if best.is_some_and(|best| best <= head) {
                break;
            }
            if !choice.running.contains_key(&*namespace) {
                best = self.oldest_of(choice, priority, &namespace, best)?;
            }
            seen = Bound::Excluded((head, namespace));
        }
        Ok(best)
    }

    /// The oldest eligible job of a namespace, or `best` if that is older.
    fn oldest_of(
        &mut self,
        choice: &Choice<'_>,
        priority: i64,
        namespace: &Rc<str>,
        best: Option<i64>,
    ) -> Result<Option<i64>, Failure> {
        let Some(head) = self.heads.get(namespace).copied() else { return Ok(best) };
        if best.is_some_and(|best| best <= head) {
            return Ok(best);
        }
        let mut statement = choice.session.prepare(include_str!("sql/lane.sql"))?;
        let mut rows = statement.query(params![priority, &**namespace, self.difficulty, &*self.step, head])?;
        let mut first = None;
        let mut found = None;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            first = first.or(Some(id));
            if best.is_some_and(|best| best <= id) {
                break;
            }
            if choice.eligible(id, row.get_ref(1)?.as_str()?)? {
                found = Some(id);
                break;
            }
        }
        if first != Some(head) {
            self.move_head(namespace, first);
        }
        Ok(found.or(best))
    }
}
