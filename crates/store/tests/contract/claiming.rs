//! Which job is next.

use belvedere_domain::{Difficulty, NewJob, Priority};
use belvedere_store::{ClaimRequest, Completion, Fairness, RateLimit};

use crate::bed::{Bed, anything, dataset_name, job, job_of, split_key, step};

pub(crate) fn with_priority(job: NewJob, priority: Priority) -> NewJob {
    NewJob { priority, ..job }
}

fn of_difficulty(job: NewJob, difficulty: u32) -> NewJob {
    NewJob { difficulty: Difficulty::new(difficulty), ..job }
}

fn between(min: Option<u8>, max: Option<u8>) -> ClaimRequest {
    ClaimRequest { difficulty_min: min, difficulty_max: max, ..anything() }
}

pub(crate) async fn an_empty_queue_gives_nothing(bed: &Bed) {
    assert_eq!(bed.next().await, "nothing");
}

pub(crate) async fn the_oldest_job_goes_first(bed: &Bed) {
    bed.enqueue([job("a/one", "s2"), job("a/one", "s1")]).await;
    bed.enqueue([job("a/one", "s0")]).await;
    assert_eq!(bed.next().await, "a/one s2");
    assert_eq!(bed.next().await, "a/one s1");
    assert_eq!(bed.next().await, "a/one s0");
    assert_eq!(bed.next().await, "nothing");
}

pub(crate) async fn priority_beats_fairness_and_age(bed: &Bed) {
    bed.enqueue([
        job("a/one", "s1"),
        job("b/one", "s1"),
        with_priority(job("a/one", "normal"), Priority::Normal),
        with_priority(job("a/one", "high"), Priority::High),
        with_priority(job("a/one", "high2"), Priority::High),
    ])
    .await;
    assert_eq!(bed.next().await, "a/one high");
    assert_eq!(bed.next().await, "a/one high2");
    assert_eq!(bed.next().await, "a/one normal");
    assert_eq!(bed.next().await, "b/one s1");
}

pub(crate) async fn a_namespace_without_started_jobs_goes_first(bed: &Bed) {
    bed.enqueue([job("a/one", "s1"), job("a/two", "s1"), job("plain", "s1"), job("b/one", "s1")]).await;
    assert_eq!(bed.next().await, "a/one s1");
    assert_eq!(bed.next().await, "plain s1");
    assert_eq!(bed.next().await, "b/one s1");
    assert_eq!(bed.next().await, "a/two s1");
}

pub(crate) async fn then_the_namespaces_with_fewest_started_jobs(bed: &Bed) {
    bed.enqueue((0..4).map(|n| job("a/one", &format!("s{n}")))).await;
    bed.enqueue((0..3).map(|n| job("b/one", &format!("s{n}")))).await;
    bed.enqueue((0..2).map(|n| job("c/one", &format!("s{n}")))).await;
    let mut order = Vec::new();
    for _ in 0..9 {
        order.push(bed.next().await);
    }
    let expected = [
        "a/one s0", "b/one s0", "c/one s0", // nobody had one
        "a/one s1", "b/one s1", "c/one s1", // everybody had one, the oldest first
        "a/one s2", "b/one s2", "a/one s3",
    ];
    assert_eq!(order, expected);
}

pub(crate) async fn started_jobs_of_any_priority_count(bed: &Bed) {
    bed.enqueue([with_priority(job("a/one", "s0"), Priority::High), job("a/one", "s1"), job("b/one", "s1")]).await;
    assert_eq!(bed.next().await, "a/one s0");
    assert_eq!(bed.next().await, "b/one s1");
}

pub(crate) async fn difficulty_is_exclusive_below_and_inclusive_above(bed: &Bed) {
    bed.target("a/one", "r1").await;
    bed.enqueue([of_difficulty(job("a/one", "s1"), 50)]).await;
    assert_eq!(bed.next_with(&between(Some(50), Some(60))).await, "nothing");
    assert_eq!(bed.next_with(&between(Some(50), None)).await, "nothing");
    assert_eq!(bed.next_with(&between(Some(40), Some(49))).await, "nothing");
    for fitting in [between(Some(40), Some(50)), between(None, Some(50)), between(Some(0), Some(100))] {
        let claimed = bed.claim_with(&fitting).await.unwrap();
        assert!(bed.store.queue.release(&claimed.lease, 0.0, false).await.unwrap());
    }
    let extremes = [of_difficulty(job("b/one", "least"), 0), of_difficulty(job("c/one", "most"), 100)];
    bed.enqueue(extremes).await;
    let mut taken = Vec::new();
    for _ in 0..3 {
        taken.push(bed.next_with(&between(Some(0), Some(100))).await);
    }
    taken.sort();
    assert_eq!(taken[1..], ["b/one least", "c/one most"]);
}

pub(crate) async fn an_inclusive_lower_bound_can_be_asked_for(bed: &Bed) {
    bed.enqueue([of_difficulty(job("a/one", "s1"), 50)]).await;
    let request = ClaimRequest { difficulty_min_inclusive: true, ..between(Some(50), Some(60)) };
    assert_eq!(bed.next_with(&request).await, "a/one s1");
}

pub(crate) async fn started_jobs_outside_the_bounds_do_not_count(bed: &Bed) {
    bed.enqueue([of_difficulty(job("a/one", "heavy"), 90)]).await;
    assert_eq!(bed.next_with(&between(Some(70), None)).await, "a/one heavy");
    bed.enqueue([job("a/one", "light"), job("b/one", "light")]).await;
    assert_eq!(bed.next_with(&between(None, Some(70))).await, "a/one light");
}

pub(crate) async fn only_and_blocked_steps_restrict_jobs_and_fairness(bed: &Bed) {
    bed.enqueue([job("a/one", "s1"), job("a/one", "s2"), job("b/one", "s2"), job("a/one", "s3")]).await;
    assert_eq!(bed.next().await, "a/one s1");
    // The started s1 is none of this asker's business, so namespace a counts as free.
    let only = ClaimRequest { only: vec![step("s2"), step("s3")], blocked: vec![step("s3")], ..anything() };
    assert_eq!(bed.next_with(&only).await, "a/one s2");
    assert_eq!(bed.next_with(&only).await, "b/one s2");
    assert_eq!(bed.next_with(&only).await, "nothing");
    let blocked = ClaimRequest { blocked: vec![step("s3")], ..anything() };
    assert_eq!(bed.next_with(&blocked).await, "nothing");
    assert_eq!(bed.next().await, "a/one s3");
}

pub(crate) async fn a_dataset_at_its_cap_waits(bed: &Bed) {
    let request = ClaimRequest { fairness: Fairness { max_jobs_per_dataset: Some(2) }, ..anything() };
    bed.target("a/one", "r1").await;
    bed.enqueue((0..3).map(|n| job("a/one", &format!("s{n}")))).await;
    bed.enqueue([job("a/two", "s0")]).await;
    let first = bed.claim_with(&request).await.unwrap();
    assert_eq!(bed.next_with(&request).await, "a/one s1");
    assert_eq!(bed.next_with(&request).await, "a/two s0");
    assert_eq!(bed.next_with(&request).await, "nothing");
    bed.finish(&first).await;
    assert_eq!(bed.next_with(&request).await, "a/one s2");
}

pub(crate) async fn work_started_by_another_pool_is_passed_over(bed: &Bed) {
    bed.enqueue([of_difficulty(job("a/one", "s1"), 90)]).await;
    assert_eq!(bed.next_with(&between(Some(70), None)).await, "a/one s1");
    // The same work again, now lighter: it must wait although this pool has nothing started.
    bed.enqueue([of_difficulty(job("a/one", "s1"), 50), job("a/one", "s2")]).await;
    assert_eq!(bed.next_with(&between(None, Some(70))).await, "a/one s2");
    assert_eq!(bed.next_with(&between(None, Some(70))).await, "nothing");
}

pub(crate) async fn a_long_head_of_one_namespace_hides_nobody(bed: &Bed) {
    bed.enqueue((0..5000).map(|n| job_of(split_key("big/one", "s", "c", &format!("n{n}"))))).await;
    bed.enqueue([job("small/one", "s1"), of_difficulty(job("small/one", "light"), 20)]).await;
    assert_eq!(bed.next().await, "big/one s");
    assert_eq!(bed.next().await, "small/one s1");
    assert_eq!(bed.next_with(&between(None, Some(40))).await, "small/one light");
    assert_eq!(bed.next().await, "big/one s");
}

pub(crate) async fn many_namespaces_and_difficulties_are_all_found(bed: &Bed) {
    // More lanes than are compared before the long walk, behind more rows than the first walk sees.
    bed.enqueue((0..200).map(|n| job_of(split_key("big/one", "s", "c", &format!("n{n}"))))).await;
    bed.enqueue((0..100).map(|n| of_difficulty(job(&format!("n{n:03}/one"), "s"), 1 + n))).await;
    assert_eq!(bed.next().await, "big/one s");
    for n in 0..100 {
        assert_eq!(bed.next().await, format!("n{n:03}/one s"));
    }
    assert_eq!(bed.next().await, "big/one s");
    bed.enqueue([of_difficulty(job("last/one", "s"), 99)]).await;
    assert_eq!(bed.next_with(&between(Some(98), None)).await, "last/one s");
}

pub(crate) async fn resting_datasets_are_passed_over_and_do_not_count(bed: &Bed) {
    bed.target("a/tired", "r1").await;
    bed.enqueue([job("a/tired", "s0"), job("a/tired", "s1"), job("a/tired", "s2"), job("a/fresh", "s3")]).await;
    let first = bed.claim().await.unwrap();
    let second = bed.claim().await.unwrap();
    bed.age_started(10).await;
    let rate_limit = RateLimit { budget_seconds: 9.0, minimum_seconds: 1.0, ..RateLimit::default() };
    bed.finish_with(&first, Completion { rate_limit: Some(rate_limit), ..Completion::default() }).await;
    assert_eq!(second.record.key.dataset.as_str(), "a/tired");
    assert_eq!(bed.store.queue.blocked_datasets().await.unwrap(), [dataset_name("a/tired")]);
    bed.enqueue([job("b/one", "s4")]).await;
    // The started job of the resting dataset does not make namespace a busy.
    assert_eq!(bed.next().await, "a/fresh s3");
    assert_eq!(bed.next().await, "b/one s4");
    assert_eq!(bed.next().await, "nothing");
}

pub(crate) async fn datasets_left_to_others_are_passed_over(bed: &Bed) {
    bed.enqueue((0..3000).map(|n| job_of(split_key("a/strange", "s", "c", &format!("n{n}"))))).await;
    bed.enqueue([job("a/known", "s1"), job("a/known", "s2"), job("b/strange", "s1")]).await;
    let without = ["a/strange", "b/strange"].map(dataset_name).to_vec();
    let request = ClaimRequest { without, ..anything() };
    assert_eq!(bed.next_with(&request).await, "a/known s1");
    assert_eq!(bed.next_with(&request).await, "a/known s2");
    assert_eq!(bed.next_with(&request).await, "nothing");
    // What others run of such a dataset still makes its namespace busy, and they are not hindered.
    assert_eq!(bed.next().await, "b/strange s1");
    bed.enqueue([job("b/known", "s1"), job("c/known", "s1")]).await;
    assert_eq!(bed.next_with(&request).await, "c/known s1");
    assert_eq!(bed.next_with(&request).await, "b/known s1");
    assert_eq!(bed.next().await, "a/strange s");
}

/// They get what they would have got one after the other.
pub(crate) async fn claims_at_the_same_moment_follow_the_rules(bed: &Bed) {
    for dataset in ["a/one", "b/one", "c/one", "d/one"] {
        bed.enqueue((0..50).map(|n| job_of(split_key(dataset, "s", "c", &format!("{n:02}"))))).await;
    }
    bed.enqueue([with_priority(job("a/one", "urgent"), Priority::High)]).await;
    bed.enqueue((0..30).map(|n| job_of(split_key("e/one", "t", "c", &format!("{n:02}"))))).await;
    let claim = |count: usize| async move {
        let claims = (0..count).map(|_| bed.claim());
        let mut claimed: Vec<_> = futures::future::join_all(claims).await.into_iter().flatten().collect();
        claimed.sort_by_key(|job| job.record.id);
        let name = |job: &belvedere_domain::job::ClaimedJob| {
            let key = &job.record.key;
            let split = key.split.as_ref().map_or("urgent", belvedere_domain::SplitName::as_str);
            format!("{} {split}", key.dataset.namespace())
        };
        claimed.iter().map(name).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(claim(3).await, "b 00, c 00, a urgent");
    assert_eq!(claim(2).await, "d 00, e 00");
    assert_eq!(claim(7).await, "a 00, a 01, b 01, b 02, c 01, d 01, e 01");
}

pub(crate) async fn a_claim_tells_all_about_the_job(bed: &Bed) {
    let new = NewJob {
        forced: true,
        coalesce: true,
        priority: Priority::High,
        difficulty: Difficulty::new(70),
        ..job_of(split_key("a/one", "split-first-rows", "cönfig, \"x\"", "train"))
    };
    bed.enqueue([new.clone()]).await;
    let record = bed.claim().await.unwrap().record;
    assert_eq!((record.key, record.revision), (new.key, new.revision));
    assert_eq!((record.priority, record.difficulty), (Priority::High, Difficulty::new(70)));
    assert!(record.forced && record.coalesce);
    assert_eq!((record.attempt, record.crashes, record.last_heartbeat), (1, 0, None));
    assert!(record.started_at.unwrap() >= record.created_at);
}
