//! Scripts on PostgreSQL: one transaction, repeated when the server had to choose between it and another one.

use bytes::BytesMut;
use deadpool_postgres::{Object, Transaction as Open};
use tokio::time::timeout;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use super::database::{ATTEMPTS, READ, WRITE, failure, give_up, is_broken, is_conflict};
use super::{Postgres, get, one};
use crate::StoreError;
use crate::portable::{Row, Script, Transaction, Value, values};

struct Running<'a> {
    way: Way<'a>,
    what: &'static str,
    now: i64,
    trouble: Trouble,
}

/// How statements reach the server.
enum Way<'a> {
    Open(Open<'a>),
    /// Without a transaction: each statement of one would see a state of its own all the same, and beginning and ending it
    /// are two round trips.
    Single(&'a Object),
}

impl Way<'_> {
    async fn query(&self, sql: &str, params: &[Value]) -> Result<Vec<tokio_postgres::Row>, tokio_postgres::Error> {
        let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|value| value as _).collect();
        match self {
            Self::Open(open) => open.query(&open.prepare_cached(sql).await?, &params).await,
            Self::Single(client) => client.query(&client.prepare_cached(sql).await?, &params).await,
        }
    }
}

/// What a failed statement says about the transaction and its connection.
#[derive(Clone, Copy, Default)]
struct Trouble {
    conflict: bool,
    broken: bool,
}

impl Trouble {
    fn note(&mut self, error: &tokio_postgres::Error) {
        self.conflict |= error.code().is_some_and(is_conflict);
        self.broken |= is_broken(error);
    }
}

impl Transaction for Running<'_> {
    fn now(&self) -> i64 {
        self.now
    }

    async fn rows(&mut self, sql: &'static str, params: &[Value]) -> Result<Vec<Row>, StoreError> {
        let found = self.way.query(sql, params).await.map_err(|error| {
            self.trouble.note(&error);
            failure(self.what, error)
        })?;
        found.iter().map(row).collect()
    }

    async fn count_alone(&mut self, cluster: &str) -> Result<(), StoreError> {
        self.rows("SELECT turn_at_cluster($1)", values![cluster]).await.map(drop)
    }
}

fn row(row: &tokio_postgres::Row) -> Result<Row, StoreError> {
    let column = |(index, column): (usize, &tokio_postgres::Column)| {
        Ok(match *column.type_() {
            Type::INT8 => get::<Option<i64>>(row, index)?.into(),
            Type::INT4 => get::<Option<i32>>(row, index)?.map(i64::from).into(),
            Type::BYTEA => get::<Option<Vec<u8>>>(row, index)?.map_or(Value::Null, Value::Bytes),
            _ => get::<Option<String>>(row, index)?.into(),
        })
    };
    Ok(Row::new(row.columns().iter().enumerate().map(column).collect::<Result<_, StoreError>>()?))
}

impl ToSql for Value {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(number) => number.to_sql_checked(kind, out),
            Self::Text(text) => text.to_sql_checked(kind, out),
            Self::Bytes(bytes) => bytes.to_sql_checked(kind, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        // Each kind of value checks for itself.
        true
    }

    to_sql_checked!();
}

impl Postgres {
    /// Runs a script. What it wrote is committed when this returns.
    pub(crate) async fn script<S: Script>(&self, script: S) -> Result<S::Output, StoreError> {
        let _writing = (!S::READS).then(|| self.database.writing());
        let mut attempt = 1;
        loop {
            let mut client = self.database.client().await?;
            let limit = if S::READS { READ } else { WRITE };
            let Ok((result, trouble)) = timeout(limit, once(&mut client, &script)).await else {
                return Err(give_up(client, limit));
            };
            if trouble.broken {
                self.database.discard(client);
            }
            // A read harms nobody when it runs again on another connection.
            let again = trouble.conflict && attempt < ATTEMPTS || trouble.broken && S::READS && attempt == 1;
            if result.is_ok() || !again {
                return result;
            }
            attempt += 1;
        }
    }
}

async fn once<S: Script>(client: &mut Object, script: &S) -> (Result<S::Output, StoreError>, Trouble) {
    let mut trouble = Trouble::default();
    let result = transact(client, script, &mut trouble).await;
    (result, trouble)
}

async fn transact<S: Script>(client: &mut Object, script: &S, trouble: &mut Trouble) -> Result<S::Output, StoreError> {
    let mut refused = |error: tokio_postgres::Error| {
        trouble.note(&error);
        failure(S::WHAT, error)
    };
    let way = if S::READS { Way::Single(client) } else { Way::Open(client.transaction().await.map_err(&mut refused)?) };
    let now = get(&one(way.query("SELECT now_us()", &[]).await.map_err(&mut refused)?)?, 0)?;
    let mut running = Running { way, what: S::WHAT, now, trouble: Trouble::default() };
    let output = script.run(&mut running).await;
    let Running { way, trouble: seen, .. } = running;
    match output {
        Ok(output) => {
            if let Way::Open(open) = way {
                open.commit().await.map_err(&mut refused)?;
            }
            Ok(output)
        }
        Err(error) => {
            trouble.conflict |= seen.conflict;
            trouble.broken |= seen.broken;
            // Dropping the transaction undoes it.
            Err(error)
        }
    }
}
