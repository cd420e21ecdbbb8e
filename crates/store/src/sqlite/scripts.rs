//! Scripts on SQLite: inside the writer, or on a reader.

use std::future::{Future, ready};
use std::sync::Arc;

use futures::FutureExt as _;
use rusqlite::types::{ToSqlOutput, ValueRef};

use super::{Failure, Session, Sqlite};
use crate::StoreError;
use crate::portable::{Row, Script, Transaction, Value};

struct Open<'a> {
    session: &'a Session<'a>,
    what: &'static str,
}

impl Transaction for Open<'_> {
    fn now(&self) -> i64 {
        self.session.now
    }

    fn rows(
        &mut self,
        sql: &'static str,
        params: &[Value],
    ) -> impl Future<Output = Result<Vec<Row>, StoreError>> + Send {
        ready(rows(self.session, sql, params).map_err(|error| Failure::Sql(error).describe(self.what)))
    }

    fn count_alone(&mut self, _: &str) -> impl Future<Output = Result<(), StoreError>> + Send {
        // There is one writer.
        ready(Ok(()))
    }
}

fn rows(session: &Session<'_>, sql: &str, params: &[Value]) -> rusqlite::Result<Vec<Row>> {
    let mut statement = session.prepare(sql)?;
    for (index, value) in params.iter().enumerate() {
        // By name, since SQLite numbers parameters in the order of their first use.
        if let Some(place) = statement.parameter_index(&format!("${}", index + 1))? {
            statement.raw_bind_parameter(place, value)?;
        }
    }
    let width = statement.column_count();
    let mut found = statement.raw_query();
    let mut list = Vec::new();
    while let Some(row) = found.next()? {
        let columns = (0..width).map(|index| row.get_ref(index).and_then(value)).collect::<rusqlite::Result<_>>()?;
        list.push(Row::new(columns));
    }
    Ok(list)
}

fn value(column: ValueRef<'_>) -> rusqlite::Result<Value> {
    Ok(match column {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Int(number),
        ValueRef::Text(_) => Value::Text(column.as_str()?.to_owned()),
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
        ValueRef::Real(_) => return Err(rusqlite::Error::InvalidQuery),
    })
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl Sqlite {
    /// Runs a script; what it wrote is durable when this returns.
    pub(crate) async fn script<S: Script>(&self, script: S) -> Result<S::Output, StoreError> {
        let script = Arc::new(script);
        let work = move |session: &Session<'_>| {
            let run = async { script.run(&mut Open { session, what: S::WHAT }).await };
            Ok(run.now_or_never().expect("statements on SQLite never wait")?)
        };
        if S::READS { self.read(S::WHAT, work).await } else { self.write(S::WHAT, work).await }
    }
}
