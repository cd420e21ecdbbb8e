//! Whether anything has been written: the number by which what is kept in memory grows old. Other tests share the server of
//! PostgreSQL, so that there it may grow by itself.

use std::time::{Duration, Instant};

use belvedere_store::Store;
use belvedere_store::tasks::Submitted;

use crate::bed::{Bed, dataset_name, job, ok};
use crate::tasking::{id, submit, task};

/// The number, as soon as somebody has looked.
async fn number(store: &Store) -> u64 {
    let looked = async {
        loop {
            if let Some(number) = store.changes().await {
                return number;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), looked).await.unwrap()
}

pub(crate) async fn reads_change_nothing(bed: &Bed) {
    bed.enqueue([job("a/one", "s1")]).await;
    let before = number(&bed.store).await;
    for _ in 0..3 {
        assert_eq!(bed.pending().await.len(), 1);
        bed.store.datasets.get(&dataset_name("a/one")).await.unwrap();
        bed.store.users.users().await.unwrap();
        if !bed.is_postgres() {
            assert_eq!(bed.store.known_changes(), Some(before));
        }
    }
}

pub(crate) async fn what_this_process_writes_is_noticed_at_once(bed: &Bed) {
    let store = &bed.store;
    let mut before = number(store).await;
    // Each way in which something is written.
    for way in ["target", "enqueue", "claim", "finish", "submit", "cancel", "delete"] {
        match way {
            "target" => bed.target("a/one", "r1").await,
            "enqueue" => assert_eq!(bed.enqueue([job("a/one", "s1")]).await, 1),
            "claim" => drop(bed.claim().await.unwrap()),
            "finish" => drop(bed.run(job("a/one", "s2"), ok("{}")).await),
            "submit" => assert_eq!(submit(bed, task(1, "ada")).await, Submitted::Created),
            "cancel" => drop(store.tasks.cancel(id(1), None, "ada").await.unwrap()),
            _ => drop(store.datasets.delete(&dataset_name("a/one")).await.unwrap()),
        }
        if let Some(known) = store.known_changes() {
            assert!(known > before, "{way} is not noticed");
        }
        let after = number(store).await;
        assert!(after > before, "{way} is not noticed by a look");
        before = after;
    }
}

pub(crate) async fn what_others_write_is_noticed_soon(bed: &Bed) {
    if !bed.is_postgres() {
        return;
    }
    let other = Store::connect(&bed.url).await.unwrap();
    for round in 0..20 {
        let before = number(&bed.store).await;
        other.queue.enqueue(vec![job("a/one", &format!("s{round}"))]).await.unwrap();
        let written = Instant::now();
        let noticed = async {
            loop {
                let asked = Instant::now();
                match bed.store.changes().await {
                    Some(number) if number > before => return,
                    // A look that began before the write counts for a while, and no longer.
                    Some(_) => assert!(asked - written <= Duration::from_millis(20), "round {round}"),
                    None => {}
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), noticed).await.unwrap();
    }
}

pub(crate) async fn a_new_connection_counts_as_a_change(bed: &Bed) {
    if !bed.is_postgres() {
        return;
    }
    let before = number(&bed.store).await;
    bed.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'belvedere'",
    )
    .await;
    // What was seen before may still count for a moment.
    let noticed = async { while number(&bed.store).await == before {} };
    tokio::time::timeout(Duration::from_secs(60), noticed).await.unwrap();
}
