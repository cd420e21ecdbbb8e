//! What attempts leave behind: logs and artefacts; and what monitors note about clusters.

use belvedere_domain::Timestamp;
use belvedere_domain::task::{ClusterName, TaskId};

use super::questions::question;
use crate::StoreError;
use crate::codec::microseconds;
use crate::portable::{Row, Script, Transaction, Value, values};

/// A piece of what an attempt printed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogPiece {
    /// Grows by one whenever the program made its log shorter.
    pub generation: u32,
    /// Its place in that generation, in bytes.
    pub start: u64,
    /// The bytes as they were printed.
    pub bytes: Vec<u8>,
}

/// One stream of an attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogKey {
    /// The task.
    pub task: TaskId,
    /// Number of the attempt.
    pub attempt: u32,
    /// `out` or `err`.
    pub stream: &'static str,
}

/// How much of a stream is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LogExtent {
    /// Its newest generation.
    pub generation: u32,
    /// End of what is stored of that generation.
    pub end: u64,
    /// Bytes stored of all generations.
    pub total: u64,
}

/// A file that an attempt left in its output folder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Artifact {
    /// Its path in that folder, parts separated by `/`.
    pub path: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Hexadecimal SHA-256 of the kept copy; `None` where there is none.
    pub sha256: Option<String>,
    /// Why there is no copy.
    pub note: Option<String>,
}

/// A cluster as its monitor sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClusterRow {
    /// Its name.
    pub name: String,
    /// Whether a process watches over it now.
    pub watched: bool,
    /// What the monitor last found, as JSON.
    pub health: Option<String>,
    /// When.
    pub health_at: Option<Timestamp>,
}

/// Pieces that one question fetches at most.
const PIECES: i64 = 64;

pub(crate) struct AppendLog {
    pub(crate) key: LogKey,
    pub(crate) piece: LogPiece,
}

impl Script for AppendLog {
    type Output = ();
    const WHAT: &'static str = "keep a piece of a log";

    async fn run<T: Transaction>(&self, transaction: &mut T) -> Result<(), StoreError> {
        let LogKey { task, attempt, stream } = &self.key;
        let sql = "INSERT INTO task_log (task, attempt, stream, generation, start, size_bytes, bytes) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
        let params = [
            task.to_string().into(),
            (*attempt).into(),
            (*stream).into(),
            self.piece.generation.into(),
            signed(self.piece.start).into(),
            signed(self.piece.bytes.len() as u64).into(),
            Value::Bytes(self.piece.bytes.clone()),
        ];
        transaction.rows(sql, &params).await.map(drop)
    }
}

pub(crate) struct ReadLog {
    pub(crate) key: LogKey,
    pub(crate) generation: u32,
    pub(crate) from: u64,
    pub(crate) max_bytes: u64,
}

question!(ReadLog => Vec<LogPiece>, "read a log", |self, transaction| {
    let LogKey { task, attempt, stream } = &self.key;
    let mut pieces: Vec<LogPiece> = Vec::new();
    let (mut generation, mut from, mut read) = (self.generation, self.from, 0);
    let task = task.to_string();
    while read < self.max_bytes && pieces.len() < PIECES as usize {
        let sql = "SELECT generation, start, bytes FROM task_log WHERE task = $1 AND attempt = $2 AND stream = $3 \
                   AND (generation > $4 OR (generation = $4 AND start + size_bytes > $5)) \
                   ORDER BY generation, start LIMIT 1";
        let params = values![&task, *attempt, *stream, generation, signed(from)];
        let Some(mut row) = transaction.rows(sql, params).await?.pop() else { break };
        let mut piece = LogPiece { generation: row.count()?, start: row.size()?, bytes: row.bytes()? };
        if piece.generation == generation && piece.start < from {
            let skip = usize::try_from(from - piece.start).unwrap_or(usize::MAX).min(piece.bytes.len());
            piece.bytes.drain(..skip);
            piece.start = from;
        }
        read += piece.bytes.len() as u64;
        (generation, from) = (piece.generation, piece.start + piece.bytes.len() as u64);
        pieces.push(piece);
    }
    Ok(pieces)
});

pub(crate) struct LogSize(pub(crate) LogKey);

question!(LogSize => LogExtent, "measure a log", |self, transaction| {
    let LogKey { task, attempt, stream } = &self.0;
    let sql = "SELECT generation, MAX(start + size_bytes), CAST(SUM(size_bytes) AS BIGINT) FROM task_log \
               WHERE task = $1 AND attempt = $2 AND stream = $3 GROUP BY generation ORDER BY generation";
    let rows = transaction.rows(sql, values![task.to_string(), *attempt, *stream]).await?;
    let mut extent = LogExtent::default();
    for mut row in rows {
        let (generation, end, size) = (row.count()?, row.size()?, row.size()?);
        extent = LogExtent { generation, end, total: extent.total + size };
    }
    Ok(extent)
});

pub(crate) struct PutArtifacts {
    pub(crate) id: TaskId,
    pub(crate) attempt: u32,
    pub(crate) artifacts: Vec<Artifact>,
}

impl Script for PutArtifacts {
    type Output = ();
    const WHAT: &'static str = "note artifacts";

    async fn run<T: Transaction>(&self, transaction: &mut T) -> Result<(), StoreError> {
        let id = self.id.to_string();
        let sql = "DELETE FROM task_artifact WHERE task = $1 AND attempt = $2";
        transaction.rows(sql, values![&id, self.attempt]).await?;
        for artifact in &self.artifacts {
            let Artifact { path, size_bytes, sha256, note } = artifact;
            let sql = "INSERT INTO task_artifact (task, attempt, path, size_bytes, sha256, note) \
                       VALUES ($1, $2, $3, $4, $5, $6)";
            let size = signed(*size_bytes);
            let params = values![&id, self.attempt, path, size, sha256.as_deref(), note.as_deref()];
            transaction.rows(sql, params).await?;
        }
        Ok(())
    }
}

pub(crate) struct Artifacts {
    pub(crate) id: TaskId,
    pub(crate) attempt: u32,
}

question!(Artifacts => Vec<Artifact>, "list artifacts", |self, transaction| {
    let sql = "SELECT path, size_bytes, sha256, note FROM task_artifact WHERE task = $1 AND attempt = $2 ORDER BY path";
    let rows = transaction.rows(sql, values![self.id.to_string(), self.attempt]).await?;
    let artifact = |mut row: Row| {
        Ok(Artifact { path: row.text()?, size_bytes: row.size()?, sha256: row.opt_text()?, note: row.opt_text()? })
    };
    rows.into_iter().map(artifact).collect()
});

pub(crate) struct Hold {
    pub(crate) cluster: ClusterName,
    pub(crate) holder: String,
    pub(crate) seconds: f64,
}

impl Script for Hold {
    type Output = bool;
    const WHAT: &'static str = "take the watch over a cluster";

    async fn run<T: Transaction>(&self, transaction: &mut T) -> Result<bool, StoreError> {
        let now = transaction.now();
        let until = now + microseconds(self.seconds);
        let sql = "INSERT INTO task_cluster (name, holder, expires_at) VALUES ($1, $2, $3) \
                   ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at \
                   WHERE task_cluster.holder = excluded.holder OR task_cluster.expires_at <= $4 RETURNING name";
        let rows = transaction.rows(sql, values![self.cluster.as_str(), &self.holder, until, now]).await?;
        Ok(!rows.is_empty())
    }
}

pub(crate) struct PutHealth {
    pub(crate) cluster: ClusterName,
    pub(crate) health: String,
}

impl Script for PutHealth {
    type Output = ();
    const WHAT: &'static str = "note the health of a cluster";

    async fn run<T: Transaction>(&self, transaction: &mut T) -> Result<(), StoreError> {
        let now = transaction.now();
        let sql = "UPDATE task_cluster SET health = $2, health_at = $3 WHERE name = $1";
        transaction.rows(sql, values![self.cluster.as_str(), &self.health, now]).await.map(drop)
    }
}

pub(crate) struct Clusters;

question!(Clusters => Vec<ClusterRow>, "list clusters", |self, transaction| {
    let now = transaction.now();
    let sql = "SELECT name, expires_at, health, health_at FROM task_cluster ORDER BY name";
    let cluster = |mut row: Row| {
        Ok(ClusterRow {
            name: row.text()?,
            watched: row.int()? > now,
            health: row.opt_text()?,
            health_at: row.opt_int()?.map(Timestamp),
        })
    };
    transaction.rows(sql, values![]).await?.into_iter().map(cluster).collect()
});

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
