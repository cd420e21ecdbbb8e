//! How jobs enter the queue, and what can be asked about it.

use belvedere_domain::job::JobStatus;
use belvedere_domain::{NewJob, Priority};

use crate::bed::{Bed, at_revision, dataset_name, job, step};

pub(crate) async fn the_same_work_waits_once(bed: &Bed) {
    assert_eq!(bed.enqueue([job("a/one", "s1")]).await, 1);
    assert_eq!(bed.enqueue([job("a/one", "s1"), job("a/one", "s2")]).await, 1);
    assert_eq!(bed.pending().await, ["a/one s1 Waiting", "a/one s2 Waiting"]);
}

pub(crate) async fn a_second_trigger_raises_priority_and_force(bed: &Bed) {
    bed.enqueue([job("a/one", "s1")]).await;
    bed.enqueue([NewJob { priority: Priority::High, forced: true, ..job("a/one", "s1") }]).await;
    bed.enqueue([job("a/one", "s1")]).await;
    let jobs = bed.store.queue.pending(None).await.unwrap();
    assert_eq!(jobs.len(), 1);
    assert_eq!((jobs[0].priority, jobs[0].forced), (Priority::High, true));
}

pub(crate) async fn duplicates_in_one_call_are_one_job(bed: &Bed) {
    let high = NewJob { priority: Priority::High, ..job("a/one", "s1") };
    assert_eq!(bed.enqueue([job("a/one", "s1"), high, job("a/one", "s1")]).await, 1);
    assert_eq!(bed.store.queue.pending(None).await.unwrap()[0].priority, Priority::High);
}

pub(crate) async fn work_that_runs_can_be_queued_again(bed: &Bed) {
    bed.target("a/one", "r1").await;
    bed.enqueue([job("a/one", "s1")]).await;
    let first = bed.claim().await.unwrap();
    assert_eq!(bed.enqueue([job("a/one", "s1")]).await, 1);
    assert_eq!(bed.enqueue([job("a/one", "s1")]).await, 0);
    assert_eq!(bed.pending().await, ["a/one s1 Started", "a/one s1 Waiting"]);
    assert_eq!(bed.next().await, "nothing");
    bed.finish(&first).await;
    assert_eq!(bed.next().await, "a/one s1");
}

pub(crate) async fn different_revisions_are_different_work(bed: &Bed) {
    assert_eq!(bed.enqueue([job("a/one", "s1"), at_revision(job("a/one", "s1"), "r2")]).await, 2);
}

pub(crate) async fn pending_and_counts_tell_the_same(bed: &Bed) {
    bed.enqueue([job("a/one", "s1"), job("a/two", "s1"), job("a/two", "s2")]).await;
    bed.claim().await.unwrap();
    let counts = bed.store.queue.counts().await.unwrap();
    let expected = [("s1", JobStatus::Waiting, 1), ("s1", JobStatus::Started, 1), ("s2", JobStatus::Waiting, 1)];
    assert_eq!(counts, expected.map(|(name, status, count)| (step(name), status, count)));
    let of_two = bed.store.queue.pending(Some(&dataset_name("a/two"))).await.unwrap();
    assert_eq!(of_two.len(), 2);
    assert!(of_two[0].id < of_two[1].id);
}

pub(crate) async fn has_pending_looks_at_steps(bed: &Bed) {
    bed.enqueue([job("a/one", "s1"), job("a/one", "s2")]).await;
    bed.claim().await.unwrap();
    let queue = &bed.store.queue;
    let (one, two) = (dataset_name("a/one"), dataset_name("a/two"));
    assert!(queue.has_pending(&one, &[]).await.unwrap());
    assert!(queue.has_pending(&one, &[step("s1")]).await.unwrap());
    assert!(queue.has_pending(&one, &[step("s9"), step("s2")]).await.unwrap());
    assert!(!queue.has_pending(&one, &[step("s9")]).await.unwrap());
    assert!(!queue.has_pending(&two, &[]).await.unwrap());
}

pub(crate) async fn the_next_due_time_is_known(bed: &Bed) {
    let queue = &bed.store.queue;
    bed.target("a/one", "r1").await;
    assert_eq!(queue.next_due_seconds().await.unwrap(), None);
    bed.enqueue([job("a/one", "s1")]).await;
    assert_eq!(queue.next_due_seconds().await.unwrap(), Some(0.0));
    let claimed = bed.claim().await.unwrap();
    assert_eq!(queue.next_due_seconds().await.unwrap(), None);
    queue.release(&claimed.lease, 100.0, true).await.unwrap();
    let due = queue.next_due_seconds().await.unwrap().unwrap();
    assert!((90.0..=100.0).contains(&due), "{due}");
}

pub(crate) async fn waiting_workers_are_woken(bed: &Bed) {
    let mut wakeups = bed.store.queue.wakeups();
    wakeups.mark_unchanged();
    bed.enqueue([job("a/one", "s1")]).await;
    tokio::time::timeout(std::time::Duration::from_secs(10), wakeups.changed()).await.unwrap().unwrap();
}
