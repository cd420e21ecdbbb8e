//! Queues as they are when something went wrong elsewhere: floods, and a long past.

use belvedere_domain::Priority;
use belvedere_store::{ClaimRequest, Completion, Fairness};

use crate::bed::{Bed, anything, job, job_of, named, ok, postgres_client, split_key, with_view};
use crate::claiming::with_priority;

/// Jobs of a flood.
const FLOOD: usize = 100_000;

/// e020 | 100,000 jobs of one dataset wait, and one of another comes | it is the next but one: of the namespaces, those without
/// a running job go first; within a namespace `queue.max_jobs_per_dataset` holds the flood back
pub(crate) async fn e020_a_flood_of_one_dataset_holds_up_nobody(bed: &Bed) {
    for dataset in ["flood/data", "flood/other", "small/data"] {
        bed.target(dataset, "r1").await;
    }
    for block in 0..FLOOD / 5000 {
        let key = |n| split_key("flood/data", "s", "c", &format!("n{}", block * 5000 + n));
        assert_eq!(bed.enqueue((0..5000).map(|n| job_of(key(n)))).await, 5000);
    }
    bed.enqueue([job("small/data", "s")]).await;
    assert_eq!(bed.next().await, "flood/data s");
    assert_eq!(bed.next().await, "small/data s");
    bed.enqueue([job("flood/other", "s")]).await;
    let fairness = Fairness { max_jobs_per_dataset: Some(1) };
    assert_eq!(bed.next_with(&ClaimRequest { fairness, ..anything() }).await, "flood/other s");
}

/// e023 | many jobs of low priority wait and one of high priority comes; or jobs of high priority keep coming | high priority
/// goes first; the oldest job of each lower priority that has waited for ten minutes is moved up, one a minute, so that
/// nobody waits for ever
pub(crate) async fn e023_high_priority_goes_first_and_nobody_waits_for_ever(bed: &Bed) {
    bed.target("a/one", "r1").await;
    let of = |name: String, priority| with_priority(job_of(split_key("a/one", "s", "c", &name)), priority);
    bed.enqueue((0..2000).map(|n| of(format!("low_{n}"), Priority::Low))).await;
    bed.enqueue([of("normal".to_owned(), Priority::Normal)]).await;
    bed.enqueue([of("high_0".to_owned(), Priority::High)]).await;
    let next = async || {
        let claimed = bed.claim().await.unwrap();
        let split = claimed.record.key.split.clone().unwrap();
        bed.finish_with(&claimed, Completion::default()).await;
        split.to_string()
    };
    assert_eq!(next().await, "high_0");
    // Nobody has waited for long.
    assert_eq!(bed.store.queue.raise_oldest(600.0).await.unwrap(), 0);
    bed.sql("UPDATE jobs SET created_at = created_at - 601000000").await;
    let mut served = Vec::new();
    for round in 1..=3 {
        // More of them than can be done.
        bed.enqueue((0..2).map(|n| of(format!("high_{round}_{n}"), Priority::High))).await;
        bed.store.queue.raise_oldest(600.0).await.unwrap();
        served.extend([next().await, next().await]);
    }
    assert_eq!(served, ["low_0", "normal", "low_1", "high_1_0", "low_2", "high_1_1"]);
}

/// e030 | a million results of earlier work are stored | a claim looks at a few rows all the same, and old revisions are removed
/// one dataset and revision at a time, without looking at others
pub(crate) async fn e030_finished_work_costs_a_claim_nothing(bed: &Bed) {
    const ROWS: &str = "1000000";
    if !bed.is_postgres() {
        // What SQLite looks at is told by its plans: a test beside its statements.
        return;
    }
    let fill = "
        INSERT INTO views (id, digest, http_status, runner_version, duration_seconds, created_at, internal, details, content)
        SELECT n + 1000000000, decode(lpad(to_hex(n), 64, '0'), 'hex'), 200, 1, 1, n, 'null', '{}', '{}'
        FROM generate_series(1, ROWS) AS n;
        INSERT INTO pointers (id, dataset, revision, step, config, split, view, updated_at, failed_runs)
        SELECT n + 1000000000, 'past/d' || n / 100, 'r1', 's', 'c', 'n' || n, n + 1000000000, n, 0 FROM generate_series(1, ROWS) AS n;
        INSERT INTO past_jobs (dataset, finished_at, duration_seconds)
        SELECT 'past/d' || n / 100, n, 60 FROM generate_series(1, ROWS) AS n;
        ANALYZE";
    bed.sql(&fill.replace("ROWS", ROWS)).await;
    bed.target("a/one", "r1").await;
    bed.enqueue((0..100).map(|n| job_of(split_key("a/one", "s", "c", &format!("n{n}"))))).await;
    let client = postgres_client(&bed.url).await;
    let visited = async |sql: &str| {
        client.batch_execute("BEGIN").await.unwrap();
        let found = client.query(sql, &[]).await.unwrap().len();
        let count =
            "SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::bigint FROM pg_stat_xact_user_tables";
        let visited: i64 = client.query_one(count, &[]).await.unwrap().get(0);
        client.batch_execute("ROLLBACK").await.unwrap();
        (found, visited)
    };
    let (claimed, rows) =
        visited("SELECT * FROM unnest(claim_jobs('test', -1, 100, '{}', '{}', '{}', 300000000, NULL, 1))").await;
    assert_eq!(claimed, 1);
    assert!(rows < 2000, "a claim looked at {rows} rows");
    let (dropped, rows) = visited("SELECT * FROM delete_dataset('past/d7')").await;
    assert_eq!(dropped, 100);
    assert!(rows < 2000, "the removal of a dataset of 100 views looked at {rows} rows");
    let claimed = bed.claim().await.unwrap();
    assert_eq!(named(Some(&claimed)), "a/one s");
    bed.finish_with(&claimed, with_view(&claimed, ok("done"))).await;
}
