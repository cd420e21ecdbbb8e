//! Leases: heartbeats, fencing, expiry, giving back.

use belvedere_domain::{Lease, NewJob, Priority};
use belvedere_store::{ClaimRequest, Completion, Finished, NewView, Pulse, ViewContent};

use crate::bed::{Bed, anything, at_revision, computed, digest_of, job, ok, with_view};

fn expired() -> ClaimRequest {
    ClaimRequest { lease_seconds: -1.0, ..anything() }
}

pub(crate) async fn a_heartbeat_extends_the_lease(bed: &Bed) {
    bed.target("a/one", "r1").await;
    bed.enqueue([job("a/one", "s1")]).await;
    let claimed = bed.claim_with(&expired()).await.unwrap();
    let pulse = bed.store.queue.heartbeat(std::slice::from_ref(&claimed.lease), 60.0).await.unwrap();
    assert_eq!(pulse, [Pulse::Alive]);
    let (returned, dead) = bed.store.queue.collect_expired(3, 60.0).await.unwrap();
    assert_eq!((returned, dead.len()), (0, 0));
    let jobs = bed.store.queue.pending(None).await.unwrap();
    assert!(jobs[0].last_heartbeat >= jobs[0].started_at);
}

pub(crate) async fn a_heartbeat_tells_of_lost_and_superseded_jobs(bed: &Bed) {
    for dataset in ["a/alive", "b/moved", "c/deleted"] {
        bed.target(dataset, "r1").await;
        bed.enqueue([job(dataset, "s1")]).await;
    }
    let mut leases = Vec::new();
    for _ in 0..3 {
        leases.push(bed.claim().await.unwrap().lease);
    }
    leases.insert(1, Lease { token: leases[0].token + 1, ..leases[0].clone() });
    bed.target("b/moved", "r2").await;
    bed.store.datasets.delete(&crate::bed::dataset_name("c/deleted")).await.unwrap();
    let pulses = bed.store.queue.heartbeat(&leases, 60.0).await.unwrap();
    assert_eq!(pulses, [Pulse::Alive, Pulse::Lost, Pulse::Superseded, Pulse::Superseded]);
}

pub(crate) async fn stale_tokens_change_nothing(bed: &Bed) {
    bed.target("a/one", "r1").await;
    bed.enqueue([job("a/one", "s1")]).await;
    let stale = bed.claim_with(&expired()).await.unwrap();
    bed.store.queue.collect_expired(3, 60.0).await.unwrap();
    let fresh = bed.claim().await.unwrap();
    assert_eq!(stale.lease.job, fresh.lease.job);
    let queue = &bed.store.queue;
    assert_eq!(bed.finish_with(&stale, with_view(&stale, ok("stale"))).await, Finished::LeaseLost);
    assert!(!queue.release(&stale.lease, 0.0, true).await.unwrap());
    assert_eq!(queue.heartbeat(std::slice::from_ref(&stale.lease), 60.0).await.unwrap(), [Pulse::Lost]);
    assert!(!queue.save(&stale.lease, computed(&job("a/one", "s1"), ok("stale"))).await.unwrap());
    assert!(!bed.store.views.has_any(&stale.record.key.dataset).await.unwrap());
    assert_eq!(bed.finish(&fresh).await, Finished::Saved { served: Some(fresh.record.revision.clone()) });
    assert_eq!(bed.finish(&fresh).await, Finished::LeaseLost);
}

/// On PostgreSQL a circle of locks would show as an error or a repetition.
pub(crate) async fn signs_of_life_and_ends_at_the_same_moment_never_wait_for_each_other(bed: &Bed) {
    bed.target("a/one", "r1").await;
    let queue = &bed.store.queue;
    for round in 0..20 {
        bed.enqueue((0..16).map(|n| job("a/one", &format!("s{round}-{n}")))).await;
        let mut leases = Vec::new();
        while let Some(claimed) = bed.claim().await {
            leases.push(claimed.lease);
        }
        let backwards: Vec<Lease> = leases.iter().rev().cloned().collect();
        let beats = (0..4).map(|_| queue.heartbeat(&backwards, 300.0));
        let ends = leases.iter().map(|lease| queue.finish(lease, Completion::default()));
        let (beats, ends) = futures::join!(futures::future::join_all(beats), futures::future::join_all(ends));
        assert!(beats.iter().all(Result::is_ok), "{beats:?}");
        assert!(ends.iter().all(|end| matches!(end, Ok(Finished::Saved { .. }))), "{ends:?}");
    }
}

pub(crate) async fn a_late_finish_counts_until_somebody_else_took_the_job(bed: &Bed) {
    bed.target("a/one", "r1").await;
    bed.enqueue([job("a/one", "s1")]).await;
    let late = bed.claim_with(&expired()).await.unwrap();
    assert!(matches!(bed.finish_with(&late, with_view(&late, ok("late"))).await, Finished::Saved { .. }));
    assert!(bed.store.views.has_any(&late.record.key.dataset).await.unwrap());
}

pub(crate) async fn expired_leases_go_back_at_their_age(bed: &Bed) {
    bed.target("a/one", "r1").await;
    bed.enqueue([job("a/one", "s1"), job("a/one", "s2")]).await;
    bed.claim_with(&expired()).await.unwrap();
    let (returned, dead) = bed.store.queue.collect_expired(3, 60.0).await.unwrap();
    assert_eq!((returned, dead.len()), (1, 0));
    let again = bed.claim().await.unwrap();
    assert_eq!((again.record.key.step.as_str(), again.record.attempt, again.record.crashes), ("s1", 2, 1));
}

pub(crate) async fn crashes_are_counted_and_capped(bed: &Bed) {
    bed.target("a/one", "r1").await;
    bed.enqueue([job("a/one", "s1")]).await;
    for crash in 1..3 {
        bed.claim_with(&expired()).await.unwrap();
        let (returned, dead) = bed.store.queue.collect_expired(3, 60.0).await.unwrap();
        assert_eq!((returned, dead.len()), (1, 0), "crash {crash}");
    }
    bed.claim_with(&expired()).await.unwrap();
    let (returned, dead) = bed.store.queue.collect_expired(3, 60.0).await.unwrap();
    assert_eq!((returned, dead.len()), (0, 1));
    assert_eq!((dead[0].job.record.crashes, dead[0].job.record.attempt), (3, 3));
    // It stays in the collector's hands until that lease ends too.
    assert_eq!(bed.next().await, "nothing");
    assert_eq!(bed.store.queue.collect_expired(3, 60.0).await.unwrap().1.len(), 0);
}

pub(crate) async fn a_dead_job_can_be_finished(bed: &Bed) {
    bed.target("a/one", "r1").await;
    bed.enqueue([job("a/one", "s1")]).await;
    let claimed = bed.claim_with(&expired()).await.unwrap();
    let (_, dead) = bed.store.queue.collect_expired(1, 60.0).await.unwrap();
    assert_eq!(bed.finish(&claimed).await, Finished::LeaseLost);
    assert!(matches!(bed.finish(&dead[0].job).await, Finished::Saved { .. }));
    assert!(bed.pending().await.is_empty());
}

pub(crate) async fn a_released_job_waits_for_its_delay(bed: &Bed) {
    bed.target("a/one", "r1").await;
    bed.enqueue([job("a/one", "s1"), job("a/one", "s2")]).await;
    let claimed = bed.claim().await.unwrap();
    assert!(bed.store.queue.release(&claimed.lease, 1000.0, true).await.unwrap());
    let second = bed.claim().await.unwrap();
    assert_eq!(second.record.key.step, "s2");
    assert_eq!(bed.next().await, "nothing");
    bed.store.queue.release(&second.lease, 0.0, false).await.unwrap();
    // When the delay is over the job has its old place.
    bed.sql("UPDATE jobs SET not_before = not_before - 1001000000 WHERE not_before IS NOT NULL").await;
    let again = bed.claim().await.unwrap();
    assert_eq!((again.record.key.step.as_str(), again.record.attempt), ("s1", 2));
    assert_eq!(bed.claim().await.unwrap().record.attempt, 1);
}

pub(crate) async fn a_released_job_merges_with_its_twin(bed: &Bed) {
    bed.target("a/one", "r1").await;
    bed.enqueue([job("a/one", "s1")]).await;
    let claimed = bed.claim().await.unwrap();
    bed.enqueue([NewJob { priority: Priority::High, forced: true, ..job("a/one", "s1") }]).await;
    assert!(bed.store.queue.release(&claimed.lease, 0.0, true).await.unwrap());
    let jobs = bed.store.queue.pending(None).await.unwrap();
    assert_eq!(jobs.len(), 1);
    assert_eq!((jobs[0].id, jobs[0].priority, jobs[0].forced), (claimed.record.id, Priority::High, true));
}

pub(crate) async fn an_expired_job_merges_with_its_twin(bed: &Bed) {
    bed.target("a/one", "r1").await;
    bed.enqueue([job("a/one", "s1")]).await;
    bed.claim_with(&expired()).await.unwrap();
    bed.enqueue([job("a/one", "s1")]).await;
    assert_eq!(bed.store.queue.collect_expired(3, 60.0).await.unwrap().0, 1);
    assert_eq!(bed.pending().await, ["a/one s1 Waiting"]);
    assert_eq!(bed.claim().await.unwrap().record.crashes, 1);
}

pub(crate) async fn released_jobs_of_old_revisions_are_dropped(bed: &Bed) {
    bed.target("a/one", "r1").await;
    bed.enqueue([job("a/one", "s1"), job("a/one", "s2"), at_revision(job("a/one", "s3"), "r2")]).await;
    let claimed = bed.claim().await.unwrap();
    bed.claim_with(&expired()).await.unwrap();
    bed.target("a/one", "r2").await;
    assert!(bed.store.queue.release(&claimed.lease, 0.0, true).await.unwrap());
    assert_eq!(bed.store.queue.collect_expired(1, 60.0).await.unwrap().0, 0);
    assert_eq!(bed.pending().await, ["a/one s3 Waiting"]);
    let view = NewView {
        key: claimed.record.key.clone(),
        digest: digest_of("x"),
        runner_version: 1,
        content: ViewContent::Computed(ok("x")),
    };
    assert!(!bed.store.queue.save(&claimed.lease, view).await.unwrap());
}
