//! The bare loop: claim the oldest row of a minimal table, then delete it. No fairness, no results, no fencing, but the
//! same durability, number of clients and way to the database as the queue.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use anyhow::bail;
use rusqlite::{Connection, OptionalExtension as _};
use tokio::sync::oneshot;
use tokio_postgres::NoTls;

use crate::{Round, measure, micros, take};

pub(crate) async fn run(url: &str, jobs: usize, clients: usize) -> anyhow::Result<Round> {
    match url.strip_prefix("sqlite:") {
        Some(path) => sqlite(path, jobs, clients).await,
        None => postgres(url, jobs, clients).await,
    }
}

async fn postgres(url: &str, jobs: usize, clients: usize) -> anyhow::Result<Round> {
    let connect = || async {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        tokio::spawn(connection);
        anyhow::Ok(client)
    };
    let admin = connect().await?;
    admin
        .batch_execute(&format!(
            "DROP TABLE IF EXISTS bare;
             CREATE TABLE bare (id BIGINT PRIMARY KEY, started BOOLEAN NOT NULL DEFAULT FALSE);
             CREATE INDEX bare_waiting ON bare (id) WHERE NOT started;
             INSERT INTO bare (id) SELECT generate_series(1, {});",
            jobs + clients
        ))
        .await?;
    admin.batch_execute("VACUUM ANALYZE bare").await?;
    let mut connections = Vec::new();
    for _ in 0..clients {
        connections.push(connect().await?);
    }
    let connections = std::sync::Mutex::new(connections);
    let round = measure(jobs, clients, |tickets: Arc<AtomicUsize>| {
        let client = connections.lock().ok().and_then(|mut connections| connections.pop());
        // A lost claim harms nobody, so claims need no flush, here as in the queue.
        async move {
            let Some(client) = client else { bail!("no connection") };
            let claim = client
                .prepare(
                    "UPDATE bare SET started = TRUE WHERE id = (
                         SELECT id FROM bare WHERE NOT started ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
                     RETURNING id, set_config('synchronous_commit', 'off', TRUE)",
                )
                .await?;
            let delete = client.prepare("DELETE FROM bare WHERE id = $1").await?;
            let mut claims = Vec::new();
            while take(&tickets) {
                let asked = Instant::now();
                let id: i64 = client.query_one(&claim, &[]).await?.try_get(0)?;
                claims.push(micros(asked.elapsed()));
                client.execute(&delete, &[&id]).await?;
            }
            Ok(claims)
        }
    })
    .await?;
    admin.batch_execute("DROP TABLE bare").await?;
    Ok(round)
}

/// What a client of the bare SQLite loop asks for.
enum Request {
    Claim(oneshot::Sender<Option<i64>>),
    Delete(i64, oneshot::Sender<()>),
}

const CLAIM: &str = "UPDATE bare SET started = 1 WHERE id = (
                         SELECT id FROM bare WHERE started = 0 ORDER BY id LIMIT 1) RETURNING id";

fn fill_sqlite(path: &str, jobs: usize) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.execute_batch(&format!(
        "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 16000;
         DROP TABLE IF EXISTS bare;
         CREATE TABLE bare (id INTEGER PRIMARY KEY, started INTEGER NOT NULL DEFAULT 0);
         CREATE INDEX bare_waiting ON bare (id) WHERE started = 0;
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {jobs})
         INSERT INTO bare (id) SELECT i FROM n;
         PRAGMA wal_checkpoint(TRUNCATE);"
    ))?;
    Ok(connection)
}

/// The strongest bare loop we know: one writer with group commit, as the store has it.
async fn sqlite(path: &str, jobs: usize, clients: usize) -> anyhow::Result<Round> {
    let connection = fill_sqlite(path, jobs)?;
    let (requests, inbox) = std::sync::mpsc::channel();
    let writer = std::thread::spawn(move || write(&connection, &inbox));
    let round = measure(jobs, clients, |tickets: Arc<AtomicUsize>| {
        let requests = requests.clone();
        async move {
            let mut claims = Vec::new();
            while take(&tickets) {
                let asked = Instant::now();
                let (reply, answer) = oneshot::channel();
                requests.send(Request::Claim(reply))?;
                let Some(id) = answer.await? else { bail!("the table ran dry") };
                claims.push(micros(asked.elapsed()));
                let (reply, answer) = oneshot::channel();
                requests.send(Request::Delete(id, reply))?;
                answer.await?;
            }
            Ok(claims)
        }
    })
    .await?;
    drop(requests);
    match writer.join() {
        Ok(result) => result?,
        Err(_) => bail!("the writer panicked"),
    }
    Ok(round)
}

/// The loop as most programs would have it: a connection per client, every commit flushed on its own.
pub(crate) async fn run_sqlite_connections(path: &str, jobs: usize, clients: usize) -> anyhow::Result<Round> {
    fill_sqlite(path, jobs)?;
    let path = path.to_owned();
    measure(jobs, clients, |tickets: Arc<AtomicUsize>| {
        let path = path.clone();
        async move { tokio::task::spawn_blocking(move || drain(&path, &tickets)).await? }
    })
    .await
}

fn drain(path: &str, tickets: &AtomicUsize) -> anyhow::Result<Vec<u64>> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(std::time::Duration::from_secs(60))?;
    connection.execute_batch("PRAGMA synchronous = FULL")?;
    let mut claims = Vec::new();
    while take(tickets) {
        let asked = Instant::now();
        let id: Option<i64> = connection.prepare_cached(CLAIM)?.query_row([], |row| row.get(0)).optional()?;
        let Some(id) = id else { bail!("the table ran dry") };
        claims.push(micros(asked.elapsed()));
        connection.prepare_cached("DELETE FROM bare WHERE id = ?1")?.execute([id])?;
    }
    Ok(claims)
}

/// Group commit: one transaction, one flush, for everything queued.
fn write(connection: &Connection, inbox: &std::sync::mpsc::Receiver<Request>) -> rusqlite::Result<()> {
    while let Ok(first) = inbox.recv() {
        let batch: Vec<Request> = std::iter::once(first).chain(inbox.try_iter()).collect();
        let (claims, deletes): (Vec<_>, Vec<_>) =
            batch.into_iter().partition(|request| matches!(request, Request::Claim(_)));
        // A lost claim harms nobody, so claims need no flush, here as in the queue.
        for (batch, level) in [(claims, "NORMAL"), (deletes, "FULL")] {
            if batch.is_empty() {
                continue;
            }
            connection.execute_batch(&format!("PRAGMA synchronous = {level}"))?;
            connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
            let mut replies: Vec<Box<dyn FnOnce()>> = Vec::new();
            for request in batch {
                match request {
                    Request::Claim(reply) => {
                        let id = connection.prepare_cached(CLAIM)?.query_row([], |row| row.get(0)).optional()?;
                        replies.push(Box::new(move || _ = reply.send(id)));
                    }
                    Request::Delete(id, reply) => {
                        connection.prepare_cached("DELETE FROM bare WHERE id = ?1")?.execute([id])?;
                        replies.push(Box::new(move || _ = reply.send(())));
                    }
                }
            }
            connection.prepare_cached("COMMIT")?.execute([])?;
            replies.into_iter().for_each(|reply| reply());
        }
    }
    Ok(())
}
