//! Selections: rows that somebody has chosen, kept while somebody uses them.

use belvedere_domain::{DatasetName, Timestamp};

use super::questions::question;
use crate::StoreError;
use crate::codec::microseconds;
use crate::portable::{Script, Transaction, Value, values};

/// Rows of a split that somebody has chosen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewSelection {
    /// Tells dataset, revision, question and rows.
    pub id: String,
    /// Who chose them first.
    pub created_by: String,
    /// The dataset.
    pub dataset: DatasetName,
    /// Its revision.
    pub revision: String,
    /// The config.
    pub config: String,
    /// The split.
    pub split: String,
    /// How they were chosen, as JSON.
    pub question: String,
    /// How many they are.
    pub num_rows: u64,
    /// Hexadecimal SHA-256 of their numbers.
    pub sha256: String,
    /// Their numbers, as whoever stores them writes them.
    pub rows: Vec<u8>,
}

/// Stores a selection.
pub(crate) struct PutSelection(pub(crate) NewSelection);

impl Script for PutSelection {
    type Output = ();
    const WHAT: &'static str = "store a selection";

    async fn run<T: Transaction>(&self, transaction: &mut T) -> Result<(), StoreError> {
        let new = &self.0;
        let now = transaction.now();
        let sql = "INSERT INTO task_selection (id, created_by, dataset, revision, config, split, question, num_rows, \
                   sha256, rows, created_at, used_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11) \
                   ON CONFLICT (id) DO UPDATE SET used_at = excluded.used_at";
        let params = [
            (&new.id).into(),
            (&new.created_by).into(),
            new.dataset.as_str().into(),
            (&new.revision).into(),
            (&new.config).into(),
            (&new.split).into(),
            (&new.question).into(),
            i64::try_from(new.num_rows).unwrap_or(i64::MAX).into(),
            (&new.sha256).into(),
            Value::Bytes(new.rows.clone()),
            now.into(),
        ];
        transaction.rows(sql, &params).await.map(drop)
    }
}

/// A selection.
pub(crate) struct Selection(pub(crate) String);

question!(Selection => Option<(NewSelection, Timestamp)>, "read a selection", |self, transaction| {
    let sql = "SELECT id, created_by, dataset, revision, config, split, question, num_rows, sha256, rows, created_at \
               FROM task_selection WHERE id = $1";
    let Some(mut row) = transaction.rows(sql, values![&self.0]).await?.pop() else { return Ok(None) };
    let selection = NewSelection {
        id: row.text()?,
        created_by: row.text()?,
        dataset: DatasetName::new(row.text()?).map_err(StoreError::corrupt)?,
        revision: row.text()?,
        config: row.text()?,
        split: row.text()?,
        question: row.text()?,
        num_rows: row.size()?,
        sha256: row.text()?,
        rows: row.bytes()?,
    };
    Ok(Some((selection, Timestamp(row.int()?))))
});

/// Notes that a selection is used.
pub(crate) struct UseSelection(pub(crate) String);

impl Script for UseSelection {
    type Output = ();
    const WHAT: &'static str = "note the use of a selection";

    async fn run<T: Transaction>(&self, transaction: &mut T) -> Result<(), StoreError> {
        let now = transaction.now();
        let sql = "UPDATE task_selection SET used_at = $2 WHERE id = $1";
        transaction.rows(sql, values![&self.0, now]).await.map(drop)
    }
}

/// Forgets selections that nobody has used for so many seconds.
pub(crate) struct DropSelections(pub(crate) f64);

impl Script for DropSelections {
    type Output = Vec<String>;
    const WHAT: &'static str = "forget selections";

    async fn run<T: Transaction>(&self, transaction: &mut T) -> Result<Vec<String>, StoreError> {
        let before = transaction.now() - microseconds(self.0);
        let sql = "DELETE FROM task_selection WHERE used_at < $1 RETURNING id";
        transaction.rows(sql, values![before]).await?.into_iter().map(|mut row| row.text()).collect()
    }
}
