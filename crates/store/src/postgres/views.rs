//! Views and pointers in PostgreSQL.

use std::collections::HashMap;

use async_trait::async_trait;
use belvedere_domain::plan::ArtifactRow;
use belvedere_domain::{ArtifactKey, DatasetName, Digest, Revision};
use tokio_postgres::types::ToSql;

use super::{Postgres, get, one, row};
use crate::codec::{config_text, digest, microseconds, split_text};
use crate::{Found, NewView, StoreError, StoredView, ViewContent, Views};

const READ: &str = concat!(include_str!("../sql/found_columns.sql"), include_str!("sql/view_read.sql"));
const AT_REVISION: &str =
    concat!(include_str!("../sql/found_columns.sql"), include_str!("../sql/view_at_revision.sql"));
const AT_REVISION_MANY: &str =
    concat!(include_str!("../sql/found_columns.sql"), include_str!("sql/at_revision_many.sql"));

#[async_trait]
impl Views for Postgres {
    async fn read(
        &self,
        key: &ArtifactKey,
        revision: Option<&Revision>,
        patience_seconds: f64,
    ) -> Result<Option<Found>, StoreError> {
        let (dataset, step, config, split) =
            (key.dataset.as_str(), key.step.as_str(), config_text(key), split_text(key));
        let rows = match revision {
            Some(revision) => {
                let revision = revision.as_str();
                self.read("read a view", AT_REVISION, &[&dataset, &revision, &step, &config, &split]).await?
            }
            None => {
                let patience = microseconds(patience_seconds);
                self.read("read a view", READ, &[&dataset, &step, &config, &split, &patience]).await?
            }
        };
        rows.first().map(|found| row::found(found)?.decode()).transpose()
    }

    async fn at_revision(&self, keys: &[ArtifactKey], revision: &Revision) -> Result<Vec<Option<Found>>, StoreError> {
        let mut found: HashMap<ArtifactKey, Found> = HashMap::with_capacity(keys.len());
        let mut datasets: Vec<&DatasetName> = keys.iter().map(|key| &key.dataset).collect();
        datasets.sort();
        datasets.dedup();
        for dataset in datasets {
            let keys: Vec<_> = keys.iter().filter(|key| key.dataset == *dataset).collect();
            let steps: Vec<&str> = keys.iter().map(|key| key.step.as_str()).collect();
            let configs: Vec<&str> = keys.iter().map(|key| config_text(key)).collect();
            let splits: Vec<&str> = keys.iter().map(|key| split_text(key)).collect();
            let rows = self
                .read(
                    "read views",
                    AT_REVISION_MANY,
                    &[&dataset.as_str(), &revision.as_str(), &steps, &configs, &splits],
                )
                .await?;
            for row in &rows {
                let view = row::found(row)?.decode()?;
                found.insert(view.key.clone(), view);
            }
        }
        Ok(keys.iter().map(|key| found.get(key).cloned()).collect())
    }

    async fn by_digest(&self, digest: &Digest) -> Result<Option<StoredView>, StoreError> {
        let sql = include_str!("../sql/view_by_digest.sql");
        let rows = self.read("read a view", sql, &[&digest.as_bytes().as_slice()]).await?;
        rows.first().map(|found| row::view(found, 0)?.decode()).transpose()
    }

    async fn rows(&self, dataset: &DatasetName) -> Result<Vec<ArtifactRow>, StoreError> {
        let sql = include_str!("../sql/artifact_rows.sql");
        let rows = self.read("list artifacts", sql, &[&dataset.as_str()]).await?;
        rows.iter().map(|found| row::report(found)?.decode()).collect()
    }

    async fn has_any(&self, dataset: &DatasetName) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM pointers WHERE dataset = $1)";
        get(&one(self.read("look for views", sql, &[&dataset.as_str()]).await?)?, 0)
    }

    async fn outdate(&self, digests: &[Digest], lost: bool) -> Result<usize, StoreError> {
        let digests: Vec<&[u8]> = digests.iter().map(|digest| digest.as_bytes().as_slice()).collect();
        let rows = self.write("outdate views", include_str!("sql/outdate.sql"), &[&digests, &lost]).await?;
        Ok(usize::try_from(get::<i64>(&one(rows)?, 0)?).unwrap_or_default())
    }

    async fn retire(&self, dataset: &DatasetName, keep: u32) -> Result<Vec<Digest>, StoreError> {
        let sql = "SELECT retire_revisions($1, $2)";
        let rows = self.database.remove("retire revisions", sql, &[&dataset.as_str(), &i64::from(keep)]).await?;
        rows.iter().map(|row| digest(get(row, 0)?)).collect()
    }
}

/// The views of several jobs as the parallel arrays that the database takes. A status of `None` stands for a view
/// stored already.
#[derive(Default)]
pub(super) struct ViewColumns<'a> {
    /// The place of the job, from 1.
    jobs: Vec<i64>,
    steps: Vec<&'a str>,
    configs: Vec<&'a str>,
    splits: Vec<&'a str>,
    digests: Vec<&'a [u8]>,
    versions: Vec<i64>,
    statuses: Vec<Option<i64>>,
    codes: Vec<Option<&'a str>>,
    progress: Vec<Option<i64>>,
    internals: Vec<Option<&'a str>>,
    details: Vec<Option<&'a str>>,
    contents: Vec<Option<&'a str>>,
}

impl<'a> ViewColumns<'a> {
    /// The views of each job.
    pub(super) fn of(jobs: impl Iterator<Item = &'a [NewView]>) -> Self {
        let mut columns = Self::default();
        for (place, views) in (1..).zip(jobs) {
            for new in views {
                columns.push(place, new);
            }
        }
        columns
    }

    /// In the order of the arguments.
    pub(super) fn params(&self) -> [&(dyn ToSql + Sync); 12] {
        let Self { jobs, steps, configs, splits, digests, versions, .. } = self;
        let Self { statuses, codes, progress, internals, details, contents, .. } = self;
        [jobs, steps, configs, splits, digests, versions, statuses, codes, progress, internals, details, contents]
    }

    fn push(&mut self, place: i64, new: &'a NewView) {
        let view = match &new.content {
            ViewContent::Computed(view) => Some(view),
            ViewContent::Reused => None,
        };
        self.jobs.push(place);
        self.steps.push(new.key.step.as_str());
        self.configs.push(config_text(&new.key));
        self.splits.push(split_text(&new.key));
        self.digests.push(new.digest.as_bytes());
        self.versions.push(i64::from(new.runner_version));
        self.statuses.push(view.map(|view| i64::from(view.outcome.http_status())));
        self.codes.push(view.and_then(|view| view.outcome.code()));
        self.progress.push(view.and_then(|view| view.progress).map(i64::from));
        self.internals.push(view.map(|view| view.internal.as_str()));
        self.details.push(view.map(|view| view.details.as_str()));
        self.contents.push(view.map(|view| view.content.as_str()));
    }
}
