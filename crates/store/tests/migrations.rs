//! A process that is killed while it changes the schema: the next one finds the old schema whole, and completes.
//! PostgreSQL takes part when `BELVEDERE_TEST_POSTGRES_URL` names a server on which the role may create databases.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use belvedere_store::Store;

/// Tells a copy of this program, started by a test, which store to open.
const OPEN: &str = "BELVEDERE_TEST_OPEN";
/// Rows that make the change of the schema take a while.
const ROWS: u32 = 200_000;
/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// Not a test of its own: what the process does that gets killed.
#[tokio::test]
async fn the_process_that_opens_a_store() {
    let Ok(url) = std::env::var(OPEN) else { return };
    Store::connect(&url).await.unwrap();
}

fn open_in_a_process(url: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_process_that_opens_a_store"])
        .env(OPEN, url)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn kill(mut process: Child) {
    process.kill().unwrap();
    process.wait().unwrap();
}

/// The migrations of a database, by number.
fn migrations(database: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(database);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect()
}

/// e027 | a process is killed while it brings the schema of a SQLite file up to date | the schema is the old one or the new
/// one, never something in between; the next start completes it
#[tokio::test]
async fn e027_a_killed_migration_of_sqlite_is_whole_or_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    let url = format!("sqlite:{}", path.display());
    let known = migrations("sqlite").len() as i64;
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection
        .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE schema_version (version INTEGER NOT NULL) STRICT")
        .unwrap();
    connection.execute_batch(&migrations("sqlite")[0]).unwrap();
    connection
        .execute_batch(&format!(
            "INSERT INTO schema_version VALUES (1);
             INSERT INTO views (digest, http_status, error_code, progress, runner_version, duration_seconds, created_at,
                                internal, details, content)
             WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {ROWS})
             SELECT CAST(printf('%032d', n) AS BLOB), 500, 'Error' || n, NULL, 1, 0.0, 0, 'null', '{{}}', '{{}}' FROM n;
             PRAGMA wal_checkpoint(TRUNCATE)"
        ))
        .unwrap();
    drop(connection);
    let facts = || {
        let connection = rusqlite::Connection::open(&path).unwrap();
        let ask = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        let intact: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(intact, "ok");
        let tables = "SELECT count(*) FROM sqlite_schema WHERE name IN ('views_errors', 'duties')";
        (ask("SELECT max(version) FROM schema_version"), ask(tables), ask("SELECT count(*) FROM views"))
    };
    let log = folder.path().join("store.sqlite-wal");
    let lock = std::fs::read_dir(folder.path()).unwrap().count();
    // As soon as it has the file to itself, and when it writes what it has changed.
    for round in ["begun", "writing"] {
        let mut process = open_in_a_process(&url);
        let started = Instant::now();
        loop {
            let writes = std::fs::metadata(&log).is_ok_and(|meta| meta.len() > 1 << 20);
            let begun = std::fs::read_dir(folder.path()).unwrap().count() > lock;
            if writes || round == "begun" && begun || process.try_wait().unwrap().is_some() {
                break;
            }
            assert!(started.elapsed() < PATIENCE);
        }
        kill(process);
        let (version, new_tables, rows) = facts();
        assert!(
            matches!((version, new_tables), (1, 0)) || (version, new_tables) == (known, 2),
            "{version} {new_tables}"
        );
        assert_eq!(rows, i64::from(ROWS));
    }
    drop(Store::connect(&url).await.unwrap());
    assert_eq!(facts(), (known, 2, i64::from(ROWS)));
}

/// e027 | a process is killed while it brings the schema of PostgreSQL up to date | nothing of it is to be seen; the next
/// start completes it
#[tokio::test]
async fn e027_a_killed_migration_of_postgres_leaves_nothing() {
    let Ok(server) = std::env::var("BELVEDERE_TEST_POSTGRES_URL") else { return };
    let name = format!("migrations_{}", std::process::id());
    let admin = connect(&server).await;
    admin.batch_execute(&format!("DROP DATABASE IF EXISTS {name}")).await.unwrap();
    admin.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
    let url = format!("{}/{name}", server.rsplit_once('/').unwrap().0);
    let mut client = connect(&url).await;
    let all = migrations("postgres");
    client.batch_execute("CREATE TABLE schema_version (version BIGINT NOT NULL)").await.unwrap();
    for migration in &all[..4] {
        client.batch_execute(migration).await.unwrap();
    }
    client.batch_execute("INSERT INTO schema_version VALUES (4)").await.unwrap();

    // The fifth makes an index on jobs, and then one on views, where it has to wait for us.
    let transaction = client.transaction().await.unwrap();
    transaction.batch_execute("LOCK TABLE views IN ROW EXCLUSIVE MODE").await.unwrap();
    let process = open_in_a_process(&url);
    let watch = connect(&url).await;
    let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'views'::regclass";
    let started = Instant::now();
    while watch.query_one(waits, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        assert!(started.elapsed() < PATIENCE, "the migration never came to the table");
        tokio::task::yield_now().await;
    }
    kill(process);
    transaction.commit().await.unwrap();
    // The server notices the end of the connection once it may go on.
    let active =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'belvedere'";
    while watch.query_one(active, &[]).await.unwrap().get::<_, i64>(0) > 0 {
        assert!(started.elapsed() < PATIENCE, "the session of the killed process stays");
        tokio::task::yield_now().await;
    }
    let facts = "SELECT (SELECT max(version) FROM schema_version), (SELECT count(*) FROM pg_class WHERE relname IN ('jobs_steps', 'views_errors', 'duties'))";
    let row = watch.query_one(facts, &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (4, 0));

    drop(Store::connect(&url).await.unwrap());
    let row = watch.query_one(facts, &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (all.len() as i64, 3));
    drop((client, watch));
    admin.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await.unwrap();
}

async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}
