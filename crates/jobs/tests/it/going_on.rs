//! A worker that is left alone: one job after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use belvedere_jobs::Observer;
use belvedere_jobs::worker::Part;
use belvedere_store::Run;
use belvedere_testing::TestApp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{BIRDS, ROWS};

#[derive(Default)]
struct Counts {
    claims: AtomicUsize,
    ends: AtomicUsize,
    ended: Notify,
}

impl Observer for Counts {
    fn ended(&self, _: &Run) {
        self.ends.fetch_add(1, Ordering::Relaxed);
        self.ended.notify_one();
    }

    fn took(&self, part: Part, _: Duration) {
        self.claims.fetch_add(usize::from(part == Part::Claim), Ordering::Relaxed);
    }
}

#[tokio::test]
async fn the_end_of_a_job_brings_the_next_one() {
    let app = TestApp::new().await;
    app.write("data/birds.csv", BIRDS);
    app.refresh().await;
    let (counts, stop) = (Arc::new(Counts::default()), CancellationToken::new());
    let worker = app.worker.clone().observed_by(counts.clone());
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { worker.run(stop).await }
    });
    while !app.queue().await.is_empty() {
        counts.ended.notified().await;
    }
    stop.cancel();
    running.await.unwrap();
    assert_eq!(app.get(ROWS).await.json()["num_rows_total"], 3);
    let (claims, ends) = (counts.claims.load(Ordering::Relaxed), counts.ends.load(Ordering::Relaxed));
    assert!(claims < ends, "{ends} jobs were claimed one by one");
}
