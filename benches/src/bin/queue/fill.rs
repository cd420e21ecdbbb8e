//! Fills a database the way a busy year would: views with their pointers, a history of jobs, and a long queue.

use rusqlite::Connection;
use tokio_postgres::NoTls;

/// Datasets; views and jobs are spread evenly over them.
const DATASETS: u32 = 1000;

/// Stores views of 1 kB with their pointers, and the history.
pub(crate) async fn views(url: &str, views: u32, namespaces: u32) -> anyhow::Result<()> {
    if let Some(path) = url.strip_prefix("sqlite:") {
        Connection::open(path)?.execute_batch(&sqlite_views(views, namespaces))?;
    } else {
        execute_postgres(url, &postgres_views(views, namespaces)).await?;
    }
    Ok(())
}

/// Replaces what waits by a new queue: every tenth job of normal priority, four difficulties, every tenth step blocked.
pub(crate) async fn jobs(url: &str, jobs: u32, namespaces: u32) -> anyhow::Result<()> {
    if let Some(path) = url.strip_prefix("sqlite:") {
        Connection::open(path)?.execute_batch(&sqlite_jobs(jobs, namespaces))?;
    } else {
        execute_postgres(url, &postgres_jobs(jobs, namespaces)).await?;
    }
    Ok(())
}

async fn execute_postgres(url: &str, sql: &str) -> anyhow::Result<()> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    let running = tokio::spawn(connection);
    client.batch_execute(sql).await?;
    // What autovacuum would have done by the time that so much is there.
    client.batch_execute("VACUUM ANALYZE").await?;
    drop(client);
    running.await??;
    Ok(())
}

fn sqlite_views(views: u32, namespaces: u32) -> String {
    format!(
        "PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000;
         BEGIN;
         WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {DATASETS})
         INSERT INTO datasets (name, target, target_since, served)
         SELECT 'n' || (i % {namespaces}) || '/d' || i, 'r1', 0, 'r1' FROM n;
         INSERT INTO revisions SELECT name, 'r1', 0 FROM datasets;
         WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {views})
         INSERT INTO views (digest, http_status, error_code, progress, runner_version, duration_seconds, created_at,
                            internal, details, content)
         SELECT randomblob(32), 200, NULL, 1000, 1, 1.0, 0, 'null', '{{}}', '\"' || hex(randomblob(500)) || '\"' FROM n
         ORDER BY 1;
         INSERT INTO pointers (dataset, revision, step, config, split, view, updated_at, failed_runs)
         SELECT 'n' || (id % {DATASETS} % {namespaces}) || '/d' || (id % {DATASETS}), 'r1', 'old-step', 'default',
                's' || id, id, 0, 0
         FROM views;
         WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < 100000)
         INSERT INTO past_jobs (dataset, finished_at, duration_seconds)
         SELECT 'n' || (i % {DATASETS} % {namespaces}) || '/d' || (i % {DATASETS}), unixepoch() * 1000000, 31 FROM n;
         WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < 100000)
         INSERT INTO job_runs SELECT 'n' || (i % {DATASETS} % {namespaces}) || '/d' || (i % {DATASETS}), 'r1', 'step',
                'default', 's' || i, 0, 1000000 FROM n;
         COMMIT;
         PRAGMA wal_checkpoint(TRUNCATE);"
    )
}

fn sqlite_jobs(jobs: u32, namespaces: u32) -> String {
    format!(
        "BEGIN;
         DELETE FROM jobs;
         WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {jobs})
         INSERT INTO jobs (step, dataset, namespace, revision, config, split, priority, difficulty, forced, coalesced,
                           created_at)
         SELECT CASE i % 10 WHEN 9 THEN 'step-blocked' ELSE 'step-' || (i % 10) END,
                'n' || (d % {namespaces}) || '/d' || d, 'n' || (d % {namespaces}), 'r1', 'default', 's' || i,
                i % 10 = 0, (i % 4 + 1) * 20, 0, 0, unixepoch() * 1000000
         FROM (SELECT i, i / 50 % {DATASETS} AS d FROM n);
         COMMIT;
         PRAGMA wal_checkpoint(TRUNCATE);"
    )
}

fn postgres_views(views: u32, namespaces: u32) -> String {
    format!(
        "INSERT INTO datasets (name, target, target_since, served)
         SELECT 'n' || (i % {namespaces}) || '/d' || i, 'r1', 0, 'r1' FROM generate_series(0, {DATASETS} - 1) AS n (i);
         INSERT INTO revisions SELECT name, 'r1', 0 FROM datasets;
         INSERT INTO views (digest, http_status, error_code, progress, runner_version, duration_seconds, created_at,
                            internal, details, content)
         SELECT sha256(i::text::bytea), 200, NULL, 1000, 1, 1.0, 0, 'null', '{{}}',
                '\"' || repeat(md5(i::text), 31) || '\"'
         FROM generate_series(1, {views}) AS n (i);
         INSERT INTO pointers (dataset, revision, step, config, split, view, updated_at, failed_runs)
         SELECT 'n' || (id % {DATASETS} % {namespaces}) || '/d' || (id % {DATASETS}), 'r1', 'old-step', 'default',
                's' || id, id, 0, 0
         FROM views;
         INSERT INTO past_jobs (dataset, finished_at, duration_seconds)
         SELECT 'n' || (i % {DATASETS} % {namespaces}) || '/d' || (i % {DATASETS}), now_us(), 31
         FROM generate_series(1, 100000) AS n (i);
         INSERT INTO job_runs
         SELECT 'n' || (i % {DATASETS} % {namespaces}) || '/d' || (i % {DATASETS}), 'r1', 'step', 'default', 's' || i, 0,
                1000000
         FROM generate_series(1, 100000) AS n (i);"
    )
}

fn postgres_jobs(jobs: u32, namespaces: u32) -> String {
    format!(
        "DELETE FROM jobs;
         INSERT INTO jobs (step, dataset, namespace, revision, config, split, priority, difficulty, forced, coalesced,
                           created_at)
         SELECT CASE i % 10 WHEN 9 THEN 'step-blocked' ELSE 'step-' || (i % 10) END,
                'n' || (d % {namespaces}) || '/d' || d, 'n' || (d % {namespaces}), 'r1', 'default', 's' || i,
                (i % 10 = 0)::int, (i % 4 + 1) * 20, FALSE, FALSE, now_us()
         FROM (SELECT i, i / 50 % {DATASETS} AS d FROM generate_series(0, {jobs} - 1) AS n (i)) AS spread
         ORDER BY i;
         INSERT INTO job_classes SELECT DISTINCT priority, difficulty, step FROM jobs ON CONFLICT DO NOTHING;"
    )
}
