//! Opening, and what happens when connections break.

use belvedere_store::{Store, StoreError};

use crate::bed::{Bed, job};

pub(crate) async fn other_urls_are_refused(_bed: &Bed) {
    for url in ["", "sqlite:", "mysql://x/y", "/some/path", "mongodb://localhost"] {
        let error = Store::connect(url).await.err().unwrap();
        assert!(matches!(error, StoreError::Url(_)), "{url}: {error}");
    }
}

pub(crate) async fn broken_connections_are_replaced(bed: &Bed) {
    bed.enqueue([job("a/one", "s1")]).await;
    if !bed.is_postgres() {
        return;
    }
    for round in 0..3 {
        bed.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND application_name = 'belvedere'",
        )
        .await;
        assert_eq!(bed.pending().await.len(), round + 1, "a read tries again by itself");
        let new = job("a/one", &format!("again{round}"));
        // A write may have been done when its connection broke, so whether to repeat it is the caller's to say.
        if let Err(error) = bed.store.queue.enqueue(vec![new.clone()]).await {
            assert!(error.is_passing(), "{error:?}");
            bed.enqueue([new]).await;
        }
    }
    // The listening connection comes back too: what another process queues wakes us.
    let other = Store::connect(&bed.url).await.unwrap();
    let mut wakeups = bed.store.queue.wakeups();
    let woken = async {
        for n in 0.. {
            wakeups.mark_unchanged();
            other.queue.enqueue(vec![job("b/one", &format!("s{n}"))]).await.unwrap();
            let patience = std::time::Duration::from_millis(200);
            if tokio::time::timeout(patience, wakeups.changed()).await.is_ok() {
                break;
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), woken).await.unwrap();
}
