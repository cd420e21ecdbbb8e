//! Datasets in PostgreSQL.

use async_trait::async_trait;
use belvedere_domain::{DatasetName, Digest, Revision};

use super::{Postgres, get, row};
use crate::codec::digest;
use crate::{DatasetRow, Datasets, StoreError};

#[async_trait]
impl Datasets for Postgres {
    async fn get(&self, name: &DatasetName) -> Result<Option<DatasetRow>, StoreError> {
        let sql = include_str!("../sql/dataset.sql");
        let rows = self.read("read a dataset", sql, &[&name.as_str()]).await?;
        rows.first().map(|found| row::dataset(found)?.decode()).transpose()
    }

    async fn list(&self) -> Result<Vec<DatasetRow>, StoreError> {
        let sql = include_str!("../sql/datasets.sql");
        let rows = self.read("list datasets", sql, &[]).await?;
        rows.iter().map(|found| row::dataset(found)?.decode()).collect()
    }

    async fn serve(&self, name: &DatasetName, revision: &Revision) -> Result<(), StoreError> {
        let sql = "SELECT serve_revision($1, $2)";
        self.write("serve a revision", sql, &[&name.as_str(), &revision.as_str()]).await.map(drop)
    }

    async fn adopt(&self, name: &DatasetName, from: &Revision, to: &Revision) -> Result<bool, StoreError> {
        let sql = "SELECT adopt_revision($1, $2, $3)";
        get(&self.write_one("adopt a revision", sql, &[&name.as_str(), &from.as_str(), &to.as_str()]).await?, 0)
    }

    async fn restrict(&self, name: &DatasetName, restricted: bool) -> Result<(), StoreError> {
        let sql = "UPDATE datasets SET restricted = $2 WHERE name = $1";
        self.write("restrict a dataset", sql, &[&name.as_str(), &restricted]).await.map(drop)
    }

    async fn delete(&self, name: &DatasetName) -> Result<Vec<Digest>, StoreError> {
        let rows = self.database.remove("delete a dataset", "SELECT delete_dataset($1)", &[&name.as_str()]).await?;
        self.wakeups.wake_here();
        rows.iter().map(|row| digest(get(row, 0)?)).collect()
    }
}
