//! Sweeps: tasks that differ by parameters alone. As many of them are active as may be; whenever one ends, the next one
//! has its turn, in the same transaction.

use belvedere_domain::task::{ClusterName, State, TaskId};
use belvedere_domain::{DatasetName, Timestamp};

use super::decode;
use super::questions::question;
use super::submit::{NewTask, Submitted, event, full, known, new_attempt, put_files, put_key, take_turn};
use crate::StoreError;
use crate::portable::{Row, Script, Transaction, values};

/// Tasks that differ by parameters alone, to be stored. Their files are in place, in the folder of the sweep.
#[derive(Clone, PartialEq, Debug)]
pub struct NewSweep {
    /// What the tasks share; `id` is the sweep's.
    pub shared: NewTask,
    /// How many of them may be active at a time, from 1.
    pub max_parallel: u32,
    /// The tasks: ids, and parameters as JSON objects. Ids grow.
    pub points: Vec<(TaskId, String)>,
}

/// A stored sweep.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SweepRow {
    /// Its id.
    pub id: TaskId,
    /// Whose it is.
    pub owner: String,
    /// Where it runs.
    pub cluster: ClusterName,
    /// Experiment.
    pub experiment: String,
    /// The dataset it reads.
    pub dataset: Option<String>,
    /// What exactly it reads, as JSON.
    pub pin: Option<String>,
    /// Its configuration as it came.
    pub config: String,
    /// Tasks it was made of.
    pub size: u32,
    /// How many of them may be active at a time.
    pub max_parallel: u32,
    /// When it was stored.
    pub created_at: Timestamp,
    /// How many of its tasks are in each state, as far as they have not been deleted.
    pub states: Vec<(State, u32)>,
}

/// What became of a wish to cancel a sweep.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SweepCancelled {
    /// Tasks that had not been sent anywhere and are cancelled.
    pub at_once: u32,
    /// Tasks that the monitor will cancel.
    pub requested: u32,
}

/// Stores a sweep.
pub(crate) struct SubmitSweep(pub(crate) NewSweep);

impl Script for SubmitSweep {
    type Output = Submitted;
    const WHAT: &'static str = "store a sweep";

    async fn run<T: Transaction>(&self, transaction: &mut T) -> Result<Submitted, StoreError> {
        let NewSweep { shared, max_parallel, points } = &self.0;
        let now = transaction.now();
        take_turn(transaction, &shared.owner, shared.cluster.as_str()).await?;
        if let Some(key) = &shared.key
            && let Some(known) = known(transaction, &shared.owner, key).await?
        {
            return Ok(known);
        }
        let size = u32::try_from(points.len()).unwrap_or(u32::MAX);
        let parallel = (*max_parallel).clamp(1, size.max(1));
        if let Some(full) = full(transaction, &shared.owner, shared.cluster.as_str(), shared.limits, parallel).await? {
            return Ok(full);
        }
        let (id, cluster) = (shared.id.to_string(), shared.cluster.as_str());
        let dataset = shared.dataset.as_ref().map(DatasetName::as_str);
        let sql = "INSERT INTO task_sweep (id, owner, cluster, experiment, dataset, pin, config, size, max_parallel, \
                   created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        let (pin, config) = (shared.pin.as_ref(), &shared.config);
        let params =
            values![&id, &shared.owner, cluster, &shared.experiment, dataset, pin, config, size, parallel, now];
        transaction.rows(sql, params).await?;
        put_files(transaction, shared).await?;
        for (place, (task, point)) in (0_u32..).zip(points) {
            let sql = "INSERT INTO task (id, owner, cluster, experiment, dataset, config, attempt, state, active, \
                       created_at, changed_at, sweep, place, point) \
                       VALUES ($1, $2, $3, $4, $5, '', 1, $6, $7, $8, $8, $9, $10, $11)";
            let (state, active) = (State::Queued.as_str(), i64::from(place < parallel));
            let owner = &shared.owner;
            let params = values![
                task.to_string(),
                owner,
                cluster,
                &shared.experiment,
                dataset,
                state,
                active,
                now,
                &id,
                place,
                point
            ];
            transaction.rows(sql, params).await?;
            new_attempt(transaction, *task, 1).await?;
            event(transaction, *task, 1, owner, "submitted_by", None).await?;
        }
        put_key(transaction, shared).await?;
        Ok(Submitted::Created)
    }
}

/// Lets tasks of a sweep become active in place of those that have ended.
pub(super) async fn go_on<T: Transaction>(transaction: &mut T, sweep: Option<&str>) -> Result<(), StoreError> {
    let Some(sweep) = sweep else { return Ok(()) };
    // Locks the row, so that what is counted stays true until the end.
    let sql = "UPDATE task_sweep SET turns = turns + 1 WHERE id = $1 RETURNING max_parallel";
    let Some(mut row) = transaction.rows(sql, values![sweep]).await?.pop() else { return Ok(()) };
    let parallel = row.int()?;
    let sql = "SELECT COUNT(*) FROM task WHERE sweep = $1 AND active = 1";
    let active = transaction.rows(sql, values![sweep]).await?.pop().map_or(Ok(0), |mut row| row.int())?;
    let sql = "UPDATE task SET active = 1, changed_at = $3 WHERE id IN (SELECT id FROM task \
               WHERE sweep = $1 AND active = 0 AND state = 'queued' ORDER BY place LIMIT $2)";
    let room = (parallel - active).max(0);
    transaction.rows(sql, values![sweep, room, transaction.now()]).await.map(drop)
}

fn sweep(mut row: Row) -> Result<SweepRow, StoreError> {
    let row = &mut row;
    Ok(SweepRow {
        id: decode::id(row)?,
        owner: row.text()?,
        cluster: ClusterName::new(row.text()?).map_err(StoreError::corrupt)?,
        experiment: row.text()?,
        dataset: row.opt_text()?,
        pin: row.opt_text()?,
        config: row.text()?,
        size: row.count()?,
        max_parallel: row.count()?,
        created_at: Timestamp(row.int()?),
        states: Vec::new(),
    })
}

/// Counts the tasks of a sweep by state.
async fn count<T: Transaction>(transaction: &mut T, sweep: &mut SweepRow) -> Result<(), StoreError> {
    let sql = "SELECT state, COUNT(*) FROM task WHERE sweep = $1 GROUP BY state ORDER BY state";
    for mut row in transaction.rows(sql, values![sweep.id.to_string()]).await? {
        sweep.states.push((decode::state(&row.text()?)?, row.count()?));
    }
    Ok(())
}

pub(crate) struct Sweep {
    pub(crate) id: TaskId,
    pub(crate) owner: Option<String>,
}

question!(Sweep => Option<SweepRow>, "read a sweep", |self, transaction| {
    let sql = "SELECT id, owner, cluster, experiment, dataset, pin, config, size, max_parallel, created_at \
               FROM task_sweep WHERE id = $1 AND (CAST($2 AS TEXT) IS NULL OR owner = $2)";
    let mut rows = transaction.rows(sql, values![self.id.to_string(), self.owner.as_deref()]).await?;
    let Some(row) = rows.pop() else { return Ok(None) };
    let mut found = sweep(row)?;
    count(transaction, &mut found).await?;
    Ok(Some(found))
});

pub(crate) struct ListSweeps {
    pub(crate) owner: Option<String>,
    pub(crate) before: Option<TaskId>,
    pub(crate) limit: u32,
}

question!(ListSweeps => Vec<SweepRow>, "list sweeps", |self, transaction| {
    let sql = "SELECT id, owner, cluster, experiment, dataset, pin, config, size, max_parallel, created_at \
               FROM task_sweep WHERE (CAST($1 AS TEXT) IS NULL OR owner = $1) \
               AND (CAST($2 AS TEXT) IS NULL OR id < $2) ORDER BY id DESC LIMIT $3";
    let params = values![self.owner.as_deref(), self.before.map(|id| id.to_string()), self.limit];
    let rows = transaction.rows(sql, params).await?;
    let mut all = rows.into_iter().map(sweep).collect::<Result<Vec<_>, _>>()?;
    for found in &mut all {
        count(transaction, found).await?;
    }
    Ok(all)
});

/// Asks for the end of all tasks of a sweep.
pub(crate) struct CancelSweep {
    pub(crate) id: TaskId,
    pub(crate) owner: Option<String>,
    pub(crate) actor: String,
}

impl Script for CancelSweep {
    type Output = Option<SweepCancelled>;
    const WHAT: &'static str = "cancel a sweep";

    async fn run<T: Transaction>(&self, transaction: &mut T) -> Result<Option<SweepCancelled>, StoreError> {
        let (id, now) = (self.id.to_string(), transaction.now());
        // Locks the row: no task has its turn meanwhile.
        let sql = "UPDATE task_sweep SET turns = turns + 1 WHERE id = $1 \
                   AND (CAST($2 AS TEXT) IS NULL OR owner = $2) RETURNING id";
        if transaction.rows(sql, values![&id, self.owner.as_deref()]).await?.is_empty() {
            return Ok(None);
        }
        let sql = "UPDATE task SET state = 'cancelled', active = 0, cancel_at = $2, cancel_by = $3, changed_at = $2 \
                   WHERE sweep = $1 AND state = 'queued' RETURNING id, attempt";
        let at_once = transaction.rows(sql, values![&id, now, &self.actor]).await?;
        let done = at_once.len();
        for mut row in at_once {
            let (task, number) = (decode::id(&mut row)?, row.count()?);
            let sql = "UPDATE task_attempt SET version = version + 1, state = 'cancelled', reason = NULL, \
                       ended_at = $3 WHERE task = $1 AND number = $2";
            transaction.rows(sql, values![task.to_string(), number, now]).await?;
            event(transaction, task, number, &self.actor, "cancelled", None).await?;
        }
        let sql = "UPDATE task SET cancel_at = $2, cancel_by = $3, changed_at = $2 \
                   WHERE sweep = $1 AND active = 1 AND cancel_at IS NULL RETURNING id, attempt";
        let requested = transaction.rows(sql, values![&id, now, &self.actor]).await?;
        let waiting = requested.len();
        for mut row in requested {
            let (task, number) = (decode::id(&mut row)?, row.count()?);
            event(transaction, task, number, &self.actor, "cancel_requested", None).await?;
        }
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Ok(Some(SweepCancelled { at_once: number(done), requested: number(waiting) }))
    }
}

/// Tries those tasks of a sweep again that have ended without success, when their turn comes.
pub(crate) struct RetrySweep {
    pub(crate) id: TaskId,
    pub(crate) owner: Option<String>,
    pub(crate) actor: String,
}

impl Script for RetrySweep {
    type Output = Option<u32>;
    const WHAT: &'static str = "try a sweep again";

    async fn run<T: Transaction>(&self, transaction: &mut T) -> Result<Option<u32>, StoreError> {
        let (id, now) = (self.id.to_string(), transaction.now());
        let sql = "UPDATE task_sweep SET turns = turns + 1 WHERE id = $1 \
                   AND (CAST($2 AS TEXT) IS NULL OR owner = $2) RETURNING id";
        if transaction.rows(sql, values![&id, self.owner.as_deref()]).await?.is_empty() {
            return Ok(None);
        }
        let sql = "UPDATE task SET state = 'queued', attempt = attempt + 1, cancel_at = NULL, cancel_by = NULL, \
                   changed_at = $2 WHERE sweep = $1 AND active = 0 AND state NOT IN ('queued', 'succeeded') \
                   RETURNING id, attempt";
        let retried = transaction.rows(sql, values![&id, now]).await?;
        let count = u32::try_from(retried.len()).unwrap_or(u32::MAX);
        for mut row in retried {
            let (task, number) = (decode::id(&mut row)?, row.count()?);
            new_attempt(transaction, task, number).await?;
            event(transaction, task, number, &self.actor, "retried", None).await?;
        }
        go_on(transaction, Some(&id)).await?;
        Ok(Some(count))
    }
}
