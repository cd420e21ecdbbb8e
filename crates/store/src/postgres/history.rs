//! Runs of jobs in PostgreSQL.

use async_trait::async_trait;
use belvedere_domain::{DatasetName, JobId};
use tokio_postgres::Row;

use super::{Postgres, get};
use crate::history::{number, pack, unpack};
use crate::{History, Run, StoreError};

#[async_trait]
impl History for Postgres {
    async fn add_runs(&self, runs: &[Run], keep: u64) -> Result<(), StoreError> {
        let jobs: Vec<i64> = runs.iter().map(|run| run.job.0).collect();
        let datasets: Vec<&str> = runs.iter().map(|run| run.key.dataset.as_str()).collect();
        let texts: Vec<String> = runs.iter().map(pack).collect::<Result<_, _>>()?;
        let insert = "INSERT INTO past_runs (job, dataset, run)
                      SELECT job, dataset, run FROM unnest($1::bigint[], $2::text[], $3::text[])
                          WITH ORDINALITY AS given (job, dataset, run, place)
                      ORDER BY place";
        self.write("remember runs of jobs", insert, &[&jobs, &datasets, &texts]).await?;
        let forget = "DELETE FROM past_runs WHERE id <= (SELECT max(id) FROM past_runs) - $1";
        self.write("forget old runs of jobs", forget, &[&number(keep)]).await.map(drop)
    }

    async fn runs_of_job(&self, job: JobId) -> Result<Vec<Run>, StoreError> {
        let sql = "SELECT run FROM past_runs WHERE job = $1 ORDER BY id";
        runs(&self.read("read runs of jobs", sql, &[&job.0]).await?)
    }

    async fn last_runs(&self, dataset: Option<&DatasetName>, limit: u32) -> Result<Vec<Run>, StoreError> {
        let limit = i64::from(limit);
        let rows = match dataset {
            Some(dataset) => {
                let sql = "SELECT run FROM past_runs WHERE dataset = $1 ORDER BY id DESC LIMIT $2";
                self.read("read runs of jobs", sql, &[&dataset.as_str(), &limit]).await?
            }
            None => {
                let sql = "SELECT run FROM past_runs ORDER BY id DESC LIMIT $1";
                self.read("read runs of jobs", sql, &[&limit]).await?
            }
        };
        runs(&rows)
    }
}

fn runs(rows: &[Row]) -> Result<Vec<Run>, StoreError> {
    Ok(unpack(rows.iter().map(|row| get(row, 0)).collect::<Result<_, _>>()?))
}
