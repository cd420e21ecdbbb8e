//! Manifests, hashes and segments in SQLite.

use std::collections::HashMap;

use async_trait::async_trait;
use belvedere_domain::{DatasetName, Manifest, Revision};
use rusqlite::{OptionalExtension as _, params};

use super::Sqlite;
use crate::codec::{pack_manifest, unpack_manifest};
use crate::{HashRow, Snapshots, StoreError};

#[async_trait]
impl Snapshots for Sqlite {
    async fn put_manifest(
        &self,
        dataset: &DatasetName,
        revision: &Revision,
        manifest: &Manifest,
    ) -> Result<(), StoreError> {
        let (dataset, revision, bytes) = (dataset.clone(), revision.clone(), pack_manifest(manifest)?);
        self.write("store a manifest", move |session| {
            session.execute(
                include_str!("../sql/put_manifest.sql"),
                params![dataset.as_str(), revision.as_str(), bytes],
            )?;
            Ok(())
        })
        .await
    }

    async fn manifest(&self, dataset: &DatasetName, revision: &Revision) -> Result<Option<Manifest>, StoreError> {
        let (dataset, revision) = (dataset.clone(), revision.clone());
        self.read("read a manifest", move |session| {
            let bytes: Option<Vec<u8>> = session
                .prepare(include_str!("../sql/manifest.sql"))?
                .query_row([dataset.as_str(), revision.as_str()], |row| row.get(0))
                .optional()?;
            Ok(bytes.map(|bytes| unpack_manifest(&bytes)).transpose()?)
        })
        .await
    }

    async fn hashes(&self, folder: &str) -> Result<HashMap<String, HashRow>, StoreError> {
        let range = crate::snapshots::below(folder);
        self.read("read file hashes", move |session| {
            let mut statement = session.prepare(include_str!("../sql/hashes.sql"))?;
            let rows = statement.query_map([&range.start, &range.end], |row| {
                Ok(HashRow {
                    path: row.get(0)?,
                    size: row.get::<_, i64>(1)?.cast_unsigned(),
                    mtime_ns: row.get(2)?,
                    ctime_ns: row.get(3)?,
                    inode: row.get::<_, i64>(4)?.cast_unsigned(),
                    sha256: row.get(5)?,
                })
            })?;
            Ok(rows.map(|row| row.map(|row| (row.path.clone(), row))).collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn remember_hashes(&self, mut rows: Vec<HashRow>) -> Result<(), StoreError> {
        // In the order of the key, so that each page of the table is written once.
        rows.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        self.write("remember file hashes", move |session| {
            let mut statement = session.prepare(include_str!("sql/put_hash.sql"))?;
            for row in &rows {
                statement.execute(params![
                    row.path,
                    row.size.cast_signed(),
                    row.mtime_ns,
                    row.ctime_ns,
                    row.inode.cast_signed(),
                    row.sha256
                ])?;
            }
            Ok(())
        })
        .await
    }

    async fn put_segments(&self, segments: Vec<(String, String)>) -> Result<(), StoreError> {
        self.write("remember segments", move |session| {
            let mut statement = session.prepare(include_str!("sql/put_segment.sql"))?;
            for (key, segment) in &segments {
                statement.execute([key, segment])?;
            }
            Ok(())
        })
        .await
    }

    async fn segments(&self, keys: &[String]) -> Result<HashMap<String, String>, StoreError> {
        let keys = keys.to_vec();
        self.read("read segments", move |session| {
            let mut statement = session.prepare("SELECT segment FROM segments WHERE key = ?1")?;
            let mut found = HashMap::with_capacity(keys.len());
            for key in keys {
                if let Some(segment) = statement.query_row([&key], |row| row.get(0)).optional()? {
                    found.insert(key, segment);
                }
            }
            Ok(found)
        })
        .await
    }
}
