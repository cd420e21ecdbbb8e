//! Deleting tasks, and what is to be removed elsewhere after that.

use belvedere_domain::task::{AttemptTag, ClusterName, State, TaskId};

use super::decode::{self, select_tasks};
use super::questions::question;
use super::rows::TaskRow;
use crate::StoreError;
use crate::codec::microseconds;
use crate::portable::{Row, Script, Transaction, values};

/// What became of a wish to delete a task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Deleted {
    /// There is no such task of that owner.
    Unknown,
    /// It has not ended: this is its state.
    Refused(State),
    /// It is gone. Folders of files that nothing refers to any more.
    Gone(Vec<TaskId>),
}

/// A folder of an attempt on a cluster, which is not needed any more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OldFolder {
    /// Its name.
    pub tag: AttemptTag,
    /// The attempt, unless its task is gone.
    pub attempt: Option<(TaskId, u32)>,
}

/// Deletes a task that has ended.
pub(crate) struct Delete {
    pub(crate) id: TaskId,
    pub(crate) owner: Option<String>,
}

impl Script for Delete {
    type Output = Deleted;
    const WHAT: &'static str = "delete a task";

    async fn run<T: Transaction>(&self, transaction: &mut T) -> Result<Deleted, StoreError> {
        let (id, now) = (self.id.to_string(), transaction.now());
        // Locks the row: whoever would try the task again comes before or finds nothing.
        let sql = "UPDATE task SET changed_at = changed_at WHERE id = $1 \
                   AND (CAST($2 AS TEXT) IS NULL OR owner = $2) RETURNING state, cluster, sweep";
        let Some(mut row) = transaction.rows(sql, values![&id, self.owner.as_deref()]).await?.pop() else {
            return Ok(Deleted::Unknown);
        };
        let state: State = decode::state(&row.text()?)?;
        let (cluster, sweep) = (row.text()?, row.opt_text()?);
        if !state.is_final() {
            return Ok(Deleted::Refused(state));
        }
        let sql = "INSERT INTO task_leftover (tag, cluster, created_at) SELECT tag, $2, $3 FROM task_attempt \
                   WHERE task = $1 AND removed_at IS NULL ON CONFLICT (tag) DO NOTHING";
        transaction.rows(sql, values![&id, &cluster, now]).await?;
        for sql in [
            "DELETE FROM task_log WHERE task = $1",
            "DELETE FROM task_artifact WHERE task = $1",
            "DELETE FROM task_event WHERE task = $1",
            "DELETE FROM task_file WHERE task = $1",
            "DELETE FROM task_key WHERE task = $1",
            "DELETE FROM task_attempt WHERE task = $1",
            "DELETE FROM task WHERE id = $1",
        ] {
            transaction.rows(sql, values![&id]).await?;
        }
        let mut gone = vec![self.id];
        if let Some(sweep) = sweep {
            let sql = "DELETE FROM task_sweep WHERE id = $1 \
                       AND NOT EXISTS (SELECT 1 FROM task WHERE sweep = $1) RETURNING id";
            if let Some(mut row) = transaction.rows(sql, values![&sweep]).await?.pop() {
                gone.push(decode::id(&mut row)?);
                for sql in ["DELETE FROM task_file WHERE task = $1", "DELETE FROM task_key WHERE task = $1"] {
                    transaction.rows(sql, values![&sweep]).await?;
                }
            }
        }
        Ok(Deleted::Gone(gone))
    }
}

/// Tasks that ended long ago.
pub(crate) struct Old {
    pub(crate) owner: Option<String>,
    pub(crate) ended_seconds: f64,
    pub(crate) limit: u32,
}

question!(Old => Vec<TaskRow>, "list old tasks", |self, transaction| {
    let sql = select_tasks!(
        "WHERE t.active = 0 AND t.state <> 'queued' AND t.changed_at < $1 \
         AND (CAST($2 AS TEXT) IS NULL OR t.owner = $2) ORDER BY t.changed_at LIMIT $3"
    );
    let before = transaction.now() - microseconds(self.ended_seconds);
    let rows = transaction.rows(sql, values![before, self.owner.as_deref(), self.limit]).await?;
    rows.into_iter().map(decode::task).collect()
});

/// Which tasks and sweeps there are.
pub(crate) struct Known(pub(crate) Vec<TaskId>);

question!(Known => Vec<TaskId>, "look for tasks", |self, transaction| {
    let mut known = Vec::new();
    for id in &self.0 {
        let sql = "SELECT id FROM task WHERE id = $1 UNION ALL SELECT id FROM task_sweep WHERE id = $1";
        if !transaction.rows(sql, values![id.to_string()]).await?.is_empty() {
            known.push(*id);
        }
    }
    Ok(known)
});

/// Folders on a cluster that are not needed any more.
pub(crate) struct Folders {
    pub(crate) cluster: ClusterName,
    pub(crate) ended_seconds: f64,
    pub(crate) limit: u32,
}

fn tag(row: &mut Row) -> Result<AttemptTag, StoreError> {
    let tag = row.text()?;
    AttemptTag::recognise(&tag).ok_or_else(|| StoreError::Corrupt(format!("`{tag}` is no tag")))
}

question!(Folders => Vec<OldFolder>, "list folders that are not needed", |self, transaction| {
    let sql = "SELECT tag FROM task_leftover WHERE cluster = $1 ORDER BY tag LIMIT $2";
    let mut all = Vec::new();
    for mut row in transaction.rows(sql, values![self.cluster.as_str(), self.limit]).await? {
        all.push(OldFolder { tag: tag(&mut row)?, attempt: None });
    }
    let sql = "SELECT a.tag, a.task, a.number FROM task_attempt a JOIN task t ON t.id = a.task \
               WHERE a.removed_at IS NULL AND a.ended_at < $2 AND t.cluster = $1 \
               AND (t.active = 0 OR t.attempt > a.number) ORDER BY a.ended_at LIMIT $3";
    let before = transaction.now() - microseconds(self.ended_seconds);
    for mut row in transaction.rows(sql, values![self.cluster.as_str(), before, self.limit]).await? {
        let tag = tag(&mut row)?;
        all.push(OldFolder { tag, attempt: Some((decode::id(&mut row)?, row.count()?)) });
    }
    Ok(all)
});

/// Notes that a folder was removed.
pub(crate) struct FolderGone(pub(crate) OldFolder);

impl Script for FolderGone {
    type Output = ();
    const WHAT: &'static str = "note that a folder was removed";

    async fn run<T: Transaction>(&self, transaction: &mut T) -> Result<(), StoreError> {
        let now = transaction.now();
        let sql = "DELETE FROM task_leftover WHERE tag = $1";
        transaction.rows(sql, values![self.0.tag.as_str()]).await?;
        let Some((task, number)) = self.0.attempt else { return Ok(()) };
        let sql = "UPDATE task_attempt SET removed_at = $3 WHERE task = $1 AND number = $2";
        transaction.rows(sql, values![task.to_string(), number, now]).await.map(drop)
    }
}
