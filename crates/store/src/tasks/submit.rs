//! Storing a task: its key, the limits, and all its rows in one transaction.

use belvedere_domain::DatasetName;
use belvedere_domain::task::{ClusterName, State, TaskId};

use super::decode;
use crate::StoreError;
use crate::portable::{Script, Transaction, Value, values};
use crate::sqlite::Sqlite;

/// Seconds for which a request may be repeated under its key.
pub const KEY_SECONDS: i64 = 24 * 3600;

/// A task to be stored, whose files are in place or come with it.
#[derive(Clone, PartialEq, Debug)]
pub struct NewTask {
    /// Its id.
    pub id: TaskId,
    /// Whose it is.
    pub owner: String,
    /// Where it shall run.
    pub cluster: ClusterName,
    /// Experiment, a text for people.
    pub experiment: String,
    /// The dataset it reads.
    pub dataset: Option<DatasetName>,
    /// What exactly it reads, as JSON.
    pub pin: Option<String>,
    /// Its configuration as it came.
    pub config: String,
    /// Its files, in the order of their coming.
    pub files: Vec<TaskFile>,
    /// Their bytes, one after the other, where the store is to keep them; empty where they lie in the folder of the task.
    pub contents: Vec<Vec<u8>>,
    /// Makes the request repeatable.
    pub key: Option<RequestKey>,
    /// Limits that hold at this moment.
    pub limits: ActiveLimits,
}

/// A file of a task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TaskFile {
    /// Our name for it: a plain name.
    pub stored_name: String,
    /// The client's name for it: any text.
    pub original_name: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Hexadecimal SHA-256.
    pub sha256: String,
}

/// The key under which a client may repeat a request, and what tells whether it is the same request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RequestKey {
    /// Which request.
    pub route: String,
    /// The client's key.
    pub key: String,
    /// Digest of the request.
    pub fingerprint: String,
}

/// How many tasks may be active at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ActiveLimits {
    /// Of one owner.
    pub per_owner: u32,
    /// On the cluster.
    pub per_cluster: u32,
}

/// What became of a submission.
#[derive(Clone, PartialEq, Debug)]
pub enum Submitted {
    /// It is stored.
    Created,
    /// The same request was stored before, as this task.
    Replayed(TaskId),
    /// The key belongs to another request.
    KeyTaken,
    /// The owner has this many active tasks already.
    OwnerFull(u32),
    /// The cluster has this many active tasks already.
    ClusterFull(u32),
}

/// Stores a task. PostgreSQL has a function of its own for this (`postgres/submissions.rs`), as it is asked for most.
struct Submit(NewTask);

impl Script for Submit {
    type Output = Submitted;
    const WHAT: &'static str = "store a task";

    async fn run<T: Transaction>(&self, transaction: &mut T) -> Result<Submitted, StoreError> {
        let task = &self.0;
        let now = transaction.now();
        take_turn(transaction, &task.owner, task.cluster.as_str()).await?;
        if let Some(key) = &task.key
            && let Some(known) = known(transaction, &task.owner, key).await?
        {
            return Ok(known);
        }
        if let Some(full) = full(transaction, &task.owner, task.cluster.as_str(), task.limits, 1).await? {
            return Ok(full);
        }
        let id = Value::from(task.id.to_string());
        let dataset = task.dataset.as_ref().map(DatasetName::as_str);
        transaction
            .rows(
                "INSERT INTO task (id, owner, cluster, experiment, dataset, pin, config, attempt, state, active, \
                 created_at, changed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $8, 1, $9, $9)",
                &[
                    id.clone(),
                    (&task.owner).into(),
                    task.cluster.as_str().into(),
                    (&task.experiment).into(),
                    dataset.into(),
                    task.pin.as_ref().into(),
                    (&task.config).into(),
                    State::Queued.as_str().into(),
                    now.into(),
                ],
            )
            .await?;
        new_attempt(transaction, task.id, 1).await?;
        put_files(transaction, task).await?;
        event(transaction, task.id, 1, &task.owner, "submitted_by", None).await?;
        put_key(transaction, task).await?;
        Ok(Submitted::Created)
    }
}

impl Sqlite {
    /// Stores a task, in one transaction with others that come at the same moment: the writer joins them.
    pub(crate) async fn submit_task(&self, task: NewTask) -> Result<Submitted, StoreError> {
        self.script(Submit(task)).await
    }
}

/// Stores the files of a task or a sweep.
pub(super) async fn put_files<T: Transaction>(transaction: &mut T, task: &NewTask) -> Result<(), StoreError> {
    let id = Value::from(task.id.to_string());
    for (position, file) in task.files.iter().enumerate() {
        transaction
            .rows(
                "INSERT INTO task_file (task, position, stored_name, original_name, size_bytes, sha256, content) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7)",
                &[
                    id.clone(),
                    i64::try_from(position).unwrap_or(i64::MAX).into(),
                    (&file.stored_name).into(),
                    (&file.original_name).into(),
                    i64::try_from(file.size_bytes).unwrap_or(i64::MAX).into(),
                    (&file.sha256).into(),
                    task.contents.get(position).map_or(Value::Null, |content| Value::Bytes(content.clone())),
                ],
            )
            .await?;
    }
    Ok(())
}

/// Stores the key of a request.
pub(super) async fn put_key<T: Transaction>(transaction: &mut T, task: &NewTask) -> Result<(), StoreError> {
    let Some(key) = &task.key else { return Ok(()) };
    let sql = "INSERT INTO task_key (owner, route, key, fingerprint, task, created_at) VALUES ($1, $2, $3, $4, $5, $6)";
    let now = transaction.now();
    let params = values![&task.owner, &key.route, &key.key, &key.fingerprint, task.id.to_string(), now];
    transaction.rows(sql, params).await.map(drop)
}

/// What is known of a request.
pub(crate) struct KeyOf {
    pub(crate) owner: String,
    pub(crate) key: RequestKey,
}

impl Script for KeyOf {
    type Output = Option<Submitted>;
    const WHAT: &'static str = "look up a request";
    const READS: bool = true;

    async fn run<T: Transaction>(&self, transaction: &mut T) -> Result<Option<Submitted>, StoreError> {
        found(transaction, &self.owner, &self.key).await
    }
}

/// Makes what is counted next stay true until the end: nobody else counts the tasks of the owner or of the cluster.
pub(super) async fn take_turn<T: Transaction>(
    transaction: &mut T,
    owner: &str,
    cluster: &str,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO task_owner (owner, submissions) VALUES ($1, 1) \
               ON CONFLICT (owner) DO UPDATE SET submissions = task_owner.submissions + 1";
    transaction.rows(sql, values![owner]).await?;
    transaction.count_alone(cluster).await
}

/// Forgets old keys and looks for this one.
pub(super) async fn known<T: Transaction>(
    transaction: &mut T,
    owner: &str,
    key: &RequestKey,
) -> Result<Option<Submitted>, StoreError> {
    let old = transaction.now() - KEY_SECONDS * 1_000_000;
    transaction.rows("DELETE FROM task_key WHERE created_at < $1", values![old]).await?;
    found(transaction, owner, key).await
}

async fn found<T: Transaction>(
    transaction: &mut T,
    owner: &str,
    key: &RequestKey,
) -> Result<Option<Submitted>, StoreError> {
    let old = transaction.now() - KEY_SECONDS * 1_000_000;
    let sql = "SELECT task, fingerprint FROM task_key \
               WHERE owner = $1 AND route = $2 AND key = $3 AND created_at >= $4";
    let Some(mut row) = transaction.rows(sql, values![owner, &key.route, &key.key, old]).await?.pop() else {
        return Ok(None);
    };
    let task = decode::id(&mut row)?;
    let same = row.text()? == key.fingerprint;
    Ok(Some(if same { Submitted::Replayed(task) } else { Submitted::KeyTaken }))
}

/// Which limit keeps so many more tasks from being active, if one does. It is the turn of the caller (`take_turn`).
pub(super) async fn full<T: Transaction>(
    transaction: &mut T,
    owner: &str,
    cluster: &str,
    limits: ActiveLimits,
    more: u32,
) -> Result<Option<Submitted>, StoreError> {
    let of_owner = "SELECT COUNT(*) FROM task WHERE owner = $1 AND active = 1";
    let count = one_count(transaction, of_owner, owner).await?;
    if count.saturating_add(more) > limits.per_owner {
        return Ok(Some(Submitted::OwnerFull(count)));
    }
    let on_cluster = "SELECT COUNT(*) FROM task WHERE cluster = $1 AND active = 1";
    let count = one_count(transaction, on_cluster, cluster).await?;
    Ok((count.saturating_add(more) > limits.per_cluster).then_some(Submitted::ClusterFull(count)))
}

async fn one_count<T: Transaction>(transaction: &mut T, sql: &'static str, name: &str) -> Result<u32, StoreError> {
    let mut rows = transaction.rows(sql, values![name]).await?;
    rows.pop().ok_or_else(|| StoreError::Corrupt("a count is missing".to_owned()))?.count()
}

pub(super) async fn new_attempt<T: Transaction>(
    transaction: &mut T,
    id: TaskId,
    number: u32,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO task_attempt (task, number, tag, state, created_at) VALUES ($1, $2, $3, $4, $5)";
    let (tag, now) = (id.tag(number), transaction.now());
    let params = values![id.to_string(), number, tag.as_str(), State::Queued.as_str(), now];
    transaction.rows(sql, params).await.map(drop)
}

pub(super) async fn event<T: Transaction>(
    transaction: &mut T,
    id: TaskId,
    attempt: u32,
    actor: &str,
    kind: &str,
    detail: Option<&str>,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO task_event (task, attempt, at, actor, kind, detail) VALUES ($1, $2, $3, $4, $5, $6)";
    let now = transaction.now();
    transaction.rows(sql, values![id.to_string(), attempt, now, actor, kind, detail]).await.map(drop)
}
