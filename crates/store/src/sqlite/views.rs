//! Views and pointers in SQLite.

use async_trait::async_trait;
use belvedere_domain::plan::ArtifactRow;
use belvedere_domain::{ArtifactKey, DatasetName, Digest, Revision};
use rusqlite::{OptionalExtension as _, params};

use super::datasets::drop_orphans;
use super::{Failure, Session, Sqlite, row};
use crate::codec::{FoundRow, ReportRow, ViewRow, config_text, microseconds, split_text};
use crate::{Found, NewView, StoreError, StoredView, ViewContent, Views};

const READ: &str = concat!(include_str!("../sql/found_columns.sql"), include_str!("sql/view_read.sql"));
const AT_REVISION: &str =
    concat!(include_str!("../sql/found_columns.sql"), include_str!("../sql/view_at_revision.sql"));

#[async_trait]
impl Views for Sqlite {
    async fn read(
        &self,
        key: &ArtifactKey,
        revision: Option<&Revision>,
        patience_seconds: f64,
    ) -> Result<Option<Found>, StoreError> {
        let (key, revision) = (key.clone(), revision.cloned());
        self.read("read a view", move |session| {
            if let Some(revision) = revision {
                return at_revision(session, &key, &revision);
            }
            let patient_until = session.now.saturating_sub(microseconds(patience_seconds));
            let row = session
                .prepare(READ)?
                .query_row(
                    params![
                        key.dataset.as_str(),
                        key.step.as_str(),
                        config_text(&key),
                        split_text(&key),
                        patient_until
                    ],
                    row::found,
                )
                .optional()?;
            Ok(row.map(FoundRow::decode).transpose()?)
        })
        .await
    }

    async fn at_revision(&self, keys: &[ArtifactKey], revision: &Revision) -> Result<Vec<Option<Found>>, StoreError> {
        let (keys, revision) = (keys.to_vec(), revision.clone());
        self.read("read views", move |session| keys.iter().map(|key| at_revision(session, key, &revision)).collect())
            .await
    }

    async fn by_digest(&self, digest: &Digest) -> Result<Option<StoredView>, StoreError> {
        let digest = *digest;
        self.read("read a view", move |session| {
            let row = session
                .prepare(include_str!("../sql/view_by_digest.sql"))?
                .query_row([digest.as_bytes()], |row| row::view(row, 0))
                .optional()?;
            Ok(row.map(ViewRow::decode).transpose()?)
        })
        .await
    }

    async fn rows(&self, dataset: &DatasetName) -> Result<Vec<ArtifactRow>, StoreError> {
        let dataset = dataset.clone();
        self.read("list artifacts", move |session| {
            let rows: Vec<_> = session
                .prepare(include_str!("../sql/artifact_rows.sql"))?
                .query_map([dataset.as_str()], row::report)?
                .collect::<Result<_, _>>()?;
            Ok(rows.into_iter().map(ReportRow::decode).collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn has_any(&self, dataset: &DatasetName) -> Result<bool, StoreError> {
        let dataset = dataset.clone();
        self.read("look for views", move |session| {
            let mut statement = session.prepare("SELECT EXISTS (SELECT 1 FROM pointers WHERE dataset = ?1)")?;
            Ok(statement.query_row([dataset.as_str()], |row| row.get(0))?)
        })
        .await
    }

    async fn outdate(&self, digests: &[Digest], lost: bool) -> Result<usize, StoreError> {
        let digests = digests.to_vec();
        self.write("outdate views", move |session| {
            let mut mark = session.prepare(include_str!("sql/outdate.sql"))?;
            let mut marked = 0;
            for digest in &digests {
                let view: Option<i64> = mark.query_row([digest.as_bytes()], |row| row.get(0)).optional()?;
                marked += usize::from(view.is_some());
                if let Some(view) = view.filter(|_| lost) {
                    session.execute("UPDATE pointers SET failed_runs = failed_runs + 1 WHERE view = ?1", [view])?;
                }
            }
            Ok(marked)
        })
        .await
    }

    async fn retire(&self, dataset: &DatasetName, keep: u32) -> Result<Vec<Digest>, StoreError> {
        let dataset = dataset.clone();
        self.write("retire revisions", move |session| retire(session, &dataset, keep)).await
    }
}

fn at_revision(session: &Session<'_>, key: &ArtifactKey, revision: &Revision) -> Result<Option<Found>, Failure> {
    let row = session
        .prepare(AT_REVISION)?
        .query_row(
            params![key.dataset.as_str(), revision.as_str(), key.step.as_str(), config_text(key), split_text(key)],
            row::found,
        )
        .optional()?;
    Ok(row.map(FoundRow::decode).transpose()?)
}

/// Stores a view and points at it. `duration` is in microseconds.
pub(super) fn put_view(
    session: &Session<'_>,
    revision: &Revision,
    new: &NewView,
    duration: i64,
) -> Result<(), Failure> {
    let (view, ok): (i64, bool) = match &new.content {
        ViewContent::Computed(view) => {
            let id = session.prepare(include_str!("sql/put_view.sql"))?.query_row(
                params![
                    new.digest.as_bytes(),
                    view.outcome.http_status(),
                    view.outcome.code(),
                    view.progress,
                    new.runner_version,
                    duration as f64 / 1e6,
                    session.now,
                    view.internal.as_str(),
                    view.details.as_str(),
                    view.content.as_str(),
                ],
                |row| row.get(0),
            )?;
            (id, view.outcome.is_ok())
        }
        ViewContent::Reused => {
            let stored = session
                .prepare("SELECT id, http_status FROM views WHERE digest = ?1")?
                .query_row([new.digest.as_bytes()], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? == 200)))
                .optional()?;
            stored.ok_or_else(|| StoreError::ViewGone(new.digest.to_hex()))?
        }
    };
    let key = &new.key;
    let (dataset, revision, step, config, split) =
        (key.dataset.as_str(), revision.as_str(), key.step.as_str(), config_text(key), split_text(key));
    let pointer = params![dataset, revision, step, config, split, view, session.now, !ok];
    if session.execute(include_str!("sql/new_pointer.sql"), pointer)? == 0 {
        let moved = params![dataset, revision, step, config, split, view];
        session.execute(include_str!("sql/note_orphan.sql"), moved)?;
        session.execute(include_str!("sql/move_pointer.sql"), pointer)?;
    }
    Ok(())
}

fn retire(session: &Session<'_>, dataset: &DatasetName, keep: u32) -> Result<Vec<Digest>, Failure> {
    let dataset = dataset.as_str();
    let old: Vec<String> = session
        .prepare(include_str!("sql/old_revisions.sql"))?
        .query_map(params![dataset, keep], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for revision in &old {
        for sql in [
            "INSERT OR IGNORE INTO orphans SELECT dataset, view FROM pointers WHERE dataset = ?1 AND revision = ?2",
            "DELETE FROM pointers WHERE dataset = ?1 AND revision = ?2",
            "DELETE FROM manifests WHERE dataset = ?1 AND revision = ?2",
            "DELETE FROM job_runs WHERE dataset = ?1 AND revision = ?2",
            "DELETE FROM revisions WHERE dataset = ?1 AND revision = ?2",
        ] {
            session.execute(sql, [dataset, revision])?;
        }
    }
    drop_orphans(session, dataset)
}
