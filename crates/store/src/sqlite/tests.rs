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
