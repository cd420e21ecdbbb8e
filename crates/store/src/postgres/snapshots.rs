//! Manifests, hashes and segments in PostgreSQL.

use std::collections::HashMap;

use async_trait::async_trait;
use belvedere_domain::{DatasetName, Manifest, Revision};
use tokio_postgres::Row;

use super::{Postgres, get};
use crate::codec::{pack_manifest, unpack_manifest};
use crate::{HashRow, Snapshots, StoreError};

/// Rows of one statement: large enough to be quick, small enough for the statement's time limit.
const CHUNK: usize = 10_000;

#[async_trait]
impl Snapshots for Postgres {
    async fn put_manifest(
        &self,
        dataset: &DatasetName,
        revision: &Revision,
        manifest: &Manifest,
    ) -> Result<(), StoreError> {
        let bytes = pack_manifest(manifest)?;
        let sql = include_str!("../sql/put_manifest.sql");
        self.write("store a manifest", sql, &[&dataset.as_str(), &revision.as_str(), &bytes]).await.map(drop)
    }

    async fn manifest(&self, dataset: &DatasetName, revision: &Revision) -> Result<Option<Manifest>, StoreError> {
        let sql = include_str!("../sql/manifest.sql");
        let rows = self.read("read a manifest", sql, &[&dataset.as_str(), &revision.as_str()]).await?;
        rows.first().map(|row| unpack_manifest(get(row, 0)?)).transpose()
    }

    async fn hashes(&self, folder: &str) -> Result<HashMap<String, HashRow>, StoreError> {
        let range = crate::snapshots::below(folder);
        let rows =
            self.read("read file hashes", include_str!("../sql/hashes.sql"), &[&range.start, &range.end]).await?;
        rows.iter().map(|row| hash(row).map(|hash| (hash.path.clone(), hash))).collect()
    }

    async fn remember_hashes(&self, rows: Vec<HashRow>) -> Result<(), StoreError> {
        // One row per path, as one statement cannot write a row twice; sorted, so that writers never lock crosswise.
        let mut rows: Vec<_> =
            rows.into_iter().map(|row| (row.path.clone(), row)).collect::<HashMap<_, _>>().into_values().collect();
        rows.sort_by(|a, b| a.path.cmp(&b.path));
        for rows in rows.chunks(CHUNK) {
            let column = |value: fn(&HashRow) -> i64| rows.iter().map(value).collect::<Vec<i64>>();
            let paths: Vec<&str> = rows.iter().map(|row| row.path.as_str()).collect();
            let hashes: Vec<&str> = rows.iter().map(|row| row.sha256.as_str()).collect();
            let sizes = column(|row| row.size.cast_signed());
            let (modified, changed) = (column(|row| row.mtime_ns), column(|row| row.ctime_ns));
            let inodes = column(|row| row.inode.cast_signed());
            let sql = include_str!("sql/put_hashes.sql");
            self.write("remember file hashes", sql, &[&paths, &sizes, &modified, &changed, &inodes, &hashes]).await?;
        }
        Ok(())
    }

    async fn put_segments(&self, segments: Vec<(String, String)>) -> Result<(), StoreError> {
        let mut segments: Vec<_> = segments.into_iter().collect::<HashMap<_, _>>().into_iter().collect();
        segments.sort();
        for segments in segments.chunks(CHUNK) {
            let (keys, values): (Vec<_>, Vec<_>) =
                segments.iter().map(|(key, value)| (key.as_str(), value.as_str())).unzip();
            self.write("remember segments", include_str!("sql/put_segments.sql"), &[&keys, &values]).await?;
        }
        Ok(())
    }

    async fn segments(&self, keys: &[String]) -> Result<HashMap<String, String>, StoreError> {
        let sql = "SELECT key, segment FROM segments WHERE key = ANY ($1)";
        let rows = self.read("read segments", sql, &[&keys]).await?;
        rows.iter().map(|row| Ok((get(row, 0)?, get(row, 1)?))).collect()
    }
}

fn hash(row: &Row) -> Result<HashRow, StoreError> {
    Ok(HashRow {
        path: get(row, 0)?,
        size: get::<i64>(row, 1)?.cast_unsigned(),
        mtime_ns: get(row, 2)?,
        ctime_ns: get(row, 3)?,
        inode: get::<i64>(row, 4)?.cast_unsigned(),
        sha256: get(row, 5)?,
    })
}
