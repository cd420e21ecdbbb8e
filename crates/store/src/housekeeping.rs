//! What processes on one database agree on: who does what has to be done once for all, and which schema they may work on.

use async_trait::async_trait;
use belvedere_domain::{DatasetName, Revision, Timestamp};

use crate::StoreError;
use crate::codec::microseconds;
use crate::portable::{Script, Transaction, values};

/// A duty in hand, until its lease runs out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Duty {
    /// What is to be done.
    pub name: String,
    /// Tells this taking from every other.
    pub token: i64,
    /// When somebody did it last.
    pub done_at: Option<Timestamp>,
}

/// How a duty stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DutyRow {
    /// What is to be done.
    pub name: String,
    /// Who has it in hand at the moment.
    pub owner: Option<String>,
    /// When somebody did it last.
    pub done_at: Option<Timestamp>,
    /// What that came to.
    pub outcome: String,
}

/// What processes agree on. Times are the database's.
#[async_trait]
pub trait Housekeeping: Send + Sync {
    /// Takes a duty in hand for so long, if nobody has it and it was not done within the last `every_seconds`.
    async fn begin_duty(
        &self,
        name: &str,
        owner: &str,
        every_seconds: f64,
        lease_seconds: f64,
    ) -> Result<Option<Duty>, StoreError>;

    /// Keeps a duty in hand for so long from now. `false`: it is in other hands, or was.
    async fn keep_duty(&self, duty: &Duty, lease_seconds: f64) -> Result<bool, StoreError>;

    /// Puts a duty down that was done; `outcome` tells what that came to. `false`: it was in other hands, and what they do
    /// counts.
    async fn end_duty(&self, duty: &Duty, outcome: &str) -> Result<bool, StoreError>;

    /// Puts a duty down that was not done: somebody else may take it.
    async fn drop_duty(&self, duty: &Duty) -> Result<(), StoreError>;

    /// All duties that were ever taken, by name.
    async fn duties(&self) -> Result<Vec<DutyRow>, StoreError>;

    /// The revisions that [`Views::retire`](crate::Views::retire) with the same `keep` would drop now, by dataset.
    async fn old_revisions(&self, keep: u32) -> Result<Vec<(DatasetName, Revision)>, StoreError>;

    /// Whether this program may still work on the schema: a newer one may have changed it meanwhile.
    ///
    /// # Errors
    /// [`StoreError::NewerSchema`] when it may not.
    async fn check_schema(&self) -> Result<(), StoreError>;
}

pub(crate) struct Begin {
    name: String,
    owner: String,
    every: i64,
    lease: i64,
}

impl Script for Begin {
    type Output = Option<Duty>;
    const WHAT: &'static str = "take a duty";

    async fn run<T: Transaction>(&self, transaction: &mut T) -> Result<Option<Duty>, StoreError> {
        let now = transaction.now();
        let sql = "INSERT INTO duties (name, owner, token, expires_at, done_at, outcome) VALUES ($1, $2, 1, $3, NULL, '') \
                   ON CONFLICT (name) DO UPDATE \
                   SET owner = excluded.owner, token = duties.token + 1, expires_at = excluded.expires_at \
                   WHERE duties.expires_at <= $4 AND (duties.done_at IS NULL OR duties.done_at <= $5) \
                   RETURNING token, done_at";
        let params = values![&self.name, &self.owner, now + self.lease, now, now - self.every];
        let Some(mut row) = transaction.rows(sql, params).await?.pop() else { return Ok(None) };
        let (token, done_at) = (row.int()?, row.opt_int()?.map(Timestamp));
        Ok(Some(Duty { name: self.name.clone(), token, done_at }))
    }
}

/// The statements that change a duty in hand.
pub(crate) enum Change {
    Keep(i64),
    End(String),
    Drop,
}

pub(crate) struct Held {
    duty: Duty,
    change: Change,
}

impl Script for Held {
    type Output = bool;
    const WHAT: &'static str = "keep a duty or put it down";

    async fn run<T: Transaction>(&self, transaction: &mut T) -> Result<bool, StoreError> {
        let now = transaction.now();
        let (name, token) = (&self.duty.name, self.duty.token);
        let rows = match &self.change {
            Change::Keep(lease) => {
                let sql = "UPDATE duties SET expires_at = $3 WHERE name = $1 AND token = $2 AND expires_at > 0 \
                           RETURNING name";
                transaction.rows(sql, values![name, token, now + lease]).await?
            }
            Change::End(outcome) => {
                let sql = "UPDATE duties SET expires_at = 0, done_at = $3, outcome = $4 WHERE name = $1 AND token = $2 \
                           AND expires_at > 0 RETURNING name";
                transaction.rows(sql, values![name, token, now, outcome]).await?
            }
            Change::Drop => {
                let sql = "UPDATE duties SET expires_at = 0 WHERE name = $1 AND token = $2 RETURNING name";
                transaction.rows(sql, values![name, token]).await?
            }
        };
        Ok(!rows.is_empty())
    }
}

pub(crate) struct All;

impl Script for All {
    type Output = Vec<DutyRow>;
    const WHAT: &'static str = "list the duties";
    const READS: bool = true;

    async fn run<T: Transaction>(&self, transaction: &mut T) -> Result<Vec<DutyRow>, StoreError> {
        let now = transaction.now();
        let sql = "SELECT name, owner, expires_at, done_at, outcome FROM duties ORDER BY name";
        let mut duties = Vec::new();
        for mut row in transaction.rows(sql, &[]).await? {
            let (name, owner, expires_at) = (row.text()?, row.text()?, row.int()?);
            let owner = (expires_at > now).then_some(owner);
            duties.push(DutyRow { name, owner, done_at: row.opt_int()?.map(Timestamp), outcome: row.text()? });
        }
        Ok(duties)
    }
}

/// Revisions beyond those that are kept.
pub(crate) struct OldRevisions(pub(crate) u32);

impl Script for OldRevisions {
    type Output = Vec<(DatasetName, Revision)>;
    const WHAT: &'static str = "list old revisions";
    const READS: bool = true;

    async fn run<T: Transaction>(&self, transaction: &mut T) -> Result<Self::Output, StoreError> {
        let sql = "SELECT r.dataset, r.revision FROM revisions r JOIN datasets d ON d.name = r.dataset \
                   WHERE r.revision <> d.target AND (d.served IS NULL OR r.revision <> d.served) \
                   AND (SELECT count(*) FROM revisions n WHERE n.dataset = r.dataset \
                        AND (n.set_at > r.set_at OR (n.set_at = r.set_at AND n.revision < r.revision))) >= $1 \
                   ORDER BY r.dataset, r.revision";
        let mut old = Vec::new();
        for mut row in transaction.rows(sql, values![self.0]).await? {
            let dataset = DatasetName::new(row.text()?).map_err(StoreError::corrupt)?;
            old.push((dataset, Revision::new(row.text()?).map_err(StoreError::corrupt)?));
        }
        Ok(old)
    }
}

/// Compares the schema with the newest version that this program knows.
pub(crate) struct CheckSchema(pub(crate) i64);

impl Script for CheckSchema {
    type Output = ();
    const WHAT: &'static str = "tell its schema";
    const READS: bool = true;

    async fn run<T: Transaction>(&self, transaction: &mut T) -> Result<(), StoreError> {
        let known = self.0;
        let sql = "SELECT version, oldest_program FROM schema_version";
        let Some(mut row) = transaction.rows(sql, &[]).await?.pop() else {
            return Err(StoreError::Corrupt("the schema has no version".to_owned()));
        };
        let (found, oldest_program) = (row.int()?, row.int()?);
        if found > known && oldest_program > known {
            return Err(StoreError::NewerSchema { found, known });
        }
        Ok(())
    }
}

/// The scripts are the same for both databases.
macro_rules! implement {
    ($database:ty, $known:expr) => {
        #[async_trait]
        impl Housekeeping for $database {
            async fn begin_duty(
                &self,
                name: &str,
                owner: &str,
                every_seconds: f64,
                lease_seconds: f64,
            ) -> Result<Option<Duty>, StoreError> {
                let (every, lease) = (microseconds(every_seconds), microseconds(lease_seconds));
                self.script(Begin { name: name.to_owned(), owner: owner.to_owned(), every, lease }).await
            }

            async fn keep_duty(&self, duty: &Duty, lease_seconds: f64) -> Result<bool, StoreError> {
                let change = Change::Keep(microseconds(lease_seconds));
                self.script(Held { duty: duty.clone(), change }).await
            }

            async fn end_duty(&self, duty: &Duty, outcome: &str) -> Result<bool, StoreError> {
                self.script(Held { duty: duty.clone(), change: Change::End(outcome.to_owned()) }).await
            }

            async fn drop_duty(&self, duty: &Duty) -> Result<(), StoreError> {
                self.script(Held { duty: duty.clone(), change: Change::Drop }).await.map(drop)
            }

            async fn duties(&self) -> Result<Vec<DutyRow>, StoreError> {
                self.script(All).await
            }

            async fn old_revisions(&self, keep: u32) -> Result<Vec<(DatasetName, Revision)>, StoreError> {
                self.script(OldRevisions(keep)).await
            }

            async fn check_schema(&self) -> Result<(), StoreError> {
                self.script(CheckSchema($known)).await
            }
        }
    };
}

implement!(crate::sqlite::Sqlite, crate::sqlite::KNOWN_SCHEMA);
implement!(crate::postgres::Postgres, crate::postgres::KNOWN_SCHEMA);
