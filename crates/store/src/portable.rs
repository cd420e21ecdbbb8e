//! Scripts: transactions of several statements that are written once and run on both databases.
//!
//! Their SQL keeps to what both understand: numbered parameters, `BIGINT`/`TEXT`/`BYTEA` columns, `ON CONFLICT`,
//! `RETURNING`. On SQLite a script runs inside the writer and never waits; on PostgreSQL each statement is a round trip.
//! For calls that are frequent enough to count round trips, functions of the database are the better way (`queue`).

use std::future::Future;

use crate::StoreError;

/// A parameter or a column.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Int(value.into())
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Self::Text(value.clone())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A row, its columns taken in order.
#[derive(Debug)]
pub(crate) struct Row {
    columns: std::vec::IntoIter<Value>,
}

impl Row {
    pub(crate) fn new(columns: Vec<Value>) -> Self {
        Self { columns: columns.into_iter() }
    }

    fn next(&mut self, expected: &str) -> Result<Value, StoreError> {
        self.columns.next().ok_or_else(|| StoreError::Corrupt(format!("a row ends where {expected} should be")))
    }

    pub(crate) fn int(&mut self) -> Result<i64, StoreError> {
        self.opt_int()?.ok_or_else(|| StoreError::Corrupt("a number is missing".to_owned()))
    }

    pub(crate) fn opt_int(&mut self) -> Result<Option<i64>, StoreError> {
        match self.next("a number")? {
            Value::Null => Ok(None),
            Value::Int(number) => Ok(Some(number)),
            other => Err(StoreError::Corrupt(format!("{other:?} is not a number"))),
        }
    }

    pub(crate) fn count(&mut self) -> Result<u32, StoreError> {
        u32::try_from(self.int()?).map_err(StoreError::corrupt)
    }

    pub(crate) fn size(&mut self) -> Result<u64, StoreError> {
        u64::try_from(self.int()?).map_err(StoreError::corrupt)
    }

    pub(crate) fn text(&mut self) -> Result<String, StoreError> {
        self.opt_text()?.ok_or_else(|| StoreError::Corrupt("a text is missing".to_owned()))
    }

    pub(crate) fn opt_text(&mut self) -> Result<Option<String>, StoreError> {
        match self.next("a text")? {
            Value::Null => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            other => Err(StoreError::Corrupt(format!("{other:?} is not a text"))),
        }
    }

    pub(crate) fn bytes(&mut self) -> Result<Vec<u8>, StoreError> {
        match self.next("bytes")? {
            Value::Bytes(bytes) => Ok(bytes),
            other => Err(StoreError::Corrupt(format!("{other:?} are not bytes"))),
        }
    }
}

/// One transaction.
pub(crate) trait Transaction {
    /// The database's time: microseconds since 1970.
    fn now(&self) -> i64;

    /// Runs one statement; the rows it returns.
    fn rows(
        &mut self,
        sql: &'static str,
        params: &[Value],
    ) -> impl Future<Output = Result<Vec<Row>, StoreError>> + Send;

    /// Waits until no other transaction counts the tasks on a cluster; others then wait for the end of this one.
    fn count_alone(&mut self, cluster: &str) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// What a transaction does. An error undoes all of it. It may run more than once when databases have to choose.
pub(crate) trait Script: Send + Sync + 'static {
    /// What it finds.
    type Output: Send + 'static;
    /// Completes "the database refused to".
    const WHAT: &'static str;
    /// It writes nothing.
    const READS: bool = false;

    /// The statements.
    fn run<T: Transaction>(&self, transaction: &mut T) -> impl Future<Output = Result<Self::Output, StoreError>>;
}

/// Parameters of a statement.
macro_rules! values {
    ($($value:expr),* $(,)?) => { &[$($crate::portable::Value::from($value)),*] };
}

pub(crate) use values;
