//! Datasets in SQLite.

use async_trait::async_trait;
use belvedere_domain::{DatasetName, Digest, Revision};
use rusqlite::{OptionalExtension as _, params};

use super::{Failure, Session, Sqlite, enqueue, row};
use crate::codec::DatasetColumns;
use crate::{DatasetRow, Datasets, StoreError, TargetChange};

#[async_trait]
impl Datasets for Sqlite {
    async fn get(&self, name: &DatasetName) -> Result<Option<DatasetRow>, StoreError> {
        let name = name.clone();
        self.read("read a dataset", move |session| {
            let row = session
                .prepare(include_str!("../sql/dataset.sql"))?
                .query_row([name.as_str()], row::dataset)
                .optional()?;
            Ok(row.map(DatasetColumns::decode).transpose()?)
        })
        .await
    }

    async fn list(&self) -> Result<Vec<DatasetRow>, StoreError> {
        self.read("list datasets", |session| {
            let rows: Vec<_> = session
                .prepare(include_str!("../sql/datasets.sql"))?
                .query_map([], row::dataset)?
                .collect::<Result<_, _>>()?;
            Ok(rows.into_iter().map(DatasetColumns::decode).collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn serve(&self, name: &DatasetName, revision: &Revision) -> Result<(), StoreError> {
        let (name, revision) = (name.clone(), revision.clone());
        self.write("serve a revision", move |session| {
            session.execute(
                "UPDATE datasets SET served = ?2, eager = (eager AND target <> ?2) WHERE name = ?1",
                [name.as_str(), revision.as_str()],
            )?;
            Ok(())
        })
        .await
    }

    async fn adopt(&self, name: &DatasetName, from: &Revision, to: &Revision) -> Result<bool, StoreError> {
        let (name, from, to) = (name.clone(), from.clone(), to.clone());
        self.write("adopt a revision", move |session| {
            let (name, from, to) = (name.as_str(), from.as_str(), to.as_str());
            if session.execute(include_str!("sql/adopt_target.sql"), params![name, from, to, session.now])? == 0 {
                return Ok(false);
            }
            session.execute(
                "INSERT OR REPLACE INTO revisions (dataset, revision, set_at) VALUES (?1, ?2, ?3)",
                params![name, to, session.now],
            )?;
            session.execute(include_str!("sql/adopt_pointers.sql"), [name, from, to])?;
            Ok(true)
        })
        .await
    }

    async fn restrict(&self, name: &DatasetName, restricted: bool) -> Result<(), StoreError> {
        let name = name.clone();
        self.write("restrict a dataset", move |session| {
            session
                .execute("UPDATE datasets SET restricted = ?2 WHERE name = ?1", params![name.as_str(), restricted])?;
            Ok(())
        })
        .await
    }

    async fn delete(&self, name: &DatasetName) -> Result<Vec<Digest>, StoreError> {
        let name = name.clone();
        let dropped = self.write("delete a dataset", move |session| delete(session, name.as_str())).await?;
        self.wake();
        Ok(dropped)
    }
}

/// Moves a dataset to a revision and applies the plan; the numbers of jobs queued and dropped.
pub(super) fn set_target(session: &Session<'_>, change: TargetChange) -> Result<(usize, usize), Failure> {
    let (dataset, revision) = (change.dataset.as_str(), change.revision.as_str());
    session.execute(include_str!("sql/set_target.sql"), params![dataset, revision, session.now])?;
    session.execute(
        "INSERT INTO revisions VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET set_at = excluded.set_at",
        params![dataset, revision, session.now],
    )?;
    let mut dropped = session
        .execute("DELETE FROM jobs WHERE status = 0 AND dataset = ?1 AND revision <> ?2", params![dataset, revision])?;
    for job in &change.plan.delete {
        dropped += session
            .execute("DELETE FROM jobs WHERE id = ?1 AND status = 0 AND dataset = ?2", params![job.0, dataset])?;
    }
    let queued = enqueue::enqueue(session, change.plan.create, 0)?;
    session.execute(include_str!("sql/serve_if_nothing_to_do.sql"), [dataset])?;
    Ok((queued, dropped))
}

fn delete(session: &Session<'_>, dataset: &str) -> Result<Vec<Digest>, Failure> {
    for sql in [
        "INSERT OR IGNORE INTO orphans SELECT dataset, view FROM pointers WHERE dataset = ?1",
        "DELETE FROM pointers WHERE dataset = ?1",
        "DELETE FROM jobs WHERE status = 0 AND dataset = ?1",
        "DELETE FROM manifests WHERE dataset = ?1",
        "DELETE FROM job_runs WHERE dataset = ?1",
        "DELETE FROM revisions WHERE dataset = ?1",
        "DELETE FROM datasets WHERE name = ?1",
    ] {
        session.execute(sql, [dataset])?;
    }
    drop_orphans(session, dataset)
}

/// Drops the views that lost a pointer of this dataset and that nobody points at any more.
pub(super) fn drop_orphans(session: &Session<'_>, dataset: &str) -> Result<Vec<Digest>, Failure> {
    let mut statement = session.prepare(include_str!("sql/drop_orphans.sql"))?;
    let digests: Vec<[u8; 32]> = statement.query_map([dataset], |row| row.get(0))?.collect::<Result<_, _>>()?;
    session.execute("DELETE FROM orphans WHERE dataset = ?1", [dataset])?;
    Ok(digests.into_iter().map(Digest::from_bytes).collect())
}
