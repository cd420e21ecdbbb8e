//! What only this database promises: isolation of the requests that share a transaction, and durability.

use std::sync::Arc;

use super::{Failure, Session, Sqlite};
use crate::StoreError;

fn insert(session: &Session<'_>, key: &str) -> Result<(), Failure> {
    session.execute("INSERT INTO segments VALUES (?1, '')", [key])?;
    Ok(())
}

fn open() -> (tempfile::TempDir, Arc<Sqlite>) {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&folder.path().join("deep/store.sqlite")).unwrap();
    (folder, Arc::new(store))
}

async fn keys(store: &Sqlite) -> Vec<String> {
    store
        .read("list", |session| {
            let mut statement = session.prepare("SELECT key FROM segments ORDER BY key")?;
            Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
        })
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_and_panics_do_not_hurt_the_requests_beside_them() {
    let (_folder, store) = open();
    // Holds the writer, so that all that follows is one batch.
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let first = store.clone();
    let first = tokio::spawn(async move { first.write("wait", move |_| Ok(held.recv().is_ok())).await });
    let tasks: Vec<_> = (0..30)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let work = move |session: &Session<'_>| {
                    insert(session, &format!("{n:02}"))?;
                    match n % 3 {
                        0 => Ok(()),
                        1 => Err(StoreError::Corrupt("on purpose".to_owned()).into()),
                        _ => panic!("on purpose"),
                    }
                };
                store.write("insert", work).await.is_ok()
            })
        })
        .collect();
    hold.send(()).unwrap();
    assert!(first.await.unwrap().unwrap());
    for (n, task) in tasks.into_iter().enumerate() {
        assert_eq!(task.await.unwrap(), n % 3 == 0, "request {n}");
    }
    let expected: Vec<_> = (0..30).step_by(3).map(|n| format!("{n:02}")).collect();
    assert_eq!(keys(&store).await, expected);
}

#[tokio::test]
async fn an_answered_write_is_there_after_reopening() {
    let (folder, store) = open();
    store.write("insert", |session| insert(session, "kept")).await.unwrap();
    store.write_relaxed("insert", |session| insert(session, "kept too")).await.unwrap();
    drop(store);
    let again = Sqlite::open(&folder.path().join("deep/store.sqlite")).unwrap();
    assert_eq!(keys(&again).await, ["kept", "kept too"]);
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let (folder, store) = open();
    let raise = |session: &Session<'_>| {
        Ok(session.execute("UPDATE schema_version SET version = 1000, oldest_program = 1000", [])?)
    };
    store.write("raise", raise).await.unwrap();
    drop(store);
    let error = Sqlite::open(&folder.path().join("deep/store.sqlite")).err().unwrap();
    assert!(matches!(error, StoreError::NewerSchema { found: 1000, .. }), "{error}");
}

#[tokio::test]
async fn times_never_stand_still() {
    let (_folder, store) = open();
    let mut last = 0;
    for _ in 0..100 {
        let now = store.write("look", |session| Ok(session.now)).await.unwrap();
        assert!(now > last);
        last = now;
    }
}

#[test]
fn a_file_that_is_no_database_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    std::fs::write(
        &path,
        "a text that somebody wrote, long enough to be mistaken for the header of a database file, and more",
    )
    .unwrap();
    let before = std::fs::read(&path).unwrap();
    assert!(Sqlite::open(&path).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

/// e030 | a million results of earlier work are stored, in SQLite | neither a claim nor the end of a job looks through them: every
/// statement finds its rows by an index
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e030_claims_and_ends_find_their_rows_by_indexes() {
    let (_folder, store) = open();
    let statements = [
        include_str!("sql/lane.sql"),
        include_str!("sql/any_waits.sql"),
        include_str!("sql/wake.sql"),
        include_str!("sql/start.sql"),
        include_str!("sql/has_started_twin.sql"),
        include_str!("sql/beat.sql"),
        include_str!("sql/leased.sql"),
        include_str!("sql/finish.sql"),
        include_str!("sql/take_twin.sql"),
        include_str!("sql/last_run.sql"),
        include_str!("sql/put_run.sql"),
        include_str!("sql/rest_twin.sql"),
        include_str!("sql/move_pointer.sql"),
        include_str!("sql/new_pointer.sql"),
        include_str!("sql/put_view.sql"),
        "SELECT namespace, dataset, step, difficulty FROM jobs WHERE status = 1",
        "DELETE FROM past_jobs WHERE dataset = ?1 AND finished_at < ?2",
        "SELECT coalesce(sum(duration_seconds), 0) FROM past_jobs WHERE dataset = ?1",
        "DELETE FROM pointers WHERE dataset = ?1",
    ];
    let plans = store
        .read("explain", move |session| {
            let mut plans = Vec::new();
            for sql in statements {
                let mut statement = session.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
                // Values do not matter for a plan.
                let mut rows = statement.raw_query();
                while let Some(row) = rows.next()? {
                    plans.push((sql, row.get::<_, String>(3)?));
                }
            }
            Ok(plans)
        })
        .await
        .unwrap();
    assert!(!plans.is_empty());
    for (sql, step) in plans {
        let looks_through = step.starts_with("SCAN ");
        let few = ["SCAN CONSTANT ROW", "SCAN jobs USING INDEX jobs_started"].contains(&step.as_str());
        assert!(!looks_through || few, "`{step}` in\n{sql}");
    }
}
