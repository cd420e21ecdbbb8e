//! A database of a large installation: 1,000 datasets in 200 namespaces, results of every step with one error in fifty, a
//! tenth of the datasets half way to another revision, and a long queue.

use belvedere_jobs::Registry;
use rusqlite::Connection;
use tokio_postgres::NoTls;

const DATASETS: u32 = 1000;
const NAMESPACES: u32 = 200;

/// Stores views with their pointers, and jobs. 0 leaves the table as it is.
pub(crate) async fn fill(url: &str, views: u32, jobs: u32) -> anyhow::Result<()> {
    let graph = Registry::new()?.graph();
    let steps: Vec<&str> = graph.steps().iter().map(|step| step.name).collect();
    let is_sqlite = url.starts_with("sqlite:");
    let mut sql = String::new();
    if views > 0 {
        sql += &datasets(is_sqlite);
        sql += &views_sql(views, &steps, is_sqlite);
    }
    if jobs > 0 {
        sql += &jobs_sql(jobs, &steps, is_sqlite);
    }
    if let Some(path) = url.strip_prefix("sqlite:") {
        let pragmas = "PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000;";
        Connection::open(path)?
            .execute_batch(&format!("{pragmas} BEGIN; {sql} COMMIT; PRAGMA wal_checkpoint(TRUNCATE);"))?;
        return Ok(());
    }
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    let running = tokio::spawn(connection);
    client.batch_execute(&sql).await?;
    // What autovacuum would have done by the time that so much is there.
    client.batch_execute("VACUUM ANALYZE").await?;
    drop(client);
    running.await??;
    Ok(())
}

/// A table of the numbers from 0.
fn numbers(count: u32, is_sqlite: bool) -> (String, String) {
    if is_sqlite {
        (format!("WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {count})"), "n".into())
    } else {
        (String::new(), format!("generate_series(0, {count} - 1) AS n (i)"))
    }
}

/// The step of row `i`.
fn step(steps: &[&str], of: &str) -> String {
    let cases: String = steps.iter().enumerate().map(|(at, step)| format!(" WHEN {at} THEN '{step}'")).collect();
    format!("CASE {of} % {}{cases} END", steps.len())
}

fn name(of: &str) -> String {
    format!("'n' || ({of} % {DATASETS} % {NAMESPACES}) || '/d' || ({of} % {DATASETS})")
}

fn datasets(is_sqlite: bool) -> String {
    let (with, from) = numbers(DATASETS, is_sqlite);
    let name = name("i");
    format!(
        "{with} INSERT INTO datasets (name, target, target_since, served)
         SELECT {name}, CASE WHEN i % 10 = 0 THEN 'r2' ELSE 'r1' END, 0, 'r1' FROM {from};
         INSERT INTO revisions SELECT name, 'r1', 0 FROM datasets;"
    )
}

fn views_sql(views: u32, steps: &[&str], is_sqlite: bool) -> String {
    let (with, from) = numbers(views, is_sqlite);
    let digest = if is_sqlite { "randomblob(32)" } else { "sha256(i::text::bytea)" };
    let content =
        if is_sqlite { "'\"' || hex(randomblob(500)) || '\"'" } else { "'\"' || repeat(md5(i::text), 31) || '\"'" };
    let (step, name) = (step(steps, "(id / 1000)"), name("id"));
    format!(
        "{with} INSERT INTO views (digest, http_status, error_code, progress, runner_version, duration_seconds, created_at,
                                   internal, details, content)
         SELECT {digest}, CASE WHEN i % 50 = 0 THEN 500 ELSE 200 END,
                CASE WHEN i % 50 = 0 THEN 'StreamingRowsError' END, CASE WHEN i % 50 = 0 THEN NULL ELSE 1000 END, 1, 1.0, 0,
                'null', '{{}}', {content}
         FROM {from};
         INSERT INTO pointers (dataset, revision, step, config, split, view, updated_at, failed_runs)
         SELECT {name}, CASE WHEN id % {DATASETS} % 10 = 0 AND id % 3 = 0 THEN 'r2' ELSE 'r1' END, {step}, 'default',
                's' || id, id, 0, 0
         FROM views;"
    )
}

fn jobs_sql(jobs: u32, steps: &[&str], is_sqlite: bool) -> String {
    let (with, from) = numbers(jobs, is_sqlite);
    let (now, no) = if is_sqlite { ("unixepoch() * 1000000", "0") } else { ("now_us()", "FALSE") };
    let (step, name) = (step(steps, "i"), name("(i / 50)"));
    let classes =
        "INSERT INTO job_classes SELECT DISTINCT priority, difficulty, step FROM jobs ON CONFLICT DO NOTHING;";
    let classes = if is_sqlite { "" } else { classes };
    format!(
        "DELETE FROM jobs;
         {with} INSERT INTO jobs (step, dataset, namespace, revision, config, split, priority, difficulty, forced, coalesced,
                                  created_at)
         SELECT {step}, {name}, 'n' || ((i / 50) % {DATASETS} % {NAMESPACES}), 'r1', 'default', 's' || i,
                CASE WHEN i % 10 = 0 THEN 1 ELSE 0 END, (i % 4 + 1) * 20, {no}, {no}, {now}
         FROM {from};
         {classes}"
    )
}
