//! Questions about tasks, their attempts, files and events.

use belvedere_domain::task::{ClusterName, State, TaskId};
use belvedere_domain::{DatasetName, Timestamp};

use super::decode::{self, attempt_columns, select_tasks};
use super::rows::{ActiveAttempt, AttemptRow, Event, TaskFilter, TaskRow};
use super::submit::TaskFile;
use crate::StoreError;
use crate::portable::{Script, Transaction, values};

/// Declares a script that reads.
macro_rules! question {
    ($name:ty => $output:ty, $what:literal, |$self:ident, $transaction:ident| $body:block) => {
        impl Script for $name {
            type Output = $output;
            const WHAT: &'static str = $what;
            const READS: bool = true;

            async fn run<T: Transaction>(&$self, $transaction: &mut T) -> Result<$output, StoreError> $body
        }
    };
}

pub(super) use question;

pub(crate) struct Found {
    pub(crate) id: TaskId,
    pub(crate) owner: Option<String>,
}

question!(Found => Option<TaskRow>, "read a task", |self, transaction| {
    let sql = select_tasks!("WHERE t.id = $1 AND (CAST($2 AS TEXT) IS NULL OR t.owner = $2)");
    let mut rows = transaction.rows(sql, values![self.id.to_string(), self.owner.as_deref()]).await?;
    rows.pop().map(decode::task).transpose()
});

pub(crate) struct List {
    pub(crate) filter: TaskFilter,
    pub(crate) limit: u32,
}

/// Tasks that fit a filter; the beginning of the condition is the way into the table.
macro_rules! listing {
    ($way:literal) => {
        concat!(
            select_tasks!("WHERE "),
            $way,
            " AND (CAST($1 AS TEXT) IS NULL OR t.owner = $1) AND (CAST($2 AS TEXT) IS NULL OR t.state = $2) \
             AND (CAST($3 AS TEXT) IS NULL OR t.experiment = $3) AND (CAST($4 AS TEXT) IS NULL OR t.id < $4) \
             AND (CAST($6 AS TEXT) IS NULL OR t.dataset = $6) AND (CAST($7 AS TEXT) IS NULL OR t.sweep = $7) \
             ORDER BY t.id DESC LIMIT $5"
        )
    };
}

question!(List => Vec<TaskRow>, "list tasks", |self, transaction| {
    let TaskFilter { owner, state, experiment, before, dataset, sweep } = &self.filter;
    let (state, before) = (state.map(State::as_str), before.map(|id| id.to_string()));
    let (dataset, sweep) = (dataset.as_ref().map(DatasetName::as_str), sweep.map(|id| id.to_string()));
    // One text for each of the ways into the table, as neither database plans by the values.
    let sql = match (owner, dataset, &sweep) {
        (_, _, Some(_)) => listing!("t.sweep = $7"),
        (_, Some(_), None) => listing!("t.dataset = $6"),
        (Some(_), None, None) => listing!("t.owner = $1"),
        (None, None, None) => listing!("t.id > ''"),
    };
    let params = values![owner.as_deref(), state, experiment.as_deref(), before, self.limit, dataset, sweep];
    transaction.rows(sql, params).await?.into_iter().map(decode::task).collect()
});

pub(crate) struct ByJob {
    pub(crate) job: String,
    pub(crate) owner: Option<String>,
}

question!(ByJob => Option<TaskRow>, "find a task by its job", |self, transaction| {
    let sql = select_tasks!(
        "WHERE t.id IN (SELECT task FROM task_attempt WHERE job = $1) \
         AND (CAST($2 AS TEXT) IS NULL OR t.owner = $2) ORDER BY t.id DESC LIMIT 1"
    );
    let mut rows = transaction.rows(sql, values![&self.job, self.owner.as_deref()]).await?;
    rows.pop().map(decode::task).transpose()
});

pub(crate) struct OfDataset {
    pub(crate) dataset: DatasetName,
    pub(crate) owner: Option<String>,
    pub(crate) limit: u32,
}

question!(OfDataset => Vec<TaskRow>, "list tasks of a dataset", |self, transaction| {
    let sql = select_tasks!(
        "WHERE t.dataset = $1 AND (CAST($2 AS TEXT) IS NULL OR t.owner = $2) ORDER BY t.id DESC LIMIT $3"
    );
    let params = values![self.dataset.as_str(), self.owner.as_deref(), self.limit];
    transaction.rows(sql, params).await?.into_iter().map(decode::task).collect()
});

pub(crate) struct Attempts(pub(crate) TaskId);

question!(Attempts => Vec<AttemptRow>, "list attempts", |self, transaction| {
    let sql = concat!("SELECT ", attempt_columns!(), "FROM task_attempt a WHERE a.task = $1 ORDER BY a.number");
    let rows = transaction.rows(sql, values![self.0.to_string()]).await?;
    rows.into_iter().map(|mut row| decode::attempt(&mut row)).collect()
});

pub(crate) struct Files(pub(crate) TaskId);

question!(Files => Vec<TaskFile>, "list files of a task", |self, transaction| {
    let sql = "SELECT stored_name, original_name, size_bytes, sha256 FROM task_file \
               WHERE task = COALESCE((SELECT sweep FROM task WHERE id = $1), $1) ORDER BY position";
    let rows = transaction.rows(sql, values![self.0.to_string()]).await?;
    let file = |mut row: crate::portable::Row| {
        Ok(TaskFile {
            stored_name: row.text()?,
            original_name: row.text()?,
            size_bytes: row.size()?,
            sha256: row.text()?,
        })
    };
    rows.into_iter().map(file).collect()
});

/// Bytes of files that the store keeps.
pub(crate) struct Contents(pub(crate) TaskId);

question!(Contents => Vec<(String, Vec<u8>)>, "read files of a task", |self, transaction| {
    let sql = "SELECT stored_name, content FROM task_file \
               WHERE task = COALESCE((SELECT sweep FROM task WHERE id = $1), $1) AND content IS NOT NULL ORDER BY position";
    let rows = transaction.rows(sql, values![self.0.to_string()]).await?;
    rows.into_iter().map(|mut row| Ok((row.text()?, row.bytes()?))).collect()
});

pub(crate) struct Events {
    pub(crate) id: TaskId,
    pub(crate) after: i64,
    pub(crate) limit: u32,
}

question!(Events => Vec<Event>, "list events of a task", |self, transaction| {
    let sql = "SELECT id, attempt, at, actor, kind, detail FROM task_event WHERE task = $1 AND id > $2 \
               ORDER BY id LIMIT $3";
    let rows = transaction.rows(sql, values![self.id.to_string(), self.after, self.limit]).await?;
    let event = |mut row: crate::portable::Row| {
        Ok(Event {
            id: row.int()?,
            attempt: row.count()?,
            at: Timestamp(row.int()?),
            actor: row.text()?,
            kind: row.text()?,
            detail: row.opt_text()?,
        })
    };
    rows.into_iter().map(event).collect()
});

pub(crate) struct Active {
    pub(crate) cluster: ClusterName,
    pub(crate) limit: u32,
}

question!(Active => Vec<ActiveAttempt>, "list active attempts", |self, transaction| {
    let sql = concat!(
        "SELECT t.id, t.owner, t.cancel_at, ",
        attempt_columns!(),
        "FROM task t JOIN task_attempt a ON a.task = t.id AND a.number = t.attempt \
         WHERE t.cluster = $1 AND t.active = 1 ORDER BY t.id LIMIT $2"
    );
    let rows = transaction.rows(sql, values![self.cluster.as_str(), self.limit]).await?;
    let now = Timestamp(transaction.now());
    rows.into_iter().map(|row| decode::active(row, now)).collect()
});
