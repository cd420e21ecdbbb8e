//! Runs of jobs in SQLite.

use async_trait::async_trait;
use belvedere_domain::{DatasetName, JobId};
use rusqlite::{ToSql, params};

use super::Sqlite;
use crate::history::{number, pack, unpack};
use crate::{History, Run, StoreError};

#[async_trait]
impl History for Sqlite {
    async fn add_runs(&self, runs: &[Run], keep: u64) -> Result<(), StoreError> {
        let pack = |run: &Run| Ok((run.job.0, run.key.dataset.clone(), pack(run)?));
        let rows: Vec<(i64, DatasetName, String)> = runs.iter().map(pack).collect::<Result<_, StoreError>>()?;
        // What a crash may forget need not wait for the disk.
        self.write_relaxed("remember runs of jobs", move |session| {
            let mut insert = session.prepare("INSERT INTO past_runs (job, dataset, run) VALUES (?1, ?2, ?3)")?;
            for (job, dataset, run) in &rows {
                insert.execute(params![job, dataset.as_str(), run])?;
            }
            let forget = "DELETE FROM past_runs WHERE id <= (SELECT max(id) FROM past_runs) - ?1";
            session.execute(forget, [number(keep)])?;
            Ok(())
        })
        .await
    }

    async fn runs_of_job(&self, job: JobId) -> Result<Vec<Run>, StoreError> {
        self.runs("SELECT run FROM past_runs WHERE job = ?1 ORDER BY id", vec![Box::new(job.0)]).await
    }

    async fn last_runs(&self, dataset: Option<&DatasetName>, limit: u32) -> Result<Vec<Run>, StoreError> {
        match dataset {
            Some(dataset) => {
                let sql = "SELECT run FROM past_runs WHERE dataset = ?1 ORDER BY id DESC LIMIT ?2";
                self.runs(sql, vec![Box::new(dataset.as_str().to_owned()), Box::new(limit)]).await
            }
            None => self.runs("SELECT run FROM past_runs ORDER BY id DESC LIMIT ?1", vec![Box::new(limit)]).await,
        }
    }
}

impl Sqlite {
    async fn runs(&self, sql: &'static str, values: Vec<Box<dyn ToSql + Send>>) -> Result<Vec<Run>, StoreError> {
        self.read("read runs of jobs", move |session| {
            let mut statement = session.prepare(sql)?;
            let values = rusqlite::params_from_iter(values.iter().map(|value| &**value as &dyn ToSql));
            let rows = statement.query_map(values, |row| row.get(0))?.collect::<Result<_, _>>()?;
            Ok(unpack(rows))
        })
        .await
    }
}
